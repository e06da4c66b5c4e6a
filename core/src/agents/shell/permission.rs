//! Modes, and the host's answer to a question (M-2).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use serde::Deserialize;
use serde_json::Value;

use super::command_line::runnable;

/// Whether to ask before running commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PermissionMode {
    /// Ask before every command.
    #[default]
    Default,
    /// Same as `Default`: the agent edits files only through commands.
    AcceptEdits,
    /// Run commands without asking.
    BypassPermissions,
}

impl PermissionMode {
    const ALL: [Self; 3] = [Self::Default, Self::AcceptEdits, Self::BypassPermissions];

    /// By its name on the wire; `None` for a mode this agent does not have.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::AcceptEdits => "acceptEdits",
            Self::BypassPermissions => "bypassPermissions",
        }
    }

    pub(super) const fn asks(self) -> bool {
        !matches!(self, Self::BypassPermissions)
    }
}

/// The host's answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Run this; `None`: run the command in the question.
    Allow(Option<String>),
    /// Do not run it.
    Deny {
        message: String,
        /// Whether this also ends the turn.
        interrupt: bool,
    },
    /// Not an answer that can be acted on: the tool fails and nothing runs.
    Broken(String),
}

#[derive(Deserialize)]
struct Response {
    response: Answer,
}

#[derive(Deserialize)]
struct Answer {
    subtype: String,
    #[serde(default)]
    response: Value,
    #[serde(default)]
    error: Option<String>,
}

impl Verdict {
    /// Reads a `control_response` line. Nothing runs unless it is plainly an *allow*.
    pub(super) fn parse(line: &str) -> Self {
        let Ok(Response { response: answer }) = serde_json::from_str(line) else {
            return Self::Broken("the answer to the permission request is malformed".to_owned());
        };
        if answer.subtype != "success" {
            let reason = answer.error.unwrap_or_else(|| "no reason was given".to_owned());
            return Self::Broken(format!("the permission request failed: {reason}"));
        }
        let payload = answer.response;
        match payload.get("behavior").and_then(Value::as_str) {
            Some("allow") => Self::allow(payload.get("updatedInput")),
            Some("deny") => Self::Deny {
                message: payload
                    .get("message")
                    .and_then(Value::as_str)
                    .unwrap_or("it was denied without a reason")
                    .to_owned(),
                interrupt: payload.get("interrupt").and_then(Value::as_bool).unwrap_or(false),
            },
            _ => Self::Broken(
                "the answer to the permission request is neither \"allow\" nor \"deny\"".to_owned(),
            ),
        }
    }

    /// Hosts that no longer know the input send an empty one to mean "as asked".
    fn allow(input: Option<&Value>) -> Self {
        let Some(input) = input.filter(|input| !input.is_null()) else { return Self::Allow(None) };
        match input.as_object() {
            Some(fields) if fields.is_empty() => Self::Allow(None),
            Some(fields) => match fields.get("command").and_then(Value::as_str) {
                Some(command) => match runnable(command) {
                    Ok(command) => Self::Allow(Some(command.to_owned())),
                    Err(reason) => Self::Broken(format!("updatedInput cannot be run: {reason}")),
                },
                None => Self::Broken("updatedInput has no \"command\"".to_owned()),
            },
            None => Self::Broken("updatedInput is not an object".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_allow_lets_anything_run() {
        let parse = |inner: &str| {
            Verdict::parse(&format!(r#"{{"type":"control_response","response":{inner}}}"#))
        };
        let success = |payload: &str| {
            parse(&format!(r#"{{"subtype":"success","request_id":"P","response":{payload}}}"#))
        };
        let long = "x".repeat(crate::base::limits::MAX_SHELL_COMMAND_BYTES + 1);
        let allow = |command: &str| Verdict::Allow(Some(command.to_owned()));
        assert_eq!(success(r#"{"behavior":"allow","updatedInput":{"command":"ls"}}"#), allow("ls"));
        for as_asked in [r#""updatedInput":{}"#, r#""updatedInput":null"#, r#""x":1"#] {
            let payload = format!(r#"{{"behavior":"allow",{as_asked}}}"#);
            assert_eq!(success(&payload), Verdict::Allow(None), "{payload}");
        }
        for broken in [
            r#"{"behavior":"allow","updatedInput":{"cmd":"ls"}}"#,
            r#"{"behavior":"allow","updatedInput":"ls"}"#,
            r#"{"behavior":"allow","updatedInput":{"command":" "}}"#,
            r#"{"behavior":"allow","updatedInput":{"command":"a\u0000b"}}"#,
            &format!(r#"{{"behavior":"allow","updatedInput":{{"command":"{long}"}}}}"#),
            r#"{"behavior":"Allow"}"#,
            r#"{"behavior":true}"#,
            r#"{}"#,
            r#"null"#,
            r#"[]"#,
        ] {
            assert!(matches!(success(broken), Verdict::Broken(_)), "{broken}");
        }
        for broken in [r#"{"subtype":"error","error":"gone"}"#, r#"{"subtype":1}"#, "1", "{}"] {
            assert!(matches!(parse(broken), Verdict::Broken(_)), "{broken}");
        }
        assert_eq!(
            success(r#"{"behavior":"deny","message":"no","interrupt":true}"#),
            Verdict::Deny { message: "no".to_owned(), interrupt: true }
        );
    }
}
