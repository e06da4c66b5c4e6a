//! Stage 2: asking for work, as long as there is room for it (E-2, W-3): by a stream of it, or by one
//! poll after another.
//!
//! Each item has a key, so that one whose way was cut is given again. What comes by a stream is counted,
//! and its key follows from the number; so is the key of a poll that takes a stream's place.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::config::WorkerConfig;
use super::cx::{Cx, Purpose, Timer};
use super::hold::Hold;
use super::lease::Environment;
use super::notice::WorkerNotice;
use super::work_by::{Finding, Next, Ways};
use super::work_stream::{Came, Overdue, Series, WorkStream};
use crate::base::id::OpId;
use crate::base::limits::{MAX_REFUSAL_BYTES, STREAM_GREETING};
use crate::base::time::Instant;
use crate::client::worker_api::ClaimKey;
use crate::client::{RequestError, answer, worker_api};
use crate::contract::action::{Head, Response};
use crate::contract::event::{Event, IoError, IoErrorKind};
use crate::contract::machine::MachineError;
use crate::engine::backoff::{Backoff, FailureTrack, Verdict};
use crate::wire::worker_api::work::WorkItem;

/// What the worker calls it in messages.
pub(super) const WHAT: &str = "ask for work";

/// What it calls it where nothing but a stream will do.
const BY_STREAM: &str = "take work by a stream";

/// A relay that does not hold polls is polled no more often than this.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// The one poll or stream in progress, or the pause before the next one.
#[derive(Debug)]
pub(super) struct Polling {
    in_flight: InFlight,
    asked_at: Instant,
    /// Identifies the claim, so that a lost answer is sent again.
    key: Option<u128>,
    /// Identifies it where streams were used.
    series: Option<Series>,
    ways: Ways,
    /// Streams came to nothing, and polls will not do.
    stream_backoff: Backoff,
    hold: Hold,
    backoff: Backoff,
    has_failed: bool,
    /// The pause before the next one was asked for by whoever answered the last one.
    is_pause_asked: bool,
}

#[derive(Debug, Default)]
enum InFlight {
    #[default]
    Nothing,
    Poll(OpId),
    Stream(WorkStream),
    /// A stream was refused, and why is still to come.
    Refused(Refusal),
    /// A stream is over, and what it has brought is being handled.
    Over,
}

/// The answer of somebody who refuses a stream for now, as far as it has come.
#[derive(Debug)]
struct Refusal {
    op: OpId,
    head: Head,
    body: Vec<u8>,
    /// When no more of it is waited for.
    until: Instant,
}

impl Refusal {
    fn into_error(self) -> RequestError {
        let (Head { status, headers }, body) = (self.head, Bytes::from(self.body));
        RequestError::of(&Response { status, headers, body })
    }
}

/// The result of a poll, or of something on a stream.
pub(super) enum Polled {
    Work(WorkItem),
    Nothing,
    /// A stream is over, and has nothing to say about what is queued.
    Over,
    /// It failed, and is retried after this pause.
    Retrying(Duration),
    /// The environment's secret was refused.
    SecretRefused(RequestError),
    /// The relay no longer knows the environment.
    EnvironmentGone(RequestError),
    Failed(MachineError),
}

impl Polling {
    pub(super) const fn new(config: &WorkerConfig) -> Self {
        Self {
            in_flight: InFlight::Nothing,
            asked_at: Instant::ORIGIN,
            key: None,
            series: None,
            ways: Ways::new(config.work_by),
            stream_backoff: Backoff::new(config.backoff),
            hold: Hold::new(),
            backoff: Backoff::new(config.backoff),
            has_failed: false,
            is_pause_asked: false,
        }
    }

    /// Whether a poll or a stream is in progress, or its pause is not over.
    pub(super) fn is_waiting(&self, cx: &Cx<'_>) -> bool {
        !matches!(self.in_flight, InFlight::Nothing) || cx.timers.is_set(&Timer::Poll)
    }

    /// Whether the relay that it has registered with has streams of work.
    pub(super) const fn offered(&mut self, has_streams: bool) {
        self.ways.offered(has_streams);
    }

