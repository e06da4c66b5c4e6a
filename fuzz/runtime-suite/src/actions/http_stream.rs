//! Streaming responses read from peers that speak raw TCP.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::sleep;
use std::time::{Duration, Instant};

use footbridge_core::contract::action::{Action, Answer, Message, Method, Request};
use footbridge_core::contract::event::{Event, IoErrorKind};

use super::http::{accept, answering, peer, request, send};
use crate::Runtime;
use crate::harness::{Driven, PATIENCE, get};

const LONG: Duration = Duration::from_secs(20);
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

pub fn pieces_are_delivered_as_they_arrive_and_then_the_end<R: Runtime>() {
    let (seen, more) = channel();
    let (url, peer) = peer(move |listener| {
        let mut stream = accept(&listener);
        request(&mut stream);
        for text in [CHUNKED, "3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"] {
            send(&mut stream, text);
            more.recv_timeout(PATIENCE).expect("seen");
        }
    });
    let mut driven = Driven::start::<R>();
    let op = driven.stream(&url, LONG);
    let head = driven.head(op);
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    driven.is_quiet();
    for text in ["one", "two"] {
        seen.send(()).expect("the peer");
        assert_eq!(driven.received(op), Message::Binary(text.into()));
        driven.is_quiet();
    }
    seen.send(()).expect("the peer");
    assert_eq!(driven.next(), Event::Closed { op, code: None, failure: None });
    seen.send(()).expect("the peer");
    peer.join().expect("served");
    driven.end();
}

pub fn a_response_is_complete_only_if_its_end_was_announced<R: Runtime>() {
    let cases = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcde", "abcde", None),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabcde", "abcde", None),
        ("HTTP/1.0 200 OK\r\n\r\nabcde", "abcde", None),
        ("HTTP/1.1 204 No Content\r\n\r\n", "", None),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "", None),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
            "abc",
            Some(IoErrorKind::Disconnected),
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\n",
            "abc",
            Some(IoErrorKind::Disconnected),
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n",
            "abc",
            Some(IoErrorKind::Protocol),
        ),
    ];
    for (answer, expected, kind) in cases {
        let (url, peer) = answering(answer);
        let mut driven = Driven::start::<R>();
        let op = driven.stream(&url, LONG);
        driven.head(op);
        let (bytes, failure) = driven.rest(op);
        assert!(expected.as_bytes().starts_with(&bytes), "{answer}");
        assert_eq!(failure, kind, "{answer}");
        // Data that arrived together with a protocol violation may be lost with it.
        assert!(bytes.len() == expected.len() || kind.is_some(), "{answer}");
        peer.join().expect("served");
        driven.end();
    }
    let (url, peer) = peer(|listener| drop(request(&mut accept(&listener))));
    let mut driven = Driven::start::<R>();
    let op = driven.stream(&url, LONG);
    driven.fails_with(op, IoErrorKind::Disconnected);
    peer.join().expect("served");
    driven.end();
}

pub fn any_status_is_a_head_with_its_body<R: Runtime>() {
    for (status, method) in [(500, Method::Get), (401, Method::Post), (302, Method::Get)] {
        let (url, peer) = answering(format!("HTTP/1.1 {status} X\r\ncontent-length: 3\r\n\r\nwhy"));
        let mut driven = Driven::start::<R>();
        let answer = Answer::Stream { idle_timeout: LONG };
        let ask = Request { method, answer, ..get(&url) };
        let op = driven.begin(|op| Action::Request { op, request: ask });
        assert_eq!(driven.head(op).status, status);
        assert_eq!(driven.rest(op), (b"why".to_vec(), None));
        peer.join().expect("served");
        driven.end();
    }
    let (url, peer) = answering("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n");
    let mut driven = Driven::start::<R>();
    let answer = Answer::Stream { idle_timeout: LONG };
    let ask = Request { method: Method::Head, answer, ..get(&url) };
    let op = driven.begin(|op| Action::Request { op, request: ask });
    assert_eq!(driven.head(op).header("content-length"), Some("3"));
    assert_eq!(driven.rest(op), (Vec::new(), None));
    peer.join().expect("served");
    driven.end();
}

