//! Why a request failed, and what that means (E-9).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use super::retry_after::RetryAfter;
use crate::base::limits::MAX_ERROR_CHARS;
use crate::base::time::UnixTime;
use crate::contract::action::Response;
use crate::contract::event::IoError;
use crate::contract::machine::{MachineError, MachineErrorKind};
use crate::engine::backoff::FailureTrack;
use crate::wire::error::{ErrorBody, ErrorDetail, ErrorType};
use crate::wire::url::BaseUrl;

/// How a request failed.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestError {
    /// The relay said no.
    Refused(ApiError),
    /// There was no answer.
    Broken(IoError),
    /// The answer is not one a relay gives: another server's page, a truncated body.
    BadAnswer(String),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Broken(failure) => failure.fmt(f),
            Self::BadAnswer(reason) => f.write_str(reason),
        }
    }
}

impl RequestError {
    /// The backoff track to retry on; `None` for a fatal error, where retrying cannot help.
    pub fn track(&self) -> Option<FailureTrack> {
        match self {
            Self::Broken(_) => Some(FailureTrack::Connection),
            Self::BadAnswer(_) => Some(FailureTrack::General),
            Self::Refused(refusal) => refusal.is_retryable().then_some(FailureTrack::General),
        }
    }

    /// How long the relay asks us to wait, if it says so.
    pub fn retry_after(&self, now: UnixTime) -> Option<Duration> {
        self.refusal().and_then(|refusal| refusal.retry_after(now))
    }

    /// The relay's refusal, if it refused.
    pub const fn refusal(&self) -> Option<&ApiError> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Broken(_) | Self::BadAnswer(_) => None,
        }
    }

    /// Whether another credential might work: a 401.
    pub fn is_unauthorized(&self) -> bool {
        self.refusal().is_some_and(ApiError::is_unauthorized)
    }

    /// Turns it into the error that ends a machine, which was trying to do `what`.
    pub fn fault(&self, what: &str, relay: &BaseUrl) -> MachineError {
        let (kind, advice) = match self.refusal().map(ApiError::class) {
            Some(ErrorClass::Unauthorized | ErrorClass::Expired) => (
                MachineErrorKind::Unauthorized,
                "log in again: check that the access token is the one that the relay was started with",
            ),
            Some(ErrorClass::Forbidden) => {
                (MachineErrorKind::Forbidden, "ask whoever runs the relay")
            }
            Some(ErrorClass::NotFound) => {
                (MachineErrorKind::NotFound, "check that this URL is a Footbridge relay's")
            }
            Some(ErrorClass::Retryable | ErrorClass::Protocol) | None => {
                (MachineErrorKind::Protocol, "check that relay and worker are of the same version")
            }
        };
        MachineError { kind, message: format!("could not {what} at {relay}: {self}; {advice}") }
    }
}

/// A refusal from the relay: any status of 400 or above, with its type as received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("HTTP {status} {kind}: {message}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// `error.type`, or `unknown` if there is none.
    pub kind: ErrorType,
    /// `error.message`, shortened for a person to read.
    pub message: String,
    retry_after: Option<RetryAfter>,
}

/// The kind of refusal, for deciding what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The same request may succeed later. All other kinds are fatal.
    Retryable,
    /// The credential is missing or unknown.
    Unauthorized,
    /// The credential was valid once and has expired.
    Expired,
    /// The credential is valid, but not for this.
    Forbidden,
    /// There is no such thing, or it is gone.
    NotFound,
    /// The two sides disagree about which requests exist.
    Protocol,
}

impl ApiError {
    /// Reads an answer of 400 or above.
    pub fn of(response: &Response) -> Self {
        let status = response.status;
        let (kind, message) = match serde_json::from_slice(&response.body) {
            Ok(ErrorBody { error: ErrorDetail { kind, message, .. } }) => {
                let kind = match kind {
                    ErrorType::Other(name) => ErrorType::Other(shortened(&name)),
                    known => known,
                };
                (kind, shortened(&message))
            }
            Err(_) => {
                let size = response.body.len();
                let message = format!("the relay gave no reason ({size} bytes)");
                (ErrorType::Other("unknown".to_owned()), message)
            }
        };
        let retry_after = RetryAfter::of(response).filter(|_| matches!(status, 429 | 503));
        Self { status, kind, message, retry_after }
    }