    /// Asks for at most so many items.
    pub(super) fn ask(&mut self, cx: &mut Cx<'_>, environment: &Environment, room: u64) {
        self.asked_at = cx.now();
        let rng = &mut *cx.rng;
        let mut new_key = || rng.u128(..);
        let next = self.ways.next(self.asked_at);
        let wait = self.hold.wait(self.asked_at);
        let (relay, environment) = (&cx.config.relay, environment.key());
        if next == Next::Stream {
            let series = self.series.get_or_insert_with(|| Series { key: new_key(), taken: 0 });
            let request =
                worker_api::work_stream(relay, environment, (series.key, series.taken), room, wait);
            let op = cx.request(Purpose::WorkStream, request);
            self.in_flight = InFlight::Stream(WorkStream::new(op, room));
            return;
        }
        let key = match &self.series {
            Some(Series { key, taken }) => ClaimKey::Numbered(*key, taken + 1),
            None => ClaimKey::Single(*self.key.get_or_insert_with(new_key)),
        };
        let wait = if next == Next::Question { Duration::ZERO } else { wait };
        let request = worker_api::poll(relay, environment, key, wait);
        self.in_flight = InFlight::Poll(cx.request(Purpose::Poll, request));
    }

    /// What is in progress has been sent under this id.
    pub(super) const fn restarted(&mut self, new: OpId) {
        match &mut self.in_flight {
            InFlight::Nothing | InFlight::Over => {}
            InFlight::Poll(op) => *op = new,
            InFlight::Stream(stream) => stream.op = new,
            InFlight::Refused(refusal) => refusal.op = new,
        }
    }

    /// Drops what is in progress and the pause before the next one.
    pub(super) fn cancel(&mut self, cx: &mut Cx<'_>) {
        cx.timers.clear(&Timer::Poll);
        self.drop_request(cx);
    }

    /// Drops what is in progress; a pause before the next one stays.
    pub(super) fn drop_request(&mut self, cx: &mut Cx<'_>) {
        cx.timers.clear(&Timer::WorkStream);
        match core::mem::take(&mut self.in_flight) {
            InFlight::Nothing | InFlight::Over => {}
            InFlight::Poll(op)
            | InFlight::Stream(WorkStream { op, .. })
            | InFlight::Refused(Refusal { op, .. }) => cx.fx.cancel(op),
        }
    }

    /// Whether the last ones have found no relay.
    pub(super) const fn is_failing(&self) -> bool {
        self.has_failed
    }

    /// The relay answers elsewhere: a pause that it has not asked for is over, and so is what has
    /// been failing until now.
    pub(super) fn relay_answers(&mut self, cx: &mut Cx<'_>) {
        self.backoff.reset();
        if self.has_failed && !self.is_pause_asked {
            cx.timers.clear(&Timer::Poll);
        }
    }

    /// The computer slept: the connection of a held poll is most likely dead (W-2). The key stays,
    /// so that anything the poll may have claimed is sent again.
    pub(super) fn wake(&mut self, cx: &mut Cx<'_>) {
        self.backoff.reset();
        self.stream_backoff.reset();
        self.hold.forget();
        self.ways.forget();
        self.cancel(cx);
    }

    pub(super) fn answered(&mut self, cx: &mut Cx<'_>, event: Event) -> Polled {
        self.in_flight = InFlight::Nothing;
        let age = self.age(cx);
        let item = match answer::<Option<WorkItem>>(event) {
            Ok(item) => item,
            Err(error) => {
                self.ways.poll_failed();
                if error.track() == Some(FailureTrack::Connection) {
                    self.relay_is_away();
                }
                return self.failed(cx, error, age);
            }
        };
        self.hold.answered(age);
        self.key = None;
        if let Some(series) = self.series.as_mut().filter(|_| item.is_some()) {
            series.taken += 1;
        }
        self.recovered(cx);
        match self.ways.poll_answered(cx.now()) {
            None => {}
            Some(Finding::Polls { reason, for_now }) => {
                cx.notify(WorkerNotice::WorkByPolls { reason, for_now });
            }
            Some(Finding::StreamOnly { reason }) => {
                if let Some(error) = self.stream_failed(cx, &reason) {
                    return Polled::Failed(error);
                }
            }
        }
        item.map_or(Polled::Nothing, Polled::Work)
    }

