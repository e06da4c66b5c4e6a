//! The HTTP server, with this runtime's client and with raw ones.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Action, Method, Request};
use footbridge_core::contract::event::{Body, Event, IncomingRequest, IoErrorKind};

use crate::Runtime;
use crate::harness::{Driven, PATIENCE, answer, get};

pub(super) fn accept(server: &mut Driven, listener: OpId, max_body: usize) -> OpId {
    server.begin(|op| Action::Accept { op, listener, max_body })
}

pub(super) fn connect(address: &str, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.write_all(text.as_bytes()).expect("sent");
    stream
}

/// Everything received until the server closes.
fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).expect("an orderly end");
    String::from_utf8(text).expect("text")
}

pub fn a_request_waits_for_an_accept_and_is_answered<R: Runtime>() {
    let (mut server, mut client) = (Driven::start::<R>(), Driven::start::<R>());
    let (listener, address) = server.listen();
    let body = Bytes::from_static(b"{\"a\":1}");
    let url = format!("http://{address}/v1/x?y=1%20");
    let request = Request { method: Method::Put, body: body.clone(), ..get(&url) };
    let near = client.begin(|op| Action::Request { op, request });
    server.is_quiet();
    let far = accept(&mut server, listener, body.len());
    let IncomingRequest { method, target, headers, body: came, is_tls } = server.asked(far);
    assert_eq!((method, target.as_str(), is_tls), (Method::Put, "/v1/x?y=1%20", false));
    assert!(came == Body::Whole(body));
    assert!(headers.contains(&("host".into(), address)), "{headers:?}");
    let mut response = answer(201, "made");
    response.headers = vec![("x-a".into(), "b".into())];
    server.act(Action::Reply { op: far, response });
    let response = client.response(near);
    assert_eq!((response.status, response.body.as_ref()), (201, b"made".as_slice()));
    assert_eq!(response.header("x-a"), Some("b"));
    server.is_quiet();
    client.end();
    server.end();
}

pub fn no_more_requests_are_delivered_than_there_are_accepts<R: Runtime>() {
    let (mut server, mut client) = (Driven::start::<R>(), Driven::start::<R>());
    let (listener, address) = server.listen();
    let url = format!("http://{address}/");
    let waiting: Vec<_> = (0..5).map(|_| client.get(&url)).collect();
    for left in (0..5).rev() {
        let op = accept(&mut server, listener, 0);
        server.asked(op);
        server.is_quiet();
        server.act(Action::Reply { op, response: answer(200, "ok") });
        let answered = client.next();
        assert!(matches!(answered, Event::Response { .. }), "{left} left: {answered:?}");
    }
    assert_eq!(waiting.len(), 5);
    client.end();
    server.end();
}

pub fn a_body_that_is_too_large_is_not_read_and_its_sender_gets_the_answer<R: Runtime>() {
    let large = "x".repeat(3_000_000);
    let chunks = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let cases = [
        (format!("content-length: {}\r\n\r\n{large}", large.len()), true),
        (format!("transfer-encoding: chunked\r\n\r\n{chunks}"), true),
        ("expect: 100-continue\r\ncontent-length: 3000000\r\n\r\n".to_owned(), true),
        ("content-length: 10\r\n\r\n0123456789".to_owned(), false),
    ];
    for (rest_of_request, is_too_large) in cases {
        let mut server = Driven::start::<R>();
        let (listener, address) = server.listen();
        let op = accept(&mut server, listener, 10);
        let head = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
        let text = format!("{head}{rest_of_request}");
        let sender = std::thread::spawn(move || rest(&mut connect(&address, &text)));
        let expected = match is_too_large {
            true => Body::TooLarge,
            false => Body::Whole(Bytes::from_static(b"0123456789")),
        };
        assert!(server.asked(op).body == expected);
        server.act(Action::Reply { op, response: answer(413, "no") });
        let seen = sender.join().expect("an answer");
        assert!(seen.starts_with("HTTP/1.1 413") && seen.ends_with("no"), "{seen}");
        server.end();
    }
}

