//! A client of a session that is served directly (X-1).
//!
//! ```text
//!   Opening ──▶ Greeting ──▶ Up ──▶ closed, broken ──▶ Pausing ──▶ Opening
//!      └── the server speaks only NDJSON: opened again without a subprotocol
//! ```
//!
//! What it says is kept until the server has it, and said again on the next connection if need be. Each
//! message is read before it is passed on; keep-alives, what it has said itself, and messages that it has
//! passed on already are dropped (M-4).

mod line;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fastrand::Rng;

use self::line::{Seen, user_message};
use super::frame::{Frame, PROTOCOL};
use crate::base::id::OpId;
use crate::base::limits::{
    CONNECT_TIMEOUT, DIRECT_OUTBOX_BYTES, DIRECT_OUTBOX_LINES, LINK_DEAD_AFTER, LINK_PING_AFTER,
    MAX_LINE_BYTES, MAX_OPEN_REQUESTS,
};
use crate::base::secret::Secret;
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::client::RequestError;
use crate::contract::action::{Action, Message, Target};
use crate::contract::event::Event;
use crate::contract::machine::{MachineError, MachineErrorKind};
use crate::engine::backoff::{Backoff, BackoffConfig, FailureTrack, Track, Verdict};
use crate::engine::runner::{self, Role, Runner, Slept, delegate_machine};
use crate::wire::control::{self, Fields};

type Cx = runner::Cx<(), Timer, ConnectNotice>;

/// The longest line, or all open questions, with room for their framing.
const MAX_MESSAGE: usize = 2 * MAX_LINE_BYTES;

/// To what it connects.
#[derive(Clone, Debug)]
pub struct ConnectConfig {
    /// The session's `ws:` or `wss:` URL.
    pub url: String,
    /// What to show there, as a bearer header.
    pub token: Option<Secret>,
    /// How long to try before giving up, without a connection.
    pub give_up: Duration,
    /// Any number, for ids and pauses.
    pub seed: u64,
}

/// What a program asks of it.
#[derive(Clone, Debug)]
pub enum ConnectCommand {
    /// Say this to the agent.
    Say(String),
    /// Pass this on, a whole message.
    Pass(Text),
    /// Answer a question: *allow* with the input as it was asked, or *deny* with a reason.
    Answer {
        /// The question.
        request_id: String,
        /// `None`: allow. Else why not.
        deny: Option<String>,
    },
    /// Interrupt the agent's turn.
    Interrupt,
    /// End the connection. What was said and has not arrived is sent first, if there is a connection.
    Disconnect,
}

/// What it tells a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectNotice {
    /// A connection is up.
    Connected {
        /// Whether the server counts lines, so that nothing is lost over a break.
        resumes: bool,
    },
    /// There is none.
    Disconnected {
        /// Why.
        reason: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// A message of the session.
    Message(Text),
    /// The agent asks for permission.
    Asked {
        /// Its id.
        request_id: String,
        /// Its whole line.
        question: Text,
    },
    /// A question is over: somebody has answered it, or the agent asks no more.
    Withdrawn {
        /// Its id.
        request_id: String,
    },
    /// The server no longer holds some lines that never arrived here.
    Gap,
    /// The server printed something that is no message; it was skipped.
    Skipped {
        /// Why.
        reason: String,
    },
    /// What was to be passed on is no message: it was not taken.
    Refused {
        /// Why.
        reason: String,
    },
    /// Too much that was said is waiting for the server: this was not taken.
    Full,
    /// So much more of what was said has arrived, in the order in which it was said.
    Arrived {
        /// Lines.
        lines: usize,
    },
}

/// The machine.
#[derive(Debug)]
pub struct Connect {
    runner: Runner<Connecting>,
}

delegate_machine!(Connect, ConnectCommand, ConnectNotice);

