//! One request: its head goes to the machine, which then asks for its body, or answers.

use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_channel::Sender;
use async_io::Timer;
use bytes::{Bytes, BytesMut};
use footbridge_core::contract::action::{Head, Response};
use footbridge_core::contract::clients::Pace;
use footbridge_core::contract::event::{Body, Event, IncomingRequest};
use hyper::body::{Body as _, Incoming};
use hyper::header::{EXPECT, HeaderMap, TRANSFER_ENCODING};
use hyper::{Request, Version};
use smol::future::or;

use super::clients::Client;
use super::reply::{coding_unknown, method_of, reply, switch_protocols, unavailable, whole};
use super::slot::{AcceptSlot, Answer, ListenerShared};
use crate::handshake::accept_key;
use crate::http;
use crate::io::within;
use crate::stream::ReplyBody;

/// How long the rest of a body that is not wanted is drained, so that its sender sees the response.
const SCRAP_LIMIT: Duration = Duration::from_secs(2);
/// How much of it.
const MAX_SCRAP_BYTES: usize = 16 << 20;
/// What is set aside for a body before any of it has come.
const MAX_FIRST_BYTES: usize = 64 << 10;

/// One request with its slot. However the client leaves, the machine learns what it must: nothing
/// if it never saw the request, and that the client is gone if it did.
struct Exchange {
    slot: Option<AcceptSlot>,
    is_asked: bool,
    common: Rc<ListenerShared>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        if !self.is_asked {
            let _ = self.common.slots.try_send(slot);
            return;
        }
        let (op, mailbox) = (slot.op, self.common.shared.mailbox.clone());
        self.common.shared.spawner.detach(async move {
            mailbox.last(Event::Closed { op, code: None, failure: None }).await;
        });
    }
}

pub(super) async fn answer(
    mut request: Request<Incoming>,
    common: Rc<ListenerShared>,
    client: Client,
    connection: Sender<()>,
) -> io::Result<hyper::Response<ReplyBody>> {
    client.turn().await;
    if !is_coding_known(request.headers()) {
        return Ok(coding_unknown());
    }
    let switch_over = hyper::upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    let Some(slot) = admitted(&common).await else { return Ok(unavailable()) };
    let mut headers = http::headers_of(&head.headers);
    if let Some(authority) = head.uri.authority() {
        // A target that names its host is right about it (RFC 9112, section 3.2.2).
        for (_, host) in headers.iter_mut().filter(|(name, _)| name == "host") {
            authority.as_str().clone_into(host);
        }
    }
    if head.version < Version::HTTP_11 {
        // Such a client cannot switch protocols, whatever somebody on the way has passed on
        // (RFC 9110, section 7.8).
        headers.retain(|(name, _)| name != "upgrade");
    }
    let (op, answered, is_tls) = (slot.op, slot.answered.clone(), common.tls.is_some());
    let mut exchange = Exchange { slot: Some(slot), is_asked: false, common: Rc::clone(&common) };
    let mut unread = (!body.is_end_stream()).then_some(body);
    let asked = IncomingRequest {
        method: method_of(&head.method),
        target: head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        headers,
        body: match &unread {
            Some(body) => Body::Unread { length: body.size_hint().exact() },
            None => Body::Whole(Bytes::new()),
        },
        is_tls,
        peer: client.address,
    };
    let mailbox = &common.shared.mailbox;
    mailbox.tell(Event::Requested { op, request: asked }).await;
    exchange.is_asked = true;
    let mut early = None;
    let answer = loop {
        let answer = match early.take() {
            Some(answer) => answer,
            None => answered.recv().await,
        };
        match answer {
            Ok(Answer::Vouch(standing)) => client.vouch(standing),
            Ok(Answer::ReadBody { max_body, pace }) => {
                let reading = async { Ok(read(&mut unread, max_body, pace).await) };
                // It may be answered before its body is there.
                match or(reading, async { Err(answered.recv().await) }).await {
                    Ok(body) => mailbox.tell(Event::BodyRead { op, body: body? }).await,
                    Err(answer) => early = Some(answer),
                }
            }
            other => break other,
        }
    };
    exchange.slot = None;
    let is_cut = unread.is_some();
    if let Some(body) = unread
        && !head.headers.contains_key(EXPECT)
    {
        // A client that waits for permission to send sends nothing to drain.
        drain(body, &common);
    }
    match answer {
        Ok(Answer::Reply(Response { status, headers, body })) => {
            let head = Head { status, headers };
            Ok(reply(&head, whole(body), is_cut))
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
        Ok(Answer::Vouch(_) | Answer::ReadBody { .. }) | Err(_) => {
            Err(io::Error::new(io::ErrorKind::ConnectionAborted, "abandoned by the machine"))
        }
    }
}

/// Waits for a slot whose operation is still open; `None` once the listener is closed.
async fn admitted(common: &ListenerShared) -> Option<AcceptSlot> {
    let stopped = async {
        common.stopped().await;
        None
    };
    let next = async {
        loop {
            match common.queue.recv().await {
                Ok(slot) if slot.answered.is_closed() => {}
                other => break other.ok(),
            }
        }
    };
    or(stopped, next).await
}

/// Reads a body, unless it is too large, or comes too slowly. What is left of it stays unread.
async fn read(unread: &mut Option<Incoming>, limit: usize, pace: Pace) -> io::Result<Body> {
    let Some(body) = unread else { return Ok(Body::Whole(Bytes::new())) };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Ok(Body::TooLarge);
    }
    let (began, mut bytes) =
        (Instant::now(), BytesMut::with_capacity(announced.min(MAX_FIRST_BYTES)));
    let mut timer = pin!(Timer::never());
    loop {
        timer.set_after((pace.grace + pace.time_for(bytes.len())).saturating_sub(began.elapsed()));
        let next = std::future::poll_fn(|cx| {
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                return Poll::Ready(Ok(frame));
            }
            timer.as_mut().poll(cx).map(|_| Err(io::ErrorKind::TimedOut))
        });
        match next.await? {
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                if bytes.len() + data.len() > limit {
                    return Ok(Body::TooLarge);
                }
                bytes.extend_from_slice(&data);
            }
            Some(Err(error)) if is_malformed(&error) => return Ok(Body::Malformed),
            Some(Err(error)) => return Err(io::Error::other(error)),
            None => break,
        }
    }
    *unread = None;
    Ok(Body::Whole(bytes.freeze()))
}

/// Whether it is what the client has sent that ended its body, rather than that nothing more comes.
fn is_malformed(error: &hyper::Error) -> bool {
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| {
        matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
    })
}

/// Whether a body comes as this server can read it: hyper looks at no coding but the last.
fn is_coding_known(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
}

fn drain(mut body: Incoming, common: &Rc<ListenerShared>) {
    let common = Rc::clone(common);
    let spawner = common.shared.spawner.clone();
    spawner.detach(async move {
        let mut bytes = 0;
        let rest = async {
            while let Some(Ok(frame)) = http_body_util::BodyExt::frame(&mut body).await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if bytes > MAX_SCRAP_BYTES {
                    break;
                }
            }
        };
        or(common.stopped(), async { _ = within(SCRAP_LIMIT, rest).await }).await;
    });
}
