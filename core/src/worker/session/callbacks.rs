//! The hooks and MCP servers that a client has declared to a session's agent (M-6).

use alloc::borrow::Cow;

use super::Session;
use crate::base::text::Text;
use crate::hosting::questions::Expired;
use crate::wire::log_message::LogMessage;
use crate::wire::message::{Head, Kind};
use crate::worker::cx::Cx;

/// Why a question is no longer open.
const SILENT: &str =
    "the client that declared this hook or MCP server did not answer in time, or is gone";

impl Session {
    /// The agent has to be told this before anything else, unless it was: an earlier run of it was. The
    /// relay sends it again with each link.
    pub(super) fn declare(&mut self, cx: &mut Cx<'_>, line: Text) {
        let is_request = Head::parse(&line).is_ok_and(|head| head.kind() == Kind::ControlRequest);
        if is_request && self.declared.as_ref() != Some(&line) {
            self.declared = Some(line);
            self.say_declared(cx);
        }
    }

    /// Tells an agent that has just been started, or is about to be.
    pub(super) fn say_declared(&mut self, cx: &mut Cx<'_>) {
        if let Some(line) = self.declared.clone() {
            self.conversation.declared(&line);
            self.write_own(cx, &line);
        }
    }

    /// What no client has answered in time is refused.
    pub(super) fn callbacks_due(&mut self, cx: &mut Cx<'_>) {
        for Expired { id, callback, times } in self.conversation.expire(cx.now()) {
            let answer = callback.refusal(&id, SILENT);
            for _ in 0..times {
                self.write_own(cx, &answer);
            }
            let (request_id, reason) = (Cow::Borrowed(id.as_str()), Cow::Borrowed(SILENT));
            self.log(cx, &LogMessage::CallbackWithdrawn { request_id, reason });
        }
    }
}