pub fn silence_is_bounded_before_the_head_and_after_each_piece<R: Runtime>() {
    let idle = Duration::from_millis(800);
    // A head that never arrives is up to the time limit.
    let (url, silent) = peer(|listener| {
        let mut stream = accept(&listener);
        request(&mut stream);
        drop(stream.read(&mut [0]));
    });
    let mut driven = Driven::start::<R>();
    let answer = Answer::Stream { idle_timeout: LONG };
    let ask = Request { timeout: Duration::from_millis(300), answer, ..get(&url) };
    let op = driven.begin(|op| Action::Request { op, request: ask });
    driven.fails_with(op, IoErrorKind::TimedOut);
    silent.join().expect("served");
    // Drips that are frequent enough continue past either limit; then they stop.
    let (url, dripping) = peer(|listener| {
        let mut stream = accept(&listener);
        request(&mut stream);
        send(&mut stream, CHUNKED);
        for _ in 0..8 {
            sleep(Duration::from_millis(200));
            send(&mut stream, "1\r\nx\r\n");
        }
        drop(stream.read(&mut [0]));
    });
    let answer = Answer::Stream { idle_timeout: idle };
    let ask = Request { timeout: Duration::from_secs(1), answer, ..get(&url) };
    // The peer drips from the request on, and not from when its head arrives here.
    let began = Instant::now();
    let op = driven.begin(|op| Action::Request { op, request: ask });
    driven.head(op);
    assert_eq!(driven.rest(op), (b"xxxxxxxx".to_vec(), Some(IoErrorKind::TimedOut)));
    assert!(began.elapsed() >= Duration::from_millis(8 * 200) + idle, "{:?}", began.elapsed());
    dripping.join().expect("served");
    driven.end();
}

pub fn a_paused_response_holds_up_its_server_and_loses_nothing<R: Runtime>() {
    const TOTAL: usize = 64 << 20;
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    let (url, peer) = peer(move |listener| {
        let mut stream = accept(&listener);
        request(&mut stream);
        send(&mut stream, &format!("HTTP/1.1 200 OK\r\ncontent-length: {TOTAL}\r\n\r\n"));
        let block = [b'x'; 64 << 10];
        while counter.load(Ordering::Relaxed) < TOTAL {
            stream.write_all(&block).expect("written");
            counter.fetch_add(block.len(), Ordering::Relaxed);
        }
    });
    let mut driven = Driven::start::<R>();
    // Shorter than the pause, which does not count.
    let op = driven.stream(&url, Duration::from_secs(2));
    driven.head(op);
    driven.act(Action::Pause { op });
    let mut bytes = 0;
    let mut count = |events: Vec<Event>| {
        for event in events {
            match event {
                Event::Received { message, .. } => bytes += message.len(),
                other => panic!("{other:?}"),
            }
        }
    };
    count(driven.settled());
    let before = written.load(Ordering::Relaxed);
    assert!(before < TOTAL, "all of it found room");
    sleep(Duration::from_secs(3));
    count(driven.settled());
    assert_eq!(written.load(Ordering::Relaxed), before, "it keeps sending while paused");
    driven.act(Action::Resume { op });
    let (rest, failure) = driven.rest(op);
    assert_eq!((bytes + rest.len(), failure), (TOTAL, None));
    peer.join().expect("served");
    driven.end();
}

pub fn a_requested_pause_does_not_count_as_silence<R: Runtime>() {
    let idle = Duration::from_millis(600);
    let (url, peer) = peer(move |listener| {
        let mut stream = accept(&listener);
        request(&mut stream);
        send(&mut stream, CHUNKED);
        // The reader is already waiting here when it is paused.
        drop(stream.read(&mut [0]));
    });
    let mut driven = Driven::start::<R>();
    let op = driven.stream(&url, idle);
    driven.head(op);
    sleep(idle / 3);
    driven.act(Action::Pause { op });
    sleep(2 * idle);
    driven.is_quiet();
    driven.act(Action::Resume { op });
    let resumed = Instant::now();
    assert_eq!(driven.rest(op), (Vec::new(), Some(IoErrorKind::TimedOut)));
    assert!(resumed.elapsed() > idle / 2, "{:?}", resumed.elapsed());
    peer.join().expect("served");
    driven.end();
}

pub fn a_cancelled_response_closes_its_connection<R: Runtime>() {
    for is_paused in [false, true] {
        let (url, peer) = peer(|listener| {
            let mut stream = accept(&listener);
            request(&mut stream);
            send(&mut stream, CHUNKED);
            send(&mut stream, "3\r\none\r\n");
            stream.set_read_timeout(Some(PATIENCE)).expect("set");
            match stream.read(&mut [0]) {
                Ok(n) => n == 0,
                Err(error) => error.kind() == ErrorKind::ConnectionReset,
            }
        });
        let mut driven = Driven::start::<R>();
        let op = driven.stream(&url, LONG);
        driven.head(op);
        driven.received(op);
        if is_paused {
            driven.act(Action::Pause { op });
        }
        driven.act(Action::Cancel { op });
        assert!(peer.join().expect("served"), "it stays open");
        driven.is_quiet();
        driven.end();
    }
}

pub fn a_connection_is_reused_after_the_end<R: Runtime>() {
    let (url, peer) = peer(|listener| {
        let mut stream = accept(&listener);
        for _ in 0..2 {
            request(&mut stream);
            send(&mut stream, &format!("{CHUNKED}3\r\none\r\n0\r\n\r\n"));
        }
    });
    let mut driven = Driven::start::<R>();
    let op = driven.stream(&url, LONG);
    driven.head(op);
    assert_eq!(driven.rest(op), (b"one".to_vec(), None));
    let op = driven.get(&url);
    assert_eq!(driven.response(op).body.as_ref(), b"one");
    peer.join().expect("served");
    driven.end();
}
