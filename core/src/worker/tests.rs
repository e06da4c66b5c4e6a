//! The worker driven by hand: what it asks for, and what each answer leads to.

use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::*;
use crate::action::{Action, Message, Response, Signal, Target};
use crate::auth::AccessToken;
use crate::event::{ExitStatus, Failure, FailureKind, Output};
use crate::machine::{FaultKind, Outcome};
use crate::secret::Secret;
use crate::time::UnixTime;
use crate::wire::link::Word;
use crate::wire::text::Text;
use crate::wire::url::BaseUrl;

/// A worker, its clock, and what it has asked for and was not looked at yet.
struct Bench {
    worker: Worker,
    now: Now,
    asked: VecDeque<Action>,
    notices: Vec<WorkerNotice>,
    outcome: Option<Outcome>,
    deadline: Option<Instant>,
}

impl Bench {
    fn new(change: impl FnOnce(&mut WorkerConfig)) -> Self {
        let relay = BaseUrl::parse("http://127.0.0.1:1").expect("a URL");
        let agent = AgentProgram { program: "agent".to_owned(), args: vec![], env: vec![] };
        let mut config = WorkerConfig::new(
            relay,
            AccessToken::fixed(Secret::from("token")),
            "/w".to_owned(),
            agent,
            42,
        );
        change(&mut config);
        let mut bench = Self {
            worker: Worker::new(config),
            now: Now { mono: Instant::ORIGIN, wall: UnixTime::from_millis(1_000_000) },
            asked: VecDeque::new(),
            notices: Vec::new(),
            outcome: None,
            deadline: None,
        };
        bench.settle();
        bench
    }

