//! What comes and goes by a session's link.

use alloc::string::String;
use alloc::vec::Vec;

use super::conversation::{Conversation, IndeterminateFields, LostFields, relay_message};
use super::{Answered, Context, MemoryStore};
use crate::base::id::SessionId;
use crate::base::limits::{MAX_ID_BYTES, MAX_NAME_BYTES};
use crate::base::text::Text;
use crate::store::committed::{Answer, StoreError};
use crate::store::question::Asked;
use crate::store::record::{Origin, Question, Session};
use crate::store::transaction::Line;
use crate::wire::control;
use crate::wire::message::{Head, Kind};
use crate::wire::session::SessionState;

impl MemoryStore {
    pub(super) fn attach_link(
        &mut self,
        cx: &mut Context,
        session: &SessionId,
        fence: u64,
        agent_run: Option<String>,
    ) -> Answered {
        let conversation = self.sessions.get_mut(session).ok_or(StoreError::SessionUnknown)?;
        if conversation.session.result.is_some() {
            return Err(StoreError::SessionEnded);
        }
        if conversation.fence != fence {
            return Err(StoreError::LeaseLost);
        }
        conversation.link += 1;
        conversation.begin_run(cx, agent_run);
        let (link, received) = (conversation.link, conversation.received);
        let from = conversation.inbound_acked();
        let Session { owner, environment, .. } = conversation.session.clone();
        self.see(cx, &environment)?;
        Ok(Answer::Attached { link, received, from, owner })
    }

    /// The session of a link, if that is the one that counts.
    pub(super) fn linked(
        &mut self,
        session: &SessionId,
        link: u64,
    ) -> Result<&mut Conversation, StoreError> {
        let conversation = self.sessions.get_mut(session).ok_or(StoreError::SessionUnknown)?;
        if conversation.link == link { Ok(conversation) } else { Err(StoreError::LinkReplaced) }
    }
}

impl Conversation {
    /// The last line for the agent that the worker has.
    fn inbound_acked(&self) -> u64 {
        self.inbound_until - u64::try_from(self.inbound.len()).unwrap_or_default()
    }

    /// A link is for this run of the agent. What another run was given and had not confirmed when
    /// it ended may have been acted on: it is said to be indeterminate, and not given again.
    fn begin_run(&mut self, cx: &mut Context, agent_run: Option<String>) {
        let Some(run) = agent_run else { return };
        let other = self.agent_run.replace(run.clone()).filter(|other| *other != run);
        if other.is_none() {
            return;
        }
        if self.handed_out > self.inbound_acked() {
            let handed_out =
                self.inbound.iter().take_while(|(number, _)| *number <= self.handed_out);
            let uuid = |(_, line): &(u64, Text)| Head::parse(line).ok()?.uuid;
            let fields = IndeterminateFields { uuids: handed_out.filter_map(uuid).collect() };
            let line = relay_message("messages_indeterminate", fields);
            self.record(cx, Origin::Relay, line, None);
            self.confirm_inbound(self.handed_out);
        }
        self.give_up_requests(cx, self.inbound_acked(), "the agent that had them has ended");
    }

    fn confirm_inbound(&mut self, received: u64) {
        while self.inbound.front().is_some_and(|(number, _)| *number <= received) {
            if let Some((_, line)) = self.inbound.pop_front() {
                self.inbound_bytes -= line.len();
            }
        }
    }

    pub(super) fn resume(&mut self, cx: &mut Context, received: u64, from: u64) -> Answered {
        self.ack_inbound(received)?;
        self.ran_under = self.fence;
        if self.session.result.is_none() && self.session.state != SessionState::Running {
            self.session.state = SessionState::Running;
            self.log_state(cx);
        }
        if from > self.received {
            let fields = LostFields { after: self.received, resumes_after: from };
            let line = relay_message("lines_lost", fields);
            self.record(cx, Origin::Relay, line, None);
            self.received = from;
        }
        let (received, from) = (self.received, self.inbound_acked());
        let is_stopping = self.session.is_stopping;
        Ok(Answer::Resumed { received, from, until: self.inbound_until, is_stopping })
    }

