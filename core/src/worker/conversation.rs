//! What goes between a session's agent and the relay, line by line (M-1, M-2).
//!
//! The agent's lines travel as the bytes they were. Towards the agent goes only what it can read and
//! waits for: a line that is no message would end some agents, a second answer or a second copy of a
//! message would be acted on twice.

use alloc::format;
use alloc::string::{String, ToString};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::session::Session;
use super::{Purpose, WorkerNotice};
use crate::base::limits::MAX_OPEN_PERMISSIONS;
use crate::base::text::Text;
use crate::engine::effects::Effects;
use crate::wire::control;
use crate::wire::message::{Head, Kind};
use crate::wire::ndjson::Line;
use crate::wire::to_json;

/// Whose line it is that the agent's pipe is to take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Origin {
    /// The relay counts it, and wants to know that it is safe.
    Relay,
    /// The worker's own.
    Worker,
}

impl Session {
    /// A line of the agent on its way to the relay.
    pub(super) fn take_output(&mut self, fx: &mut Effects<Purpose, WorkerNotice>, line: Line) {
        let text = match line {
            Line::Whole(bytes) => Text::from_utf8(bytes),
            Line::TooLong { beginning, bytes } => {
                let reason = format!("a line of {bytes} bytes is over the limit");
                return self.skip_output(fx, &reason, &beginning);
            }
        };
        let line = match text {
            Ok(line) => line,
            Err(bytes) => return self.skip_output(fx, "a line is not UTF-8", &bytes),
        };
        let head = match Head::parse(&line) {
            Ok(head) => head,
            Err(no_message) => {
                return self.skip_output(fx, &no_message.to_string(), line.as_bytes());
            }
        };
        match (head.kind(), head.request_id) {
            (Kind::ControlRequest, Some(id)) => {
                self.agent_asks(fx, id, head.subtype, head.tool_name);
            }
            (Kind::ControlCancelRequest, Some(id)) => {
                self.questions.remove(&id);
            }
            _ => {}
        }
        self.link.send_line(fx, line);
    }

    /// The agent waits for an answer. People answer permission questions; anything else nobody
    /// here can answer, and it is told so, or else it would wait for ever (M-3).
    fn agent_asks(
        &mut self,
        fx: &mut Effects<Purpose, WorkerNotice>,
        id: String,
        subtype: Option<String>,
        tool: Option<String>,
    ) {
        let subtype = subtype.unwrap_or_default();
        let refusal = if subtype != "can_use_tool" {
            format!("nobody here answers {subtype:?}")
        } else if self.questions.len() >= MAX_OPEN_PERMISSIONS {
            format!("more than {MAX_OPEN_PERMISSIONS} permission questions are open")
        } else {
            self.questions.insert(id);
            let (session, work) = (self.id.clone(), self.lease.work.clone());
            let tool = tool.unwrap_or_default();
            return fx.notify(WorkerNotice::PermissionAsked { session, work, tool });
        };
        self.write(fx, &control::error(&id, &refusal), Origin::Worker);
    }

    fn skip_output(&mut self, fx: &mut Effects<Purpose, WorkerNotice>, reason: &str, line: &[u8]) {
        const SHOWN_BYTES: usize = 200;
        let shown = line.get(..line.len().min(SHOWN_BYTES)).unwrap_or_default();
        let line = String::from_utf8_lossy(shown).into_owned();
        self.report(
            fx,
            &Report {
                line: Some(&line),
                message: Some(reason),
                ..Report::of("agent_output_error")
            },
        );
        let (session, work) = (self.id.clone(), self.lease.work.clone());
        fx.notify(WorkerNotice::AgentOutputError { session, work, reason: reason.to_string() });
    }

    pub(super) fn report(&mut self, fx: &mut Effects<Purpose, WorkerNotice>, report: &Report<'_>) {
        let json = Text::from_utf8(to_json(report)).unwrap_or_default();
        if let Ok(message) = RawValue::from_string(json.as_str().into()) {
            self.link.send_report(fx, message);
        }
    }

    /// A line of the relay on its way to the agent: only what the agent can read and waits for.
    pub(super) fn take_input(&mut self, fx: &mut Effects<Purpose, WorkerNotice>, line: &Text) {
        let is_for_agent = self.is_for_agent(line);
        if is_for_agent {
            self.write(fx, line, Origin::Relay);
        }
        // One that found no agent any more is never safe: another one may have to be told of it.
        self.unsafe_lines.push_back(is_for_agent);
        self.confirm(fx);
    }

    fn is_for_agent(&mut self, line: &Text) -> bool {
        // A line that is no message would end some agents.
        let Ok(head) = Head::parse(line) else { return false };
        match (head.kind(), head.request_id, head.uuid) {
            // Exactly one answer reaches the agent, and only to a question that is open (M-2).
            (Kind::ControlResponse, Some(id), _) => self.questions.remove(&id),
            (Kind::ControlResponse, None, _) => false,
            (Kind::User, _, Some(uuid)) => self.delivered.insert(&uuid),
            _ => true,
        }
    }

    /// Puts a line into the agent's pipe, if it still reads.
    fn write(&mut self, fx: &mut Effects<Purpose, WorkerNotice>, line: &Text, origin: Origin) {
        let mut data = alloc::vec::Vec::with_capacity(line.len() + 1);
        data.extend_from_slice(line.as_bytes());
        data.push(b'\n');
        if self.process.write(fx, Bytes::from(data)) {
            self.in_pipe.push_back(origin);
        }
    }

    /// The agent's pipe has taken the next `writes` lines.
    pub(super) fn written(&mut self, fx: &mut Effects<Purpose, WorkerNotice>, writes: usize) {
        for origin in self.in_pipe.drain(..writes.min(self.in_pipe.len())) {
            let waiting = self.unsafe_lines.iter_mut().find(|is_in_pipe| **is_in_pipe);
            if let (Origin::Relay, Some(is_in_pipe)) = (origin, waiting) {
                *is_in_pipe = false;
            }
        }
        self.confirm(fx);
    }

    fn confirm(&mut self, fx: &mut Effects<Purpose, WorkerNotice>) {
        while self.unsafe_lines.front() == Some(&false) {
            self.unsafe_lines.pop_front();
        }
        self.link.confirm_delivered(fx, self.unsafe_lines.len());
    }
}

/// A message of the worker itself, for the session's log.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) subtype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signal: Option<i32>,
}

impl Report<'_> {
    pub(super) const fn of(subtype: &'static str) -> Self {
        Self {
            kind: "footbridge",
            subtype,
            message: None,
            line: None,
            pid: None,
            exit_code: None,
            signal: None,
        }
    }
}
