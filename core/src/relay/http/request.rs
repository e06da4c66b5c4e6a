//! Reading a request: its body, its query, its headers.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::ApiError;
use crate::base::id::IdError;
use crate::base::limits::MAX_ID_BYTES;
use crate::base::text::Text;
use crate::contract::event::{Body, IncomingRequest};
use crate::wire::error::ErrorType;

/// The body of a request as JSON.
pub(crate) fn body<'a, T: Deserialize<'a>>(request: &'a IncomingRequest) -> Result<T, ApiError> {
    serde_json::from_slice(body_bytes(request)).map_err(|error| {
        let why = without_type_names(&error.to_string());
        ApiError::invalid(&format!("the body is not the JSON that is expected here: {why}"))
    })
}

/// What is wrong with a body, without the names that its parts have in this program.
fn without_type_names(words: &str) -> String {
    const NAMES: [(&str, &str); 5] = [
        ("expected struct ", "expected an object"),
        ("expected tuple struct ", "expected a list"),
        ("expected enum ", "expected one of the words for it"),
        ("expected internally tagged enum ", "expected an object"),
        ("expected unit struct ", "expected null"),
    ];
    let found = NAMES.iter().find_map(|(named, plain)| {
        let (before, after) = words.split_once(named)?;
        let rest = after.find(' ').and_then(|at| after.get(at..)).unwrap_or_default();
        Some(format!("{before}{plain}{rest}"))
    });
    found.unwrap_or_else(|| String::from(words))
}

/// The one value of a header, if there is one; `Err` if there are several.
pub(crate) fn only<'r>(request: &'r IncomingRequest, name: &str) -> Result<Option<&'r str>, ()> {
    let mut values = request.headers.iter().filter(|(given, _)| given == name);
    let first = values.next().map(|(_, value)| value.trim());
    if values.next().is_some() { Err(()) } else { Ok(first) }
}

/// Refuses what could be read in two ways, or not at all.
pub(crate) fn check(request: &IncomingRequest) -> Result<(), ApiError> {
    only(request, "authorization").map_err(|()| {
        ApiError::invalid("a request can have only one Authorization header: which one counts?")
    })?;
    let mut codings = request.headers.iter().filter(|(name, _)| name == "content-encoding");
    if codings.any(|(_, value)| !value.trim().eq_ignore_ascii_case("identity")) {
        let message = "this relay reads no compressed body: send it without Content-Encoding";
        return Err(ApiError::new(415, ErrorType::InvalidRequest, message));
    }
    Ok(())
}

/// The body of a request as JSON; `None` if it has none.
pub(crate) fn optional_body<'a, T: Deserialize<'a>>(
    request: &'a IncomingRequest,
) -> Result<Option<T>, ApiError> {
    if body_bytes(request).is_empty() { Ok(None) } else { body(request).map(Some) }
}

/// The body of a request as JSON whose parts are passed on unchanged. `serde_json` checks only the
/// strings that it reads, so the rest has to be checked for valid UTF-8.
pub(crate) fn utf8_body<'a, T: Deserialize<'a>>(
    request: &'a IncomingRequest,
) -> Result<T, ApiError> {
    if core::str::from_utf8(body_bytes(request)).is_err() {
        return Err(ApiError::invalid("the body is not UTF-8"));
    }
    body(request)
}

fn body_bytes(request: &IncomingRequest) -> &Bytes {
    static EMPTY: Bytes = Bytes::new();
    match &request.body {
        Body::Whole(bytes) => bytes,
        Body::Unread { .. } | Body::TooLarge | Body::Malformed => &EMPTY,
    }
}

/// The address that a request comes from. Behind a proxy, it is the one that the proxy has appended
/// to `X-Forwarded-For`; whatever stands before it, anyone may have written.
pub(crate) fn client_of(request: &IncomingRequest, is_behind_proxy: bool) -> IpAddr {
    let forwarded = || {
        let (_, value) = request.headers.iter().rfind(|(name, _)| name == "x-forwarded-for")?;
        let last = value.rsplit(',').next()?.trim();
        let is_ip = |text: &str| text.parse::<IpAddr>().ok();
        let without_port = || last.parse::<SocketAddr>().ok().map(|address| address.ip());
        is_ip(last).or_else(without_port)
    };
    let proxied = if is_behind_proxy { forwarded() } else { None };
    proxied.unwrap_or(request.peer).to_canonical()
}

