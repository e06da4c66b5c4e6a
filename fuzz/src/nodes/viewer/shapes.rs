//! What a viewer with habits sends to the relay, and how it reads the responses.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::names::FUTURE;

/// One message of a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    /// Its uuid, or the request's id.
    pub(crate) name: String,
    pub(crate) kind: Saying,
    /// The relay may know it already from a request that got no response.
    pub(crate) was_sent: bool,
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Saying {
    /// From a person: a text, or a list of blocks.
    User { bytes: usize, is_list: bool },
    /// A `control_request`, with or without its own uuid.
    Request { subtype: &'static str, has_uuid: bool },
}

impl Said {
    pub(super) const fn has_uuid(&self) -> bool {
        !matches!(self.kind, Saying::Request { has_uuid: false, .. })
    }

    pub(super) fn json(&self) -> Value {
        let name = &self.name;
        match self.kind {
            Saying::User { bytes, is_list } => {
                let text = format!("echo {}", "b".repeat(bytes));
                let content =
                    if is_list { json!([{"type": "text", "text": text}]) } else { json!(text) };
                json!({"type": "user", "uuid": name,
                       "message": {"role": "user", "content": content}})
            }
            Saying::Request { subtype, has_uuid } => {
                let mut request = json!({"subtype": subtype});
                match subtype {
                    "set_model" => request["model"] = json!("a-model"),
                    "set_permission_mode" => request["mode"] = json!("acceptEdits"),
                    "set_max_thinking_tokens" => request["max_thinking_tokens"] = json!(4096),
                    _ => {}
                }
                let mut message =
                    json!({"type": "control_request", "request_id": name, "request": request});
                if has_uuid {
                    message["uuid"] = json!(format!("{name}-uuid"));
                }
                message
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Page<'a> {
    #[serde(borrow)]
    pub(super) events: Vec<Entry<'a>>,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
}

#[derive(Deserialize)]
pub(super) struct Entry<'a> {
    pub(super) seq: u64,
    pub(super) from: &'a str,
    #[serde(borrow)]
    pub(super) message: &'a RawValue,
}

/// Everything that is reported about a thing when it changes, as one text; without fields unknown
/// to this version.
pub(super) fn essence(value: &Value) -> String {
    let mut value = value.clone();
    forget(&mut value);
    value.to_string()
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // These change without notice, except for the last.
            for name in ["updated_at", "first_seq", "last_seq", "last_seen_at", "receipts", FUTURE]
            {
                fields.remove(name);
            }
            fields.values_mut().for_each(forget);
        }
        Value::Array(all) => all.iter_mut().for_each(forget),
        _ => {}
    }
}

pub(super) fn by_id(all: &Value) -> BTreeMap<String, String> {
    let all = all.as_array().into_iter().flatten();
    all.filter_map(|one| Some((one["id"].as_str()?.to_owned(), essence(one)))).collect()
}
