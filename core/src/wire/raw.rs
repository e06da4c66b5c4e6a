//! JSON that passes through unchanged: an agent's line inside a view, a person's answer inside an
//! error. It is held as text, so that text already at hand is not parsed again. For use as
//! `#[serde(with = "…")]`.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Error, Serialize, Serializer};
use serde_json::value::RawValue;

/// Going through serde, the text is scanned once, because only valid JSON may go in raw; the hot
/// path writes it directly (`EventView::write`).
pub(super) fn serialize<S: Serializer>(json: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let raw: &RawValue = serde_json::from_str(json).map_err(S::Error::custom)?;
    raw.serialize(serializer)
}

pub(super) fn deserialize<'de: 'a, 'a, D: Deserializer<'de>>(de: D) -> Result<&'a str, D::Error> {
    <&RawValue>::deserialize(de).map(RawValue::get)
}

/// The same for a value that may be missing.
pub(super) mod optional {
    use super::{Deserialize, Deserializer, RawValue, Serializer};

    pub(in crate::wire) fn serialize<S: Serializer>(
        json: &Option<&str>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match json {
            Some(json) => super::serialize(json, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::wire) fn deserialize<'de: 'a, 'a, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<&'a str>, D::Error> {
        Ok(Option::<&RawValue>::deserialize(deserializer)?.map(RawValue::get))
    }
}
