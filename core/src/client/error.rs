//! Why a request failed, and what that means (E-9).

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::time::Duration;

use super::foreign::ForeignAnswer;
use super::retry_after::RetryAfter;
use crate::base::limits::MAX_ERROR_CHARS;
use crate::base::time::UnixTime;
use crate::contract::action::Response;
use crate::contract::event::{IoError, IoErrorKind};
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
    Foreign(ForeignAnswer),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Broken(failure) => failure.fmt(f),
            Self::Foreign(answer) => answer.fmt(f),
        }
    }
}

impl RequestError {
    /// What an answer of 300 or above means: only one with the relay's own error is the relay's.
    pub fn of(response: &Response) -> Self {
        ApiError::of(response)
            .map_or_else(|| Self::Foreign(ForeignAnswer::of(response)), Self::Refused)
    }

    /// The backoff track to retry on; `None` for a fatal error, where retrying cannot help.
    pub fn track(&self) -> Option<FailureTrack> {
        match self {
            Self::Broken(_) => Some(FailureTrack::Connection),
            Self::Foreign(_) => Some(FailureTrack::General),
            Self::Refused(refusal) => refusal.is_retryable().then_some(FailureTrack::General),
        }
    }

    /// How long whoever answered asks us to wait, within reason.
    pub fn retry_after(&self, now: UnixTime) -> Option<Duration> {
        self.asked_pause().map(|retry_after| retry_after.pause(now))
    }

    /// Why it failed, and how long whoever answered asks us to wait.
    pub fn in_words(&self, now: UnixTime) -> String {
        match self.asked_pause() {
            Some(retry_after) => format!("{self}; {}", retry_after.in_words(now)),
            None => self.to_string(),
        }
    }

    const fn asked_pause(&self) -> Option<RetryAfter> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Foreign(answer) => answer.retry_after(),
            Self::Broken(_) => None,
        }
    }

    /// The relay's refusal, if it refused.
    pub const fn refusal(&self) -> Option<&ApiError> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Broken(_) | Self::Foreign(_) => None,
        }
    }

    /// Whether another credential might work: a 401.
    pub fn is_unauthorized(&self) -> bool {
        self.refusal().is_some_and(ApiError::is_unauthorized)
    }

    /// Turns it into the error that ends a machine, which was trying to do `what`.
    pub fn fault(&self, what: &str, relay: &BaseUrl) -> MachineError {
        let (kind, advice) = match self {
            Self::Refused(refusal) => refusal.advice(),
            Self::Broken(failure) => {
                (MachineErrorKind::GaveUp, advice_without_answer(failure.kind))
            }
            Self::Foreign(_) => {
                (MachineErrorKind::GaveUp, "check the address, and what is on the way to it")
            }
        };
        MachineError { kind, message: format!("could not {what} at {relay}: {self}; {advice}") }
    }
}

/// What to try where nothing answers.
const fn advice_without_answer(kind: IoErrorKind) -> &'static str {
    match kind {
        IoErrorKind::Tls => {
            "check that the relay there has TLS, and that its certificate is for the name in this \
             address"
        }
        IoErrorKind::Disconnected | IoErrorKind::Protocol => {
            "check the address: a relay with TLS is at https://, and what is there may be another \
             program"
        }
        _ => "check the address, and that a relay is running there",
    }
}

