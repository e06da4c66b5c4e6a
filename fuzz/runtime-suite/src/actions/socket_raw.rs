//! WebSockets: this client with a peer that speaks raw TCP, and so can misbehave.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::Action;
use footbridge_core::contract::event::IoErrorKind;

use crate::Runtime;
use crate::harness::stream::{closed, send, text, zeros};
use crate::harness::{Driven, PATIENCE, websocket};

/// A raw peer that accepts one connection as a WebSocket and passes it on.
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
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut keys = lines.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
        let key = keys.next().map(|(_, key)| key);
        let key = tungstenite::handshake::derive_accept_key(key.expect("a key").as_bytes());
        let answer = format!(
            "HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {key}\r\n\r\n"
        );
        // With a message right behind the response: it must not be lost in the upgrade.
        stream.write_all(&[answer.as_bytes(), b"\x81\x05early"].concat()).expect("sent");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream
    });
    (url, thread)
}

/// A client with an open stream to a raw peer.
fn open_raw<R: Runtime>() -> (Driven, OpId, TcpStream) {
    let (url, peer) = raw_server();
    let mut client = Driven::start::<R>();
    let op = client.begin(|op| Action::Open { op, target: websocket(&url, None) });
    client.opened(op);
    assert_eq!(client.received(op), text("early"));
    let peer = peer.join().expect("a WebSocket");
    (client, op, peer)
}

pub fn a_peer_that_does_not_read_does_not_stop_our_reading<R: Runtime>() {
    let (client, op, mut peer) = open_raw::<R>();
    for _ in 0..300 {
        send(&client, op, zeros(100_000));
    }
    client.settled();
    peer.write_all(b"\x81\x02hi").expect("sent");
    assert_eq!(client.received(op), text("hi"));
    client.act(Action::Cancel { op });
    client.end();
}

pub fn a_peer_that_pings_and_does_not_read_is_not_read_either<R: Runtime>() {
    const PING: &[u8] = &[0x89, 125];
    // More than the buffers of the system hold, and far less than what piled up before.
    const ENOUGH: usize = 64 << 20;
    let (client, op, mut peer) = open_raw::<R>();
    let pings = [PING, &[b'x'; 125]].concat().repeat(512);
    peer.set_write_timeout(Some(Duration::from_secs(1))).expect("set");
    let mut sent = 0;
    // A write that takes a second is one that is held up. It may be in the middle of a ping.
    let held_up = loop {
        match peer.write(&pings[sent % pings.len()..]) {
            Ok(n) => sent += n,
            Err(error) => break error,
        }
        assert!(sent < ENOUGH, "it was never held up");
    };
    assert!(matches!(held_up.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{held_up}");
    // Once it reads, everything goes on.
    let mut reader = peer.try_clone().expect("the same");
    let reading = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    peer.set_write_timeout(Some(PATIENCE)).expect("set");
    peer.write_all(&pings[sent % pings.len()..]).expect("sent");
    peer.write_all(b"\x81\x02hi").expect("sent");
    assert_eq!(client.received(op), text("hi"));
    client.act(Action::Cancel { op });
    client.end();
    drop(reading);
}

pub fn protocol_violations_are_closed_with_the_right_code<R: Runtime>() {
    let cases: [(&[u8], u16, IoErrorKind); 3] = [
        (b"\x83\x00", 1002, IoErrorKind::Protocol),
        (b"\x81\x02\xff\xff", 1007, IoErrorKind::Protocol),
        (b"\x82\x7f\x00\x00\x00\x00\xff\xff\xff\xff", 1009, IoErrorKind::TooLarge),
    ];
    for (frame, code, kind) in cases {
        let (url, peer) = raw_server();
        let mut client = Driven::start::<R>();
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

pub fn an_unanswered_close_ends_in_time<R: Runtime>() {
    let (url, peer) = raw_server();
    let mut client = Driven::start::<R>();
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
