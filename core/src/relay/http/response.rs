//! Answers and refusals.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use serde::Serialize;

use crate::base::text::Text;
use crate::contract::action::Response;
use crate::store::StoreError;
use crate::wire::error::{ErrorBody, ErrorDetail, ErrorType};
use crate::wire::to_json;
use crate::wire::work::StateAnswer;

/// A refusal: any answer of 400 or above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) struct ApiError {
    pub(in crate::relay) status: u16,
    kind: ErrorType,
    message: String,
    retry_after: Option<u64>,
    /// The answer to a question that counts.
    answer: Option<Text>,
}

impl ApiError {
    pub(in crate::relay) fn new(status: u16, kind: ErrorType, message: &str) -> Self {
        Self { status, kind, message: message.to_owned(), retry_after: None, answer: None }
    }

    pub(in crate::relay) fn invalid(message: &str) -> Self {
        Self::new(400, ErrorType::InvalidRequest, message)
    }

    pub(in crate::relay) fn unauthenticated() -> Self {
        let message = "this needs a credential that this relay knows, as Authorization: Bearer …";
        Self::new(401, ErrorType::AuthenticationFailed, message)
    }

    pub(in crate::relay) fn expired() -> Self {
        let message = "the session token has expired: ask for a new dispatch of the session";
        Self::new(401, ErrorType::TokenExpired, message)
    }

    pub(in crate::relay) fn forbidden() -> Self {
        Self::new(403, ErrorType::PermissionDenied, "this credential does not open this")
    }

    pub(in crate::relay) fn unavailable() -> Self {
        let message = "the relay is stopping or overloaded: try again in a moment";
        Self { retry_after: Some(1), ..Self::new(503, ErrorType::Unavailable, message) }
    }

    pub(in crate::relay) fn response(&self) -> Response {
        let answer = self.answer.as_ref().map(Text::as_str);
        let error =
            ErrorDetail { kind: self.kind.clone(), message: (&*self.message).into(), answer };
        let mut response = json(self.status, &ErrorBody { error });
        if let Some(seconds) = self.retry_after {
            response.headers.push(("retry-after".to_owned(), seconds.to_string()));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(denied: StoreError) -> Self {
        let (status, kind) = match &denied {
            StoreError::EnvironmentUnknown => (404, ErrorType::EnvironmentUnknown),
            StoreError::SessionUnknown => (404, ErrorType::SessionUnknown),
            StoreError::WorkUnknown => (404, ErrorType::WorkUnknown),
            StoreError::PermissionUnknown => (404, ErrorType::PermissionUnknown),
            StoreError::LeaseLost | StoreError::LinkReplaced => (409, ErrorType::LeaseLost),
            StoreError::NeverSent => (400, ErrorType::InvalidRequest),
            StoreError::SessionEnded => (410, ErrorType::SessionEnded),
            StoreError::PermissionConflict { .. } => (409, ErrorType::PermissionConflict),
            StoreError::PermissionWithdrawn => (410, ErrorType::PermissionWithdrawn),
            StoreError::Limit(_) => (429, ErrorType::LimitReached),
        };
        let mut refusal = Self::new(status, kind, &denied.message());
        refusal.retry_after = (status == 429).then_some(RETRY_AFTER_LIMIT);
        if let StoreError::PermissionConflict { line } = &denied {
            refusal.answer = crate::relay::viewer_api::permission::answer_of(line);
        }
        refusal
    }
}

/// What a limit tells to wait, in seconds: none of them is over at once.
const RETRY_AFTER_LIMIT: u64 = 10;

/// A JSON answer.
pub(in crate::relay) fn json<T: Serialize>(status: u16, body: &T) -> Response {
    json_bytes(status, to_json(body))
}

/// An answer whose body is JSON already.
pub(in crate::relay) fn json_bytes(status: u16, body: Bytes) -> Response {
    let headers = [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ];
    Response { status, headers: owned(&headers), body }
}

/// An answer without a body.
pub(in crate::relay) fn empty(status: u16) -> Response {
    Response { status, headers: owned(&[("cache-control", "no-store")]), body: Bytes::new() }
}

/// `{"state": …}`.
pub(in crate::relay) fn state(state: &'static str) -> Response {
    json(200, &StateAnswer { state: state.into() })
}

pub(in crate::relay) fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
