//! Requests to a relay: the only place that sets headers, timeouts and size limits.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use serde::Serialize;

use crate::base::limits::{
    CONNECT_TIMEOUT, MAX_RESPONSE_BYTES, REQUEST_TIMEOUT, STREAM_DEAD_AFTER,
};
use crate::base::secret::Secret;
use crate::contract::action::{Answer, Method, Reach, Request};
use crate::wire::to_json;
use crate::wire::url::BaseUrl;

const USER_AGENT: &str = concat!("footbridge/", env!("CARGO_PKG_VERSION"));

/// An empty JSON body: `{}`.
#[derive(Serialize)]
pub(super) struct Empty {}

/// A request without a body. Only public endpoints need no credential.
pub(super) fn get(relay: &BaseUrl, path: &str, credential: Option<&Secret>) -> Request {
    request(Method::Get, relay.join(path), headers(credential), Bytes::new())
}

/// A request with a JSON body.
pub(super) fn post<T: Serialize>(
    relay: &BaseUrl,
    path: &str,
    credential: Option<&Secret>,
    body: &T,
) -> Request {
    let mut headers = headers(credential);
    headers.push(("content-type", Secret::from("application/json")));
    request(Method::Post, relay.join(path), headers, to_json(body))
}

/// A request without a body, to a URL that is already whole.
pub(super) fn get_url(url: String, credential: &Secret) -> Request {
    request(Method::Get, url, headers(Some(credential)), Bytes::new())
}

/// A request whose body is already JSON, to a URL that is already whole.
pub(super) fn post_url(url: String, credential: &Secret, json: Bytes) -> Request {
    let mut headers = headers(Some(credential));
    headers.push(("content-type", Secret::from("application/json")));
    request(Method::Post, url, headers, json)
}

/// Asks for a stream of events, after the one of this number.
pub(super) fn as_stream(request: &mut Request, after: u64) {
    request.headers.retain(|(name, _)| *name != "accept");
    request.headers.push(("accept", Secret::from("text/event-stream")));
    request.headers.push(("last-event-id", Secret::new(after.to_string())));
    request.timeout = CONNECT_TIMEOUT;
    request.answer = Answer::Stream { idle_timeout: STREAM_DEAD_AFTER };
}

/// A request with a form, and without a credential but for what is in the form.
pub(super) fn form(relay: &BaseUrl, path: &str, fields: &[(&str, &str)]) -> Request {
    let mut headers = headers(None);
    headers.push(("content-type", Secret::from("application/x-www-form-urlencoded")));
    let mut body = String::new();
    for (name, value) in fields {
        if !body.is_empty() {
            body.push('&');
        }
        body.push_str(name);
        body.push('=');
        encode(value, &mut body);
    }
    request(Method::Post, relay.join(path), headers, Bytes::from(body))
}

fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push_str(&format!("%{byte:02X}"));
        }
    }
}

fn request(
    method: Method,
    url: String,
    headers: Vec<(&'static str, Secret)>,
    body: Bytes,
) -> Request {
    Request {
        method,
        url,
        headers,
        body,
        timeout: REQUEST_TIMEOUT,
        answer: Answer::Whole { max_body: MAX_RESPONSE_BYTES },
        reach: Reach::Anywhere,
    }
}

fn headers(credential: Option<&Secret>) -> Vec<(&'static str, Secret)> {
    let bearer = |token: &Secret| Secret::new(["Bearer ", token.reveal()].concat());
    let mut headers = Vec::with_capacity(6);
    headers.extend(credential.map(|token| ("authorization", bearer(token))));
    headers.push(("accept", Secret::from("application/json")));
    headers.push(("user-agent", Secret::from(USER_AGENT)));
    headers
}
