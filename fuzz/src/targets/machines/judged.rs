//! Tests of the bench: machines that break one rule each, and one that breaks none.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::panic::catch_unwind;
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::time::{Instant, Now};
use footbridge_core::contract::action::{
    Action, Answer, Message, Method, ProcessSpec, Reach, Request, Target,
};
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::{Machine, Step};

use super::bench::{Bench, Limits};

/// Takes the given steps, then repeats the last one forever.
struct Scripted {
    steps: VecDeque<Step<()>>,
    last: Step<()>,
}

impl Machine for Scripted {
    type Command = ();
    type Notice = ();

    fn command(&mut self, _: Now, (): ()) {}

    fn handle(&mut self, _: Now, _: Event) {}

    fn step(&mut self) -> Step<()> {
        self.steps.pop_front().unwrap_or_else(|| self.last.clone())
    }
}

fn op(number: u64) -> OpId {
    OpId::new(NonZeroU64::new(number).expect("not zero"))
}

fn list(number: u64, path: &str) -> Step<()> {
    Step::Do(Action::List { op: op(number), path: path.to_owned() })
}

fn open(number: u64) -> Step<()> {
    Step::Do(Action::Open { op: op(number), target: Target::Stdio })
}

fn send(number: u64) -> Step<()> {
    let message = Message::Binary(Bytes::from_static(b"123456"));
    Step::Do(Action::Send { op: op(number), message })
}

fn close(number: u64) -> Step<()> {
    Step::Do(Action::Close { op: op(number), code: 1000 })
}

fn spawn(number: u64, program: &str) -> Step<()> {
    let command = ProcessSpec {
        program: program.to_owned(),
        args: vec![],
        env: vec![],
        env_remove: vec![],
        directory: None,
    };
    Step::Do(Action::Spawn { op: op(number), command })
}

fn request(number: u64, url: &str, header: &str) -> Step<()> {
    let request = Request {
        method: Method::Get,
        url: url.to_owned(),
        headers: vec![("x", header.into())],
        body: Bytes::new(),
        timeout: Duration::from_secs(1),
        answer: Answer::Whole { max_body: 1 },
        reach: Reach::Anywhere,
    };
    Step::Do(Action::Request { op: op(number), request })
}

fn is_found_out(steps: Vec<Step<()>>, last: Step<()>) -> bool {
    let limits = Limits { operations: 2, bytes: 10 };
    catch_unwind(|| Bench::new(Scripted { steps: steps.into(), last }, limits)).is_err()
}

#[test]
fn every_broken_rule_is_caught() {
    let wait = || Step::Wait(None);
    let url = "https://a.example/";
    let (pause, resume) = (Action::Pause { op: op(1) }, Action::Resume { op: op(1) });
    let (pause, resume) = (|| Step::Do(pause.clone()), || Step::Do(resume.clone()));
    let cancel = || Step::Do(Action::Cancel { op: op(1) });
    let good = vec![open(1), send(1), pause(), resume(), cancel(), request(2, url, "v"), wait()];
    assert!(!is_found_out(good, wait()));
    let bad = [
        ("a name twice", vec![list(1, "/x"), list(1, "/x")]),
        ("an older name", vec![list(2, "/x"), list(1, "/x")]),
        ("a path that leaves its place", vec![list(1, "/x/../y")]),
        ("a header with a line break", vec![request(1, url, "a\r\nb: c")]),
        ("another scheme", vec![request(1, "file:///etc", "v")]),
        ("no such operation", vec![send(1)]),
        ("an operation of another kind", vec![list(1, "/x"), send(1)]),
        ("a word after the end", vec![open(1), close(1), send(1)]),
        ("two ends", vec![open(1), close(1), close(1)]),
        ("a second pause", vec![open(1), pause(), pause()]),
        ("going on without a pause", vec![open(1), resume()]),
        ("stopping what was stopped", vec![open(1), cancel(), cancel()]),
        ("a program without a name", vec![spawn(1, "")]),
        ("too many operations", vec![open(1), open(2), open(3), wait()]),
        ("too many bytes", vec![open(1), send(1), send(1), wait()]),
        ("a deadline in the past", vec![Step::Wait(Some(Instant::ORIGIN))]),
        ("an end with something open", vec![open(1), Step::Finished(Ok(()))]),
    ];
    for (rule, steps) in bad {
        assert!(is_found_out(steps, wait()), "{rule}");
    }
    assert!(is_found_out(vec![], Step::Tell(())), "never waiting");
}
