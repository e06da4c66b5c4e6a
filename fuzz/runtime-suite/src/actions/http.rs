//! The HTTP client against peers that speak raw TCP.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::{Action, Answer, Method, Reach, Request};
use footbridge_core::contract::event::IoErrorKind;

use crate::Runtime;
use crate::harness::{Driven, get};

/// A server that handles its connections one at a time, as scripted.
pub(super) fn peer<T: Send + 'static>(
    serve: impl FnOnce(TcpListener) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/path?query=1", listener.local_addr().expect("an address"));
    (url, std::thread::spawn(move || serve(listener)))
}

/// A server that gives its only request this answer.
pub(super) fn answering(answer: impl Into<String>) -> (String, JoinHandle<()>) {
    let answer = answer.into();
    peer(move |listener| {
        let mut stream = accept(&listener);
        request(&mut stream);
        send(&mut stream, &answer);
    })
}

pub(super) fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().expect("a connection").0
}

/// Reads one request: its head, and as much body as it announces.
pub(super) fn request(stream: &mut TcpStream) -> String {
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).expect("a request") == 0 {
            break;
        }
        seen.push(byte[0]);
    }
    let head = String::from_utf8(seen).expect("text");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    stream.read_exact(&mut body).expect("the body");
    head + &String::from_utf8(body).expect("text")
}

pub(super) fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("sent");
}

pub fn a_request_for_public_servers_reaches_none_of_this_network<R: Runtime>() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    listener.set_nonblocking(true).expect("set");
    let mut driven = Driven::start::<R>();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"] {
        let ask = Request { reach: Reach::Public, ..get(&format!("http://{host}:{port}/")) };
        let op = driven.begin(|op| Action::Request { op, request: ask });
        let failure = driven.failed(op);
        assert_eq!(failure.kind, IoErrorKind::Unreachable, "{host}: {failure}");
        assert!(failure.detail.contains("no public address"), "{host}: {failure}");
    }
    let asked = listener.accept().map(drop).expect_err("nobody came");
    assert_eq!(asked.kind(), std::io::ErrorKind::WouldBlock);
}

pub fn a_request_is_sent_as_specified_and_its_response_is_complete<R: Runtime>() {
    let (url, peer) = peer(|listener| {
        let mut stream = accept(&listener);
        let request = request(&mut stream);
        send(
            &mut stream,
            "HTTP/1.1 404 Not Found\r\nRetry-After: 7\r\nX-A: b\r\ncontent-length: 4\r\n\r\nbody",
        );
        request
    });
    let mut driven = Driven::start::<R>();
    let mut ask = get(&url);
    ask.method = Method::Post;
    ask.headers = vec![("authorization", Secret::from("Bearer hunter2"))];
    ask.body = Bytes::from_static(b"{\"a\":1}");
    let op = driven.begin(|op| Action::Request { op, request: ask });
    let response = driven.response(op);
    assert_eq!((response.status, response.body.as_ref()), (404, b"body".as_slice()));
    assert_eq!(response.header("retry-after"), Some("7"));
    let seen = peer.join().expect("a request");
    let host = url.split('/').nth(2).expect("a host");
    assert!(seen.starts_with("POST /path?query=1 HTTP/1.1\r\n"), "{seen}");
    for line in ["authorization: Bearer hunter2", &format!("host: {host}"), "content-length: 7"] {
        assert!(seen.contains(&format!("{line}\r\n")), "{line} in {seen}");
    }
    assert!(seen.ends_with("{\"a\":1}"), "{seen}");
    driven.end();
}

pub fn chunked_and_close_delimited_responses_are_complete<R: Runtime>() {
    let answers = [
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabcde",
        "HTTP/1.0 200 OK\r\n\r\nabcde",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcde",
    ];
    for answer in answers {
        let (url, peer) = answering(answer);
        let mut driven = Driven::start::<R>();
        let op = driven.get(&url);
        assert_eq!(driven.response(op).body.as_ref(), b"abcde", "{answer}");
        peer.join().expect("served");
        driven.end();
    }
}

pub fn a_truncated_or_malformed_response_is_a_failure_of_the_right_kind<R: Runtime>() {
    let cases = [
        ("", IoErrorKind::Disconnected),
        ("HTTP/1.1 200 OK\r\ncontent-le", IoErrorKind::Disconnected),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", IoErrorKind::Disconnected),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", IoErrorKind::Disconnected),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", IoErrorKind::Protocol),
        ("HTTP/1.1 banana\r\n\r\n", IoErrorKind::Protocol),
        ("SSH-2.0-OpenSSH_9\r\n\r\n", IoErrorKind::Protocol),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1025\r\n\r\n", IoErrorKind::TooLarge),
    ];
    for (answer, kind) in cases {
        let (url, peer) = answering(answer);
        let mut driven = Driven::start::<R>();
        let ask = Request { answer: Answer::Whole { max_body: 1024 }, ..get(&url) };
        let op = driven.begin(|op| Action::Request { op, request: ask });
        let failure = driven.failed(op);
        assert_eq!(failure.kind, kind, "{answer:?}: {failure}");
        peer.join().expect("served");
        driven.end();
    }
}

pub fn an_endless_response_is_cut_off_at_its_limit<R: Runtime>() {
    let (url, peer) = peer(|listener| {
        let mut stream = accept(&listener);
        request(&mut stream);
        send(&mut stream, "HTTP/1.1 200 OK\r\n\r\n");
        let chunk = [b'x'; 4096];
        (0..).take_while(|_| stream.write_all(&chunk).is_ok()).count()
    });
    let mut driven = Driven::start::<R>();
    let op = driven.get(&url);
    driven.fails_with(op, IoErrorKind::TooLarge);
    peer.join().expect("the connection was dropped");
    driven.end();
}

