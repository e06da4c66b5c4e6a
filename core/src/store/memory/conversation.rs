//! One session: its record, its log, its questions, and the lines that wait for its agent.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use super::{Answered, Context};
use crate::base::id::WorkId;
use crate::base::text::Text;
use crate::store::committed::{Accepted, Answer, Limit, Page, StoreError};
use crate::store::log::Log;
use crate::store::question::{Questions, Standing};
use crate::store::record::{AccountId, Entry, Origin, Session};
use crate::store::request::Requests;
use crate::store::title::title_of;
use crate::store::transaction::{NewMessage, PermissionReply};
use crate::wire::session::{SessionResult, SessionState};
use crate::wire::to_json;

#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) session: Session,
    pub(super) log: Log,
    pub(super) questions: Questions,
    pub(super) requests: Requests,
    /// Lines for the agent that its worker has not acknowledged, with their numbers.
    pub(super) inbound: VecDeque<(u64, Text)>,
    pub(super) inbound_bytes: usize,
    /// The number of the last line for the agent.
    pub(super) inbound_until: u64,
    /// The last line that was read to be handed to the agent, and which run of it that was.
    pub(super) handed_out: u64,
    pub(super) agent_run: Option<String>,
    /// Lines of the worker that are stored, or lost.
    pub(super) received: u64,
    /// The lease that counts.
    pub(super) fence: u64,
    /// The lease under which a link was up last; 0 before there ever was one.
    pub(super) ran_under: u64,
    /// The link that counts.
    pub(super) link: u64,
    /// Its items, the newest last.
    pub(super) works: Vec<WorkId>,
    pub(super) key: Option<(AccountId, String)>,
}

/// A message of the relay itself for the log.
#[derive(Serialize)]
struct RelayMessage<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    subtype: &'a str,
    #[serde(flatten)]
    fields: T,
}

#[derive(Serialize)]
struct StateFields<'a> {
    state: SessionState,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a SessionResult>,
}

#[derive(Serialize)]
struct WithdrawnFields<'a> {
    request_id: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
pub(super) struct LostFields {
    pub(super) after: u64,
    pub(super) resumes_after: u64,
}

#[derive(Serialize)]
pub(super) struct IndeterminateFields {
    /// Of the `user` messages among them.
    pub(super) uuids: Vec<String>,
}

#[derive(Serialize)]
struct UnansweredFields<'a> {
    request_ids: &'a [String],
    reason: &'a str,
}

pub(super) fn relay_message<T: Serialize>(subtype: &str, fields: T) -> Text {
    let message = RelayMessage { kind: "footbridge", subtype, fields };
    Text::from_utf8(to_json(&message)).unwrap_or_default()
}

impl Conversation {
    pub(super) fn new(session: Session, work: WorkId, key: Option<(AccountId, String)>) -> Self {
        Self {
            session,
            log: Log::default(),
            questions: Questions::default(),
            requests: Requests::default(),
            inbound: VecDeque::new(),
            inbound_bytes: 0,
            inbound_until: 0,
            handed_out: 0,
            agent_run: None,
            ran_under: 0,
            received: 0,
            fence: 0,
            link: 0,
            works: alloc::vec![work],
            key,
        }
    }

    /// Adds an event to the log.
    pub(super) fn record(
        &mut self,
        cx: &mut Context,
        origin: Origin,
        line: Text,
        uuid: Option<String>,
    ) -> u64 {
        let seq = self.log.last_seq() + 1;
        let entry = Entry { seq, at: cx.wall, origin, line };
        cx.changes.entries.push((self.session.id.clone(), entry.clone()));
        let first = self.log.first_seq();
        self.log.push(entry, uuid, cx.policy.log_bytes);
        if self.log.first_seq() != first {
            self.questions.forget_before(self.log.first_seq());
        }
        self.session.first_seq = self.log.first_seq();
        self.session.last_seq = seq;
        self.session.updated_at = cx.wall;
        seq
    }

    /// Adds an event that goes to the agent.
    pub(super) fn record_for_agent(
        &mut self,
        cx: &mut Context,
        line: Text,
        uuid: Option<String>,
    ) -> u64 {
        self.inbound_until += 1;
        self.inbound_bytes += line.len();
        self.inbound.push_back((self.inbound_until, line.clone()));
        cx.changes.inbound.retain(|(id, _)| *id != self.session.id);
        cx.changes.inbound.push((self.session.id.clone(), self.inbound_until));
        self.record(cx, Origin::Viewer, line, uuid)
    }

    /// Whether so many more lines for the agent may wait.
    pub(super) fn has_room(&self, cx: &Context, lines: usize, bytes: usize) -> bool {
        let is_empty = self.inbound.is_empty();
        self.inbound.len() + lines <= cx.policy.inbound_lines
            && (is_empty || self.inbound_bytes + bytes <= cx.policy.inbound_bytes)
    }

    /// Says in the log where the session stands.
    pub(super) fn log_state(&mut self, cx: &mut Context) {
        let fields =
            StateFields { state: self.session.state, result: self.session.result.as_ref() };
        let line = relay_message("session_state", fields);
        self.record(cx, Origin::Relay, line, None);
        cx.changes.states.push((self.session.id.clone(), self.session.state));
        cx.changes.session(&self.session);
    }

    /// Goes from one state to another, if it stands there.
    pub(super) fn enter(&mut self, cx: &mut Context, from: SessionState, to: SessionState) {
        if self.session.state == from {
            self.session.state = to;
            self.log_state(cx);
        }
    }

