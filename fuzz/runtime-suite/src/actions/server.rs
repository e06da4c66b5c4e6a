//! The HTTP server, with this runtime's client and with raw ones.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Action, Method, Request, Response};
use footbridge_core::contract::clients::{ConnectionLimits, ListenLimits, Pace, Standing};
use footbridge_core::contract::event::{Body, Event, IncomingRequest, IoErrorKind};

use crate::Runtime;
use crate::harness::{Driven, PATIENCE, answer, get};

pub(super) fn accept(server: &mut Driven, listener: OpId) -> OpId {
    server.begin(|op| Action::Accept { op, listener })
}

/// How slowly bodies may come in these tests.
const PACE: Pace = Pace { grace: Duration::from_secs(20), bytes_per_second: 1 << 20 };

/// Reads the body of a request.
fn body_of(server: &mut Driven, op: OpId, max_body: usize) -> Body {
    server.act(Action::ReadBody { op, max_body, pace: PACE });
    match server.next() {
        Event::BodyRead { op: of, body } if of == op => body,
        other => panic!("not the body of {op}: {other:?}"),
    }
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
    let far = accept(&mut server, listener);
    let asked = server.asked(far);
    let IncomingRequest { method, target, headers, body: unread, is_tls, peer } = asked;
    assert!(peer.is_loopback(), "{peer}");
    assert!(unread == Body::Unread { length: Some(body.len() as u64) }, "{unread:?}");
    assert_eq!((method, target.as_str(), is_tls), (Method::Put, "/v1/x?y=1%20", false));
    let most = body.len();
    assert!(body_of(&mut server, far, most) == Body::Whole(body));
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
        let op = accept(&mut server, listener);
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
        let op = accept(&mut server, listener);
        let head = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
        let text = format!("{head}{rest_of_request}");
        let sender = std::thread::spawn(move || rest(&mut connect(&address, &text)));
        let expected = match is_too_large {
            true => Body::TooLarge,
            false => Body::Whole(Bytes::from_static(b"0123456789")),
        };
        assert!(matches!(server.asked(op).body, Body::Unread { .. }));
        assert!(body_of(&mut server, op, 10) == expected);
        server.act(Action::Reply { op, response: answer(413, "no") });
        let seen = sender.join().expect("an answer");
        assert!(seen.starts_with("HTTP/1.1 413") && seen.ends_with("no"), "{seen}");
        server.end();
    }
}

pub fn a_malformed_body_is_reported_and_its_sender_gets_the_answer<R: Runtime>() {
    for chunks in ["FFFFFFFFFFFFFFFFF\r\nab\r\n", "-2\r\nab\r\n", "x\r\nab\r\n", "2\r\nabcd\r\n"] {
        let mut server = Driven::start::<R>();
        let (listener, address) = server.listen();
        let op = accept(&mut server, listener);
        let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut sender = connect(&address, &format!("{head}{chunks}"));
        server.asked(op);
        assert_eq!(body_of(&mut server, op, 10), Body::Malformed, "{chunks:?}");
        server.act(Action::Reply { op, response: answer(400, "no") });
        let seen = rest(&mut sender);
        assert!(seen.starts_with("HTTP/1.1 400") && seen.ends_with("no"), "{chunks:?}: {seen}");
        server.end();
    }
}

pub fn a_coding_that_is_not_known_is_refused<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    accept(&mut server, listener);
    let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n";
    let seen = rest(&mut connect(&address, &format!("{head}2\r\nab\r\n0\r\n\r\n")));
    assert!(seen.starts_with("HTTP/1.1 501"), "{seen}");
    server.is_quiet();
    server.end();
}

pub fn a_target_that_names_its_host_is_right_about_it<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    let op = accept(&mut server, listener);
    let _asking = connect(&address, "GET http://other.example:1/a?b HTTP/1.1\r\nhost: x\r\n\r\n");
    let asked = server.asked(op);
    assert_eq!(asked.target, "/a?b");
    let hosts: Vec<_> = asked.headers.iter().filter(|(name, _)| name == "host").collect();
    assert_eq!(hosts, [&("host".to_owned(), "other.example:1".to_owned())]);
    server.end();
}

pub fn a_client_that_leaves_while_it_is_held_is_reported_once<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    let op = accept(&mut server, listener);
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
    let op = accept(&mut server, listener);
    drop(connect(&address, "GET / HT"));
    let _other = connect(&address, "GET /other HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(server.asked(op).target, "/other");
    server.end();
}

