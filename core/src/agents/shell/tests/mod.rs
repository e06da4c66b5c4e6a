//! The agent driven by hand: lines and process events in, lines and actions out.

extern crate std;

mod any_lines;
mod commands;
mod flow;
mod lines;
mod permission;
mod shutdown;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};
use core::time::Duration;

use super::printer::uuid;
use super::*;
use crate::base::id::OpId;
use crate::base::limits::*;
use crate::base::time::Now;
use crate::contract::action::{Action, Signal};
use crate::contract::check::Operation;
use crate::contract::event::{ExitStatus, IoError, IoErrorKind, Output};
use crate::testing::Hand;
use bytes::Bytes;

/// A host that records what the agent says and does.
struct Host {
    hand: Hand<Agent>,
    said: Vec<Value>,
    reads: bool,
}

impl Deref for Host {
    type Target = Hand<Agent>;

    fn deref(&self) -> &Hand<Agent> {
        &self.hand
    }
}

impl DerefMut for Host {
    fn deref_mut(&mut self) -> &mut Hand<Agent> {
        &mut self.hand
    }
}

impl Host {
    fn new() -> Self {
        Self::with_mode(PermissionMode::Default)
    }

    fn with_mode(permission_mode: PermissionMode) -> Self {
        let agent = Agent::new(Config {
            directory: "/w".to_owned(),
            session_id: Some("S".to_owned()),
            permission_mode,
            env_remove: alloc::vec!["TOKEN".to_owned()],
            seed: 7,
        });
        let hand = Hand::new(agent, Now::default());
        let mut host = Self { hand, said: Vec::new(), reads: true };
        host.drain();
        host.handle(Event::Opened { op: host.stdio() });
        host.actions.clear();
        host
    }

    fn stdio(&self) -> OpId {
        self.machine.runner.role().printer.stdio.op()
    }

    /// Reads what the agent has said, so that it can say more.
    fn drain(&mut self) {
        let is_said = |action: &Action| matches!(action, Action::Send { .. });
        while let Some(at) = self.actions.iter().position(is_said) {
            if let Some(Action::Send { op, message: Message::Binary(bytes) }) =
                self.actions.remove(at)
            {
                let line = bytes.strip_suffix(b"\n").expect("a whole line");
                self.said.push(serde_json::from_slice(line).expect("JSON"));
                if self.reads {
                    self.hand.handle(Event::Sent { op, messages: 1 });
                }
            }
        }
    }

    fn handle(&mut self, event: Event) {
        self.report_spawned(&event);
        self.hand.handle(event);
        self.drain();
    }

    /// Reports that a process has started, before anything else is reported about it.
    fn report_spawned(&mut self, event: &Event) {
        let is_of_one_that_runs = matches!(
            event,
            Event::Stdout { .. }
                | Event::Stderr { .. }
                | Event::OutputEnded { .. }
                | Event::Exited { .. }
        );
        if let Some(op) = event.op().filter(|_| is_of_one_that_runs)
            && let Some(Operation::Process(process)) = self.operation(op)
            && !process.is_spawned
        {
            self.hand.handle(Event::Spawned { op, pid: 1 });
            self.drain();
        }
    }

    fn command(&mut self, command: Command) {
        self.hand.command(command);
        self.drain();
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        self.handle(Event::Received { op: self.stdio(), message });
    }

    fn line(&mut self, value: &Value) {
        self.bytes(format!("{value}\n").as_bytes());
    }

    fn prompt(&mut self, command: &str) {
        self.line(&json!({"type": "user", "message": {"role": "user", "content": command}}));
    }

    fn request(&mut self, id: &str, request: &Value) {
        self.line(&json!({"type": "control_request", "request_id": id, "request": request}));
    }

    fn answer(&mut self, payload: &Value) {
        let id = self.question();
        let response = json!({"subtype": "success", "request_id": id, "response": payload});
        self.line(&json!({"type": "control_response", "response": response}));
    }

    fn allow(&mut self) {
        self.answer(&json!({"behavior": "allow", "updatedInput": {}}));
    }

    /// The id of the last question.
    fn question(&self) -> String {
        let mut questions = self.said.iter().filter(|said| said["type"] == "control_request");
        questions.next_back().expect("a question")["request_id"].as_str().expect("text").to_owned()
    }

    /// The last process started, and its command line.
    fn process(&self) -> (OpId, String) {
        let spawned = self.actions.iter().rev().find_map(|action| match action {
            Action::Spawn { op, command } => Some((*op, command.args.last()?.clone())),
            _ => None,
        });
        spawned.expect("a process")
    }

    fn stdout(&mut self, bytes: &'static [u8]) {
        let (op, _) = self.process();
        self.handle(Event::Stdout { op, data: Bytes::from_static(bytes) });
    }

    fn exit(&mut self, status: ExitStatus) {
        let (op, _) = self.process();
        self.handle(Event::OutputEnded { op, output: Output::Stdout });
        self.handle(Event::Exited { op, status });
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.handle(Event::Tick);
    }

    /// What was said since the last call, in short.
    fn heard(&mut self) -> Vec<String> {
        self.said.drain(..).map(|said| short(&said)).collect()
    }

    fn signals(&self) -> Vec<Signal> {
        let signals = self.actions.iter().filter_map(|action| match action {
            Action::Signal { signal, .. } => Some(*signal),
            _ => None,
        });
        signals.collect()
    }

    fn did(&self, wanted: impl Fn(&Action) -> bool) -> bool {
        self.actions.iter().any(wanted)
    }

    fn close(&mut self) {
        self.handle(Event::Closed { op: self.stdio(), code: None, failure: None });
    }
}

/// A message in a few words.
fn short(said: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let block = &said["message"]["content"][0];
    match said["type"].as_str().expect("typed") {
        "system" => text(&said["subtype"]),
        "assistant" if block["type"] == "tool_use" => {
            format!("use {}", text(&block["input"]["command"]))
        }
        "assistant" => format!("text {}", text(&block["text"])),
        "user" => format!("tool({}) {}", block["is_error"], text(&block["content"])),
        "stream_event" if said["event"]["delta"].is_object() => {
            format!("delta {}", text(&said["event"]["delta"]["text"]))
        }
        "stream_event" => text(&said["event"]["type"]),
        "control_request" => format!("ask {}", text(&said["request"]["input"]["command"])),
        "control_cancel_request" => "withdraw".to_owned(),
        "control_response" => format!(
            "{} {}",
            text(&said["response"]["subtype"]),
            text(&said["response"]["request_id"])
        ),
        "result" => format!("result {}", text(&said["terminal_reason"])),
        other => panic!("{other}"),
    }
}

#[test]
fn the_same_seed_gives_the_same_output_and_uuids_are_version_4() {
    let run = || {
        let mut host = Host::new();
        host.prompt("ls");
        host.allow();
        host.exit(ExitStatus::Code(0));
        host.said
    };
    assert_eq!(run(), run());
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..100 {
        let uuid = uuid(&mut rng);
        assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"));
        assert!("89ab".contains(&uuid[19..20]), "{uuid}");
    }
}
