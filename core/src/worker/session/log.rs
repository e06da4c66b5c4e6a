//! Messages of the worker itself, for the session's log.

use serde::Serialize;

/// One of them. The relay stores it beside the agent's own lines.
#[derive(Serialize)]
pub(super) struct LogMessage<'a> {
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

impl LogMessage<'_> {
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
