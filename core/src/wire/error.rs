//! The body of a refusal, and what a refusal means (E-9).

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::raw;
use crate::contract::action::Response;

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

/// A refusal of the relay, as typed as it came: any status of 400 or above (E-9).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("HTTP {status} {kind}: {message}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// `error.type`, or `unknown` where there is none.
    pub kind: String,
    /// `error.message`, shortened to what a person reads.
    pub message: String,
    /// `Retry-After`, of 429 and 503.
    pub retry_after: Option<Duration>,
}

/// Longest `error.type` or `error.message` that is kept of a peer's answer, in characters.
const MAX_WORDS: usize = 400;
/// Longest `Retry-After` that is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

impl ApiError {
    /// Reads an answer of 400 or above.
    pub fn of(response: &Response) -> Self {
        #[derive(Deserialize)]
        struct Body {
            error: Words,
        }
        #[derive(Deserialize)]
        struct Words {
            #[serde(rename = "type", default)]
            kind: String,
            #[serde(default)]
            message: String,
        }
        let status = response.status;
        let words = serde_json::from_slice(&response.body).map(|Body { error }| error);
        let Words { kind, message } = words.unwrap_or_else(|_| Words {
            kind: "unknown".to_owned(),
            message: format!("the relay gave no reason ({} bytes)", response.body.len()),
        });
        let retry_after = response.header("retry-after").and_then(|text| text.trim().parse().ok());
        Self {
            status,
            kind: shortened(&kind),
            message: shortened(&message),
            retry_after: retry_after
                .filter(|_| matches!(status, 429 | 503))
                .map(|secs| Duration::from_secs(secs).min(MAX_RETRY_AFTER)),
        }
    }

    /// Whether the same request may succeed later: 429 and 5xx (E-9).
    pub const fn is_retryable(&self) -> bool {
        matches!(self.status, 429 | 500..=599)
    }

    /// Whether a credential was good once and has run out.
    pub fn is_expired(&self) -> bool {
        matches!(self.kind.as_str(), "token_expired" | "session_expired") || self.status == 410
    }

    /// Whether it is not worth showing to a person: what was asked is simply over.
    pub fn is_suppressible(&self) -> bool {
        matches!(self.kind.as_str(), "lease_lost" | "session_ended" | "session_expired")
    }

    /// Whether the relay does not know the environment (any more): it was restarted, or let the
    /// environment lapse. Registering anew mends it.
    pub fn is_environment_unknown(&self) -> bool {
        self.status == 404 && self.kind == "environment_unknown"
    }
}

/// A peer's words, fit for one line of a log.
fn shortened(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn refusal(status: u16, headers: &[(&str, &str)], body: &'static str) -> ApiError {
        let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ApiError::of(&Response { status, headers, body: Bytes::from_static(body.as_bytes()) })
    }

    #[test]
    fn a_refusal_carries_the_relays_own_words() {
        let body = r#"{"error":{"type":"token_expired","message":"log in\nagain"}}"#;
        let refusal = refusal(401, &[], body);
        assert_eq!(refusal.kind, "token_expired");
        assert_eq!(refusal.message, "log inagain");
        assert!(refusal.is_expired() && !refusal.is_retryable());
    }

    #[test]
    fn a_body_that_is_no_error_is_still_a_refusal() {
        for body in ["", "<html>", "[]", r#"{"error":3}"#] {
            assert_eq!(refusal(502, &[], body).kind, "unknown");
        }
    }

    #[test]
    fn retry_after_is_read_only_where_it_means_something_and_only_up_to_an_hour() {
        let secs = |status, value| refusal(status, &[("retry-after", value)], "").retry_after;
        assert_eq!(secs(429, "7"), Some(Duration::from_secs(7)));
        assert_eq!(secs(503, " 7 "), Some(Duration::from_secs(7)));
        assert_eq!(secs(500, "7"), None);
        assert_eq!(secs(429, "soon"), None);
        assert_eq!(secs(429, "99999999999"), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn only_429_and_5xx_are_retried() {
        for status in 400..600 {
            let expected = status == 429 || status >= 500;
            assert_eq!(refusal(status, &[], "").is_retryable(), expected, "{status}");
        }
    }
}
