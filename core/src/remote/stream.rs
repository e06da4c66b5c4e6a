//! The stream of what happens in a session, connected again for as long as the viewer lives (R-3).
//!
//! ```text
//!          `Start::Now`               Opened          the session
//!   Idle ───▶ Looking ──▶ Opening ──────────▶ Greeting ──────────▶ Up
//!     ▲                   ▲  │                   │                 │
//!     │ the credential    │  └──── broken ◀──────┴─────────────────┘
//!     │ is renewed        └─ Pausing ◀┘
//! ```
//!
//! Each connection begins after the last event that was seen. The stream is dead after 45 s of silence,
//! and shows in turn that somebody is there.

use alloc::format;
use alloc::string::{String, ToString};

use super::access::{Access, Renewal};
use super::config::Start;
use super::cx::{Cx, Purpose, Timer};
use super::notice::RemoteNotice;
use crate::base::id::OpId;
use crate::base::limits::{REMOTE_ALIVE_EVERY, REMOTE_DEAD_AFTER};
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::client::{RequestError, answer};
use crate::contract::action::{Action, Message, Response};
use crate::contract::event::Event;
use crate::contract::machine::{MachineError, MachineErrorKind};
use crate::engine::backoff::{Backoff, BackoffConfig, FailureTrack, Verdict};
use crate::transport::v1::{NO_UPGRADE, Rhythm};
use crate::wire::device::Scope;
use crate::wire::to_text;
use crate::wire::viewer::{SessionFrame, SessionView};

/// The codes that a relay closes a viewer's stream with.
const CLOSE_REVOKED: u16 = 4401;
const CLOSE_GONE: u16 = 4404;
const CLOSE_LIMIT: u16 = 4429;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Not connected and not about to be: it is new, or its credential is being renewed.
    Idle,
    Looking,
    Pausing,
    Opening(OpId),
    Greeting(Connection),
    Up(Connection),
    /// It was closed from this side.
    Closing(OpId),
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Connection {
    op: OpId,
    since: Instant,
    last_heard: Instant,
    /// Nothing is read: the program is behind.
    is_paused: bool,
}

/// What becomes of a stream.
#[derive(Debug)]
pub(super) enum StreamEvent {
    /// A frame, whole.
    Frame(Text),
    /// It broke, after it was up.
    Broke,
    /// It has been closed, as it was asked to.
    Closed,
    /// The relay refuses it for good, or it has failed for as long as is allowed.
    Failed(MachineError),
}

/// The stream.
#[derive(Debug)]
pub(super) struct Stream {
    state: State,
    backoff: Backoff,
    rhythm: Rhythm,
    start: Start,
    /// The last event seen.
    cursor: u64,
    /// Whether it was ever up.
    was_up: bool,
}

impl Stream {
    pub(super) const fn new(start: Start, backoff: BackoffConfig) -> Self {
        let cursor = match start {
            Start::After(after) => after,
            Start::Beginning | Start::Now | Start::Recent(_) => 0,
        };
        Self {
            state: State::Idle,
            backoff: Backoff::new(backoff),
            rhythm: Rhythm::new(),
            start,
            cursor,
            was_up: false,
        }
    }

    pub(super) const fn cursor(&self) -> u64 {
        self.cursor
    }

    pub(super) const fn seen(&mut self, seq: u64) {
        self.cursor = seq;
    }

    pub(super) const fn was_up(&self) -> bool {
        self.was_up
    }

    pub(super) const fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// Connects, unless it is connected, connecting or over, or the credential is being renewed.
    pub(super) fn connect<N>(&mut self, cx: &mut Cx<'_, N>, access: &Access) {
        if !matches!(self.state, State::Idle | State::Pausing) {
            return;
        }
        let Some(token) = access.token() else { return };
        cx.clear_timer(Timer::Connect);
        if matches!(self.start, Start::Now | Start::Recent(_)) {
            self.state = State::Looking;
            let request = cx.key(&token).look();
            return cx.request(Purpose::Look, request);
        }
        let client = cx.config.client.as_deref();
        let target = cx.key(&token).subscribe(self.cursor, client, self.rhythm.alive_every());
        let op = cx.engine.fx.start(Purpose::Stream, |op| Action::Open { op, target });
        self.state = State::Opening(op);
    }

