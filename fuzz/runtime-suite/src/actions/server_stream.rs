//! Streaming responses, to this runtime's client and to raw ones.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::text::Text;
use footbridge_core::contract::action::{Action, Answer, Head, Message, Method, Request};
use footbridge_core::contract::event::{Event, IoErrorKind};

use super::server::{accept, connect};
use crate::Runtime;
use crate::harness::{Driven, answer, get};

const LONG: Duration = Duration::from_secs(20);
/// More of these than fit in all the buffers along the way.
const MANY: usize = 1024;
const LARGE: usize = 64 << 10;

fn reply(server: &Driven, op: OpId, status: u16, write_timeout: Duration) {
    let head = Head { status, headers: vec![("x-a".into(), "b".into())] };
    server.act(Action::ReplyStream { op, head, write_timeout });
}

fn send(server: &Driven, op: OpId, bytes: impl Into<Bytes>) {
    server.act(Action::Send { op, message: Message::Binary(bytes.into()) });
}

/// A server that has begun to respond to a client of the same runtime.
struct Pair {
    server: Driven,
    client: Driven,
    out: OpId,
    incoming: OpId,
    listener: OpId,
    url: String,
}

impl Pair {
    fn start<R: Runtime>() -> Self {
        let (mut server, mut client) = (Driven::start::<R>(), Driven::start::<R>());
        let (listener, address) = server.listen();
        let url = format!("http://{address}/events");
        let out = accept(&mut server, listener);
        let incoming = client.stream(&url, LONG);
        server.asked(out);
        reply(&server, out, 200, LONG);
        let head = client.head(incoming);
        assert_eq!((head.status, head.header("x-a")), (200, Some("b")));
        Self { server, client, out, incoming, listener, url }
    }

    fn end(self) {
        self.client.end();
        self.server.end();
    }
}

/// How many messages are sent before nothing more is for a while.
fn sent(events: Vec<Event>) -> usize {
    let each = events.into_iter().map(|event| match event {
        Event::Sent { messages, .. } => messages,
        other => panic!("{other:?}"),
    });
    each.sum()
}

pub fn what_is_sent_arrives_as_it_is_sent_and_close_ends_it<R: Runtime>() {
    let pair = Pair::start::<R>();
    let (op, near) = (pair.out, pair.incoming);
    pair.client.is_quiet();
    for text in ["one", "two"] {
        pair.server.act(Action::Send { op, message: Message::Text(Text::from(text.to_owned())) });
        assert_eq!(pair.server.next(), Event::Sent { op, messages: 1 });
        assert_eq!(pair.client.received(near), Message::Binary(text.into()));
    }
    send(&pair.server, op, "");
    assert_eq!(pair.server.next(), Event::Sent { op, messages: 1 });
    send(&pair.server, op, "last");
    pair.server.act(Action::Close { op, code: 1000 });
    assert_eq!(pair.server.next(), Event::Sent { op, messages: 1 });
    assert_eq!(pair.server.next(), Event::Closed { op, code: None, failure: None });
    assert_eq!(pair.client.rest(near), (b"last".to_vec(), None));
    pair.server.is_quiet();
    pair.end();
}

pub fn complete_and_streamed_responses_combine_in_every_way<R: Runtime>() {
    let (mut server, mut client) = (Driven::start::<R>(), Driven::start::<R>());
    let (listener, address) = server.listen();
    let url = format!("http://{address}/");
    // A complete response to a client that wants a stream.
    let op = accept(&mut server, listener);
    let near = client.stream(&url, LONG);
    server.asked(op);
    server.act(Action::Reply { op, response: answer(404, "nothing there") });
    assert_eq!(client.head(near).status, 404);
    assert_eq!(client.rest(near), (b"nothing there".to_vec(), None));
    // A stream to a client that wants a complete response.
    let op = accept(&mut server, listener);
    let near = client.get(&url);
    server.asked(op);
    reply(&server, op, 200, LONG);
    for text in ["a", "b", "c"] {
        send(&server, op, text);
        assert_eq!(server.next(), Event::Sent { op, messages: 1 });
    }
    client.is_quiet();
    server.act(Action::Close { op, code: 1000 });
    assert_eq!(server.next(), Event::Closed { op, code: None, failure: None });
    assert_eq!(client.response(near).body.as_ref(), b"abc");
    client.end();
    server.end();
}

