//! WebSockets against a server of the same library, and against plain sockets.
#![expect(clippy::result_large_err, reason = "the library's callbacks are of this type")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::contract::action::{Action, Message, Target};
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message as Frame, WebSocket, accept, accept_hdr};

use crate::stage::Stage;

const PROTOCOL: &str = "footbridge.link.v1";

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/v2/session_ingress/ws/s", listener.local_addr().expect("bound"));
    (listener, url)
}

/// Runs a server for one client.
fn serve<T: Send + 'static>(
    listener: TcpListener,
    server: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> Receiver<T> {
    let (tell, told) = channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        // A script that has seen enough is not listening.
        let _ = tell.send(server(stream));
    });
    told
}

fn start(stage: &mut Stage, url: &str, protocol: Option<&'static str>) -> OpId {
    let target = Target::WebSocket {
        url: url.to_owned(),
        headers: vec![("authorization", Secret::from("Bearer hunter2"))],
        protocol,
        timeout: Duration::from_secs(10),
        max_message: 1 << 20,
    };
    stage.start(|op| Action::Open { op, target })
}

fn open(stage: &mut Stage, url: &str) -> OpId {
    let op = start(stage, url, None);
    assert_eq!(stage.next(), Event::Opened { op });
    op
}

fn send(stage: &Stage, op: OpId, text: String) {
    stage.act(Action::Send { op, message: Message::Text(Text::from(text)) });
}

/// What is received until the end, and the end.
fn rest(stage: &Stage) -> (Vec<Message>, Option<u16>, Option<IoErrorKind>) {
    let mut received = Vec::new();
    loop {
        match stage.next() {
            Event::Received { message, .. } => received.push(message),
            Event::Sent { .. } => {}
            Event::Closed { code, failure, .. } => {
                return (received, code, failure.map(|failure| failure.kind));
            }
            other => panic!("{other:?} is not of a stream"),
        }
    }
}

fn echo(mut socket: WebSocket<TcpStream>) {
    while let Ok(frame) = socket.read() {
        if frame.is_text() || frame.is_binary() {
            socket.send(frame).expect("sent");
        }
    }
}

/// Reads until the connection is down, as the closing handshake wants it.
fn drain(mut socket: WebSocket<TcpStream>) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Ok(frame) = socket.read() {
        frames.push(frame);
    }
    frames
}

