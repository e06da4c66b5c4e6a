//! What an agent asks of the client that has declared hooks or MCP servers of its own (M-6).
//!
//! A hook on `PreToolUse` is a *guard*: it decides whether a tool runs. Agents let the tool run if a
//! guard is answered by an error, or by something that they cannot read. So neither may reach one.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::control::{self, FieldsOf, request_of};
use super::to_text;
use crate::base::limits::{MAX_CALLBACK_TIME_LIMIT, MAX_TIMED_HOOKS};
use crate::base::text::Text;

/// What a `control_request` of a client says about the questions that the agent will ask it: what it
/// names replaces what was declared before, and what it leaves out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declaration {
    /// `hooks` of an `initialize`: JSON. One that is empty takes all hooks back.
    pub hooks: Option<Text>,
    /// `sdkMcpServers` of an `initialize`: JSON.
    pub servers: Option<Text>,
    /// Whether it is an `mcp_set_servers` with servers of the client's own.
    pub sets_servers: bool,
}

impl Declaration {
    /// What a request declares; `None` if nothing changes.
    pub fn of(line: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Server<'a> {
            #[serde(borrow, default, rename = "type")]
            kind: Cow<'a, str>,
        }
        let request = request_of::<FieldsOf<'_>>(line)?;
        let field = |name: &str| request.get(name).filter(|raw| raw.get() != "null");
        let text = |raw: &&RawValue| Text::from(raw.get().to_string());
        // Those of `mcp_set_servers`: by name, each with its `type`.
        let is_own = |servers: &&RawValue| {
            let servers = serde_json::from_str::<BTreeMap<String, Server<'_>>>(servers.get());
            servers.is_ok_and(|servers| servers.values().any(|server| server.kind == "sdk"))
        };
        let declaration = Self {
            hooks: field("hooks").map(text),
            servers: field("sdkMcpServers").filter(|raw| holds_something(raw.get())).map(text),
            sets_servers: field("servers").is_some_and(is_own),
        };
        (declaration != Self::default()).then_some(declaration)
    }

    /// Whether the agent asks anybody because of it.
    pub fn asks(&self) -> bool {
        let has_hooks = self.hooks.as_ref().is_some_and(|hooks| holds_something(hooks.as_str()));
        has_hooks || self.servers.is_some() || self.sets_servers
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        let bytes = |text: &Option<Text>| text.as_ref().map_or(0, Text::len);
        bytes(&self.hooks) + bytes(&self.servers)
    }
}

/// Whether a value is neither null nor an empty list or object.
pub(crate) fn holds_something(json: &str) -> bool {
    let mut inside = json.chars().filter(|letter| !letter.is_ascii_whitespace());
    let ends = (inside.next(), inside.next());
    json != "null" && !matches!(ends, (Some('['), Some(']')) | (Some('{'), Some('}')))
}

/// What was declared, as an `initialize` for another run of the agent, which knows nothing of it.
pub fn declared_again(request_id: &str, hooks: Option<&Text>, servers: Option<&Text>) -> Text {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
        request_id: &'a str,
        request: Initialize<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Initialize<'a> {
        subtype: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        hooks: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sdk_mcp_servers: Option<&'a RawValue>,
    }
    fn raw(json: Option<&Text>) -> Option<&RawValue> {
        serde_json::from_str(json?.as_str()).ok()
    }
    let (hooks, sdk_mcp_servers) = (raw(hooks), raw(servers));
    let request = Initialize { subtype: "initialize", hooks, sdk_mcp_servers };
    to_text(&Line { kind: "control_request", request_id, request })
}

/// The time limits that hooks state for themselves, by the id of their callback; `None` if a request
/// says nothing about hooks.
pub fn time_limits(line: &str) -> Option<BTreeMap<String, Duration>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Matcher {
        #[serde(default)]
        hook_callback_ids: Vec<String>,
        #[serde(default)]
        timeout: Option<f64>,
    }
    let hooks = Declaration::of(line)?.hooks?;
    let mut limits = BTreeMap::new();
    let by_event: FieldsOf<'_> = serde_json::from_str(hooks.as_str()).unwrap_or_default();
    for matchers in by_event.values() {
        let matchers: Vec<&RawValue> = serde_json::from_str(matchers.get()).unwrap_or_default();
        for matcher in matchers {
            let Ok(Matcher { hook_callback_ids, timeout }) = serde_json::from_str(matcher.get())
            else {
                continue;
            };
            let limit = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let Some(limit) = limit.map(|limit| limit.min(MAX_CALLBACK_TIME_LIMIT)) else {
                continue;
            };
            for id in hook_callback_ids {
                if limits.len() < MAX_TIMED_HOOKS {
                    // The same id under several matchers is asked for each of them.
                    let known = limits.entry(id).or_insert(limit);
                    *known = limit.min(*known);
                }
            }
        }
    }
    Some(limits)
}

