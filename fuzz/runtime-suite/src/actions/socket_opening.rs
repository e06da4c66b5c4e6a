//! WebSockets: opening, or failing to.
#![expect(clippy::result_large_err, reason = "the library's callbacks are of this type")]

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use footbridge_core::contract::action::{Action, Target};
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};
use tungstenite::accept_hdr;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::HeaderValue;

use crate::Runtime;
use crate::harness::Driven;
use crate::harness::stream::{drain, listen, serve, start};

const PROTOCOL: &str = "footbridge.link.v1";

pub fn headers_and_subprotocol_reach_the_server<R: Runtime>() {
    let (listener, url) = listen();
    let server = serve(listener, |stream| {
        let mut asked = String::new();
        let look = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            asked = format!("{} {:?}", request.uri(), request.headers());
            let protocol = HeaderValue::from_static(PROTOCOL);
            response.headers_mut().insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        drain(accept_hdr(stream, look).expect("a handshake"));
        asked
    });
    let mut driven = Driven::start::<R>();
    let op = start(&mut driven, &url, Some(PROTOCOL));
    assert_eq!(driven.next(), Event::Opened { op });
    driven.end();
    let asked = server.recv().expect("asked");
    assert!(asked.starts_with("/v2/session_ingress/ws/s "), "{asked}");
    assert!(asked.contains("Bearer hunter2") && asked.contains(PROTOCOL), "{asked}");
}

pub fn a_server_that_does_not_select_the_subprotocol_refuses<R: Runtime>() {
    for selected in [None, Some("another")] {
        let (listener, url) = listen();
        let _server = serve(listener, move |stream| {
            let select = |_: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
                if let Some(selected) = selected {
                    let protocol = HeaderValue::from_static(selected);
                    response.headers_mut().insert("sec-websocket-protocol", protocol);
                }
                Ok(response)
            };
            accept_hdr(stream, select).map(drain).is_ok()
        });
        let mut driven = Driven::start::<R>();
        start(&mut driven, &url, Some(PROTOCOL));
        let Event::Refused { response, .. } = driven.next() else { panic!("not refused") };
        assert_eq!(response.status, 101, "{selected:?}");
        assert_eq!(driven.end(), []);
    }
}

pub fn a_declined_upgrade_includes_the_complete_response<R: Runtime>() {
    let (listener, url) = listen();
    let _server = serve(listener, |mut stream| {
        stream.read_exact(&mut [0; 16]).expect("a request");
        let body = "x".repeat(10_000);
        let head = format!(
            "HTTP/1.1 409 Conflict\r\nX-Why: lease\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        for part in body.as_bytes().chunks(1000) {
            stream.write_all(part).expect("sent");
            thread::sleep(Duration::from_millis(1));
        }
        // Held open: only the length says where the body ends.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).is_ok()
    });
    let mut driven = Driven::start::<R>();
    start(&mut driven, &url, None);
    let event = driven.next();
    let Event::Refused { response, .. } = event else { panic!("not refused: {event:?}") };
    assert_eq!((response.status, response.header("x-why")), (409, Some("lease")));
    assert!(response.body == vec![b'x'; 10_000], "{} bytes", response.body.len());
    driven.end();
}

pub fn failures_before_the_opening_are_distinguished<R: Runtime>() {
    let cases: [(&str, IoErrorKind); 3] = [
        ("", IoErrorKind::Disconnected),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", IoErrorKind::Protocol),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", IoErrorKind::Protocol),
    ];
    for (answer, kind) in cases {
        let (listener, url) = listen();
        let _server = serve(listener, move |mut stream| {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).expect("a request");
            stream.write_all(answer.as_bytes()).expect("sent");
            read
        });
        let mut driven = Driven::start::<R>();
        start(&mut driven, &url, None);
        let Event::Failed { failure, .. } = driven.next() else { panic!("{answer:?}") };
        assert_eq!(failure.kind, kind, "{answer:?}: {failure}");
        driven.end();
    }
    let (listener, url) = listen();
    drop(listener);
    let mut driven = Driven::start::<R>();
    for (url, kind) in [
        (&url[..], IoErrorKind::Refused),
        ("ws://no-such-host.invalid/", IoErrorKind::Dns),
        ("http://127.0.0.1/", IoErrorKind::Protocol),
    ] {
        start(&mut driven, url, None);
        let Event::Failed { failure, .. } = driven.next() else { panic!("{url}") };
        assert_eq!(failure.kind, kind, "{failure}");
    }
    driven.end();
}

pub fn a_silent_server_runs_into_the_time_limit_or_the_cancel<R: Runtime>() {
    let (listener, url) = listen();
    let mut driven = Driven::start::<R>();
    let target = |timeout| Target::WebSocket {
        url: url.clone(),
        headers: Vec::new(),
        protocol: None,
        timeout,
        max_message: 1000,
    };
    let begun = Instant::now();
    let short = target(Duration::from_millis(200));
    driven.begin(|op| Action::Open { op, target: short });
    let (mut first, _) = listener.accept().expect("a client");
    let Event::Failed { failure, .. } = driven.next() else { panic!("opened") };
    assert_eq!(failure.kind, IoErrorKind::TimedOut);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    first.read_to_end(&mut Vec::new()).expect("it is closed");

    let long = target(Duration::from_secs(3600));
    let op = driven.begin(|op| Action::Open { op, target: long });
    let (mut second, _) = listener.accept().expect("a client");
    driven.act(Action::Cancel { op });
    second.read_to_end(&mut Vec::new()).expect("it is closed");
    assert_eq!(driven.end(), []);
}

pub fn failures_name_the_place_but_no_secret<R: Runtime>() {
    let (listener, url) = listen();
    drop(listener);
    let mut driven = Driven::start::<R>();
    let op = start(&mut driven, &url, None);
    let Event::Failed { op: of, failure: IoError { detail, .. } } = driven.next() else {
        panic!("opened")
    };
    assert_eq!(op, of);
    assert!(detail.contains("127.0.0.1:") && !detail.contains("hunter2"), "{detail}");
    driven.end();
}
