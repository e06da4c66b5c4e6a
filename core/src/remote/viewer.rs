//! The routing: each event goes to the part that its operation belongs to, and what came of it to
//! whoever has to act on it. What the program is told is collected, so that another machine can be
//! between the two.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fastrand::Rng;
use serde::Deserialize;

use super::access::{Access, Renewed};
use super::config::RemoteConfig;
use super::cx::{Cx, Engine, Purpose, Timer};
use super::notice::{RemoteCommand, RemoteEvent, RemoteNotice, Sent, Withdrawal};
use super::outbox::{self, Call, Outbox, Sending};
use super::questions::Questions;
use super::stream::{Stream, StreamEvent};
use crate::base::id::{OpId, SessionId};
use crate::base::limits::{MAX_RECENT_UUIDS, REMOTE_ANSWER_WITHIN, REMOTE_FLUSH};
use crate::base::text::Text;
use crate::client::gate::{Gate, Verdict};
use crate::contract::event::Event;
use crate::contract::machine::Outcome;
use crate::engine::uuid::uuid;
use crate::transport::dedupe::Recent;
use crate::wire::control;
use crate::wire::error::ErrorType;
use crate::wire::log_message::LogMessage;
use crate::wire::message::{Head, Kind};
use crate::wire::session::SessionState;
use crate::wire::viewer::{EventView, Origin, SessionFrame, SessionView};

/// Why an interrupt of a mere window is refused.
const VIEWER_ONLY: &str = "this viewer only looks on: it interrupts and ends nothing";

/// Whether it is about to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// Once all is sent.
    Flushing,
    /// Once the stream is closed.
    Closing,
}

/// A viewer of one session.
#[derive(Debug)]
pub(super) struct Viewer {
    config: RemoteConfig,
    rng: Rng,
    told: Vec<RemoteNotice>,
    parts: Parts,
}

#[derive(Debug)]
struct Parts {
    gate: Gate,
    access: Access,
    stream: Stream,
    outbox: Outbox,
    questions: Questions,
    /// Messages that this viewer has sent, or told of (M-4).
    known: Recent,
    session: Option<Box<SessionView<'static>>>,
    /// Events up to here had happened before; of these, only questions are told.
    quiet_until: u64,
    leaving: Leaving,
    ended: Option<Outcome>,
}

/// How an event is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// What this viewer has sent, or has told before, is not told (M-4).
    Once,
    /// Everything is.
    All,
}

impl Viewer {
    /// Connects with its first step.
    pub(super) fn new<N>(config: RemoteConfig, engine: &mut Engine<N>) -> Self {
        let mut gate = Gate::new(super::UNPROVED);
        // Nobody knows yet what answers there.
        gate.doubt();
        let mut viewer = Self {
            rng: Rng::with_seed(config.seed),
            told: Vec::new(),
            parts: Parts {
                gate,
                access: Access::new(config.credential.clone(), config.backoff),
                stream: Stream::new(config.start, config.backoff),
                outbox: Outbox::new(config.backoff),
                questions: Questions::default(),
                known: Recent::new(MAX_RECENT_UUIDS),
                session: None,
                quiet_until: 0,
                leaving: Leaving::No,
                ended: None,
            },
            config,
        };
        viewer.with(engine, |parts, cx| {
            if cx.config.has_initial_prompt && !cx.config.viewer_only {
                cx.set_timer(Timer::Answer, REMOTE_ANSWER_WITHIN);
            }
            parts.stream.connect(cx, &parts.access);
        });
        viewer.settle(engine);
        viewer
    }