/// The subtype of a message to a client's MCP server.
pub const MCP_MESSAGE: &str = "mcp_message";

/// What an agent asks of a client, rather than of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Callback {
    /// A hook that decides whether a tool runs.
    Guard,
    /// Any other hook, or a message to an MCP server.
    Other,
}

impl Callback {
    /// What a `control_request` of this subtype is; `None` if it does not ask a client.
    pub fn of(subtype: &str, line: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Request<'a> {
            #[serde(borrow)]
            input: Input<'a>,
        }
        #[derive(Deserialize)]
        struct Input<'a> {
            #[serde(borrow)]
            hook_event_name: Cow<'a, str>,
        }
        match subtype {
            MCP_MESSAGE => Some(Self::Other),
            "hook_callback" => Some(match request_of::<Request<'_>>(line) {
                Some(request) if request.input.hook_event_name != GUARDED => Self::Other,
                // Also if it cannot be read: it may be one.
                _ => Self::Guard,
            }),
            _ => None,
        }
    }

    /// What two different questions under one id are refused as. Whichever of them the agent takes a
    /// refusal for, no tool runs.
    pub fn of_pair(pair: [Option<Self>; 2]) -> Option<Self> {
        let is_guard = pair.contains(&Some(Self::Guard));
        let other = pair.into_iter().flatten().next();
        if is_guard { Some(Self::Guard) } else { other }
    }

    /// The answer to one that nobody answers: a tool that it guards does not run, and anything else
    /// fails.
    pub fn refusal(self, request_id: &str, reason: &str) -> Text {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Deny<'a> {
            hook_specific_output: Decision<'a>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Decision<'a> {
            hook_event_name: &'a str,
            permission_decision: &'a str,
            permission_decision_reason: &'a str,
        }
        match self {
            Self::Other => control::error(request_id, reason),
            Self::Guard => control::success(
                request_id,
                &Deny {
                    hook_specific_output: Decision {
                        hook_event_name: GUARDED,
                        permission_decision: "deny",
                        permission_decision_reason: reason,
                    },
                },
            ),
        }
    }

    /// Why an agent could not read this answer, if that is so.
    pub fn unclear(self, answer: &str) -> Option<String> {
        let Ok(fields) = serde_json::from_str::<FieldsOf<'_>>(answer) else {
            return Some("the answer must be an object".into());
        };
        if self == Self::Other {
            return None;
        }
        let own = fields
            .get("hookSpecificOutput")
            .map_or(Ok(FieldsOf::new()), |raw| serde_json::from_str::<FieldsOf<'_>>(raw.get()));
        let Ok(own) = own else { return Some("hookSpecificOutput must be an object".into()) };
        let named = own.contains_key("hookEventName") || !fields.contains_key("hookSpecificOutput");
        if !named {
            return Some(format!("hookSpecificOutput.hookEventName must be {GUARDED:?}"));
        }
        unreadable("", &fields, &ANSWER).or_else(|| unreadable("hookSpecificOutput.", &own, &OWN))
    }
}

/// What tells the questions to clients apart: all that they ask.
pub fn digest(line: &str) -> [u8; 32] {
    let request = control::request_of::<FieldsOf<'_>>(line).unwrap_or_default();
    let mut digest = Sha256::new();
    for (name, field) in &request {
        for part in [name, field.get()] {
            digest.update(part);
            digest.update([0]);
        }
    }
    digest.finalize().into()
}

/// The `callback_id` of a `hook_callback`.
pub fn callback_id(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Request<'a> {
        #[serde(borrow)]
        callback_id: Cow<'a, str>,
    }
    request_of::<Request<'_>>(line).map(|request| request.callback_id.into_owned())
}

