//! HTTP against a peer of plain sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::{Action, Method, Request, Response};
use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::stage::Stage;

fn get(url: String) -> Request {
    Request {
        method: Method::Get,
        url,
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(10),
        max_response: 1 << 20,
    }
}

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    (listener, url)
}

/// One request with its body, as it came; `None` if the client has gone.
fn read_request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if stream.read_line(&mut request).ok()? == 0 {
            return None;
        }
    }
    let length = request.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    stream.read_exact(&mut body).ok()?;
    Some(request + &String::from_utf8(body).expect("text"))
}

/// Answers every request of each connection in the same way, and hands back what was asked.
fn serve(listener: TcpListener, answer: &'static str) -> std::sync::mpsc::Receiver<String> {
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let tell = tell.clone();
            let mut stream = BufReader::new(stream.expect("a client"));
            thread::spawn(move || {
                let peer = stream.get_ref().peer_addr().expect("connected");
                while let Some(request) = read_request(&mut stream) {
                    tell.send(format!("{peer}\n{request}")).expect("heard");
                    stream.get_mut().write_all(answer.as_bytes()).expect("sent");
                    if !answer.contains("Content-Length") {
                        return;
                    }
                }
            });
        }
    });
    told
}

fn ask(stage: &mut Stage, request: Request) -> Result<Response, IoErrorKind> {
    let op = stage.start(|op| Action::Request { op, request });
    match stage.next() {
        Event::Response { op: of, response } if of == op => Ok(response),
        Event::Failed { op: of, failure } if of == op => Err(failure.kind),
        other => panic!("{other:?} is no answer to a request"),
    }
}

#[test]
fn a_request_arrives_as_it_was_meant() {
    let (listener, url) = listen();
    let asked = serve(listener, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Thing: A\r\n\r\nhi");
    let mut stage = Stage::new();
    let request = Request {
        method: Method::Post,
        headers: vec![
            ("authorization", Secret::from("Bearer hunter2")),
            ("content-type", Secret::from("application/json")),
        ],
        body: Bytes::from_static(b"{\"a\":1}"),
        ..get(format!("{url}/v1/thing?x=1"))
    };
    let response = ask(&mut stage, request).expect("an answer");
    assert_eq!((response.status, &response.body[..]), (200, &b"hi"[..]));
    assert_eq!(response.header("x-thing"), Some("A"));
    let asked = asked.recv().expect("asked");
    assert!(asked.contains("\nPOST /v1/thing?x=1 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nauthorization: Bearer hunter2\r\n"), "{asked}");
    assert!(asked.contains("\r\nhost: 127.0.0.1:"), "{asked}");
    assert!(asked.ends_with("\r\n\r\n{\"a\":1}"), "{asked}");
    stage.end();
}

#[test]
fn any_status_is_an_answer_with_its_body() {
    for (answer, status, body) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 302, ""),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!", 404, "no!"),
        ("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy", 503, "busy"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            200,
            "abcde",
        ),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end", 200, "to the end"),
    ] {
        let (listener, url) = listen();
        let _asked = serve(listener, answer);
        let mut stage = Stage::new();
        let response = ask(&mut stage, get(url)).expect(answer);
        assert_eq!((response.status, &response.body[..]), (status, body.as_bytes()), "{answer}");
        stage.end();
    }
}

#[test]
fn the_next_request_to_the_same_place_uses_the_same_connection() {
    let (listener, url) = listen();
    let asked = serve(listener, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    let mut stage = Stage::new();
    let mut peers = Vec::new();
    for _ in 0..5 {
        ask(&mut stage, get(url.clone())).expect("an answer");
        let asked = asked.recv().expect("asked");
        peers.push(asked.lines().next().expect("the peer").to_owned());
    }
    peers.dedup();
    assert_eq!(peers.len(), 1, "{peers:?}");
    stage.end();
}

#[test]
fn a_request_without_body_that_should_have_one_says_so() {
    let (listener, url) = listen();
    let asked = serve(listener, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    let mut stage = Stage::new();
    ask(&mut stage, Request { method: Method::Post, ..get(url) }).expect("an answer");
    let asked = asked.recv().expect("asked");
    assert!(asked.contains("\r\ncontent-length: 0\r\n"), "{asked}");
    stage.end();
}

#[test]
fn what_goes_wrong_is_told_apart() {
    let cases: [(&str, IoErrorKind); 5] = [
        // No answer, half an answer, no HTTP, half a body, too long a body.
        ("", IoErrorKind::Disconnected),
        ("HTTP/1.1 200 OK\r\nConte", IoErrorKind::Disconnected),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", IoErrorKind::Protocol),
        ("HTTP/1.1 200 OK\r\nContent-length: 10\r\n\r\nhalf", IoErrorKind::Disconnected),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", IoErrorKind::TooLarge),
    ];
    for (answer, kind) in cases {
        let (listener, url) = listen();
        thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            let mut stream = BufReader::new(stream);
            read_request(&mut stream);
            stream.get_mut().write_all(answer.as_bytes()).expect("sent");
        });
        let mut stage = Stage::new();
        let failed = ask(&mut stage, Request { max_response: 9, ..get(url) });
        assert_eq!(failed, Err(kind), "{answer:?}");
        stage.end();
    }
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    let (listener, url) = listen();
    drop(listener);
    let mut stage = Stage::new();
    assert_eq!(ask(&mut stage, get(url)), Err(IoErrorKind::Refused));
    stage.end();
}

#[test]
fn a_name_that_is_none_is_not_found() {
    let mut stage = Stage::new();
    let failed = ask(&mut stage, get("http://no-such-host.invalid/".to_owned()));
    assert_eq!(failed, Err(IoErrorKind::Dns));
    stage.end();
}

#[test]
fn a_silent_server_runs_into_the_time_limit() {
    // One says nothing; one drips a byte now and then, so that no single read is late.
    for drip in [false, true] {
        let (listener, url) = listen();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
            let mut sent = !drip || stream.write_all(head).is_ok();
            while sent {
                thread::sleep(Duration::from_millis(20));
                sent = !drip || stream.write_all(b".").is_ok();
            }
        });
        let mut stage = Stage::new();
        let begun = Instant::now();
        let request = Request { timeout: Duration::from_millis(300), ..get(url) };
        assert_eq!(ask(&mut stage, request), Err(IoErrorKind::TimedOut), "drip: {drip}");
        assert!(begun.elapsed() >= Duration::from_millis(300));
        stage.end();
    }
}

#[test]
fn a_cancelled_poll_is_freed_at_once_and_the_server_sees_it() {
    let (listener, url) = listen();
    let mut stage = Stage::new();
    let request = Request { timeout: Duration::from_secs(3600), ..get(url) };
    let op = stage.start(|op| Action::Request { op, request });
    let (stream, _) = listener.accept().expect("a client");
    let mut stream = BufReader::new(stream);
    read_request(&mut stream).expect("a request");
    stage.act(Action::Cancel { op });
    assert!(read_request(&mut stream).is_none(), "the connection is closed");
    // What a cancelled operation still has to say is nobody's.
    assert_eq!(stage.end(), []);
}
