//! The HTTP server: each request waits for an `Accept`, then for its response.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::Timer;
use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::limits::MAX_EXCHANGES;
use footbridge_core::contract::action::{Head, Method, Response};
use footbridge_core::contract::event::{Body, Event, IncomingRequest, IoError, IoErrorKind};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    CONNECTION, EXPECT, HeaderName, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, StatusCode};
use smol::Task;
use smol::lock::Semaphore;
use smol::net::{TcpListener, TcpStream};

use crate::failure::{about, failure};
use crate::handshake::{Switch, accept_key};
use crate::io::{Connection, HyperIo, HyperTimer, within};
use crate::shared::Shared;
use crate::stream::{ReplyBody, StreamBody};
use crate::{http, tls};

/// How long a client may take for the TLS handshake and to send the head of a request; also how
/// long a connection is kept open for the next one.
const HEAD_LIMIT: Duration = Duration::from_secs(15);
/// How long a client may take to send a body.
const BODY_LIMIT: Duration = Duration::from_secs(30);
/// How long the rest of an oversized body is drained, so that its sender sees the response.
const SCRAP_LIMIT: Duration = Duration::from_secs(5);
/// The largest request head, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// Pause after a failed accept, mostly for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener as the loop sees it. Once dropped, it accepts nothing more, and its connections end
/// after the reply in progress.
pub(crate) struct Listener {
    _task: Option<Task<()>>,
    tickets: Sender<AcceptSlot>,
    _stop: Sender<Infallible>,
}

/// Permission to pass one request to the machine.
pub(crate) struct AcceptSlot {
    pub(crate) op: OpId,
    pub(crate) max_body: usize,
    pub(crate) answered: Receiver<Answer>,
}

/// The machine's answer to a request.
pub(crate) enum Answer {
    Reply(Response),
    Stream(Head, StreamBody),
    Upgrade { protocol: Option<String>, switch: Switch },
}

impl Listener {
    pub(crate) fn admit(&self, ticket: AcceptSlot) {
        let _ = self.tickets.try_send(ticket);
    }
}

/// Shared by all connections of a listener.
struct ListenerShared {
    tickets: Sender<AcceptSlot>,
    queue: Receiver<AcceptSlot>,
    /// Closed when the listener is.
    stopped: Receiver<Infallible>,
    tls: Option<tls::Server>,
    shared: Rc<Shared>,
}

/// Opens a listener.
pub(crate) fn listen(
    op: OpId,
    address: String,
    tls: Option<tls::Server>,
    linger: Option<Sender<Infallible>>,
    shared: Rc<Shared>,
) -> Listener {
    let (tickets, queue) = async_channel::unbounded();
    let (stop, stopped) = async_channel::bounded(1);
    let spawner = shared.spawner.clone();
    let desk = Rc::new(ListenerShared { tickets: tickets.clone(), queue, stopped, tls, shared });
    let task = spawner.spawn(async move {
        let shared = &desk.shared;
        let bound = async {
            let listener = TcpListener::bind(address.as_str()).await?;
            let address = listener.local_addr()?.to_string();
            io::Result::Ok((listener, address))
        };
        match bound.await {
            Ok((listener, address)) => {
                shared.mailbox.tell(Event::Listening { op, address }).await;
                accept(&listener, &desk, linger.as_ref()).await;
            }
            Err(error) => shared.mailbox.failed(op, about(&address, &error)).await,
        }
    });
    Listener { _task: task, tickets, _stop: stop }
}

async fn accept(
    listener: &TcpListener,
    desk: &Rc<ListenerShared>,
    linger: Option<&Sender<Infallible>>,
) {
    let room = Arc::new(Semaphore::new(MAX_EXCHANGES));
    loop {
        let place = room.acquire_arc().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                // Send small messages at once; without this they are merely slower.
                let _ = stream.set_nodelay(true);
                let (desk, linger) = (Rc::clone(desk), linger.cloned());
                let spawner = desk.shared.spawner.clone();
                spawner.detach(async move {
                    serve(stream, &desk).await;
                    drop((place, linger));
                });
            }
            Err(_) => drop(Timer::after(ACCEPT_PAUSE).await),
        }
    }
}

/// One connection until its end. Errors are not reported: only its client cares, and it knows.
async fn serve(stream: TcpStream, desk: &Rc<ListenerShared>) {
    let connection = match &desk.tls {
        None => Connection::Plain(stream),
        Some(tls) => match within(HEAD_LIMIT, tls.accept(stream)).await {
            Some(Ok(connection)) => connection,
            Some(Err(_)) | None => return,
        },
    };
    let (cut, was_cut) = async_channel::bounded(1);
    let service = service_fn(|request| answer(request, Rc::clone(desk), cut.clone()));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(HyperTimer)
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(HyperIo(connection), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let was_cut = async {
        // Nothing is ever sent there.
        let _ = was_cut.recv().await;
    };
    let stopped = async {
        let _ = desk.stopped.recv().await;
        false
    };
    let mut was_cut = pin!(was_cut);
    let whole = async {
        smol::future::or(async { _ = connection.as_mut().await }, was_cut.as_mut()).await;
        true
    };
    if !smol::future::or(whole, stopped).await {
        connection.as_mut().graceful_shutdown();
        smol::future::or(async { _ = connection.await }, was_cut).await;
    }
}

/// One request with its slot. However the client leaves, the machine learns what it must: nothing
/// if it never saw the request, and that the client is gone if it did.
struct Exchange {
    ticket: Option<AcceptSlot>,
    is_asked: bool,
    desk: Rc<ListenerShared>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        if !self.is_asked {
            let _ = self.desk.tickets.try_send(ticket);
            return;
        }
        let (op, mailbox) = (ticket.op, self.desk.shared.mailbox.clone());
        self.desk.shared.spawner.detach(async move {
            mailbox.last(Event::Closed { op, code: None, failure: None }).await;
        });
    }
}