impl Connect {
    /// Connects with its first step.
    pub fn new(config: ConnectConfig) -> Self {
        let mut cx = Cx::new();
        let mut rng = Rng::with_seed(config.seed);
        let track = |initial| Track {
            initial: Duration::from_millis(initial),
            cap: Duration::from_secs(10),
            give_up: Some(config.give_up),
        };
        let backoff = BackoffConfig { connection: track(200), general: track(500) };
        let mut role = Connecting {
            client: format!("{:032x}", rng.u128(..)),
            config,
            rng,
            backoff: Backoff::new(backoff),
            state: State::Pausing,
            speaks: Speaks::Unknown,
            run: None,
            received: 0,
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            acked: 0,
            sent: 0,
            open: BTreeMap::new(),
            seen: Seen::new(),
            next_id: 0,
            is_leaving: false,
        };
        role.connect(&mut cx);
        Self { runner: Runner::new(role, cx) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Retry,
    Liveness,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pausing,
    Opening(OpId),
    /// Its `resume` is to come.
    Greeting {
        op: OpId,
        since: Instant,
    },
    Up {
        op: OpId,
        last_heard: Instant,
        is_pinged: bool,
    },
}

/// What the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Unknown,
    Resuming,
    Plain,
}

#[derive(Debug)]
struct Connecting {
    config: ConnectConfig,
    client: String,
    rng: Rng,
    backoff: Backoff,
    state: State,
    speaks: Speaks,
    /// The run of the server whose lines are counted.
    run: Option<String>,
    received: u64,
    /// What the server may not have yet; its first line is number `acked` + 1.
    outbox: VecDeque<Text>,
    outbox_bytes: usize,
    acked: u64,
    /// How many of them were sent on this connection.
    sent: usize,
    open: BTreeMap<String, Text>,
    seen: Seen,
    next_id: u64,
    is_leaving: bool,
}

impl Connecting {
    fn connect(&mut self, cx: &mut Cx) {
        let mut headers = Vec::new();
        if let Some(token) = &self.config.token {
            let bearer = ["Bearer ", token.reveal()].concat();
            headers.push(("authorization", Secret::new(bearer)));
        }
        let target = Target::WebSocket {
            url: self.config.url.clone(),
            headers,
            protocol: (self.speaks != Speaks::Plain).then_some(PROTOCOL),
            timeout: CONNECT_TIMEOUT,
            max_message: MAX_MESSAGE,
        };
        self.state = State::Opening(cx.fx.start((), |op| Action::Open { op, target }));
    }

    fn opened(&mut self, cx: &mut Cx, op: OpId) {
        let now = cx.fx.now().mono;
        self.sent = 0;
        if self.speaks == Speaks::Plain {
            self.state = State::Up { op, last_heard: now, is_pinged: false };
            // It tells the open questions again.
            let before = core::mem::take(&mut self.open);
            for request_id in before.into_keys() {
                cx.fx.notify(ConnectNotice::Withdrawn { request_id });
            }
            return self.up(cx);
        }
        self.speaks = Speaks::Resuming;
        self.state = State::Greeting { op, since: now };
        let resume = Frame {
            client: Some(Cow::Borrowed(&self.client)),
            run: self.run.as_deref().map(Cow::Borrowed),
            received: self.received,
            from: self.acked,
            skips: true,
            ..Frame::of("resume")
        };
        let message = resume.message();
        cx.fx.act(op, |op| Action::Send { op, message });
    }

    fn up(&mut self, cx: &mut Cx) {
        self.backoff.reset();
        cx.fx.notify(ConnectNotice::Connected { resumes: self.speaks == Speaks::Resuming });
        self.pump(cx);
    }

    fn pump(&mut self, cx: &mut Cx) {
        let State::Up { op, .. } = self.state else { return };
        while let Some(line) = self.outbox.get(self.sent) {
            self.sent += 1;
            let message = Message::Text(line.clone());
            cx.fx.act(op, |op| Action::Send { op, message });
        }
    }

