//! WebSockets of clients and servers, after the handshake: one conversation.
//!
//! Reading and writing are two futures of one task: neither waits for the other.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::ready;
use std::time::Duration;

use async_channel::Receiver;
use async_io::Timer;
use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use async_tungstenite::tungstenite::{Error as WsError, Message as Frame};
use footbridge_core::base::id::OpId;
use footbridge_core::base::text::Text;
use footbridge_core::contract::action::Message;
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};
use futures_util::{Sink, Stream};
use hyper::upgrade::{OnUpgrade, Upgraded};

use crate::failure::{about, failure};
use crate::handshake::{self, HandshakeError, Target};
use crate::io::{Connection, HyperIo, within};
use crate::mailbox::Gate;
use crate::shared::Shared;

/// Maximum size of one read, and of what is gathered for one write.
const BUFFER_BYTES: usize = 8 << 10;
/// Messages are combined up to about this much before they are flushed.
const BATCH_BYTES: usize = 64 << 10;
/// How long pending messages may take to be sent once a close was requested.
const FLUSH_LIMIT: Duration = Duration::from_secs(30);
/// How long the peer may take to answer a close.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// One thing to send on a stream.
pub(crate) enum Outgoing {
    Message(Message),
    Close(u16),
}

/// A client's stream, from handshake to end.
pub(crate) async fn open(
    op: OpId,
    target: Target,
    outgoing: Receiver<Outgoing>,
    gate: Rc<Gate>,
    shared: Rc<Shared>,
) {
    // Boxed, so its memory is freed once the conversation begins.
    match Box::pin(handshake::open(&target, &shared)).await {
        Ok(upgraded) => {
            converse(op, upgraded, Role::Client, target.max_message, outgoing, gate, shared).await;
        }
        Err(HandshakeError::Refused(response)) => {
            shared.mailbox.last(Event::Refused { op, response }).await;
        }
        Err(HandshakeError::Failed(failure)) => shared.mailbox.failed(op, failure).await,
    }
}

/// A server's stream, from the client's request to the end.
pub(crate) async fn adopt(
    op: OpId,
    switched: Receiver<Result<OnUpgrade, IoError>>,
    max_message: usize,
    outgoing: Receiver<Outgoing>,
    gate: Rc<Gate>,
    shared: Rc<Shared>,
) {
    let gone = |why: &str| failure(IoErrorKind::Disconnected, format_args!("the client: {why}"));
    let upgraded = match switched.recv().await {
        Ok(Ok(switch)) => switch.await.map_err(|error| gone(&error.to_string())),
        Ok(Err(failure)) => Err(failure),
        Err(_) => Err(gone("it left before the response")),
    };
    match upgraded {
        Ok(upgraded) => {
            converse(op, upgraded, Role::Server, max_message, outgoing, gate, shared).await;
        }
        Err(failure) => shared.mailbox.failed(op, failure).await,
    }
}

type Socket = WebSocketStream<Connection>;

/// How a conversation ended.
struct End {
    code: Option<u16>,
    failure: Option<IoError>,
    /// The close code for what the peer did wrong.
    farewell: Option<CloseCode>,
}

impl End {
    const fn orderly(code: Option<u16>) -> Self {
        Self { code, failure: None, farewell: None }
    }

    fn broken(error: &WsError) -> Self {
        let (kind, farewell) = match error {
            WsError::Capacity(CapacityError::MessageTooLong { .. }) => {
                (IoErrorKind::TooLarge, Some(CloseCode::Size))
            }
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                (IoErrorKind::Disconnected, None)
            }
            WsError::Utf8(_) => (IoErrorKind::Protocol, Some(CloseCode::Invalid)),
            WsError::Protocol(_) | WsError::Capacity(_) => {
                (IoErrorKind::Protocol, Some(CloseCode::Protocol))
            }
            WsError::Io(error) => {
                let failure = Some(about("the WebSocket", error));
                return Self { code: None, failure, farewell: None };
            }
            _ => (IoErrorKind::Other, None),
        };
        let failure = Some(failure(kind, format_args!("the WebSocket: {error}")));
        Self { code: None, failure, farewell }
    }
}

async fn converse(
    op: OpId,
    upgraded: Upgraded,
    role: Role,
    max_message: usize,
    outgoing: Receiver<Outgoing>,
    gate: Rc<Gate>,
    shared: Rc<Shared>,
) {
    let Ok(parts) = upgraded.downcast::<HyperIo>() else {
        let what = failure(IoErrorKind::Other, "the connection cannot become a WebSocket");
        return shared.mailbox.failed(op, what).await;
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message));
    let early = parts.read_buf.to_vec();
    let socket = WebSocketStream::from_partially_read(parts.io.0, early, role, Some(config)).await;
    shared.mailbox.tell(Event::Opened { op }).await;

    let conversation = Conversation { op, socket: RefCell::new(socket), gate, shared };
    let reading = conversation.read();
    let writing = conversation.write(&outgoing);
    let end = smol::future::or(reading, smol::future::or(writing, conversation.limit())).await;
    let Conversation { socket, shared, .. } = conversation;
    if let Some(code) = end.farewell {
        within(CLOSE_LIMIT, part(socket.into_inner(), code)).await;
    }
    shared.mailbox.last(Event::Closed { op, code: end.code, failure: end.failure }).await;
}