/// The `response` of a `control_response` that says *success*, or why there is none.
pub fn response_of(line: &str) -> Result<&str, String> {
    let none = || String::from("the answer cannot be read");
    let fields = serde_json::from_str::<FieldsOf<'_>>(line).map_err(|_| none())?;
    let response = fields.get("response").copied().ok_or_else(none)?;
    let fields = serde_json::from_str::<FieldsOf<'_>>(response.get()).map_err(|_| none())?;
    match (fields.get("subtype").map(|raw| raw.get()), fields.get("response").copied()) {
        (Some("\"success\""), Some(response)) => Ok(response.get()),
        _ => {
            let error = fields.get("error");
            let error = error.and_then(|error| serde_json::from_str::<String>(error.get()).ok());
            Err(error.unwrap_or_else(none))
        }
    }
}

/// The event of the hooks that are guards.
const GUARDED: &str = "PreToolUse";

/// What a field has to be.
#[derive(Clone, Copy)]
enum Shape {
    Flag,
    Words,
    Number,
    Object,
    OneOf(&'static [&'static str]),
}

/// The fields of an answer to a guard that mean something to agents.
const ANSWER: [(&str, Shape); 8] = [
    ("continue", Shape::Flag),
    ("suppressOutput", Shape::Flag),
    ("async", Shape::Flag),
    ("asyncTimeout", Shape::Number),
    ("stopReason", Shape::Words),
    ("reason", Shape::Words),
    ("systemMessage", Shape::Words),
    ("decision", Shape::OneOf(&["approve", "block"])),
];

/// Those of its `hookSpecificOutput`.
const OWN: [(&str, Shape); 5] = [
    ("hookEventName", Shape::OneOf(&[GUARDED])),
    ("permissionDecision", Shape::OneOf(&["allow", "deny", "ask", "defer"])),
    ("permissionDecisionReason", Shape::Words),
    ("additionalContext", Shape::Words),
    ("updatedInput", Shape::Object),
];

/// What is wrong with the first field that is not what it has to be.
fn unreadable(within: &str, fields: &FieldsOf<'_>, shapes: &[(&str, Shape)]) -> Option<String> {
    let wrong = shapes
        .iter()
        .find(|(name, shape)| fields.get(*name).is_some_and(|raw| !shape.fits(raw.get())));
    let (name, shape) = wrong?;
    let what = match shape {
        Shape::Flag => "true or false".to_string(),
        Shape::Words => "text".to_string(),
        Shape::Number => "a number".to_string(),
        Shape::Object => "an object".to_string(),
        Shape::OneOf(names) => format!("one of {names:?}"),
    };
    Some(format!("{within}{name} must be {what}"))
}

