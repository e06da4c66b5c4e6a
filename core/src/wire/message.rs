//! What kind of message a line is (M-1): parsed just far enough to route it.

use alloc::borrow::{Cow, ToOwned};
use core::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::base::text::Text;

/// The kinds that have to be told apart on the way. Everything else passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A `user` message.
    User,
    /// A `control_request`: its recipient has to answer it.
    ControlRequest,
    /// A `control_response`: the answer to one.
    ControlResponse,
    /// A `control_cancel_request`: the question is withdrawn.
    ControlCancelRequest,
    /// Any other message, of a type known or not.
    Other,
}

impl Kind {
    /// Whether it is an SDK message rather than a control message (M-1).
    pub const fn is_sdk_message(self) -> bool {
        matches!(self, Self::User | Self::Other)
    }
}

/// The routing fields of one message, as parts of its line wherever they hold no escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head<'line> {
    /// `type`.
    pub kind: Cow<'line, str>,
    /// `subtype`: of the message, or of its `request` or `response`.
    pub subtype: Option<Cow<'line, str>>,
    /// `request_id`: of the message, or of its `response`.
    pub request_id: Option<Cow<'line, str>>,
    /// `request.tool_name`.
    pub tool_name: Option<Cow<'line, str>>,
    /// `uuid`.
    pub uuid: Option<Cow<'line, str>>,
    /// `command_uuid`: the message that a `command_lifecycle` is about.
    pub command_uuid: Option<Cow<'line, str>>,
    /// Whether one of these keys appears more than once, so that readers who take the first one, and
    /// those who take the last, see two messages.
    pub is_ambiguous: bool,
}

/// A line that is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is not JSON.
    #[error("the line is not JSON")]
    NotJson,
    /// It is JSON, but not an object with a `type`.
    #[error("the line is not a JSON object with a \"type\"")]
    NotTyped,
}

impl<'line> Head<'line> {
    /// Reads the routing fields of a line. If a key appears twice the last one counts, as it does
    /// for the agents and browsers that read the same line; a field that is not text counts as
    /// absent.
    pub fn parse(line: &'line Text) -> Result<Self, MessageError> {
        let mut fields = Fields::default();
        let mut json = serde_json::Deserializer::from_str(line.as_str());
        let top = Object { at: Level::Top, fields: &mut fields };
        let is_object = top.deserialize(&mut json).map_err(|_| MessageError::NotJson)?;
        json.end().map_err(|_| MessageError::NotJson)?;
        let Some(kind) = fields.kind.filter(|_| is_object) else {
            return Err(MessageError::NotTyped);
        };
        let inner = match &*kind {
            "control_request" => fields.request,
            "control_response" => fields.response,
            _ => Inner::default(),
        };
        Ok(Self {
            kind,
            subtype: inner.subtype.or(fields.own.subtype),
            request_id: inner.request_id.or(fields.own.request_id),
            tool_name: inner.tool_name,
            uuid: fields.uuid,
            command_uuid: fields.command_uuid,
            is_ambiguous: fields.is_ambiguous,
        })
    }

    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match &*self.kind {
            "user" => Kind::User,
            "control_request" => Kind::ControlRequest,
            "control_response" => Kind::ControlResponse,
            "control_cancel_request" => Kind::ControlCancelRequest,
            _ => Kind::Other,
        }
    }
}

#[derive(Debug, Default)]
struct Inner<'line> {
    subtype: Option<Cow<'line, str>>,
    request_id: Option<Cow<'line, str>>,
    tool_name: Option<Cow<'line, str>>,
}

#[derive(Debug, Default)]
struct Fields<'line> {
    kind: Option<Cow<'line, str>>,
    uuid: Option<Cow<'line, str>>,
    command_uuid: Option<Cow<'line, str>>,
    own: Inner<'line>,
    request: Inner<'line>,
    response: Inner<'line>,
    is_ambiguous: bool,
}

#[derive(Clone, Copy)]
enum Level {
    Top,
    Request,
    Response,
}

/// Visits any JSON value and collects the fields of an object; returns whether it was one.
struct Object<'f, 'line> {
    at: Level,
    fields: &'f mut Fields<'line>,
}

