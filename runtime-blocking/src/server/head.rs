//! Requests and answers as the wire has them.

use footbridge_core::contract::action::{Method, Response};
use footbridge_core::contract::event::{IoError, IoErrorKind};
use tungstenite::handshake::derive_accept_key;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Version, header};
use ureq_proto::BodyMode;
use ureq_proto::server::{RecvRequestResult, Reply};

use crate::failure::failure;
use crate::http;

/// The library's state of a body that is being read.
pub(super) type Reader = Reply<ureq_proto::server::state::RecvBody>;

/// A request's head.
pub(super) struct Head {
    pub(super) request: Request<()>,
    pub(super) body: Option<Unread>,
    /// Whether another request may follow on this connection.
    pub(super) may_continue: bool,
}

/// A body of which nothing has been asked for yet, or not all of it.
pub(super) struct Unread {
    pub(super) reader: Reader,
    /// If it is known.
    pub(super) length: Option<u64>,
    /// The client waits for leave to send it.
    pub(super) awaits_leave: bool,
}

impl Head {
    /// Reads a head; `None` if it is not complete, and a status for one that cannot be read. Takes off
    /// what it has read.
    pub(super) fn parse(bytes: &mut Vec<u8>) -> Result<Option<Self>, u16> {
        const BAD: u16 = 400;
        let mut reply = Reply::new().map_err(|_| BAD)?;
        // The body of a GET would else be taken for the next request.
        reply.force_recv_body();
        let (used, request) = reply.try_request(bytes).map_err(|_| BAD)?;
        let Some(request) = request else { return Ok(None) };
        bytes.drain(..used);
        let has_body = is_framed(&request)?;
        let received = if has_body { reply.proceed() } else { None };
        let body = match received {
            Some(RecvRequestResult::Send100(reply)) => {
                // Where it goes is this server's to say.
                let (_, reader) = reply.accept(&mut [0; 64]).map_err(|_| BAD)?;
                Some(Unread { awaits_leave: true, ..Unread::new(reader) })
            }
            Some(RecvRequestResult::RecvBody(reader)) => Some(Unread::new(reader)),
            Some(RecvRequestResult::ProvideResponse(_)) | None => None,
        };
        let is_modern = request.version() == Version::HTTP_11;
        let may_continue = is_modern && !has_word(request.headers(), header::CONNECTION, "close");
        Ok(Some(Self { request, body, may_continue }))
    }

    pub(super) fn method(&self) -> Method {
        match self.request.method().as_str() {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            _ => Method::Other,
        }
    }

    pub(super) fn target(&self) -> String {
        let target = self.request.uri().path_and_query();
        target.map_or("/", |target| target.as_str()).to_owned()
    }

    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let mut headers = http::headers(self.request.headers());
        if let Some(authority) = self.request.uri().authority() {
            // A target that names its host is right about it (RFC 9112, section 3.2.2).
            for (_, host) in headers.iter_mut().filter(|(name, _)| name == "host") {
                authority.as_str().clone_into(host);
            }
        }
        if self.request.version() != Version::HTTP_11 {
            // Such a client cannot switch protocols, whatever somebody on the way has passed on
            // (RFC 9110, section 7.8).
            headers.retain(|(name, _)| name != "upgrade");
        }
        headers
    }
}

impl Unread {
    fn new(reader: Reader) -> Self {
        let length = match reader.body_mode() {
            BodyMode::LengthDelimited(length) => Some(length),
            _ => None,
        };
        Self { reader, length, awaits_leave: false }
    }
}

/// Whether a body follows; a status for a head that could be read in more than one way, or names a
/// coding that this server does not know.
fn is_framed(request: &Request<()>) -> Result<bool, u16> {
    let headers = request.headers();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let has_length = headers.contains_key(header::CONTENT_LENGTH);
    match (codings.next(), codings.next()) {
        (None, _) => {
            let lengths = headers.get_all(header::CONTENT_LENGTH);
            let first = lengths.iter().next();
            if lengths.iter().all(|length| Some(length) == first) {
                Ok(has_length)
            } else {
                Err(400)
            }
        }
        (Some(coding), None) => {
            if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err(501);
            }
            let is_sure = !has_length && request.version() == Version::HTTP_11;
            if is_sure { Ok(true) } else { Err(400) }
        }
        _ => Err(400),
    }
}

