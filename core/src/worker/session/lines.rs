//! How a session passes lines between its agent and its link.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Session;
use super::conversation::{AgentInput, AgentLine};
use crate::base::text::Text;
use crate::hosting::conversation::conversation_of;
use crate::hosting::output::{self, Part};
use crate::wire::control;
use crate::wire::log_message::{LogMessage, Unsettled};
use crate::wire::message::Head;
use crate::wire::ndjson::Line;
use crate::worker::cx::{Cx, Purpose};
use crate::worker::notice::WorkerNotice;

/// Why an answer is not passed on.
const STALE_ANSWER: &str = "the agent is no longer waiting for this answer";
/// What viewers are told of an agent that leaves its stdin unread.
const NOT_READING: &str = "The agent is not reading its input: its pipe is full, and what is sent to it waits. If this goes on, end the session.";
/// And when that is over.
const READS_AGAIN: &str = "The agent reads its input again.";
/// Why a message is not passed on.
const REPEATED: &str = "the agent has already had a message with this uuid";

impl Session {
    /// A line from the agent on its way to the relay.
    pub(super) fn take_output(&mut self, cx: &mut Cx<'_>, line: Line) {
        output::parts(line, |part| match part {
            Part::Message(text, head) => self.take_message(cx, text, head),
            Part::Stray(stray) => {
                let report = self.strays.push(cx.now(), stray);
                self.report_strays(cx, report);
            }
        });
    }

    fn take_message(&mut self, cx: &mut Cx<'_>, text: &Text, head: Head<'_>) {
        self.strays.saw_message();
        let number = self.link.sent_here() + 1;
        match self.conversation.read_output(cx.now(), text, head, number) {
            AgentLine::Message => self.agent_spoke(cx),
            AgentLine::Result | AgentLine::Callback => {}
            AgentLine::Init => {
                self.agent_spoke(cx);
                if let Some(conversation) = conversation_of(text) {
                    self.kept_conversation = Some(Some(conversation));
                }
            }
            AgentLine::Permission { tool } => {
                let (session, work) = self.names();
                cx.notify(WorkerNotice::PermissionAsked { session, work, tool });
            }
            AgentLine::Unanswerable { answer } => self.write_own(cx, &answer),
            AgentLine::Ambiguous { request_id, answer, times } => {
                self.link.send_line(cx.fx, Purpose::Link(self.id.clone()), text.clone());
                return self.refuse_ambiguous(cx, &request_id, &answer, times);
            }
        }
        self.link.send_line(cx.fx, Purpose::Link(self.id.clone()), text.clone());
    }

    /// The agent has asked different questions under one id: nobody may answer any of them.
    fn refuse_ambiguous(&mut self, cx: &mut Cx<'_>, request_id: &str, answer: &Text, times: usize) {
        for _ in 0..times {
            self.write_own(cx, answer);
        }
        let (request_id, reason) = (Cow::Borrowed(request_id), Cow::Borrowed(control::AMBIGUOUS));
        self.log(cx, &LogMessage::PermissionWithdrawn { request_id, reason });
    }

    /// Tells viewers what the agent has printed that is no message.
    pub(super) fn report_strays(
        &mut self,
        cx: &mut Cx<'_>,
        reports: impl IntoIterator<Item = output::Report>,
    ) {
        for output::Report { reason, line, more } in reports {
            let (message, line) = (Cow::Borrowed(reason.as_str()), Cow::Owned(line));
            self.log(cx, &LogMessage::AgentOutputError { message, line, more });
            let (session, work) = self.names();
            cx.notify(WorkerNotice::AgentOutputError { session, work, reason });
        }
    }

    /// A line from the relay on its way to the agent, passed on only if the agent can read and
    /// expects it. The caller then has to confirm it.
    pub(super) fn take_input(&mut self, cx: &mut Cx<'_>, number: u64, line: &Text) {
        if !self.hold(number, line) {
            self.give(cx, number, line);
        }
    }

