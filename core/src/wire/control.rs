//! Control requests and responses (M-2, M-3).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::to_text;
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

/// The answer to a permission question (M-2).
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "behavior", rename_all = "snake_case")]
pub enum PermissionAnswer {
    /// Allowed, with this input.
    Allow {
        /// The input to run the tool with.
        #[serde(rename = "updatedInput")]
        updated_input: Box<RawValue>,
    },
    /// Denied.
    Deny {
        /// The reason, for the agent.
        message: String,
        /// Whether this also ends the turn.
        #[serde(skip_serializing_if = "core::ops::Not::not")]
        interrupt: bool,
    },
}

impl<'de> Deserialize<'de> for PermissionAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not derived: raw JSON does not survive an internal tag (`versions::tag_of`).
        #[derive(Deserialize)]
        struct Fields {
            behavior: Behavior,
            #[serde(rename = "updatedInput")]
            updated_input: Option<Box<RawValue>>,
            #[serde(default)]
            message: String,
            #[serde(default)]
            interrupt: bool,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Behavior {
            Allow,
            Deny,
        }
        let Fields { behavior, updated_input, message, interrupt } =
            Fields::deserialize(deserializer)?;
        match (behavior, updated_input) {
            (Behavior::Allow, Some(updated_input)) => Ok(Self::Allow { updated_input }),
            (Behavior::Allow, None) => Err(D::Error::missing_field("updatedInput")),
            (Behavior::Deny, _) => Ok(Self::Deny { message, interrupt }),
        }
    }
}

/// The subtypes of `control_request` that a viewer may send (M-3).
pub const VIEWER_REQUESTS: [&str; 5] =
    ["initialize", "interrupt", "set_model", "set_permission_mode", "set_max_thinking_tokens"];

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
            success("P", &PermissionAnswer::Allow { updated_input }).as_str(),
            r#"{"type":"control_response","response":{"subtype":"success","request_id":"P","response":{"behavior":"allow","updatedInput":{"command":"echo hi"}}}}"#
        );
        let deny = PermissionAnswer::Deny { message: "no".to_owned(), interrupt: false };
        assert_eq!(
            success("P", &deny).as_str(),
            r#"{"type":"control_response","response":{"subtype":"success","request_id":"P","response":{"behavior":"deny","message":"no"}}}"#
        );
        assert_eq!(
            error("P", "viewer went away").as_str(),
            r#"{"type":"control_response","response":{"subtype":"error","request_id":"P","error":"viewer went away"}}"#
        );
    }
}