    /// The server has so many of this side's lines.
    fn acknowledged(&mut self, cx: &mut Cx, received: u64) {
        let before = self.outbox.len();
        while self.acked < received
            && let Some(line) = self.outbox.pop_front()
        {
            self.outbox_bytes -= line.len();
            self.acked += 1;
            self.sent = self.sent.saturating_sub(1);
        }
        let lines = before - self.outbox.len();
        if lines > 0 {
            cx.fx.notify(ConnectNotice::Arrived { lines });
        }
    }

    fn control(&mut self, cx: &mut Cx, data: &[u8]) {
        let now = cx.fx.now().mono;
        let Some(frame) = Frame::parse(data) else { return };
        match (self.state, &*frame.kind) {
            (State::Greeting { op, .. }, "resume") => {
                let run = frame.run.as_deref().map(String::from);
                if run != self.run {
                    self.run = run;
                    self.received = 0;
                }
                if frame.from > self.received {
                    cx.fx.notify(ConnectNotice::Gap);
                }
                self.received = frame.from;
                self.acknowledged(cx, frame.received);
                self.state = State::Up { op, last_heard: now, is_pinged: false };
                self.only_open(cx, &frame);
                self.up(cx);
            }
            (State::Up { .. }, "ack") => self.acknowledged(cx, frame.received),
            (State::Up { .. }, "gap") => {
                self.received = frame.from;
                cx.fx.notify(ConnectNotice::Gap);
            }
            (State::Up { .. }, "skip") => self.received = frame.from,
            (State::Up { op, .. }, "ping") => {
                let message = Frame::of("pong").message();
                cx.fx.act(op, |op| Action::Send { op, message });
            }
            _ => {}
        }
    }

    /// These questions are open, and no others.
    fn only_open(&mut self, cx: &mut Cx, frame: &Frame<'_>) {
        let mut open = BTreeMap::new();
        for question in frame.questions.iter().take(MAX_OPEN_REQUESTS) {
            let text = Text::from(String::from(question.get()));
            if let Some(id) = line::question_id(&text) {
                open.insert(id, text);
            }
        }
        let before = core::mem::replace(&mut self.open, open.clone());
        for request_id in before.keys().filter(|id| !open.contains_key(*id)) {
            cx.fx.notify(ConnectNotice::Withdrawn { request_id: request_id.clone() });
        }
        for (request_id, question) in open {
            if before.get(&request_id) != Some(&question) {
                cx.fx.notify(ConnectNotice::Asked { request_id, question });
            }
        }
    }

    /// A line of the session.
    fn heard(&mut self, cx: &mut Cx, line: Text) {
        if self.speaks == Speaks::Resuming {
            self.received += 1;
        }
        match self.seen.read(&line) {
            line::Read::Message => cx.fx.notify(ConnectNotice::Message(line)),
            line::Read::Question(id) if self.open.len() >= MAX_OPEN_REQUESTS => {
                let reason = format!(
                    "more than {MAX_OPEN_REQUESTS} questions are open; {id:?} is not shown"
                );
                cx.fx.notify(ConnectNotice::Skipped { reason });
            }
            line::Read::Question(id) => {
                if self.open.get(&id) != Some(&line) {
                    self.open.insert(id.clone(), line.clone());
                    cx.fx.notify(ConnectNotice::Asked { request_id: id, question: line });
                }
            }
            line::Read::Withdrawn(request_id) => {
                if self.open.remove(&request_id).is_some() {
                    cx.fx.notify(ConnectNotice::Withdrawn { request_id });
                }
            }
            line::Read::Nothing => {}
            line::Read::Unreadable(reason) => cx.fx.notify(ConnectNotice::Skipped { reason }),
        }
    }

    fn say(&mut self, cx: &mut Cx, line: Text) {
        if self.outbox.len() >= DIRECT_OUTBOX_LINES
            || self.outbox_bytes + line.len() > DIRECT_OUTBOX_BYTES
        {
            return cx.fx.notify(ConnectNotice::Full);
        }
        self.outbox_bytes += line.len();
        self.outbox.push_back(line);
        self.pump(cx);
    }

