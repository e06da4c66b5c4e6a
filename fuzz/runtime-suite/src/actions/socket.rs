//! Open WebSockets, with a server from the same library.

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use footbridge_core::base::text::Text;
use footbridge_core::contract::action::{Action, Message};
use footbridge_core::contract::event::{Event, IoErrorKind};
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message as Frame, accept};

use crate::Runtime;
use crate::harness::Driven;
use crate::harness::stream::{drain, echo, listen, open, rest, send_text, serve};

pub fn messages_come_back_in_order_and_each_is_reported_as_sent<R: Runtime>() {
    let (listener, url) = listen();
    let _server = serve(listener, |stream| echo(accept(stream).expect("a handshake")));
    let mut driven = Driven::start::<R>();
    let op = open(&mut driven, &url);
    let count = 10_000;
    let sender = |n: usize| format!("{n} {}", "x".repeat(n % 300));
    for n in 0..count {
        send_text(&driven, op, sender(n));
    }
    let (mut sent, mut received) = (0, 0);
    while sent < count || received < count {
        match driven.next() {
            Event::Sent { messages, .. } => sent += messages,
            Event::Received { message: Message::Text(text), .. } => {
                assert_eq!(text.as_str(), sender(received));
                received += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    let message = Message::Binary(Bytes::from(vec![7; 1 << 20]));
    driven.act(Action::Send { op, message: message.clone() });
    assert_eq!(driven.next(), Event::Sent { op, messages: 1 });
    assert_eq!(driven.next(), Event::Received { op, message });
    driven.act(Action::Close { op, code: 1000 });
    assert_eq!(rest(&driven), (Vec::new(), Some(1000), None));
    assert_eq!(driven.end(), []);
}

pub fn the_close_of_the_other_side_arrives_with_its_code_after_its_messages<R: Runtime>() {
    for (code, told) in [(Some(4409), Some(4409)), (Some(1001), Some(1001)), (None, None)] {
        let (listener, url) = listen();
        let _server = serve(listener, move |stream| {
            let mut socket = accept(stream).expect("a handshake");
            socket.send(Frame::text("last")).expect("sent");
            let frame = code.map(|code: u16| CloseFrame { code: code.into(), reason: "x".into() });
            socket.close(frame).expect("sent");
            drain(socket)
        });
        let mut driven = Driven::start::<R>();
        let op = open(&mut driven, &url);
        let last = Message::Text(Text::from("last"));
        assert_eq!(rest(&driven), (vec![last], told, None), "{op}");
        driven.end();
    }
}

pub fn a_sender_learns_the_other_sides_close_code<R: Runtime>() {
    let (listener, url) = listen();
    let _server = serve(listener, |stream| {
        let mut socket = accept(stream).expect("a handshake");
        socket.read().expect("it is sending");
        let frame = CloseFrame { code: 4409.into(), reason: "".into() };
        socket.close(Some(frame)).expect("sent");
        // Dropped with unread data, so that the system resets the connection.
        drop(socket);
    });
    let mut driven = Driven::start::<R>();
    let op = open(&mut driven, &url);
    for _ in 0..200 {
        send_text(&driven, op, "x".repeat(100_000));
    }
    assert_eq!(rest(&driven), (Vec::new(), Some(4409), None));
    driven.end();
}

pub fn a_close_is_sent_after_everything_before_it<R: Runtime>() {
    let (listener, url) = listen();
    let server = serve(listener, |stream| {
        let socket = accept(stream).expect("a handshake");
        thread::sleep(Duration::from_millis(100));
        drain(socket)
    });
    let mut driven = Driven::start::<R>();
    let op = open(&mut driven, &url);
    for _ in 0..100 {
        send_text(&driven, op, "x".repeat(100_000));
    }
    driven.act(Action::Close { op, code: 4000 });
    assert_eq!(rest(&driven), (Vec::new(), Some(4000), None));
    let frames = server.recv().expect("drained");
    assert_eq!(frames.len(), 101);
    assert!(matches!(&frames[100], Frame::Close(Some(frame)) if u16::from(frame.code) == 4000));
    driven.end();
}

pub fn a_peer_that_never_answers_the_close_is_given_up<R: Runtime>() {
    let (listener, url) = listen();
    let _server = serve(listener, |stream| {
        let socket = accept(stream).expect("a handshake");
        thread::sleep(Duration::from_secs(15));
        drop(socket);
    });
    let mut driven = Driven::start::<R>();
    let op = open(&mut driven, &url);
    let begun = Instant::now();
    driven.act(Action::Close { op, code: 1000 });
    assert_eq!(rest(&driven), (Vec::new(), None, Some(IoErrorKind::TimedOut)));
    assert!((4..10).contains(&begun.elapsed().as_secs()));
    driven.end();
}

pub fn a_broken_connection_is_reported_as_broken<R: Runtime>() {
    let (listener, url) = listen();
    let _server = serve(listener, |stream| {
        let mut socket = accept(stream).expect("a handshake");
        socket.send(Frame::text("last")).expect("sent");
    });
    let mut driven = Driven::start::<R>();
    open(&mut driven, &url);
    let last = Message::Text(Text::from("last"));
    assert_eq!(rest(&driven), (vec![last], None, Some(IoErrorKind::Disconnected)));
    driven.end();
}

pub fn a_message_that_is_too_large_closes_with_1009<R: Runtime>() {
    let (listener, url) = listen();
    let server = serve(listener, |stream| {
        let mut socket = accept(stream).expect("a handshake");
        // The peer stops reading in the middle of it.
        let _ = socket.send(Frame::binary(vec![0; (1 << 20) + 1]));
        drain(socket)
    });
    let mut driven = Driven::start::<R>();
    open(&mut driven, &url);
    assert_eq!(rest(&driven), (Vec::new(), None, Some(IoErrorKind::TooLarge)));
    let frames = server.recv().expect("drained");
    assert!(matches!(&frames[..], [Frame::Close(Some(frame))] if u16::from(frame.code) == 1009));
    driven.end();
}

pub fn pings_are_answered_without_the_machine<R: Runtime>() {
    let (listener, url) = listen();
    let server = serve(listener, |stream| {
        let mut socket = accept(stream).expect("a handshake");
        socket.send(Frame::Ping(Bytes::from_static(b"there?"))).expect("sent");
        let answer = socket.read().expect("an answer");
        socket.close(None).expect("sent");
        drain(socket);
        answer
    });
    let mut driven = Driven::start::<R>();
    open(&mut driven, &url);
    assert_eq!(rest(&driven), (Vec::new(), None, None));
    assert_eq!(server.recv().expect("told"), Frame::Pong(Bytes::from_static(b"there?")));
    driven.end();
}

pub fn a_paused_stream_holds_up_the_sender_and_loses_nothing<R: Runtime>() {
    let (listener, url) = listen();
    let (tell, told) = channel();
    let _server = serve(listener, move |stream| {
        let mut socket = accept(stream).expect("a handshake");
        let go = socket.read().expect("the signal to begin");
        assert_eq!(go, Frame::text("go"));
        for n in 0..2000_u32 {
            socket.send(Frame::text(format!("{n}{}", "x".repeat(20_000)))).expect("sent");
            tell.send(n).expect("heard");
        }
        drain(socket)
    });
    let mut driven = Driven::start::<R>();
    let op = open(&mut driven, &url);
    driven.act(Action::Pause { op });
    send_text(&driven, op, "go".to_owned());
    assert_eq!(driven.next(), Event::Sent { op, messages: 1 }, "sending continues");
    // It sends as much as the system buffers, then blocks.
    let mut last = 0;
    while let Ok(n) = told.recv_timeout(Duration::from_millis(500)) {
        last = n;
    }
    assert!(last < 1999, "it was never held up");
    driven.act(Action::Resume { op });
    for n in 0..2000_u32 {
        let Event::Received { message: Message::Text(text), .. } = driven.next() else {
            panic!("something else came")
        };
        assert!(text.as_str().starts_with(&format!("{n}x")), "{n}");
    }
    driven.act(Action::Close { op, code: 1000 });
    assert_eq!(rest(&driven), (Vec::new(), Some(1000), None));
    driven.end();
}

pub fn a_peer_that_reads_nothing_blocks_sending_until_the_cancel<R: Runtime>() {
    let (listener, url) = listen();
    let (hold, held) = channel::<()>();
    let _server = serve(listener, move |stream| {
        let socket = accept(stream).expect("a handshake");
        // Until the script drops its end.
        let _ = held.recv();
        drop(socket);
    });
    let mut driven = Driven::start::<R>();
    let op = open(&mut driven, &url);
    for _ in 0..400 {
        send_text(&driven, op, "x".repeat(100_000));
    }
    let mut wake = driven.begin(|op| Action::List { op, path: "/nonexistent".to_owned() });
    let mut sent = 0;
    // The loop itself is not held up: it still does other things.
    for _ in 0..20 {
        loop {
            match driven.next() {
                Event::Sent { messages, .. } => sent += messages,
                Event::Listed { op, .. } if op == wake => break,
                other => panic!("{other:?}"),
            }
        }
        wake = driven.begin(|op| Action::List { op, path: "/nonexistent".to_owned() });
    }
    assert!(sent < 400, "{sent} messages were sent although nobody reads");
    driven.act(Action::Cancel { op });
    let begun = Instant::now();
    driven.end();
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(hold);
}

pub fn a_cancelled_stream_produces_no_more_events<R: Runtime>() {
    let (listener, url) = listen();
    let _server = serve(listener, |stream| {
        let mut socket = accept(stream).expect("a handshake");
        while socket.send(Frame::text("more")).is_ok() {}
    });
    let mut driven = Driven::start::<R>();
    let op = open(&mut driven, &url);
    assert!(matches!(driven.next(), Event::Received { .. }));
    driven.act(Action::Cancel { op });
    let listed = driven.begin(|op| Action::List { op, path: "/nonexistent".to_owned() });
    // What arrived before the cancel was passed on before it.
    while !matches!(driven.next(), Event::Listed { op, .. } if op == listed) {}
    thread::sleep(Duration::from_millis(50));
    assert_eq!(driven.end(), []);
}