    fn with<N>(&mut self, engine: &mut Engine<N>, act: impl FnOnce(&mut Parts, &mut Cx<'_, N>)) {
        let Self { config, rng, told, parts } = self;
        if parts.ended.is_none() {
            act(parts, &mut Cx { engine, rng, config, told });
        }
    }

    /// What the program is to be told since the last time.
    pub(super) fn take_told(&mut self) -> Vec<RemoteNotice> {
        core::mem::take(&mut self.told)
    }

    /// How it has ended, if it has. Nothing comes of it any more.
    pub(super) const fn ended(&self) -> Option<&Outcome> {
        self.parts.ended.as_ref()
    }

    /// A message with a name of its own, and that name.
    pub(super) fn named(&mut self, line: &Text) -> (Text, String) {
        let name = uuid(&mut self.rng);
        (control::with_name(line, "uuid", &name), name)
    }

    /// A name that was not used before, and the session.
    pub(super) fn names(&mut self) -> (String, SessionId) {
        (uuid(&mut self.rng), self.config.session.clone())
    }

    /// Whether it takes more to send.
    pub(super) fn has_room(&self) -> bool {
        self.parts.outbox.has_room()
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_sent(&self) -> bool {
        self.parts.outbox.is_empty()
    }

    /// Stops or resumes reading what happens.
    pub(super) fn pause<N>(&mut self, engine: &mut Engine<N>, is_paused: bool) {
        self.with(engine, |parts, cx| parts.stream.pause(cx, is_paused));
    }

    pub(super) fn command<N>(&mut self, engine: &mut Engine<N>, command: RemoteCommand) {
        self.with(engine, |parts, cx| parts.command(cx, command));
    }

    pub(super) fn on_event<N>(&mut self, engine: &mut Engine<N>, telling: Telling, event: Event) {
        if let Some(op) = event.op() {
            self.with(engine, |parts, cx| parts.arrived(cx, telling, op, event));
        }
    }

    pub(super) fn on_timer<N>(&mut self, engine: &mut Engine<N>, timer: Timer) {
        self.with(engine, |parts, cx| match timer {
            Timer::Connect => parts.stream.connect(cx, &parts.access),
            Timer::Dead => {
                parts.stream(cx, Telling::All, |stream, _, cx, each| stream.on_dead(cx, each));
            }
            Timer::Alive => parts.stream.on_alive(cx),
            Timer::Answer => {
                let reason =
                    "the session has shown nothing for a minute after it was sent a message";
                parts.stream(cx, Telling::All, |stream, _, cx, each| {
                    stream.reconnect(cx, reason, each);
                });
            }
            Timer::Send => parts.outbox.resume(cx),
            Timer::Renew => parts.access.renew(&mut cx.at_access()),
            Timer::Leave => parts.end(cx, Ok(())),
            // Of the machine that it is part of.
            Timer::Idle | Timer::Flush | Timer::Quit => {}
        });
    }

    pub(super) fn on_wake<N>(&mut self, engine: &mut Engine<N>) {
        self.with(engine, |parts, cx| {
            parts.gate.doubt();
            parts.outbox.wake(cx);
            parts
                .stream(cx, Telling::All, |stream, access, cx, each| stream.wake(cx, access, each));
        });
    }

    pub(super) fn settle<N>(&mut self, engine: &mut Engine<N>) {
        self.with(engine, |parts, cx| {
            parts.outbox.pump(cx, &parts.access);
            parts.leave_on(cx);
        });
        self.hold(engine);
    }

    /// Holds back what would show a credential to something that has proved nothing. At the end, this
    /// takes back what was held: a runtime has nothing to cancel.
    pub(super) fn hold<N>(&mut self, engine: &mut Engine<N>) {
        let Self { config, rng, told, parts } = self;
        let mut cx = Cx { engine, rng, config, told };
        parts.gate.hold(&mut cx.at_gate(), None, parts.access.proved_by());
    }
}

impl Parts {
    fn command<N>(&mut self, cx: &mut Cx<'_, N>, command: RemoteCommand) {
        let call = match command {
            RemoteCommand::Send(line) => match outbox::message(cx, &line) {
                Ok(call) => call,
                Err(reason) => {
                    let sent = Sent::Unreadable;
                    return cx.tell(RemoteNotice::Refused { sent, status: None, reason });
                }
            },
            RemoteCommand::Answer(mut answer) => {
                let asked = self.questions.seq_of(&answer.request_id);
                answer.seq = answer.seq.or(asked);
                Call::Answer(answer)
            }
            RemoteCommand::AnswerCallback { request_id, seq, answer } => {
                Call::Callback { request_id, seq, answer }
            }
            RemoteCommand::Interrupt => Call::Interrupt { key: uuid(cx.rng) },
            RemoteCommand::Stop => Call::Stop,
            RemoteCommand::Disconnect => return self.disconnect(cx),
        };
        let is_barred =
            cx.config.viewer_only && matches!(call, Call::Interrupt { .. } | Call::Stop);
        let reason = match (is_barred, self.leaving) {
            (true, _) => VIEWER_ONLY,
            (_, Leaving::Flushing | Leaving::Closing) => "this viewer is leaving",
            _ => "too much waits to be sent: try again once some of it was",
        };
        let sent = call.sent();
        let is_taken = !is_barred && self.leaving == Leaving::No && self.outbox.push(call).is_ok();
        if !is_taken {
            return cx.tell(RemoteNotice::Refused {
                sent,
                status: None,
                reason: reason.to_string(),
            });
        }
        match sent {
            Sent::Message { uuid, .. } => {
                self.known.insert(&uuid);
            }
            Sent::Answer { request_id } => self.questions.answering(&request_id),
            Sent::Interrupt { request_id } => {
                self.known.insert(&request_id);
            }
            Sent::Callback { .. } | Sent::Stop | Sent::Unreadable => {}
        }
    }

    fn disconnect<N>(&mut self, cx: &mut Cx<'_, N>) {
        match self.leaving {
            Leaving::No => {
                self.leaving = Leaving::Flushing;
                cx.set_timer(Timer::Leave, REMOTE_FLUSH);
            }
            Leaving::Flushing | Leaving::Closing => self.end(cx, Ok(())),
        }
    }

    /// Goes on to leave, if it is leaving and nothing is left to send.
    fn leave_on<N>(&mut self, cx: &mut Cx<'_, N>) {
        if self.leaving == Leaving::No && self.is_over(cx) {
            self.leaving = Leaving::Flushing;
            cx.set_timer(Timer::Leave, REMOTE_FLUSH);
        }
        if self.leaving == Leaving::Flushing && self.outbox.is_empty() {
            self.leaving = Leaving::Closing;
            if !self.stream.close(cx) {
                self.end(cx, Ok(()));
            }
        }
    }

    /// Whether the session has ended, and all of it was seen.
    fn is_over<N>(&self, cx: &Cx<'_, N>) -> bool {
        let Some(session) = &self.session else { return false };
        let is_seen = self.stream.is_up() && self.stream.cursor() >= session.last_seq;
        cx.config.ends_with_session && session.state == SessionState::Ended && is_seen
    }

    fn end<N>(&mut self, cx: &mut Cx<'_, N>, outcome: Outcome) {
        self.outbox.abandon(cx);
        self.ended.get_or_insert(outcome);
    }

    fn arrived<N>(&mut self, cx: &mut Cx<'_, N>, telling: Telling, op: OpId, event: Event) {
        let is_relays = cx.engine.fx.purpose(op).is_some_and(Purpose::is_answered_by_relay);
        let event = if is_relays { self.gate.check(event) } else { Some(event) };
        if let Some(event) = event {
            self.answered(cx, telling, op, event);
        }
    }

    fn answered<N>(&mut self, cx: &mut Cx<'_, N>, telling: Telling, op: OpId, event: Event) {
        let is_stream = cx.engine.fx.purpose(op) == Some(Purpose::Stream);
        let purpose = if is_stream { Some(Purpose::Stream) } else { cx.engine.fx.finish(op) };
        // A late answer: ignore it.
        let Some(purpose) = purpose else { return };
        let may_pass = self.gate.is_unproved() && self.stream.was_up();
        match purpose {
            Purpose::Proof => self.proof_answered(cx, telling, event),
            Purpose::Look => {
                let mut quiet_until = None;
                self.stream(cx, telling, |stream, access, cx, each| {
                    quiet_until = stream.looked(cx, access, event, may_pass, each);
                });
                self.quiet_until = quiet_until.unwrap_or(self.quiet_until);
            }
            Purpose::Stream => self.stream(cx, telling, |stream, access, cx, each| {
                stream.handle(cx, access, event, may_pass, each);
            }),
            Purpose::Post => self.posted(cx, event, may_pass),
            Purpose::LockToken => self.access.locked(&mut cx.at_access(), &event),
            Purpose::Token => {
                let renewed = self.access.loaded(&mut cx.at_access(), &event);
                self.renewed(cx, renewed);
            }
            Purpose::RefreshToken => {
                let renewed = self.access.refreshed(&mut cx.at_access(), event);
                self.renewed(cx, renewed);
            }
            Purpose::SaveToken => {
                let renewed = self.access.saved(&mut cx.at_access(), &event);
                self.renewed(cx, renewed);
            }
            // Of other machines.
            Purpose::Sender | Purpose::Stdio => {}
        }
    }

    fn proof_answered<N>(&mut self, cx: &mut Cx<'_, N>, telling: Telling, event: Event) {
        match self.gate.answered(&mut cx.at_gate(), event) {
            Verdict::Pending => {}
            Verdict::Proved { started, refusals } => {
                for (purpose, _, op) in started {
                    if purpose == Purpose::Stream {
                        self.stream.restarted(op);
                    }
                }
                self.handle_all(cx, telling, refusals);
            }
            Verdict::Unproved(events) => {
                self.handle_all(cx, telling, events);
                self.gate.settled();
            }
        }
    }

    fn handle_all<N>(&mut self, cx: &mut Cx<'_, N>, telling: Telling, events: Vec<Event>) {
        for event in events {
            if let Some(op) = event.op() {
                self.answered(cx, telling, op, event);
            }
        }
    }

    fn renewed<N>(&mut self, cx: &mut Cx<'_, N>, renewed: Renewed) {
        match renewed {
            Renewed::Pending => {}
            Renewed::Ready => self.stream.connect(cx, &self.access),
            Renewed::Failed(error) => self.end(cx, Err(error)),
        }
    }

    /// Runs something on the stream, and acts on what comes of it.
    fn stream<N>(
        &mut self,
        cx: &mut Cx<'_, N>,
        telling: Telling,
        act: impl FnOnce(&mut Stream, &mut Access, &mut Cx<'_, N>, &mut dyn FnMut(StreamEvent)),
    ) {
        let mut events = Vec::new();
        act(&mut self.stream, &mut self.access, cx, &mut |event| events.push(event));
        for event in events {
            match event {
                StreamEvent::Frame(frame) => self.frame(cx, telling, &frame),
                StreamEvent::Broke => {
                    // What answers next may be another program, also if it was cut from this side.
                    self.gate.doubt();
                    self.questions.disconnected();
                    cx.clear_timer(Timer::Answer);
                }
                StreamEvent::Closed => self.end(cx, Ok(())),
                StreamEvent::Failed(error) => self.end(cx, Err(error)),
            }
        }
    }

    fn frame<N>(&mut self, cx: &mut Cx<'_, N>, telling: Telling, frame: &Text) {
        #[derive(Deserialize)]
        struct Session {
            session: SessionView<'static>,
        }
        let json = frame.as_str();
        // What cannot be read is of a later version, as far as this one knows.
        let Ok(read) = SessionFrame::parse(json) else { return };
        match read {
            SessionFrame::Session { .. } => {
                if let Ok(Session { session }) = serde_json::from_str(json) {
                    self.seen(cx, session);
                }
            }
            SessionFrame::Event(event) => self.event(cx, telling, frame, &event),
            SessionFrame::Receipts { receipts } => {
                self.shows_itself(cx);
                cx.tell(RemoteNotice::Receipts(receipts));
            }
            SessionFrame::Callback { request_id, seq } => {
                self.questions.callback_asked(&request_id, seq, cx.told);
            }
            SessionFrame::Gap { after, resumes_after } => self.gap(cx, after, resumes_after),
            SessionFrame::Live { seq } => {
                let pending = self.session.as_ref().map(|session| &*session.pending_permissions);
                self.questions.live(pending.unwrap_or_default(), cx.told);
                cx.tell(RemoteNotice::Live { seq });
            }
            SessionFrame::Alive | SessionFrame::Unknown => {}
        }
    }

    fn seen<N>(&mut self, cx: &mut Cx<'_, N>, session: SessionView<'static>) {
        let is_first = !self.stream.is_up();
        self.stream.greeted(cx);
        // The relay is there.
        self.outbox.resume(cx);
        if is_first && session.last_seq < self.stream.cursor() {
            // It is another log: the relay has lost the one that was seen.
            self.gap(cx, self.stream.cursor(), session.last_seq);
        }
        self.session = Some(Box::new(session.clone()));
        cx.tell(RemoteNotice::Session(Box::new(session)));
    }

    fn gap<N>(&mut self, cx: &mut Cx<'_, N>, after: u64, resumes_after: u64) {
        self.stream.seen(resumes_after);
        self.questions.gap(resumes_after);
        cx.tell(RemoteNotice::Gap { after, resumes_after });
    }

    fn event<N>(
        &mut self,
        cx: &mut Cx<'_, N>,
        telling: Telling,
        frame: &Text,
        event: &EventView<'_>,
    ) {
        let EventView { seq, at, from, message } = *event;
        if seq <= self.stream.cursor() {
            return;
        }
        self.stream.seen(seq);
        let message = frame.slice_of(message);
        let head = Head::parse(&message).unwrap_or_default();
        if from != Origin::Viewer {
            self.shows_itself(cx);
        }
        let is_echo = self.is_echo(from, &head);
        if seq > self.quiet_until && !(is_echo && telling == Telling::Once) {
            let message = message.clone();
            cx.tell(RemoteNotice::Event(RemoteEvent { seq, at, from, message }));
        }
        self.note(cx, seq, from, &head, &message);
    }

    /// Whether it is something that this viewer has sent, or has told before (M-4).
    fn is_echo(&mut self, from: Origin, head: &Head) -> bool {
        let is_own_interrupt = head.kind() == Kind::ControlRequest
            && from == Origin::Viewer
            && head.request_id.as_deref().is_some_and(|id| self.known.contains(id));
        let is_known = head.uuid.as_deref().is_some_and(|uuid| !self.known.insert(uuid));
        is_own_interrupt || is_known
    }

    /// What an event says about questions.
    fn note<N>(&mut self, cx: &mut Cx<'_, N>, seq: u64, from: Origin, head: &Head, message: &Text) {
        let id = head.request_id.as_deref().unwrap_or_default();
        match (from, head.kind()) {
            (Origin::Agent, Kind::ControlRequest) if Questions::is_question(head) => {
                self.questions.asked(seq, head, message, cx.told);
            }
            (Origin::Agent, Kind::ControlRequest) if cx.config.client.is_some() => {
                self.questions.callback(seq, message);
            }
            (Origin::Agent, Kind::ControlCancelRequest) => {
                let why = Withdrawal::Withdrawn { reason: String::new() };
                self.questions.closed(id, why, cx.told);
            }
            (Origin::Viewer, Kind::ControlResponse) => {
                self.questions.closed(id, Withdrawal::Answered, cx.told);
            }
            (Origin::Worker | Origin::Relay, _) => match LogMessage::parse(message.as_str()) {
                Ok(Some(LogMessage::PermissionWithdrawn { request_id, reason })) => {
                    let why = Withdrawal::Withdrawn { reason: reason.into_owned() };
                    self.questions.closed(&request_id, why, cx.told);
                }
                Ok(Some(LogMessage::CallbackWithdrawn { request_id, reason }))
                    if cx.config.client.is_some() =>
                {
                    cx.tell(RemoteNotice::CallbackWithdrawn {
                        request_id: request_id.into_owned(),
                        reason: reason.into_owned(),
                    });
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// The session is there: something has come of it.
    fn shows_itself<N>(&self, cx: &mut Cx<'_, N>) {
        cx.clear_timer(Timer::Answer);
    }

    fn posted<N>(&mut self, cx: &mut Cx<'_, N>, event: Event, may_pass: bool) {
        match self.outbox.answered(cx, &mut self.access, event, may_pass) {
            Sending::Pending => {}
            Sending::Failed(error) => self.end(cx, Err(error)),
            Sending::Accepted(call, seq) => {
                let sent = call.sent();
                match &sent {
                    Sent::Message { .. }
                        if !cx.config.viewer_only && !cx.engine.timers.is_set(&Timer::Answer) =>
                    {
                        cx.set_timer(Timer::Answer, REMOTE_ANSWER_WITHIN);
                    }
                    Sent::Answer { request_id } => self.questions.answered(request_id),
                    _ => {}
                }
                cx.tell(RemoteNotice::Accepted { sent, seq });
            }
            Sending::Refused { call, status, kind, reason } => {
                let sent = call.sent();
                if let Sent::Answer { request_id } = &sent {
                    self.answer_refused(cx, request_id, &kind, &reason);
                }
                cx.tell(RemoteNotice::Refused { sent, status: Some(status), reason });
            }
        }
    }

    fn answer_refused<N>(
        &mut self,
        cx: &mut Cx<'_, N>,
        request_id: &str,
        kind: &ErrorType,
        reason: &str,
    ) {
        let why = match kind {
            ErrorType::PermissionConflict => Withdrawal::Answered,
            ErrorType::PermissionWithdrawn
            | ErrorType::PermissionUnknown
            | ErrorType::PermissionAmbiguous
            | ErrorType::SessionEnded => Withdrawal::Withdrawn { reason: reason.to_string() },
            _ => return self.questions.not_answered(request_id),
        };
        self.questions.answered_elsewhere(request_id, why, cx.told);
    }
}
