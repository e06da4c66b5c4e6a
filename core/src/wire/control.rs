//! Control requests and responses (M-2, M-3).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::to_text;
use crate::base::limits::MAX_ID_BYTES;
use crate::base::text::Text;

/// A `control_request` whose subtype has no fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlRequest<'a> {
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    /// Its id, which the answer repeats.
    pub request_id: Cow<'a, str>,
    /// What is requested.
    pub request: Subtype<'a>,
}

/// What a `control_request` requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subtype<'a> {
    /// By name: `interrupt`, `initialize`, …
    pub subtype: Cow<'a, str>,
}

/// A `control_request` whose subtype has no fields: `interrupt`, `initialize`.
pub fn request(request_id: &str, subtype: &str) -> Text {
    to_text(&ControlRequest {
        kind: Cow::Borrowed("control_request"),
        request_id: Cow::Borrowed(request_id),
        request: Subtype { subtype: Cow::Borrowed(subtype) },
    })
}

/// A `control_cancel_request`: the question is withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest<'a> {
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    /// Which one.
    pub request_id: Cow<'a, str>,
}

/// A `control_cancel_request`: the question is withdrawn.
pub fn cancel_request(request_id: &str) -> Text {
    to_text(&CancelRequest {
        kind: Cow::Borrowed("control_cancel_request"),
        request_id: Cow::Borrowed(request_id),
    })
}

/// A `control_response` with a payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlResponse<'a, T> {
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    /// What it says.
    pub response: ResponseBody<'a, T>,
}

/// What a `control_response` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseBody<'a, T> {
    /// `success` or `error`.
    pub subtype: Cow<'a, str>,
    /// The request that it answers.
    pub request_id: Cow<'a, str>,
    /// The payload of a *success*.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub response: Option<T>,
    /// The reason for an *error*.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'a, str>>,
}

const fn none<T>() -> Option<T> {
    None
}

fn response<T: Serialize>(response: ResponseBody<'_, T>) -> Text {
    to_text(&ControlResponse { kind: Cow::Borrowed("control_response"), response })
}

/// A `control_response` that says *success*, with its payload.
pub fn success<T: Serialize>(request_id: &str, payload: &T) -> Text {
    response(ResponseBody {
        subtype: Cow::Borrowed("success"),
        request_id: Cow::Borrowed(request_id),
        response: Some(payload),
        error: None,
    })
}

/// A `control_response` that says *error*, so that the requester does not wait forever.
pub fn error(request_id: &str, error: &str) -> Text {
    response::<()>(ResponseBody {
        subtype: Cow::Borrowed("error"),
        request_id: Cow::Borrowed(request_id),
        response: None,
        error: Some(Cow::Borrowed(error)),
    })
}

/// An answer to the question that this line of the agent asked, as its link counts them. The id alone
/// does not say it: agents may use one again. The worker takes it off ([`asked_on`]).
pub fn answer_on(answer: &Text, line: u64) -> Text {
    match answer.as_str().strip_suffix('}') {
        Some(open) if line > 0 => Text::from(format!("{open},\"asked_on_line\":{line}}}")),
        _ => answer.clone(),
    }
}

/// The same for one of the relay's own, which is nobody's answer.
pub fn refusal_on(answer: &Text, line: u64) -> Text {
    match answer.as_str().strip_suffix('}') {
        Some(open) => answer_on(&Text::from(format!("{open},\"refused\":true}}")), line),
        None => answer.clone(),
    }
}

/// What an answer from the relay is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The line of the agent, if it says so.
    pub line: Option<u64>,
    /// Whether the relay has refused the question.
    pub is_refusal: bool,
    /// The answer as the agent gets it.
    pub answer: Text,
}

