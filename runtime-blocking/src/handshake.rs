//! From a URL to an open WebSocket: the connection, TLS, and the upgrade.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::Instant;

use bytes::Bytes;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::Response;
use footbridge_core::contract::event::{IoError, IoErrorKind};
use footbridge_core::engine::proxies::unreachable;
use rustix::event::PollFlags;
use tungstenite::client::IntoClientRequest;
use tungstenite::error::{ProtocolError, SubProtocolError};
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::client::{ClientHandshake, Request};
use tungstenite::http::{HeaderValue, Uri};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, WebSocket};

use crate::failure::{failure, io_failure};
use crate::http::{Way, headers};
use crate::inbox::Inbox;
use crate::net;
use crate::tls::TlsStream;
use crate::transport;

/// Bytes kept of the body of a response that is not an upgrade.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// Initial size of a socket's buffers, which grow as needed.
const BUFFER_BYTES: usize = 4 << 10;

/// What [`Target::WebSocket`](footbridge_core::contract::action::Target::WebSocket) says.
pub(crate) struct Offer {
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, Secret)>,
    pub(crate) protocol: Option<&'static str>,
    pub(crate) max_message: usize,
    /// When the handshake has taken too long.
    pub(crate) deadline: Instant,
}

/// What a WebSocket runs on: it does not block.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(TlsStream),
}

impl Stream {
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.socket(),
        }
    }

    /// Whether TLS has bytes of its own to send.
    pub(crate) fn wants_write(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.wants_write(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buf),
            Self::Tls(tls) => tls.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(buf),
            Self::Tls(tls) => tls.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// The stream as the library holds it, so that it outlives a failed handshake.
pub(crate) struct Lent<'a>(&'a RefCell<Stream>);

impl<'a> Lent<'a> {
    pub(crate) const fn new(stream: &'a RefCell<Stream>) -> Self {
        Self(stream)
    }
}

impl Read for Lent<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buf)
    }
}

impl Write for Lent<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

/// The outcome of a handshake.
pub(crate) enum Shaken<'a> {
    Open(Box<WebSocket<Lent<'a>>>),
    Refused(Response),
    Cancelled,
}

/// Connects to the offer's host. `None` after a cancel.
pub(crate) fn connect<T>(
    offer: &Offer,
    inbox: &Inbox<T>,
    way: &Way,
) -> Result<Option<Stream>, IoError> {
    let wrong = |detail: &str| failure(IoErrorKind::Protocol, detail);
    let uri: Uri = offer.url.parse().map_err(|_| wrong("the WebSocket URL is invalid"))?;
    let host = uri.host().ok_or_else(|| wrong("the WebSocket URL has no host"))?;
    let is_tls = match uri.scheme_str() {
        Some("ws") => false,
        Some("wss") => true,
        _ => return Err(wrong("a WebSocket URL must begin with ws: or wss:")),
    };
    let proxy = transport::proxy_of(&way.proxies, &uri)?;
    let (name, port) = match proxy {
        Some(proxy) => (proxy.host.as_str(), proxy.port),
        None => transport::place(&uri),
    };
    let (deadline, inbox) = (offer.deadline, Some(inbox));
    let left = deadline.saturating_duration_since(Instant::now());
    let failed = |error| unreachable(proxy, error);
    let addresses = net::resolve(name, port, Some(left)).map_err(failed)?;
    let mut socket = net::connect_to(&addresses, deadline, inbox).map_err(failed)?;
    if let (Some(connected), Some(proxy)) = (socket.take_if(|_| proxy.is_some()), proxy) {
        socket = net::tunnel(connected, proxy, &transport::target(&uri), deadline, inbox)?;
    }
    let Some(socket) = socket else { return Ok(None) };
    Ok(Some(if is_tls { Stream::Tls(way.tls.wrap(host, socket)?) } else { Stream::Plain(socket) }))
}

/// Asks the peer for a WebSocket.
pub(crate) fn shake<'a, T>(
    offer: Offer,
    stream: &'a RefCell<Stream>,
    inbox: &Inbox<T>,
) -> Result<Shaken<'a>, IoError> {
    let deadline = offer.deadline;
    let url = offer.url.clone();
    let config = config(offer.max_message);
    let started = ClientHandshake::start(Lent(stream), request(offer)?, Some(config));
    let mut handshake = started.map_err(|error| of_handshake(&url, &error))?;
    loop {
        handshake = match handshake.handshake() {
            Ok((socket, _)) => return Ok(Shaken::Open(Box::new(socket))),
            Err(HandshakeError::Interrupted(handshake)) => handshake,
            Err(HandshakeError::Failure(error)) => {
                return refused(&url, error, stream, inbox, deadline);
            }
        };
        match wait(stream, inbox, deadline) {
            Waited::Ready => {}
            Waited::Cancelled => return Ok(Shaken::Cancelled),
            Waited::TimedOut => {
                let detail = format!("{url}: no response to the WebSocket handshake");
                return Err(failure(IoErrorKind::TimedOut, detail));
            }
        }
    }
}

