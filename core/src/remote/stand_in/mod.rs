//! Stands in for an agent's program on stdio, so that any program which drives such an agent drives a
//! session somewhere else, unchanged (R-7, M-6).
//!
//! ```text
//!   SDK ── stdin: messages, requests, answers ──▶ ┌─────────┐ ──▶ POST …/messages, permission, callback
//!                                                 │ StandIn │
//!       ◀── stdout: what the agent says to it ─── └─────────┘ ◀── the session's events
//! ```
//!
//! The program sees its agent and nobody else's traffic: the answers to its own requests, its agent's
//! messages, and the questions that it may answer, also those that were open when it came. What another
//! viewer answers is withdrawn. A connection that breaks, and a relay that restarts, cost it time.
//!
//! Once its input has ended, this goes on until the agent has done what it was told. A session that was
//! made for the program ends with it.

mod input;
mod last_words;
mod stdio;

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Serialize;

use self::input::Input;
use self::last_words::LastWords;
use self::stdio::Stdio;
use super::config::RemoteConfig;
use super::cx::{Purpose, Timer};
use super::notice::{Asked, RemoteCommand, RemoteEvent, RemoteNotice, Sent};
use super::turns::Turns;
use super::viewer::{Telling, Viewer};
use crate::base::limits::{
    HOST_IDLE, HOST_QUIT, MAX_HOST_REQUESTS, MAX_LINE_BYTES, MAX_RECENT_UUIDS,
};
use crate::base::text::Text;
use crate::contract::action::Message;
use crate::contract::event::{Event, ExitStatus};
use crate::contract::machine::{MachineError, MachineErrorKind, Outcome};
use crate::engine::runner::{self, Role, Runner, Slept, delegate_machine};
use crate::transport::dedupe::Recent;
use crate::wire::control;
use crate::wire::log_message::LogMessage;
use crate::wire::message::{Head, Kind};
use crate::wire::ndjson::Line;
use crate::wire::session::{ResultStatus, SessionResult, SessionState};
use crate::wire::to_text;
use crate::wire::viewer::{Behavior, Origin, PermissionPost, SessionView};

type Engine = runner::Cx<Purpose, Timer, RemoteNotice>;

/// What it is told when it is made.
#[derive(Clone, Debug)]
pub struct StandInConfig {
    /// The session. Whatever it says of when to end is not looked at.
    pub remote: RemoteConfig,
    /// Whether the session was made for the program, and ends with it.
    pub is_own: bool,
    /// Whether the program wants to see messages to the agent repeated.
    pub shows_replays: bool,
    /// Whether it wants to see parts of messages.
    pub shows_partials: bool,
    /// MCP servers of the program's own that it names nowhere but on its agent's command line.
    pub servers: Vec<String>,
    /// What the agent is told before anything else.
    pub opening: Vec<Text>,
}

/// What its own program asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandInCommand {
    /// To end: whoever drives it does not want it any more.
    Shutdown,
}

/// The machine. Its notices are for people: what the program hears is on stdout.
#[derive(Debug)]
pub struct StandIn {
    runner: Runner<Standing>,
}

delegate_machine!(StandIn, StandInCommand, RemoteNotice);