/// Reads an answer from the relay.
pub fn asked_on(line: &Text) -> Answered {
    #[derive(Serialize, Deserialize)]
    struct Answer<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow)]
        response: &'a RawValue,
        #[serde(default, skip_serializing)]
        asked_on_line: Option<u64>,
        #[serde(default, skip_serializing)]
        refused: bool,
    }
    match serde_json::from_str::<Answer<'_>>(line.as_str()) {
        Ok(answer) if answer.asked_on_line.is_some() || answer.refused => Answered {
            line: answer.asked_on_line,
            is_refusal: answer.refused,
            answer: to_text(&answer),
        },
        _ => Answered { line: None, is_refusal: false, answer: line.clone() },
    }
}

/// The error for a `control_request` whose `request_id` is no text. It is repeated as it is, if it is
/// short, so that the agent knows which of its requests is meant.
pub fn unnamed(line: &str) -> Text {
    #[derive(Serialize)]
    struct Response<'a> {
        subtype: &'a str,
        request_id: Option<&'a RawValue>,
        error: &'a str,
    }
    let fields = serde_json::from_str::<FieldsOf<'_>>(line).unwrap_or_default();
    let id = fields.get("request_id").copied().filter(|id| id.get().len() <= MAX_ID_BYTES);
    to_text(&Typed {
        kind: "control_response",
        response: Response { subtype: "error", request_id: id, error: UNNAMED },
    })
}

/// Why none of two questions under one id can be answered.
pub(crate) const AMBIGUOUS: &str = "the agent asked another question under the same id";
/// Why such a request is refused.
const UNNAMED: &str = "a request_id has to be text";

#[derive(Serialize)]
struct Typed<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    response: T,
}

/// Fields of an object that pass through unread, by name.
pub type Fields = BTreeMap<String, Box<RawValue>>;

/// Fields of an object that are looked at, by name. If a key appears twice the last one counts, as
/// it does for the agents that read the same line.
pub(crate) type FieldsOf<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// A message with a name of its own, a `uuid` or a `request_id`, in place of one that is there and is no
/// name. `line` is an object with at least one more field.
pub fn with_name(line: &Text, key: &str, name: &str) -> Text {
    let without = without(line, key);
    let line = without.as_ref().unwrap_or(line).as_str().trim_end();
    let open = line.strip_suffix('}').unwrap_or_default();
    Text::from(format!("{open},\"{key}\":\"{name}\"}}"))
}

/// An object without a field that it has; `None` if it has none. Some readers reject a key that
/// appears twice. No message consists of that field alone, so something is left before a comma.
fn without(line: &Text, key: &str) -> Option<Text> {
    let mut fields: Fields = serde_json::from_str(line.as_str()).ok()?;
    fields.remove(key)?;
    serde_json::to_string(&fields).ok().map(Text::from)
}

/// The `request` of a `control_request`; `None` if it is not of this shape.
pub(crate) fn request_of<'a, T: Deserialize<'a>>(line: &'a str) -> Option<T> {
    let fields = serde_json::from_str::<FieldsOf<'a>>(line).ok()?;
    serde_json::from_str(fields.get("request")?.get()).ok()
}

/// Takes a field out, and reads it.
pub(crate) fn take_field<T: DeserializeOwned, E: serde::de::Error>(
    fields: &mut Fields,
    name: &str,
) -> Result<Option<T>, E> {
    let Some(raw) = fields.remove(name) else { return Ok(None) };
    let field = serde_json::from_str::<Option<T>>(raw.get());
    field.map_err(|error| E::custom(format!("{name}: {error}")))
}

/// The answer to a permission question (M-2).
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "behavior", rename_all = "snake_case")]
pub enum PermissionAnswer {
    /// Allowed, with this input.
    Allow {
        /// The input to run the tool with.
        #[serde(rename = "updatedInput")]
        updated_input: Box<RawValue>,
        /// Whatever else the agent is told: `updatedPermissions`, for instance.
        #[serde(flatten)]
        further: Fields,
    },
    /// Denied.
    Deny {
        /// The reason, for the agent.
        message: String,
        /// Whether this also ends the turn.
        #[serde(skip_serializing_if = "core::ops::Not::not")]
        interrupt: bool,
        /// Whatever else the agent is told.
        #[serde(flatten)]
        further: Fields,
    },
}

