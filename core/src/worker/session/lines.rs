//! How a session passes lines between its agent and its link.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Session;
use super::conversation::{AgentLine, BadLine, Origin};
use crate::base::text::Text;
use crate::wire::control;
use crate::wire::log_message::LogMessage;
use crate::wire::ndjson::Line;
use crate::worker::cx::Cx;
use crate::worker::notice::WorkerNotice;

impl Session {
    /// A line from the agent on its way to the relay.
    pub(super) fn take_output(&mut self, cx: &mut Cx<'_>, line: Line) {
        match self.conversation.read_output(line) {
            Ok((text, line)) => {
                match line {
                    AgentLine::Message => {}
                    AgentLine::Permission { tool } => {
                        let (session, work) = self.names();
                        cx.notify(WorkerNotice::PermissionAsked { session, work, tool });
                    }
                    AgentLine::Unanswerable { request_id, reason } => {
                        self.write(cx, &control::error(&request_id, &reason), Origin::Worker);
                    }
                }
                self.link.send_line(cx.fx, text);
            }
            Err(bad) => self.skip_output(cx, &bad),
        }
    }

    fn skip_output(&mut self, cx: &mut Cx<'_>, bad: &BadLine) {
        const SHOWN_BYTES: usize = 200;
        let shown = bad.line.get(..bad.line.len().min(SHOWN_BYTES)).unwrap_or_default();
        let line = String::from_utf8_lossy(shown);
        self.log(cx, &LogMessage::AgentOutputError { message: Cow::Borrowed(&bad.reason), line });
        let (session, work) = self.names();
        let reason = bad.reason.clone();
        cx.notify(WorkerNotice::AgentOutputError { session, work, reason });
    }

    /// A line from the relay on its way to the agent, passed on only if the agent can read and
    /// expects it.
    pub(super) fn take_input(&mut self, cx: &mut Cx<'_>, line: &Text) {
        let is_for_agent = self.conversation.is_for_agent(line);
        if is_for_agent {
            self.write(cx, line, Origin::Relay);
        }
        self.conversation.arrived(is_for_agent);
        self.confirm(cx);
    }

    /// Writes a line into the agent's pipe, if it still reads.
    fn write(&mut self, cx: &mut Cx<'_>, line: &Text, origin: Origin) {
        let mut data = Vec::with_capacity(line.len() + 1);
        data.extend_from_slice(line.as_bytes());
        data.push(b'\n');
        if self.process.write(cx.fx, Bytes::from(data)) {
            self.conversation.queued(origin);
        }
    }

    pub(super) fn confirm(&mut self, cx: &mut Cx<'_>) {
        self.link.confirm_delivered(cx.fx, self.conversation.pending());
    }
}
