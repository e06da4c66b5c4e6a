//! The conversation between a session's agent and the relay, line by line (M-1, M-2).
//!
//! The agent's lines travel as the bytes they were. The agent is given only what it can read and
//! waits for: a line that is not a message would end some agents, and a second answer or a second copy
//! of a message would be acted on twice.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::base::limits::{
    AGENT_NOT_READING_AFTER, CALLBACK_TIME_LIMIT, MAX_CALLBACK_TIME_LIMIT, MAX_ID_BYTES,
    MAX_NAME_BYTES, MAX_RECENT_UUIDS,
};
use crate::base::text::Text;
use crate::base::time::{Duration, Instant};
use crate::hosting::questions::{Asked, Expired, Questions, Reply};
use crate::transport::dedupe::Recent;
use crate::wire::callback::{self, Callback, MCP_MESSAGE};
use crate::wire::control::{self, Answered};
use crate::wire::message::{Head, Kind};
use crate::worker::allowance::Allowance;

/// Whose line is waiting for the agent's pipe.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Origin {
    /// The relay's: it is numbered, and the relay waits for its acknowledgement.
    Relay,
    /// The worker's own.
    Worker { bytes: usize },
}

/// A line from the relay that is not acknowledged yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inbound {
    /// Not written to the agent's pipe. If the agent has stopped reading, it never will be: the relay
    /// keeps it for the next one.
    Waiting,
    /// Written, and not accepted by the pipe yet. If it never is, nobody can know whether the agent
    /// has read it.
    Written,
    /// In the pipe.
    Delivered,
    /// Not meant for the agent.
    Skipped,
    /// The same, and the report of this number says so. Until the relay has that, an acknowledgement
    /// would let it believe that the agent has the line.
    Reported(u64),
}

/// What a line from the agent is.
#[derive(Debug, PartialEq)]
pub(super) enum AgentLine {
    Message,
    /// A turn begins, in the conversation that it names.
    Init,
    /// A turn has ended.
    Result,
    /// It asks a person for permission to use this tool.
    Permission {
        tool: String,
    },
    /// It asks something that nobody will answer. It gets an error, or it would wait forever
    /// (M-3).
    Unanswerable {
        answer: Text,
    },
    /// It asks the client that has declared a hook or an MCP server.
    Callback,
    /// It asks two different questions under this id. Each of so many gets this answer.
    Ambiguous {
        request_id: String,
        answer: Text,
        times: usize,
    },
}

/// What a line from the relay means for the agent.
#[derive(Debug, PartialEq)]
pub(super) enum AgentInput {
    /// As it is.
    Give,
    /// This, so often: it answers a question.
    Answer { answer: Text, times: usize },
    /// It answers a question that the agent no longer asks, or never has.
    StaleAnswer(String),
    /// The agent has had a message with this uuid.
    Repeated(String),
    /// A request that the agent does not get, and why: it is answered in its place.
    Refused { request_id: String, why: String },
    /// A message that the agent does not get, and why.
    NotAllowed { uuid: Option<String>, why: String },
    /// It is no message, or it refuses a question that this side has refused already.
    Nothing,
}

/// The state of one agent's conversation with the relay.
#[derive(Debug)]
pub(super) struct Conversation {
    /// The agent's questions that nobody has answered.
    questions: Questions,
    /// The time limits that hooks have stated, by the id of their callback.
    hook_limits: BTreeMap<String, Duration>,
    /// The messages that the agent was given.
    seen: Recent,
    unacked_inbound: VecDeque<(Inbound, usize)>,
    /// Bytes of those that are not delivered.
    inbound_bytes: usize,
    /// Lines written to the agent's pipe that it has not accepted yet.
    in_pipe: VecDeque<Origin>,
    /// Bytes of the worker's own lines among them.
    own_bytes: usize,
    reading: Reading,
}

/// Whether the agent reads its stdin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// It has not started, and what it is given waits.
    NotStarted,
    /// Its pipe takes whatever is written.
    Free,
    /// The pipe has been full since then.
    Full(Instant),
    /// It has been full for so long that viewers were told.
    Reported,
}

impl Conversation {
    pub(super) const fn new() -> Self {
        Self {
            questions: Questions::new(),
            hook_limits: BTreeMap::new(),
            seen: Recent::new(MAX_RECENT_UUIDS),
            unacked_inbound: VecDeque::new(),
            inbound_bytes: 0,
            in_pipe: VecDeque::new(),
            own_bytes: 0,
            reading: Reading::NotStarted,
        }
    }

    /// The agent has started.
    pub(super) fn started(&mut self, now: Instant) {
        self.look_at_pipe(now);
    }

    /// The agent's time to read begins, or begins again.
    fn look_at_pipe(&mut self, now: Instant) {
        self.reading = if self.in_pipe.is_empty() { Reading::Free } else { Reading::Full(now) };
    }

