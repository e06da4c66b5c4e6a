//! Answers and requests as the agent gets them.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::{String, ToString};

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::base::text::Text;
use crate::wire::callback::{self, Callback};
use crate::wire::control::{self, Fields, FieldsOf, PermissionAnswer};
use crate::wire::to_text;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    response: FieldsOf<'a>,
}

/// Reads a client's answer to a question. One that cannot be read is no answer: an agent may take what
/// it cannot read for a yes. *Allow* without an input keeps the one that the question was about.
pub(crate) fn read(id: &str, question: &Text, line: &Text) -> Result<Text, String> {
    let answer: Answer<'_> =
        serde_json::from_str(line.as_str()).map_err(|_| "it has no response")?;
    let text = |name: &str| {
        let raw = answer.response.get(name)?;
        serde_json::from_str::<String>(raw.get()).ok()
    };
    match text("subtype").as_deref() {
        Some("error") => {
            let reason = text("error").unwrap_or_else(|| "the client has failed".to_owned());
            Ok(control::error(id, &reason))
        }
        Some("success") => {
            let response = answer.response.get("response").ok_or("it has no response.response")?;
            let subtype = control::request_of::<FieldsOf<'_>>(question.as_str());
            let subtype = subtype.as_ref().and_then(|request| request.get("subtype")?.get().into());
            if subtype != Some("\"can_use_tool\"") {
                return Ok(control::success(id, response));
            }
            let mut fields: Fields =
                serde_json::from_str(response.get()).map_err(|error| error.to_string())?;
            let is_allow = fields.get("behavior").is_some_and(|raw| raw.get() == "\"allow\"");
            if is_allow && !fields.contains_key("updatedInput") {
                fields.insert("updatedInput".to_owned(), input_of(question));
            }
            let answer: PermissionAnswer = to_raw_value(&fields)
                .and_then(|raw| serde_json::from_str(raw.get()))
                .map_err(|error| error.to_string())?;
            Ok(control::success(id, &answer))
        }
        _ => Err("its subtype is neither success nor error".to_owned()),
    }
}

/// The answer of the client that was asked. One that the agent could not read is none: it would run
/// what the question guards.
pub(crate) fn of_client(id: &str, callback: Callback, line: &Text) -> Result<Text, String> {
    match callback::response_of(line.as_str()) {
        Err(reason) => Ok(callback.refusal(id, &reason)),
        Ok(response) => match callback.unclear(response) {
            Some(why) => Err(why),
            None => {
                let raw: &RawValue =
                    serde_json::from_str(response).map_err(|error| error.to_string())?;
                Ok(control::success(id, &raw))
            }
        },
    }
}

/// The input that a question is about.
fn input_of(question: &Text) -> Box<RawValue> {
    let request = control::request_of::<FieldsOf<'_>>(question.as_str()).unwrap_or_default();
    let input = request.get("input").map_or("{}", |raw| raw.get()).to_owned();
    RawValue::from_string(input).unwrap_or_default()
}

/// A request under another id; `None` if it is no object.
pub(crate) fn renamed_request(line: &Text, id: &str) -> Option<Text> {
    let mut fields: Fields = serde_json::from_str(line.as_str()).ok()?;
    fields.insert("request_id".to_owned(), to_raw_value(id).ok()?);
    Some(to_text(&fields))
}

/// The answer to it under the client's own id.
pub(crate) fn renamed_response(line: &Text, id: &str) -> Text {
    let renamed = || {
        let mut fields: Fields = serde_json::from_str(line.as_str()).ok()?;
        let mut response: Fields = serde_json::from_str(fields.get("response")?.get()).ok()?;
        response.insert("request_id".to_owned(), to_raw_value(id).ok()?);
        fields.insert("response".to_owned(), to_raw_value(&response).ok()?);
        Some(to_text(&fields))
    };
    renamed().unwrap_or_else(|| control::error(id, "the agent's answer cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn an_answer_that_cannot_be_read_is_none_and_allow_keeps_the_input() {
        let question = Text::from(
            r#"{"type":"control_request","request_id":"P","request":{"subtype":"can_use_tool","input":{"a":1}}}"#,
        );
        let read = |response: &str| {
            let line = format!(r#"{{"type":"control_response","response":{response}}}"#);
            read("P", &question, &Text::from(line)).map(|text| text.as_str().to_owned())
        };
        let success = |inner: &str| {
            read(&format!(r#"{{"subtype":"success","request_id":"P","response":{inner}}}"#))
        };
        let allowed = success(r#"{"behavior":"allow"}"#).expect("an answer");
        assert!(allowed.contains(r#""updatedInput":{"a":1}"#), "{allowed}");
        let changed =
            success(r#"{"behavior":"allow","updatedInput":{"b":2},"updatedPermissions":[]}"#);
        let changed = changed.expect("an answer");
        assert!(changed.contains(r#"{"b":2}"#) && changed.contains("updatedPermissions"));
        assert!(success(r#"{"behavior":"deny","message":"no"}"#).is_ok());
        for bad in ["{}", "null", r#"{"behavior":"yes"}"#, r#"{"behavior":null}"#, "[]", "7"] {
            assert!(success(bad).is_err(), "{bad}");
        }
        for bad in ["{}", r#"{"subtype":"maybe"}"#, r#"{"subtype":"success"}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(r#"{"subtype":"error","error":"gone"}"#).expect("an answer").contains("gone"));
    }

    #[test]
    fn a_request_and_its_answer_travel_under_another_id_and_are_else_the_same() {
        let line = Text::from(
            r#"{"type":"control_request","request_id":"r1","request":{"subtype":"x","n":1.50}}"#,
        );
        let renamed = renamed_request(&line, "d1").expect("a request");
        assert!(
            renamed.as_str().contains(r#""request_id":"d1""#) && renamed.as_str().contains("1.50")
        );
        let answer = Text::from(
            r#"{"type":"control_response","response":{"subtype":"success","request_id":"d1","response":{"n":1.50}}}"#,
        );
        let back = renamed_response(&answer, "r1");
        assert!(back.as_str().contains(r#""request_id":"r1""#) && back.as_str().contains("1.50"));
    }
}