    /// Meanwhile no stream can come to anything.
    fn relay_is_away(&mut self) {
        self.stream_backoff.reset();
    }

    fn recovered(&mut self, cx: &mut Cx<'_>) {
        self.backoff.reset();
        if core::mem::take(&mut self.has_failed) {
            cx.notify(WorkerNotice::Recovered);
        }
    }

    /// How long ago the request in progress was made.
    fn age(&self, cx: &Cx<'_>) -> Duration {
        cx.now().saturating_since(self.asked_at)
    }

    /// Streams come to nothing, although the relay is there, and nothing else is wanted. Returns what ends
    /// the worker, if it has tried for as long as is allowed.
    fn stream_failed(&mut self, cx: &mut Cx<'_>, reason: &str) -> Option<MachineError> {
        let (now, track) = (cx.now(), FailureTrack::General);
        match self.stream_backoff.fail(now, track, None, cx.rng) {
            Verdict::RetryAfter(retry_in) => {
                cx.set_timer(Timer::Poll, retry_in);
                let reason = reason.to_string();
                cx.notify(WorkerNotice::Retrying { what: BY_STREAM, reason, retry_in });
                None
            }
            Verdict::GiveUp { failing_for } => {
                let error = broken(IoErrorKind::Other, reason);
                Some(cx.gave_up(BY_STREAM, &error, failing_for))
            }
        }
    }

    /// Something about the stream in progress. Returns what it leads to, in order.
    pub(super) fn streamed(&mut self, cx: &mut Cx<'_>, op: OpId, event: Event) -> Vec<Polled> {
        if is_last(&event) {
            cx.fx.finish(op);
        }
        cx.timers.clear(&Timer::WorkStream);
        let mut stream = match core::mem::take(&mut self.in_flight) {
            InFlight::Stream(stream) => stream,
            InFlight::Refused(refusal) => return self.refused_because(cx, refusal, event),
            InFlight::Nothing | InFlight::Poll(_) | InFlight::Over => return Vec::new(),
        };
        match event {
            Event::Head { head, .. } if stream.opened(cx.now(), &head) => {
                self.goes_on(cx, stream);
                Vec::new()
            }
            Event::Head { head, .. } => self.refused(cx, op, head),
            Event::Received { message, .. } => self.received(cx, stream, message.into_bytes()),
            // Nobody knows whether it is the relay that answers.
            Event::Response { response, .. } => {
                let age = self.age(cx);
                vec![self.failed(cx, RequestError::of(&response), age)]
            }
            Event::Failed { failure, .. } => vec![self.broke_off(cx, &stream, failure)],
            Event::Closed { failure, .. } => {
                let ended = || failure_of(IoErrorKind::Disconnected, "the stream of work ended");
                vec![self.broke_off(cx, &stream, failure.unwrap_or_else(ended))]
            }
            _ => {
                self.goes_on(cx, stream);
                Vec::new()
            }
        }
    }

    /// It has brought what it was to, and its connection can be used again.
    fn is_over(&mut self, cx: &mut Cx<'_>, op: OpId) {
        cx.fx.repurpose(op, Purpose::WorkStreamOver);
        self.in_flight = InFlight::Over;
    }

    /// What a stream has brought has been handled.
    pub(super) fn settled(&mut self) {
        if matches!(self.in_flight, InFlight::Over) {
            self.in_flight = InFlight::Nothing;
        }
    }

    /// No more comes than what is asked for from now on.
    pub(super) fn drop_stream(&mut self, cx: &mut Cx<'_>) {
        if matches!(self.in_flight, InFlight::Stream(_)) {
            self.drop_request(cx);
        }
    }

    fn goes_on(&mut self, cx: &mut Cx<'_>, stream: WorkStream) {
        if let Some(at) = stream.deadline() {
            cx.timers.set(Timer::WorkStream, at);
        }
        self.in_flight = InFlight::Stream(stream);
    }

