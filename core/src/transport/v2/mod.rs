//! A session's way to the relay, version 2 (C-1 to C-3, `relay/http.md`): a stream of events in, batches
//! out, and credentials that are valid for an hour and for one epoch.
//!
//! ```text
//!          no credentials        /bridge            Head           the relay's resume
//!   begin ───────────────▶ Bridging ───▶ Opening ───────▶ Greeting ─────────────────▶ Up
//!     ▲ └── credentials ──────────────────▲ │ refused                                 │
//!     │                                     └──▶ Asking (why, by a plain request)     │
//!     └── Pausing ◀──── broken, silent, refused for now ◀─────────────────────────────┘
//!         (Backoff, W-2)     refused for good, gave up, a newer epoch ──▶ Over
//! ```
//!
//! Where requests get through and streams do not, or the other end knows nothing of version 2, nothing
//! mends that: if it may, everything goes on by version 1 (C-4), with the same numbers.
//!
//! This file decides when to connect; `credentials` gets and renews what it shows, `ingress` reads the
//! stream, `egress` sends batches, one at a time. Lines are numbered in both directions, as in version
//! 1: whatever breaks, both sides continue after the last one that the other has.

mod credentials;
mod egress;
mod events;
mod fallback;
mod ingress;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use serde_json::value::RawValue;

use self::credentials::Credentials;
use self::egress::Egress;
use self::events::Events;
use self::fallback::Obstacle;
use self::ingress::Stream;
use super::event::LinkEvent;
use super::inbox::Inbox;
use super::meeting::Meeting;
use super::outbox::{Item, Outbox, SetBack};
use super::v1::{Rhythm, WAS_SET_BACK};
use crate::base::id::OpId;
use crate::base::limits::STREAM_GREETING;
use crate::base::secret::Secret;
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::client::{ApiError, RequestError, code_session};
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::engine::backoff::{Backoff, BackoffConfig, FailureTrack, Verdict};
use crate::engine::effects::Effects;
use crate::wire::error::ErrorType;

#[derive(Debug)]
enum State {
    /// Not connected and not about to be: it is new, or its credential was refused.
    Idle,
    /// The last attempt failed.
    Pausing {
        until: Instant,
        /// Whoever answered the last one has asked for the pause.
        is_asked: bool,
    },
    Bridging(OpId),
    /// The stream was asked for.
    Opening(OpId),
    /// The stream came to nothing. That may be due to anything on the way: what the relay thinks is asked
    /// by a request whose answer comes whole.
    Asking {
        op: OpId,
        doubt: Doubt,
    },
    /// The stream is open, and the relay's resume still to come.
    Greeting {
        op: OpId,
        until: Instant,
    },
    Up(Stream),
    Over,
}

/// What became of a stream that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// It was refused with this status.
    Refused(u16),
    /// Nobody answered in time.
    Unanswered,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) => {
                write!(f, "answered with HTTP {status}, and other requests are not")
            }
            Self::Unanswered => f.write_str("never answered, and other requests are"),
        }
    }
}

impl State {
    const fn op(&self) -> Option<OpId> {
        match self {
            Self::Bridging(op)
            | Self::Opening(op)
            | Self::Asking { op, .. }
            | Self::Greeting { op, .. }
            | Self::Up(Stream { op, .. }) => Some(*op),
            Self::Idle | Self::Pausing { .. } | Self::Over => None,
        }
    }
}

/// One session's channel.
#[derive(Debug)]
pub(crate) struct Channel {
    /// The session's own URL.
    url: String,
    agent_run: String,
    credentials: Credentials,
    state: State,
    events: Events,
    backoff: Backoff,
    egress: Egress,
    outbox: Outbox,
    /// Only kept for the next link of version 1.
    rhythm: Rhythm,
    inbox: Inbox,
    meeting: Meeting,
    /// Whether it was ever up.
    is_resumed_once: bool,
    /// Whether the session was told that it is up, and not yet that it is down.
    is_told_up: bool,
    /// Where version 1 is spoken, if that may take its place.
    fallback: Option<String>,
    obstacle: Obstacle,
}

