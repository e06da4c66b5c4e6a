//! A session's link, version 1: one WebSocket, reconnected for as long as the session lives (S-2,
//! `relay/http.md`).
//!
//! ```text
//!            connect          Opened           the relay's resume
//!   Idle ─────────────▶ Opening ──────▶ Greeting ─────────────────▶ Up
//!              ▲            │               │                       │
//!              └─ Pausing ◀─┴──── broken ◀──┴──────────◀────────────┘
//!            (Backoff, W-2)           refused for good, gave up, closed ──▶ Over
//! ```
//!
//! This file keeps the connection up and sends; `receive` handles what arrives; `rhythm` knows how
//! long it may be silent.

mod receive;
mod rhythm;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::time::Duration;

use fastrand::Rng;
use serde_json::value::RawValue;

pub(crate) use self::receive::{NO_UPGRADE, WAS_SET_BACK};
pub(crate) use self::rhythm::Rhythm;
use crate::base::id::OpId;
use crate::base::limits::{
    CONNECT_TIMEOUT, LINK_AWAKE_WITHIN, LINK_DEAD_AFTER, LINK_WINDOW_BYTES, LINK_WINDOW_LINES,
    MAX_LINE_BYTES,
};
use crate::base::secret::Secret;
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::contract::action::{Action, Message, Target};
use crate::engine::backoff::{Backoff, BackoffConfig, FailureTrack, Verdict};
use crate::engine::effects::Effects;
use crate::transport::event::LinkEvent;
use crate::transport::inbox::Inbox;
use crate::transport::meeting::Meeting;
use crate::transport::outbox::{Item, Outbox};
use crate::wire::last_line::LAST_LINE_HEADER;
use crate::wire::link_v1::{self, ControlFrame};

/// The longest line, with room for its framing.
pub(crate) const MAX_MESSAGE_BYTES: usize = MAX_LINE_BYTES + 1024;

/// The close code for a peer that broke the protocol.
const CLOSE_PROTOCOL: u16 = 1002;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Not connected and not about to be: it is new, or its credential was refused.
    Idle,
    /// The last attempt failed.
    Pausing {
        until: Instant,
        /// Whoever answered the last one has asked for the pause.
        is_asked: bool,
    },
    Opening(OpId),
    /// Our resume is out, the relay's is still to come.
    Greeting {
        op: OpId,
        last_heard: Instant,
        /// What our resume acknowledged.
        acked: u64,
    },
    Up(Connection),
    Over,
}

/// A connection on which both sides have said where they are.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Connection {
    op: OpId,
    since: Instant,
    last_heard: Instant,
    /// A ping is out, and nothing has arrived since: by when something must.
    answer_due: Option<Instant>,
    /// Reading is paused, because the agent is too far behind.
    is_paused: bool,
    /// The last line that arrived on this connection. The relay resends what was received but not
    /// delivered before the previous one broke; those lines are skipped.
    received_on_connection: u64,
    /// The last line that was acknowledged on this connection.
    acked: u64,
    /// When to tell the relay that lines have arrived and are waiting for the agent.
    held_due: Option<Instant>,
}

/// One session's link.
#[derive(Debug)]
pub(crate) struct Link {
    url: String,
    token: Secret,
    agent_run: String,
    state: State,
    backoff: Backoff,
    rhythm: Rhythm,
    outbox: Outbox,
    inbox: Inbox,
    meeting: Meeting,
    /// Whether it was ever up.
    is_resumed_once: bool,
    /// Since when the relay has been getting its handshakes as ordinary requests.
    not_upgraded_since: Option<Instant>,
}

impl Link {
    pub(crate) fn new(
        url: String,
        token: Secret,
        agent_run: String,
        backoff: BackoffConfig,
        rhythm: Rhythm,
    ) -> Self {
        Self {
            url,
            token,
            agent_run,
            state: State::Idle,
            backoff: Backoff::new(backoff),
            rhythm,
            outbox: Outbox::new(),
            inbox: Inbox::default(),
            meeting: Meeting::default(),
            is_resumed_once: false,
            not_upgraded_since: None,
        }
    }

