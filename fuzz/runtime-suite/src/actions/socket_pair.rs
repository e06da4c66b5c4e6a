//! WebSockets: this runtime's client and server with each other.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Action, Response, Target};
use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::Runtime;
use crate::harness::stream::{closed, send, sent, text, zeros};
use crate::harness::{Driven, answer, websocket};

/// A client and a server with one WebSocket between them.
struct Pair {
    client: Driven,
    near: OpId,
    server: Driven,
    far: OpId,
}

impl Pair {
    #[track_caller]
    fn connect<R: Runtime>() -> Self {
        Self::with::<R>(|_| {}, 1 << 20)
    }

    /// `change` is applied to the client's target; the server accepts messages up to `max_message`.
    #[track_caller]
    fn with<R: Runtime>(change: impl FnOnce(&mut Target), max_message: usize) -> Self {
        let (mut client, mut server) = (Driven::start::<R>(), Driven::start::<R>());
        let (listener, address) = server.listen();
        let far = server.begin(|op| Action::Accept { op, listener });
        let mut target = websocket(&format!("ws://{address}/link"), Some("test.v1"));
        change(&mut target);
        let near = client.begin(|op| Action::Open { op, target });
        let asked = server.asked(far);
        assert_eq!(asked.header("sec-websocket-protocol"), Some("test.v1"));
        server.act(Action::Upgrade { op: far, protocol: Some("test.v1".into()), max_message });
        server.opened(far);
        client.opened(near);
        Self { client, near, server, far }
    }

    fn end(self) {
        self.client.end();
        self.server.end();
    }
}

pub fn messages_pass_unchanged_in_both_directions<R: Runtime>() {
    let pair = Pair::connect::<R>();
    for message in [text("hello"), text(""), text("grüße"), zeros(0), zeros(1), zeros(500_000)] {
        send(&pair.client, pair.near, message.clone());
        sent(&pair.client, pair.near, 1);
        assert_eq!(pair.server.received(pair.far), message);
        send(&pair.server, pair.far, message.clone());
        sent(&pair.server, pair.far, 1);
        assert_eq!(pair.client.received(pair.near), message);
    }
    pair.end();
}

pub fn ten_thousand_messages_arrive_in_order<R: Runtime>() {
    let pair = Pair::connect::<R>();
    for n in 0..10_000 {
        send(&pair.client, pair.near, text(&n.to_string()));
    }
    for n in 0..10_000 {
        assert_eq!(pair.server.received(pair.far), text(&n.to_string()));
    }
    sent(&pair.client, pair.near, 10_000);
    pair.end();
}

pub fn a_close_arrives_after_what_was_sent_with_its_code<R: Runtime>() {
    for from_client in [true, false] {
        let pair = Pair::connect::<R>();
        let (ours, op, theirs, other) = if from_client {
            (&pair.client, pair.near, &pair.server, pair.far)
        } else {
            (&pair.server, pair.far, &pair.client, pair.near)
        };
        for n in 0..100 {
            send(ours, op, text(&n.to_string()));
        }
        ours.act(Action::Close { op, code: 4409 });
        for n in 0..100 {
            assert_eq!(theirs.received(other), text(&n.to_string()));
        }
        assert_eq!(closed(theirs, other), (Some(4409), None));
        sent(ours, op, 100);
        assert_eq!(closed(ours, op), (Some(4409), None));
        ours.is_quiet();
        theirs.is_quiet();
        pair.end();
    }
}

pub fn a_cut_stream_is_a_failure_at_the_other_end<R: Runtime>() {
    let pair = Pair::connect::<R>();
    pair.client.act(Action::Cancel { op: pair.near });
    assert_eq!(closed(&pair.server, pair.far), (None, Some(IoErrorKind::Disconnected)));
    pair.client.is_quiet();
    pair.end();
}

pub fn a_message_over_the_limit_closes_with_1009<R: Runtime>() {
    let pair = Pair::with::<R>(|_| {}, 1000);
    send(&pair.client, pair.near, zeros(1000));
    assert_eq!(pair.server.received(pair.far).len(), 1000);
    send(&pair.client, pair.near, zeros(3_000_000));
    assert_eq!(closed(&pair.server, pair.far), (None, Some(IoErrorKind::TooLarge)));
    sent(&pair.client, pair.near, 1);
    let last = [pair.client.next(), pair.client.settled().pop().unwrap_or(Event::Tick)];
    let is_1009 = |event: &Event| matches!(event, Event::Closed { code: Some(1009), .. });
    assert!(last.iter().any(is_1009), "{last:?}");
    pair.end();
}

