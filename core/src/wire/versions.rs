//! What relays, workers and viewers of different versions can expect of each other
//! (`relay/http.md`, *Versions*), as conventions that every shape in this folder follows.
//!
//! | rule | how a shape follows it |
//! | --- | --- |
//! | Unknown fields are ignored. | No shape denies unknown fields. |
//! | Unknown types of frames, unknown subtypes and unknown `error.type`s are ignored. | Such an enum has a variant for all others (`tag_of` where serde cannot derive it). |
//! | `data.type`, `status`, `behavior` and a session's `state` never get a new value without a new field name. | Such an enum is closed: another value is an error. |
//! | What is null, false or empty may be missing. | `#[serde(default)]`, and `or_default` where null must count as missing too. |
//! | A required field stays required. | It has no default: its absence is an error. |
//! | A new field is optional forever. | It gets a default, and its absence has a defined meaning. |
//!
//! The test macro `shape!` checks a value against the first and the fourth rule.

use alloc::borrow::Cow;

use serde::{Deserialize, Deserializer};

/// `null` means the same as a missing field. For use with `#[serde(default)]`.
pub(in crate::wire) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The `type` of a JSON object. An enum whose variants hold raw JSON cannot be derived as
/// internally tagged, because serde copies the fields through a buffer that raw JSON does not
/// survive; such an enum reads its tag first and then the fields of that variant.
pub(super) fn tag_of(json: &[u8]) -> Result<Cow<'_, str>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Tag<'a> {
        #[serde(borrow, rename = "type")]
        tag: Cow<'a, str>,
    }
    serde_json::from_slice(json).map(|Tag { tag }| tag)
}

#[cfg(test)]
pub(super) mod test {
    use alloc::borrow::ToOwned;
    use alloc::string::{String, ToString};

    use serde_json::{Map, Value, json};

    /// Fields whose content belongs to an agent or a person, or whose names are data: a later
    /// version adds nothing there.
    const FOREIGN: [&str; 8] = [
        "message",
        "messages",
        "answer",
        "response",
        "updatedInput",
        "claude_code_args",
        "environment_variables",
        "mcp_config",
    ];

    /// The same object as a later version might write it: with more fields, at every level.
    pub(in crate::wire) fn newer(json: &[u8]) -> String {
        fn add(value: &mut Value) {
            match value {
                Value::Object(fields) => {
                    let own =
                        fields.iter_mut().filter(|(name, _)| !FOREIGN.contains(&name.as_str()));
                    own.for_each(|(_, value)| add(value));
                    fields.insert("added_later".to_owned(), json!([{"type": null}]));
                }
                Value::Array(all) => all.iter_mut().for_each(add),
                _ => {}
            }
        }
        let mut value = serde_json::from_slice(json).expect("JSON");
        add(&mut value);
        value.to_string()
    }

    /// The same object without the fields that may be missing, keeping those that `required` names.
    pub(in crate::wire) fn terser(json: &[u8], required: &[&str]) -> String {
        fn remove(fields: &mut Map<String, Value>, required: &[&str]) {
            fields.retain(|name, value| {
                let says_nothing = match value {
                    Value::Null | Value::Bool(false) => true,
                    Value::Array(all) => all.is_empty(),
                    Value::String(text) => text.is_empty(),
                    _ => false,
                };
                !says_nothing || required.contains(&name.as_str())
            });
            let own = fields.iter_mut().filter(|(name, _)| !FOREIGN.contains(&name.as_str()));
            for (_, value) in own {
                match value {
                    Value::Object(fields) => remove(fields, required),
                    Value::Array(all) => {
                        let objects = all.iter_mut().filter_map(Value::as_object_mut);
                        objects.for_each(|fields| remove(fields, required));
                    }
                    _ => {}
                }
            }
        }
        let mut value: Value = serde_json::from_slice(json).expect("JSON");
        if let Some(fields) = value.as_object_mut() {
            remove(fields, required);
        }
        value.to_string()
    }

    /// Writes a value as JSON and reads it back as a type: as it is, with unknown fields added, and
    /// without the fields that may be missing.
    macro_rules! shape {
        ($value:expr, $shape:ty) => {
            $crate::wire::versions::test::shape!($value, $shape, required: [])
        };
        ($value:expr, $shape:ty, required: $required:expr) => {{
            use $crate::wire::{to_json, versions::test};
            let value: $shape = $value;
            let json = to_json(&value);
            let newer = test::newer(&json);
            test::shape!(@reads value, $shape, json, [newer.as_str()]);
            test::shape!(value, $shape, required: $required, passes: on);
        }};
        // What passes on the fields that it does not know, and so does not ignore them.
        ($value:expr, $shape:ty, required: $required:expr, passes: on) => {{
            use $crate::wire::{to_json, versions::test};
            let value: $shape = $value;
            let json = to_json(&value);
            let terser = test::terser(&json, &$required);
            let this = core::str::from_utf8(&json).expect("UTF-8");
            test::shape!(@reads value, $shape, json, [this, terser.as_str()]);
        }};
        (@reads $value:expr, $shape:ty, $json:expr, $texts:expr) => {{
            let (value, json) = (&$value, &$json);
            for text in $texts {
                let read: Result<$shape, _> = serde_json::from_str(text);
                let read = match read {
                    Ok(read) => read,
                    Err(error) => panic!("{error}: {text}"),
                };
                assert_eq!($crate::wire::to_json(&read), *json, "{text}");
                assert_eq!(alloc::format!("{read:?}"), alloc::format!("{value:?}"), "{text}");
            }
        }};
    }
    pub(in crate::wire) use shape;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Shape {
        id: u8,
        #[serde(default, deserialize_with = "or_default")]
        words: alloc::vec::Vec<u8>,
        #[serde(default)]
        is_on: bool,
    }

    #[test]
    fn what_is_not_known_is_ignored_and_what_says_nothing_may_be_missing_or_null() {
        for json in [
            r#"{"id":7,"words":[],"is_on":false}"#,
            r#"{"id":7}"#,
            r#"{"id":7,"words":null,"later":{"id":8}}"#,
        ] {
            let shape = serde_json::from_str::<Shape>(json).expect(json);
            assert_eq!(shape, Shape { id: 7, ..Shape::default() });
        }
        assert!(serde_json::from_str::<Shape>("{}").is_err(), "an id is required");
        test::shape!(Shape { id: 7, ..Shape::default() }, Shape);
    }

    #[test]
    fn an_object_tells_its_type_whatever_else_it_holds() {
        let tag = |json: &'static str| tag_of(json.as_bytes()).ok();
        assert_eq!(tag(r#"{"type":"a","b":[1]}"#).as_deref(), Some("a"));
        assert_eq!(tag(r#"{"b":{"type":"c"},"type":"\u0061"}"#).as_deref(), Some("a"));
        for bad in ["", "[]", "{}", r#"{"type":7}"#, r#"{"type":"a""#] {
            assert_eq!(tag(bad), None, "{bad}");
        }
    }
}