#[test]
fn messages_come_back_in_order_and_each_is_told_as_sent() {
    let (listener, url) = listen();
    let _server = serve(listener, |stream| echo(accept(stream).expect("a handshake")));
    let mut stage = Stage::new();
    let op = open(&mut stage, &url);
    let count = 10_000;
    let sender = |n: usize| format!("{n} {}", "x".repeat(n % 300));
    for n in 0..count {
        send(&stage, op, sender(n));
    }
    let (mut sent, mut received) = (0, 0);
    while sent < count || received < count {
        match stage.next() {
            Event::Sent { messages, .. } => sent += messages,
            Event::Received { message: Message::Text(text), .. } => {
                assert_eq!(text.as_str(), sender(received));
                received += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    let message = Message::Binary(Bytes::from(vec![7; 1 << 20]));
    stage.act(Action::Send { op, message: message.clone() });
    assert_eq!(stage.next(), Event::Sent { op, messages: 1 });
    assert_eq!(stage.next(), Event::Received { op, message });
    stage.act(Action::Close { op, code: 1000 });
    assert_eq!(rest(&stage), (Vec::new(), Some(1000), None));
    assert_eq!(stage.end(), []);
}

#[test]
fn headers_and_subprotocol_reach_the_server() {
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
    let mut stage = Stage::new();
    let op = start(&mut stage, &url, Some(PROTOCOL));
    assert_eq!(stage.next(), Event::Opened { op });
    stage.end();
    let asked = server.recv().expect("asked");
    assert!(asked.starts_with("/v2/session_ingress/ws/s "), "{asked}");
    assert!(asked.contains("Bearer hunter2") && asked.contains(PROTOCOL), "{asked}");
}

#[test]
fn a_server_that_does_not_select_the_subprotocol_has_refused() {
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
        let mut stage = Stage::new();
        start(&mut stage, &url, Some(PROTOCOL));
        let Event::Refused { response, .. } = stage.next() else { panic!("not refused") };
        assert_eq!(response.status, 101, "{selected:?}");
        assert_eq!(stage.end(), []);
    }
}

#[test]
fn a_declined_upgrade_comes_with_the_whole_answer() {
    let (listener, url) = listen();
    let _server = serve(listener, |mut stream| {
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
        // Held open: the length alone says where the body ends.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).is_ok()
    });
    let mut stage = Stage::new();
    start(&mut stage, &url, None);
    let Event::Refused { response, .. } = stage.next() else { panic!("not refused") };
    assert_eq!((response.status, response.header("x-why")), (409, Some("lease")));
    assert!(response.body == vec![b'x'; 10_000], "{} bytes", response.body.len());
    stage.end();
}

#[test]
fn what_goes_wrong_before_it_opens_is_told_apart() {
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
        let mut stage = Stage::new();
        start(&mut stage, &url, None);
        let Event::Failed { failure, .. } = stage.next() else { panic!("{answer:?}") };
        assert_eq!(failure.kind, kind, "{answer:?}: {failure}");
        stage.end();
    }
    let (listener, url) = listen();
    drop(listener);
    let mut stage = Stage::new();
    for (url, kind) in [
        (&url[..], IoErrorKind::Refused),
        ("ws://no-such-host.invalid/", IoErrorKind::Dns),
        ("http://127.0.0.1/", IoErrorKind::Other),
    ] {
        start(&mut stage, url, None);
        let Event::Failed { failure, .. } = stage.next() else { panic!("{url}") };
        assert_eq!(failure.kind, kind, "{failure}");
    }
    stage.end();
}

#[test]
fn a_silent_server_runs_into_the_time_limit_or_the_cancel() {
    let (listener, url) = listen();
    let mut stage = Stage::new();
    let target = |timeout| Target::WebSocket {
        url: url.clone(),
        headers: Vec::new(),
        protocol: None,
        timeout,
        max_message: 1000,
    };
    let begun = Instant::now();
    let short = target(Duration::from_millis(200));
    stage.start(|op| Action::Open { op, target: short });
    let (mut first, _) = listener.accept().expect("a client");
    let Event::Failed { failure, .. } = stage.next() else { panic!("opened") };
    assert_eq!(failure.kind, IoErrorKind::TimedOut);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    first.read_to_end(&mut Vec::new()).expect("it is closed");

    let long = target(Duration::from_secs(3600));
    let op = stage.start(|op| Action::Open { op, target: long });
    let (mut second, _) = listener.accept().expect("a client");
    stage.act(Action::Cancel { op });
    second.read_to_end(&mut Vec::new()).expect("it is closed");
    assert_eq!(stage.end(), []);
}

#[test]
fn the_close_of_the_other_side_arrives_with_its_code_after_its_messages() {
    for (code, told) in [(Some(4409), Some(4409)), (Some(1001), Some(1001)), (None, None)] {
        let (listener, url) = listen();
        let _server = serve(listener, move |stream| {
            let mut socket = accept(stream).expect("a handshake");
            socket.send(Frame::text("last")).expect("sent");
            let frame = code.map(|code: u16| CloseFrame { code: code.into(), reason: "x".into() });
            socket.close(frame).expect("sent");
            drain(socket)
        });
        let mut stage = Stage::new();
        let op = open(&mut stage, &url);
        let last = Message::Text(Text::from("last"));
        assert_eq!(rest(&stage), (vec![last], told, None), "{op}");
        stage.end();
    }
}

#[test]
fn the_code_of_the_other_side_is_heard_by_one_that_is_sending() {
    let (listener, url) = listen();
    let _server = serve(listener, |stream| {
        let mut socket = accept(stream).expect("a handshake");
        socket.read().expect("it is sending");
        let frame = CloseFrame { code: 4409.into(), reason: "".into() };
        socket.close(Some(frame)).expect("sent");
        // With all that it has not read, so that the system breaks the connection.
        drop(socket);
    });
    let mut stage = Stage::new();
    let op = open(&mut stage, &url);
    for _ in 0..200 {
        send(&stage, op, "x".repeat(100_000));
    }
    assert_eq!(rest(&stage), (Vec::new(), Some(4409), None));
    stage.end();
}

#[test]
fn closing_lets_everything_before_it_leave_first() {
    let (listener, url) = listen();
    let server = serve(listener, |stream| {
        let socket = accept(stream).expect("a handshake");
        thread::sleep(Duration::from_millis(100));
        drain(socket)
    });
    let mut stage = Stage::new();
    let op = open(&mut stage, &url);
    for _ in 0..100 {
        send(&stage, op, "x".repeat(100_000));
    }
    stage.act(Action::Close { op, code: 4000 });
    assert_eq!(rest(&stage), (Vec::new(), Some(4000), None));
    let frames = server.recv().expect("drained");
    assert_eq!(frames.len(), 101);
    assert!(matches!(&frames[100], Frame::Close(Some(frame)) if u16::from(frame.code) == 4000));
    stage.end();
}

#[test]
fn a_peer_that_never_answers_the_close_is_given_up() {
    let (listener, url) = listen();
    let _server = serve(listener, |stream| {
        let socket = accept(stream).expect("a handshake");
        thread::sleep(Duration::from_secs(15));
        drop(socket);
    });
    let mut stage = Stage::new();
    let op = open(&mut stage, &url);
    let begun = Instant::now();
    stage.act(Action::Close { op, code: 1000 });
    assert_eq!(rest(&stage), (Vec::new(), None, Some(IoErrorKind::TimedOut)));
    assert!((4..10).contains(&begun.elapsed().as_secs()));
    stage.end();
}

#[test]
fn a_connection_that_breaks_is_told_as_broken() {
    let (listener, url) = listen();
    let _server = serve(listener, |stream| {
        let mut socket = accept(stream).expect("a handshake");
        socket.send(Frame::text("last")).expect("sent");
    });
    let mut stage = Stage::new();
    open(&mut stage, &url);
    let last = Message::Text(Text::from("last"));
    assert_eq!(rest(&stage), (vec![last], None, Some(IoErrorKind::Disconnected)));
    stage.end();
}

#[test]
fn a_message_that_is_too_large_closes_with_1009() {
    let (listener, url) = listen();
    let server = serve(listener, |stream| {
        let mut socket = accept(stream).expect("a handshake");
        // The other side stops reading in the middle of it.
        let _ = socket.send(Frame::binary(vec![0; (1 << 20) + 1]));
        drain(socket)
    });
    let mut stage = Stage::new();
    open(&mut stage, &url);
    assert_eq!(rest(&stage), (Vec::new(), None, Some(IoErrorKind::TooLarge)));
    let frames = server.recv().expect("drained");
    assert!(matches!(&frames[..], [Frame::Close(Some(frame))] if u16::from(frame.code) == 1009));
    stage.end();
}

#[test]
fn pings_are_answered_without_the_machine() {
    let (listener, url) = listen();
    let server = serve(listener, |stream| {
        let mut socket = accept(stream).expect("a handshake");
        socket.send(Frame::Ping(Bytes::from_static(b"there?"))).expect("sent");
        let answer = socket.read().expect("an answer");
        socket.close(None).expect("sent");
        drain(socket);
        answer
    });
    let mut stage = Stage::new();
    open(&mut stage, &url);
    assert_eq!(rest(&stage), (Vec::new(), None, None));
    assert_eq!(server.recv().expect("told"), Frame::Pong(Bytes::from_static(b"there?")));
    stage.end();
}

#[test]
fn a_paused_stream_holds_the_sender_up_and_loses_nothing() {
    let (listener, url) = listen();
    let (tell, told) = channel();
    let _server = serve(listener, move |stream| {
        let mut socket = accept(stream).expect("a handshake");
        let go = socket.read().expect("the word to begin");
        assert_eq!(go, Frame::text("go"));
        for n in 0..2000_u32 {
            socket.send(Frame::text(format!("{n}{}", "x".repeat(20_000)))).expect("sent");
            tell.send(n).expect("heard");
        }
        drain(socket)
    });
    let mut stage = Stage::new();
    let op = open(&mut stage, &url);
    stage.act(Action::Pause { op });
    send(&stage, op, "go".to_owned());
    assert_eq!(stage.next(), Event::Sent { op, messages: 1 }, "sending goes on");
    // It sends as much as the system buffers, and then it is held up.
    let mut last = 0;
    while let Ok(n) = told.recv_timeout(Duration::from_millis(500)) {
        last = n;
    }
    assert!(last < 1999, "nothing held it up");
    stage.act(Action::Resume { op });
    for n in 0..2000_u32 {
        let Event::Received { message: Message::Text(text), .. } = stage.next() else {
            panic!("something else came")
        };
        assert!(text.as_str().starts_with(&format!("{n}x")), "{n}");
    }
    stage.act(Action::Close { op, code: 1000 });
    assert_eq!(rest(&stage), (Vec::new(), Some(1000), None));
    stage.end();
}

#[test]
fn a_peer_that_reads_nothing_holds_sending_up_until_the_cancel() {
    let (listener, url) = listen();
    let (hold, held) = channel::<()>();
    let _server = serve(listener, move |stream| {
        let socket = accept(stream).expect("a handshake");
        // Until the script drops its end.
        let _ = held.recv();
        drop(socket);
    });
    let mut stage = Stage::new();
    let op = open(&mut stage, &url);
    for _ in 0..400 {
        send(&stage, op, "x".repeat(100_000));
    }
    let mut wake = stage.start(|op| Action::List { op, path: "/nonexistent".to_owned() });
    let mut sent = 0;
    // The loop itself is not held up: it goes on to do other things.
    for _ in 0..20 {
        loop {
            match stage.next() {
                Event::Sent { messages, .. } => sent += messages,
                Event::Listed { op, .. } if op == wake => break,
                other => panic!("{other:?}"),
            }
        }
        wake = stage.start(|op| Action::List { op, path: "/nonexistent".to_owned() });
    }
    assert!(sent < 400, "{sent} messages have left for nowhere");
    stage.act(Action::Cancel { op });
    let begun = Instant::now();
    stage.end();
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(hold);
}

#[test]
fn what_was_cancelled_says_nothing_more() {
    let (listener, url) = listen();
    let _server = serve(listener, |stream| {
        let mut socket = accept(stream).expect("a handshake");
        while socket.send(Frame::text("more")).is_ok() {}
    });
    let mut stage = Stage::new();
    let op = open(&mut stage, &url);
    assert!(matches!(stage.next(), Event::Received { .. }));
    stage.act(Action::Cancel { op });
    let listed = stage.start(|op| Action::List { op, path: "/nonexistent".to_owned() });
    // What came in before the cancel was handed on before it.
    while !matches!(stage.next(), Event::Listed { op, .. } if op == listed) {}
    thread::sleep(Duration::from_millis(50));
    assert_eq!(stage.end(), []);
}

#[test]
fn failures_name_the_place_and_no_secret() {
    let (listener, url) = listen();
    drop(listener);
    let mut stage = Stage::new();
    let op = start(&mut stage, &url, None);
    let Event::Failed { op: of, failure: IoError { detail, .. } } = stage.next() else {
        panic!("opened")
    };
    assert_eq!(op, of);
    assert!(detail.contains("127.0.0.1:") && !detail.contains("hunter2"), "{detail}");
    stage.end();
}
