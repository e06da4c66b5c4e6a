//! The program's own stdin and stdout. The program is this test, started a second time.

use std::io::{Read, Write};
use std::process::{Child, Stdio};

use footbridge_core::contract::action::{Action, Message, Target};
use footbridge_core::contract::event::Event;

use crate::Runtime;
use crate::harness::{Driven, alone};

/// Echoes its input, and closes at the end of stdin.
pub fn echo<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let op = driven.begin(|op| Action::Open { op, target: Target::Stdio });
    driven.opened(op);
    loop {
        match driven.next() {
            Event::Received { message, .. } if message.is_empty() => {
                let last = Message::Binary("<end of stdin>".into());
                driven.act(Action::Send { op, message: last });
                driven.act(Action::Close { op, code: 0 });
            }
            Event::Received { message, .. } => driven.act(Action::Send { op, message }),
            Event::Sent { .. } => {}
            Event::Closed { failure, .. } => {
                eprintln!("<closed: {:?}>", failure.map(|failure| failure.kind));
                break;
            }
            other => panic!("unexpected: {other:?}"),
        }
    }
    driven.end();
}

fn start_echo() -> Child {
    alone("stdio::echo")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started")
}

pub fn stdin_is_read_and_stdout_stays_open_after_its_end<R: Runtime>() {
    let mut child = start_echo();
    let sent = "x".repeat(300_000);
    let mut stdin = child.stdin.take().expect("piped");
    let text = sent.clone();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("an end");
    writer.join().expect("no panic").expect("all was read");
    let stdout = String::from_utf8(output.stdout).expect("text");
    assert!(stdout.contains(&format!("{sent}<end of stdin>")), "{} bytes", stdout.len());
    assert!(String::from_utf8_lossy(&output.stderr).contains("<closed: None>"));
    assert!(output.status.success());
}

pub fn a_closed_stdout_ends_the_stream<R: Runtime>() {
    let mut child = start_echo();
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    stdin.write_all(b"first").expect("written");
    let mut seen = Vec::new();
    while !seen.ends_with(b"first") {
        let mut byte = [0];
        stdout.read_exact(&mut byte).expect("an echo");
        seen.push(byte[0]);
    }
    drop(stdout);
    stdin.write_all(b"second").expect("written");
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("an end");
    assert!(stderr.contains("<closed: Some(Disconnected)>"), "{stderr}");
    child.wait().expect("an end");
}
