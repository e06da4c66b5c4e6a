//! Times in JSON: RFC 3339 in UTC with milliseconds. For use as `#[serde(with = "…")]`.

use alloc::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::Serializer;

use crate::base::time::UnixTime;

#[derive(serde::Deserialize)]
struct Words<'a>(#[serde(borrow)] Cow<'a, str>);

impl Words<'_> {
    fn read<E: Error>(&self) -> Result<UnixTime, E> {
        UnixTime::from_rfc3339(&self.0).ok_or_else(|| E::custom("a time must be RFC 3339 in UTC"))
    }
}

pub(super) fn serialize<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<UnixTime, D::Error> {
    Words::deserialize(de)?.read()
}

/// The same, for a time that may be null.
pub(super) mod optional {
    use super::{Deserialize, Deserializer, Serializer, UnixTime, Words};

    pub(in crate::wire) fn serialize<S: Serializer>(
        time: &Option<UnixTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.collect_str(time),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::wire) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<UnixTime>, D::Error> {
        Option::<Words<'de>>::deserialize(deserializer)?.map(|words| words.read()).transpose()
    }
}