    /// One that goes on where another way of the same lines has come to.
    pub(crate) fn continuing(
        mut self,
        outbox: Outbox,
        inbox: Inbox,
        is_resumed_once: bool,
    ) -> Self {
        (self.outbox, self.inbox) = (outbox, inbox);
        self.is_resumed_once = is_resumed_once;
        self
    }

    /// Sets the agent run that this link speaks for.
    pub(crate) fn agent_run(&self) -> &str {
        &self.agent_run
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// What it knows about the network.
    pub(crate) const fn rhythm(&self) -> Rhythm {
        self.rhythm
    }

    /// Whether the relay has acknowledged everything that was sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Bytes that the relay has not acknowledged yet.
    pub(crate) const fn unacked_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// The number of the last line or report of this side.
    pub(crate) fn last_number(&self) -> u64 {
        self.outbox.last()
    }

    /// How many lines and reports this side has sent, or is about to, since the link was made.
    pub(crate) fn sent_here(&self) -> u64 {
        self.outbox.last().saturating_sub(self.outbox.base())
    }

    /// The number that the relay gives to the line before those. It sends nothing before both sides
    /// agree on that.
    pub(crate) const fn base(&self) -> u64 {
        self.outbox.base()
    }

    /// The number of the last one that the relay has acknowledged.
    pub(crate) const fn acked(&self) -> u64 {
        self.outbox.acked()
    }

    /// Connects, for `purpose`, unless it is connected, connecting or over.
    pub(crate) fn connect<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        if !matches!(self.state, State::Idle | State::Pausing { .. }) {
            return;
        }
        let bearer = ["Bearer ", self.token.reveal()].concat();
        let mut headers = alloc::vec![
            ("authorization", Secret::new(bearer)),
            (link_v1::AGENT_RUN_HEADER, Secret::from(self.agent_run.as_str())),
        ];
        let last = self.inbox.last_line();
        headers.extend(last.map(|line| (LAST_LINE_HEADER, Secret::new(line.to_string()))));
        let target = Target::WebSocket {
            url: self.url.clone(),
            headers,
            protocol: Some(link_v1::PROTOCOL),
            timeout: CONNECT_TIMEOUT,
            max_message: MAX_MESSAGE_BYTES,
        };
        self.state = State::Opening(fx.start(purpose, |op| Action::Open { op, target }));
    }

    /// It is being opened under this id.
    pub(crate) const fn restarted(&mut self, op: OpId) {
        if let State::Opening(opening) = &mut self.state {
            *opening = op;
        }
    }