    /// An id that nobody else has.
    fn id(&mut self) -> String {
        self.next_id += 1;
        format!("{}-{}", self.client, self.next_id)
    }

    fn lost(&mut self, cx: &mut Cx, track: FailureTrack, reason: String) {
        if self.is_leaving {
            return cx.fx.end(Ok(()));
        }
        self.state = State::Pausing;
        match self.backoff.fail(cx.fx.now().mono, track, None, &mut self.rng) {
            Verdict::RetryAfter(retry_in) => {
                cx.fx.notify(ConnectNotice::Disconnected { reason, retry_in });
                cx.set_timer(Timer::Retry, retry_in);
            }
            Verdict::GiveUp { .. } => {
                let message = format!(
                    "could not connect to {}: {reason}; check the address, and that footbridge direct serve is running there",
                    self.config.url
                );
                cx.fx.end(Err(MachineError { kind: MachineErrorKind::GaveUp, message }));
            }
        }
    }

    fn refused(&mut self, cx: &mut Cx, response: &crate::contract::action::Response) {
        if response.status == 101 && self.speaks != Speaks::Plain {
            // It speaks NDJSON, and nothing of ours.
            self.speaks = Speaks::Plain;
            return self.connect(cx);
        }
        if response.status == 101 {
            let reason = String::from("the server chose a subprotocol that it was not asked for");
            return self.lost(cx, FailureTrack::General, reason);
        }
        let error = RequestError::of(response);
        match error.track() {
            Some(track) => self.lost(cx, track, error.to_string()),
            None => {
                let (kind, advice) = match response.status {
                    401 => (
                        MachineErrorKind::Unauthorized,
                        "name the server's token with --token-file",
                    ),
                    403 | 421 => (MachineErrorKind::Forbidden, "check the address"),
                    404 => (MachineErrorKind::NotFound, "check the session in the address"),
                    _ => (MachineErrorKind::Protocol, "check what is at this address"),
                };
                let message =
                    format!("could not connect to {}: {error}; {advice}", self.config.url);
                cx.fx.end(Err(MachineError { kind, message }));
            }
        }
    }

    fn closed(&mut self, cx: &mut Cx, code: Option<u16>, reason: String) {
        match code {
            // The agent has ended: its last line has said how.
            Some(1000) => cx.fx.end(Ok(())),
            _ => self.lost(cx, FailureTrack::Connection, reason),
        }
    }

    const fn deadline(&self) -> Option<Duration> {
        // Counted from when it was last heard.
        match self.state {
            State::Greeting { .. } => Some(LINK_DEAD_AFTER),
            State::Up { is_pinged: false, .. } => Some(LINK_PING_AFTER),
            State::Up { is_pinged: true, .. } => Some(LINK_DEAD_AFTER),
            State::Pausing | State::Opening(_) => None,
        }
    }

    const fn last_heard(&self) -> Option<Instant> {
        match self.state {
            State::Greeting { since, .. } => Some(since),
            State::Up { last_heard, .. } => Some(last_heard),
            State::Pausing | State::Opening(_) => None,
        }
    }
}

impl Role for Connecting {
    type Command = ConnectCommand;
    type Notice = ConnectNotice;
    type Purpose = ();
    type Timer = Timer;