impl Channel {
    pub(crate) fn new(
        url: String,
        token: Secret,
        agent_run: String,
        backoff: BackoffConfig,
        rhythm: Rhythm,
    ) -> Self {
        Self {
            url,
            agent_run,
            credentials: Credentials::new(token),
            state: State::Idle,
            events: Events::new(),
            backoff: Backoff::new(backoff),
            egress: Egress::new(backoff),
            outbox: Outbox::new(),
            rhythm,
            inbox: Inbox::default(),
            meeting: Meeting::default(),
            is_resumed_once: false,
            is_told_up: false,
            fallback: None,
            obstacle: Obstacle::default(),
        }
    }

    pub(crate) fn agent_run(&self) -> &str {
        &self.agent_run
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub(crate) const fn rhythm(&self) -> Rhythm {
        self.rhythm
    }

    pub(crate) fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    pub(crate) const fn unacked_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    pub(crate) fn last_number(&self) -> u64 {
        self.outbox.last()
    }

    pub(crate) fn sent_here(&self) -> u64 {
        self.outbox.last().saturating_sub(self.outbox.base())
    }

    pub(crate) const fn base(&self) -> u64 {
        self.outbox.base()
    }

    pub(crate) const fn acked(&self) -> u64 {
        self.outbox.acked()
    }

    pub(crate) const fn received(&self) -> u64 {
        self.inbox.received()
    }

    pub(crate) fn connect<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        if matches!(self.state, State::Idle | State::Pausing { .. }) {
            self.begin(fx, purpose);
        }
    }