    /// Reconnects at once with another credential (W-8).
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
        self.state = State::Idle;
        self.connect(fx, purpose);
    }

    /// Tries a refused credential once more, because it was accepted elsewhere.
    pub(crate) fn retry_refused<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        if self.state == State::Idle {
            self.connect(fx, purpose);
        }
    }

    /// Closes it for good: what was already passed to the connection still leaves; reading stops.
    pub(crate) fn close<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) {
        match self.state {
            State::Opening(op) => fx.cancel(op),
            State::Greeting { op, .. } | State::Up(Connection { op, .. }) => {
                fx.act(op, |op| Action::Close { op, code: 1000 });
                fx.forget(op);
            }
            State::Idle | State::Pausing { .. } | State::Over => {}
        }
        self.state = State::Over;
    }

    /// Sends a line of the agent.
    pub(crate) fn send_line<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, line: Text) {
        self.outbox.push(Item::Line(line));
        self.pump(fx);
    }

    /// Sends a message of the worker itself.
    pub(crate) fn send_report<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        message: Box<RawValue>,
    ) {
        self.outbox.push(Item::Report(ControlFrame::Report { message }.to_bytes()));
        self.pump(fx);
    }

    /// The number of the last line of the relay that has arrived.
    pub(crate) const fn received(&self) -> u64 {
        self.inbox.received()
    }

    /// All lines that have arrived except the last `pending`, which take `pending_bytes`, are done
    /// with.
    pub(crate) fn confirm_delivered<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        pending: usize,
        pending_bytes: usize,
    ) {
        self.inbox.confirm(pending);
        self.acknowledge(fx);
        let State::Up(up) = &mut self.state else { return };
        // A relay keeps to its window. One that does not is not read until the agent has caught up.
        let is_too_far_ahead =
            pending > 2 * LINK_WINDOW_LINES || pending_bytes > LINK_WINDOW_BYTES + MAX_LINE_BYTES;
        if is_too_far_ahead != up.is_paused {
            up.is_paused = is_too_far_ahead;
            fx.act(up.op, |op| match is_too_far_ahead {
                true => Action::Pause { op },
                false => Action::Resume { op },
            });
        }
    }

    /// A relay accepts no ack for a line that it has not sent on this connection.
    fn acknowledge<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) {
        let State::Up(up) = &mut self.state else { return };
        let received = self.inbox.delivered().min(up.received_on_connection);
        if received > up.acked {
            up.acked = received;
            send(fx, up.op, &ControlFrame::Ack { received });
        }
        if up.acked >= up.received_on_connection {
            up.held_due = None;
        }
    }

    /// When [`on_time`](Self::on_time) has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Idle | State::Opening(_) | State::Over => None,
            State::Pausing { until, .. } => Some(until),
            State::Greeting { last_heard, .. } => Some(last_heard + LINK_DEAD_AFTER),
            State::Up(up) => {
                let silent_at =
                    up.answer_due.unwrap_or_else(|| up.last_heard + self.rhythm.ping_after());
                Some(up.held_due.map_or(silent_at, |due| due.min(silent_at)))
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

    /// The computer slept: earlier failures no longer count (W-2), and a connection has to show
    /// that it is still one. What broke it may never have been told to this side.
    pub(crate) fn wake<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        self.backoff.reset();
        self.rhythm = Rhythm::new();
        let now = fx.now().mono;
        match &mut self.state {
            // Its answer waits behind lines that are not read yet.
            State::Up(up) if up.is_paused => {}
            State::Up(up) => {
                up.answer_due = Some(now + LINK_AWAKE_WITHIN);
                send(fx, up.op, &ControlFrame::Ping);
            }
            _ => self.connect(fx, purpose),
        }
    }

    /// Acts on its deadline, if that has passed.
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
            State::Pausing { .. } => {
                self.connect(fx, purpose);
                None
            }
            State::Up(up) if up.held_due.is_some_and(|due| due <= now) => {
                up.held_due = None;
                let received = up.received_on_connection;
                send(fx, up.op, &ControlFrame::Held { received });
                None
            }
            State::Up(up) if up.answer_due.is_none() => {
                // This timer may be late itself.
                let answer_due = (up.last_heard + LINK_DEAD_AFTER).max(now + LINK_AWAKE_WITHIN);
                up.answer_due = Some(answer_due);
                send(fx, up.op, &ControlFrame::Ping);
                None
            }
            State::Greeting { op, .. } | State::Up(Connection { op, .. }) => {
                fx.cancel(*op);
                self.cut(now);
                let reason = String::from("the relay fell silent");
                Some(self.fail(now, FailureTrack::Connection, reason, rng))
            }
            State::Idle | State::Opening(_) | State::Over => None,
        }
    }

    /// Its connection has ended without a word.
    fn cut(&mut self, now: Instant) {
        if let State::Up(up) = self.state {
            let (age, silence) = (up.since, up.last_heard);
            let silence = now.saturating_since(silence).min(self.rhythm.ping_after());
            self.rhythm.broke(now.saturating_since(age), silence);
        }
    }

    /// Sends what the relay's window has room for.
    fn pump<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) {
        let State::Up(Connection { op, .. }) = self.state else { return };
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
                let is_asked = retry_after.is_some();
                self.state = State::Pausing { until: now + pause, is_asked };
                LinkEvent::Down { reason, retry_in: pause }
            }
            Verdict::GiveUp { failing_for } => {
                self.state = State::Over;
                LinkEvent::GaveUp { reason, failing_for }
            }
        }
    }
}

fn send<P: Clone, N>(fx: &mut Effects<P, N>, op: OpId, frame: &ControlFrame) {
    let message = Message::Binary(frame.to_bytes());
    fx.act(op, |op| Action::Send { op, message });
}
