//! Text that must never be shown (T-5).

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Deserializer, Serializer};
use zeroize::Zeroizing;

/// A secret text: `Debug` hides it, it has no `Display`, and its memory is wiped when it is
/// dropped (T-5).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text as a secret.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the place that has to send or store it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it can be sent as a bearer credential: not empty, and only visible ASCII. Anything
    /// else does not fit in a header, or would start another one (RFC 9110, 5.5).
    pub(crate) fn is_bearer(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|b| b.is_ascii_graphic())
    }
}

/// Writes a secret for the peer it is meant for. `Secret` is not `Serialize`, so that every place
/// that lets one out has to say so.
pub(crate) fn reveal<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.reveal())
}

/// Reads a secret that is to be sent as a bearer credential.
pub(crate) fn bearer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let secret = Secret::deserialize(deserializer)?;
    if secret.is_bearer() {
        Ok(secret)
    } else {
        Err(serde::de::Error::custom("a credential holds what no header can carry"))
    }
}

/// The same for one that may be missing.
pub(crate) mod optional {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Secret;

    pub(crate) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => serializer.serialize_some(secret.reveal()),
            None => serializer.serialize_none(),
        }
    }

    /// One that no header can carry is none.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<Secret>::deserialize(deserializer)?.filter(Secret::is_bearer))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn what_does_not_fit_into_a_header_is_no_bearer_credential() {
        for good in ["t", "sk-ant-si-a.b.c", "!~"] {
            assert!(Secret::from(good).is_bearer(), "{good}");
        }
        for bad in ["", "a b", "a\r\nb: c", "a\0", "\t", "\u{7f}", "é"] {
            assert!(!Secret::from(bad).is_bearer(), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        assert!(!format!("{:?}", Secret::from("hunter2")).contains("hunter2"));
    }
}
