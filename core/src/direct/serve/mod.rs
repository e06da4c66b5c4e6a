//! Serves one session's agent to whoever connects directly (X-2).
//!
//! ```text
//!   Listening ──▶ door ──▶ client ⇄ agent: questions, requests, stdin
//!                             ▲         │
//!                             └── log ◀─┘
//! ```
//!
//! The log is what everybody sees. A client is a cursor into it: one that is slow is cut, or finds a gap
//! when it comes back, and never holds up the agent. Clients are not read while the agent does not read.

mod client;
mod door;
mod log;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use self::client::{Client, Heard, Known};
use self::door::Door;
use self::log::Log;
use crate::base::id::{OpId, SessionId};
use crate::base::limits::{
    CLIENT_READ_GRACE, CLIENT_READ_RATE, DIRECT_ACCEPTS, DIRECT_FLUSH, HEAD_TIME,
    MAX_DIRECT_CLIENTS, MAX_LINE_BYTES, MAX_PEER_BODY_BYTES, MAX_STRANGERS_REQUESTS, PEER_ACCEPTS,
    STRANGER_READ_GRACE, STRANGER_READ_RATE, STRANGERS_PAUSE,
};
use crate::base::secret::Secret;
use crate::contract::action::{Action, Message, Method, ProcessSpec, Response};
use crate::contract::clients::{ConnectionLimits, ListenLimits, Pace, Standing};
use crate::contract::event::{Body, Event, ExitStatus, IncomingRequest};
use crate::contract::machine::{MachineError, MachineErrorKind};
use crate::direct::frame::PROTOCOL;
use crate::engine::runner::{self, Role, Runner, delegate_machine};
use crate::hosting::answerer::Callbacks;
use crate::hosting::audience::{Audience, ClientKey};
use crate::hosting::served::{Agent, Out, Turn};
use crate::peer::envelope::Envelope;
use crate::relay::http::error::ApiError;
use crate::relay::http::site::Site;
use crate::wire::error::ErrorType;
use crate::wire::log_message::LogMessage;

type Cx = runner::Cx<Purpose, Timer, ServeNotice>;

/// The longest line, with room for its framing.
const MAX_MESSAGE: usize = MAX_LINE_BYTES + 1024;
/// Close codes: the agent has ended; another connection of the same client is there; it broke the
/// protocol.
const ENDED: u16 = 1000;
const REPLACED: u16 = 4408;
const PROTOCOL_ERROR: u16 = 1002;

/// What is served, where, and to whom.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: String,
    /// Names that clients may use for this machine besides `localhost` and any address.
    pub hosts: Vec<String>,
    /// What clients have to show: whoever has it, drives the agent.
    pub token: Secret,
    /// The session's id.
    pub session: SessionId,
    /// Names this run; another one for each start.
    pub run: String,
    /// The path of a local socket where other sessions of this machine's user can leave messages, if
    /// there is to be one (A-3).
    pub peers: Option<String>,
    /// The agent.
    pub agent: ProcessSpec,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
}

/// What a program asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServeCommand {
    /// End the agent, then the server.
    Shutdown,
    /// At once.
    ShutdownNow,
}

/// What it tells a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServeNotice {
    /// Clients can connect.
    Listening {
        /// The address it was given.
        address: String,
    },
    /// The agent is running.
    AgentStarted {
        /// Its process.
        pid: u32,
    },
    /// So many clients are connected.
    Clients {
        /// How many.
        connected: usize,
    },
    /// A client was cut, because it was silent, too slow, or broke the protocol.
    Cut,
    /// So many questions of the agent are open.
    Waiting {
        /// How many.
        questions: usize,
    },
    /// Whether other sessions can leave messages.
    Peers {
        /// Why not, if they cannot.
        failure: Option<String>,
    },
    /// What could not be ended of everything that the agent had started.
    Survived {
        /// Each by its process id and name.
        processes: Vec<String>,
    },
}

/// The machine.
#[derive(Debug)]
pub struct Serve {
    runner: Runner<Serving>,
}

delegate_machine!(Serve, ServeCommand, ServeNotice);