/// A refusal from the relay: any status of 400 or above, with the relay's own error in its body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("HTTP {status} {kind}: {message}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// `error.type`.
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
    /// Reads an answer of 400 or above; `None` if it is not a relay's, which names what is wrong.
    pub fn of(response: &Response) -> Option<Self> {
        let status = response.status;
        let ErrorBody { error: ErrorDetail { kind, message, .. } } =
            serde_json::from_slice(&response.body).ok().filter(|_| status >= 400)?;
        let kind = match kind {
            ErrorType::Other(name) if name.is_empty() => return None,
            ErrorType::Other(name) => ErrorType::Other(shortened(&name)),
            known => known,
        };
        let retry_after = RetryAfter::of(response).filter(|_| matches!(status, 429 | 503));
        Some(Self { status, kind, message: shortened(&message), retry_after })
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

    /// What kind of failure it is, and what a person can do about it.
    const fn advice(&self) -> (MachineErrorKind, &'static str) {
        match self.class() {
            ErrorClass::Unauthorized | ErrorClass::Expired => (
                MachineErrorKind::Unauthorized,
                "check the credential: an access token has to be the one that the relay was started \
                 with; a worker's own is made by footbridge relay credential where the relay runs, \
                 and ends when that token is replaced",
            ),
            ErrorClass::Forbidden => (MachineErrorKind::Forbidden, "ask whoever runs the relay"),
            ErrorClass::NotFound => {
                (MachineErrorKind::NotFound, "check that this URL is a Footbridge relay's")
            }
            ErrorClass::Protocol => {
                (MachineErrorKind::Protocol, "check that both sides are of the same version")
            }
            ErrorClass::Retryable => (MachineErrorKind::GaveUp, "try again later"),
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

    fn read(status: u16, body: &str) -> RequestError {
        let body = Bytes::copy_from_slice(body.as_bytes());
        RequestError::of(&Response { status, headers: vec![], body })
    }

    fn refusal(status: u16, body: &str) -> ApiError {
        read(status, body).refusal().cloned().expect("a relay's own error")
    }

    fn of_type(status: u16, kind: &str) -> ApiError {
        refusal(status, &format!(r#"{{"error":{{"type":"{kind}"}}}}"#))
    }

    #[test]
    fn a_refusal_carries_the_relays_own_words() {
        let body = r#"{"error":{"type":"token_expired","message":"too\nlate"}}"#;
        let refusal = refusal(401, body);
        assert_eq!(refusal.kind, ErrorType::TokenExpired);
        assert_eq!(refusal.message, "toolate");
        assert!(refusal.is_expired() && !refusal.is_retryable());
    }

    #[test]
    fn an_answer_without_the_relays_error_is_passing_trouble_whatever_its_status() {
        let bodies = [
            "",
            "<html>",
            "[]",
            "null",
            r#"{"error":3}"#,
            r#"{"error":{}}"#,
            r#"{"error":{"type":""}}"#,
            r#"{"error":{"code":403,"message":"Forbidden"}}"#,
            r#"{"message":"Forbidden"}"#,
            r#"{"error":{"type":"session_ended","messa"#,
        ];
        for status in 300..600 {
            for body in bodies {
                let error = read(status, body);
                assert_eq!(error.track(), Some(FailureTrack::General), "{status} {body}");
                assert!(!error.is_unauthorized() && error.refusal().is_none(), "{status} {body}");
            }
        }
        // A redirect is never a relay's.
        let error = read(302, r#"{"error":{"type":"session_ended"}}"#);
        assert_eq!(error.track(), Some(FailureTrack::General));
    }

    #[test]
    fn the_advice_is_about_what_went_wrong() {
        use MachineErrorKind::{GaveUp, NotFound, Unauthorized};
        let relay = BaseUrl::parse("https://relay.example").expect("a URL");
        let broken = |kind| RequestError::Broken(IoError { kind, detail: String::new() });
        let refused = |status, kind| RequestError::Refused(of_type(status, kind));
        for (error, kind, advice) in [
            (broken(IoErrorKind::Tls), GaveUp, "certificate"),
            (broken(IoErrorKind::Disconnected), GaveUp, "https://"),
            (broken(IoErrorKind::Refused), GaveUp, "running there"),
            (read(401, "<html>"), GaveUp, "on the way"),
            (refused(401, "authentication_failed"), Unauthorized, "footbridge relay credential"),
            (refused(404, "not_found"), NotFound, "a Footbridge relay's"),
            (refused(503, "unavailable"), GaveUp, "later"),
        ] {
            let fault = error.fault("register", &relay);
            assert_eq!(fault.kind, kind, "{fault}");
            assert!(fault.message.contains(advice), "{fault}");
        }
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
            for kind in ["token_expired", "later"] {
                assert_eq!(of_type(status, kind).is_retryable(), expected, "{status} {kind}");
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
    fn of_a_relays_own_errors_only_429_and_503_can_ask_for_a_pause() {
        let pause = |status, body: &'static [u8]| {
            let headers = vec![("retry-after".into(), "7".into())];
            let response = Response { status, headers, body: Bytes::from_static(body) };
            let pause = RequestError::of(&response).retry_after(UnixTime::from_millis(0));
            pause.map(|pause| pause.as_secs())
        };
        let own = |status| pause(status, br#"{"error":{"type":"later"}}"#);
        assert_eq!((own(429), own(503), own(500), own(403)), (Some(7), Some(7), None, None));
        let foreign = |status| pause(status, b"<html>");
        assert_eq!((foreign(503), foreign(403)), (Some(7), Some(7)));
    }
}