/// How a WebSocket behaves, on either side.
pub(crate) fn config(max_message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
}

fn request(offer: Offer) -> Result<Request, IoError> {
    let mut request =
        offer.url.as_str().into_client_request().map_err(|e| of_handshake(&offer.url, &e))?;
    let protocol = offer.protocol.map(|name| ("sec-websocket-protocol", Secret::from(name)));
    for (name, value) in offer.headers.into_iter().chain(protocol) {
        let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| {
            failure(IoErrorKind::Other, format_args!("the header {name} cannot be sent"))
        })?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

enum Waited {
    Ready,
    Cancelled,
    TimedOut,
}

/// Waits until the handshake can continue.
fn wait<T>(stream: &RefCell<Stream>, inbox: &Inbox<T>, deadline: Instant) -> Waited {
    let stream = stream.borrow();
    let mut flags = PollFlags::IN;
    flags.set(PollFlags::OUT, stream.wants_write());
    if inbox.is_cancelled() {
        return Waited::Cancelled;
    }
    // An error here will show again at the next read.
    let _ = inbox.wait([Some((stream.socket().as_fd(), flags))], Some(deadline));
    match (inbox.is_cancelled(), Instant::now() >= deadline) {
        (true, _) => Waited::Cancelled,
        (false, true) => Waited::TimedOut,
        (false, false) => Waited::Ready,
    }
}

/// A response that is not an upgrade, or the failure behind it.
fn refused<'a, T>(
    url: &str,
    error: Error,
    stream: &RefCell<Stream>,
    inbox: &Inbox<T>,
    deadline: Instant,
) -> Result<Shaken<'a>, IoError> {
    match error {
        Error::Http(answer) => {
            let (parts, body) = answer.into_parts();
            let headers = headers(&parts.headers);
            let mut response =
                Response { status: parts.status.as_u16(), headers, body: Bytes::new() };
            response.body = body_of(&response, body.unwrap_or_default(), stream, inbox, deadline);
            Ok(Shaken::Refused(response))
        }
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(
            SubProtocolError::NoSubProtocol | SubProtocolError::InvalidSubProtocol,
        )) => {
            let response = Response { status: 101, headers: Vec::new(), body: Bytes::new() };
            Ok(Shaken::Refused(response))
        }
        error => Err(of_handshake(url, &error)),
    }
}

/// The body of a refusal, whose beginning the library has read: as much as arrives in time. A
/// chunked one is skipped; refusals are sent in one piece.
fn body_of<T>(
    response: &Response,
    mut body: Vec<u8>,
    stream: &RefCell<Stream>,
    inbox: &Inbox<T>,
    deadline: Instant,
) -> Bytes {
    if response.header("transfer-encoding").is_some() {
        return Bytes::new();
    }
    let length = response.header("content-length").and_then(|length| length.parse().ok());
    let limit = length.unwrap_or(MAX_REFUSAL_BYTES).min(MAX_REFUSAL_BYTES);
    let mut scratch = [0; 4096];
    while body.len() < limit {
        // Bound first: the borrow must not extend into the wait.
        let read = stream.borrow_mut().read(&mut scratch);
        match read {
            Ok(0) => break,
            Ok(n) => body.extend_from_slice(&scratch[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if !matches!(wait(stream, inbox, deadline), Waited::Ready) {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    body.truncate(limit);
    Bytes::from(body)
}

fn of_handshake(url: &str, error: &Error) -> IoError {
    match error {
        Error::Io(error) => io_failure(url, error),
        Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            let detail = format!("{url}: the connection ended before the response");
            failure(IoErrorKind::Disconnected, detail)
        }
        Error::Url(_) | Error::HttpFormat(_) => {
            failure(IoErrorKind::Other, format_args!("{url}: {error}"))
        }
        _ => failure(IoErrorKind::Protocol, format_args!("{url}: {error}")),
    }
}