    /// The kind of refusal. `error.type` decides where it says more than the status: a 403 may be
    /// about a permission, or about an expired session.
    pub const fn class(&self) -> ErrorClass {
        match (self.status, &self.kind) {
            (429 | 500..=599, _) => ErrorClass::Retryable,
            (_, ErrorType::TokenExpired | ErrorType::SessionExpired) => ErrorClass::Expired,
            (_, ErrorType::AuthenticationFailed) | (401, _) => ErrorClass::Unauthorized,
            (_, ErrorType::PermissionDenied) | (403, _) => ErrorClass::Forbidden,
            (404 | 410, _) => ErrorClass::NotFound,
            _ => ErrorClass::Protocol,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.class() == ErrorClass::Retryable
    }

    /// Whether another credential might work.
    pub const fn is_unauthorized(&self) -> bool {
        self.status == 401
    }

    /// Whether somebody has something newer, such as another lease.
    pub const fn is_conflict(&self) -> bool {
        self.status == 409
    }

    /// Whether a credential or a session was valid once and has expired.
    pub fn is_expired(&self) -> bool {
        self.class() == ErrorClass::Expired || self.status == 410
    }

    /// Whether it is not worth showing to a person: the thing in question is simply over.
    pub const fn is_suppressible(&self) -> bool {
        use ErrorType::{LeaseLost, SessionEnded, SessionExpired};
        matches!(self.kind, LeaseLost | SessionEnded | SessionExpired)
    }

    /// Whether the relay does not know the environment (any more): it was restarted, or the
    /// environment expired. Registering again fixes it.
    pub fn is_environment_unknown(&self) -> bool {
        self.status == 404 && self.kind == ErrorType::EnvironmentUnknown
    }

    /// How long the relay asks us to wait, if it says so.
    pub fn retry_after(&self, now: UnixTime) -> Option<Duration> {
        self.retry_after.map(|retry_after| retry_after.pause(now))
    }
}

/// A peer's words, fit for one line of a log.
fn shortened(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(MAX_ERROR_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use bytes::Bytes;

    fn refusal(status: u16, body: &str) -> ApiError {
        let body = Bytes::copy_from_slice(body.as_bytes());
        ApiError::of(&Response { status, headers: vec![], body })
    }

    fn of_type(status: u16, kind: &str) -> ApiError {
        refusal(status, &format!(r#"{{"error":{{"type":"{kind}"}}}}"#))
    }

    #[test]
    fn a_refusal_carries_the_relays_own_words() {
        let body = r#"{"error":{"type":"token_expired","message":"log in\nagain"}}"#;
        let refusal = refusal(401, body);
        assert_eq!(refusal.kind, ErrorType::TokenExpired);
        assert_eq!(refusal.message, "log inagain");
        assert!(refusal.is_expired() && !refusal.is_retryable());
    }

    #[test]
    fn a_refusal_without_an_error_body_is_still_a_refusal() {
        for body in ["", "<html>", "[]", r#"{"error":3}"#] {
            assert_eq!(refusal(502, body).kind.as_str(), "unknown");
        }
        assert_eq!(refusal(502, r#"{"error":{}}"#).kind.as_str(), "");
    }

    #[test]
    fn a_peers_words_are_shortened() {
        let refusal = of_type(400, &"x".repeat(2 * MAX_ERROR_CHARS));
        assert_eq!(refusal.kind.as_str().len(), MAX_ERROR_CHARS);
    }

    #[test]
    fn only_429_and_5xx_are_retried() {
        for status in 400..600 {
            let expected = status == 429 || status >= 500;
            for refusal in [refusal(status, ""), of_type(status, "token_expired")] {
                assert_eq!(refusal.is_retryable(), expected, "{status}");
            }
        }
    }

    #[test]
    fn the_type_decides_where_it_says_more_than_the_status() {
        use ErrorClass::{Expired, Forbidden, NotFound, Protocol, Unauthorized};
        let cases = [
            (401, "authentication_failed", Unauthorized),
            (401, "token_expired", Expired),
            (401, "later", Unauthorized),
            (403, "permission_denied", Forbidden),
            (403, "session_expired", Expired),
            (403, "later", Forbidden),
            (404, "environment_unknown", NotFound),
            (410, "session_ended", NotFound),
            (409, "lease_lost", Protocol),
            (400, "invalid_request", Protocol),
        ];
        for (status, kind, class) in cases {
            assert_eq!(of_type(status, kind).class(), class, "{status} {kind}");
        }
    }

    #[test]
    fn refusals_about_something_already_over_are_not_worth_showing() {
        for kind in ["lease_lost", "session_ended", "session_expired"] {
            assert!(of_type(409, kind).is_suppressible(), "{kind}");
        }
        assert!(!of_type(401, "token_expired").is_suppressible());
        assert!(of_type(410, "session_ended").is_expired());
    }

    #[test]
    fn only_429_and_503_can_ask_for_a_pause() {
        let pause = |status| {
            let headers = vec![("retry-after".to_owned(), "7".to_owned())];
            let refusal = ApiError::of(&Response { status, headers, body: Bytes::new() });
            refusal.retry_after(UnixTime::from_millis(0)).map(|pause| pause.as_secs())
        };
        assert_eq!(
            (pause(429), pause(503), pause(500), pause(403)),
            (Some(7), Some(7), None, None)
        );
    }
}
