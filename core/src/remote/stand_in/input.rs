//! Reading a line of the program.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};

use serde_json::value::{RawValue, to_raw_value};

use crate::base::text::Text;
use crate::wire::callback::response_of;
use crate::wire::control::Fields;
use crate::wire::message::{Head, Kind};
use crate::wire::viewer::PermissionPost;

/// What a line says.
#[derive(Debug)]
pub(super) enum Input {
    /// Something for the agent. A prompt begins a turn.
    Message { line: Text, uuid: Option<String>, is_prompt: bool },
    /// A request that the agent answers.
    Request { line: Text, request_id: String },
    /// An answer to what the agent has asked: the `response`, or why there is none.
    Answer { request_id: String, answer: Result<Text, String> },
}

impl Input {
    pub(super) fn read(line: &Text) -> Result<Self, String> {
        let head = Head::parse(line).map_err(|error| error.to_string())?;
        let no_id = || String::from("it has no request_id");
        Ok(match head.kind() {
            Kind::ControlRequest => {
                let request_id = head.request_id.ok_or_else(no_id)?.into_owned();
                Self::Request { line: line.clone(), request_id }
            }
            Kind::ControlResponse => {
                let request_id = head.request_id.ok_or_else(no_id)?.into_owned();
                let answer = response_of(line.as_str()).map(|json| line.slice_of(json));
                Self::Answer { request_id, answer }
            }
            kind => {
                let uuid = head.uuid.filter(|uuid| !uuid.is_empty()).map(Cow::into_owned);
                Self::Message { line: line.clone(), uuid, is_prompt: kind == Kind::User }
            }
        })
    }
}

/// An `initialize` that declares these servers, if it is one and declares none.
pub(super) fn declaring(line: &Text, servers: &[String]) -> Text {
    let head = Head::parse(line).unwrap_or_default();
    if servers.is_empty() || head.subtype.as_deref() != Some("initialize") {
        return line.clone();
    }
    let declared = || {
        let mut fields: Fields = serde_json::from_str(line.as_str()).ok()?;
        let mut request: Fields = serde_json::from_str(fields.get("request")?.get()).ok()?;
        if !request.contains_key("sdkMcpServers") {
            request.insert("sdkMcpServers".into(), to_raw_value(servers).ok()?);
        }
        fields.insert("request".into(), to_raw_value(&request).ok()?);
        serde_json::to_string(&fields).ok()
    };
    declared().map_or_else(|| line.clone(), Text::from)
}

/// The answer to a permission question, as the relay takes it.
pub(super) fn permission(request_id: &str, answer: &Text) -> Result<PermissionPost, String> {
    let unreadable = |_| String::from("the client's answer cannot be read");
    let mut fields: Fields = serde_json::from_str(answer.as_str()).map_err(unreadable)?;
    let id = to_raw_value(request_id).map_err(unreadable)?;
    fields.insert("request_id".into(), id);
    // Null means the same as nothing here.
    fields.retain(|_, field: &mut alloc::boxed::Box<RawValue>| field.get() != "null");
    let json = serde_json::to_string(&fields).map_err(unreadable)?;
    serde_json::from_str(&json).map_err(unreadable)
}