/// Tells the peer why, and lets it read that before the connection is gone.
async fn part(mut socket: Socket, code: CloseCode) {
    let frame = CloseFrame { code, reason: "".into() };
    if socket.send(Frame::Close(Some(frame))).await.is_ok() {
        socket.into_inner().linger(CLOSE_LIMIT).await;
    }
}

struct Conversation {
    op: OpId,
    socket: RefCell<Socket>,
    gate: Rc<Gate>,
    shared: Rc<Shared>,
}

impl Conversation {
    /// Passes on incoming messages until the end.
    async fn read(&self) -> End {
        let op = self.op;
        loop {
            let next = poll_fn(|cx| {
                ready!(self.gate.poll_open(cx));
                Pin::new(&mut *self.socket.borrow_mut()).poll_next(cx)
            });
            let message = match next.await {
                Some(Ok(Frame::Text(text))) => match Text::from_utf8(text.into()) {
                    Ok(text) => Message::Text(text),
                    Err(bytes) => Message::Binary(bytes),
                },
                Some(Ok(Frame::Binary(bytes))) => Message::Binary(bytes),
                Some(Ok(Frame::Close(frame))) => {
                    within(CLOSE_LIMIT, self.drain()).await;
                    return End::orderly(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(Frame::Ping(_))) => {
                    // The library has queued the answer. A peer that reads none is not read either,
                    // or answers would pile up here. If this fails, the next read says why.
                    let _ = self.flush().await;
                    continue;
                }
                Some(Ok(_)) => continue,
                Some(Err(error)) => return End::broken(&error),
                None => return End::orderly(None),
            };
            self.shared.mailbox.tell(Event::Received { op, message }).await;
        }
    }

    /// After a close frame: the library answers it and says when the connection may be dropped.
    /// If it were dropped earlier, the peer would see a reset.
    async fn drain(&self) {
        let next = || poll_fn(|cx| Pin::new(&mut *self.socket.borrow_mut()).poll_next(cx));
        while let Some(Ok(_)) = next().await {}
    }

    /// Sends what was requested, until a close.
    async fn write(&self, outgoing: &Receiver<Outgoing>) -> End {
        let op = self.op;
        while let Ok(first) = outgoing.recv().await {
            let (mut next, mut close) = (Some(first), None);
            let (mut messages, mut bytes) = (0, 0);
            while let Some(item) = next.take() {
                match item {
                    Outgoing::Message(message) => {
                        bytes += message.len();
                        messages += 1;
                        if let Err(error) = self.put(frame_of(message)).await {
                            return lost(&error).await;
                        }
                        if bytes < BATCH_BYTES {
                            next = outgoing.try_recv().ok();
                        }
                    }
                    Outgoing::Close(code) => close = Some(code),
                }
            }
            if messages > 0 {
                if let Err(error) = self.flush().await {
                    return lost(&error).await;
                }
                self.shared.mailbox.tell(Event::Sent { op, messages }).await;
            }
            if let Some(code) = close {
                return self.close(code).await;
            }
        }
        pending().await
    }

    /// Closes, and gives the peer time to answer.
    async fn close(&self, code: u16) -> End {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        let closed = async {
            self.put(Frame::Close(Some(frame))).await?;
            self.flush().await
        };
        if let Err(error) = closed.await {
            return lost(&error).await;
        }
        Timer::after(CLOSE_LIMIT).await;
        unanswered()
    }

    /// The longest that a close may take in total.
    async fn limit(&self) -> End {
        poll_fn(|cx| self.gate.poll_closing(cx)).await;
        Timer::after(FLUSH_LIMIT).await;
        unanswered()
    }

    async fn put(&self, frame: Frame) -> Result<(), WsError> {
        poll_fn(|cx| Pin::new(&mut *self.socket.borrow_mut()).poll_ready(cx)).await?;
        Pin::new(&mut *self.socket.borrow_mut()).start_send(frame)
    }

    async fn flush(&self) -> Result<(), WsError> {
        poll_fn(|cx| Sink::poll_flush(Pin::new(&mut *self.socket.borrow_mut()), cx)).await
    }
}

fn unanswered() -> End {
    let failure = failure(IoErrorKind::TimedOut, "the WebSocket: the close was not answered");
    End { code: None, failure: Some(failure), farewell: None }
}

/// Writing has failed. The peer's last words may still be readable and say more; only if they
/// cannot be read in time is this the end.
async fn lost(error: &WsError) -> End {
    match error {
        WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Protocol(ProtocolError::SendAfterClosing) => pending().await,
        error => {
            Timer::after(CLOSE_LIMIT).await;
            End::broken(error)
        }
    }
}

fn frame_of(message: Message) -> Frame {
    match message {
        Message::Binary(bytes) => Frame::Binary(bytes),
        Message::Text(text) => match text.into_bytes().try_into() {
            Ok(text) => Frame::Text(text),
            Err(_) => Frame::Text("".into()),
        },
    }
}