impl Serve {
    /// Listens with its first step; the agent starts once it does.
    pub fn new(config: ServeConfig) -> Self {
        let mut cx = Cx::new();
        let (address, limits) = (config.listen.clone(), listen_limits());
        let listener = cx.fx.start(Purpose::Listener, |op| Action::Listen { op, address, limits });
        let door = Door::new(Site::local(&config.hosts), &config.token, config.session.clone());
        let agent = Agent::new(config.grace, Callbacks::Answered);
        let role = Serving {
            config,
            door,
            listener,
            accepts: BTreeSet::new(),
            peer_listener: None,
            peers: None,
            peer_accepts: BTreeSet::new(),
            stage: Stage::Binding,
            agent,
            log: Log::default(),
            clients: BTreeMap::new(),
            known: Known::default(),
            next_key: 1,
            waiting: 0,
        };
        Self { runner: Runner::new(role, cx) }
    }
}

/// All clients are people of this machine, or strangers.
const fn listen_limits() -> ListenLimits {
    const fn limits(total: usize, grace: Duration, bytes_per_second: u32) -> ConnectionLimits {
        let reading = Pace { grace, bytes_per_second };
        ConnectionLimits { total, per_address: total, reading }
    }
    ListenLimits {
        head_time: HEAD_TIME,
        strangers: limits(2 * MAX_DIRECT_CLIENTS, STRANGER_READ_GRACE, STRANGER_READ_RATE),
        strangers_requests: MAX_STRANGERS_REQUESTS,
        strangers_pause: STRANGERS_PAUSE,
        workers: limits(1, CLIENT_READ_GRACE, CLIENT_READ_RATE),
        people: limits(2 * MAX_DIRECT_CLIENTS, CLIENT_READ_GRACE, CLIENT_READ_RATE),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Listener,
    Accept,
    Exchange,
    PeerListener,
    PeerAccept,
    /// A message of another session, whose body is read.
    PeerMessage,
    Client,
    /// A client that has been told that it is over.
    Closing,
    Agent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Agent,
    Client(OpId),
    /// `Accept` has failed: when to try again.
    Refill,
    /// The last lines are no longer waited for.
    Flush,
}

/// How far the server has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Binding,
    Serving,
    /// The agent is to end.
    Stopping,
    /// The agent has ended, and clients get the last lines.
    Flushing(Result<(), String>),
}

#[derive(Debug)]
struct Serving {
    config: ServeConfig,
    door: Door,
    listener: OpId,
    accepts: BTreeSet<OpId>,
    /// Where other sessions connect, and the same once they can.
    peer_listener: Option<OpId>,
    peers: Option<OpId>,
    peer_accepts: BTreeSet<OpId>,
    stage: Stage,
    agent: Agent,
    log: Log,
    clients: BTreeMap<OpId, Client>,
    known: Known,
    next_key: ClientKey,
    /// What was last told of open questions.
    waiting: usize,
}

impl Serving {
    fn requested(&mut self, cx: &mut Cx, op: OpId, request: &IncomingRequest) {
        self.accepts.remove(&op);
        cx.fx.repurpose(op, Purpose::Exchange);
        match self.door.check(request, self.clients.len()) {
            Ok(protocol) => {
                cx.fx.act(op, |op| Action::Vouch { op, standing: Standing::Person });
                let selected = match protocol {
                    door::Protocol::Resuming => Some(String::from(PROTOCOL)),
                    door::Protocol::Plain => None,
                };
                let max_message = MAX_MESSAGE;
                cx.fx.repurpose(op, Purpose::Client);
                cx.fx.act(op, |op| Action::Upgrade { op, protocol: selected, max_message });
                self.clients.insert(op, Client::new(op, self.next_key, protocol));
                self.next_key += 1;
            }
            Err(refusal) => Self::reply(cx, op, refusal.response()),
        }
    }

    fn refill(&mut self, cx: &mut Cx) {
        while self.stage == Stage::Serving
            && !cx.timers.is_set(&Timer::Refill)
            && self.accepts.len() < DIRECT_ACCEPTS
        {
            let listener = self.listener;
            let op = cx.fx.start(Purpose::Accept, |op| Action::Accept { op, listener });
            self.accepts.insert(op);
        }
        while self.stage == Stage::Serving
            && !cx.timers.is_set(&Timer::Refill)
            && self.peer_accepts.len() < PEER_ACCEPTS
            && let Some(listener) = self.peers
        {
            let op = cx.fx.start(Purpose::PeerAccept, |op| Action::Accept { op, listener });
            self.peer_accepts.insert(op);
        }
    }

