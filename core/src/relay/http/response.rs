//! Answers and refusals.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::base::text::Text;
use crate::contract::action::Response;
use crate::store::StoreError;
use crate::wire::to_json;

/// A refusal: any answer of 400 or above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) struct ApiError {
    pub(in crate::relay) status: u16,
    kind: &'static str,
    message: String,
    retry_after: Option<u64>,
    /// The answer to a question that counts.
    answer: Option<Text>,
}

impl ApiError {
    pub(in crate::relay) fn new(status: u16, kind: &'static str, message: &str) -> Self {
        Self { status, kind, message: message.to_owned(), retry_after: None, answer: None }
    }

    pub(in crate::relay) fn invalid(message: &str) -> Self {
        Self::new(400, "invalid_request", message)
    }

    pub(in crate::relay) fn unauthenticated() -> Self {
        let message = "this needs a credential that this relay knows, as Authorization: Bearer …";
        Self::new(401, "authentication_failed", message)
    }

    pub(in crate::relay) fn expired() -> Self {
        let message = "the session token has expired: ask for a new dispatch of the session";
        Self::new(401, "token_expired", message)
    }

    pub(in crate::relay) fn forbidden() -> Self {
        Self::new(403, "permission_denied", "this credential does not open this")
    }

    pub(in crate::relay) fn unavailable() -> Self {
        let message = "the relay is stopping or overloaded: try again in a moment";
        Self { retry_after: Some(1), ..Self::new(503, "unavailable", message) }
    }

    pub(in crate::relay) fn response(&self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            error: Words<'a>,
        }
        #[derive(Serialize)]
        struct Words<'a> {
            #[serde(rename = "type")]
            kind: &'a str,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            answer: Option<&'a RawValue>,
        }
        let answer = self.answer.as_ref();
        let answer = answer.and_then(|line| serde_json::from_str(line.as_str()).ok());
        let error = Words { kind: self.kind, message: &self.message, answer };
        let mut response = json(self.status, &Body { error });
        if let Some(seconds) = self.retry_after {
            response.headers.push(("retry-after".to_owned(), seconds.to_string()));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(denied: StoreError) -> Self {
        let (status, kind) = match &denied {
            StoreError::EnvironmentUnknown => (404, "environment_unknown"),
            StoreError::SessionUnknown => (404, "session_unknown"),
            StoreError::WorkUnknown => (404, "work_unknown"),
            StoreError::PermissionUnknown => (404, "permission_unknown"),
            StoreError::LeaseLost | StoreError::LinkReplaced => (409, "lease_lost"),
            StoreError::NeverSent => (400, "invalid_request"),
            StoreError::SessionEnded => (410, "session_ended"),
            StoreError::PermissionConflict { .. } => (409, "permission_conflict"),
            StoreError::PermissionWithdrawn => (410, "permission_withdrawn"),
            StoreError::Limit { .. } => (429, "limit_reached"),
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
    #[derive(Serialize)]
    struct Body {
        state: &'static str,
    }
    json(200, &Body { state })
}

pub(in crate::relay) fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
