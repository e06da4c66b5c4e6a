//! The worker driven by hand: what it requests, and what each answer leads to.

mod callbacks;
mod conversation;
mod foreign;
mod imposter;
mod log_in;
mod polling;
mod renewal;
mod restarts;
mod results;
mod sessions;
mod shutdown;
mod work_stream;
mod worktrees;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::result::Reports;
use super::*;
use crate::auth::Credential;
use crate::base::id::OpId;
use crate::base::secret::Secret;
use crate::base::text::Text;
use crate::base::time::{Duration, Instant, Now, UnixTime};
use crate::contract::action::{Action, Message, Response, Signal, Target};
use crate::contract::event::{Event, ExitStatus, IoError, IoErrorKind, Output};
use crate::contract::machine::MachineErrorKind;
use crate::testing::Hand;
use crate::wire::link_v1::ControlFrame;
use crate::wire::url::BaseUrl;

/// A worker that is driven by hand.
struct Bench {
    hand: Hand<Worker>,
    /// Its state file and the results of earlier runs, which are read and written without a test's
    /// doing.
    files: BTreeMap<String, Bytes>,
    /// Its state file can be neither read nor written.
    is_disk_broken: bool,
}

impl Deref for Bench {
    type Target = Hand<Worker>;

    fn deref(&self) -> &Hand<Worker> {
        &self.hand
    }
}

impl DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut Hand<Worker> {
        &mut self.hand
    }
}

impl Bench {
    fn new(change: impl FnOnce(&mut WorkerConfig)) -> Self {
        Self::on(BTreeMap::new(), change)
    }

    /// One that finds files of an earlier run.
    fn on(files: BTreeMap<String, Bytes>, change: impl FnOnce(&mut WorkerConfig)) -> Self {
        Self::on_disk(files, false, change)
    }

    fn on_disk(
        files: BTreeMap<String, Bytes>,
        is_disk_broken: bool,
        change: impl FnOnce(&mut WorkerConfig),
    ) -> Self {
        let relay = BaseUrl::parse("http://127.0.0.1:1").expect("a URL");
        let agent = AgentProgram { program: "agent".to_owned(), args: vec![], env: vec![] };
        let mut config = WorkerConfig::new(
            relay,
            Credential::fixed(Secret::from("token")),
            "/w".to_owned(),
            agent,
            42,
        );
        change(&mut config);
        let now = Now { mono: Instant::ORIGIN, wall: UnixTime::from_millis(1_000_000) };
        let mut hand = Hand::new(Worker::new(config), now);
        hand.trees_ended = Some(0);
        let mut bench = Self { hand, files, is_disk_broken };
        bench.settle_files();
        bench
    }

    #[track_caller]
    fn settle_files(&mut self) {
        let is_own = |path: &str| path.ends_with("/worker.json");
        loop {
            let at = self.hand.actions.iter().position(|action| match action {
                Action::Load { path, .. } => is_own(path) || path.contains("/results/"),
                Action::Save { path, .. } | Action::Remove { path, .. } => is_own(path),
                Action::List { .. } => true,
                _ => false,
            });
            let event = match at.and_then(|at| self.hand.actions.remove(at)) {
                Some(Action::Load { op, path, .. } | Action::Save { op, path, .. })
                    if self.is_disk_broken && is_own(&path) =>
                {
                    let detail = format!("{path}: Input/output error");
                    Event::Failed { op, failure: IoError { kind: IoErrorKind::Other, detail } }
                }
                Some(Action::Load { op, path, .. }) => {
                    Event::Loaded { op, data: self.files.get(&path).cloned(), modified: None }
                }
                Some(Action::Save { op, path, data }) => {
                    self.files.insert(path, data);
                    Event::Saved { op }
                }
                Some(Action::Remove { op, path }) => {
                    self.files.remove(&path);
                    Event::Removed { op }
                }
                Some(Action::List { op, path }) => {
                    let names = self.files.keys().filter_map(|file| file.strip_prefix(&path));
                    let names = names.map(|name| name.trim_start_matches('/').to_owned());
                    Event::Listed { op, names: names.collect() }
                }
                _ => return,
            };
            self.hand.handle(event);
        }
    }

    /// The poll that follows a registration; these sessions continue.
    #[track_caller]
    fn respond_to_registration(&mut self, sessions: &str) -> OpId {
        let (register, _) = self.request("/bridge");
        let answer = r#"{"environment_id":"env_1","environment_secret":"s","sessions":"#;
        self.respond(register, 200, &format!("{answer}[{sessions}]}}"));
        self.request("/work/poll").0
    }

    /// A registered worker that is polling for work; the poll's operation.
    fn serving(change: impl FnOnce(&mut WorkerConfig)) -> (Self, OpId) {
        Self::serving_on(BTreeMap::new(), change)
    }

