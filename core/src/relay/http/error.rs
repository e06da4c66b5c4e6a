//! Refusals.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::response::json;
use crate::base::id::IdError;
use crate::base::limits::GUESS_ALLOWED_EVERY;
use crate::base::text::Text;
use crate::contract::action::Response;
use crate::contract::event::{IoError, IoErrorKind};
use crate::store::StoreError;
use crate::wire::error::{ErrorBody, ErrorDetail, ErrorType};

/// A refusal: any answer of 400 or above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    kind: ErrorType,
    message: String,
    retry_after: Option<u64>,
    /// The answer that counts, for a question that was answered twice.
    answer: Option<Text>,
    /// The question that is open, for an answer that does not say for which it is.
    open: Option<u64>,
    /// Whether the connection ends with it.
    closes: bool,
}

impl ApiError {
    pub(crate) fn new(status: u16, kind: ErrorType, message: &str) -> Self {
        let message = message.to_owned();
        Self { status, kind, message, retry_after: None, answer: None, open: None, closes: false }
    }

    pub(crate) fn invalid(message: &str) -> Self {
        Self::new(400, ErrorType::InvalidRequest, message)
    }

    pub(crate) fn unauthenticated() -> Self {
        let message = "this needs a credential that this relay knows, as Authorization: Bearer …";
        Self::new(401, ErrorType::AuthenticationFailed, message)
    }

    pub(crate) fn expired() -> Self {
        let message = "the session token has expired: ask for a new dispatch of the session";
        Self::new(401, ErrorType::TokenExpired, message)
    }

    pub(crate) fn worker_expired() -> Self {
        let message = "the worker_jwt has expired: ask for another one at the session's /bridge";
        Self::new(401, ErrorType::TokenExpired, message)
    }

    pub(crate) fn superseded() -> Self {
        let message =
            "this session has been bridged again since: only the newest worker_epoch counts";
        Self::new(409, ErrorType::EpochSuperseded, message)
    }

    /// The same, by a bridge for the same run of the agent: a request that was sent or carried out
    /// twice.
    pub(crate) fn repeated() -> Self {
        let message =
            "the same run of the agent has bridged this session again: bridge it once more";
        Self::new(409, ErrorType::EpochRepeated, message)
    }

    pub(crate) fn signed_out() -> Self {
        let message = "this browser was signed in too long ago: sign in again";
        Self::new(401, ErrorType::TokenExpired, message)
    }

    pub(crate) fn token_expired() -> Self {
        let message = "this access token has expired: use the refresh token, or log in again";
        Self::new(401, ErrorType::TokenExpired, message)
    }

    pub(crate) fn revoked() -> Self {
        let message = "the log-in that this access token belongs to was revoked: log in again";
        Self::new(401, ErrorType::TokenRevoked, message)
    }

    pub(crate) fn out_of_scope(needed: &str) -> Self {
        let message = format!("this log-in was not granted the scope {needed}");
        Self::new(403, ErrorType::PermissionDenied, &message)
    }

    /// Whoever asks is not on a trusted device (D-3).
    pub(crate) fn elevated(is_browser: bool) -> Self {
        let message = match is_browser {
            true => {
                "this relay takes this from trusted devices only, and this browser is none: sign in again, with a link from footbridge sign-in or with the access token, which makes it one"
            }
            false => {
                "this relay takes this from trusted devices only, and this log-in is none: run footbridge login again, which enrols it within ten minutes of the approval"
            }
        };
        Self::new(403, ErrorType::Elevated, message)
    }

    /// Only a log-in is enrolled.
    pub(crate) fn no_device() -> Self {
        let message = "a log-in is enrolled as a trusted device by its own access token; a browser becomes one when it signs in";
        Self::new(403, ErrorType::PermissionDenied, message)
    }

    /// A link that answers one question, of which its signature alone says that it has run out.
    pub(crate) fn link_over() -> Self {
        StoreError::AnswerLinkOver.into()
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(403, ErrorType::PermissionDenied, "this credential does not open this")
    }

    /// A credential that is not known, of an address that has shown too many of them.
    pub(crate) fn slowed() -> Self {
        let message = "this address has sent too many credentials that this relay does not know: check the access token, and try again in a moment";
        let retry_after = Some(GUESS_ALLOWED_EVERY.as_secs().max(1));
        Self {
            retry_after,
            closes: true,
            ..Self::new(429, ErrorType::AuthenticationFailed, message)
        }
    }

    pub(crate) fn body_too_large() -> Self {
        let message = "the request's body is larger than this relay takes";
        Self::new(413, ErrorType::TooLarge, message)
    }

    pub(crate) fn body_malformed() -> Self {
        Self::invalid("the chunks of the request's body are malformed")
    }

    pub(crate) fn unavailable() -> Self {
        let message = "the relay is stopping or overloaded: try again in a moment";
        Self { retry_after: Some(1), ..Self::new(503, ErrorType::Unavailable, message) }
    }