    /// One that is registered and has asked for work; the poll's operation.
    fn serving(change: impl FnOnce(&mut WorkerConfig)) -> (Self, OpId) {
        let mut bench = Self::new(change);
        bench.answer_git();
        let (register, _) = bench.request("/bridge");
        bench.respond(register, 200, r#"{"environment_id":"env_1","environment_secret":"s"}"#);
        let (poll, _) = bench.request("/work/poll");
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

    fn settle(&mut self) {
        loop {
            match self.worker.step() {
                Step::Do(action) => self.asked.push_back(action),
                Step::Tell(notice) => self.notices.push(notice),
                Step::Wait(deadline) => {
                    assert!(deadline.is_none_or(|at| at > self.now.mono), "a busy loop");
                    self.deadline = deadline;
                    return;
                }
                Step::Finished(outcome) => {
                    self.outcome = Some(outcome);
                    return;
                }
            }
        }
    }

    fn handle(&mut self, event: Event) {
        self.worker.handle(self.now, event);
        self.settle();
    }

    fn command(&mut self, command: WorkerCommand) {
        self.worker.command(self.now, command);
        self.settle();
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.now.wall = self.now.wall + time;
    }

    /// Lets time pass to the worker's own deadline.
    fn wait(&mut self) -> Duration {
        let deadline = self.deadline.expect("something to wait for");
        let time = deadline.saturating_since(self.now.mono);
        self.pass(time);
        self.handle(Event::Tick);
        time
    }

    #[track_caller]
    fn take<T>(&mut self, what: &str, pick: impl Fn(&Action) -> Option<T>) -> T {
        let found = self.asked.iter().enumerate().find_map(|(at, a)| Some((at, pick(a)?)));
        let Some((at, picked)) = found else { panic!("no {what} in {:?}", self.asked) };
        self.asked.remove(at);
        picked
    }

    #[track_caller]
    fn request(&mut self, path: &str) -> (OpId, crate::action::Request) {
        self.take(path, |action| match action {
            Action::Request { op, request } if request.url.ends_with(path) => {
                Some((*op, request.clone()))
            }
            _ => None,
        })
    }

    fn has_request(&self, path: &str) -> bool {
        self.asked.iter().any(
            |action| matches!(action, Action::Request { request, .. } if request.url.ends_with(path)),
        )
    }

    fn respond(&mut self, op: OpId, status: u16, body: &str) {
        let body = Bytes::from(body.to_owned());
        let response = Response { status, headers: vec![], body };
        self.handle(Event::Response { op, response });
    }

    fn refuse(&mut self, op: OpId, status: u16, kind: &str) {
        self.respond(op, status, &format!(r#"{{"error":{{"type":"{kind}","message":"m"}}}}"#));
    }

    fn fail(&mut self, op: OpId, kind: FailureKind) {
        self.handle(Event::Failed { op, failure: Failure { kind, detail: "d".to_owned() } });
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
        self.handle(word(link, &Word::Resume { received: 0, from: 0 }));
        self.asked.retain(|action| !matches!(action, Action::Send { .. }));
        Running { agent, link }
    }

    #[track_caller]
    fn open(&mut self) -> OpId {
        self.take("open", |action| match action {
            Action::Open { op, target: Target::WebSocket { .. } } => Some(*op),
            _ => None,
        })
    }

    /// What went out on a stream, as text.
    fn sent(&mut self, stream: OpId) -> Vec<String> {
        let mut sent = Vec::new();
        self.asked.retain(|action| match action {
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
        self.asked.retain(|action| match action {
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
        self.asked.retain(|action| match action {
            Action::Signal { signal, .. } => {
                signals.push(*signal);
                false
            }
            _ => true,
        });
        signals
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

fn word(op: OpId, word: &Word) -> Event {
    Event::Received { op, message: Message::Binary(word.to_bytes()) }
}

fn line(op: OpId, text: &str) -> Event {
    Event::Received { op, message: Message::Text(Text::from(text.to_owned())) }
}

fn stdout(op: OpId, text: &str) -> Event {
    Event::Stdout { op, data: Bytes::from(text.to_owned()) }
}

const QUESTION: &str = r#"{"type":"control_request","request_id":"P","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{}}}"#;
const ANSWER: &str = r#"{"type":"control_response","response":{"subtype":"success","request_id":"P","response":{}}}"#;

#[test]
fn a_session_runs_from_the_poll_to_its_reported_result() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    assert!(bench.has_request("/work/poll"), "work is asked for while a session runs");

    bench.handle(stdout(agent, "{\"type\":\"assistant\",\"n\":1}\n{\"type\":\"as"));
    bench.handle(stdout(agent, "sistant\",\"n\":2}\n"));
    let sent = bench.sent(link);
    assert_eq!(sent, [r#"{"type":"assistant","n":1}"#, r#"{"type":"assistant","n":2}"#]);

    let user = r#"{"type":"user","uuid":"U","message":{}}"#;
    bench.handle(line(link, user));
    assert_eq!(bench.written(agent), [format!("{user}\n")]);
    assert_eq!(bench.sent(link), [""; 0], "not acknowledged before the pipe has it");
    bench.handle(Event::Written { op: agent, writes: 1 });
    assert_eq!(bench.sent(link), [r#"{"type":"ack","received":1}"#]);

    bench.exit(agent, ExitStatus::Code(0));
    assert!(!bench.has_request("/work/work_1/stop"), "not before its last lines are safe");
    bench.handle(word(link, &Word::Ack { received: 4 }));
    let (stop, request) = bench.request("/work/work_1/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains(r#""status":"completed""#) && body.contains(r#""fence":1"#), "{body}");
    bench.respond(stop, 200, r#"{"state":"stopped"}"#);
    assert_eq!(bench.worker.sessions(), 0);
    assert!(bench.worker.reports.is_empty());
}

#[test]
fn what_each_answer_to_a_poll_leads_to() {
    #[derive(Debug, PartialEq)]
    enum Then {
        AsksAgain,
        Retries,
        RegistersAnew,
        Ends(FaultKind),
    }
    use Then::{AsksAgain, Ends, RegistersAnew, Retries};
    let cases = [
        (204, "", AsksAgain),
        (200, "", AsksAgain),
        (400, "invalid_request", Ends(FaultKind::Protocol)),
        (401, "authentication_failed", RegistersAnew),
        (403, "permission_denied", Ends(FaultKind::Forbidden)),
        (404, "not_found", Ends(FaultKind::NotFound)),
        (404, "environment_unknown", RegistersAnew),
        (405, "method_not_allowed", Ends(FaultKind::Protocol)),
        (410, "environment_gone", RegistersAnew),
        (429, "limit_reached", Retries),
        (500, "internal", Retries),
        (503, "unavailable", Retries),
    ];
    for (status, kind, then) in cases {
        let (mut bench, poll) = Bench::serving(|_| {});
        bench.pass(Duration::from_secs(50));
        let body = if kind.is_empty() {
            String::new()
        } else {
            format!(r#"{{"error":{{"type":"{kind}"}}}}"#)
        };
        bench.respond(poll, status, &body);
        let found = if bench.has_request("/work/poll") {
            AsksAgain
        } else if bench.has_request("/bridge") {
            RegistersAnew
        } else if bench.has_request("/environments/env_1/stop") {
            let (stop, _) = bench.request("/environments/env_1/stop");
            bench.respond(stop, 200, "{}");
            Ends(bench.outcome.clone().expect("an end").expect_err("a fault").kind)
        } else {
            bench.wait();
            assert!(bench.has_request("/work/poll"), "{status} {kind}");
            Retries
        };
        assert_eq!(found, then, "{status} {kind}");
    }
}

#[test]
fn a_secret_that_is_refused_again_after_registering_anew_is_the_end() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.refuse(poll, 401, "authentication_failed");
    let (register, _) = bench.request("/bridge");
    bench.respond(register, 200, r#"{"environment_id":"env_1","environment_secret":"s2"}"#);
    let (poll, _) = bench.request("/work/poll");
    bench.refuse(poll, 401, "authentication_failed");
    let (stop, _) = bench.request("/environments/env_1/stop");
    bench.fail(stop, FailureKind::Refused);
    let fault = bench.outcome.expect("an end").expect_err("a fault");
    assert_eq!(fault.kind, FaultKind::Unauthorized);
    assert!(fault.message.contains("access token"), "{}", fault.message);
}

#[test]
fn a_lost_answer_is_asked_for_again_under_the_same_key_and_a_new_item_under_a_new_one() {
    let key = |request: &crate::action::Request| {
        let header = request.headers.iter().find(|(name, _)| *name == "idempotency-key");
        header.expect("a key").1.reveal().to_owned()
    };
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.fail(poll, FailureKind::Disconnected);
    bench.wait();
    let (poll, request) = bench.request("/work/poll");
    let first = key(&request);
    bench.fail(poll, FailureKind::Disconnected);
    bench.wait();
    let (poll, request) = bench.request("/work/poll");
    assert_eq!(key(&request), first);
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (_, request) = bench.request("/work/poll");
    assert_ne!(key(&request), first);
}

#[test]
fn at_capacity_no_work_is_asked_for_and_the_end_of_a_session_wakes_it_in_the_same_step() {
    let (mut bench, poll) = Bench::serving(|config| config.max_sessions = 1);
    let Running { agent, .. } = bench.start_session(poll, 1);
    assert!(!bench.has_request("/work/poll"));
    bench.exit(agent, ExitStatus::Code(0));
    assert!(bench.has_request("/work/poll"));
}

#[test]
fn a_relay_that_does_not_hold_polls_is_not_asked_in_a_busy_loop() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.respond(poll, 204, "");
    assert!(!bench.has_request("/work/poll"));
    assert_eq!(bench.wait(), Duration::from_secs(1));
    assert!(bench.has_request("/work/poll"));
}

#[test]
fn it_gives_up_after_600_s_of_continuous_failure_and_says_where_and_why() {
    let mut bench = Bench::new(|_| {});
    bench.answer_git();
    let mut waited = Duration::ZERO;
    while bench.outcome.is_none() {
        let (register, _) = bench.request("/bridge");
        bench.fail(register, FailureKind::Refused);
        if bench.outcome.is_none() {
            waited += bench.wait();
        }
    }
    assert!(waited >= Duration::from_secs(600) && waited < Duration::from_secs(730), "{waited:?}");
    let fault = bench.outcome.expect("an end").expect_err("a fault");
    assert_eq!(fault.kind, FaultKind::GaveUp);
    assert!(fault.message.contains("http://127.0.0.1:1"), "{}", fault.message);
}

#[test]
fn after_a_sleep_everything_is_tried_at_once_and_the_pauses_begin_anew() {
    let mut bench = Bench::new(|_| {});
    bench.answer_git();
    for _ in 0..8 {
        let (register, _) = bench.request("/bridge");
        bench.fail(register, FailureKind::Unreachable);
        bench.wait();
    }
    let (register, _) = bench.request("/bridge");
    bench.fail(register, FailureKind::Unreachable);
    // The wall clock went on for eight hours, the other one did not.
    bench.now.wall = bench.now.wall + Duration::from_secs(8 * 3600);
    bench.handle(Event::Tick);
    let (register, _) = bench.request("/bridge");
    bench.fail(register, FailureKind::Unreachable);
    assert!(bench.wait() <= Duration::from_secs(2));
}

#[test]
fn a_question_gets_exactly_one_answer_and_none_after_it_was_withdrawn() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(line(link, ANSWER));
    assert!(bench.written(agent).is_empty(), "nobody asked");
    bench.handle(stdout(agent, &format!("{QUESTION}\n")));
    bench.handle(line(link, ANSWER));
    bench.handle(line(link, ANSWER));
    assert_eq!(bench.written(agent).len(), 1);
    bench.handle(stdout(agent, &format!("{QUESTION}\n")));
    bench.handle(stdout(agent, "{\"type\":\"control_cancel_request\",\"request_id\":\"P\"}\n"));
    bench.handle(line(link, ANSWER));
    assert!(bench.written(agent).is_empty(), "it was withdrawn");
}

#[test]
fn a_question_that_nobody_here_can_answer_is_answered_with_an_error_at_once() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(line(link, r#"{"type":"user","uuid":"U"}"#));
    bench.written(agent);
    let hook =
        r#"{"type":"control_request","request_id":"H","request":{"subtype":"hook_callback"}}"#;
    bench.handle(stdout(agent, &format!("{hook}\n")));
    let written = bench.written(agent);
    assert!(written[0].contains(r#""subtype":"error","request_id":"H""#), "{written:?}");
    assert_eq!(bench.sent(link), [hook], "and viewers see what was asked");
    // The worker's own line is none of those that the relay counts.
    bench.handle(line(link, r#"{"type":"user","uuid":"V"}"#));
    bench.handle(Event::Written { op: agent, writes: 1 });
    bench.handle(Event::Written { op: agent, writes: 1 });
    assert_eq!(bench.sent(link), [r#"{"type":"ack","received":1}"#]);
    bench.handle(Event::Written { op: agent, writes: 1 });
    assert_eq!(bench.sent(link), [r#"{"type":"ack","received":2}"#]);
}

#[test]
fn a_message_is_handed_to_the_agent_once_and_a_line_that_is_none_never() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let user = r#"{"type":"user","uuid":"U"}"#;
    bench.handle(line(link, &format!("{user}\n{user}\nnot json\n")));
    assert_eq!(bench.written(agent).len(), 1);
    bench.handle(Event::Written { op: agent, writes: 1 });
    assert_eq!(bench.sent(link).last().expect("an ack"), r#"{"type":"ack","received":3}"#);
}

#[test]
fn after_a_break_of_the_link_nothing_is_lost_and_nothing_comes_twice() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(stdout(agent, "{\"type\":\"a\",\"n\":1}\n{\"type\":\"a\",\"n\":2}\n"));
    bench.handle(line(link, r#"{"type":"user","uuid":"U"}"#));
    bench.handle(Event::Closed { op: link, code: None, failure: None });
    bench.handle(stdout(agent, "{\"type\":\"a\",\"n\":3}\n"));
    bench.wait();
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    // The report of the start and two lines went out; one line was taken, if not yet written.
    assert_eq!(bench.sent(link), [r#"{"type":"resume","received":1,"from":0}"#]);
    bench.handle(word(link, &Word::Resume { received: 2, from: 0 }));
    assert_eq!(bench.sent(link), [r#"{"type":"a","n":2}"#, r#"{"type":"a","n":3}"#]);
}

#[test]
fn a_relay_that_counts_beyond_all_numbers_is_cut_off() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let running = bench.start_session(poll, 1);
    bench.handle(Event::Closed { op: running.link, code: None, failure: None });
    bench.wait();
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    bench.handle(word(link, &Word::Resume { received: 0, from: u64::MAX }));
    bench.handle(line(link, r#"{"type":"user"}"#));
    let code = bench.take("close", |action| match action {
        Action::Close { op, code } if *op == link => Some(*code),
        _ => None,
    });
    assert_eq!(code, 1002);
}

#[test]
fn an_agent_that_prints_faster_than_the_relay_takes_is_paused_and_goes_on() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let text = format!("{{\"type\":\"a\",\"x\":\"{}\"}}\n", "x".repeat(60_000));
    let mut lines = 0;
    let is_pause = |action: &Action| matches!(action, Action::Pause { op } if *op == agent);
    while !bench.asked.iter().any(is_pause) {
        bench.handle(stdout(agent, &text));
        lines += 1;
        assert!(lines < 100, "never paused");
    }
    let held = bench.worker.sessions.values().next().expect("one").link.waiting_bytes();
    assert!(held <= crate::limits::OUTBOX_HIGH_WATER_BYTES + text.len(), "{held}");
    let mut received = 0;
    while !bench.asked.iter().any(|a| matches!(a, Action::Resume { op } if *op == agent)) {
        received += 1;
        bench.handle(word(link, &Word::Ack { received }));
    }
    assert!(received > 10 && received <= lines, "{received}");
}

#[test]
fn output_that_is_no_message_is_reported_and_skipped() {
    let (mut bench, poll) = Bench::serving(|config| config.max_line_bytes = 100);
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(stdout(agent, &format!("oops\n{}\n{{\"type\":\"a\"}}\n", "y".repeat(101))));
    let sent = bench.sent(link);
    assert!(sent[0].contains("agent_output_error") && sent[0].contains("not JSON"), "{sent:?}");
    assert!(sent[1].contains("101 bytes is over the limit"), "{sent:?}");
    assert_eq!(sent[2], r#"{"type":"a"}"#);
}

#[test]
fn at_its_time_limit_a_session_gets_term_then_kill_and_is_reported_as_timed_out() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let deaf = |bench: &mut Bench| {
        // Nobody answers anything meanwhile; the link is kept alive by what it hears.
        bench.handle(word(link, &Word::Pong));
        bench.wait();
    };
    let start = bench.now.mono;
    let mut signals = Vec::new();
    while signals.len() < 2 {
        deaf(&mut bench);
        for signal in bench.signals() {
            signals.push((signal, bench.now.mono.saturating_since(start)));
        }
    }
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(signals, [(Signal::Terminate, day), (Signal::Kill, day + Duration::from_secs(30))]);
    bench.exit(agent, ExitStatus::Signal(9));
    bench.handle(word(link, &Word::Ack { received: 2 }));
    let (_, request) = bench.request("/work/work_1/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains(r#""status":"timed_out""#), "{body}");
}

#[test]
fn a_grandchild_that_holds_stdout_does_not_hold_the_session() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(Event::Exited { op: agent, status: ExitStatus::Code(3) });
    assert_eq!(bench.wait(), crate::limits::AGENT_DRAIN);
    assert_eq!(bench.signals(), [Signal::Kill], "it does not survive");
    bench.handle(word(link, &Word::Ack { received: 2 }));
    let (_, request) = bench.request("/work/work_1/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains(r#""status":"failed""#) && body.contains(r#""exit_code":3"#), "{body}");
}

#[test]
fn an_agent_that_closes_its_stdout_and_lives_on_is_ended() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, .. } = bench.start_session(poll, 1);
    bench.handle(Event::OutputEnded { op: agent, output: Output::Stdout });
    bench.take("close of stdin", |a| matches!(a, Action::CloseInput { .. }).then_some(()));
    assert_eq!(bench.wait(), crate::limits::AGENT_OUTPUT_CLOSED_GRACE);
    assert_eq!(bench.signals(), [Signal::Kill]);
}

#[test]
fn an_agent_that_cannot_be_started_is_a_failed_session_with_the_reason() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    let agent = bench.take("spawn", |action| match action {
        Action::Spawn { op, .. } => Some(*op),
        _ => None,
    });
    let link = bench.open();
    bench.fail(agent, FailureKind::NotFound);
    bench.handle(Event::Opened { op: link });
    bench.handle(word(link, &Word::Resume { received: 0, from: 0 }));
    bench.handle(word(link, &Word::Ack { received: 1 }));
    let (_, request) = bench.request("/work/work_1/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains("could not be started: not found: d"), "{body}");
}

#[test]
fn work_that_cannot_be_run_is_told_to_the_relay_and_nothing_is_started() {
    let cases = [
        (r#"{"version":2,"session_ingress_token":"t"}"#, "version 2"),
        (r#"{"version":1}"#, "no session_ingress_token"),
        (r#"{"version":1,"session_ingress_token":"t","use_code_sessions":true}"#, "version 2"),
    ];
    for (secret, reason) in cases {
        let (mut bench, poll) = Bench::serving(|_| {});
        bench.respond(poll, 200, &item(1, secret));
        let (_, request) = bench.request("/work/work_1/stop");
        let body = String::from_utf8(request.body.to_vec()).expect("JSON");
        assert!(body.contains(reason) && body.contains(r#""status":"failed""#), "{body}");
        assert!(!bench.asked.iter().any(|action| matches!(action, Action::Spawn { .. })));
    }
}

#[test]
fn an_id_that_could_leave_its_place_in_a_url_is_an_error_that_names_the_field() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let bad = item(1, "{}").replace("session_1", "../../admin");
    bench.respond(poll, 200, &bad);
    let retrying = bench.notices.iter().find_map(|notice| match notice {
        WorkerNotice::Retrying { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert!(retrying.expect("a notice").contains("session id"));
    assert!(bench.asked.is_empty(), "nothing is requested: {:?}", bench.asked);
}

#[test]
fn what_each_answer_to_a_heartbeat_leads_to() {
    #[derive(Debug, PartialEq)]
    enum Then {
        GoesOn,
        Redispatch,
        Ends(Signal),
    }
    use Then::{Ends, GoesOn, Redispatch};
    let good = r#"{"lease_extended":true,"state":"running"}"#;
    let cases = [
        (200, good, GoesOn),
        (200, r#"{"lease_extended":true,"state":"stopping"}"#, Ends(Signal::Terminate)),
        (200, r#"{"lease_extended":false,"state":"running"}"#, Ends(Signal::Kill)),
        (401, "", Redispatch),
        (403, "", Ends(Signal::Kill)),
        (404, "", Ends(Signal::Kill)),
        (409, "", Ends(Signal::Kill)),
        (410, "", Ends(Signal::Kill)),
        (429, "", GoesOn),
        (500, "", GoesOn),
        (200, "<html>", GoesOn),
    ];
    for (status, body, then) in cases {
        let (mut bench, poll) = Bench::serving(|_| {});
        bench.start_session(poll, 1);
        while !bench.has_request("/heartbeat") {
            bench.wait();
        }
        let (heartbeat, _) = bench.request("/heartbeat");
        bench.respond(heartbeat, status, body);
        let found = match bench.signals().first() {
            Some(signal) => Ends(*signal),
            None if bench.has_request("/sessions/session_1/redispatch") => Redispatch,
            None => GoesOn,
        };
        assert_eq!(found, then, "{status} {body}");
    }
}

#[test]
fn a_second_item_for_a_running_session_renews_its_lease_and_starts_nothing() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { link, .. } = bench.start_session(poll, 1);
    let (poll, _) = bench.request("/work/poll");
    let again = item(2, r#"{"version":1,"session_ingress_token":"fresh"}"#);
    bench.respond(poll, 200, &again.replace("session_2", "session_1"));
    let (ack, _) = bench.request("/work/work_2/ack");
    bench.respond(ack, 200, "{}");
    assert!(!bench.asked.iter().any(|action| matches!(action, Action::Spawn { .. })));
    bench.take("the old link's close", |action| {
        matches!(action, Action::Close { op, .. } if *op == link).then_some(())
    });
    let headers = bench.take("open", |action| match action {
        Action::Open { target: Target::WebSocket { headers, .. }, .. } => Some(headers.clone()),
        _ => None,
    });
    assert_eq!(headers[0].1.reveal(), "Bearer fresh");
}

#[test]
fn at_capacity_a_session_whose_token_ran_out_gets_its_new_lease_and_nothing_else_is_taken() {
    let (mut bench, poll) = Bench::serving(|config| config.max_sessions = 1);
    let Running { link, .. } = bench.start_session(poll, 1);
    assert!(!bench.has_request("/work/poll"), "there is no room");
    bench.handle(Event::Closed { op: link, code: None, failure: None });
    bench.wait();
    let link = bench.open();
    let body = Bytes::from_static(br#"{"error":{"type":"token_expired","message":"m"}}"#);
    let response = Response { status: 401, headers: vec![], body };
    bench.handle(Event::Refused { op: link, response });
    let (redispatch, _) = bench.request("/redispatch");
    assert!(!bench.has_request("/work/poll"));
    bench.respond(redispatch, 200, r#"{"state":"queued"}"#);

    // Another session's item comes first: it is not acked, and so goes back to the relay.
    let (poll, _) = bench.request("/work/poll");
    bench.pass(Duration::from_secs(2));
    bench.respond(poll, 200, &item(2, r#"{"version":1,"session_ingress_token":"t"}"#));
    assert!(!bench.has_request("/ack"));

    let (poll, _) = bench.request("/work/poll");
    let again = item(3, r#"{"version":1,"session_ingress_token":"fresh"}"#);
    bench.respond(poll, 200, &again.replace("session_3", "session_1"));
    let (ack, _) = bench.request("/work/work_3/ack");
    bench.respond(ack, 200, "{}");
    bench.open();
    assert!(!bench.has_request("/work/poll"), "there is no room again");
}

#[test]
fn an_item_that_was_done_is_acked_and_not_run_again() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(word(link, &Word::Ack { received: 2 }));
    let (stop, _) = bench.request("/work/work_1/stop");
    bench.respond(stop, 200, "{}");
    let (poll, _) = bench.request("/work/poll");
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (ack, _) = bench.request("/work/work_1/ack");
    bench.respond(ack, 200, "{}");
    assert!(bench.has_request("/work/work_1/stop"));
    assert!(!bench.asked.iter().any(|action| matches!(action, Action::Spawn { .. })));
}

#[test]
fn a_healthcheck_is_acked_and_answered_without_a_session() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let item = item(1, r#"{"version":1,"session_ingress_token":"t"}"#);
    bench.respond(poll, 200, &item.replace(r#""session","id""#, r#""healthcheck","id""#));
    let (ack, _) = bench.request("/work/work_1/ack");
    bench.respond(ack, 200, "{}");
    assert!(bench.has_request("/work/work_1/stop"));
    assert_eq!(bench.worker.sessions(), 0);
}

#[test]
fn a_result_is_reported_again_after_doubling_pauses_until_it_arrives() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(word(link, &Word::Ack { received: 2 }));
    for secs in [1, 2, 4, 8] {
        let (stop, _) = bench.request("/work/work_1/stop");
        bench.fail(stop, FailureKind::Refused);
        assert_eq!(bench.wait(), Duration::from_secs(secs));
    }
    let (stop, _) = bench.request("/work/work_1/stop");
    bench.respond(stop, 200, "{}");
    assert!(bench.worker.reports.is_empty());
}

#[test]
fn a_shutdown_ends_sessions_reports_them_deregisters_and_finishes() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.command(WorkerCommand::Shutdown);
    assert_eq!(bench.signals(), [Signal::Terminate]);
    bench.exit(agent, ExitStatus::Signal(15));
    bench.handle(word(link, &Word::Ack { received: 2 }));
    let (stop, request) = bench.request("/work/work_1/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains(r#""status":"interrupted""#), "{body}");
    bench.respond(stop, 200, "{}");
    let (deregister, _) = bench.request("/environments/env_1/stop");
    bench.respond(deregister, 200, "{}");
    assert_eq!(bench.outcome, Some(Ok(())));
}

#[test]
fn a_second_signal_kills_and_waits_for_nobody() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, .. } = bench.start_session(poll, 1);
    bench.command(WorkerCommand::Shutdown);
    bench.command(WorkerCommand::Hurry);
    assert_eq!(bench.signals(), [Signal::Terminate, Signal::Kill]);
    bench.exit(agent, ExitStatus::Signal(9));
    assert!(bench.has_request("/work/work_1/stop"), "its last lines are not waited for");
}

#[test]
fn a_shutdown_is_over_in_bounded_time_when_nobody_answers() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.start_session(poll, 1);
    let start = bench.now.mono;
    bench.command(WorkerCommand::Shutdown);
    while bench.outcome.is_none() {
        bench.wait();
    }
    let took = bench.now.mono.saturating_since(start);
    assert!(took <= Duration::from_secs(60), "{took:?}");
    assert_eq!(bench.outcome, Some(Ok(())));
}

#[test]
fn the_same_events_give_the_same_actions() {
    let run = || {
        let (mut bench, poll) = Bench::serving(|_| {});
        let Running { agent, .. } = bench.start_session(poll, 1);
        bench.handle(stdout(agent, &format!("{QUESTION}\n")));
        for _ in 0..20 {
            bench.wait();
        }
        bench.asked.iter().map(|action| format!("{action:?}")).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_late_answer_is_dropped() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.respond(poll, 204, "");
    let before = bench.asked.len();
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    assert_eq!(bench.asked.len(), before);
    assert!(bench.notices.iter().all(|n| !matches!(n, WorkerNotice::BadWork { .. })));
}

#[test]
fn a_result_is_in_a_file_before_it_is_sent_and_until_it_has_arrived() {
    let keep = |config: &mut WorkerConfig| config.state_directory = Some("/state".to_owned());
    let (mut bench, poll) = Bench::serving(keep);
    let listing = bench.take("list", |action| match action {
        Action::List { op, path } if path == "/state/results" => Some(*op),
        _ => None,
    });
    bench.handle(Event::Listed { op: listing, names: vec![] });
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(word(link, &Word::Ack { received: 2 }));
    assert!(!bench.has_request("/work/work_1/stop"));
    let (save, file) = bench.take("save", |action| match action {
        Action::Save { op, path, data } if path == "/state/results/work_1.json" => {
            Some((*op, data.clone()))
        }
        _ => None,
    });
    bench.handle(Event::Saved { op: save });
    let (stop, _) = bench.request("/work/work_1/stop");
    bench.respond(stop, 200, "{}");
    bench.take("remove", |action| match action {
        Action::Remove { path, .. } if path == "/state/results/work_1.json" => Some(()),
        _ => None,
    });

    // What a crash would have left behind is reported by the next run, with its own credential.
    let (mut bench, _) = Bench::serving(keep);
    let listing = bench.take("list", |action| match action {
        Action::List { op, .. } => Some(*op),
        _ => None,
    });
    let names = ["work_1.json", "../x.json", "notes.txt"].map(String::from).to_vec();
    bench.handle(Event::Listed { op: listing, names });
    let load = bench.take("load", |action| match action {
        Action::Load { op, .. } => Some(*op),
        _ => None,
    });
    bench.handle(Event::Loaded { op: load, data: Some(file) });
    let (_, request) = bench.request("/environments/env_1/work/work_1/stop");
    assert_eq!(request.headers[0].1.reveal(), "Bearer s");
}

#[test]
fn a_full_disk_does_not_hold_a_result_back() {
    let keep = |config: &mut WorkerConfig| config.state_directory = Some("/state".to_owned());
    let (mut bench, poll) = Bench::serving(keep);
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(word(link, &Word::Ack { received: 2 }));
    let save = bench.take("save", |action| match action {
        Action::Save { op, .. } => Some(*op),
        _ => None,
    });
    bench.fail(save, FailureKind::Full);
    assert!(bench.has_request("/work/work_1/stop"));
    assert!(bench.notices.iter().any(|n| matches!(n, WorkerNotice::ReportAtRisk { .. })));
}

#[test]
fn a_broken_file_of_the_spool_is_removed_and_said_so() {
    let keep = |config: &mut WorkerConfig| config.state_directory = Some("/state".to_owned());
    let (mut bench, _) = Bench::serving(keep);
    let listing = bench.take("list", |action| match action {
        Action::List { op, .. } => Some(*op),
        _ => None,
    });
    bench.handle(Event::Listed { op: listing, names: vec!["work_1.json".to_owned()] });
    let load = bench.take("load", |action| match action {
        Action::Load { op, .. } => Some(*op),
        _ => None,
    });
    bench.handle(Event::Loaded { op: load, data: Some(Bytes::from_static(b"{\"rel")) });
    assert!(bench.asked.iter().any(|action| matches!(action, Action::Remove { .. })));
    assert!(!bench.has_request("/stop"));
}

/// The next git command, as its arguments without `-C DIRECTORY`, and where it runs.
fn git_command(bench: &mut Bench) -> (OpId, String, String) {
    bench.take("a git command", |action| match action {
        Action::Run { op, command, .. } if command.program == "git" => {
            Some((*op, command.args[2..].join(" "), command.args[1].clone()))
        }
        _ => None,
    })
}

#[test]
fn git_inherits_no_variable_that_is_kept_from_agents() {
    let mut bench = Bench::new(|config| config.agent_env_remove = vec!["A_TOKEN".to_owned()]);
    let removed = bench.take("a git command", |action| match action {
        Action::Run { command, .. } if command.program == "git" => Some(command.env_remove.clone()),
        _ => None,
    });
    assert!(removed.contains(&"A_TOKEN".to_owned()), "{removed:?}");
}

fn git_says(bench: &mut Bench, op: OpId, code: i32, out: &str, error: &str) {
    let bytes = |text: &str| Bytes::from(text.to_owned());
    let status = ExitStatus::Code(code);
    bench.handle(Event::Ran { op, status, stdout: bytes(out), stderr: bytes(error) });
}

fn in_worktree_mode() -> (Bench, OpId) {
    let mut bench = Bench::new(|config| {
        config.spawn_mode = SpawnMode::Worktree { root: "/trees".to_owned() };
        config.process_id = 9;
    });
    let answers = [
        ("symbolic-ref", "main"),
        ("config", ""),
        ("rev-parse --show-prefix", "sub/"),
        ("rev-parse --verify", "c0ffee"),
        ("worktree list", ""),
    ];
    for (beginning, out) in answers {
        let (op, args, _) = git_command(&mut bench);
        assert!(args.starts_with(beginning), "{args}");
        git_says(&mut bench, op, 0, out, "");
    }
    let (register, _) = bench.request("/bridge");
    bench.respond(register, 200, r#"{"environment_id":"env_1","environment_secret":"s"}"#);
    let (poll, _) = bench.request("/work/poll");
    (bench, poll)
}

/// A session in a worktree whose agent has ended and whose last lines are safe.
fn ended_in_worktree() -> Bench {
    let (mut bench, poll) = in_worktree_mode();
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    let link = bench.open();
    let (op, args, directory) = git_command(&mut bench);
    assert_eq!(
        (args.as_str(), directory.as_str()),
        ("rev-parse --verify --quiet --end-of-options HEAD^{commit}", "/w")
    );
    git_says(&mut bench, op, 0, "c0ffee\n", "");
    let (op, args, _) = git_command(&mut bench);
    assert_eq!(
        args,
        "worktree add --quiet --no-track --lock --reason footbridge 9 -b footbridge/session_1 /trees/session_1 c0ffee"
    );
    git_says(&mut bench, op, 0, "", "");
    let (agent, directory) = bench.take("spawn", |action| match action {
        Action::Spawn { op, command } => Some((*op, command.directory.clone())),
        _ => None,
    });
    assert_eq!(directory.as_deref(), Some("/trees/session_1/sub"));
    bench.handle(Event::Spawned { op: agent, pid: 7 });
    bench.handle(Event::Opened { op: link });
    bench.handle(word(link, &Word::Resume { received: 0, from: 0 }));
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(word(link, &Word::Ack { received: 2 }));
    bench
}

#[test]
fn what_is_said_while_the_worktree_is_made_waits_for_the_agent_and_is_not_acknowledged_before() {
    let (mut bench, poll) = in_worktree_mode();
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    bench.handle(word(link, &Word::Resume { received: 0, from: 0 }));
    let user = r#"{"type":"user","uuid":"U","message":{}}"#;
    bench.handle(line(link, user));
    for out in ["c0ffee", ""] {
        let (op, _, _) = git_command(&mut bench);
        git_says(&mut bench, op, 0, out, "");
    }
    assert!(bench.sent(link).iter().all(|sent| !sent.contains(r#""ack""#)));
    let agent = bench.take("spawn", |action| match action {
        Action::Spawn { op, .. } => Some(*op),
        _ => None,
    });
    bench.handle(Event::Spawned { op: agent, pid: 7 });
    assert_eq!(bench.written(agent), [format!("{user}\n")]);
    bench.handle(Event::Written { op: agent, writes: 1 });
    assert!(bench.sent(link).contains(&r#"{"type":"ack","received":1}"#.to_owned()));
}

#[test]
fn a_worktree_with_nothing_in_it_is_removed_before_the_result_is_told() {
    let mut bench = ended_in_worktree();
    let steps = [
        ("status --porcelain", "/trees/session_1", ""),
        (
            "rev-parse --verify --quiet refs/heads/footbridge/session_1",
            "/trees/session_1",
            "c0ffee",
        ),
        ("rev-list --max-count=1 HEAD c0ffee --not", "/trees/session_1", ""),
        ("switch --quiet --detach", "/trees/session_1", ""),
        ("worktree unlock /trees/session_1", "/w", ""),
        ("update-ref -d refs/heads/footbridge/session_1 c0ffee", "/w", ""),
        ("worktree remove /trees/session_1", "/w", ""),
    ];
    for (beginning, place, out) in steps {
        assert!(!bench.has_request("/work/work_1/stop"));
        let (op, args, directory) = git_command(&mut bench);
        assert!(args.starts_with(beginning), "{args}");
        assert_eq!(directory, place, "{args}");
        git_says(&mut bench, op, 0, out, "");
    }
    assert!(bench.has_request("/work/work_1/stop"));
}

#[test]
fn a_worktree_with_work_in_it_is_kept_and_named_in_the_result() {
    type GitSays<'a> = &'a [(i32, &'a str, &'a str)];
    let cases: [(GitSays<'_>, &str); 5] = [
        (&[(0, " M a\n?? b\n", "")], "2 uncommitted or untracked files"),
        (&[(128, "", "fatal: broken\n")], "fatal: broken"),
        (&[(0, "", ""), (0, "c1", ""), (0, "c1\n", "")], "commits that no other branch has"),
        (&[(0, "", ""), (1, "", ""), (128, "", "fatal: no\n")], "fatal: no"),
        (
            &[
                (0, "", ""),
                (1, "", ""),
                (0, "", ""),
                (0, "", ""),
                (0, "", ""),
                (128, "", "fatal: contains modified files\n"),
            ],
            "contains modified files",
        ),
    ];
    for (answers, reason) in cases {
        let mut bench = ended_in_worktree();
        for (code, out, error) in answers {
            let (op, _, _) = git_command(&mut bench);
            git_says(&mut bench, op, *code, out, error);
        }
        let (_, request) = bench.request("/work/work_1/stop");
        let body = String::from_utf8(request.body.to_vec()).expect("JSON");
        assert!(body.contains(reason) && body.contains("/trees/session_1 was kept"), "{body}");
    }
}

#[test]
fn a_git_command_that_meets_a_lock_is_tried_again() {
    let mut bench = ended_in_worktree();
    let (op, first, _) = git_command(&mut bench);
    let locked = "fatal: Unable to create '/r/.git/index.lock': File exists.";
    git_says(&mut bench, op, 128, "", locked);
    bench.wait();
    let (_, again, _) = git_command(&mut bench);
    assert_eq!(again, first);
}

#[test]
fn a_directory_without_a_commit_to_begin_from_is_an_error_at_the_start() {
    for (failing, reason) in [(2, "is no git repository"), (3, "without a commit")] {
        let mut bench = Bench::new(|config| {
            config.spawn_mode = SpawnMode::Worktree { root: "/trees".to_owned() };
        });
        for _ in 0..failing {
            let (op, _, _) = git_command(&mut bench);
            git_says(&mut bench, op, 0, "", "");
        }
        let (op, _, _) = git_command(&mut bench);
        git_says(&mut bench, op, 128, "", "fatal: no");
        let fault = bench.outcome.expect("an end").expect_err("a fault");
        assert_eq!(fault.kind, FaultKind::Local);
        assert!(fault.message.contains(reason) && fault.message.contains("/w"), "{fault}");
    }
}

#[test]
fn a_session_that_ends_while_its_worktree_is_made_starts_no_agent_and_leaves_none() {
    let (mut bench, poll) = in_worktree_mode();
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    let (op, _, _) = git_command(&mut bench);
    git_says(&mut bench, op, 0, "c0ffee", "");
    let (add, _, _) = git_command(&mut bench);
    bench.command(WorkerCommand::Hurry);
    git_says(&mut bench, add, 0, "", "");
    assert!(!bench.asked.iter().any(|action| matches!(action, Action::Spawn { .. })));
    let (_, args, _) = git_command(&mut bench);
    assert!(args.starts_with("status"), "{args}");
}

#[test]
fn after_a_401_the_token_is_read_again_once_and_a_second_401_is_the_end() {
    let from_file = |config: &mut WorkerConfig| {
        config.access_token = AccessToken::from_file(Secret::from("old"), "/token".to_owned());
    };
    for (file, second, is_end) in
        [("new\n", 200, false), ("new\n", 401, true), ("old\n", 401, true)]
    {
        let mut bench = Bench::new(from_file);
        bench.answer_git();
        let (register, _) = bench.request("/bridge");
        bench.refuse(register, 401, "authentication_failed");
        let load = bench.take("load", |action| match action {
            Action::Load { op, path, .. } if path == "/token" => Some(*op),
            _ => None,
        });
        bench.handle(Event::Loaded { op: load, data: Some(Bytes::from(file)) });
        let (register, request) = bench.request("/bridge");
        assert_eq!(request.headers[0].1.reveal(), format!("Bearer {}", file.trim()));
        let answer = r#"{"environment_id":"env_1","environment_secret":"s"}"#;
        bench.respond(register, second, answer);
        assert_eq!(bench.outcome.is_some(), is_end, "{file} {second}");
    }
}

#[test]
fn an_mcp_configuration_is_in_a_file_for_the_agent_as_long_as_it_runs() {
    let secret = r#"{"version":1,"session_ingress_token":"t","mcp_config":{"key":"hunter2"}}"#;
    let keep = |config: &mut WorkerConfig| config.state_directory = Some("/state".to_owned());
    let (mut bench, poll) = Bench::serving(keep);
    bench.respond(poll, 200, &item(1, secret));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    let (save, data) = bench.take("save", |action| match action {
        Action::Save { op, path, data } if path == "/state/mcp/session_1.json" => {
            Some((*op, data.clone()))
        }
        _ => None,
    });
    assert_eq!(data, r#"{"key":"hunter2"}"#);
    assert!(!bench.asked.iter().any(|action| matches!(action, Action::Spawn { .. })));
    bench.handle(Event::Saved { op: save });
    let (agent, args) = bench.take("spawn", |action| match action {
        Action::Spawn { op, command } => Some((*op, command.args.clone())),
        _ => None,
    });
    assert_eq!(args, ["--mcp-config", "/state/mcp/session_1.json"]);
    let link = bench.open();
    bench.handle(Event::Spawned { op: agent, pid: 7 });
    bench.handle(Event::Opened { op: link });
    bench.handle(word(link, &Word::Resume { received: 0, from: 0 }));
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(word(link, &Word::Ack { received: 2 }));
    bench.take("remove", |action| match action {
        Action::Remove { path, .. } if path == "/state/mcp/session_1.json" => Some(()),
        _ => None,
    });

    let (mut bench, poll) = Bench::serving(|_| {});
    bench.respond(poll, 200, &item(1, secret));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    assert!(!bench.asked.iter().any(|action| matches!(action, Action::Spawn { .. })));
}
