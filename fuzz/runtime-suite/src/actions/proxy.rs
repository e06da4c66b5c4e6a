//! Connecting through an HTTP proxy.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use footbridge_core::contract::event::IoErrorKind;

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

pub fn a_proxy_that_refuses_a_tunnel_is_named<R: Runtime>() {
    let (url, proxy) = proxy("403 Forbidden");
    let mut driven = through::<R>(url);
    let op = driven.get("https://somewhere.invalid/");
    let failure = driven.failed(op);
    assert_eq!(failure.kind, IoErrorKind::Refused);
    assert!(failure.detail.contains("the proxy 127.0.0.1"), "{failure}");
    assert!(!failure.detail.contains("word"), "{failure}");
    proxy.join().expect("asked");
    driven.end();
}