    /// A message from the agent on its way to the relay, as the line of this number.
    pub(super) fn read_output(
        &mut self,
        now: Instant,
        text: &Text,
        head: Head<'_>,
        number: u64,
    ) -> AgentLine {
        match (head.kind(), head.request_id) {
            (Kind::ControlRequest, Some(id)) => {
                let subtype = head.subtype.unwrap_or_default();
                let tool = head.tool_name.map(Cow::into_owned);
                self.asked(now, (id.into_owned(), number, &subtype, tool), text)
            }
            (Kind::ControlRequest, None) => {
                AgentLine::Unanswerable { answer: control::unnamed(text.as_str()) }
            }
            (Kind::ControlCancelRequest, Some(id)) => {
                self.questions.cancel(&id);
                AgentLine::Message
            }
            _ if head.kind == "result" => AgentLine::Result,
            _ if head.kind == "system" && head.subtype.as_deref() == Some("init") => {
                AgentLine::Init
            }
            _ => AgentLine::Message,
        }
    }

    /// People answer permission questions, and a client what it has declared; nobody here answers
    /// anything else.
    fn asked(
        &mut self,
        now: Instant,
        (request_id, number, subtype, tool): (String, u64, &str, Option<String>),
        line: &Text,
    ) -> AgentLine {
        let callback = Callback::of(subtype, line.as_str());
        if callback.is_none() && subtype != "can_use_tool" {
            let shown = subtype.get(..subtype.floor_char_boundary(MAX_NAME_BYTES));
            let reason = format!("nobody here answers {:?}", shown.unwrap_or_default());
            return AgentLine::Unanswerable { answer: control::error(&request_id, &reason) };
        }
        if request_id.len() > MAX_ID_BYTES {
            let answer = refusal(callback, &request_id, "its request_id is too long");
            return AgentLine::Unanswerable { answer };
        }
        let until = callback.map(|callback| (callback, now + self.limit_of(subtype, line)));
        match self.questions.ask(request_id.clone(), number, line, until) {
            Asked::Open if callback.is_some() => AgentLine::Callback,
            Asked::Open => AgentLine::Permission { tool: tool.unwrap_or_default() },
            Asked::TooMany => AgentLine::Unanswerable {
                answer: refusal(callback, &request_id, "too many questions like it are open"),
            },
            Asked::Ambiguous { times, callback } => {
                let answer = refusal(callback, &request_id, control::AMBIGUOUS);
                AgentLine::Ambiguous { request_id, answer, times }
            }
        }
    }

    /// How long a client may take to answer this.
    fn limit_of(&self, subtype: &str, line: &Text) -> Duration {
        if subtype == MCP_MESSAGE {
            return MAX_CALLBACK_TIME_LIMIT;
        }
        if self.hook_limits.is_empty() {
            return CALLBACK_TIME_LIMIT;
        }
        let id = callback::callback_id(line.as_str());
        let stated = id.and_then(|id| self.hook_limits.get(&id));
        stated.copied().unwrap_or(CALLBACK_TIME_LIMIT)
    }

    /// The agent is told of hooks, or of none.
    pub(super) fn declared(&mut self, line: &Text) {
        if let Some(limits) = callback::time_limits(line.as_str()) {
            self.hook_limits = limits;
        }
    }

