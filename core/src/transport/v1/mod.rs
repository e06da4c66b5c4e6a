//! A session's link, version 1: one WebSocket that is kept up (S-2, `relay/http.md`).
//!
//! ```text
//!            connect          Opened           resume of the relay
//!   Down ─────────────▶ Opening ──────▶ Greeting ─────────────────▶ Up
//!    ▲ ▲                   │                │                       │
//!    │ └── after a pause ◀─┴── broken ◀─────┴──────────◀────────────┘
//!    └── (Backoff, W-2)                    refused for good, given up ──▶ Over
//! ```

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::time::Duration;

use fastrand::Rng;
use serde_json::value::RawValue;

use crate::base::id::OpId;
use crate::base::limits::{
    CONNECT_TIMEOUT, LINK_DEAD_AFTER, LINK_PING_AFTER, LINK_WINDOW_LINES, MAX_LINE_BYTES,
};
use crate::base::secret::Secret;
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::client::ApiError;
use crate::contract::action::{Action, Message, Target};
use crate::contract::event::Event;
use crate::engine::backoff::{Backoff, BackoffConfig, FailureTrack, Verdict};
use crate::engine::effects::Effects;
use crate::transport::outbox::{Item, Outbox};
use crate::wire::link::{self, ControlFrame};

/// Room for the words around a line of the greatest length.
const MAX_MESSAGE_BYTES: usize = MAX_LINE_BYTES + 1024;

/// The close code of a peer that broke the protocol.
const CLOSE_PROTOCOL: u16 = 1002;

/// What a link has to tell its session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LinkEvent {
    /// It is up: both sides know what the other has.
    Up,
    /// It broke, and is tried again after the pause.
    Down { reason: String, retry_in: Duration },
    /// The relay has a line for the agent.
    Line(Text),
    /// A person asked for the end of the session.
    Stop,
    /// The relay refuses it. After a 401 it waits for [`Link::renew`]; after any other it is over.
    Refused(ApiError),
    /// The session was leased to another.
    LeaseLost,
    /// Tried for as long as is allowed, in vain.
    GaveUp { reason: String, failing_for: Duration },
    /// Lines of the other side are lost: it no longer holds them.
    Gap { lines: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Down { retry_at: Option<Instant> },
    Opening(OpId),
    Greeting(OpId),
    Up(OpId),
    Over,
}

/// One session's link.
#[derive(Debug)]
pub(crate) struct Link {
    url: String,
    token: Secret,
    /// Names the run of the agent that it speaks for.
    agent_run: String,
    state: State,
    backoff: Backoff,
    outbox: Outbox,
    /// Lines of the relay that this side has taken, and those that are safe in the agent's stdin.
    taken: u64,
    safe: u64,
    /// The last line that this connection has brought, or need not bring. What was taken and not safe
    /// when the one before broke comes again, and is left out.
    came: u64,
    /// What the relay was told to be safe, on this connection.
    acked: u64,
    is_resumed_once: bool,
    is_paused: bool,
    last_heard: Instant,
    is_pinged: bool,
}

impl Link {
    pub(crate) const fn new(
        url: String,
        token: Secret,
        agent_run: String,
        backoff: BackoffConfig,
    ) -> Self {
        Self {
            url,
            token,
            agent_run,
            state: State::Down { retry_at: None },
            backoff: Backoff::new(backoff),
            outbox: Outbox::new(),
            taken: 0,
            safe: 0,
            came: 0,
            acked: 0,
            is_resumed_once: false,
            is_paused: false,
            last_heard: Instant::ORIGIN,
            is_pinged: false,
        }
    }

    /// Names the run of the agent that it speaks for.
    pub(crate) fn agent_run(&self) -> &str {
        &self.agent_run
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether all that was said is safe on the other side.
    pub(crate) fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Bytes that wait for the other side.
    pub(crate) const fn waiting_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// Connects, for `purpose`, unless it is connected, connecting or over.
    pub(crate) fn connect<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        if !matches!(self.state, State::Down { .. }) {
            return;
        }
        let bearer = ["Bearer ", self.token.reveal()].concat();
        let target = Target::WebSocket {
            url: self.url.clone(),
            headers: alloc::vec![
                ("authorization", Secret::new(bearer)),
                (link::AGENT_RUN_HEADER, Secret::from(self.agent_run.as_str())),
            ],
            protocol: Some(link::PROTOCOL),
            timeout: CONNECT_TIMEOUT,
            max_message: MAX_MESSAGE_BYTES,
        };
        self.state = State::Opening(fx.start(purpose, |op| Action::Open { op, target }));
    }