    /// Something else than a stream was answered. Such a refusal may come from anything on the way: what
    /// the relay thinks is asked by a request whose answer comes whole.
    fn refused(&mut self, cx: &mut Cx<'_>, op: OpId, head: Head) -> Vec<Polled> {
        let status = head.status;
        if matches!(status, 429 | 500..) {
            let (body, until) = (Vec::new(), cx.now() + STREAM_GREETING);
            self.wait_for_reason(cx, Refusal { op, head, body, until });
            return Vec::new();
        }
        cx.fx.cancel(op);
        self.ways.doubt(format!(
            "the stream of work was answered with HTTP {status}, and other requests are not: something on \
             the way does not let it through"
        ));
        vec![Polled::Over]
    }

    fn wait_for_reason(&mut self, cx: &mut Cx<'_>, refusal: Refusal) {
        cx.timers.set(Timer::WorkStream, refusal.until);
        self.in_flight = InFlight::Refused(refusal);
    }

    /// More has come of why a stream was refused, or all of it.
    fn refused_because(
        &mut self,
        cx: &mut Cx<'_>,
        mut refusal: Refusal,
        event: Event,
    ) -> Vec<Polled> {
        match event {
            Event::Received { message, .. } => {
                refusal.body.extend_from_slice(&message.into_bytes());
                if refusal.body.len() <= MAX_REFUSAL_BYTES {
                    self.wait_for_reason(cx, refusal);
                    return Vec::new();
                }
                cx.fx.cancel(refusal.op);
            }
            event if is_last(&event) => {}
            _ => {
                self.wait_for_reason(cx, refusal);
                return Vec::new();
            }
        }
        vec![self.refused_for_now(cx, refusal)]
    }

    fn take_refusal(&mut self) -> Option<Refusal> {
        match core::mem::take(&mut self.in_flight) {
            InFlight::Refused(refusal) => Some(refusal),
            other => {
                self.in_flight = other;
                None
            }
        }
    }

    fn refused_for_now(&mut self, cx: &mut Cx<'_>, refusal: Refusal) -> Polled {
        self.ways.cut_early();
        let age = self.age(cx);
        self.failed(cx, refusal.into_error(), age)
    }

    fn received(&mut self, cx: &mut Cx<'_>, mut stream: WorkStream, bytes: Bytes) -> Vec<Polled> {
        let (now, op, mut bytes) = (cx.now(), stream.op, bytes);
        let mut polled = Vec::new();
        stream.heard(now);
        if stream.is_proved() {
            self.ways.proved();
            self.stream_backoff.reset();
        }
        let mut taken = self.series.as_ref().map_or(0, |series| series.taken);
        while let Some(came) = stream.next(now, &mut bytes, &mut taken) {
            match came {
                Ok(Came::Up) => {
                    // Whatever waits comes at once. How long such streams last is another question.
                    self.stream_backoff.achieved(now);
                    self.recovered(cx);
                }
                Ok(Came::Item { item, is_last }) => {
                    // As a poll's answer is read, and with the same words for what is wrong with it.
                    let body = Bytes::from(item);
                    let response = Response { status: 200, headers: Vec::new(), body };
                    match answer::<WorkItem>(Event::Response { op, response }) {
                        Ok(item) => polled.push(Polled::Work(item)),
                        Err(error) => {
                            cx.fx.cancel(op);
                            let age = self.age(cx);
                            polled.push(self.failed(cx, error, age));
                            return polled;
                        }
                    }
                    if let Some(series) = &mut self.series {
                        series.taken = taken;
                    }
                    if is_last {
                        self.is_over(cx, op);
                        return polled;
                    }
                }
                Ok(Came::End { has_brought }) => {
                    self.is_over(cx, op);
                    self.hold.answered(self.age(cx));
                    polled.push(if has_brought { Polled::Over } else { Polled::Nothing });
                    return polled;
                }
                Err(reason) => {
                    cx.fx.cancel(op);
                    polled.push(self.broke_off(
                        cx,
                        &stream,
                        failure_of(IoErrorKind::Protocol, reason),
                    ));
                    return polled;
                }
            }
        }
        self.goes_on(cx, stream);
        polled
    }

