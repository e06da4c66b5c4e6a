//! Answers as the wire has them.

use std::time::SystemTime;

use bytes::Bytes;
use footbridge_core::contract::action::{Head, Method};
use footbridge_core::contract::event::{IoError, IoErrorKind};
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{
    CONNECTION, DATE, HeaderName, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::OnUpgrade;

use crate::failure::failure;
use crate::handshake::Switch;
use crate::stream::ReplyBody;

pub(super) fn method_of(method: &hyper::Method) -> Method {
    match *method {
        hyper::Method::GET => Method::Get,
        hyper::Method::HEAD => Method::Head,
        hyper::Method::POST => Method::Post,
        hyper::Method::PUT => Method::Put,
        hyper::Method::DELETE => Method::Delete,
        _ => Method::Other,
    }
}

pub(super) fn whole(body: Bytes) -> ReplyBody {
    ReplyBody::Whole(Full::new(body))
}

/// A machine's response for the wire. A header that HTTP cannot carry is left out.
pub(super) fn reply(head: &Head, body: ReplyBody, is_cut: bool) -> hyper::Response<ReplyBody> {
    let mut out = hyper::Response::new(body);
    *out.status_mut() =
        StatusCode::from_u16(head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &head.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            out.headers_mut().append(name, value);
        }
    }
    if is_cut {
        out.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    dated(out)
}

/// With the time as it is now: hyper keeps the latest that it has ever seen, also after the clock was
/// set back.
fn dated(mut out: hyper::Response<ReplyBody>) -> hyper::Response<ReplyBody> {
    let now = SystemTime::now();
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).map_or(u64::MAX, |d| d.as_secs());
    // HTTP writes years of four digits.
    if since_epoch < YEAR_10000
        && let Ok(now) = HeaderValue::from_str(&httpdate::fmt_http_date(now))
    {
        out.headers_mut().insert(DATE, now);
    }
    out
}

/// When it begins, in seconds since 1970.
const YEAR_10000: u64 = 253_402_300_800;

/// For a client whose request arrived as the listener closed.
pub(super) fn unavailable() -> hyper::Response<ReplyBody> {
    let mut out = hyper::Response::new(whole(Bytes::new()));
    *out.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    out.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    dated(out)
}

/// For a request whose body comes in a coding that this server cannot read.
pub(super) fn coding_unknown() -> hyper::Response<ReplyBody> {
    let mut out = hyper::Response::new(whole(Bytes::new()));
    *out.status_mut() = StatusCode::NOT_IMPLEMENTED;
    out.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    dated(out)
}

/// The 101 for a WebSocket, or a refusal of a bad handshake. The stream's task learns which.
pub(super) fn switch_protocols(
    key: Result<String, IoError>,
    protocol: Option<&str>,
    switch: &Switch,
    switch_over: OnUpgrade,
) -> hyper::Response<ReplyBody> {
    let text = |text: &str| {
        HeaderValue::from_str(text).map_err(|error| failure(IoErrorKind::Protocol, error))
    };
    let accepted = key.and_then(|key| Ok((text(&key)?, protocol.map(text).transpose()?)));
    let mut out = hyper::Response::new(whole(Bytes::new()));
    match accepted {
        Ok((key, protocol)) => {
            *out.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = out.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_ACCEPT, key);
            if let Some(protocol) = protocol {
                headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
            }
            let _ = switch.try_send(Ok(switch_over));
        }
        Err(failure) => {
            *out.status_mut() = StatusCode::UPGRADE_REQUIRED;
            let headers = out.headers_mut();
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            let _ = switch.try_send(Err(failure));
        }
    }
    dated(out)
}
