//! WebSockets: a case's server, and what the case sends and receives.

use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::contract::action::{Action, Message, Target};
use footbridge_core::contract::event::{Event, IoErrorKind};
use tungstenite::{Message as Frame, WebSocket};

use super::Driven;

/// A listening server, and its URL.
pub(crate) fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/v2/session_ingress/ws/s", listener.local_addr().expect("bound"));
    (listener, url)
}

/// Runs a server for one client.
pub(crate) fn serve<T: Send + 'static>(
    listener: TcpListener,
    server: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> Receiver<T> {
    let (tell, told) = channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        // A script that has seen enough has stopped listening.
        let _ = tell.send(server(stream));
    });
    told
}

/// Starts opening a stream.
pub(crate) fn start(driven: &mut Driven, url: &str, protocol: Option<&'static str>) -> OpId {
    let target = Target::WebSocket {
        url: url.to_owned(),
        headers: vec![("authorization", Secret::from("Bearer hunter2"))],
        protocol,
        timeout: Duration::from_secs(10),
        max_message: 1 << 20,
    };
    driven.begin(|op| Action::Open { op, target })
}

/// Opens a stream.
pub(crate) fn open(driven: &mut Driven, url: &str) -> OpId {
    let op = start(driven, url, None);
    assert_eq!(driven.next(), Event::Opened { op });
    op
}

/// Sends a text.
pub(crate) fn send_text(driven: &Driven, op: OpId, text: String) {
    driven.act(Action::Send { op, message: Message::Text(Text::from(text)) });
}

/// What is received until the end, and the end.
pub(crate) fn rest(driven: &Driven) -> (Vec<Message>, Option<u16>, Option<IoErrorKind>) {
    let mut received = Vec::new();
    loop {
        match driven.next() {
            Event::Received { message, .. } => received.push(message),
            Event::Sent { .. } => {}
            Event::Closed { code, failure, .. } => {
                return (received, code, failure.map(|failure| failure.kind));
            }
            other => panic!("{other:?} is not a stream event"),
        }
    }
}

/// Echoes what it receives.
pub(crate) fn echo(mut socket: WebSocket<TcpStream>) {
    while let Ok(frame) = socket.read() {
        if frame.is_text() || frame.is_binary() {
            socket.send(frame).expect("sent");
        }
    }
}

/// Reads until the connection is closed, as the closing handshake requires.
pub(crate) fn drain(mut socket: WebSocket<TcpStream>) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Ok(frame) = socket.read() {
        frames.push(frame);
    }
    frames
}

pub(crate) fn text(text: &str) -> Message {
    Message::Text(Text::from(text.to_owned()))
}

pub(crate) fn zeros(length: usize) -> Message {
    Message::Binary(Bytes::from(vec![0; length]))
}

pub(crate) fn send(driven: &Driven, op: OpId, message: Message) {
    driven.act(Action::Send { op, message });
}

/// Waits until this many messages have been sent.
#[track_caller]
pub(crate) fn sent(driven: &Driven, op: OpId, mut count: usize) {
    while count > 0 {
        match driven.next() {
            Event::Sent { op: of, messages } if of == op && messages <= count => count -= messages,
            other => panic!("not sent: {other:?}"),
        }
    }
}

/// How the stream closed.
#[track_caller]
pub(crate) fn closed(driven: &Driven, op: OpId) -> (Option<u16>, Option<IoErrorKind>) {
    match driven.next() {
        Event::Closed { op: of, code, failure } if of == op => (code, failure.map(|f| f.kind)),
        other => panic!("not closed: {other:?}"),
    }
}