pub fn a_server_that_is_silent_or_slow_costs_no_more_than_the_time_limit<R: Runtime>() {
    for first in ["", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nab"] {
        let (url, peer) = peer(move |listener| {
            let mut stream = accept(&listener);
            request(&mut stream);
            send(&mut stream, first);
            // The end of the connection: the client has dropped it.
            stream.read(&mut [0]).expect("an orderly end")
        });
        let mut driven = Driven::start::<R>();
        let ask = Request { timeout: Duration::from_millis(100), ..get(&url) };
        let op = driven.begin(|op| Action::Request { op, request: ask });
        driven.fails_with(op, IoErrorKind::TimedOut);
        assert_eq!(peer.join().expect("served"), 0);
        driven.end();
    }
}

pub fn a_cancelled_request_closes_its_connection<R: Runtime>() {
    let (url, peer) = peer(|listener| {
        let mut stream = accept(&listener);
        let _ = request(&mut stream);
        stream.read(&mut [0]).expect("an orderly end")
    });
    let mut driven = Driven::start::<R>();
    let op = driven.get(&url);
    driven.is_quiet();
    driven.act(Action::Cancel { op });
    assert_eq!(peer.join().expect("served"), 0);
    driven.is_quiet();
    driven.end();
}

pub fn a_refused_connection_an_unknown_name_and_an_invalid_url_are_distinguished<R: Runtime>() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr();
    let cases = [
        (format!("http://{}/", free.expect("an address")), IoErrorKind::Refused),
        ("http://no-such-host.invalid/".to_owned(), IoErrorKind::Dns),
        ("not a url".to_owned(), IoErrorKind::Protocol),
        ("/path/only".to_owned(), IoErrorKind::Protocol),
        ("gopher://127.0.0.1/".to_owned(), IoErrorKind::Protocol),
    ];
    let mut driven = Driven::start::<R>();
    for (url, kind) in cases {
        let op = driven.get(&url);
        let failure = driven.failed(op);
        assert_eq!(failure.kind, kind, "{url}: {failure}");
    }
    driven.end();
}

pub fn a_connection_is_reused_and_replaced_if_the_server_has_closed_it<R: Runtime>() {
    let (url, peer) = peer(|listener| {
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        let mut first = accept(&listener);
        for _ in 0..3 {
            request(&mut first);
            send(&mut first, ok);
        }
        // Closed just as the next request is sent: that is read, but not answered.
        request(&mut first);
        drop(first);
        let mut second = accept(&listener);
        request(&mut second);
        send(&mut second, ok);
    });
    let mut driven = Driven::start::<R>();
    for _ in 0..4 {
        let op = driven.get(&url);
        assert_eq!(driven.response(op).status, 200);
    }
    peer.join().expect("two connections were enough");
    driven.end();
}

pub fn a_request_that_is_not_idempotent_is_never_sent_twice<R: Runtime>() {
    let (url, peer) = peer(|listener| {
        let mut first = accept(&listener);
        request(&mut first);
        send(&mut first, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        request(&mut first);
    });
    let mut driven = Driven::start::<R>();
    let op = driven.get(&url);
    driven.response(op);
    let ask = Request { method: Method::Post, ..get(&url) };
    let op = driven.begin(|op| Action::Request { op, request: ask });
    driven.fails_with(op, IoErrorKind::Disconnected);
    peer.join().expect("served");
    driven.end();
}

pub fn any_status_is_a_response_with_its_body<R: Runtime>() {
    for (answer, status, body) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 302, ""),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!", 404, "no!"),
        ("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy", 503, "busy"),
    ] {
        let (url, peer) = answering(answer);
        let mut driven = Driven::start::<R>();
        let op = driven.get(&url);
        let response = driven.response(op);
        assert_eq!((response.status, &response.body[..]), (status, body.as_bytes()), "{answer}");
        peer.join().expect("served");
        driven.end();
    }
}

pub fn a_post_without_a_body_announces_its_length<R: Runtime>() {
    let (url, peer) = peer(|listener| {
        let mut stream = accept(&listener);
        let request = request(&mut stream);
        send(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        request
    });
    let mut driven = Driven::start::<R>();
    let ask = Request { method: Method::Post, ..get(&url) };
    let op = driven.begin(|op| Action::Request { op, request: ask });
    driven.response(op);
    let seen = peer.join().expect("a request");
    assert!(seen.contains("\r\ncontent-length: 0\r\n"), "{seen}");
    driven.end();
}

pub fn a_dripping_server_is_cut_off_at_the_time_limit_and_not_before<R: Runtime>() {
    let (url, peer) = peer(|listener| {
        let mut stream = accept(&listener);
        request(&mut stream);
        send(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        // A byte now and then, so that no single read times out.
        while stream.write_all(b".").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let mut driven = Driven::start::<R>();
    let timeout = Duration::from_millis(300);
    let ask = Request { timeout, ..get(&url) };
    let begun = std::time::Instant::now();
    let op = driven.begin(|op| Action::Request { op, request: ask });
    driven.fails_with(op, IoErrorKind::TimedOut);
    assert!(begun.elapsed() >= timeout);
    peer.join().expect("the connection was dropped");
    driven.end();
}
