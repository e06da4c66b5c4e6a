//! WebSockets: this runtime's client and server with each other, and each with a raw peer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::text::Text;
use footbridge_core::contract::action::{Action, Message, Response, Target};
use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::support::{A_WHILE, Driven, PATIENCE, answer, websocket};

/// A client and a server with one WebSocket between them.
struct Pair {
    client: Driven,
    near: OpId,
    server: Driven,
    far: OpId,
}

impl Pair {
    #[track_caller]
    fn connect() -> Self {
        Self::with(|_| {}, 1 << 20)
    }

    /// `change` is made to the client's target; the server takes messages up to `max_message`.
    #[track_caller]
    fn with(change: impl FnOnce(&mut Target), max_message: usize) -> Self {
        let (mut client, mut server) = (Driven::start(), Driven::start());
        let (listener, address) = server.listen();
        let far = server.begin(|op| Action::Accept { op, listener, max_body: 0 });
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

fn text(text: &str) -> Message {
    Message::Text(Text::from(text.to_owned()))
}

fn zeros(length: usize) -> Message {
    Message::Binary(Bytes::from(vec![0; length]))
}

fn send(driven: &Driven, op: OpId, message: Message) {
    driven.act(Action::Send { op, message });
}

#[track_caller]
fn sent(driven: &Driven, op: OpId, mut count: usize) {
    while count > 0 {
        match driven.next() {
            Event::Sent { op: of, messages } if of == op && messages <= count => count -= messages,
            other => panic!("not sent: {other:?}"),
        }
    }
}

#[track_caller]
fn closed(driven: &Driven, op: OpId) -> (Option<u16>, Option<IoErrorKind>) {
    match driven.next() {
        Event::Closed { op: of, code, failure } if of == op => (code, failure.map(|f| f.kind)),
        other => panic!("not closed: {other:?}"),
    }
}

#[test]
fn messages_pass_both_ways_as_they_are() {
    let pair = Pair::connect();
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

#[test]
fn ten_thousand_messages_arrive_in_order() {
    let pair = Pair::connect();
    for n in 0..10_000 {
        send(&pair.client, pair.near, text(&n.to_string()));
    }
    for n in 0..10_000 {
        assert_eq!(pair.server.received(pair.far), text(&n.to_string()));
    }
    sent(&pair.client, pair.near, 10_000);
    pair.end();
}

#[test]
fn a_close_comes_after_what_was_sent_and_brings_its_code() {
    for from_client in [true, false] {
        let pair = Pair::connect();
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

#[test]
fn a_cut_stream_is_a_failure_at_the_other_end() {
    let pair = Pair::connect();
    pair.client.act(Action::Cancel { op: pair.near });
    assert_eq!(closed(&pair.server, pair.far), (None, Some(IoErrorKind::Disconnected)));
    pair.client.is_quiet();
    pair.end();
}

#[test]
fn a_message_over_the_limit_closes_with_1009() {
    let pair = Pair::with(|_| {}, 1000);
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

#[test]
fn a_paused_stream_holds_its_sender_and_nothing_else() {
    let pair = Pair::connect();
    pair.server.act(Action::Pause { op: pair.far });
    // One message first: it shows that the pause has come about, or passes before it.
    let count = 200;
    for _ in 0..count {
        send(&pair.client, pair.near, zeros(100_000));
    }
    let before: usize = pair.client.settled().iter().map(messages_sent).sum();
    assert!(before < count, "{before} of {count} messages left for a reader that does not read");
    let early = pair.server.settled().len();
    assert!(early < 2, "{early} messages came to a paused stream");
    // The other direction goes on.
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

#[test]
fn a_server_that_selects_no_subprotocol_has_refused() {
    for selected in [None, Some("other.v1".to_owned())] {
        let (mut client, mut server) = (Driven::start(), Driven::start());
        let (listener, address) = server.listen();
        let far = server.begin(|op| Action::Accept { op, listener, max_body: 0 });
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

#[test]
fn a_refusal_comes_with_the_beginning_of_its_answer() {
    let (mut client, mut server) = (Driven::start(), Driven::start());
    let (listener, address) = server.listen();
    for length in [20, 100_000] {
        let far = server.begin(|op| Action::Accept { op, listener, max_body: 0 });
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

#[test]
fn a_request_that_is_no_handshake_cannot_be_upgraded() {
    let mut server = Driven::start();
    let (listener, address) = server.listen();
    let heads = [
        "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 12\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n",
    ];
    for head in heads {
        let op = server.begin(|op| Action::Accept { op, listener, max_body: 0 });
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

/// A raw peer that makes a WebSocket out of one connection and hands it over.
fn raw_server() -> (String, std::thread::JoinHandle<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    let thread = std::thread::spawn(move || {
        let mut stream = listener.accept().expect("a connection").0;
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("a request");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text");
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: "));
        let key = async_tungstenite::tungstenite::handshake::derive_accept_key(
            key.expect("a key").as_bytes(),
        );
        let answer = format!(
            "HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {key}\r\n\r\n"
        );
        // With a message right behind the answer: it must not be lost in the change.
        stream.write_all(&[answer.as_bytes(), b"\x81\x05early"].concat()).expect("sent");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream
    });
    (url, thread)
}

#[test]
fn a_peer_that_does_not_read_does_not_stop_our_reading() {
    let (url, peer) = raw_server();
    let mut client = Driven::start();
    let op = client.begin(|op| Action::Open { op, target: websocket(&url, None) });
    client.opened(op);
    assert_eq!(client.received(op), text("early"));
    let mut peer = peer.join().expect("a WebSocket");
    for _ in 0..300 {
        send(&client, op, zeros(100_000));
    }
    client.settled();
    peer.write_all(b"\x81\x02hi").expect("sent");
    assert_eq!(client.received(op), text("hi"));
    client.act(Action::Cancel { op });
    client.end();
}

#[test]
fn what_breaks_the_websocket_protocol_is_closed_with_its_code() {
    let cases: [(&[u8], u16, IoErrorKind); 3] = [
        (b"\x83\x00", 1002, IoErrorKind::Protocol),
        (b"\x81\x02\xff\xff", 1007, IoErrorKind::Protocol),
        (b"\x82\x7f\x00\x00\x00\x00\xff\xff\xff\xff", 1009, IoErrorKind::TooLarge),
    ];
    for (frame, code, kind) in cases {
        let (url, peer) = raw_server();
        let mut client = Driven::start();
        let op = client.begin(|op| Action::Open { op, target: websocket(&url, None) });
        client.opened(op);
        assert_eq!(client.received(op), text("early"));
        let mut peer = peer.join().expect("a WebSocket");
        peer.write_all(frame).expect("sent");
        // A masked close frame: two bytes of head, four of mask, two of code.
        let mut close = [0; 8];
        peer.read_exact(&mut close).expect("a close frame");
        assert_eq!(close[..2], [0x88, 0x82], "{code}");
        assert_eq!(u16::from_be_bytes([close[6] ^ close[2], close[7] ^ close[3]]), code);
        drop(peer);
        assert_eq!(closed(&client, op), (None, Some(kind)));
        client.end();
    }
}

#[test]
fn a_close_that_is_not_answered_ends_in_time() {
    let (url, peer) = raw_server();
    let mut client = Driven::start();
    let op = client.begin(|op| Action::Open { op, target: websocket(&url, None) });
    client.opened(op);
    client.received(op);
    let peer = peer.join().expect("a WebSocket");
    client.act(Action::Pause { op });
    client.act(Action::Close { op, code: 1000 });
    assert_eq!(closed(&client, op), (None, Some(IoErrorKind::TimedOut)));
    drop(peer);
    client.end();
}

#[test]
fn a_handshake_that_hangs_or_finds_nobody_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut client = Driven::start();
    let target = Target::WebSocket {
        url: format!("ws://{address}/"),
        headers: Vec::new(),
        protocol: None,
        timeout: A_WHILE,
        max_message: 1,
    };
    let op = client.begin(|op| Action::Open { op, target: target.clone() });
    client.fails_with(op, IoErrorKind::TimedOut);
    drop(listener);
    let op = client.begin(|op| Action::Open { op, target });
    client.fails_with(op, IoErrorKind::Refused);
    client.end();
}

#[test]
fn an_upgrade_of_a_client_that_has_left_opens_nothing() {
    let mut server = Driven::start();
    let (listener, address) = server.listen();
    let op = server.begin(|op| Action::Accept { op, listener, max_body: 0 });
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