    /// Its lease has run out: it waits for its worker.
    pub(super) fn wait_for_worker(&mut self, cx: &mut Context) {
        self.enter(cx, SessionState::Starting, SessionState::Queued);
        self.enter(cx, SessionState::Running, SessionState::Queued);
    }

    /// The worker that had it is back, with the lease that it had.
    pub(super) fn go_on(&mut self, cx: &mut Context) {
        let is_running = self.ran_under == self.fence;
        let state = if is_running { SessionState::Running } else { SessionState::Starting };
        self.enter(cx, SessionState::Queued, state);
    }

    pub(super) fn ask_to_stop(&mut self, cx: &mut Context) {
        if !self.session.is_stopping {
            self.session.is_stopping = true;
            cx.changes.session(&self.session);
        }
    }

    pub(super) fn end(&mut self, cx: &mut Context, result: SessionResult) {
        self.withdraw_all(cx, "the session has ended");
        self.give_up_requests(cx, u64::MAX, "the session has ended");
        self.inbound.clear();
        self.inbound_bytes = 0;
        self.session.is_stopping = false;
        self.session.state = SessionState::Ended;
        self.session.result = Some(result);
        self.log_state(cx);
    }

    /// Withdraws every open question: nobody can answer it any more (an answer of *allow* least of
    /// all).
    pub(super) fn withdraw_all(&mut self, cx: &mut Context, reason: &str) {
        for question in self.questions.pending() {
            self.withdraw(cx, &question.request_id, reason);
        }
    }

    /// Says of what was asked of the agent, up to this line for it, that it will not be answered.
    pub(super) fn give_up_requests(&mut self, cx: &mut Context, until: u64, reason: &str) {
        let request_ids = self.requests.give_up(until);
        self.leave_unanswered(cx, &request_ids, reason);
    }

    fn leave_unanswered(&mut self, cx: &mut Context, request_ids: &[String], reason: &str) {
        if !request_ids.is_empty() {
            let fields = UnansweredFields { request_ids, reason };
            self.record(cx, Origin::Relay, relay_message("requests_unanswered", fields), None);
        }
    }

    pub(super) fn withdraw(&mut self, cx: &mut Context, request_id: &str, reason: &str) {
        let line = relay_message("permission_withdrawn", WithdrawnFields { request_id, reason });
        let seq = self.record(cx, Origin::Relay, line, None);
        self.close_question(cx, request_id, seq, None);
    }

    /// Closes a question that is open, and tells everybody.
    pub(super) fn close_question(
        &mut self,
        cx: &mut Context,
        request_id: &str,
        seq: u64,
        line: Option<Text>,
    ) {
        if self.questions.close(request_id, seq, line) {
            self.session.pending = self.questions.pending();
            cx.changes.session(&self.session);
        }
    }

    pub(super) fn page(&self, after: u64, max_events: usize, max_bytes: usize) -> Page {
        let entries = self.log.page(after, max_events, max_bytes);
        Page { session: self.session.clone(), entries }
    }

    pub(super) fn post(&mut self, cx: &mut Context, messages: Vec<NewMessage>) -> Answered {
        // Looked up before anything is logged, because that may push out what is known.
        let seq_of = |message: &NewMessage| self.log.seq_of(message.uuid.as_deref()?);
        let known: Vec<_> = messages.iter().map(seq_of).collect();
        let pairs = messages.iter().zip(&known);
        let new: Vec<_> = pairs.filter(|(_, known)| known.is_none()).collect();
        let bytes = new.iter().map(|(message, _)| message.line.len()).sum();
        if !new.is_empty() {
            if self.session.result.is_some() {
                return Err(StoreError::SessionEnded);
            }
            if !self.has_room(cx, new.len(), bytes) {
                return Err(StoreError::Limit(Limit::InboundLines));
            }
        }
        let mut accepted = Vec::with_capacity(messages.len());
        for (NewMessage { uuid, request_id, line }, known) in messages.into_iter().zip(known) {
            // It may also stand twice in this request.
            let known = known.or_else(|| self.log.seq_of(uuid.as_deref()?));
            let seq = known.unwrap_or_else(|| {
                self.name_after(cx, &line);
                let seq = self.record_for_agent(cx, line, uuid);
                let asked = request_id.and_then(|id| self.requests.ask(self.inbound_until, id));
                self.leave_unanswered(cx, asked.as_slice(), "too many others are open");
                seq
            });
            accepted.push(Accepted { seq });
        }
        Ok(Answer::Posted(accepted))
    }

    /// Gives a session that has no title the one that its first user message makes.
    fn name_after(&mut self, cx: &mut Context, line: &Text) {
        if self.session.title.is_none()
            && let Some(title) = title_of(line)
        {
            self.session.title = Some(title);
            cx.changes.session(&self.session);
        }
    }

    pub(super) fn answer(
        &mut self,
        cx: &mut Context,
        request_id: &str,
        reply: &PermissionReply,
    ) -> Answered {
        let line = match self.questions.standing(request_id) {
            Standing::Open => self.questions.line_for(request_id, reply),
            Standing::Unknown => return Err(StoreError::PermissionUnknown),
            Standing::Withdrawn => return Err(StoreError::PermissionWithdrawn),
            Standing::Answered(given) if given.is_same(request_id, reply) => {
                return Ok(Answer::Answered { seq: given.seq });
            }
            Standing::Answered(given) => {
                return Err(StoreError::PermissionConflict { line: given.line.clone() });
            }
        };
        if !self.has_room(cx, 1, line.len()) {
            return Err(StoreError::Limit(Limit::InboundLines));
        }
        let seq = self.record_for_agent(cx, line.clone(), None);
        self.close_question(cx, request_id, seq, Some(line));
        Ok(Answer::Answered { seq })
    }
}
