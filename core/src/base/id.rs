//! Identifiers: of operations, assigned by the core, and of things the relay names (E-8).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::num::NonZeroU64;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::limits::MAX_ID_BYTES;

/// Identifies one operation that a machine requested from its runtime. The machine assigns it and
/// never reuses it; every answer carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(NonZeroU64);

impl OpId {
    /// The first id a machine assigns.
    pub(crate) const FIRST: Self = Self(NonZeroU64::MIN);

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// An id with this number, for machines outside this crate; those inside assign their own.
    pub const fn new(number: NonZeroU64) -> Self {
        Self(number)
    }

    /// The number itself, for logs and as a key in a runtime's own tables.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op{}", self.0)
    }
}

/// An identifier that is not safe in a URL or a path (E-8).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {field} is not a usable identifier: it must be 1 to {MAX_ID_BYTES} of the characters A-Z, a-z, 0-9, _ and -"
)]
pub struct IdError {
    /// Which identifier it was.
    pub field: &'static str,
}

fn check(field: &'static str, id: &str) -> Result<(), IdError> {
    let fits = !id.is_empty() && id.len() <= MAX_ID_BYTES;
    if fits && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        Ok(())
    } else {
        Err(IdError { field })
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        ///
        /// Always checked when built, so it is safe in a URL and in a path (E-8). It goes with every
        /// operation, so a clone shares its text.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps an identifier; the error names the field.
            pub fn new(id: &str) -> Result<Self, IdError> {
                check($field, id)?;
                Ok(Self(Arc::from(id)))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let id = String::deserialize(deserializer)?;
                Self::new(&id).map_err(serde::de::Error::custom)
            }
        }
    };
}

identifier! {
    /// One registered worker: a machine and a directory.
    EnvironmentId, "environment id"
}
identifier! {
    /// One conversation with one agent. An address for one connection, not an identity (I-2).
    SessionId, "session id"
}
identifier! {
    /// One item of work: one dispatch of a session, or a healthcheck.
    WorkId, "work id"
}
identifier! {
    /// One log-in: a machine, or an app, that acts for a person (Y-9).
    DeviceId, "device id"
}
identifier! {
    /// One browser that is sent notifications (Y-7).
    PushId, "subscription id"
}

/// The tags under which two layers know the same session (I-1).
const SESSION_TAGS: [&str; 2] = ["session_", "cse_"];

impl SessionId {
    /// Whether both identify the same session: equal, or equal except for two known tags (I-1).
    pub fn is_same_session(&self, other: &Self) -> bool {
        let body = |id: &Self| {
            let body = SESSION_TAGS.iter().find_map(|tag| id.0.strip_prefix(tag));
            body.filter(|body| !body.is_empty()).map(ToOwned::to_owned)
        };
        self == other || body(self).is_some_and(|a| body(other) == Some(a))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_that_could_leave_its_place_in_a_path_is_refused() {
        for bad in ["", "../../admin", "a/b", "a b", "a.b", "a%2f", "é", "a\0", &"x".repeat(257)] {
            assert_eq!(WorkId::new(bad), Err(IdError { field: "work id" }), "{bad:?}");
        }
        assert!(WorkId::new("work_09-AZaz").is_ok());
        assert!(serde_json::from_str::<SessionId>(r#""../x""#).is_err());
    }

    #[test]
    fn two_tags_name_one_session_only_if_the_whole_body_is_equal() {
        let same = |a, b| {
            let (a, b) = (SessionId::new(a), SessionId::new(b));
            a.expect("valid").is_same_session(&b.expect("valid"))
        };
        assert!(same("session_abcd", "cse_abcd"));
        assert!(same("other_abcd", "other_abcd"));
        // Each of these is one session by "the text after the last underscore".
        assert!(!same("session_one_abcd", "cse_two_abcd"));
        assert!(!same("session_abcd", "task_abcd"));
        assert!(!same("session_", "cse_"));
    }
}