    /// Another session has something to say.
    fn peer_asks(&mut self, cx: &mut Cx, op: OpId, request: &IncomingRequest) {
        self.peer_accepts.remove(&op);
        if request.method != Method::Post || request.target != "/v1/peer" {
            let message = "this socket takes POST /v1/peer";
            let refusal = ApiError::new(404, ErrorType::NotFound, message);
            return Self::reply(cx, op, refusal.response());
        }
        cx.fx.repurpose(op, Purpose::PeerMessage);
        cx.fx.act(op, |op| Action::Vouch { op, standing: Standing::Person });
        let pace = Pace { grace: CLIENT_READ_GRACE, bytes_per_second: CLIENT_READ_RATE };
        // Its text may take more as JSON.
        let max_body = 6 * MAX_PEER_BODY_BYTES;
        cx.fx.act(op, |op| Action::ReadBody { op, max_body, pace });
    }

    /// All of it has come.
    fn peer_says(&mut self, cx: &mut Cx, op: OpId, body: &Body) {
        let envelope = match body {
            Body::Whole(json) => Envelope::parse(json).map_err(|error| ApiError::invalid(&error)),
            Body::Unread { .. } | Body::TooLarge => Err(ApiError::body_too_large()),
            Body::Malformed => Err(ApiError::body_malformed()),
        };
        let response = match envelope {
            Ok(_) if self.stage != Stage::Serving => ApiError::unavailable().response(),
            Ok(envelope) => {
                let out = self.agent.told(&mut cx.fx, &envelope);
                self.publish(out);
                let body = Bytes::from_static(b"{\"accepted\":true}");
                let headers = Vec::from([("content-type".into(), "application/json".into())]);
                Response { status: 202, headers, body }
            }
            Err(refusal) => refusal.response(),
        };
        Self::reply(cx, op, response);
    }

    fn reply(cx: &mut Cx, op: OpId, response: Response) {
        cx.fx.act(op, |op| Action::Reply { op, response });
        cx.fx.forget(op);
    }

    fn on_client(&mut self, cx: &mut Cx, event: Event) {
        let Some(op) = event.op() else { return };
        let now = cx.fx.now().mono;
        let Some(client) = self.clients.get_mut(&op) else { return };
        match event {
            Event::Opened { .. } => {
                if client.opened(cx, &self.log) {
                    for question in self.agent.open_questions(client.key) {
                        client.tell(cx, question.clone());
                    }
                }
                self.tell_clients(cx);
            }
            Event::Received { message, .. } => {
                client.heard(now);
                match message {
                    Message::Text(text) => {
                        for line in text.lines() {
                            self.heard(cx, op, &line);
                        }
                    }
                    Message::Binary(data) => self.control(cx, op, &data),
                }
            }
            Event::Sent { messages, .. } => client.sent(now, messages),
            Event::Closed { .. } | Event::Failed { .. } => {
                cx.fx.finish(op);
                self.gone(cx, op);
            }
            _ => {}
        }
    }

    fn heard(&mut self, cx: &mut Cx, op: OpId, line: &crate::base::text::Text) {
        // It may have been cut by what came before.
        let Some(client) = self.clients.get_mut(&op).filter(|client| client.may_speak()) else {
            return;
        };
        let key = client.key;
        client.took(cx, &mut self.known);
        if self.stage == Stage::Serving {
            let out = self.agent.heard(&mut cx.fx, key, line);
            self.publish(out);
        }
    }

    fn control(&mut self, cx: &mut Cx, op: OpId, data: &[u8]) {
        let (agent, log, known) = (&self.agent, &self.log, &mut self.known);
        let run = &self.config.run;
        let Some(client) = self.clients.get_mut(&op) else { return };
        match client.control(cx, data, log, known, run, |key| agent.raw_questions(key)) {
            Heard::Nothing => {}
            Heard::Wrong => {
                client.close(cx, PROTOCOL_ERROR);
                cx.fx.notify(ServeNotice::Cut);
                self.gone(cx, op);
            }
            Heard::Resumed(key) => {
                let is_old = |client: &&Client| client.key == key && client.op != op;
                if let Some(old) = self.clients.values().find(is_old).map(|client| client.op)
                    && let Some(client) = self.clients.get(&old)
                {
                    client.close(cx, REPLACED);
                    self.gone(cx, old);
                }
                self.agent.came(key);
            }
        }
    }

    fn gone(&mut self, cx: &mut Cx, op: OpId) {
        if let Some(client) = self.clients.remove(&op) {
            cx.timers.clear(&Timer::Client(op));
            let out = self.agent.left(&mut cx.fx, client.key, client.is_resumed());
            self.publish(out);
            self.tell_clients(cx);
        }
    }

