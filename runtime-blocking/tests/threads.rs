//! A driver leaves nothing behind. Alone in its program, because it counts threads.

mod runtime;

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use footbridge_core::contract::action::{
    Action, Answer, Method, ProcessSpec, Reach, Request, Target,
};
use footbridge_core::contract::event::Event;
use footbridge_runtime_suite::harness::{Driven, Order};
use runtime::Threads;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("a list").count()
}

#[test]
fn when_a_driver_has_returned_its_threads_are_gone() {
    // One server that never answers, and one that sends as fast as it can.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent_url = format!("http://{}/", silent.local_addr().expect("bound"));
    let flood = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let flood_url = format!("ws://{}/", flood.local_addr().expect("bound"));
    let server = thread::spawn(move || {
        let (stream, _) = flood.accept().expect("a client");
        let mut socket = tungstenite::accept(stream).expect("a handshake");
        while socket.send(tungstenite::Message::text("more")).is_ok() {}
    });
    let before = threads();
    let mut driven = Driven::start::<Threads>();
    let target = Target::WebSocket {
        url: flood_url,
        headers: Vec::new(),
        protocol: None,
        timeout: Duration::from_secs(10),
        max_message: 1000,
    };
    driven.begin(|op| Action::Open { op, target });
    while !matches!(driven.next(), Event::Received { .. }) {}
    let request = Request {
        method: Method::Get,
        url: silent_url,
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(3600),
        answer: Answer::Whole { max_body: 1000 },
        reach: Reach::Anywhere,
    };
    driven.begin(|op| Action::Request { op, request });
    let held = silent.accept().expect("a client");
    let command = |name: &str, arg: &str| ProcessSpec {
        program: name.to_owned(),
        args: vec![arg.to_owned()],
        env: Vec::new(),
        env_remove: Vec::new(),
        directory: None,
    };
    let endless = command("yes", "more");
    let cat = driven.begin(|op| Action::Spawn { op, command: command("cat", "-") });
    driven.begin(|op| Action::Spawn { op, command: endless });
    while !matches!(driven.next_at().1, Event::Stdout { .. }) {}
    driven.act(Action::Cancel { op: cat });
    assert!(threads() > before + 3, "they are all running");
    driven.order(Order::Tick(Duration::from_secs(3600)));

    let begun = Instant::now();
    driven.end();
    assert!(begun.elapsed() < Duration::from_secs(2), "it waited for something");
    server.join().expect("the server sees it");
    // The server's thread existed before, and is gone now. The system's own count may lag behind.
    while threads() != before - 1 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} of {before} left", threads());
    }
    drop(held);
}