impl<'de> Deserialize<'de> for PermissionAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not derived: raw JSON does not survive an internal tag (`versions::tag_of`).
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Behavior {
            Allow,
            Deny,
        }
        let mut fields = Fields::deserialize(deserializer)?;
        let behavior = take_field(&mut fields, "behavior")?;
        match behavior.ok_or_else(|| D::Error::missing_field("behavior"))? {
            Behavior::Allow => Ok(Self::Allow {
                updated_input: take_field(&mut fields, "updatedInput")?
                    .ok_or_else(|| D::Error::missing_field("updatedInput"))?,
                further: fields,
            }),
            Behavior::Deny => Ok(Self::Deny {
                message: take_field(&mut fields, "message")?.unwrap_or_default(),
                interrupt: take_field(&mut fields, "interrupt")?.unwrap_or_default(),
                further: fields,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;

    #[test]
    fn control_lines_are_what_agents_expect() {
        assert_eq!(
            request("r2", "interrupt").as_str(),
            r#"{"type":"control_request","request_id":"r2","request":{"subtype":"interrupt"}}"#
        );
        assert_eq!(
            cancel_request("P").as_str(),
            r#"{"type":"control_cancel_request","request_id":"P"}"#
        );
        let input = r#"{"command":"echo hi"}"#.to_owned();
        let updated_input = RawValue::from_string(input).expect("JSON");
        assert_eq!(
            success("P", &PermissionAnswer::Allow { updated_input, further: Fields::new() })
                .as_str(),
            r#"{"type":"control_response","response":{"subtype":"success","request_id":"P","response":{"behavior":"allow","updatedInput":{"command":"echo hi"}}}}"#
        );
        let message = "no".to_owned();
        let deny = PermissionAnswer::Deny { message, interrupt: false, further: Fields::new() };
        assert_eq!(
            success("P", &deny).as_str(),
            r#"{"type":"control_response","response":{"subtype":"success","request_id":"P","response":{"behavior":"deny","message":"no"}}}"#
        );
        assert_eq!(
            error("P", "viewer went away").as_str(),
            r#"{"type":"control_response","response":{"subtype":"error","request_id":"P","error":"viewer went away"}}"#
        );
    }

    #[test]
    fn an_answer_says_which_line_asked_and_the_agent_gets_it_as_it_was() {
        let answer = success("P", &1);
        let said = asked_on(&answer_on(&answer, 7));
        assert_eq!(said, Answered { line: Some(7), is_refusal: false, answer: answer.clone() });
        let refused = asked_on(&refusal_on(&answer, 7));
        assert_eq!(refused, Answered { line: Some(7), is_refusal: true, answer: answer.clone() });
        assert_eq!(answer_on(&answer, 0), answer, "an earlier version did not count");
        assert_eq!(asked_on(&answer).line, None);
        let other = Text::from(r#"{"type":"user","asked_on_line":3}"#);
        assert_eq!(asked_on(&other), Answered { line: None, is_refusal: false, answer: other });
    }

    #[test]
    fn a_request_without_a_usable_id_is_refused_under_the_one_that_it_has() {
        let refused = |id: &str| {
            let line = format!(r#"{{"type":"control_request"{id},"request":{{}}}}"#);
            let answer: serde_json::Value =
                serde_json::from_str(unnamed(&line).as_str()).expect("JSON");
            assert_eq!(answer["response"]["subtype"], "error");
            answer["response"]["request_id"].clone()
        };
        assert_eq!(refused(r#","request_id":7"#), 7);
        assert_eq!(refused(r#","request_id":{"a":[1]}"#)["a"][0], 1);
        for none in ["", r#","request_id":null"#, &format!(r#","request_id":{}"#, "1".repeat(9000))]
        {
            assert!(refused(none).is_null());
        }
    }
}