pub fn a_client_that_reads_nothing_is_cut_off_in_time<R: Runtime>() {
    for is_closing in [false, true] {
        let mut server = Driven::start::<R>();
        let (listener, address) = server.listen();
        let op = accept(&mut server, listener);
        let mut stream = connect(&address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        server.asked(op);
        reply(&server, op, 200, Duration::from_secs(1));
        for _ in 0..MANY {
            send(&server, op, vec![b'x'; LARGE]);
        }
        if is_closing {
            server.act(Action::Close { op, code: 1000 });
        }
        let mut left = 0;
        let failure = loop {
            match server.next() {
                Event::Sent { messages, .. } => left += messages,
                Event::Closed { failure, .. } => break failure,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(failure.map(|failure| failure.kind), Some(IoErrorKind::TimedOut));
        assert!(left < MANY, "all of it found room");
        // It sees the connection break, not the proper end of the response.
        let mut seen = Vec::new();
        let _ = stream.read_to_end(&mut seen);
        assert!(!seen.ends_with(b"0\r\n\r\n"));
        server.is_quiet();
        server.end();
    }
}

pub fn a_client_that_pauses_holds_up_the_server_and_loses_nothing<R: Runtime>() {
    let pair = Pair::start::<R>();
    let (op, near) = (pair.out, pair.incoming);
    pair.client.act(Action::Pause { op: near });
    for _ in 0..MANY {
        send(&pair.server, op, vec![b'x'; LARGE]);
    }
    pair.server.act(Action::Close { op, code: 1000 });
    let left = sent(pair.server.settled());
    assert!(left < MANY, "all of it found room");
    pair.server.is_quiet();
    pair.client.act(Action::Resume { op: near });
    let early = pair.client.rest(near);
    assert_eq!((early.0.len(), early.1), (MANY * LARGE, None));
    let mut events = pair.server.settled();
    assert_eq!(events.pop(), Some(Event::Closed { op, code: None, failure: None }));
    assert_eq!(left + sent(events), MANY);
    pair.end();
}

pub fn a_client_that_leaves_is_reported<R: Runtime>() {
    for is_sending in [false, true] {
        let pair = Pair::start::<R>();
        let op = pair.out;
        if is_sending {
            pair.client.act(Action::Pause { op: pair.incoming });
            for _ in 0..MANY {
                send(&pair.server, op, vec![b'x'; LARGE]);
            }
            sent(pair.server.settled());
        }
        pair.client.act(Action::Cancel { op: pair.incoming });
        match pair.server.next() {
            Event::Closed { op: of, code: None, failure: Some(failure) } if of == op => {
                assert_eq!(failure.kind, IoErrorKind::Disconnected, "{failure}");
            }
            other => panic!("{other:?}"),
        }
        send(&pair.server, op, "late");
        pair.server.is_quiet();
        pair.end();
    }
}

pub fn a_cancelled_response_does_not_look_complete<R: Runtime>() {
    for is_sending in [false, true] {
        let pair = Pair::start::<R>();
        let (op, near) = (pair.out, pair.incoming);
        if is_sending {
            pair.client.act(Action::Pause { op: near });
            for _ in 0..MANY {
                send(&pair.server, op, vec![b'x'; LARGE]);
            }
            sent(pair.server.settled());
        }
        pair.server.act(Action::Cancel { op });
        pair.server.is_quiet();
        if is_sending {
            pair.client.act(Action::Resume { op: near });
        }
        let (bytes, failure) = pair.client.rest(near);
        assert!(bytes.len() < MANY * LARGE);
        assert_eq!(failure, Some(IoErrorKind::Disconnected));
        pair.end();
    }
}

pub fn a_response_without_a_body_is_closed_immediately<R: Runtime>() {
    let pair = Pair::start::<R>();
    let Pair { mut server, mut client, listener, url, .. } = pair;
    for (method, status) in [(Method::Head, 200), (Method::Get, 204)] {
        let op = accept(&mut server, listener);
        let request =
            Request { method, answer: Answer::Stream { idle_timeout: LONG }, ..get(&url) };
        let near = client.begin(|op| Action::Request { op, request });
        server.asked(op);
        reply(&server, op, status, LONG);
        assert_eq!(server.next(), Event::Closed { op, code: None, failure: None });
        assert_eq!(client.head(near).status, status);
        assert_eq!(client.rest(near), (Vec::new(), None));
    }
    client.end();
    server.end();
}