    /// Gives the agent a line from the relay. The caller then has to confirm it.
    pub(super) fn give(&mut self, cx: &mut Cx<'_>, number: u64, line: &Text) {
        match self.conversation.take_input(line, self.link.base(), &cx.config.allowance) {
            AgentInput::Give => self.pass_on(cx, line),
            AgentInput::Answer { answer, times } => {
                self.pass_on(cx, &answer);
                for _ in 1..times {
                    self.write_own(cx, &answer);
                }
            }
            AgentInput::StaleAnswer(id) => {
                let answers = Cow::Owned(alloc::vec![id]);
                let reason = Cow::Borrowed(STALE_ANSWER);
                self.not_given(cx, number, Unsettled { answers, reason, ..Unsettled::default() });
            }
            AgentInput::Repeated(uuid) => {
                let uuids = Cow::Owned(alloc::vec![uuid]);
                let reason = Cow::Borrowed(REPEATED);
                self.not_given(cx, number, Unsettled { uuids, reason, ..Unsettled::default() });
            }
            AgentInput::Refused { request_id, why } => {
                let answer = control::error(&request_id, &why);
                self.link.send_line(cx.fx, Purpose::Link(self.id.clone()), answer);
                self.conversation.skip(Some(self.link.last_number()));
            }
            AgentInput::NotAllowed { uuid, why } => {
                let uuids = Cow::Owned(uuid.into_iter().collect());
                let reason = Cow::Owned(why);
                self.not_given(cx, number, Unsettled { uuids, reason, ..Unsettled::default() });
            }
            AgentInput::Nothing => self.conversation.skip(None),
        }
    }

    fn pass_on(&mut self, cx: &mut Cx<'_>, line: &Text) {
        let is_written = self.write(cx, line);
        self.conversation.pass_on(cx.now(), line.len(), is_written);
    }

    /// A line from the relay that the agent does not get: whoever sent it has to know (M-7).
    fn not_given(&mut self, cx: &mut Cx<'_>, number: u64, unsettled: Unsettled<'_>) {
        let lines = Cow::Owned(alloc::vec![number]);
        self.log(cx, &LogMessage::MessagesUndelivered(Unsettled { lines, ..unsettled }));
        self.conversation.skip(Some(self.link.last_number()));
    }

    /// Writes a line into the agent's pipe, and returns whether it still reads.
    pub(super) fn write(&mut self, cx: &mut Cx<'_>, line: &Text) -> bool {
        let mut data = Vec::with_capacity(line.len() + 1);
        data.extend_from_slice(line.as_bytes());
        data.push(b'\n');
        self.process.write(cx.fx, Bytes::from(data))
    }

    /// Writes a line of the worker's own into the agent's pipe.
    pub(super) fn write_own(&mut self, cx: &mut Cx<'_>, line: &Text) {
        if self.write(cx, line) {
            self.conversation.wrote_own(cx.now(), line.len());
        }
    }

    /// The agent's pipe has accepted some lines.
    pub(super) fn written(&mut self, cx: &mut Cx<'_>, writes: usize) {
        if self.conversation.written(cx.now(), writes) {
            self.log(cx, &LogMessage::AgentReading { message: Cow::Borrowed(READS_AGAIN) });
        }
        self.confirm(cx);
    }

    /// The agent may have left its stdin unread for too long.
    pub(super) fn reading_due(&mut self, cx: &mut Cx<'_>) {
        if self.conversation.has_stopped_reading(cx.now()) {
            self.log(cx, &LogMessage::AgentNotReading { message: Cow::Borrowed(NOT_READING) });
            let (session, work) = self.names();
            cx.notify(WorkerNotice::AgentNotReading { session, work });
        }
    }

    /// Acknowledges what is done with. All lines that have arrived must have been taken.
    pub(super) fn confirm(&mut self, cx: &mut Cx<'_>) {
        let (held, held_bytes) = self.succession.held();
        let pending = self.conversation.pending() + held;
        let bytes = self.conversation.inbound_bytes() + held_bytes;
        self.link.confirm_delivered(cx.fx, Purpose::Link(self.id.clone()), pending, bytes);
    }
}