/// A JSON value on one line. In JSON a line break can occur only between tokens, never inside a
/// string, so a space can replace it.
pub(crate) fn one_line(raw: &RawValue) -> Text {
    let json: Box<str> = raw.get().into();
    Text::from(if json.contains(['\n', '\r']) {
        json.replace(['\n', '\r'], " ")
    } else {
        String::from(json)
    })
}

/// A number from the query; `None` if it is missing.
pub(crate) fn query_number(query: &str, name: &str) -> Result<Option<u64>, ApiError> {
    let Some(value) = query_value(query, name) else { return Ok(None) };
    let bad = || ApiError::invalid(&format!("{name} must be a whole number, from 0 on"));
    value.parse().map(Some).map_err(|_| bad())
}

/// An id from the query; `None` if it is missing.
pub(crate) fn query_id<T>(
    query: &str,
    name: &str,
    parse: impl Fn(&str) -> Result<T, IdError>,
) -> Result<Option<T>, ApiError> {
    Ok(query_value(query, name).map(parse).transpose()?)
}

/// The `limit` from the query: at most `most`.
pub(crate) fn query_limit(query: &str, most: usize) -> Result<usize, ApiError> {
    match query_number(query, "limit")? {
        Some(0) => Err(ApiError::invalid("limit must be at least 1")),
        limit => Ok(limit.map_or(most, |limit| usize::try_from(limit).unwrap_or(most)).min(most)),
    }
}

/// A raw value from the query.
pub(crate) fn query_value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Rejects a text that is too long.
pub(crate) fn bounded(name: &str, text: &str, limit: usize) -> Result<(), ApiError> {
    if text.len() <= limit {
        return Ok(());
    }
    Err(ApiError::invalid(&format!("{name} must have at most {limit} bytes")))
}

/// The `Idempotency-Key`, if there is one.
pub(crate) fn idempotency_key(request: &IncomingRequest) -> Result<Option<String>, ApiError> {
    let key = only(request, "idempotency-key")
        .map_err(|()| ApiError::invalid("a request can have only one Idempotency-Key"))?;
    let Some(key) = key else { return Ok(None) };
    if key.trim().is_empty() {
        return Err(ApiError::invalid("the Idempotency-Key is empty: leave it out, or give one"));
    }
    bounded("the Idempotency-Key", key, MAX_ID_BYTES)?;
    Ok(Some(key.into()))
}

/// Rejects a request that does not ask for a WebSocket.
pub(crate) fn require_websocket(request: &IncomingRequest) -> Result<(), ApiError> {
    let upgrade = request.header("upgrade").unwrap_or_default();
    if upgrade.split(',').any(|token| token.trim().eq_ignore_ascii_case("websocket")) {
        return Ok(());
    }
    let words = if is_handshake(request) {
        "this path speaks WebSocket only, and the request's Upgrade was lost on the way: a proxy has to \
         pass on Upgrade and Connection, and to speak HTTP/1.1 to the relay"
    } else {
        "this path speaks WebSocket only"
    };
    Err(ApiError::new(426, ErrorType::UpgradeRequired, words))
}

/// Whether a request was a WebSocket's handshake when it was sent, whatever a proxy has taken out.
pub(crate) fn is_handshake(request: &IncomingRequest) -> bool {
    request.headers.iter().any(|(name, _)| name.starts_with("sec-websocket-"))
}

/// The WebSocket subprotocols that a client offers.
pub(crate) fn offered_protocols(request: &IncomingRequest) -> impl Iterator<Item = &str> {
    let headers = request.headers.iter().filter(|(name, _)| name == "sec-websocket-protocol");
    headers.flat_map(|(_, value): &(String, String)| value.split(',').map(str::trim))
}
