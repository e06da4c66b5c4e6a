//! Connecting through an HTTP proxy.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use footbridge_core::base::text::Text;
use footbridge_core::contract::action::{Action, Message, Target};
use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::harness::Driven;
use crate::{HostSpec, Runtime};

fn head(stream: &mut TcpStream) -> String {
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        seen.push(byte[0]);
    }
    String::from_utf8(seen).expect("text")
}

/// Answers a `CONNECT` and plays the target itself; returns what it received.
fn proxy(status: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://me:word@{}", listener.local_addr().expect("an address"));
    let thread = std::thread::spawn(move || {
        let mut stream = listener.accept().expect("a connection").0;
        let mut seen = head(&mut stream);
        write!(stream, "HTTP/1.1 {status}\r\n\r\n").expect("sent");
        if status.starts_with('2') {
            seen += &head(&mut stream);
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").expect("sent");
        }
        seen
    });
    (url, thread)
}

fn through<R: Runtime>(url: String) -> Driven {
    Driven::on::<R>(HostSpec { proxy: Some(url), ..HostSpec::default() })
}

pub fn a_request_goes_through_the_tunnel_of_a_proxy_that_resolves_its_name<R: Runtime>() {
    let (url, proxy) = proxy("200 Connection established");
    let mut driven = through::<R>(url);
    let op = driven.get("http://somewhere.invalid/path");
    assert_eq!(driven.response(op).body.as_ref(), b"ok");
    let seen = proxy.join().expect("asked");
    assert!(seen.starts_with("CONNECT somewhere.invalid:80 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("proxy-authorization: Basic bWU6d29yZA==\r\n"), "{seen}");
    assert!(seen.contains("GET /path HTTP/1.1\r\nhost: somewhere.invalid\r\n"), "{seen}");
    driven.end();
}

pub fn a_web_socket_goes_through_the_tunnel_of_a_proxy<R: Runtime>() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://me:word@{}", listener.local_addr().expect("an address"));
    let proxy = std::thread::spawn(move || {
        let mut stream = listener.accept().expect("a connection").0;
        let seen = head(&mut stream);
        write!(stream, "HTTP/1.1 200 OK\r\nx: y\r\n\r\n").expect("sent");
        let mut socket = tungstenite::accept(stream).expect("a WebSocket");
        let said = socket.read().expect("a message");
        socket.send(said).expect("sent");
        // The other side closes.
        let _ = socket.read();
        let _ = socket.flush();
        seen
    });
    let mut driven = through::<R>(url);
    let target = Target::WebSocket {
        url: "ws://somewhere.invalid/path".to_owned(),
        headers: Vec::new(),
        protocol: None,
        timeout: Duration::from_secs(10),
        max_message: 1000,
    };
    let op = driven.begin(|op| Action::Open { op, target });
    assert_eq!(driven.next(), Event::Opened { op });
    let message = Message::Text(Text::from("hello".to_owned()));
    driven.act(Action::Send { op, message: message.clone() });
    assert_eq!(driven.next(), Event::Sent { op, messages: 1 });
    assert_eq!(driven.next(), Event::Received { op, message });
    driven.act(Action::Close { op, code: 1000 });
    assert!(matches!(driven.next(), Event::Closed { .. }));
    let seen = proxy.join().expect("asked");
    assert!(seen.starts_with("CONNECT somewhere.invalid:80 HTTP/1.1\r\n"), "{seen}");
    driven.end();
}

pub fn a_proxy_that_says_nothing_costs_no_more_than_the_time_limit<R: Runtime>() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut driven = through::<R>(url);
    let op = driven.get_within("http://somewhere.invalid/", Duration::from_secs(1));
    let failure = driven.failed(op);
    assert_eq!(failure.kind, IoErrorKind::TimedOut, "{failure}");
    driven.end();
}

pub fn a_proxy_that_refuses_a_tunnel_is_named<R: Runtime>() {
    for (status, words) in [("403 Forbidden", "HTTP 403"), ("407 Asks", "NAME:PASSWORD")] {
        let (url, proxy) = proxy(status);
        let mut driven = through::<R>(url);
        let op = driven.get("https://somewhere.invalid/");
        let failure = driven.failed(op);
        assert_eq!(failure.kind, IoErrorKind::Refused);
        assert!(failure.detail.contains("the proxy 127.0.0.1"), "{failure}");
        assert!(failure.detail.contains(words), "{failure}");
        assert!(!failure.detail.contains("me:word"), "{failure}");
        proxy.join().expect("asked");
        driven.end();
    }
}

pub fn a_proxy_that_cannot_be_reached_is_named<R: Runtime>() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = gone.local_addr().expect("an address").to_string();
    drop(gone);
    for (proxy, kind) in
        [(at.as_str(), IoErrorKind::Refused), ("proxy.invalid:3128", IoErrorKind::Dns)]
    {
        let mut driven = through::<R>(format!("http://me:word@{proxy}"));
        let asked = driven.get("https://somewhere.invalid/");
        let target = Target::WebSocket {
            url: "wss://somewhere.invalid/path".to_owned(),
            headers: Vec::new(),
            protocol: None,
            timeout: Duration::from_secs(10),
            max_message: 1000,
        };
        let request = driven.failed(asked);
        let opened = driven.begin(|op| Action::Open { op, target });
        for failure in [request, driven.failed(opened)] {
            assert_eq!(failure.kind, kind, "{failure}");
            assert!(failure.detail.contains(&format!("the proxy {proxy}")), "{failure}");
            assert!(!failure.detail.contains("me:word"), "{failure}");
        }
        driven.end();
    }
}