pub fn a_client_that_leaves_while_it_is_held_is_reported_once<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    let op = accept(&mut server, listener, 0);
    let stream = connect(&address, "GET /held HTTP/1.1\r\nhost: x\r\n\r\n");
    server.asked(op);
    drop(stream);
    assert_eq!(server.next(), Event::Closed { op, code: None, failure: None });
    server.act(Action::Reply { op, response: answer(200, "late") });
    server.is_quiet();
    server.end();
}

pub fn a_client_that_leaves_before_it_is_accepted_uses_up_no_accept<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    let op = accept(&mut server, listener, 100);
    drop(connect(&address, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\nhalf"));
    drop(connect(&address, "GET / HT"));
    let _other = connect(&address, "GET /other HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(server.asked(op).target, "/other");
    server.end();
}

pub fn a_connection_serves_one_request_after_another<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    let mut stream = TcpStream::connect(&address).expect("a connection");
    for path in ["/one", "/two", "/three"] {
        let op = accept(&mut server, listener, 0);
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
        assert_eq!(server.asked(op).target, path);
        server.act(Action::Reply { op, response: answer(200, "ok") });
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\nok") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer");
            seen.push(byte[0]);
        }
    }
    server.end();
}

pub fn an_endless_or_malformed_head_is_cut_off<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    accept(&mut server, listener, 0);
    let began = std::time::Instant::now();
    let mut slow = connect(&address, "GET / HTTP/1.1\r\nhost: x\r\nx-a: ");
    let mut foreign = connect(&address, "SSH-2.0-OpenSSH_9\r\n\r\n");
    let mut large = connect(&address, "GET / HTTP/1.1\r\n");
    // The server may have closed before all of it was sent.
    let _ = large.write_all(format!("x-a: {}\r\n\r\n", "x".repeat(100_000)).as_bytes());
    assert!(rest(&mut foreign).starts_with("HTTP/1.1 400"));
    let mut status = [0; 12];
    large.read_exact(&mut status).expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 431");
    server.is_quiet();
    rest(&mut slow);
    assert!(began.elapsed() < PATIENCE);
    server.is_quiet();
    server.end();
}

pub fn an_address_in_use_or_an_invalid_one_fails<R: Runtime>() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = (taken.local_addr().expect("an address").to_string(), taken);
    let mut server = Driven::start::<R>();
    for (address, kind) in [
        (taken.0.as_str(), IoErrorKind::InUse),
        ("192.0.2.1:80", IoErrorKind::Unreachable),
        ("nonsense", IoErrorKind::Other),
    ] {
        let op = server.begin(|op| Action::Listen { op, address: address.into() });
        let failure = server.failed(op);
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.detail.contains(address), "{failure}");
    }
    server.end();
}

pub fn a_cancelled_listener_finishes_its_reply_and_accepts_nobody<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    let op = accept(&mut server, listener, 0);
    let mut held = connect(&address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    server.asked(op);
    server.act(Action::Cancel { op: listener });
    server.is_quiet();
    assert!(TcpStream::connect(&address).is_err(), "nobody is listening any more");
    server.act(Action::Reply { op, response: answer(200, "last") });
    let seen = rest(&mut held);
    assert!(seen.starts_with("HTTP/1.1 200") && seen.ends_with("last"), "{seen}");
    server.end();
}

pub fn a_reply_is_sent_even_if_the_machine_ends_right_after_it<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    let op = accept(&mut server, listener, 0);
    let mut held = connect(&address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    server.asked(op);
    server.act(Action::Reply { op, response: answer(503, "good bye") });
    server.end();
    let seen = rest(&mut held);
    assert!(seen.ends_with("good bye"), "{seen}");
}

pub fn a_request_abandoned_by_the_machine_ends_without_a_response<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    let op = accept(&mut server, listener, 0);
    let mut held = connect(&address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    server.asked(op);
    server.act(Action::Cancel { op });
    assert_eq!(rest(&mut held), "");
    server.is_quiet();
    server.end();
}
