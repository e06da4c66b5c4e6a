//! Answers.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::Serialize;

use crate::contract::action::Response;
use crate::wire::to_json;
use crate::wire::worker_api::work::StateAnswer;

/// A JSON answer.
pub(in crate::relay) fn json<T: Serialize>(status: u16, body: &T) -> Response {
    json_bytes(status, to_json(body))
}

/// An answer whose body is already JSON.
pub(in crate::relay) fn json_bytes(status: u16, body: Bytes) -> Response {
    let headers = [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
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