impl StandIn {
    /// Connects with its first step.
    pub fn new(config: StandInConfig) -> Self {
        let StandInConfig { mut remote, is_own, shows_replays, shows_partials, servers, opening } =
            config;
        remote.ends_with_session = true;
        let mut engine = Engine::new();
        let stdio = Stdio::open(&mut engine);
        let mut viewer = Viewer::new(remote, &mut engine);
        for line in opening {
            viewer.command(&mut engine, RemoteCommand::Send(line));
        }
        let standing = Standing {
            viewer,
            stdio,
            is_own,
            shows_replays,
            shows_partials,
            servers,
            requests: BTreeSet::new(),
            questions: BTreeMap::new(),
            callbacks: BTreeMap::new(),
            answered: BTreeMap::new(),
            own_names: Recent::new(MAX_RECENT_UUIDS),
            posted: Recent::new(MAX_RECENT_UUIDS),
            turns: Turns::default(),
            failed: None,
            result: None,
            words: LastWords::default(),
            owed: Vec::new(),
            stage: Stage::Serving,
        };
        Self { runner: Runner::new(standing, engine) }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Stage {
    Serving,
    /// The program's input has ended, and its last turn has not.
    Finishing,
    /// It is done: what waits is sent.
    Leaving,
    /// Its last lines are being read.
    Flushing(Outcome),
}

/// What the program is still to be told.
#[derive(Debug)]
enum Owed {
    /// That a request of its has no answer.
    Answer { request_id: String, why: String },
    /// That a message of its has no result.
    Failure { why: String },
}

/// The role.
#[derive(Debug)]
struct Standing {
    viewer: Viewer,
    stdio: Stdio,
    is_own: bool,
    shows_replays: bool,
    shows_partials: bool,
    servers: Vec<String>,
    /// The program's requests that were not answered.
    requests: BTreeSet<String>,
    /// What the program is asked: by the agent, for a person.
    questions: BTreeMap<String, Asked>,
    /// And for its own hooks and MCP servers, with their events.
    callbacks: BTreeMap<String, u64>,
    /// Those whose answer is on its way.
    answered: BTreeMap<String, u64>,
    /// The names that the program itself has given its messages.
    own_names: Recent,
    /// The names of the messages that anybody has sent.
    posted: Recent,
    turns: Turns,
    /// Why the last message of the program had no turn, if it had none.
    failed: Option<String>,
    /// How the session has ended.
    result: Option<SessionResult>,
    /// What the agent says of its end.
    words: LastWords,
    /// What has died with the agent and is said only once it is known that its program lives on: one
    /// whose agent fails reads that from an exit code, as it would of its own.
    owed: Vec<Owed>,
    stage: Stage,
}

impl Role for Standing {
    type Command = StandInCommand;
    type Notice = RemoteNotice;
    type Purpose = Purpose;
    type Timer = Timer;

    fn on_command(&mut self, engine: &mut Engine, command: StandInCommand) {
        match command {
            StandInCommand::Shutdown => {
                self.leave(engine);
                // Whoever started it may kill it soon, and may have stopped reading.
                if !engine.timers.is_set(&Timer::Quit) {
                    engine.set_timer(Timer::Quit, HOST_QUIT);
                }
            }
        }
    }

    fn on_event(&mut self, engine: &mut Engine, event: Event) {
        let purpose = event.op().and_then(|op| engine.fx.purpose(op));
        match purpose {
            Some(Purpose::Stdio) => self.on_stdio(engine, event),
            Some(_) => self.viewer.on_event(engine, Telling::All, event),
            None => {}
        }
    }

    fn on_timer(&mut self, engine: &mut Engine, timer: Timer) {
        match timer {
            Timer::Idle => {
                self.turns.clear();
                self.finish_if_done(engine);
            }
            Timer::Flush => self.end(engine),
            Timer::Quit => match &self.stage {
                Stage::Flushing(outcome) => engine.fx.end(outcome.clone()),
                _ => engine.fx.end(Ok(())),
            },
            _ => self.viewer.on_timer(engine, timer),
        }
    }

    fn on_wake(&mut self, engine: &mut Engine, _: Slept) {
        self.viewer.on_wake(engine);
    }

    fn settle(&mut self, engine: &mut Engine) {
        loop {
            self.finish_if_done(engine);
            self.viewer.settle(engine);
            let told = self.viewer.take_told();
            if told.is_empty() {
                break;
            }
            for notice in told {
                self.told(engine, notice);
            }
        }
        if engine.fx.is_ended() {
            return self.viewer.hold(engine);
        }
        if matches!(self.stage, Stage::Flushing(_)) {
            return;
        }
        if let Some(outcome) = self.viewer.ended().cloned() {
            return self.ended(engine, outcome);
        }
        let is_behind = self.stdio.is_behind();
        self.viewer.pause(engine, is_behind);
        let is_full = !self.viewer.has_room() || self.requests.len() >= MAX_HOST_REQUESTS;
        self.stdio.pause_input(engine, is_full);
    }
}

impl Standing {
    fn on_stdio(&mut self, engine: &mut Engine, event: Event) {
        match event {
            Event::Received { message: Message::Binary(chunk), .. } => {
                for line in self.stdio.split(&chunk) {
                    self.line(engine, line);
                }
                if chunk.is_empty() && self.stage == Stage::Serving {
                    self.input_ended(engine);
                }
            }
            Event::Sent { messages, .. } => self.stdio.sent(messages),
            Event::Closed { op, .. } => {
                engine.fx.finish(op);
                match self.stage {
                    Stage::Flushing(_) => self.end(engine),
                    // Nobody reads what the agent says.
                    _ => self.leave(engine),
                }
            }
            Event::Failed { op, failure } => {
                engine.fx.finish(op);
                let message = format!("cannot use the standard input and output: {failure}");
                engine.fx.end(Err(MachineError { kind: MachineErrorKind::Local, message }));
            }
            _ => {}
        }
    }

    /// A line of the program.
    fn line(&mut self, engine: &mut Engine, line: Line) {
        let text = match line {
            Line::Whole(bytes) => Text::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()),
            Line::TooLong { bytes, .. } => {
                Err(format!("it has {bytes} bytes, more than {MAX_LINE_BYTES}"))
            }
        };
        let input = text.and_then(|line| Input::read(&line));
        let command = match input {
            Ok(Input::Message { line, uuid, is_prompt }) => {
                if let Some(uuid) = &uuid {
                    self.own_names.insert(uuid);
                }
                let (line, uuid) = match uuid {
                    Some(uuid) => (line, uuid),
                    None => self.viewer.named(&line),
                };
                if is_prompt {
                    self.turns.said(uuid);
                }
                RemoteCommand::Send(line)
            }
            Ok(Input::Request { line, request_id }) => {
                self.requests.insert(request_id);
                RemoteCommand::Send(input::declaring(&line, &self.servers))
            }
            Ok(Input::Answer { request_id, answer }) => {
                match self.answer(&request_id, answer) {
                    Some(command) => command,
                    // Too late, or to nothing that was asked.
                    None => return,
                }
            }
            Err(reason) => {
                let reason = format!("skipped a line of standard input: {reason}");
                // It may have been a message, whose result the program would wait for.
                self.print_failure(engine, &reason);
                let (sent, status) = (Sent::Unreadable, None);
                return engine.fx.notify(RemoteNotice::Refused { sent, status, reason });
            }
        };
        self.viewer.command(engine, command);
    }

    /// The program's answer to what the agent has asked it.
    fn answer(&mut self, request_id: &str, answer: Result<Text, String>) -> Option<RemoteCommand> {
        if let Some(seq) = self.callbacks.remove(request_id) {
            let request_id = request_id.to_owned();
            if self.answered.len() < MAX_HOST_REQUESTS {
                self.answered.insert(request_id.clone(), seq);
            }
            return Some(RemoteCommand::AnswerCallback { request_id, seq, answer });
        }
        let asked = self.questions.remove(request_id)?;
        let answer = answer.and_then(|answer| input::permission(request_id, &answer));
        let mut answer = answer.unwrap_or_else(|error| deny(request_id, error));
        answer.seq = Some(asked.seq);
        Some(RemoteCommand::Answer(answer))
    }

    fn input_ended(&mut self, engine: &mut Engine) {
        self.stage = Stage::Finishing;
        if self.is_own {
            // Nobody else was asked to look at it.
            for (request_id, asked) in core::mem::take(&mut self.questions) {
                self.deny_alone(engine, &request_id, asked.seq);
            }
        }
    }

    fn deny_alone(&mut self, engine: &mut Engine, request_id: &str, seq: u64) {
        let mut answer = deny(request_id, "the client that was asked has gone".to_owned());
        answer.seq = Some(seq);
        self.viewer.command(engine, RemoteCommand::Answer(answer));
    }

    /// Leaves, if the program's input has ended and everything that it has said had its turn.
    fn finish_if_done(&mut self, engine: &mut Engine) {
        let is_done = self.turns.is_empty() && self.owed.is_empty() && self.viewer.is_sent();
        if self.stage == Stage::Finishing && is_done {
            self.leave(engine);
        }
    }

    fn leave(&mut self, engine: &mut Engine) {
        if matches!(self.stage, Stage::Serving | Stage::Finishing) {
            self.stage = Stage::Leaving;
            if self.is_own {
                self.viewer.command(engine, RemoteCommand::Stop);
            }
            self.viewer.command(engine, RemoteCommand::Disconnect);
        }
    }

    /// Nothing comes of the session any more.
    fn ended(&mut self, engine: &mut Engine, outcome: Outcome) {
        let (why, outcome) = match (outcome, self.result.take()) {
            (Err(error), _) => (error.message.clone(), Err(error)),
            (Ok(()), Some(result)) if self.stage != Stage::Leaving => {
                let message = format!("the session has ended: {}", result.message);
                if self.agent_over(engine, &result) {
                    self.requests.clear();
                    self.turns.clear();
                    self.owed.clear();
                }
                let why = self.words.of_session(&message);
                let is_well = result.status == ResultStatus::Completed && self.turns.is_empty();
                let error = MachineError { kind: MachineErrorKind::NotFound, message };
                (why, if is_well { Ok(()) } else { Err(error) })
            }
            (Ok(()), _) => match self.failed.take() {
                Some(message) => {
                    let kind = MachineErrorKind::NotFound;
                    (message.clone(), Err(MachineError { kind, message }))
                }
                None => (String::new(), Ok(())),
            },
        };
        self.pay(engine);
        for request_id in core::mem::take(&mut self.requests) {
            self.print(engine, &control::error(&request_id, &why));
        }
        if !self.turns.is_empty() && outcome.is_err() {
            self.print_failure(engine, &why);
        }
        self.stage = Stage::Flushing(outcome);
        if !self.stdio.close(engine) {
            self.end(engine);
        }
    }

    /// How its agent has ended. Returns whether it has failed: this ends likewise then.
    fn agent_over(&mut self, engine: &mut Engine, result: &SessionResult) -> bool {
        if let Some(text) = self.words.result(result) {
            engine.fx.notify(RemoteNotice::AgentStderr { text });
        }
        let status = match (result.exit_code, result.signal) {
            (Some(0) | None, None) => None,
            (Some(code), _) => Some(ExitStatus::Code(code)),
            (None, Some(signal)) => Some(ExitStatus::Signal(signal)),
        };
        let status = status.filter(|_| result.status == ResultStatus::Failed);
        if let Some(status) = status {
            engine.fx.notify(RemoteNotice::AgentFailed { status });
        }
        status.is_some()
    }

    fn owe(&mut self, engine: &mut Engine, owed: Owed) {
        self.owed.push(owed);
        if !self.words.is_over() {
            self.pay(engine);
        }
    }

    /// Tells the program what it is owed.
    fn pay(&mut self, engine: &mut Engine) {
        for owed in core::mem::take(&mut self.owed) {
            match owed {
                Owed::Answer { request_id, why } => {
                    self.print(engine, &control::error(&request_id, &why));
                }
                Owed::Failure { why } => self.print_failure(engine, &why),
            }
        }
    }

    fn end(&self, engine: &mut Engine) {
        if let Stage::Flushing(outcome) = &self.stage {
            engine.fx.end(outcome.clone());
        }
    }

    fn print(&mut self, engine: &mut Engine, line: &Text) {
        if !matches!(self.stage, Stage::Flushing(_)) {
            self.stdio.print(engine, line);
        }
    }

    /// A result for a message that will have none.
    fn print_failure(&mut self, engine: &mut Engine, why: &str) {
        #[derive(Serialize)]
        struct Failure<'a> {
            r#type: &'static str,
            subtype: &'static str,
            is_error: bool,
            duration_ms: u64,
            duration_api_ms: u64,
            num_turns: u64,
            session_id: &'a str,
            uuid: String,
            errors: [&'a str; 1],
        }
        self.failed = Some(why.to_owned());
        let (uuid, session) = self.viewer.names();
        let failure = to_text(&Failure {
            r#type: "result",
            subtype: "error_during_execution",
            is_error: true,
            duration_ms: 0,
            duration_api_ms: 0,
            num_turns: 0,
            session_id: session.as_str(),
            uuid,
            errors: [why],
        });
        self.print(engine, &failure);
    }

    fn told(&mut self, engine: &mut Engine, notice: RemoteNotice) {
        match &notice {
            RemoteNotice::Event(event) => return self.event(engine, event),
            RemoteNotice::Session(session) => self.session(engine, session),
            RemoteNotice::PermissionAsked(asked) => self.asked(engine, asked),
            RemoteNotice::PermissionWithdrawn { request_id, .. }
                if self.questions.remove(request_id).is_some() =>
            {
                self.print(engine, &control::cancel_request(request_id));
            }
            RemoteNotice::CallbackAsked { request_id, seq, message } => {
                self.callbacks.insert(request_id.clone(), *seq);
                self.print(engine, message);
            }
            RemoteNotice::CallbackWithdrawn { request_id, .. }
                if self.callbacks.remove(request_id).is_some() =>
            {
                self.print(engine, &control::cancel_request(request_id));
            }
            RemoteNotice::Accepted { sent: Sent::Callback { request_id }, .. } => {
                self.answered.remove(request_id);
            }
            RemoteNotice::Accepted { sent: Sent::Message { uuid, request_id: None }, seq } => {
                self.turns.accepted(uuid, *seq);
            }
            RemoteNotice::Refused { sent, status, reason } => {
                self.refused(engine, sent, *status, reason);
            }
            _ => {}
        }
        engine.fx.notify(notice);
    }

    fn asked(&mut self, engine: &mut Engine, asked: &Asked) {
        if self.stage == Stage::Serving {
            self.print(engine, &asked.message);
            self.questions.insert(asked.request_id.clone(), asked.clone());
        } else if self.is_own {
            self.deny_alone(engine, &asked.request_id, asked.seq);
        }
    }

    /// Something of the program was not taken.
    fn refused(&mut self, engine: &mut Engine, sent: &Sent, status: Option<u16>, reason: &str) {
        match sent {
            Sent::Message { request_id: Some(request_id), .. }
                if self.requests.remove(request_id) =>
            {
                self.print(engine, &control::error(request_id, reason));
            }
            Sent::Message { uuid, request_id: None } if self.turns.give_up(uuid) => {
                self.print_failure(engine, reason);
            }
            // The agent would wait for ever.
            Sent::Answer { request_id } if status == Some(400) => {
                let answer = deny(request_id, reason.to_owned());
                self.viewer.command(engine, RemoteCommand::Answer(answer));
            }
            // So would it for a hook; it takes no answer for a *no*.
            Sent::Callback { request_id } if status == Some(400) => {
                if let Some(seq) = self.answered.remove(request_id) {
                    let (request_id, answer) = (request_id.clone(), Err(reason.to_owned()));
                    let again = RemoteCommand::AnswerCallback { request_id, seq, answer };
                    self.viewer.command(engine, again);
                }
            }
            Sent::Answer { .. } | Sent::Callback { .. } if status == Some(403) => {
                let (kind, message) = (MachineErrorKind::Forbidden, reason.to_owned());
                self.ended(engine, Err(MachineError { kind, message }));
            }
            _ => {}
        }
    }

    /// The session as it is now.
    fn session(&mut self, engine: &mut Engine, session: &SessionView<'_>) {
        if session.state == SessionState::Ended {
            self.result = Some(session.result.as_deref().cloned().unwrap_or(SessionResult {
                status: ResultStatus::Lost,
                exit_code: None,
                signal: None,
                message: String::new(),
                stderr: String::new(),
            }));
        }
        // An agent may say nothing at the end of its turn.
        let is_idle = session.state == SessionState::Running
            && !session.working
            && session.pending_permissions.is_empty()
            && self.turns.are_seen(session.receipts.seen);
        match is_idle && self.stage == Stage::Finishing && !self.turns.is_empty() {
            true if engine.timers.is_set(&Timer::Idle) => {}
            true => engine.set_timer(Timer::Idle, HOST_IDLE),
            false => engine.timers.clear(&Timer::Idle),
        }
    }

    /// Something happened in the session: prints it, if the agent said it to this program.
    fn event(&mut self, engine: &mut Engine, event: &RemoteEvent) {
        let RemoteEvent { seq, from, message, .. } = event;
        match from {
            Origin::Agent => self.agent_said(engine, *seq, message),
            Origin::Worker => {
                self.heard_of_agent(engine, message);
                self.noted(engine, message);
            }
            Origin::Relay => self.noted(engine, message),
            Origin::Viewer => {
                if let Some(uuid) = Head::parse(message).ok().and_then(|head| head.uuid) {
                    self.posted.insert(&uuid);
                }
            }
        }
    }

    fn agent_said(&mut self, engine: &mut Engine, seq: u64, message: &Text) {
        let Ok(head) = Head::parse(message) else { return };
        let is_for_it = match head.kind() {
            // Those that it may answer are printed when it is asked.
            Kind::ControlRequest | Kind::ControlCancelRequest => false,
            Kind::ControlResponse => {
                head.request_id.as_deref().is_some_and(|id| self.requests.remove(id))
            }
            // What it was sent by a program that did not ask for that is repeated here, and not there.
            Kind::User => {
                let is_posted = head.uuid.as_deref().is_some_and(|uuid| self.posted.contains(uuid));
                self.shows_replays || !is_posted
            }
            Kind::Other => match &*head.kind {
                "stream_event" => self.shows_partials,
                "system" => self.shows_partials || !is_waiting(&head, message),
                // Of messages whose names this has given, it knows nothing.
                "command_lifecycle" => {
                    let of = head.command_uuid.as_deref();
                    of.is_none_or(|uuid| self.own_names.contains(uuid))
                }
                _ => true,
            },
        };
        if is_for_it {
            self.print(engine, message);
        }
        if head.kind == "result" {
            self.failed = None;
            self.turns.over(seq, message.as_str());
        }
    }

    /// The worker says how its agent is. What that writes to stderr goes to its program's.
    fn heard_of_agent(&mut self, engine: &mut Engine, message: &Text) {
        match LogMessage::parse(message.as_str()) {
            Ok(Some(LogMessage::AgentStarted { .. })) => {
                self.words.begin();
                self.pay(engine);
            }
            Ok(Some(LogMessage::AgentStderr { text, dropped })) => {
                let mut text = text.into_owned();
                if dropped > 0 {
                    text.push_str(&format!("\n[{dropped} more lines were not passed on]"));
                }
                self.words.heard(&text);
                engine.fx.notify(RemoteNotice::AgentStderr { text });
            }
            Ok(Some(LogMessage::AgentExited { message, .. })) => self.words.over(&message),
            _ => {}
        }
    }

    /// The relay or the worker says something about the session.
    fn noted(&mut self, engine: &mut Engine, message: &Text) {
        match LogMessage::parse(message.as_str()) {
            Ok(Some(LogMessage::RequestsUnanswered { request_ids, reason })) => {
                self.unanswered(engine, request_ids.iter(), &reason);
            }
            Ok(Some(
                LogMessage::MessagesIndeterminate(unsettled)
                | LogMessage::MessagesUndelivered(unsettled)
                | LogMessage::MessagesExpired(unsettled),
            )) => {
                self.unanswered(engine, unsettled.request_ids.iter(), &unsettled.reason);
                let mut is_lost = false;
                for uuid in unsettled.uuids.iter() {
                    is_lost |= self.turns.give_up(uuid);
                }
                if is_lost {
                    let why = self.words.with(&unsettled.reason);
                    self.owe(engine, Owed::Failure { why });
                }
            }
            _ => {}
        }
    }

    /// Nobody answers these.
    fn unanswered<'a>(
        &mut self,
        engine: &mut Engine,
        request_ids: impl Iterator<Item = &'a String>,
        reason: &str,
    ) {
        let why = self.words.with(reason);
        for request_id in request_ids {
            if self.requests.remove(request_id) {
                let (request_id, why) = (request_id.clone(), why.clone());
                self.owe(engine, Owed::Answer { request_id, why });
            }
        }
    }
}

fn deny(request_id: &str, message: String) -> PermissionPost {
    PermissionPost {
        request_id: request_id.to_string(),
        seq: None,
        behavior: Behavior::Deny,
        updated_input: None,
        message: Some(message),
        interrupt: false,
        further: control::Fields::new(),
    }
}

/// Whether it says that the agent waits for its model, which it says only to who sees parts of messages.
fn is_waiting(head: &Head, message: &Text) -> bool {
    #[derive(serde::Deserialize)]
    struct Status<'a> {
        #[serde(borrow, default)]
        status: Option<Cow<'a, str>>,
    }
    let is_status = head.subtype.as_deref() == Some("status");
    let status = serde_json::from_str::<Status<'_>>(message.as_str());
    is_status && status.is_ok_and(|read| read.status.as_deref() == Some("requesting"))
}

#[cfg(test)]
mod tests;
