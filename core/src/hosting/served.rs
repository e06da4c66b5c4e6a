//! An agent that serves several clients: its process, what it asks, and what it was asked. The first
//! answer to a question counts; hooks and MCP servers are asked of the client that has declared them.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::answer::{self, renamed_request, renamed_response};
use super::answerer::{Answerer, Callbacks};
use super::audience::{Audience, ClientKey};
use crate::base::limits::{
    AGENT_INPUT_HIGH_WATER_BYTES, AGENT_LOW_WATER_BYTES, MAX_LINE_BYTES, MAX_OPEN_REQUESTS,
    MAX_RECENT_UUIDS,
};
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::contract::action::ProcessSpec;
use crate::contract::event::{Event, ExitStatus};
use crate::engine::effects::Effects;
use crate::hosting::output::{self, Part, Strays};
use crate::hosting::process::{Process, ProcessEvent};
use crate::hosting::questions::{Asked, Expired, Questions, Reply};
use crate::peer::envelope::Envelope;
use crate::transport::dedupe::Recent;
use crate::wire::callback::{Callback, Declaration};
use crate::wire::control;
use crate::wire::log_message::LogMessage;
use crate::wire::message::{Head, Kind};
use crate::wire::ndjson::Line;

/// Why a tool's guard is refused that nobody answers.
const NOBODY: &str = "no client answers this";
/// The same, if somebody could have.
const SILENT: &str =
    "the client that declared this hook or MCP server did not answer in time, or is gone";

const TOO_MANY: &str = "too many questions are open";

/// What clients are to be sent.
pub(crate) type Out = Vec<(Text, Audience)>;

/// A request of a client that the agent has not answered.
#[derive(Debug)]
struct Request {
    client: ClientKey,
    id: String,
}

/// What has become of the agent's process, for whoever serves it.
#[derive(Debug)]
pub(crate) enum Turn {
    Started {
        pid: u32,
    },
    /// It says something.
    Said(Out),
    /// What it had started and could not be ended.
    Survived(Vec<String>),
    Over(Result<Option<ExitStatus>, String>),
}

#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) process: Process,
    questions: Questions,
    /// The lines of the open ones, and who may answer them, by id.
    open: BTreeMap<String, (Text, Audience)>,
    answerer: Answerer,
    requests: BTreeMap<String, Request>,
    next_request: u64,
    seen: Recent,
    lines: u64,
    strays: Strays,
    in_pipe: VecDeque<usize>,
    in_pipe_bytes: usize,
    is_full: bool,
}

impl Agent {
    pub(crate) const fn new(grace: Duration, callbacks: Callbacks) -> Self {
        Self {
            process: Process::new(grace, MAX_LINE_BYTES),
            questions: Questions::new(),
            open: BTreeMap::new(),
            answerer: Answerer::new(callbacks),
            requests: BTreeMap::new(),
            next_request: 1,
            seen: Recent::new(MAX_RECENT_UUIDS),
            lines: 0,
            strays: Strays::new(),
            in_pipe: VecDeque::new(),
            in_pipe_bytes: 0,
            is_full: false,
        }
    }

