//! The permission questions of one session (M-2): each is answered at most once.
//!
//! ```text
//!            control_request
//!   unknown ─────────────────▶ open ──── first answer ─────▶ answered
//!                               │
//!                               └─ cancel, agent's death, ─▶ withdrawn
//!                                  end of session
//! ```
//!
//! A name that is open or closed is not opened again: agents draw a fresh one for each question, so
//! the second line is a repetition, which stays in the log and changes nothing. What is closed is
//! forgotten together with the event that closed it, when retention lets that go.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::record::Question;
use super::transaction::PermissionReply;
use crate::base::limits::{MAX_OPEN_PERMISSION_BYTES, MAX_OPEN_PERMISSIONS};
use crate::base::text::Text;
use crate::wire::control::{self, PermissionAnswer};

#[derive(Clone, Debug, Default)]
pub(super) struct Questions {
    open: BTreeMap<String, Open>,
    closed: BTreeMap<String, Closed>,
    open_bytes: usize,
}

#[derive(Clone, Debug)]
struct Open {
    question: Question,
    /// What the tool is to run with: a part of the agent's line, byte for byte. A copy, so that a
    /// question does not hold its whole line's memory.
    input: Text,
}

#[derive(Clone, Debug)]
struct Closed {
    seq: u64,
    /// The `control_response` that went to the agent; none if the question was withdrawn.
    line: Option<Text>,
    /// Whether that is *allow*, with the input that was asked for.
    is_as_asked: bool,
}

/// Where a question stands.
pub(super) enum Standing<'a> {
    Unknown,
    Open,
    Answered(Given<'a>),
    Withdrawn,
}

/// The answer that a question has.
pub(super) struct Given<'a> {
    pub(super) seq: u64,
    pub(super) line: &'a Text,
    is_as_asked: bool,
}

impl Given<'_> {
    /// Whether a reply says the same once more.
    pub(super) fn is_same(&self, request_id: &str, reply: &PermissionReply) -> bool {
        match reply {
            PermissionReply::Allow { updated_input: None } => self.is_as_asked,
            PermissionReply::Allow { updated_input: Some(_) } | PermissionReply::Deny { .. } => {
                line_for(request_id, None, reply) == *self.line
            }
        }
    }
}

/// What became of a question that the agent asked.
pub(super) enum Asked {
    Opened,
    Known,
    TooMany,
}

impl Questions {
    pub(super) fn pending(&self) -> Vec<Question> {
        let mut pending: Vec<_> = self.open.values().map(|open| open.question.clone()).collect();
        pending.sort_by_key(|question| question.seq);
        pending
    }

    pub(super) fn ask(&mut self, question: Question, line: &Text) -> Asked {
        let id = &question.request_id;
        if self.open.contains_key(id) || self.closed.contains_key(id) {
            return Asked::Known;
        }
        let input = input_of(line);
        let bytes = self.open_bytes + input.len();
        if self.open.len() >= MAX_OPEN_PERMISSIONS || bytes > MAX_OPEN_PERMISSION_BYTES {
            return Asked::TooMany;
        }
        self.open_bytes = bytes;
        self.open.insert(id.clone(), Open { question, input });
        Asked::Opened
    }

    pub(super) fn standing(&self, request_id: &str) -> Standing<'_> {
        if self.open.contains_key(request_id) {
            return Standing::Open;
        }
        match self.closed.get(request_id) {
            Some(Closed { seq, line: Some(line), is_as_asked }) => {
                Standing::Answered(Given { seq: *seq, line, is_as_asked: *is_as_asked })
            }
            Some(Closed { line: None, .. }) => Standing::Withdrawn,
            None => Standing::Unknown,
        }
    }

    /// The line for the agent that a reply to this question makes.
    pub(super) fn line_for(&self, request_id: &str, reply: &PermissionReply) -> Text {
        line_for(request_id, self.open.get(request_id).map(|open| &open.input), reply)
    }

    /// Closes a question that is open; says whether it was.
    pub(super) fn close(&mut self, request_id: &str, seq: u64, line: Option<Text>) -> bool {
        let Some(open) = self.open.remove(request_id) else { return false };
        self.open_bytes -= open.input.len();
        let as_asked = PermissionReply::Allow { updated_input: None };
        let as_asked = line_for(request_id, Some(&open.input), &as_asked);
        let is_as_asked = line.as_ref() == Some(&as_asked);
        self.closed.insert(request_id.to_string(), Closed { seq, line, is_as_asked });
        true
    }

    /// Forgets what was closed before this event.
    pub(super) fn forget_before(&mut self, first_seq: u64) {
        self.closed.retain(|_, closed| closed.seq >= first_seq);
    }
}

fn line_for(request_id: &str, asked: Option<&Text>, reply: &PermissionReply) -> Text {
    let answer = match reply {
        PermissionReply::Allow { updated_input } => {
            let empty = Text::from("{}");
            allow(updated_input.as_ref().or(asked).unwrap_or(&empty))
        }
        PermissionReply::Deny { message, interrupt } => {
            PermissionAnswer::Deny { message: message.clone(), interrupt: *interrupt }
        }
    };
    control::success(request_id, &answer)
}

fn allow(input: &Text) -> PermissionAnswer {
    let raw = RawValue::from_string(input.as_str().to_string());
    PermissionAnswer::Allow { updated_input: raw.unwrap_or_else(|_| empty_object()) }
}

fn empty_object() -> Box<RawValue> {
    match RawValue::from_string("{}".to_string()) {
        Ok(raw) => raw,
        Err(error) => unreachable!("an empty object is JSON: {error}"),
    }
}

/// `request.input` of a `can_use_tool` question; an empty object where there is none.
fn input_of(line: &Text) -> Text {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        request: Request<'a>,
    }
    #[derive(Deserialize)]
    struct Request<'a> {
        #[serde(borrow)]
        input: &'a RawValue,
    }
    let Ok(Line { request }) = serde_json::from_str::<Line<'_>>(line.as_str()) else {
        return Text::from("{}");
    };
    Text::from(request.input.get().to_string())
}
