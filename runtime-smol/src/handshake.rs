//! The WebSocket handshake: a client's request, and what a server checks in it.

use std::future::pending;
use std::time::Duration;

use async_channel::Sender;
use async_tungstenite::tungstenite::handshake::client::generate_key;
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use bytes::Bytes;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::{Reach, Response};
use footbridge_core::contract::event::{IoError, IoErrorKind};
use http_body_util::{BodyExt, Empty};
use hyper::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{StatusCode, body::Incoming};

use crate::connect::Origin;
use crate::failure::{about_http, failure};
use crate::http;
use crate::io::{HyperIo, within};
use crate::shared::Shared;

/// How much of a refusal's body is kept.
const MAX_REFUSAL_BYTES: usize = 64 << 10;

/// Where a client's WebSocket connects to; see
/// [`footbridge_core::contract::action::Target::WebSocket`].
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, Secret)>,
    pub(crate) protocol: Option<&'static str>,
    pub(crate) timeout: Duration,
    pub(crate) max_message: usize,
}

/// What a server's task sends when it accepts a WebSocket.
pub(crate) type Switch = Sender<Result<OnUpgrade, IoError>>;

/// A failed handshake.
pub(crate) enum HandshakeError {
    Refused(Response),
    Failed(IoError),
}

impl From<IoError> for HandshakeError {
    fn from(failure: IoError) -> Self {
        Self::Failed(failure)
    }
}

/// Asks a server for a WebSocket, within the time limit.
pub(crate) async fn open(target: &Target, shared: &Shared) -> Result<Upgraded, HandshakeError> {
    let answer = within(target.timeout, ask(target, shared)).await;
    answer.unwrap_or_else(|| {
        let detail = format!("no WebSocket within {:?}", target.timeout);
        Err(failure(IoErrorKind::TimedOut, detail).into())
    })
}

async fn ask(target: &Target, shared: &Shared) -> Result<Upgraded, HandshakeError> {
    let url = http::parse(&target.url)?;
    if !matches!(url.scheme_str(), Some("ws" | "wss")) {
        let detail = "a WebSocket URL must begin with ws: or wss:";
        return Err(failure(IoErrorKind::Protocol, detail).into());
    }
    let origin = Origin::of(&url, Reach::Anywhere)?;
    let key = generate_key();
    let mut request = hyper::Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = http::path_of(&url);
    let headers = request.headers_mut();
    http::fill(headers, &origin, &target.headers)?;
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let text = |text: &str| {
        HeaderValue::from_str(text).map_err(|error| failure(IoErrorKind::Protocol, error))
    };
    headers.insert(SEC_WEBSOCKET_KEY, text(&key)?);
    if let Some(protocol) = target.protocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, text(protocol)?);
    }

    let connection = HyperIo(shared.client.dialer.dial(&origin).await?);
    let started = hyper::client::conn::http1::handshake(connection).await;
    let (mut sender, connection) = started.map_err(|error| about_http(&origin, &error))?;
    let connection = async {
        // The request, and whoever waits for the upgrade, will see its error.
        let _ = connection.with_upgrades().await;
        pending().await
    };
    let exchange = async {
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| about_http(&origin, &error))?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(HandshakeError::Refused(refusal(answer).await));
        }
        let accepted = answer.headers().get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
            let detail = format!("{origin}: its 101 does not accept this WebSocket");
            return Err(failure(IoErrorKind::Protocol, detail).into());
        }
        let selected = answer.headers().get(SEC_WEBSOCKET_PROTOCOL).map(HeaderValue::as_bytes);
        if selected != target.protocol.map(str::as_bytes) {
            let headers = http::headers_of(answer.headers());
            return Err(HandshakeError::Refused(Response {
                status: 101,
                headers,
                body: Bytes::new(),
            }));
        }
        let upgraded = hyper::upgrade::on(answer).await;
        Ok(upgraded.map_err(|error| about_http(&origin, &error))?)
    };
    smol::future::or(exchange, connection).await
}

/// An ordinary response to a handshake, with the beginning of its body.
async fn refusal(answer: hyper::Response<Incoming>) -> Response {
    let status = answer.status().as_u16();
    let headers = http::headers_of(answer.headers());
    let (mut kept, mut body) = (Vec::new(), answer.into_body());
    // A truncated response still counts: its status decides.
    while let Some(Ok(frame)) = body.frame().await {
        let data = frame.into_data().unwrap_or_default();
        let room = MAX_REFUSAL_BYTES - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if kept.len() == MAX_REFUSAL_BYTES {
            break;
        }
    }
    Response { status, headers, body: Bytes::from(kept) }
}

/// Checks a client's request for a WebSocket: the accept key, or what is wrong.
pub(crate) fn accept_key(method: &hyper::Method, headers: &HeaderMap) -> Result<String, IoError> {
    let bad = |why: &str| {
        Err(failure(IoErrorKind::Protocol, format_args!("not a WebSocket handshake: {why}")))
    };
    let has = |name, wanted: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    if method != hyper::Method::GET {
        return bad("the method is not GET");
    }
    if !has(CONNECTION, "upgrade") || !has(UPGRADE, "websocket") {
        return bad("no `connection: upgrade` with `upgrade: websocket`");
    }
    if !has(SEC_WEBSOCKET_VERSION, "13") {
        return bad("not version 13");
    }
    match headers.get(SEC_WEBSOCKET_KEY) {
        Some(key) if key.len() == 24 => Ok(derive_accept_key(key.as_bytes())),
        _ => bad("no usable sec-websocket-key"),
    }
}
