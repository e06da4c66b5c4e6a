//! Which of an agent's messages are for people, and which are housekeeping (M-8).
//!
//! One table decides it for whoever shows a log: `GET /v1/housekeeping` serves it, so that no viewer
//! has a table of its own. It is about showing only: every message stays in the log, and goes to
//! every viewer.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::message::Head;

/// How a message is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Showing {
    /// As part of the conversation.
    Shown,
    /// To whoever asks for everything.
    Quiet,
    /// To nobody: it says nothing that is not shown otherwise.
    Never,
}

/// What messages of one `type` are, and of one `subtype` if it has one: of the message itself, or of
/// its `request` or `response`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The `type`.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The `subtype`; without one, the rule is for all of that type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtype: Option<Cow<'static, str>>,
    /// How they are shown.
    pub show: Showing,
}

const fn all(kind: &'static str, show: Showing) -> Rule {
    Rule { kind: Cow::Borrowed(kind), subtype: None, show }
}

const fn one(kind: &'static str, subtype: &'static str, show: Showing) -> Rule {
    Rule { kind: Cow::Borrowed(kind), subtype: Some(Cow::Borrowed(subtype)), show }
}

/// What agents print for programs: states, progress, acknowledgements. Whatever is not in this table
/// is shown, and so is whatever later agents may print.
pub const RULES: &[Rule] = &[
    all("command_lifecycle", Showing::Quiet),
    all("control_cancel_request", Showing::Quiet),
    one("control_request", "hook_callback", Showing::Quiet),
    one("control_request", "mcp_message", Showing::Quiet),
    one("control_response", "success", Showing::Quiet),
    all("keep_alive", Showing::Never),
    one("system", "files_persisted", Showing::Quiet),
    one("system", "hook_progress", Showing::Quiet),
    one("system", "hook_response", Showing::Quiet),
    one("system", "hook_started", Showing::Quiet),
    one("system", "init", Showing::Quiet),
    one("system", "session_state_changed", Showing::Quiet),
    one("system", "status", Showing::Quiet),
    one("system", "task_progress", Showing::Quiet),
    one("system", "task_updated", Showing::Quiet),
    one("system", "thinking_tokens", Showing::Quiet),
    all("tool_progress", Showing::Quiet),
    all("transcript_mirror", Showing::Never),
];

/// How a message is shown that an agent has printed.
pub fn showing(head: &Head) -> Showing {
    let fits = |rule: &&Rule| {
        let subtype = rule.subtype.as_deref();
        rule.kind == head.kind && (subtype.is_none() || subtype == head.subtype.as_deref())
    };
    RULES.iter().find(fits).map_or(Showing::Shown, |rule| rule.show)
}

/// The answer to `GET /v1/housekeeping`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Housekeeping {
    /// The first rule that fits a message counts; one that none fits is shown.
    #[serde(default)]
    pub rules: Cow<'static, [Rule]>,
}

impl Housekeeping {
    /// The table of this version.
    pub const CURRENT: Self = Self { rules: Cow::Borrowed(RULES) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::Text;

    #[test]
    fn what_agents_print_for_people_is_told_from_housekeeping() {
        use Showing::{Never, Quiet, Shown};
        let lines = [
            (r#"{"type":"assistant","message":{}}"#, Shown),
            (r#"{"type":"user","message":{}}"#, Shown),
            (r#"{"type":"result","subtype":"success"}"#, Shown),
            (r#"{"type":"stream_event","event":{}}"#, Shown),
            (r#"{"type":"system","subtype":"api_retry"}"#, Shown),
            (r#"{"type":"system","subtype":"permission_denied"}"#, Shown),
            (r#"{"type":"system","subtype":"of_tomorrow"}"#, Shown),
            (
                r#"{"type":"control_request","request_id":"1","request":{"subtype":"can_use_tool"}}"#,
                Shown,
            ),
            (r#"{"type":"control_response","response":{"subtype":"error","error":"no"}}"#, Shown),
            (r#"{"type":"rate_limit_event"}"#, Shown),
            (r#"{"type":"of_tomorrow"}"#, Shown),
            (r#"{"type":"command_lifecycle","state":"queued"}"#, Quiet),
            (r#"{"type":"system","subtype":"status","status":null}"#, Quiet),
            (r#"{"type":"system","subtype":"hook_progress"}"#, Quiet),
            (r#"{"type":"system","subtype":"init"}"#, Quiet),
            (r#"{"type":"control_response","response":{"subtype":"success"}}"#, Quiet),
            (r#"{"type":"keep_alive"}"#, Never),
        ];
        for (line, expected) in lines {
            let line = Text::from(line);
            let head = Head::parse(&line).expect("a message");
            assert_eq!(showing(&head), expected, "{line:?}");
        }
    }
}