    /// Goes on with another credential, at once (W-8).
    pub(crate) fn renew<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        purpose: P,
        url: String,
        token: Secret,
    ) {
        self.url = url;
        self.token = token;
        self.close(fx);
        self.backoff.reset();
        self.state = State::Down { retry_at: None };
        self.connect(fx, purpose);
    }

    /// Its credential was taken elsewhere, so that one that was refused here is worth another try.
    pub(crate) fn retry_refused<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        if self.state == (State::Down { retry_at: None }) {
            self.connect(fx, purpose);
        }
    }

    /// Ends it: what was put on it still leaves, nothing more is taken.
    pub(crate) fn close<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) {
        match self.state {
            State::Opening(op) => fx.cancel(op),
            State::Greeting(op) | State::Up(op) => {
                fx.act(op, |op| Action::Close { op, code: 1000 });
                fx.forget(op);
            }
            State::Down { .. } | State::Over => {}
        }
        self.state = State::Over;
    }

    /// Says a line of the agent.
    pub(crate) fn say<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, line: Text) {
        self.outbox.push(Item::Line(line));
        self.pump(fx);
    }

    /// Says something of this side's own.
    pub(crate) fn report<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, message: Box<RawValue>) {
        self.outbox.push(Item::Report(ControlFrame::Report { message }.to_bytes()));
        self.pump(fx);
    }

    /// Lines of the relay up to the `count` taken last but `pending` are safe.
    pub(crate) fn confirm<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, pending: usize) {
        let pending_lines = u64::try_from(pending).unwrap_or(u64::MAX);
        self.safe = self.taken.saturating_sub(pending_lines);
        self.acknowledge(fx);
        let State::Up(op) = self.state else { return };
        // A relay keeps to its window; one that does not is not read until the agent has caught up.
        let is_too_far_ahead = pending > 2 * LINK_WINDOW_LINES;
        if is_too_far_ahead != self.is_paused {
            self.is_paused = is_too_far_ahead;
            let pause = self.is_paused;
            fx.act(op, |op| if pause { Action::Pause { op } } else { Action::Resume { op } });
        }
    }

    /// A relay takes no ack for what it has not sent on this connection.
    fn acknowledge<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) {
        let State::Up(op) = self.state else { return };
        let received = self.safe.min(self.came);
        if received > self.acked {
            self.acked = received;
            send(fx, op, &ControlFrame::Ack { received });
        }
    }

    /// When [`on_time`](Self::on_time) is to be called next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Down { retry_at } => retry_at,
            State::Opening(_) | State::Over => None,
            State::Greeting(_) => Some(self.last_heard + LINK_DEAD_AFTER),
            State::Up(_) if self.is_pinged => Some(self.last_heard + LINK_DEAD_AFTER),
            State::Up(_) => Some(self.last_heard + LINK_PING_AFTER),
        }
    }

    /// The machine slept: whatever was waited for is tried at once (W-2).
    pub(crate) fn wake<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        self.backoff.reset();
        if matches!(self.state, State::Down { .. }) {
            self.connect(fx, purpose);
        }
    }

    /// Its deadline has come.
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
        match self.state {
            State::Down { .. } => {
                self.connect(fx, purpose);
                None
            }
            State::Up(op) if !self.is_pinged => {
                self.is_pinged = true;
                send(fx, op, &ControlFrame::Ping);
                None
            }
            State::Up(op) | State::Greeting(op) => {
                fx.cancel(op);
                Some(self.fail(now, FailureTrack::Connection, "the relay fell silent".into(), rng))
            }
            State::Opening(_) | State::Over => None,
        }
    }

    /// Takes an event of its own operation. What it means is handed to `each`, in order.
    pub(crate) fn handle<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        rng: &mut Rng,
        event: Event,
        mut each: impl FnMut(LinkEvent),
    ) {
        let now = fx.now().mono;
        if matches!(event, Event::Opened { .. } | Event::Received { .. }) {
            self.last_heard = now;
            self.is_pinged = false;
        }
        match event {
            Event::Opened { op } => {
                self.state = State::Greeting(op);
                self.is_paused = false;
                let from = self.outbox.safe();
                self.acked = self.safe;
                send(fx, op, &ControlFrame::Resume { received: self.safe, from });
            }
            Event::Received { op, message } => {
                let taken = match message {
                    Message::Text(text) => self.take_lines(fx, &text, &mut each),
                    Message::Binary(word) => self.take_word(fx, op, &word, &mut each),
                };
                if let Err(reason) = taken {
                    fx.act(op, |op| Action::Close { op, code: CLOSE_PROTOCOL });
                    fx.forget(op);
                    each(self.fail(now, FailureTrack::General, reason.into(), rng));
                }
            }
            Event::Refused { op, response } => {
                fx.finish(op);
                let refusal = ApiError::of(&response);
                if response.status < 400 {
                    let reason = "the relay does not speak footbridge.link.v1".into();
                    each(self.fail(now, FailureTrack::General, reason, rng));
                } else if refusal.is_retryable() {
                    let pause = refusal.retry_after(fx.now().wall);
                    let reason = refusal.to_string();
                    let event = self.retry(now, FailureTrack::General, pause, reason, rng);
                    each(event);
                } else {
                    // Another credential may still be found for it, but nothing else helps.
                    let is_credential = refusal.status == 401;
                    self.state =
                        if is_credential { State::Down { retry_at: None } } else { State::Over };
                    self.outbox.disconnect();
                    each(LinkEvent::Refused(refusal));
                }
            }
            Event::Failed { op, failure } => {
                fx.finish(op);
                each(self.fail(now, FailureTrack::Connection, failure.to_string(), rng));
            }
            Event::Closed { op, code, failure } => {
                fx.finish(op);
                if code == Some(link::CLOSE_LEASE_LOST) {
                    self.state = State::Over;
                    each(LinkEvent::LeaseLost);
                } else {
                    let reason = failure.map_or_else(
                        || alloc::format!("closed with code {}", code.unwrap_or(1005)),
                        |failure| failure.to_string(),
                    );
                    each(self.fail(now, FailureTrack::Connection, reason, rng));
                }
            }
            // `Sent` says no more than an acknowledgement of the relay will.
            _ => {}
        }
    }

    fn take_lines<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        text: &Text,
        each: &mut impl FnMut(LinkEvent),
    ) -> Result<(), &'static str> {
        let State::Up(_) = self.state else { return Err("the relay spoke before its resume") };
        for line in text.lines() {
            // Only a relay that has skipped almost all numbers there are gets here.
            let next = self.came.checked_add(1).ok_or("the relay counts beyond all numbers")?;
            self.came = next;
            if next > self.taken {
                self.taken = next;
                each(LinkEvent::Line(line));
            }
        }
        self.acknowledge(fx);
        Ok(())
    }

    fn take_word<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        op: OpId,
        word: &[u8],
        each: &mut impl FnMut(LinkEvent),
    ) -> Result<(), &'static str> {
        let counts_too_many = |_| "the relay counts lines that were never sent";
        let word = ControlFrame::parse(word).map_err(|_| "the relay sent a word that is none")?;
        let is_greeting = matches!(self.state, State::Greeting(_));
        match word {
            ControlFrame::Resume { received, from } if is_greeting => {
                self.outbox.resume(received).map_err(counts_too_many)?;
                self.skip_to(from, each);
                self.came = self.acked.max(from);
                self.acked = self.came;
                self.state = State::Up(op);
                self.is_resumed_once = true;
                self.backoff.reset();
                each(LinkEvent::Up);
                self.pump(fx);
            }
            ControlFrame::Ping => send(fx, op, &ControlFrame::Pong),
            ControlFrame::Pong | ControlFrame::Unknown => {}
            _ if is_greeting => return Err("the relay spoke before its resume"),
            ControlFrame::Ack { received } => {
                self.outbox.ack(received).map_err(counts_too_many)?;
                self.pump(fx);
            }
            ControlFrame::Stop => each(LinkEvent::Stop),
            ControlFrame::Resume { .. } => return Err("the relay sent a second resume"),
            ControlFrame::Report { .. } => return Err("the relay sent a report"),
        }
        Ok(())
    }

    /// The relay no longer holds its lines up to `from`.
    fn skip_to(&mut self, from: u64, each: &mut impl FnMut(LinkEvent)) {
        if from > self.taken {
            // A session that ran elsewhere before has lines that were never meant for this agent.
            if self.is_resumed_once {
                each(LinkEvent::Gap { lines: from - self.taken });
            }
            self.safe += from - self.taken;
            self.taken = from;
        }
    }

    fn pump<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) {
        let State::Up(op) = self.state else { return };
        while let Some(message) = self.outbox.next_to_send() {
            fx.act(op, |op| Action::Send { op, message });
        }
    }

    fn fail(
        &mut self,
        now: Instant,
        track: FailureTrack,
        reason: String,
        rng: &mut Rng,
    ) -> LinkEvent {
        self.retry(now, track, None, reason, rng)
    }

    fn retry(
        &mut self,
        now: Instant,
        track: FailureTrack,
        retry_after: Option<Duration>,
        reason: String,
        rng: &mut Rng,
    ) -> LinkEvent {
        self.outbox.disconnect();
        match self.backoff.fail(now, track, retry_after, rng) {
            Verdict::RetryAfter(pause) => {
                self.state = State::Down { retry_at: Some(now + pause) };
                LinkEvent::Down { reason, retry_in: pause }
            }
            Verdict::GiveUp { failing_for } => {
                self.state = State::Over;
                LinkEvent::GaveUp { reason, failing_for }
            }
        }
    }
}

fn send<P: Clone, N>(fx: &mut Effects<P, N>, op: OpId, word: &ControlFrame) {
    let message = Message::Binary(word.to_bytes());
    fx.act(op, |op| Action::Send { op, message });
}