    fn tell_clients(&self, cx: &mut Cx) {
        cx.fx.notify(ServeNotice::Clients { connected: self.clients.len() });
    }

    fn publish(&mut self, out: Out) {
        for (line, audience) in out {
            self.log.push(line, audience);
        }
    }

    fn on_agent(&mut self, cx: &mut Cx, turns: Vec<Turn>) {
        for turn in turns {
            match turn {
                Turn::Started { pid } => {
                    self.log.push(LogMessage::AgentStarted { pid }.to_line(), Audience::All);
                    cx.fx.notify(ServeNotice::AgentStarted { pid });
                }
                Turn::Said(out) => self.publish(out),
                Turn::Survived(processes) => cx.fx.notify(ServeNotice::Survived { processes }),
                Turn::Over(result) => self.agent_over(cx, result),
            }
        }
    }

    fn agent_over(&mut self, cx: &mut Cx, result: Result<Option<ExitStatus>, String>) {
        let (outcome, message, status) = match result {
            Err(reason) => {
                let message = format!("the agent could not be started: {reason}");
                (Err(message.clone()), message, None)
            }
            Ok(status) => {
                let how = status.map_or_else(|| "did not end".into(), |it| format!("{it}"));
                let message = format!("the agent has ended ({how})");
                let is_well = status.is_some_and(ExitStatus::is_success);
                let tail = self.agent.process.stderr_tail();
                let tail = if tail.is_empty() { tail } else { format!(": {tail}") };
                let is_well = is_well || self.stage == Stage::Stopping;
                let outcome = if is_well { Ok(()) } else { Err(format!("{message}{tail}")) };
                (outcome, message, status)
            }
        };
        let out = self.agent.over();
        self.publish(out);
        let (exit_code, signal) = match status {
            Some(ExitStatus::Code(code)) => (Some(code), None),
            Some(ExitStatus::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        let message = message.into();
        let exited = LogMessage::AgentExited {
            message,
            exit_code,
            signal,
            delivered: None,
            attempted: None,
        };
        self.log.push(exited.to_line(), Audience::All);
        cx.fx.cancel(self.listener);
        let accepts = core::mem::take(&mut self.accepts);
        let peers =
            core::mem::take(&mut self.peer_accepts).into_iter().chain(self.peer_listener.take());
        self.peers = None;
        accepts.into_iter().chain(peers).for_each(|op| cx.fx.cancel(op));
        self.stage = Stage::Flushing(outcome);
        cx.set_timer(Timer::Flush, DIRECT_FLUSH);
    }

    /// Everybody has what there was, or the time for it is over.
    fn end(&mut self, cx: &mut Cx, outcome: Result<(), String>) {
        let fault = |message| MachineError { kind: MachineErrorKind::Local, message };
        cx.fx.end(outcome.map_err(fault));
    }
}

impl Role for Serving {
    type Command = ServeCommand;
    type Notice = ServeNotice;
    type Purpose = Purpose;
    type Timer = Timer;

    fn on_command(&mut self, cx: &mut Cx, command: ServeCommand) {
        match (&self.stage, command) {
            (Stage::Binding, _) => cx.fx.end(Ok(())),
            (Stage::Serving | Stage::Stopping, ServeCommand::Shutdown) => {
                self.stage = Stage::Stopping;
                self.agent.process.terminate(&mut cx.fx);
            }
            (Stage::Serving | Stage::Stopping, ServeCommand::ShutdownNow) => {
                self.stage = Stage::Stopping;
                self.agent.process.kill(&mut cx.fx);
            }
            (Stage::Flushing(_), _) => self.end(cx, Ok(())),
        }
    }

    fn on_event(&mut self, cx: &mut Cx, event: Event) {
        let Some(op) = event.op() else { return };
        match (cx.fx.purpose(op), event) {
            (Some(Purpose::Listener), Event::Listening { address, .. }) => {
                self.stage = Stage::Serving;
                cx.fx.notify(ServeNotice::Listening { address });
                if let Some(path) = &self.config.peers {
                    let (address, limits) = (format!("unix:{path}"), listen_limits());
                    let purpose = Purpose::PeerListener;
                    let op = cx.fx.start(purpose, |op| Action::Listen { op, address, limits });
                    self.peer_listener = Some(op);
                }
                let command = self.config.agent.clone();
                self.agent.start(&mut cx.fx, Purpose::Agent, command);
            }
            (Some(Purpose::Listener), Event::Failed { failure, .. }) => {
                cx.fx.finish(op);
                let listen = &self.config.listen;
                let message = format!(
                    "cannot listen on {listen} ({failure}): choose another address with a free port, or stop what uses it"
                );
                self.end(cx, Err(message));
            }
            (Some(Purpose::PeerListener), Event::Listening { .. }) => {
                self.peers = Some(op);
                cx.fx.notify(ServeNotice::Peers { failure: None });
            }
            (Some(Purpose::PeerListener), Event::Failed { failure, .. }) => {
                cx.fx.finish(op);
                self.peer_listener = None;
                cx.fx.notify(ServeNotice::Peers { failure: Some(format!("{failure}")) });
            }
            (Some(Purpose::PeerAccept), Event::Requested { request, .. }) => {
                self.peer_asks(cx, op, &request);
            }
            (Some(Purpose::PeerAccept), Event::Failed { .. }) => {
                cx.fx.finish(op);
                self.peer_accepts.remove(&op);
                cx.set_timer(Timer::Refill, Duration::from_secs(1));
            }
            (Some(Purpose::PeerMessage), Event::BodyRead { body, .. }) => {
                self.peer_says(cx, op, &body);
            }
            (Some(Purpose::Accept), Event::Requested { request, .. }) => {
                self.requested(cx, op, &request);
            }
            (Some(Purpose::Accept), Event::Failed { .. }) => {
                cx.fx.finish(op);
                self.accepts.remove(&op);
                cx.set_timer(Timer::Refill, Duration::from_secs(1));
            }
            (Some(Purpose::Exchange | Purpose::PeerMessage | Purpose::Closing), event)
                if event.is_last() =>
            {
                cx.fx.finish(op);
            }
            (Some(Purpose::Client), event) => self.on_client(cx, event),
            (Some(Purpose::Agent), event) => {
                let turns = self.agent.handle(&mut cx.fx, event);
                self.on_agent(cx, turns);
            }
            _ => {}
        }
    }

    fn on_timer(&mut self, cx: &mut Cx, timer: Timer) {
        match timer {
            Timer::Agent => {
                let turns = self.agent.on_time(&mut cx.fx);
                self.on_agent(cx, turns);
            }
            Timer::Client(op) => {
                if let Some(client) = self.clients.get_mut(&op)
                    && client.on_time(cx)
                {
                    client.cut(cx);
                    cx.fx.notify(ServeNotice::Cut);
                    self.gone(cx, op);
                }
            }
            Timer::Refill => {}
            Timer::Flush => {
                if let Stage::Flushing(outcome) = self.stage.clone() {
                    self.end(cx, outcome);
                }
            }
        }
    }

    fn settle(&mut self, cx: &mut Cx) {
        if cx.fx.is_ended() {
            return;
        }
        let is_full = self.agent.is_full();
        let mut behind = Vec::new();
        for client in self.clients.values_mut() {
            client.balance(cx, is_full);
            if client.pump(cx, &self.log) {
                behind.push(client.op);
            }
        }
        for op in behind {
            if let Some(client) = self.clients.get(&op) {
                client.cut(cx);
                cx.fx.notify(ServeNotice::Cut);
            }
            self.gone(cx, op);
        }
        if let Stage::Flushing(outcome) = self.stage.clone() {
            let done: Vec<OpId> =
                self.clients.values().filter(|it| it.has_all(&self.log)).map(|it| it.op).collect();
            for op in done {
                if let Some(client) = self.clients.get(&op) {
                    client.close(cx, ENDED);
                }
                self.gone(cx, op);
            }
            if self.clients.is_empty() && !cx.fx.has_open() {
                return self.end(cx, outcome);
            }
        }
        let questions = self.agent.waiting();
        if core::mem::replace(&mut self.waiting, questions) != questions {
            cx.fx.notify(ServeNotice::Waiting { questions });
        }
        self.refill(cx);
        for client in self.clients.values() {
            match client.deadline() {
                Some(at) => cx.timers.set(Timer::Client(client.op), at),
                None => cx.timers.clear(&Timer::Client(client.op)),
            }
        }
        match self.agent.deadline() {
            Some(at) => cx.timers.set(Timer::Agent, at),
            None => cx.timers.clear(&Timer::Agent),
        }
    }
}