impl Shape {
    fn fits(self, json: &str) -> bool {
        match self {
            Self::Flag => matches!(json, "true" | "false"),
            Self::Words => json.starts_with('"'),
            Self::Number => serde_json::from_str::<f64>(json).is_ok(),
            Self::Object => json.starts_with('{'),
            Self::OneOf(names) => {
                serde_json::from_str::<Cow<'_, str>>(json).is_ok_and(|name| names.contains(&&*name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(request: &str) -> String {
        format!(r#"{{"type":"control_request","request":{request}}}"#)
    }

    #[test]
    fn a_request_that_makes_its_client_answer_later_is_recognised() {
        let declared = |line: &str| Declaration::of(&request(line));
        for nothing in [
            r#"{"subtype":"initialize"}"#,
            r#"{"subtype":"initialize","hooks":null,"sdkMcpServers":[]}"#,
            r#"{"subtype":"mcp_set_servers","servers":{"calc":{"type":"stdio","command":"calc"}}}"#,
        ] {
            assert_eq!(declared(nothing), None, "{nothing}");
        }
        let empty =
            declared(r#"{"subtype":"initialize","hooks":{ }}"#).expect("it takes them back");
        assert!(!empty.asks() && empty.hooks.is_some());
        let twice = r#"{"subtype":"initialize","hooks":null,"hooks":{"Stop":[]}}"#;
        assert!(declared(twice).is_some_and(|twice| twice.asks()), "the last one counts");
        for hooks in [r#"{"PreToolUse":[]}"#, r#"[1]"#, r#""PreToolUse""#, "true"] {
            let line = format!(r#"{{"subtype":"initialize","hooks":{hooks}}}"#);
            let hooks = Some(Text::from(hooks.to_string()));
            let expected = Declaration { hooks, ..Declaration::default() };
            assert!(expected.asks());
            assert_eq!(declared(&line), Some(expected));
        }
        for servers in [
            r#"{"subtype":"initialize","sdkMcpServers":["calc"]}"#,
            r#"{"subtype":"mcp_set_servers","servers":{"calc":{"type":"sdk","name":"calc"}}}"#,
        ] {
            assert!(declared(servers).is_some_and(|servers| servers.asks()), "{servers}");
        }
    }

    #[test]
    fn another_run_of_the_agent_is_told_what_was_declared() {
        let hooks = Text::from(r#"{"PreToolUse":[{"hookCallbackIds":["hook_0"]}]}"#);
        assert_eq!(
            declared_again("declared-7", Some(&hooks), None).as_str(),
            r#"{"type":"control_request","request_id":"declared-7","request":{"subtype":"initialize","hooks":{"PreToolUse":[{"hookCallbackIds":["hook_0"]}]}}}"#
        );
        let again = declared_again("declared-7", Some(&hooks), Some(&Text::from(r#"["calc"]"#)));
        let said = Declaration::of(again.as_str()).expect("it declares the same");
        assert_eq!((said.hooks, said.servers.is_some()), (Some(hooks), true));
    }

    #[test]
    fn a_hook_that_states_a_time_limit_has_that_one_up_to_an_hour() {
        let line = request(
            r#"{"subtype":"initialize","hooks":{"PreToolUse":[
                {"matcher":"Bash","hookCallbackIds":["a","b"],"timeout":5},
                {"hookCallbackIds":["b"],"timeout":2.5},
                {"hookCallbackIds":["c"],"timeout":7200},
                {"hookCallbackIds":["d"]}, {"timeout":-1,"hookCallbackIds":["e"]}, 7],"Stop":3}}"#,
        );
        let limits = time_limits(&line).expect("it declares hooks");
        let limits: Vec<_> =
            limits.iter().map(|(id, limit)| (id.as_str(), limit.as_millis())).collect();
        assert_eq!(limits, [("a", 5000), ("b", 2500), ("c", 3_600_000)]);
        assert_eq!(time_limits(&request(r#"{"subtype":"initialize"}"#)), None);
    }

    #[test]
    fn a_guard_that_nobody_answers_never_lets_a_tool_run() {
        let refused = |input: &str| {
            let line = request(&format!(r#"{{"subtype":"hook_callback"{input}}}"#));
            let callback = Callback::of("hook_callback", &line).expect("it asks a client");
            callback.refusal("H", "nobody is there")
        };
        for guard in [r#","input":{"hook_event_name":"PreToolUse"}"#, r#","input":3"#, ""] {
            assert_eq!(
                refused(guard).as_str(),
                r#"{"type":"control_response","response":{"subtype":"success","request_id":"H","response":{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny","permissionDecisionReason":"nobody is there"}}}}"#,
                "{guard}"
            );
        }
        let other = refused(r#","input":{"hook_event_name":"Stop"}"#);
        assert_eq!(other, control::error("H", "nobody is there"));
        assert_eq!(Callback::of("mcp_message", ""), Some(Callback::Other));
        assert_eq!(Callback::of("can_use_tool", ""), None);
    }

    #[test]
    fn an_answer_to_a_guard_that_an_agent_could_not_read_is_unclear() {
        for clear in [
            "{}",
            r#"{"continue":true}"#,
            r#"{"decision":"block","reason":"no"}"#,
            r#"{"async":true,"later":[1]}"#,
            r#"{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny"}}"#,
            r#"{"hookSpecificOutput":{"hookEventName":"PreToolUse","updatedInput":{"a":1},"x":2}}"#,
        ] {
            assert_eq!(Callback::Guard.unclear(clear), None, "{clear}");
        }
        for unclear in [
            "null",
            r#""deny""#,
            "[]",
            "",
            r#"{"decision":"deny"}"#,
            r#"{"decision":null}"#,
            r#"{"continue":"false"}"#,
            r#"{"hookSpecificOutput":"deny"}"#,
            r#"{"hookSpecificOutput":null}"#,
            r#"{"hookSpecificOutput":{"permissionDecision":"deny"}}"#,
            r#"{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"DENY"}}"#,
            r#"{"hookSpecificOutput":{"hookEventName":"Stop","permissionDecision":"deny"}}"#,
            r#"{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"allow","permissionDecision":1}}"#,
            r#"{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecisionReason":3}}"#,
        ] {
            assert!(Callback::Guard.unclear(unclear).is_some(), "{unclear}");
        }
        assert_eq!(Callback::Other.unclear(r#"{"decision":5}"#), None);
        assert!(Callback::Other.unclear("7").is_some());
    }
}