    fn on_command(&mut self, cx: &mut Cx, command: ConnectCommand) {
        match command {
            ConnectCommand::Say(text) => {
                let uuid = line::uuid(&mut self.rng);
                self.seen.own(&uuid);
                self.say(cx, user_message(&text, &uuid));
            }
            ConnectCommand::Pass(line) => match self.seen.passed(&line) {
                Ok(()) => self.say(cx, line),
                Err(reason) => cx.fx.notify(ConnectNotice::Refused { reason }),
            },
            ConnectCommand::Answer { request_id, deny } => {
                // One that is over is answered by nobody.
                let Some(question) = self.open.remove(&request_id) else { return };
                let answer: Fields = line::answer(&question, deny.as_deref());
                self.say(cx, control::success(&request_id, &answer));
            }
            ConnectCommand::Interrupt => {
                let id = self.id();
                self.say(cx, control::request(&id, "interrupt"));
            }
            ConnectCommand::Disconnect => {
                self.is_leaving = true;
                match self.state {
                    State::Up { op, .. } => {
                        cx.fx.act(op, |op| Action::Close { op, code: 1000 });
                        cx.set_timer(Timer::Retry, crate::base::limits::DIRECT_FLUSH);
                    }
                    _ => cx.fx.end(Ok(())),
                }
            }
        }
    }

    fn on_event(&mut self, cx: &mut Cx, event: Event) {
        let Some(op) = event.op().filter(|op| cx.fx.purpose(*op).is_some()) else { return };
        let now = cx.fx.now().mono;
        if event.is_last() {
            cx.fx.finish(op);
        }
        match event {
            Event::Opened { .. } => self.opened(cx, op),
            Event::Refused { response, .. } => self.refused(cx, &response),
            Event::Failed { failure, .. } => {
                self.lost(cx, FailureTrack::Connection, failure.to_string());
            }
            Event::Closed { code, failure, .. } => {
                let reason = match (failure, code) {
                    (Some(failure), _) => failure.to_string(),
                    (None, Some(code)) => format!("the server closed the connection ({code})"),
                    (None, None) => String::from("the server closed the connection"),
                };
                self.closed(cx, code, reason);
            }
            Event::Received { message, .. } => {
                if let State::Up { last_heard, is_pinged, .. } = &mut self.state {
                    (*last_heard, *is_pinged) = (now, false);
                }
                match message {
                    Message::Text(text) => text.lines().for_each(|line| self.heard(cx, line)),
                    Message::Binary(data) => self.control(cx, &data),
                }
            }
            Event::Sent { messages, .. } if self.speaks == Speaks::Plain => {
                // Nothing else says that it has arrived.
                let messages = u64::try_from(messages).unwrap_or(u64::MAX);
                self.acknowledged(cx, self.acked.saturating_add(messages));
            }
            _ => {}
        }
    }

    fn on_timer(&mut self, cx: &mut Cx, timer: Timer) {
        match (timer, self.state) {
            (Timer::Retry, _) if self.is_leaving => cx.fx.end(Ok(())),
            (Timer::Retry, State::Pausing) => self.connect(cx),
            (Timer::Retry, _) => {}
            (Timer::Liveness, State::Up { op, last_heard, is_pinged: false }) => {
                self.state = State::Up { op, last_heard, is_pinged: true };
                let message = Frame::of("ping").message();
                cx.fx.act(op, |op| Action::Send { op, message });
            }
            (Timer::Liveness, State::Greeting { op, .. } | State::Up { op, .. }) => {
                cx.fx.cancel(op);
                self.lost(cx, FailureTrack::Connection, String::from("the server fell silent"));
            }
            (Timer::Liveness, State::Pausing | State::Opening(_)) => {}
        }
    }

    fn on_wake(&mut self, cx: &mut Cx, _: Slept) {
        self.backoff.reset();
        if self.state == State::Pausing {
            cx.set_timer(Timer::Retry, Duration::ZERO);
        }
    }

    fn settle(&mut self, cx: &mut Cx) {
        // A plain server cannot be asked whether it is there.
        let is_asked = self.speaks == Speaks::Resuming && !self.is_leaving;
        match (self.last_heard(), self.deadline()) {
            (Some(last_heard), Some(wait)) if is_asked => {
                let soonest = cx.fx.now().mono + Duration::from_millis(1);
                cx.timers.set(Timer::Liveness, (last_heard + wait).max(soonest));
            }
            _ => cx.timers.clear(&Timer::Liveness),
        }
    }
}