    /// It is being opened under this id.
    pub(super) const fn restarted(&mut self, op: OpId) {
        if let State::Opening(opening) = &mut self.state {
            *opening = op;
        }
    }

    /// The session was looked at: begins before the oldest of its open questions. Returns up to where
    /// nothing but questions is told.
    pub(super) fn looked<N>(
        &mut self,
        cx: &mut Cx<'_, N>,
        access: &mut Access,
        event: Event,
        may_pass: bool,
        each: &mut dyn FnMut(StreamEvent),
    ) -> Option<u64> {
        self.state = State::Idle;
        match answer::<SessionView<'static>>(event) {
            Ok(view) => {
                access.works();
                let asked = view.pending_permissions.iter().map(|question| question.seq).min();
                let before = asked.map_or(view.last_seq, |seq| seq.saturating_sub(1));
                let (recent, quiet_until) = match self.start {
                    Start::Recent(events) => (view.last_seq.saturating_sub(events), 0),
                    Start::Now | Start::Beginning | Start::After(_) => {
                        (view.last_seq, view.last_seq)
                    }
                };
                self.cursor = before.min(recent);
                self.start = Start::After(self.cursor);
                self.connect(cx, access);
                Some(quiet_until)
            }
            Err(error) => {
                self.failed(cx, access, &error, may_pass, each);
                None
            }
        }
    }

    /// Handles an event of its own operation.
    pub(super) fn handle<N>(
        &mut self,
        cx: &mut Cx<'_, N>,
        access: &mut Access,
        event: Event,
        may_pass: bool,
        each: &mut dyn FnMut(StreamEvent),
    ) {
        let now = cx.now();
        match event {
            Event::Opened { op } => {
                access.works();
                self.state = State::Greeting(Connection {
                    op,
                    since: now,
                    last_heard: now,
                    is_paused: false,
                });
                cx.set_timer(Timer::Dead, REMOTE_DEAD_AFTER);
                cx.set_timer(Timer::Alive, REMOTE_ALIVE_EVERY);
            }
            Event::Received { message, .. } => {
                if let State::Greeting(up) | State::Up(up) = &mut self.state {
                    up.last_heard = now;
                    // Binary ones are of a later version.
                    if let Message::Text(frame) = message {
                        each(StreamEvent::Frame(frame));
                    }
                }
            }
            Event::Refused { op, response } => {
                cx.engine.fx.finish(op);
                self.refused(cx, access, &response, may_pass, each);
            }
            Event::Failed { op, failure } => {
                cx.engine.fx.finish(op);
                self.failed(cx, access, &RequestError::Broken(failure), may_pass, each);
            }
            Event::Closed { op, code, failure } => {
                cx.engine.fx.finish(op);
                if matches!(self.state, State::Closing(_)) {
                    self.state = State::Over;
                    return each(StreamEvent::Closed);
                }
                let is_cut = failure.is_some() || code.is_none();
                let reason = failure.map_or_else(
                    || format!("closed with code {}", code.unwrap_or(1005)),
                    |failure| failure.to_string(),
                );
                self.closed(cx, access, code, is_cut, reason, each);
            }
            _ => {}
        }
    }

    /// The session has been seen on this connection.
    pub(super) fn greeted<N>(&mut self, cx: &mut Cx<'_, N>) {
        if let State::Greeting(up) = self.state {
            self.state = State::Up(up);
            self.was_up = true;
            self.backoff.reset();
            cx.tell(RemoteNotice::Connected);
        }
    }

    /// The handshake was answered by an ordinary answer, of the relay or of something in its place.
    fn refused<N>(
        &mut self,
        cx: &mut Cx<'_, N>,
        access: &mut Access,
        response: &Response,
        may_pass: bool,
        each: &mut dyn FnMut(StreamEvent),
    ) {
        let error = RequestError::of(response);
        let reason = match response.status {
            101 => NO_SUBPROTOCOL,
            426 => NO_UPGRADE,
            _ => return self.failed(cx, access, &error, may_pass, each),
        };
        self.retry(cx, FailureTrack::General, None, reason.into(), each);
    }

    fn failed<N>(
        &mut self,
        cx: &mut Cx<'_, N>,
        access: &mut Access,
        error: &RequestError,
        may_pass: bool,
        each: &mut dyn FnMut(StreamEvent),
    ) {
        let wall = cx.engine.fx.now().wall;
        let passes = may_pass.then_some(FailureTrack::General);
        if let Some(track) = error.track().or(passes) {
            let pause = error.retry_after(wall);
            return self.retry(cx, track, pause, error.in_words(wall), each);
        }
        self.state = State::Idle;
        if error.is_unauthorized() && access.refused(&mut cx.at_access(), error) == Renewal::Begun {
            return;
        }
        self.state = State::Over;
        let mut fault = error.fault("follow the session", &cx.config.relay);
        if fault.kind == MachineErrorKind::Forbidden {
            let advice = access.advice(Scope::Watch, &cx.config.relay);
            fault.message = format!("could not follow the session: {error}; {advice}");
        }
        if fault.kind == MachineErrorKind::NotFound {
            fault.message = format!("could not follow the session: {error}");
        }
        each(StreamEvent::Failed(fault));
    }

    fn closed<N>(
        &mut self,
        cx: &mut Cx<'_, N>,
        access: &mut Access,
        code: Option<u16>,
        is_cut: bool,
        reason: String,
        each: &mut dyn FnMut(StreamEvent),
    ) {
        let now = cx.now();
        if let (State::Up(up), true) = (self.state, is_cut) {
            let silence = now.saturating_since(up.last_heard);
            self.rhythm.broke(now.saturating_since(up.since), silence);
        }
        let (kind, words) = match code {
            Some(CLOSE_REVOKED) => {
                self.lost(cx, &reason, each);
                self.state = State::Idle;
                let error = revoked();
                if access.refused(&mut cx.at_access(), &error) == Renewal::Begun {
                    return;
                }
                (
                    MachineErrorKind::Unauthorized,
                    "the log-in that it was followed with was revoked: log in again",
                )
            }
            Some(CLOSE_GONE) => (
                MachineErrorKind::NotFound,
                "the relay does not have this session, or has it no longer",
            ),
            Some(CLOSE_LIMIT) => (
                MachineErrorKind::Forbidden,
                "too many viewers follow this session at once: close some of them",
            ),
            // A relay that stops says so, and is back soon.
            Some(1001) => {
                return self.retry(
                    cx,
                    FailureTrack::General,
                    None,
                    String::from("the relay is restarting"),
                    each,
                );
            }
            _ => return self.retry(cx, FailureTrack::Connection, None, reason, each),
        };
        self.lost(cx, words, each);
        self.state = State::Over;
        let message = format!("cannot follow the session at {}: {words}", cx.config.relay);
        each(StreamEvent::Failed(MachineError { kind, message }));
    }

    /// Tells that it is not up any more, if it was.
    fn lost<N>(&self, cx: &mut Cx<'_, N>, reason: &str, each: &mut dyn FnMut(StreamEvent)) {
        cx.clear_timer(Timer::Dead);
        cx.clear_timer(Timer::Alive);
        if self.is_up() {
            cx.tell(RemoteNotice::Disconnected { reason: reason.to_string() });
            each(StreamEvent::Broke);
        }
    }

    fn retry<N>(
        &mut self,
        cx: &mut Cx<'_, N>,
        track: FailureTrack,
        retry_after: Option<core::time::Duration>,
        reason: String,
        each: &mut dyn FnMut(StreamEvent),
    ) {
        self.lost(cx, &reason, each);
        match self.backoff.fail(cx.now(), track, retry_after, cx.rng) {
            Verdict::RetryAfter(retry_in) => {
                self.state = State::Pausing;
                cx.set_timer(Timer::Connect, retry_in);
                cx.tell(RemoteNotice::Reconnecting { reason, retry_in });
            }
            Verdict::GiveUp { failing_for } => {
                self.state = State::Over;
                let message = format!(
                    "could not follow the session at {} for {} s, and gave up: {reason}; check the \
                     address and the network",
                    cx.config.relay,
                    failing_for.as_secs()
                );
                each(StreamEvent::Failed(MachineError { kind: MachineErrorKind::GaveUp, message }));
            }
        }
    }

    /// Its silence may have been too long.
    pub(super) fn on_dead<N>(&mut self, cx: &mut Cx<'_, N>, each: &mut dyn FnMut(StreamEvent)) {
        let (State::Greeting(up) | State::Up(up)) = self.state else { return };
        // One that is not read shows nothing.
        let last_heard = if up.is_paused { cx.now() } else { up.last_heard };
        let due = last_heard + REMOTE_DEAD_AFTER;
        if due > cx.now() {
            return cx.engine.timers.set(Timer::Dead, due);
        }
        self.reconnect(cx, "the relay fell silent", each);
    }

    /// Shows the relay that this viewer is there.
    pub(super) fn on_alive<N>(&self, cx: &mut Cx<'_, N>) {
        let (State::Greeting(up) | State::Up(up)) = self.state else { return };
        let message = Message::Text(to_text(&SessionFrame::Alive));
        cx.engine.fx.act(up.op, |op| Action::Send { op, message });
        cx.set_timer(Timer::Alive, REMOTE_ALIVE_EVERY);
    }

    /// Stops or resumes reading.
    pub(super) fn pause<N>(&mut self, cx: &mut Cx<'_, N>, is_paused: bool) {
        let now = cx.now();
        let (State::Greeting(up) | State::Up(up)) = &mut self.state else { return };
        if up.is_paused != is_paused {
            (up.is_paused, up.last_heard) = (is_paused, now);
            cx.engine.fx.act(up.op, |op| match is_paused {
                true => Action::Pause { op },
                false => Action::Resume { op },
            });
        }
    }

    /// Cuts the connection, and makes another.
    pub(super) fn reconnect<N>(
        &mut self,
        cx: &mut Cx<'_, N>,
        reason: &str,
        each: &mut dyn FnMut(StreamEvent),
    ) {
        if let State::Greeting(up) | State::Up(up) = self.state {
            cx.engine.fx.cancel(up.op);
            self.retry(cx, FailureTrack::Connection, None, reason.into(), each);
        }
    }

    /// The computer slept: earlier failures no longer count, and what was open is most likely dead.
    pub(super) fn wake<N>(
        &mut self,
        cx: &mut Cx<'_, N>,
        access: &Access,
        each: &mut dyn FnMut(StreamEvent),
    ) {
        self.backoff.reset();
        self.rhythm = Rhythm::new();
        self.reconnect(cx, "the computer slept", each);
        self.connect(cx, access);
    }

    /// Closes it. Returns whether its end is to be waited for.
    pub(super) fn close<N>(&mut self, cx: &mut Cx<'_, N>) -> bool {
        match self.state {
            State::Greeting(up) | State::Up(up) => {
                cx.engine.fx.act(up.op, |op| Action::Close { op, code: 1000 });
                self.state = State::Closing(up.op);
                true
            }
            State::Closing(_) => true,
            _ => {
                self.state = State::Over;
                false
            }
        }
    }
}

/// What the relay means by closing with that code.
fn revoked() -> RequestError {
    let body = br#"{"error":{"type":"token_revoked","message":"the log-in was revoked"}}"#;
    let body = bytes::Bytes::from_static(body);
    RequestError::of(&Response { status: 401, headers: alloc::vec![], body })
}

const NO_SUBPROTOCOL: &str = "the WebSocket opens without its subprotocol footbridge.viewer.v1: a proxy \
     on the way removes Sec-WebSocket-Protocol, or the relay is of another version";