    fn broke_off(&mut self, cx: &mut Cx<'_>, stream: &WorkStream, failure: IoError) -> Polled {
        match failure.kind {
            _ if stream.is_proved() => {}
            IoErrorKind::TimedOut => self.ways.doubt(String::from(
                "nothing comes on a stream of work: something on the way holds it back",
            )),
            IoErrorKind::Disconnected | IoErrorKind::Protocol => self.ways.cut_early(),
            _ => self.relay_is_away(),
        }
        let age = self.age(cx);
        self.failed(cx, RequestError::Broken(failure), age)
    }

    /// Something may be wrong with the stream in progress by now.
    pub(super) fn stream_due(&mut self, cx: &mut Cx<'_>) -> Option<Polled> {
        if let Some(refusal) = self.take_refusal() {
            cx.fx.cancel(refusal.op);
            return Some(self.refused_for_now(cx, refusal));
        }
        let InFlight::Stream(stream) = &self.in_flight else { return None };
        let overdue = stream.overdue(cx.now())?;
        self.drop_request(cx);
        Some(match overdue {
            Overdue::HeldBack => {
                self.ways.doubt_held_back();
                Polled::Over
            }
            Overdue::Silent { is_proved } => {
                if !is_proved {
                    let reason = "streams of work fall silent while requests are answered";
                    self.ways.doubt(reason.to_string());
                }
                let age = self.age(cx);
                self.failed(cx, broken(IoErrorKind::TimedOut, "the relay fell silent"), age)
            }
        })
    }

    /// Nothing was taken: a relay that does not hold polls is polled again a little later.
    pub(super) fn pace(&self, cx: &mut Cx<'_>) {
        let earliest = self.asked_at + MIN_INTERVAL;
        if cx.now() < earliest && !cx.timers.is_set(&Timer::Poll) {
            cx.timers.set(Timer::Poll, earliest);
        }
    }

    fn failed(&mut self, cx: &mut Cx<'_>, error: RequestError, age: Duration) -> Polled {
        if let Some(refusal) = error.refusal() {
            if refusal.is_unauthorized() {
                (self.key, self.series) = (None, None);
                return Polled::SecretRefused(error);
            }
            if refusal.is_environment_unknown() || refusal.status == 410 {
                (self.key, self.series) = (None, None);
                return Polled::EnvironmentGone(error);
            }
        }
        let Some(mut track) = error.track() else {
            return Polled::Failed(error.fault(WHAT, &cx.config.relay));
        };
        let shorter = self.hold.failed(cx.now(), age, &error);
        if shorter.is_some() {
            // That was to be expected, and will not happen again.
            self.backoff.reset();
            track = FailureTrack::General;
        }
        self.has_failed = true;
        let pause = cx.retry_after(&error);
        self.is_pause_asked = pause.is_some();
        match self.backoff.fail(cx.now(), track, pause, cx.rng) {
            Verdict::RetryAfter(retry_in) => {
                cx.set_timer(Timer::Poll, retry_in);
                let mut reason = error.in_words(cx.fx.now().wall);
                if let Some(wait) = shorter {
                    let (age, wait) = (age.as_secs(), wait.as_secs());
                    reason += &format!(
                        "; something on the way ends requests after {age} s without an answer, so the relay is asked to answer within {wait} s"
                    );
                }
                cx.notify(WorkerNotice::Retrying { what: WHAT, reason, retry_in });
                Polled::Retrying(retry_in)
            }
            Verdict::GiveUp { failing_for } => {
                Polled::Failed(cx.gave_up(WHAT, &error, failing_for))
            }
        }
    }
}

/// Whether nothing more comes of a request after this.
pub(super) const fn is_last(event: &Event) -> bool {
    matches!(event, Event::Response { .. } | Event::Failed { .. } | Event::Closed { .. })
}

fn failure_of(kind: IoErrorKind, detail: &str) -> IoError {
    IoError { kind, detail: detail.to_string() }
}

fn broken(kind: IoErrorKind, detail: &str) -> RequestError {
    RequestError::Broken(failure_of(kind, detail))
}