fn has_word(headers: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(wanted))
}

/// An answer's head, and whether its body is sent. A header that HTTP cannot carry is left out, and so
/// is one that is this server's to set.
pub(super) fn answer(response: &Response, method: Method, may_continue: bool) -> (Vec<u8>, bool) {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut head = first_line(status);
    for (name, value) in &response.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) else { continue };
        let is_own =
            [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(&name);
        if !is_own {
            line(&mut head, name.as_str(), value.as_bytes());
        }
    }
    let has_body = !status.is_informational()
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if has_body {
        line(&mut head, "content-length", response.body.len().to_string().as_bytes());
    }
    if !may_continue {
        line(&mut head, "connection", b"close");
    }
    head.extend_from_slice(b"\r\n");
    (head, has_body && method != Method::Head)
}

/// A refusal of what is no request.
pub(super) fn refusal(status: u16) -> Vec<u8> {
    let response = Response { status, headers: Vec::new(), body: bytes::Bytes::new() };
    answer(&response, Method::Get, false).0
}

/// The 101 for a WebSocket.
pub(super) fn switch(key: &str, protocol: Option<&str>) -> Vec<u8> {
    let mut head = first_line(StatusCode::SWITCHING_PROTOCOLS);
    line(&mut head, "connection", b"Upgrade");
    line(&mut head, "upgrade", b"websocket");
    line(&mut head, "sec-websocket-accept", key.as_bytes());
    if let Some(protocol) = protocol {
        line(&mut head, "sec-websocket-protocol", protocol.as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// The refusal of a request that asks for no WebSocket.
pub(super) fn upgrade_required() -> Response {
    let headers = [("upgrade", "websocket"), ("sec-websocket-version", "13")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Response { status: 426, headers, body: bytes::Bytes::new() }
}

fn first_line(status: StatusCode) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or_default();
    format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes()
}

fn line(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}

/// Checks a client's request for a WebSocket: the accept key, or what is wrong.
pub(super) fn accept_key(request: &Request<()>) -> Result<String, IoError> {
    let bad = |why: &str| {
        Err(failure(IoErrorKind::Protocol, format_args!("not a WebSocket handshake: {why}")))
    };
    let headers = request.headers();
    let has = |name, wanted| has_word(headers, name, wanted);
    if request.method().as_str() != "GET" {
        return bad("the method is not GET");
    }
    if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "websocket") {
        return bad("no `connection: upgrade` with `upgrade: websocket`");
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return bad("not version 13");
    }
    match headers.get(header::SEC_WEBSOCKET_KEY) {
        Some(key) if key.len() == 24 => Ok(derive_accept_key(key.as_bytes())),
        _ => bad("no usable sec-websocket-key"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Head>, u16> {
        Head::parse(&mut text.as_bytes().to_vec())
    }

    #[test]
    fn a_body_is_where_its_head_says_and_what_could_be_read_in_two_ways_is_refused() {
        for (rest, length) in [
            ("", None),
            ("content-length: 3\r\n", Some(Some(3))),
            ("content-length: 3\r\ncontent-length: 3\r\n", Some(Some(3))),
            ("transfer-encoding: chunked\r\n", Some(None)),
        ] {
            for method in ["GET", "POST", "HEAD"] {
                let head = parse(&format!("{method} /a?b HTTP/1.1\r\nhost: x\r\n{rest}\r\n"));
                let head = head.expect("a request").expect("all of it");
                assert_eq!(head.body.as_ref().map(|body| body.length), length, "{method} {rest}");
                assert_eq!(head.target(), "/a?b");
            }
        }
        for rest in [
            "content-length: 3\r\ncontent-length: 4\r\n",
            "content-length: 3\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "content-length: x\r\n",
        ] {
            let head = parse(&format!("POST / HTTP/1.1\r\nhost: x\r\n{rest}\r\n"));
            assert_eq!(head.map(drop), Err(400), "{rest}");
        }
        let unknown = parse("POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n");
        assert_eq!(unknown.map(drop), Err(501));
        let old = parse("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!(old.map(drop), Err(400));
        assert!(parse("GET / HTTP/1.1\r\nhost").expect("so far").is_none());
    }
}