    /// Takes off what no client has answered in time.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Expired> {
        self.questions.expire(now)
    }

    /// What to do with a line from the relay: the agent gets it if it can read it and is waiting for
    /// it. The relay counts this side's lines from `base`.
    pub(super) fn take_input(
        &mut self,
        line: &Text,
        base: u64,
        allowance: &Allowance,
    ) -> AgentInput {
        let Ok(head) = Head::parse(line) else { return AgentInput::Nothing };
        if let Err(why) = allowance.check_line(&head, line) {
            return match head.request_id.map(Cow::into_owned) {
                Some(request_id) => AgentInput::Refused { request_id, why },
                None => AgentInput::NotAllowed { uuid: head.uuid.map(Cow::into_owned), why },
            };
        }
        match (head.kind(), head.request_id, head.uuid) {
            (Kind::ControlResponse, Some(id), _) => {
                let Answered { line, is_refusal, answer } = control::asked_on(line);
                // One of before this link is never open.
                let named = line.map(|line| line.saturating_sub(base));
                match self.questions.answer(&id, named) {
                    Some(Reply { times, callback }) => {
                        let answer = clear(callback, &id, answer);
                        AgentInput::Answer { answer, times }
                    }
                    None if is_refusal => AgentInput::Nothing,
                    None => AgentInput::StaleAnswer(id.into_owned()),
                }
            }
            (Kind::ControlResponse, None, _) => AgentInput::Nothing,
            (Kind::User, _, Some(uuid)) if self.seen.insert(&uuid) => AgentInput::Give,
            (Kind::User, _, Some(uuid)) => AgentInput::Repeated(uuid.into_owned()),
            (Kind::ControlRequest, ..) => {
                self.declared(line);
                AgentInput::Give
            }
            _ => AgentInput::Give,
        }
    }

    /// A line from the relay that is not for the agent, and the number of the report that says so.
    pub(super) fn skip(&mut self, report: Option<u64>) {
        let line = report.map_or(Inbound::Skipped, Inbound::Reported);
        self.unacked_inbound.push_back((line, 0));
    }

    /// The relay has the reports up to this number.
    pub(super) fn reports_stored(&mut self, until: u64) {
        for (line, _) in &mut self.unacked_inbound {
            if matches!(line, Inbound::Reported(report) if *report <= until) {
                *line = Inbound::Skipped;
            }
        }
    }

    /// A line from the relay is for the agent, and was written to its pipe if that is still open.
    pub(super) fn pass_on(&mut self, now: Instant, bytes: usize, is_written: bool) {
        let line = if is_written { Inbound::Written } else { Inbound::Waiting };
        self.unacked_inbound.push_back((line, bytes));
        self.inbound_bytes += bytes;
        if is_written {
            self.wrote(now, Origin::Relay);
        }
    }

    /// A line of the worker's own was written to the agent's pipe.
    pub(super) fn wrote_own(&mut self, now: Instant, bytes: usize) {
        self.own_bytes += bytes;
        self.wrote(now, Origin::Worker { bytes });
    }

    fn wrote(&mut self, now: Instant, origin: Origin) {
        self.in_pipe.push_back(origin);
        if self.reading == Reading::Free {
            self.reading = Reading::Full(now);
        }
    }

    /// The agent's pipe has accepted the next `writes` lines. Returns whether it had been reported
    /// as full.
    pub(super) fn written(&mut self, now: Instant, writes: usize) -> bool {
        for origin in self.in_pipe.drain(..writes.min(self.in_pipe.len())) {
            let waiting =
                self.unacked_inbound.iter_mut().find(|(line, _)| *line == Inbound::Written);
            match (origin, waiting) {
                (Origin::Worker { bytes }, _) => {
                    self.own_bytes = self.own_bytes.saturating_sub(bytes);
                }
                (Origin::Relay, Some((line, bytes))) => {
                    *line = Inbound::Delivered;
                    self.inbound_bytes = self.inbound_bytes.saturating_sub(*bytes);
                }
                (Origin::Relay, None) => {}
            }
        }
        let was_reported = self.reading == Reading::Reported;
        self.look_at_pipe(now);
        was_reported
    }

    /// Bytes of the worker's own lines that the agent's pipe has not accepted.
    pub(super) const fn own_bytes(&self) -> usize {
        self.own_bytes
    }

    /// How many questions a person could answer.
    pub(super) fn open_questions(&self) -> usize {
        self.questions.of_people()
    }

    /// When the agent counts as not reading its stdin, or a client as not answering.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let reading = self.reading_deadline();
        reading.into_iter().chain(self.questions.deadline()).min()
    }

    /// When the agent counts as not reading its stdin.
    fn reading_deadline(&self) -> Option<Instant> {
        match self.reading {
            Reading::Full(since) => Some(since + AGENT_NOT_READING_AFTER),
            Reading::NotStarted | Reading::Free | Reading::Reported => None,
        }
    }

    /// Whether viewers are to be told now that the agent does not read its stdin.
    pub(super) fn has_stopped_reading(&mut self, now: Instant) -> bool {
        let is_due = self.reading_deadline().is_some_and(|at| at <= now);
        if is_due {
            self.reading = Reading::Reported;
        }
        is_due
    }

    /// How many lines from the relay, counting from the first undelivered one, cannot be
    /// acknowledged yet.
    pub(super) fn pending(&mut self) -> usize {
        let is_done = |line: &Inbound| matches!(line, Inbound::Delivered | Inbound::Skipped);
        while self.unacked_inbound.front().is_some_and(|(line, _)| is_done(line)) {
            self.unacked_inbound.pop_front();
        }
        self.unacked_inbound.len()
    }

    /// Bytes of the lines that the agent has not been given.
    pub(super) const fn inbound_bytes(&self) -> usize {
        self.inbound_bytes
    }

    /// How many lines from the relay were not even written to the agent's pipe, nor any after them.
    pub(super) fn unwritten(&self) -> usize {
        let is_given = |line: &Inbound| matches!(line, Inbound::Written | Inbound::Delivered);
        let lines = self.unacked_inbound.iter();
        let given = lines.rev().skip_while(|(line, _)| !is_given(line)).count();
        self.unacked_inbound.len() - given
    }

    /// The agent is gone, so nobody is left to answer.
    pub(super) fn close(&mut self) {
        self.questions.clear();
        self.in_pipe.clear();
        self.own_bytes = 0;
        self.reading = Reading::NotStarted;
    }
}

/// The answer to a question that nobody answers.
fn refusal(callback: Option<Callback>, request_id: &str, reason: &str) -> Text {
    match callback {
        Some(callback) => callback.refusal(request_id, reason),
        None => control::error(request_id, reason),
    }
}

/// An answer as the agent gets it. It would run a tool if it could not read what guards it.
fn clear(callback: Option<Callback>, request_id: &str, answer: Text) -> Text {
    let Some(Callback::Guard) = callback else { return answer };
    match callback::response_of(answer.as_str()) {
        Ok(response) => match Callback::Guard.unclear(response) {
            None => answer,
            Some(why) => Callback::Guard.refusal(request_id, &why),
        },
        Err(reason) => Callback::Guard.refusal(request_id, &reason),
    }
}