async fn answer(
    mut request: Request<Incoming>,
    desk: Rc<ListenerShared>,
    connection: Sender<()>,
) -> io::Result<hyper::Response<ReplyBody>> {
    let switch_over = hyper::upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    let Some(ticket) = admitted(&desk).await else { return Ok(unavailable()) };
    let (op, answered) = (ticket.op, ticket.answered.clone());
    let (max_body, is_tls) = (ticket.max_body, desk.tls.is_some());
    let mut exchange = Exchange { ticket: Some(ticket), is_asked: false, desk: Rc::clone(&desk) };

    let body = read(body, max_body, head.headers.contains_key(EXPECT), &desk).await?;
    let is_cut = body == Body::TooLarge;
    let asked = IncomingRequest {
        method: method_of(&head.method),
        target: head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        headers: http::headers_of(&head.headers),
        body,
        is_tls,
    };
    desk.shared.mailbox.tell(Event::Requested { op, request: asked }).await;
    exchange.is_asked = true;
    let answer = answered.recv().await;
    exchange.ticket = None;
    match answer {
        Ok(Answer::Reply(Response { status, headers, body })) => {
            Ok(reply(&Head { status, headers }, whole(body), is_cut))
        }
        Ok(Answer::Stream(reply_head, body)) => {
            let has_body =
                head.method != hyper::Method::HEAD && !matches!(reply_head.status, 204 | 304);
            let body = if has_body {
                body.attach(connection);
                ReplyBody::Stream(body)
            } else {
                body.discard();
                whole(Bytes::new())
            };
            Ok(reply(&reply_head, body, is_cut))
        }
        Ok(Answer::Upgrade { protocol, switch }) => {
            let key = accept_key(&head.method, &head.headers);
            Ok(switch_protocols(key, protocol.as_deref(), &switch, switch_over))
        }
        Err(_) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "abandoned by the machine")),
    }
}

/// Waits for a slot whose operation is still open; `None` once the listener is closed.
async fn admitted(desk: &ListenerShared) -> Option<AcceptSlot> {
    let stopped = async {
        let _ = desk.stopped.recv().await;
        None
    };
    let next = async {
        loop {
            match desk.queue.recv().await {
                Ok(ticket) if ticket.answered.is_closed() => {}
                other => break other.ok(),
            }
        }
    };
    smol::future::or(stopped, next).await
}

/// Reads a body; an oversized one is drained while the response is sent.
async fn read(
    mut body: Incoming,
    limit: usize,
    waits: bool,
    desk: &ListenerShared,
) -> io::Result<Body> {
    if body.size_hint().lower() <= limit as u64 {
        match within(BODY_LIMIT, Limited::new(&mut body, limit).collect()).await {
            Some(Ok(whole)) => return Ok(Body::Whole(whole.to_bytes())),
            Some(Err(error)) if error.is::<LengthLimitError>() => {}
            Some(Err(error)) => return Err(io::Error::other(error)),
            None => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
    // A client that waits for permission to send (`expect: 100-continue`) sends nothing to drain.
    if !waits {
        desk.shared.spawner.detach(async move {
            let rest = async { while let Some(Ok(_)) = body.frame().await {} };
            within(SCRAP_LIMIT, rest).await;
        });
    }
    Ok(Body::TooLarge)
}

fn method_of(method: &hyper::Method) -> Method {
    match *method {
        hyper::Method::GET => Method::Get,
        hyper::Method::HEAD => Method::Head,
        hyper::Method::POST => Method::Post,
        hyper::Method::PUT => Method::Put,
        hyper::Method::DELETE => Method::Delete,
        _ => Method::Other,
    }
}

fn whole(body: Bytes) -> ReplyBody {
    ReplyBody::Whole(Full::new(body))
}

/// A machine's response for the wire. A header that HTTP cannot carry is left out.
fn reply(head: &Head, body: ReplyBody, is_cut: bool) -> hyper::Response<ReplyBody> {
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
    out
}

/// For a client whose request arrived as the listener closed.
fn unavailable() -> hyper::Response<ReplyBody> {
    let mut out = hyper::Response::new(whole(Bytes::new()));
    *out.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    out.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    out
}

/// The 101 for a WebSocket, or a refusal of a bad handshake. The stream's task learns which.
fn switch_protocols(
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
    out
}