/// A key, which is borrowed wherever it can be.
#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> DeserializeSeed<'de> for Object<'_, 'de> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        // Those of this object that have appeared.
        let mut seen = 0_u8;
        while let Some(Key(key)) = map.next_key()? {
            let Fields { kind, uuid, command_uuid, own, request, response, is_ambiguous } =
                &mut *self.fields;
            let inner = match self.at {
                Level::Top => own,
                Level::Request => request,
                Level::Response => response,
            };
            let (bit, slot) = match (self.at, &*key) {
                (Level::Top, "request") => (1, None),
                (Level::Top, "response") => (2, None),
                (Level::Top, "type") => (4, Some(kind)),
                (Level::Top, "uuid") => (8, Some(uuid)),
                (Level::Top, "command_uuid") => (16, Some(command_uuid)),
                (_, "subtype") => (32, Some(&mut inner.subtype)),
                (_, "request_id") => (64, Some(&mut inner.request_id)),
                (Level::Request, "tool_name") => (128, Some(&mut inner.tool_name)),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *is_ambiguous |= seen & bit != 0;
            seen |= bit;
            match (slot, bit) {
                (Some(slot), _) => *slot = map.next_value_seed(MaybeString)?,
                (None, 1) => {
                    *request = Inner::default();
                    map.next_value_seed(Object { at: Level::Request, fields: self.fields })?;
                }
                (None, _) => {
                    *response = Inner::default();
                    map.next_value_seed(Object { at: Level::Response, fields: self.fields })?;
                }
            }
        }
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }
}

/// A string, or nothing for a value of any other type.
struct MaybeString;

impl<'de> DeserializeSeed<'de> for MaybeString {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, de: D) -> Result<Self::Value, D::Error> {
        de.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MaybeString {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &'static str) -> Result<Head<'static>, MessageError> {
        Head::parse(alloc::boxed::Box::leak(alloc::boxed::Box::new(Text::from(line))))
    }

    #[test]
    fn routing_fields_are_found_wherever_they_are() {
        let head = parse(
            r#"{"request":{"input":{"subtype":"no"},"tool_name":"Bash","subtype":"can_use_tool"},
                "request_id":"P","type":"control_request","x":[1,{"type":"no"}]}"#,
        )
        .expect("a message");
        assert_eq!(head.kind(), Kind::ControlRequest);
        assert_eq!(head.subtype.as_deref(), Some("can_use_tool"));
        assert_eq!(head.request_id.as_deref(), Some("P"));
        assert_eq!(head.tool_name.as_deref(), Some("Bash"));

        let head = parse(
            r#"{"type":"control_response","response":{"subtype":"success","request_id":"r1","response":{}}}"#,
        )
        .expect("a message");
        assert_eq!(head.kind(), Kind::ControlResponse);
        assert_eq!(head.request_id.as_deref(), Some("r1"));

        let head = parse(r#"{"type":"user","uuid":"U","message":{"role":"user"}}"#);
        assert_eq!(head.expect("a message").uuid.as_deref(), Some("U"));
    }

    #[test]
    fn a_field_with_escapes_is_read_as_what_it_means() {
        let head = parse(r#"{"ty\u0070e":"us\u0065r","uuid":"a\nb"}"#).expect("a message");
        assert_eq!((head.kind(), head.uuid.as_deref()), (Kind::User, Some("a\nb")));
    }

    #[test]
    fn unknown_types_are_messages_too() {
        let head = parse(r#"{"type":"never_seen_before","subtype":7}"#).expect("a message");
        assert!(head.kind().is_sdk_message());
        assert_eq!(head.subtype, None);
    }

    #[test]
    fn the_last_value_of_a_repeated_key_counts() {
        let head = parse(r#"{"type":"user","type":"assistant","uuid":"a","uuid":null}"#);
        let head = head.expect("a message");
        assert_eq!((&*head.kind, head.uuid), ("assistant", None));
    }

    #[test]
    fn json_that_is_not_a_message_is_distinguished_from_text_that_is_not_json() {
        for line in ["hello", "{", r#"{"type":"user"}}"#, r#"{"type":"user"} {}"#, "", "{\"a\":}"] {
            assert_eq!(parse(line), Err(MessageError::NotJson), "{line:?}");
        }
        for line in ["[]", "1", "-1.5", "null", "\"type\"", "true", "{}", r#"{"type":3}"#] {
            assert_eq!(parse(line), Err(MessageError::NotTyped), "{line:?}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        let deep = Text::from(["{\"type\":\"a\",\"x\":", &"[".repeat(100_000)].concat());
        assert_eq!(Head::parse(&deep), Err(MessageError::NotJson));
    }

    #[test]
    fn a_key_that_decides_and_appears_twice_makes_a_line_ambiguous() {
        for line in [
            r#"{"type":"control_response","type":"user"}"#,
            r#"{"type":1,"type":"user"}"#,
            r#"{"type":"user","uuid":"a","uuid":"b"}"#,
            r#"{"type":"control_request","request":{"subtype":"a","subtype":"b"}}"#,
            r#"{"type":"control_response","response":{},"response":{}}"#,
        ] {
            assert!(parse(line).expect("a message").is_ambiguous, "{line}");
        }
        for line in [
            r#"{"type":"user","content":1,"content":2}"#,
            r#"{"type":"control_request","request_id":"a","request":{"subtype":"b","type":"c"}}"#,
            r#"{"type":"user","message":{"type":"x","type":"y"}}"#,
        ] {
            assert!(!parse(line).expect("a message").is_ambiguous, "{line}");
        }
    }
}