pub fn a_paused_stream_blocks_its_sender_and_nothing_else<R: Runtime>() {
    let pair = Pair::connect::<R>();
    pair.server.act(Action::Pause { op: pair.far });
    // Until then it has taken effect.
    pair.server.is_quiet();
    let count = 200;
    for _ in 0..count {
        send(&pair.client, pair.near, zeros(100_000));
    }
    let before: usize = pair.client.settled().iter().map(messages_sent).sum();
    assert!(
        before < count,
        "{before} of {count} messages were sent to a reader that does not read"
    );
    let early = pair.server.settled().len();
    assert!(early < 2, "{early} messages arrived on a paused stream");
    // The other direction keeps working.
    send(&pair.server, pair.far, text("still here"));
    sent(&pair.server, pair.far, 1);
    assert_eq!(pair.client.received(pair.near), text("still here"));

    pair.server.act(Action::Resume { op: pair.far });
    for _ in early..count {
        assert_eq!(pair.server.received(pair.far).len(), 100_000);
    }
    sent(&pair.client, pair.near, count - before);
    pair.end();
}

fn messages_sent(event: &Event) -> usize {
    match event {
        Event::Sent { messages, .. } => *messages,
        other => panic!("unexpected: {other:?}"),
    }
}

pub fn a_server_that_selects_no_subprotocol_refuses<R: Runtime>() {
    for selected in [None, Some("other.v1".to_owned())] {
        let (mut client, mut server) = (Driven::start::<R>(), Driven::start::<R>());
        let (listener, address) = server.listen();
        let far = server.begin(|op| Action::Accept { op, listener });
        let target = websocket(&format!("ws://{address}/"), Some("test.v1"));
        let near = client.begin(|op| Action::Open { op, target });
        server.asked(far);
        server.act(Action::Upgrade { op: far, protocol: selected, max_message: 1 });
        match client.next() {
            Event::Refused { op, response } => assert_eq!((op, response.status), (near, 101)),
            other => panic!("not refused: {other:?}"),
        }
        client.end();
        server.end();
    }
}

pub fn a_refusal_includes_the_beginning_of_its_response<R: Runtime>() {
    let (mut client, mut server) = (Driven::start::<R>(), Driven::start::<R>());
    let (listener, address) = server.listen();
    for length in [20, 100_000] {
        let far = server.begin(|op| Action::Accept { op, listener });
        let target = websocket(&format!("ws://{address}/"), Some("test.v1"));
        let near = client.begin(|op| Action::Open { op, target });
        server.asked(far);
        let headers = vec![("x-why".to_owned(), "because".to_owned())];
        let response = Response { status: 409, headers, body: Bytes::from(vec![b'x'; length]) };
        server.act(Action::Reply { op: far, response });
        match client.next() {
            Event::Refused { op, response } => {
                assert_eq!((op, response.status), (near, 409));
                assert_eq!(response.header("x-why"), Some("because"));
                assert_eq!(response.body.len(), length.min(64 << 10));
            }
            other => panic!("not refused: {other:?}"),
        }
    }
    client.end();
    server.end();
}

pub fn a_request_that_is_not_a_handshake_cannot_be_upgraded<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    let heads = [
        "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 12\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n",
    ];
    for head in heads {
        let op = server.begin(|op| Action::Accept { op, listener });
        let mut client = TcpStream::connect(&address).expect("a connection");
        client.write_all(head.as_bytes()).expect("sent");
        server.asked(op);
        server.act(Action::Upgrade { op, protocol: None, max_message: 1000 });
        server.fails_with(op, IoErrorKind::Protocol);
        let mut answer = [0; 12];
        client.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 426");
    }
    server.end();
}

pub fn an_upgrade_of_a_client_that_has_left_opens_nothing<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    let op = server.begin(|op| Action::Accept { op, listener });
    let mut client = TcpStream::connect(&address).expect("a connection");
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
    server.asked(op);
    drop(client);
    assert_eq!(closed(&server, op), (None, None));
    server.act(Action::Upgrade { op, protocol: None, max_message: 1000 });
    server.act(Action::Reply { op, response: answer(200, "late") });
    server.is_quiet();
    server.end();
}