    pub(crate) fn start<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        purpose: P,
        command: ProcessSpec,
    ) {
        self.process.start(fx, purpose, command);
    }

    /// Whether clients are not read until it has read what it was given.
    pub(crate) const fn is_full(&self) -> bool {
        self.is_full
    }

    fn written(&mut self, writes: usize) {
        for bytes in self.in_pipe.drain(..writes.min(self.in_pipe.len())) {
            self.in_pipe_bytes -= bytes;
        }
        self.is_full = self.is_full && self.in_pipe_bytes >= AGENT_LOW_WATER_BYTES;
    }

    fn give<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, line: &Text) {
        let mut data = Vec::with_capacity(line.len() + 1);
        data.extend_from_slice(line.as_bytes());
        data.push(b'\n');
        let bytes = data.len();
        if self.process.write(fx, Bytes::from(data)) {
            self.in_pipe.push_back(bytes);
            self.in_pipe_bytes += bytes;
            self.is_full = self.is_full || self.in_pipe_bytes > AGENT_INPUT_HIGH_WATER_BYTES;
        }
    }

    /// The questions that a person could answer.
    pub(crate) fn waiting(&self) -> usize {
        self.questions.of_people()
    }

    /// Those that this client could.
    pub(crate) fn open_questions(&self, client: ClientKey) -> impl Iterator<Item = &Text> {
        let own = self.open.values().filter(move |(_, audience)| audience.includes(client));
        own.map(|(line, _)| line)
    }

    pub(crate) fn raw_questions(&self, client: ClientKey) -> Vec<Box<RawValue>> {
        let lines = self.open_questions(client).map(|line| String::from(line.as_str()));
        lines.filter_map(|line| RawValue::from_string(line).ok()).collect()
    }

    /// A client is connected again.
    pub(crate) fn came(&mut self, client: ClientKey) {
        self.answerer.came(client);
    }

    /// A client is no longer connected, and may come back or not.
    pub(crate) fn left<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        client: ClientKey,
        may_return: bool,
    ) -> Out {
        let is_gone = self.answerer.left(client, may_return);
        if is_gone { self.refuse_callbacks(fx, SILENT) } else { Out::new() }
    }

    /// What the agent has asked a client is not answered any more.
    fn refuse_callbacks<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, reason: &str) -> Out {
        let callbacks = self.questions.take_callbacks();
        self.refuse(fx, callbacks, reason)
    }

    fn refuse<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        callbacks: Vec<Expired>,
        reason: &str,
    ) -> Out {
        let mut out = Out::new();
        for Expired { id, callback, times } in callbacks {
            for _ in 0..times {
                self.give(fx, &callback.refusal(&id, reason));
            }
            if let Some((_, audience)) = self.open.remove(&id) {
                out.push((control::cancel_request(&id), audience));
            }
            let (request_id, reason) = (id.as_str().into(), reason.into());
            let withdrawn = LogMessage::CallbackWithdrawn { request_id, reason };
            out.push((withdrawn.to_line(), Audience::All));
        }
        out
    }

    /// Something has happened to its process.
    pub(crate) fn handle<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        event: Event,
    ) -> Vec<Turn> {
        let mut events = Vec::new();
        self.process.handle(fx, event, |event| events.push(event));
        self.routed(fx, events)
    }

    /// Something is due by now.
    pub(crate) fn on_time<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) -> Vec<Turn> {
        let mut events = Vec::new();
        self.process.on_time(fx, |event| events.push(event));
        let mut turns = self.routed(fx, events);
        if self.strays.deadline().is_some_and(|at| at <= fx.now().mono) {
            let strays = self.strays.take(fx.now().mono);
            turns.push(Turn::Said(strays.into_iter().map(reported).collect()));
        }
        let expired = self.questions.expire(fx.now().mono);
        if !expired.is_empty() {
            turns.push(Turn::Said(self.refuse(fx, expired, SILENT)));
        }
        turns
    }

    /// When something is.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let (own, questions) = (self.process.deadline(), self.questions.deadline());
        own.into_iter().chain(self.strays.deadline()).chain(questions).min()
    }

    fn routed<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        events: Vec<ProcessEvent>,
    ) -> Vec<Turn> {
        let mut turns = Vec::new();
        for event in events {
            match event {
                ProcessEvent::Started { pid } => turns.push(Turn::Started { pid }),
                ProcessEvent::Line(line) => turns.push(Turn::Said(self.printed(fx, line))),
                ProcessEvent::Stderr(_) => {}
                ProcessEvent::Written { writes } => self.written(writes),
                ProcessEvent::Survived(processes) => turns.push(Turn::Survived(processes)),
                ProcessEvent::Over(result) => turns.push(Turn::Over(result)),
            }
        }
        turns
    }

    /// It has printed a line.
    fn printed<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, line: Line) -> Out {
        let mut out = Out::new();
        output::parts(line, |part| match part {
            Part::Message(text, head) => {
                self.strays.saw_message();
                self.message(fx, &mut out, text, head);
            }
            Part::Stray(stray) => {
                let report = self.strays.push(fx.now().mono, stray);
                out.extend(report.map(reported));
            }
        });
        out
    }

    fn message<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        out: &mut Out,
        text: &Text,
        head: Head<'_>,
    ) {
        self.lines += 1;
        let kind = head.kind();
        match (kind, head.request_id.map(Cow::into_owned)) {
            (Kind::ControlRequest, None) => {
                let refusal = control::unnamed(text.as_str());
                self.give(fx, &refusal);
            }
            (Kind::ControlRequest, Some(id)) => {
                let callback = Callback::of(&head.subtype.unwrap_or_default(), text.as_str());
                self.asked(fx, out, (id, callback), text);
            }
            (Kind::ControlCancelRequest, Some(id)) => {
                self.questions.cancel(&id);
                let audience =
                    self.open.remove(&id).map_or(Audience::All, |(_, audience)| audience);
                out.push((text.clone(), audience));
            }
            (Kind::ControlResponse, Some(id)) => {
                // One to nobody's request is nobody's.
                if let Some(Request { client, id: own }) = self.requests.remove(&id) {
                    let line = renamed_response(text, &own);
                    out.push((line, Audience::Only(client)));
                }
            }
            (Kind::ControlCancelRequest | Kind::ControlResponse, None) => {}
            _ if head.kind == "keep_alive" => {}
            // What a client has said comes back (M-4).
            (Kind::User, _)
                if head.uuid.as_deref().is_some_and(|uuid| self.seen.contains(uuid)) => {}
            _ => out.push((text.clone(), Audience::All)),
        }
    }

    /// It asks something: a person, or the client that has declared a hook or an MCP server.
    fn asked<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        out: &mut Out,
        (id, callback): (String, Option<Callback>),
        text: &Text,
    ) {
        let (audience, until) = match (callback, self.answerer.asked()) {
            (None, _) => (Audience::All, None),
            (Some(callback), Some(client)) => {
                let until = fx.now().mono + self.answerer.limit_of(text);
                (Audience::Only(client), Some((callback, until)))
            }
            // A hook never fails open (M-6).
            (Some(callback), None) => return self.give(fx, &callback.refusal(&id, NOBODY)),
        };
        let bytes = self.open.values().map(|(line, _)| line.len()).sum::<usize>() + text.len();
        if bytes > MAX_LINE_BYTES && !self.open.is_empty() {
            // All of them have to fit into what a client that comes back is told at once.
            return self.give(fx, &refusal(callback, &id, TOO_MANY));
        }
        match self.questions.ask(id.clone(), self.lines, text, until) {
            Asked::Open => {
                self.open.insert(id, (text.clone(), audience));
                out.push((text.clone(), audience));
            }
            Asked::TooMany => self.give(fx, &refusal(callback, &id, TOO_MANY)),
            Asked::Ambiguous { times, callback } => {
                self.open.remove(&id);
                let refusal = refusal(callback, &id, control::AMBIGUOUS);
                for _ in 0..times {
                    self.give(fx, &refusal);
                }
                out.push((control::cancel_request(&id), Audience::All));
            }
        }
    }

    /// A client says something.
    pub(crate) fn heard<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        client: ClientKey,
        line: &Text,
    ) -> Out {
        let own = Audience::Only(client);
        let head = match Head::parse(line) {
            Ok(head) => head,
            Err(error) => {
                let reason = format!("not passed on: {error}");
                return Vec::from([(refused_line(&reason), own)]);
            }
        };
        match (head.kind(), head.request_id) {
            _ if head.kind == "keep_alive" || head.kind == "footbridge" => Out::new(),
            (Kind::User, _) => {
                if head.uuid.as_deref().is_some_and(|uuid| !self.seen.insert(uuid)) {
                    return Out::new();
                }
                self.give(fx, line);
                Vec::from([(line.clone(), Audience::Except(client))])
            }
            (Kind::ControlRequest, None) => Vec::from([(control::unnamed(line.as_str()), own)]),
            (Kind::ControlRequest, Some(id)) => self.request(fx, client, &id, line),
            (Kind::ControlResponse, Some(id)) => self.answered(fx, client, &id, line),
            (Kind::ControlCancelRequest, Some(id)) => {
                let asked = |(_, request): &(&String, &Request)| {
                    request.client == client && request.id == id
                };
                if let Some(name) = self.requests.iter().find(asked).map(|(name, _)| name.clone()) {
                    self.give(fx, &control::cancel_request(&name));
                }
                Out::new()
            }
            (Kind::ControlCancelRequest | Kind::ControlResponse, None) => Out::new(),
            _ => {
                self.give(fx, line);
                Out::new()
            }
        }
    }

    /// Another session tells it something; once, however often that comes.
    pub(crate) fn told<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, envelope: &Envelope) -> Out {
        if !self.seen.insert(&envelope.message_id) {
            return Out::new();
        }
        let line = envelope.to_user_message();
        self.give(fx, &line);
        Vec::from([(line, Audience::All)])
    }

    fn request<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        client: ClientKey,
        id: &str,
        line: &Text,
    ) -> Out {
        let refuse = |reason| Vec::from([(control::error(id, reason), Audience::Only(client))]);
        let declaration = Declaration::of(line.as_str());
        if let Some(Err(why)) = declaration.as_ref().map(|it| self.answerer.check(client, it)) {
            return refuse(why);
        }
        if self.requests.len() >= MAX_OPEN_REQUESTS {
            return refuse("too many requests are open");
        }
        let name = format!("client-{}", self.next_request);
        self.next_request += 1;
        let Some(renamed) = renamed_request(line, &name) else {
            return refuse("this is no request");
        };
        self.requests.insert(name, Request { client, id: id.into() });
        let over = declaration.and_then(|it| self.answerer.declare(client, &it, line));
        // Before the agent can ask whoever it is told of now.
        let out = over.map_or_else(Out::new, |reason| self.refuse_callbacks(fx, reason));
        self.give(fx, &renamed);
        out
    }

    /// The first answer counts. Whoever comes later is told that it is over.
    fn answered<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        client: ClientKey,
        id: &str,
        line: &Text,
    ) -> Out {
        let Some((question, audience)) = self.open.get(id) else {
            return Vec::from([(control::cancel_request(id), Audience::Only(client))]);
        };
        let answer = match self.questions.callback(id) {
            None => answer::read(id, question, line),
            Some(_) if !audience.includes(client) => Err("another client is asked".into()),
            Some(callback) => answer::of_client(id, callback, line),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(reason) => {
                let reason = format!("the answer to {id} is not passed on: {reason}");
                return Vec::from([(refused_line(&reason), Audience::Only(client))]);
            }
        };
        let is_for_all = *audience == Audience::All;
        self.open.remove(id);
        if let Some(Reply { times, .. }) = self.questions.answer(id, None) {
            for _ in 0..times {
                self.give(fx, &answer);
            }
        }
        let over = (control::cancel_request(id), Audience::Except(client));
        if is_for_all { Vec::from([over]) } else { Out::new() }
    }

    /// It has ended: nobody is left to answer, and nothing it was asked will be answered.
    pub(crate) fn over(&mut self) -> Out {
        self.questions.clear();
        let mut out: Out = self.strays.finish().into_iter().map(reported).collect();
        let open = core::mem::take(&mut self.open);
        let over = |(id, (_, audience)): (String, _)| (control::cancel_request(&id), audience);
        out.extend(open.into_iter().map(over));
        let requests = core::mem::take(&mut self.requests);
        out.extend(requests.into_values().map(|Request { client, id }| {
            (control::error(&id, "the agent has ended"), Audience::Only(client))
        }));
        out
    }
}

fn refusal(callback: Option<Callback>, id: &str, reason: &str) -> Text {
    callback.map_or_else(|| control::error(id, reason), |callback| callback.refusal(id, reason))
}

fn reported(output::Report { reason, line, more }: output::Report) -> (Text, Audience) {
    let message = LogMessage::AgentOutputError { message: reason.into(), line: line.into(), more };
    (message.to_line(), Audience::All)
}

/// Tells a client what was not passed on.
fn refused_line(reason: &str) -> Text {
    let message = serde_json::Value::from(reason);
    Text::from(format!(r#"{{"type":"footbridge","subtype":"input_refused","message":{message}}}"#))
}
