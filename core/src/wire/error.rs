//! The body of a refusal (E-9). What it means to whoever reads it stands in `client/error.rs`.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::raw;

/// The body of any answer of 400 or above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody<'a> {
    /// What went wrong.
    #[serde(borrow)]
    pub error: ErrorDetail<'a>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail<'a> {
    /// What kind of error it is.
    #[serde(rename = "type", default)]
    pub kind: ErrorType,
    /// What happened, and what to try.
    #[serde(default)]
    pub message: Cow<'a, str>,
    /// The answer that counts, of a `permission_conflict`: JSON as it was sent.
    #[serde(borrow, with = "raw::optional", default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<&'a str>,
}

macro_rules! error_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// What kind of error an answer tells: it decides what the error means, more than the status.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum ErrorType {
            $($(#[$doc])* $variant,)+
            /// One of a later version, or none; its status says enough.
            Other(String),
        }

        impl ErrorType {
            #[cfg(test)]
            pub(super) const KNOWN: &[Self] = &[$(Self::$variant),+];

            /// As it stands on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Other(name) => name,
                }
            }
        }

        impl From<&str> for ErrorType {
            fn from(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)+
                    _ => Self::Other(name.to_owned()),
                }
            }
        }
    };
}

error_types! {
    /// The body, a header, an id or a query is malformed.
    InvalidRequest = "invalid_request",
    /// No credential, or one that the relay does not know.
    AuthenticationFailed = "authentication_failed",
    /// The credential was good once.
    TokenExpired = "token_expired",
    /// The session's time is over.
    SessionExpired = "session_expired",
    /// A good credential, but not for this.
    PermissionDenied = "permission_denied",
    /// There is no such path.
    NotFound = "not_found",
    /// There is no such environment (any more).
    EnvironmentUnknown = "environment_unknown",
    /// There is no such session (any more).
    SessionUnknown = "session_unknown",
    /// There is no such work item (any more).
    WorkUnknown = "work_unknown",
    /// There is no such question (any more).
    PermissionUnknown = "permission_unknown",
    /// The path exists, not with this method.
    MethodNotAllowed = "method_not_allowed",
    /// The item was handed to somebody else since.
    LeaseLost = "lease_lost",
    /// Somebody answered the question differently before.
    PermissionConflict = "permission_conflict",
    /// The session takes no more messages.
    SessionEnded = "session_ended",
    /// The agent took its question back.
    PermissionWithdrawn = "permission_withdrawn",
    /// The request exceeds the relay's limit.
    TooLarge = "too_large",
    /// The path speaks WebSocket only.
    UpgradeRequired = "upgrade_required",
    /// A count is at its limit.
    LimitReached = "limit_reached",
    /// The relay is shutting down, or overloaded.
    Unavailable = "unavailable",
}

impl Default for ErrorType {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl fmt::Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <Cow<'_, str>>::deserialize(deserializer)?;
        Ok(Self::from(&*name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_known_by_its_name_and_others_keep_theirs() {
        for known in ErrorType::KNOWN {
            assert_eq!(ErrorType::from(known.as_str()), *known);
            assert!(!matches!(known, ErrorType::Other(_)));
        }
        assert_eq!(ErrorType::from("later"), ErrorType::Other("later".to_owned()));
    }
}