    /// With what it has: a stream if it has credentials, or else those first.
    fn begin<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        self.credentials.drop_outdated(fx.now());
        match self.credentials.jwt() {
            Some(jwt) => {
                let (after, holds_after) = (self.inbox.delivered(), self.outbox.dropped());
                let last = self.inbox.last_line();
                let request = code_session::open_stream(&self.url, jwt, after, holds_after, last);
                let op = fx.start(purpose, |op| Action::Request { op, request });
                self.state = State::Opening(op);
            }
            None => {
                let request = self.credentials.ask(&self.url, &self.agent_run);
                let op = fx.start(purpose, |op| Action::Request { op, request });
                self.state = State::Bridging(op);
            }
        }
    }

    /// Drops what is under way, and begins again: nothing is lost, because both sides count.
    fn rebuild<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        self.drop_all(fx);
        self.begin(fx, purpose);
    }

    /// Ends it: nothing that is under way brings it back.
    fn end<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) {
        self.drop_all(fx);
        if let Some(op) = self.credentials.close() {
            fx.cancel(op);
        }
        self.is_told_up = false;
        self.state = State::Over;
    }

    fn drop_all<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) {
        if let Some(op) = self.state.op() {
            fx.cancel(op);
        }
        if let Some(op) = self.egress.drop_post() {
            fx.cancel(op);
        }
        self.outbox.disconnect();
    }

    pub(crate) fn restarted(&mut self, old: OpId, new: OpId) {
        match &mut self.state {
            State::Bridging(op) | State::Opening(op) | State::Asking { op, .. } if *op == old => {
                *op = new;
            }
            _ => {
                self.egress.restarted(old, new);
                self.credentials.restarted(old, new);
            }
        }
    }

    pub(crate) fn renew<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        purpose: P,
        url: String,
        token: Secret,
    ) {
        self.url = url;
        if let Some(op) = self.credentials.renew(token) {
            fx.cancel(op);
        }
        self.backoff.reset();
        self.rebuild(fx, purpose);
    }

    pub(crate) fn retry_refused<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        if matches!(self.state, State::Idle) {
            self.begin(fx, purpose);
        }
    }

    pub(crate) fn close<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) {
        if let Some(op) = self.state.op() {
            fx.cancel(op);
        }
        // A batch that is on its way still leaves.
        if let Some(op) = self.egress.drop_post() {
            fx.forget(op);
        }
        if let Some(op) = self.credentials.close() {
            fx.cancel(op);
        }
        self.outbox.disconnect();
        self.state = State::Over;
    }

    pub(crate) fn send_line<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        purpose: P,
        line: Text,
    ) {
        self.outbox.push(Item::Line(line));
        self.pump(fx, purpose);
    }

    pub(crate) fn send_report<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        purpose: P,
        message: Box<RawValue>,
    ) {
        let message: Box<str> = message.into();
        self.outbox.push(Item::Report(Bytes::from(message.into_string())));
        self.pump(fx, purpose);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Idle | State::Bridging(_) | State::Opening(_) | State::Asking { .. } => None,
            State::Over => None,
            State::Pausing { until, .. } | State::Greeting { until, .. } => Some(*until),
            State::Up(up) => {
                let parts = [up.deadline(), self.egress.deadline(), self.credentials.deadline()];
                parts.into_iter().flatten().min()
            }
        }
    }

    /// The relay answers elsewhere: a pause that it has not asked for is over.
    pub(crate) fn relay_answers<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        if matches!(self.state, State::Pausing { is_asked: false, .. }) {
            self.backoff.reset();
            self.connect(fx, purpose);
        }
    }

    pub(crate) fn wake<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        self.backoff.reset();
        self.egress.wake();
        match self.state {
            State::Over => {}
            // What broke it may never have been told to this side.
            _ => self.rebuild(fx, purpose),
        }
    }

    pub(crate) fn on_time<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        rng: &mut Rng,
        purpose: P,
    ) -> Option<LinkEvent> {
        let now = fx.now().mono;
        if self.deadline().is_none_or(|at| at > now) {
            return None;
        }
        match &mut self.state {
            State::Pausing { .. } => self.begin(fx, purpose),
            State::Greeting { .. } => {
                let reason = format!(
                    "the stream of events has opened, and nothing came on it for {} s: a proxy on the way \
                     holds it back, and must not buffer what is of type text/event-stream",
                    STREAM_GREETING.as_secs()
                );
                self.obstructed(&reason);
                return Some(self.fail(fx, FailureTrack::General, reason, rng));
            }
            State::Up(up) if up.is_silent(now) => {
                let reason = String::from("the relay fell silent");
                if up.is_held_back() {
                    self.obstructed("streams of events fall silent while requests are answered");
                }
                return Some(self.fail(fx, FailureTrack::Connection, reason, rng));
            }
            State::Up(up) => {
                up.on_time(now);
                self.egress.on_time(now);
                self.refresh(fx, purpose.clone());
                self.pump(fx, purpose);
            }
            _ => {}
        }
        None
    }

    /// Handles an event of one of its operations. What it means is passed to `each`, in order.
    pub(crate) fn handle<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        rng: &mut Rng,
        purpose: P,
        event: Event,
        mut each: impl FnMut(LinkEvent),
    ) {
        let Some(op) = event.op() else { return };
        let is_whole = matches!(event, Event::Response { .. } | Event::Failed { .. });
        if is_whole || matches!(event, Event::Closed { .. }) {
            fx.finish(op);
        }
        let each: &mut dyn FnMut(LinkEvent) = &mut each;
        if self.egress.is_post(op) {
            self.posted(fx, rng, purpose, event, each);
        } else if self.credentials.is_refresh(op) {
            self.refreshed(fx, purpose, event, each);
        } else if self.state.op() == Some(op) {
            match self.state {
                State::Bridging(_) => self.bridged(fx, rng, purpose, event, each),
                State::Asking { doubt, .. } => {
                    self.told_why(fx, rng, purpose, doubt, event, each);
                }
                _ => self.on_stream(fx, rng, purpose, op, event, each),
            }
        }
    }

    /// A plain request failed. What comes of it: a later try, or the end.
    fn refused<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        rng: &mut Rng,
        error: &RequestError,
        each: &mut dyn FnMut(LinkEvent),
    ) {
        match (error, error.track()) {
            (RequestError::Refused(refusal), None) => self.refused_for_good(fx, refusal, each),
            (_, track) => {
                let pause = error.retry_after(fx.now().wall);
                let reason = error.in_words(fx.now().wall);
                let track = track.unwrap_or(FailureTrack::General);
                each(self.retry(fx, track, pause, reason, rng));
            }
        }
    }

    fn refused_for_good<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        refusal: &ApiError,
        each: &mut dyn FnMut(LinkEvent),
    ) {
        self.end(fx);
        // A new credential may still be found for it; nothing else helps.
        if refusal.is_unauthorized() {
            self.state = State::Idle;
        }
        each(LinkEvent::Refused(refusal.clone()));
    }

    /// A worker's credentials were refused: by others that are newer, by time, or for good.
    fn refused_worker<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        rng: &mut Rng,
        purpose: P,
        refusal: &ApiError,
        each: &mut dyn FnMut(LinkEvent),
    ) {
        if refusal.is_unauthorized() || refusal.kind == ErrorType::EpochRepeated {
            // By time, or because a bridge of its own has arrived late or twice; that may be a refresh
            // whose answer is still to come.
            if self.await_refresh(fx) {
                return;
            }
            let at_once = self.credentials.can_be_replaced_at_once();
            self.credentials.forget();
            if at_once {
                self.rebuild(fx, purpose);
            } else {
                let reason = format!("the relay refuses what it has just issued: {refusal}");
                each(self.fail(fx, FailureTrack::General, reason, rng));
            }
        } else if refusal.kind == ErrorType::EpochSuperseded {
            self.superseded(fx, each);
        } else if refusal.kind == ErrorType::RelaySetBack {
            // It may know of no such epoch either.
            self.inbox.set_back();
            self.credentials.forget();
            self.meeting.tell_set_back(SetBack::default(), each);
            each(self.fail(fx, FailureTrack::General, WAS_SET_BACK.into(), rng));
        } else {
            self.refused_for_good(fx, refusal, each);
        }
    }

    /// The session was bridged again by somebody else: this side yields for good.
    fn superseded<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, each: &mut dyn FnMut(LinkEvent)) {
        self.end(fx);
        each(LinkEvent::LeaseLost);
    }

    /// A refresh that is under way brings what everything goes on with. Returns whether there is one.
    fn await_refresh<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) -> bool {
        let Some(op) = self.credentials.take_refresh() else { return false };
        self.drop_all(fx);
        self.state = State::Bridging(op);
        true
    }

    /// What the relay said when it was asked why the stream had come to nothing.
    fn told_why<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        rng: &mut Rng,
        purpose: P,
        doubt: Doubt,
        event: Event,
        each: &mut dyn FnMut(LinkEvent),
    ) {
        match Self::read_pulse(event) {
            Ok(_) => {
                self.credentials.accepted();
                let reason = format!(
                    "the stream of events was {doubt}: something on the way does not let it through"
                );
                self.obstructed(&reason);
                each(self.fail(fx, FailureTrack::General, reason, rng));
            }
            Err(RequestError::Refused(refusal)) if !refusal.is_retryable() => {
                self.refused_worker(fx, rng, purpose, &refusal, each);
            }
            Err(error) => self.refused(fx, rng, &error, each),
        }
    }

    fn fail<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        track: FailureTrack,
        reason: String,
        rng: &mut Rng,
    ) -> LinkEvent {
        self.retry(fx, track, None, reason, rng)
    }

    fn retry<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        track: FailureTrack,
        retry_after: Option<Duration>,
        reason: String,
        rng: &mut Rng,
    ) -> LinkEvent {
        self.drop_all(fx);
        self.is_told_up = false;
        let now = fx.now().mono;
        match self.backoff.fail(now, track, retry_after, rng) {
            Verdict::RetryAfter(pause) => {
                let is_asked = retry_after.is_some();
                self.state = State::Pausing { until: now + pause, is_asked };
                LinkEvent::Down { reason, retry_in: pause }
            }
            Verdict::GiveUp { failing_for } => {
                self.end(fx);
                LinkEvent::GaveUp { reason, failing_for }
            }
        }
    }
}

/// What broke a stream, for a person.
fn broken(event: &Event) -> String {
    match event {
        Event::Failed { failure, .. } | Event::Closed { failure: Some(failure), .. } => {
            failure.to_string()
        }
        _ => String::from("the relay, or something on the way, ended the stream of events"),
    }
}