pub fn a_request_is_delivered_before_its_body_has_come<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    // Those who send no more than the head take up no accept.
    let head = "POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n";
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let op = accept(&mut server, listener);
            let stream = connect(&address, head);
            assert!(server.asked(op).body == Body::Unread { length: Some(50) });
            (op, stream)
        })
        .collect();
    for (at, (op, mut stream)) in waiting.into_iter().enumerate() {
        match at {
            // Answered without its body: the connection ends, because its rest is still to come.
            0 => {
                server.act(Action::Reply { op, response: answer(401, "who are you?") });
                assert!(rest(&mut stream).ends_with("who are you?"));
            }
            // Answered while it is read.
            1 => {
                server.act(Action::ReadBody { op, max_body: 50, pace: PACE });
                server.is_quiet();
                server.act(Action::Reply { op, response: answer(503, "not now") });
                assert!(rest(&mut stream).ends_with("not now"));
            }
            // Its client leaves.
            _ => {
                server.act(Action::ReadBody { op, max_body: 50, pace: PACE });
                stream.write_all(b"half").expect("sent");
                drop(stream);
                assert_eq!(server.next(), Event::Closed { op, code: None, failure: None });
            }
        }
    }
    server.is_quiet();
    server.end();
}

pub fn a_body_that_comes_too_slowly_is_given_up<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    let pace = Pace { grace: Duration::from_millis(300), bytes_per_second: 1 << 20 };
    for drips in [false, true] {
        let op = accept(&mut server, listener);
        let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
        let mut stream = connect(&address, head);
        server.asked(op);
        server.act(Action::ReadBody { op, max_body: 1_000_000, pace });
        // One byte now and then is not enough.
        while drips && stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(server.next(), Event::Closed { op, code: None, failure: None });
    }
    server.end();
}

pub fn whoever_takes_too_many_connections_loses_the_oldest<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let few = |total| ConnectionLimits { total, per_address: 3, reading: PACE };
    let limits = ListenLimits { strangers: few(100), workers: few(100), ..ListenLimits::default() };
    let (listener, address) = server.listen_with(limits);
    let get = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let op = accept(&mut server, listener);
    let mut known = connect(&address, get);
    server.asked(op);
    server.act(Action::Vouch { op, standing: Standing::Worker });
    server.is_quiet();
    let mut strangers: Vec<_> = (0..4).map(|_| connect(&address, "GET / HT")).collect();
    let mut byte = [0];
    assert!(matches!(strangers[0].read(&mut byte), Ok(0) | Err(_)), "the oldest was closed");
    server.act(Action::Reply { op, response: answer(200, "ok") });
    known.read_exact(&mut byte).expect("an answer: it is known");
    for stranger in &mut strangers[1..] {
        let op = accept(&mut server, listener);
        stranger.write_all(b"TP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
        server.asked(op);
        server.act(Action::Reply { op, response: answer(200, "ok") });
        assert!(rest(stranger).starts_with("HTTP/1.1 200"));
    }
    server.end();
}

pub fn a_client_that_reads_too_slowly_is_cut_off<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let pace = Pace { grace: Duration::from_millis(300), bytes_per_second: 64 << 20 };
    let slow = ConnectionLimits { total: 100, per_address: 100, reading: pace };
    let limits = ListenLimits { strangers: slow, ..ListenLimits::default() };
    let (listener, address) = server.listen_with(limits);
    for drips in [false, true] {
        let op = accept(&mut server, listener);
        let mut stream = connect(&address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        server.asked(op);
        let large = Bytes::from(vec![b'x'; 64 << 20]);
        let response = Response { status: 200, headers: Vec::new(), body: large };
        server.act(Action::Reply { op, response });
        // Nothing, or a little now and then.
        let mut some = [0; 1000];
        if drips {
            while matches!(stream.read(&mut some), Ok(1..)) {
                std::thread::sleep(Duration::from_millis(20));
            }
        } else {
            // What it has not read is gone with the connection.
            std::thread::sleep(Duration::from_millis(600));
            let mut all = Vec::new();
            assert!(stream.read_to_end(&mut all).is_err(), "it was reset");
        }
    }
    server.end();
}

pub fn a_connection_serves_one_request_after_another<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    let mut stream = TcpStream::connect(&address).expect("a connection");
    for path in ["/one", "/two", "/three"] {
        let op = accept(&mut server, listener);
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
    let head_time = Duration::from_secs(3);
    let limits = ListenLimits { head_time, ..ListenLimits::default() };
    let (listener, address) = server.listen_with(limits);
    accept(&mut server, listener);
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
        let op = server.begin(|op| {
            let limits = ListenLimits::default();
            Action::Listen { op, address: address.into(), limits }
        });
        let failure = server.failed(op);
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.detail.contains(address), "{failure}");
    }
    server.end();
}

pub fn a_cancelled_listener_finishes_its_reply_and_accepts_nobody<R: Runtime>() {
    let mut server = Driven::start::<R>();
    let (listener, address) = server.listen();
    let op = accept(&mut server, listener);
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
    let op = accept(&mut server, listener);
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
    let op = accept(&mut server, listener);
    let mut held = connect(&address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    server.asked(op);
    server.act(Action::Cancel { op });
    assert_eq!(rest(&mut held), "");
    server.is_quiet();
    server.end();
}
