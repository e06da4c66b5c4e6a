//! The lines of a session as its client reads and writes them (X-1, M-4).

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::{String, ToString};

use fastrand::Rng;
use serde_json::value::{RawValue, to_raw_value};

use crate::base::limits::{MAX_OPEN_REQUESTS, MAX_RECENT_UUIDS};
use crate::base::text::Text;
use crate::transport::dedupe::Recent;
use crate::wire::control::{self, Fields, FieldsOf};
use crate::wire::message::{Head, Kind};

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    Message,
    Question(String),
    Withdrawn(String),
    /// A keep-alive, an echo, or one that came before.
    Nothing,
    Unreadable(String),
}

/// The messages that went through here.
#[derive(Debug)]
pub(super) struct Seen {
    uuids: Recent,
    /// The ids of requests that somebody here has made.
    requests: Recent,
}

impl Seen {
    pub(super) const fn new() -> Self {
        Self { uuids: Recent::new(MAX_RECENT_UUIDS), requests: Recent::new(MAX_OPEN_REQUESTS) }
    }

    /// This side says something under this uuid.
    pub(super) fn own(&mut self, uuid: &str) {
        self.uuids.insert(uuid);
    }

    /// A message that somebody wrote, which is passed on.
    pub(super) fn passed(&mut self, line: &Text) -> Result<(), String> {
        let head = Head::parse(line).map_err(|error| error.to_string())?;
        match (head.kind(), head.uuid, head.request_id) {
            (Kind::User, Some(uuid), _) => self.own(&uuid),
            (Kind::ControlRequest, _, Some(id)) => {
                self.requests.insert(&id);
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads a line. Answers to what others have requested, or this side by itself, are nothing to
    /// whoever is here.
    pub(super) fn read(&mut self, line: &Text) -> Read {
        let head = match Head::parse(line) {
            Ok(head) => head,
            Err(error) => return Read::Unreadable(error.to_string()),
        };
        match (head.kind(), head.request_id) {
            (Kind::ControlRequest, Some(id)) => Read::Question(id.into_owned()),
            (Kind::ControlCancelRequest, Some(id)) => Read::Withdrawn(id.into_owned()),
            (Kind::ControlRequest | Kind::ControlCancelRequest, None) => {
                Read::Unreadable("a control message without a request_id".to_owned())
            }
            (Kind::ControlResponse, Some(id)) if !self.requests.contains(&id) => Read::Nothing,
            _ if head.kind == "keep_alive" => Read::Nothing,
            _ if head.uuid.is_some_and(|uuid| !self.uuids.insert(&uuid)) => Read::Nothing,
            _ => Read::Message,
        }
    }
}

/// The id of a question.
pub(super) fn question_id(line: &Text) -> Option<String> {
    let head = Head::parse(line).ok()?;
    head.request_id.filter(|_| head.kind == "control_request").map(Cow::into_owned)
}

/// What a person says.
pub(super) fn user_message(text: &str, uuid: &str) -> Text {
    let (text, uuid) = (serde_json::Value::from(text), serde_json::Value::from(uuid));
    Text::from(format!(
        r#"{{"type":"user","message":{{"role":"user","content":{text}}},"parent_tool_use_id":null,"session_id":"","uuid":{uuid}}}"#
    ))
}

/// A random uuid, of version 4.
pub(super) fn uuid(rng: &mut Rng) -> String {
    let bits = rng.u128(..);
    let bits = (bits & !(0xf << 76) | (4 << 76)) & !(0x3 << 62) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |range| hex.get(range).unwrap_or_default();
    let parts = [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)];
    parts.join("-")
}

/// The answer to a question.
pub(super) fn answer(question: &Text, deny: Option<&str>) -> Fields {
    let mut fields = Fields::new();
    let mut set = |name: &str, raw: Option<alloc::boxed::Box<RawValue>>| {
        fields.insert(name.to_owned(), raw.unwrap_or_default());
    };
    match deny {
        Some(reason) => {
            set("behavior", to_raw_value("deny").ok());
            set("message", to_raw_value(reason).ok());
        }
        None => {
            let request =
                control::request_of::<FieldsOf<'_>>(question.as_str()).unwrap_or_default();
            let input = request.get("input").map_or("{}", |raw| raw.get());
            set("behavior", to_raw_value("allow").ok());
            set("updatedInput", RawValue::from_string(input.to_owned()).ok());
        }
    }
    fields
}
