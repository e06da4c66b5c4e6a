//! Control requests and responses as they are made here (M-2, M-3).

use alloc::string::String;

use serde::Serialize;
use serde_json::value::RawValue;

use super::to_json;
use crate::base::text::Text;

fn line<T: Serialize>(value: &T) -> Text {
    Text::from_utf8(to_json(value)).unwrap_or_default()
}

#[derive(Serialize)]
struct ControlRequest<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    request_id: &'a str,
    request: Subtype<'a>,
}

#[derive(Serialize)]
struct Subtype<'a> {
    subtype: &'a str,
}

/// A `control_request` of a subtype that takes no fields: `interrupt`, `initialize`.
pub fn request(request_id: &str, subtype: &str) -> Text {
    line(&ControlRequest { kind: "control_request", request_id, request: Subtype { subtype } })
}

#[derive(Serialize)]
struct CancelRequest<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    request_id: &'a str,
}

/// A `control_cancel_request`: the question is withdrawn.
pub fn cancel_request(request_id: &str) -> Text {
    line(&CancelRequest { kind: "control_cancel_request", request_id })
}

#[derive(Serialize)]
struct ControlResponse<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    response: ResponseBody<'a, T>,
}

#[derive(Serialize)]
struct ResponseBody<'a, T> {
    subtype: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// A `control_response` that says *success*, with its payload.
pub fn success<T: Serialize>(request_id: &str, payload: &T) -> Text {
    let response =
        ResponseBody { subtype: "success", request_id, response: Some(payload), error: None };
    line(&ControlResponse { kind: "control_response", response })
}

/// A `control_response` that says *error*, so that whoever asked does not wait for ever.
pub fn error(request_id: &str, error: &str) -> Text {
    let response =
        ResponseBody::<()> { subtype: "error", request_id, response: None, error: Some(error) };
    line(&ControlResponse { kind: "control_response", response })
}

/// The answer to a permission question (M-2).
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "behavior", rename_all = "snake_case")]
pub enum PermissionAnswer {
    /// It may, with this input.
    Allow {
        /// The input that the tool is to run with.
        #[serde(rename = "updatedInput")]
        updated_input: alloc::boxed::Box<RawValue>,
    },
    /// It may not.
    Deny {
        /// Why, for the agent.
        message: String,
        /// Whether the turn ends with it.
        #[serde(skip_serializing_if = "core::ops::Not::not")]
        interrupt: bool,
    },
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