    pub(super) fn append(&mut self, cx: &mut Context, first: u64, lines: Vec<Line>) -> Answer {
        // A line after one that is missing cannot be taken: the log would have a hole.
        let known = self.received.saturating_add(1).checked_sub(first);
        let known = known.and_then(|known| usize::try_from(known).ok()).unwrap_or(usize::MAX);
        for Line { origin, line } in lines.into_iter().skip(known) {
            self.received += 1;
            match origin {
                Origin::Agent => self.take_agent_line(cx, &line),
                Origin::Worker => self.take_report(cx, line),
                Origin::Viewer | Origin::Relay => {
                    self.record(cx, Origin::Relay, line, None);
                }
            }
        }
        Answer::Appended { received: self.received }
    }

    fn take_agent_line(&mut self, cx: &mut Context, line: &Text) {
        let head = Head::parse(line).unwrap_or_default();
        let seq = self.record(cx, Origin::Agent, line.clone(), None);
        let Some(request_id) = head.request_id.clone() else { return };
        match head.kind() {
            Kind::ControlRequest if head.subtype.as_deref() == Some("can_use_tool") => {
                let mut tool_name = head.tool_name.unwrap_or_default();
                tool_name.truncate(tool_name.floor_char_boundary(MAX_NAME_BYTES));
                self.take_question(cx, Question { request_id, tool_name, seq }, line);
            }
            Kind::ControlCancelRequest => self.close_question(cx, &request_id, seq, None),
            Kind::ControlResponse => self.requests.answer(&request_id),
            _ => {}
        }
    }

    fn take_question(&mut self, cx: &mut Context, question: Question, line: &Text) {
        let request_id = question.request_id.clone();
        if self.session.result.is_some() {
            return self.withdraw(cx, &request_id, "the session has ended");
        }
        if request_id.len() > MAX_ID_BYTES {
            return self.refuse_question(cx, &request_id, "its request_id is too long");
        }
        match self.questions.ask(question, line) {
            Asked::Known => {}
            Asked::Opened => {
                self.session.pending = self.questions.pending();
                cx.changes.session(&self.session);
            }
            Asked::TooMany => {
                self.refuse_question(cx, &request_id, "too many questions are open");
            }
        }
    }

    /// Tells the agent and everybody else that a question cannot be put to anybody.
    fn refuse_question(&mut self, cx: &mut Context, request_id: &str, reason: &str) {
        self.withdraw(cx, request_id, reason);
        let answer = control::error(request_id, reason);
        if self.has_room(cx, 1, answer.len()) {
            self.record_for_agent(cx, answer, None);
        }
    }

    fn take_report(&mut self, cx: &mut Context, line: Text) {
        let head = Head::parse(&line).unwrap_or_default();
        self.record(cx, Origin::Worker, line, None);
        if head.kind == "footbridge" && head.subtype.as_deref() == Some("agent_exited") {
            self.withdraw_all(cx, "the agent has exited");
            let given = self.handed_out.max(self.inbound_acked());
            self.give_up_requests(cx, given, "the agent has exited");
        }
    }

    pub(super) fn ack_inbound(&mut self, received: u64) -> Answered {
        if received > self.inbound_until {
            return Err(StoreError::NeverSent);
        }
        self.confirm_inbound(received);
        Ok(Answer::Done)
    }

    pub(super) fn read_inbound(
        &mut self,
        after: u64,
        max_lines: usize,
        max_bytes: usize,
    ) -> Answer {
        let mut bytes = 0;
        let fits = |(_, line): &&(u64, Text)| {
            let is_first = bytes == 0;
            bytes += line.len();
            is_first || bytes <= max_bytes
        };
        let waiting = self.inbound.iter().filter(|(number, _)| *number > after);
        let lines: Vec<_> = waiting.take(max_lines).take_while(fits).cloned().collect();
        if let Some((last, _)) = lines.last() {
            self.handed_out = self.handed_out.max(*last);
        }
        Answer::Inbound(lines)
    }
}