    /// The store has failed. A path is for whoever has a credential.
    pub(crate) fn store_failed(failure: Option<&IoError>, is_stranger: bool) -> Self {
        let detail = match failure {
            Some(failure) if !is_stranger => &*failure.detail,
            failure => match failure.map(|failure| failure.kind) {
                Some(IoErrorKind::Full) => "its disk is full",
                Some(IoErrorKind::NotFound) => "it was removed or replaced",
                Some(IoErrorKind::Denied) => "it may not be written",
                Some(IoErrorKind::Damaged) => "it is damaged",
                _ => "the relay's log says why",
            },
        };
        let message = format!("the relay's store has failed: {detail}");
        Self { retry_after: Some(1), ..Self::new(503, ErrorType::StoreFailed, &message) }
    }

    pub(crate) fn response(&self) -> Response {
        let answer = self.answer.as_ref().map(Text::as_str);
        let (kind, message) = (self.kind.clone(), (&*self.message).into());
        let error = ErrorDetail { kind, message, answer, seq: self.open };
        let mut response = json(self.status, &ErrorBody { error });
        if let Some(seconds) = self.retry_after {
            response.headers.push(("retry-after".to_owned(), seconds.to_string()));
        }
        if self.closes {
            response.headers.push(("connection".to_owned(), "close".to_owned()));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let (status, kind) = match &error {
            StoreError::EnvironmentUnknown => (404, ErrorType::EnvironmentUnknown),
            StoreError::SessionUnknown => (404, ErrorType::SessionUnknown),
            StoreError::WorkUnknown => (404, ErrorType::WorkUnknown),
            StoreError::PermissionUnknown => (404, ErrorType::PermissionUnknown),
            StoreError::ReceiptUnknown => (404, ErrorType::ReceiptUnknown),
            StoreError::LeaseLost
            | StoreError::LinkReplaced { .. }
            | StoreError::WorkerReplaced => (409, ErrorType::LeaseLost),
            StoreError::NeverSent => (409, ErrorType::RelaySetBack),
            StoreError::SessionEnded => (410, ErrorType::SessionEnded),
            StoreError::PermissionConflict { .. } => (409, ErrorType::PermissionConflict),
            StoreError::KeyReused => (409, ErrorType::KeyReused),
            StoreError::OneSession => (409, ErrorType::OneSession),
            StoreError::AnswerLinkOver => (410, ErrorType::AnswerLinkOver),
            StoreError::AnswerLinkUnfit => (409, ErrorType::AnswerLinkUnfit),
            StoreError::PermissionWithdrawn => (410, ErrorType::PermissionWithdrawn),
            StoreError::WorktreeUnknown => (404, ErrorType::WorktreeUnknown),
            StoreError::WorktreeBusy => (409, ErrorType::WorktreeBusy),
            StoreError::WorktreeChanged => (409, ErrorType::WorktreeChanged),
            StoreError::WorktreeUnreachable => (410, ErrorType::WorktreeUnreachable),
            StoreError::PermissionAmbiguous { .. } => (409, ErrorType::PermissionAmbiguous),
            StoreError::CallbacksUnanswerable => (409, ErrorType::CallbacksUnanswerable),
            StoreError::CallbacksTaken => (409, ErrorType::CallbacksTaken),
            StoreError::CallbackUnknown => (404, ErrorType::CallbackUnknown),
            StoreError::CallbackNotYours => (403, ErrorType::CallbackNotYours),
            StoreError::CallbackWithdrawn => (410, ErrorType::CallbackWithdrawn),
            StoreError::CallbackConflict { .. } => (409, ErrorType::CallbackConflict),
            StoreError::CallbackUnclear { .. } => (400, ErrorType::InvalidRequest),
            StoreError::DeviceUnknown => (404, ErrorType::DeviceUnknown),
            StoreError::TrustTooLate => (403, ErrorType::Elevated),
            StoreError::SessionRuns => (409, ErrorType::SessionRuns),
            StoreError::WorktreeKept => (409, ErrorType::WorktreeKept),
            StoreError::PushUnknown => (404, ErrorType::PushUnknown),
            StoreError::Limit(_) => (429, ErrorType::LimitReached),
        };
        let mut refusal = Self::new(status, kind, &error.message());
        refusal.retry_after = (status == 429).then_some(RETRY_AFTER_LIMIT);
        match &error {
            StoreError::PermissionConflict { line } | StoreError::CallbackConflict { line } => {
                refusal.answer = answer_of(line);
            }
            StoreError::PermissionAmbiguous { open } => refusal.open = *open,
            _ => {}
        }
        refusal
    }
}

/// The `Retry-After` of a limit, in seconds: no limit clears immediately.
const RETRY_AFTER_LIMIT: u64 = 10;

impl From<IdError> for ApiError {
    fn from(error: IdError) -> Self {
        Self::invalid(&format!("{error}"))
    }
}

/// The answer inside a `control_response` line.
fn answer_of(line: &Text) -> Option<Text> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        response: Inner<'a>,
    }
    #[derive(Deserialize)]
    struct Inner<'a> {
        #[serde(borrow)]
        response: &'a RawValue,
    }
    let Line { response } = serde_json::from_str(line.as_str()).ok()?;
    Some(Text::from(response.response.get().to_string()))
}