    fn serving_on(
        files: BTreeMap<String, Bytes>,
        change: impl FnOnce(&mut WorkerConfig),
    ) -> (Self, OpId) {
        let sessions = if files.is_empty() { "" } else { r#""session_1""# };
        let mut bench = Self::on(files, change);
        bench.answer_git();
        let poll = bench.respond_to_registration(sessions);
        (bench, poll)
    }

    fn answer_git(&mut self) {
        for _ in 0..2 {
            let op = self.take("a git question", |action| match action {
                Action::Run { op, .. } => Some(*op),
                _ => None,
            });
            let status = ExitStatus::Code(1);
            self.handle(Event::Ran { op, status, stdout: Bytes::new(), stderr: Bytes::new() });
        }
    }

    #[track_caller]
    fn handle(&mut self, event: Event) {
        self.hand.handle(event);
        self.settle_files();
    }

    #[track_caller]
    fn request(&mut self, path: &str) -> (OpId, crate::contract::action::Request) {
        self.take(path, |action| match action {
            Action::Request { op, request } if request.url.ends_with(path) => {
                Some((*op, request.clone()))
            }
            _ => None,
        })
    }

    fn has_request(&self, path: &str) -> bool {
        self.actions.iter().any(
            |action| matches!(action, Action::Request { request, .. } if request.url.ends_with(path)),
        )
    }

    /// A second answer to a request.
    fn respond_again(&mut self, op: OpId, status: u16, body: &str) {
        let body = Bytes::from(body.to_owned());
        let response = Response { status, headers: vec![], body };
        self.hand.handle_stray(Event::Response { op, response });
    }

    fn respond(&mut self, op: OpId, status: u16, body: &str) {
        let body = Bytes::from(body.to_owned());
        let response = Response { status, headers: vec![], body };
        self.handle(Event::Response { op, response });
    }

    fn refuse(&mut self, op: OpId, status: u16, kind: &str) {
        self.respond(op, status, &format!(r#"{{"error":{{"type":"{kind}","message":"m"}}}}"#));
    }

    fn fail(&mut self, op: OpId, kind: IoErrorKind) {
        self.handle(Event::Failed { op, failure: IoError { kind, detail: "d".to_owned() } });
    }

    /// From the poll's answer to a running agent whose link is up.
    fn start_session(&mut self, poll: OpId, n: u32) -> Running {
        self.respond(poll, 200, &item(n, r#"{"version":1,"session_ingress_token":"t"}"#));
        let (ack, _) = self.request(&format!("/work/work_{n}/ack"));
        self.respond(ack, 200, r#"{"state":"acked"}"#);
        let agent = self.take("spawn", |action| match action {
            Action::Spawn { op, .. } => Some(*op),
            _ => None,
        });
        let link = self.open();
        self.handle(Event::Spawned { op: agent, pid: 7 });
        self.handle(Event::Opened { op: link });
        self.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0, window: None }));
        self.actions.retain(|action| !matches!(action, Action::Send { .. }));
        Running { agent, link }
    }

    #[track_caller]
    fn open(&mut self) -> OpId {
        self.take("open", |action| match action {
            Action::Open { op, target: Target::WebSocket { .. } } => Some(*op),
            _ => None,
        })
    }

    /// What was sent on a stream, as text.
    fn sent(&mut self, stream: OpId) -> Vec<String> {
        let mut sent = Vec::new();
        self.actions.retain(|action| match action {
            Action::Send { op, message } if *op == stream => {
                let bytes = match message {
                    Message::Text(text) => text.as_bytes().clone(),
                    Message::Binary(bytes) => bytes.clone(),
                };
                sent.push(String::from_utf8(bytes.to_vec()).expect("text"));
                false
            }
            _ => true,
        });
        sent
    }

    fn written(&mut self, process: OpId) -> Vec<String> {
        let mut written = Vec::new();
        self.actions.retain(|action| match action {
            Action::Write { op, data } if *op == process => {
                written.push(String::from_utf8(data.to_vec()).expect("text"));
                false
            }
            _ => true,
        });
        written
    }

    fn signals(&mut self) -> Vec<Signal> {
        let mut signals = Vec::new();
        self.actions.retain(|action| match action {
            Action::Signal { signal, .. } => {
                signals.push(*signal);
                false
            }
            _ => true,
        });
        signals
    }

    /// A link breaks, and the next one is refused for its token.
    fn break_and_refuse(&mut self, link: OpId) {
        self.handle(Event::Closed { op: link, code: None, failure: None });
        self.wait();
        let op = self.open();
        let body = Bytes::from_static(br#"{"error":{"type":"token_expired","message":"m"}}"#);
        let response = Response { status: 401, headers: vec![], body };
        self.handle(Event::Refused { op, response });
    }

    fn reports(&self) -> &Reports {
        &self.machine.runner.role().parts().reports
    }

    /// What the only session's link keeps until the relay acknowledges it.
    fn unacked_bytes(&self) -> usize {
        let sessions = &self.machine.runner.role().parts().sessions;
        let id = sessions.ids().pop().expect("a session");
        sessions.get(&id).expect("the session").link().unacked_bytes()
    }

    fn exit(&mut self, agent: OpId, status: ExitStatus) {
        self.handle(Event::OutputEnded { op: agent, output: Output::Stdout });
        self.handle(Event::OutputEnded { op: agent, output: Output::Stderr });
        self.handle(Event::Exited { op: agent, status });
    }
}

struct Running {
    agent: OpId,
    link: OpId,
}

fn item(n: u32, secret: &str) -> String {
    let secret = URL_SAFE_NO_PAD.encode(secret);
    format!(
        r#"{{"id":"work_{n}","type":"work","environment_id":"env_1","state":"leased",
            "data":{{"type":"session","id":"session_{n}"}},"secret":"{secret}","fence":{n},
            "lease_seconds":60}}"#
    )
}

fn frame(op: OpId, frame: &ControlFrame) -> Event {
    Event::Received { op, message: Message::Binary(frame.to_bytes()) }
}

fn line(op: OpId, text: &str) -> Event {
    Event::Received { op, message: Message::Text(Text::from(text.to_owned())) }
}

fn stdout(op: OpId, text: &str) -> Event {
    Event::Stdout { op, data: Bytes::from(text.to_owned()) }
}

const QUESTION: &str = r#"{"type":"control_request","request_id":"P","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{}}}"#;
const ANSWER: &str = r#"{"type":"control_response","response":{"subtype":"success","request_id":"P","response":{}}}"#;
