//! A direct server by hand: doors, questions, requests, slow clients, the agent's end.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use bytes::Bytes;

use super::*;
use crate::base::limits::{DIRECT_GREETING_TIME, DIRECT_LOG_LINES, VIEWER_STALLED_AFTER};
use crate::base::text::Text;
use crate::base::time::Now;
use crate::contract::action::Method;
use crate::contract::event::{Body, Output};
use crate::testing::Hand;

const TOKEN: &str = "the-token-of-the-server";

struct Bench {
    hand: Hand<Serve>,
    agent: OpId,
}

fn config() -> ServeConfig {
    ServeConfig {
        listen: "127.0.0.1:0".into(),
        hosts: Vec::new(),
        token: Secret::from(TOKEN),
        session: SessionId::new("session_1").expect("an id"),
        run: "run-1".into(),
        peers: Some("/peers/7.sock".into()),
        agent: ProcessSpec {
            program: "agent".into(),
            args: Vec::new(),
            env: Vec::new(),
            env_remove: Vec::new(),
            directory: None,
        },
        grace: Duration::from_secs(3),
    }
}

fn request(target: &str, headers: &[(&str, &str)]) -> IncomingRequest {
    IncomingRequest {
        method: Method::Get,
        target: target.into(),
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        body: Body::Whole(Bytes::new()),
        is_tls: false,
        peer: IpAddr::from([127, 0, 0, 1]),
    }
}

const GOOD: [(&str, &str); 3] = [
    ("host", "127.0.0.1:1"),
    ("authorization", "Bearer the-token-of-the-server"),
    ("upgrade", "websocket"),
];

impl Bench {
    fn new() -> Self {
        let mut hand = Hand::new(Serve::new(config()), Now::default());
        hand.trees_ended = Some(0);
        let listener = hand.take("listen", |action| match action {
            Action::Listen { op, .. } => Some(*op),
            _ => None,
        });
        hand.handle(Event::Listening { op: listener, address: "127.0.0.1:1".into() });
        let agent = hand.take("spawn", |action| match action {
            Action::Spawn { op, .. } => Some(*op),
            _ => None,
        });
        hand.handle(Event::Spawned { op: agent, pid: 7 });
        Self { hand, agent }
    }

    /// A request arrives.
    fn ask(&mut self, request: IncomingRequest) -> OpId {
        let op = self.hand.take("accept", |action| match action {
            Action::Accept { op, .. } => Some(*op),
            _ => None,
        });
        self.hand.handle(Event::Requested { op, request });
        op
    }

    /// The status of the answer to a request.
    fn status(&mut self, request: IncomingRequest) -> u16 {
        let op = self.ask(request);
        self.hand.take("an answer", |action| match action {
            Action::Reply { op: of, response } if *of == op => Some(response.status),
            Action::Upgrade { op: of, .. } if *of == op => Some(101),
            _ => None,
        })
    }

    fn open(&mut self, headers: &[(&str, &str)]) -> OpId {
        let op = self.ask(request("/v1/direct/session_1", headers));
        self.hand.take("upgrade", |action| match action {
            Action::Upgrade { op: of, .. } if *of == op => Some(()),
            _ => None,
        });
        self.hand.handle(Event::Opened { op });
        op
    }

    fn plain(&mut self) -> OpId {
        self.open(&GOOD)
    }

    /// A client that counts lines.
    fn resuming(&mut self, run: &str, received: u64, from: u64) -> OpId {
        let op = self.open(&[GOOD.as_slice(), &[("sec-websocket-protocol", PROTOCOL)]].concat());
        let resume = format!(
            r#"{{"type":"resume","client":"c1","run":"{run}","received":{received},"from":{from}}}"#
        );
        self.binary(op, &resume);
        op
    }

    fn binary(&mut self, op: OpId, frame: &str) {
        let message = Message::Binary(Bytes::copy_from_slice(frame.as_bytes()));
        self.hand.handle(Event::Received { op, message });
    }

    fn prints(&mut self, line: &str) {
        let data = Bytes::from(format!("{line}\n"));
        self.hand.handle(Event::Stdout { op: self.agent, data });
    }

    fn says(&mut self, op: OpId, line: &str) {
        let message = Message::Text(Text::from(line.to_owned()));
        self.hand.handle(Event::Received { op, message });
    }

    /// What was sent to a client since the last look, confirmed.
    fn sent(&mut self, op: OpId) -> Vec<String> {
        let lines = self.unconfirmed(op);
        if !lines.is_empty() {
            self.hand.handle(Event::Sent { op, messages: lines.len() });
        }
        lines
    }

    fn unconfirmed(&mut self, op: OpId) -> Vec<String> {
        let mut lines = Vec::new();
        self.hand.actions.retain(|action| match action {
            Action::Send { op: of, message } if *of == op => {
                let bytes = match message {
                    Message::Text(text) => text.as_bytes(),
                    Message::Binary(bytes) => bytes,
                };
                lines.push(String::from_utf8(bytes.to_vec()).expect("UTF-8"));
                false
            }
            _ => true,
        });
        lines
    }

    /// What the agent was given since the last look; its pipe has accepted it.
    fn given(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        self.hand.actions.retain(|action| match action {
            Action::Write { data, .. } => {
                lines.push(String::from_utf8(data.to_vec()).expect("UTF-8").trim_end().to_owned());
                false
            }
            _ => true,
        });
        if !lines.is_empty() {
            self.hand.handle(Event::Written { op: self.agent, writes: lines.len() });
        }
        lines
    }

    fn exits(&mut self, code: i32) {
        for output in [Output::Stdout, Output::Stderr] {
            self.hand.handle(Event::OutputEnded { op: self.agent, output });
        }
        self.hand.handle(Event::Exited { op: self.agent, status: ExitStatus::Code(code) });
    }

    fn closes(&mut self, op: OpId) -> Option<u16> {
        let at = self
            .hand
            .actions
            .iter()
            .position(|action| matches!(action, Action::Close { op: of, .. } if *of == op))?;
        match self.hand.actions.remove(at) {
            Some(Action::Close { code, .. }) => Some(code),
            _ => None,
        }
    }
}

fn question(id: &str) -> String {
    format!(
        r#"{{"type":"control_request","request_id":"{id}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"command":"ls"}}}}}}"#
    )
}

fn answer(id: &str, response: &str) -> String {
    format!(
        r#"{{"type":"control_response","response":{{"subtype":"success","request_id":"{id}","response":{response}}}}}"#
    )
}

const ALLOW: &str = r#"{"behavior":"allow","updatedInput":{"command":"ls"}}"#;
const DENY: &str = r#"{"behavior":"deny","message":"no"}"#;

fn cancel(id: &str) -> String {
    format!(r#"{{"type":"control_cancel_request","request_id":"{id}"}}"#)
}

#[test]
fn only_who_shows_the_token_under_a_name_of_this_machine_comes_in() {
    let mut bench = Bench::new();
    let target = "/v1/direct/session_1";
    let with = |more: &[(&'static str, &'static str)]| [GOOD.as_slice(), more].concat();
    let without =
        |name: &str| GOOD.into_iter().filter(|(given, _)| *given != name).collect::<Vec<_>>();
    let wrong = [without("authorization"), Vec::from([("authorization", "Bearer wrong")])].concat();
    let basic = "Basic the-token-of-the-server";
    let basic = [without("authorization"), Vec::from([("authorization", basic)])].concat();
    let rebound = [without("host"), Vec::from([("host", "evil.example")])].concat();
    for (target, headers, status) in [
        (target, GOOD.to_vec(), 101),
        ("/v1/direct", GOOD.to_vec(), 101),
        ("/v1/direct/cse_1?x=1", GOOD.to_vec(), 101),
        ("/v1/direct/session_2", GOOD.to_vec(), 404),
        ("/", GOOD.to_vec(), 404),
        (target, without("authorization"), 401),
        (target, wrong, 401),
        (target, basic, 401),
        (target, without("upgrade"), 426),
        (target, without("host"), 400),
        (target, rebound, 421),
        (target, with(&[("origin", "http://evil.example")]), 403),
        (target, with(&[("origin", "http://127.0.0.1:1")]), 101),
        (target, with(&[("authorization", "Bearer the-token-of-the-server")]), 400),
    ] {
        let asked = request(target, &headers);
        assert_eq!(bench.status(asked), status, "{target} {headers:?}");
    }
}

#[test]
fn the_first_answer_counts_and_the_others_are_told() {
    let mut bench = Bench::new();
    let (one, two) = (bench.plain(), bench.plain());
    bench.prints(&question("P"));
    for op in [one, two] {
        assert!(bench.sent(op).contains(&question("P")));
    }
    bench.says(one, &answer("P", ALLOW));
    bench.says(two, &answer("P", DENY));
    let given = bench.given();
    assert!(given.len() == 1 && given[0].contains("allow"), "{given:?}");
    assert_eq!(bench.sent(one), Vec::<String>::new());
    // Once because it is over, and once because it answered too late.
    assert_eq!(bench.sent(two), [cancel("P"), cancel("P")]);
    assert_eq!(bench.hand.notices.last(), Some(&ServeNotice::Waiting { questions: 0 }));
}

#[test]
fn a_question_that_nobody_was_there_for_waits_and_no_end_of_a_connection_answers_it() {
    let mut bench = Bench::new();
    bench.prints(&question("P"));
    let one = bench.plain();
    assert_eq!(bench.sent(one), [question("P")]);
    bench.hand.handle(Event::Closed { op: one, code: Some(1001), failure: None });
    let two = bench.plain();
    assert_eq!(bench.sent(two), [question("P")]);
    for bad in ["{}", r#"{"behavior":"maybe"}"#, "null"] {
        bench.says(two, &answer("P", bad));
        let told = bench.sent(two);
        assert!(told.len() == 1 && told[0].contains("input_refused"), "{told:?}");
    }
    assert_eq!(bench.given(), Vec::<String>::new());
    bench.says(two, &answer("P", r#"{"behavior":"allow"}"#));
    let given = bench.given();
    assert!(given[0].contains(r#""updatedInput":{"command":"ls"}"#), "{given:?}");
}

#[test]
fn two_clients_may_use_the_same_request_id() {
    let mut bench = Bench::new();
    let (one, two) = (bench.plain(), bench.plain());
    let ask = r#"{"type":"control_request","request_id":"r1","request":{"subtype":"mcp_status"}}"#;
    bench.says(one, ask);
    bench.says(two, ask);
    let given = bench.given();
    let ids: Vec<_> = ["client-1", "client-2"].to_vec();
    assert!(given.iter().zip(&ids).all(|(line, id)| line.contains(id)), "{given:?}");
    for (id, n) in [(ids[1], 2), (ids[0], 1)] {
        bench.prints(&answer(id, &format!(r#"{{"n":{n}}}"#)));
    }
    let of = |lines: Vec<String>| {
        let lines: Vec<_> =
            lines.into_iter().filter(|it| it.contains("control_response")).collect();
        assert_eq!(lines.len(), 1);
        lines[0].clone()
    };
    let (first, second) = (of(bench.sent(one)), of(bench.sent(two)));
    assert!(first.contains(r#""n":1"#) && first.contains(r#""request_id":"r1""#), "{first}");
    assert!(second.contains(r#""n":2"#) && second.contains(r#""request_id":"r1""#), "{second}");
}

#[test]
fn what_is_said_goes_to_the_agent_once_and_to_the_others_and_does_not_come_back() {
    let mut bench = Bench::new();
    let (one, two) = (bench.plain(), bench.plain());
    let said = r#"{"type":"user","uuid":"U","message":{"role":"user","content":"hi"}}"#;
    bench.says(one, said);
    bench.says(one, said);
    bench.says(two, r#"{"type":"keep_alive"}"#);
    bench.says(two, "no JSON");
    bench.says(two, r#"{"type":"new_type","x":1}"#);
    assert_eq!(bench.given(), [said, r#"{"type":"new_type","x":1}"#]);
    bench.prints(said);
    bench.prints(r#"{"type":"keep_alive"}"#);
    bench.prints("Welcome!");
    assert!(!bench.sent(one).iter().any(|line| line == said));
    let sent = bench.sent(two);
    assert_eq!(sent.iter().filter(|line| *line == said).count(), 1);
    assert!(sent.iter().any(|line| line.contains("input_refused")));
    assert!(sent.iter().any(|line| line.contains("agent_output_error")));
    assert!(!sent.iter().any(|line| line.contains("keep_alive")));
}

/// A client declares a guard, which may take three seconds to answer.
const DECLARED: &str = r#"{"type":"control_request","request_id":"r1","request":{"subtype":"initialize","hooks":{"PreToolUse":[{"hookCallbackIds":["h"],"timeout":3}]}}}"#;
const TAKEN_BACK: &str =
    r#"{"type":"control_request","request_id":"r2","request":{"subtype":"initialize","hooks":{}}}"#;

fn hook(id: &str, event: &str) -> String {
    format!(
        r#"{{"type":"control_request","request_id":"{id}","request":{{"subtype":"hook_callback","callback_id":"h","input":{{"hook_event_name":"{event}"}}}}}}"#
    )
}

/// Whether this, and nothing else, keeps a tool from running.
fn is_denied(given: &[String], id: &str) -> bool {
    matches!(given, [line] if line.contains(&format!("\"{id}\"")) && line.contains(r#""permissionDecision":"deny""#))
}

#[test]
fn a_hook_goes_to_the_client_that_has_declared_it_and_its_first_answer_that_can_be_read_counts() {
    let mut bench = Bench::new();
    let (one, two) = (bench.plain(), bench.plain());
    bench.prints(&hook("H0", "PreToolUse"));
    assert!(is_denied(&bench.given(), "H0"), "nobody has declared any");
    bench.says(one, DECLARED);
    assert!(bench.given()[0].contains("hookCallbackIds"));
    bench.says(two, DECLARED);
    let refused = bench.sent(two);
    assert!(refused.iter().any(|line| line.contains("another client that is connected")));
    assert_eq!(bench.given(), Vec::<String>::new());

    bench.prints(&hook("H", "PreToolUse"));
    assert!(bench.sent(one).contains(&hook("H", "PreToolUse")));
    bench.says(two, &answer("H", "{}"));
    assert!(bench.sent(two).iter().any(|line| line.contains("another client is asked")));
    bench.says(one, &answer("H", r#"{"decision":"perhaps"}"#));
    assert!(bench.sent(one).iter().any(|line| line.contains("input_refused")));
    assert_eq!(bench.given(), Vec::<String>::new(), "an agent takes what it cannot read for a yes");
    bench.says(one, &answer("H", r#"{"decision":"block"}"#));
    let given = bench.given();
    assert!(given.len() == 1 && given[0].contains("block"), "{given:?}");
    bench.says(one, &answer("H", "{}"));
    assert_eq!(bench.sent(one), [cancel("H")], "it is over");
    assert!(!bench.sent(two).iter().any(|line| line.contains("hook_callback")));
    let waited = bench.hand.notices.iter().any(|it| matches!(it, ServeNotice::Waiting { .. }));
    assert!(!waited, "no person is asked");

    let failed = r#"{"type":"control_response","response":{"subtype":"error","request_id":"H2","error":"boom"}}"#;
    bench.prints(&hook("H2", "PreToolUse"));
    bench.says(one, failed);
    assert!(is_denied(&bench.given(), "H2"), "an error would let it run");
}

#[test]
fn a_hook_whose_client_is_gone_or_silent_is_refused_and_another_client_may_take_its_place() {
    let mut bench = Bench::new();
    let one = bench.plain();
    bench.says(one, DECLARED);
    bench.given();
    bench.prints(&hook("H1", "PreToolUse"));
    assert_eq!(bench.hand.wait(), Duration::from_secs(3), "as the hook says");
    assert!(is_denied(&bench.given(), "H1"));
    assert!(bench.sent(one).contains(&cancel("H1")));
    bench.prints(&hook("H2", "PreToolUse"));
    bench.hand.handle(Event::Closed { op: one, code: None, failure: None });
    assert!(is_denied(&bench.given(), "H2"), "at once: it never comes back");
    bench.prints(&hook("H3", "Stop"));
    let given = bench.given();
    assert!(given.len() == 1 && given[0].contains(r#""subtype":"error""#), "{given:?}");

    let two = bench.plain();
    bench.says(two, DECLARED);
    bench.given();
    bench.prints(&hook("H4", "PreToolUse"));
    assert!(bench.sent(two).contains(&hook("H4", "PreToolUse")));
    bench.says(two, TAKEN_BACK);
    let given = bench.given();
    assert!(is_denied(&given[..1], "H4") && given[1].contains("initialize"), "{given:?}");
    bench.prints(&hook("H5", "PreToolUse"));
    assert!(is_denied(&bench.given(), "H5"));
}

#[test]
fn a_client_that_counts_lines_is_asked_again_when_it_comes_back_and_others_skip_what_is_its() {
    let mut bench = Bench::new();
    let one = bench.resuming("", 0, 0);
    bench.says(one, DECLARED);
    bench.given();
    bench.sent(one);
    let other = bench.open(&[GOOD.as_slice(), &[("sec-websocket-protocol", PROTOCOL)]].concat());
    bench.binary(
        other,
        r#"{"type":"resume","client":"c2","run":"","received":0,"from":0,"skips":true}"#,
    );
    bench.sent(other);
    bench.hand.handle(Event::Closed { op: one, code: None, failure: None });
    bench.prints(&hook("H", "PreToolUse"));
    bench.prints(r#"{"type":"a","n":1}"#);
    assert_eq!(bench.given(), Vec::<String>::new(), "it may come back");
    assert_eq!(
        bench.sent(other),
        [r#"{"type":"skip","received":0,"from":2}"#, r#"{"type":"a","n":1}"#]
    );
    let back = bench.resuming("run-1", 1, 1);
    let sent = bench.sent(back);
    assert!(sent[0].contains("hook_callback"), "{sent:?}");
    bench.says(back, &answer("H", "{}"));
    assert_eq!(bench.given(), [answer("H", "{}")]);
}

#[test]
fn one_that_counts_lines_gets_each_once_over_a_break_and_its_own_are_taken_once() {
    let mut bench = Bench::new();
    let one = bench.resuming("", 0, 0);
    bench.prints(r#"{"type":"a","n":1}"#);
    bench.says(one, r#"{"type":"user","message":{"content":"x"}}"#);
    let sent = bench.sent(one);
    assert!(sent[0].contains(r#""type":"resume""#) && sent[0].contains("run-1"), "{sent:?}");
    assert!(sent.contains(&r#"{"type":"ack","received":1,"from":0}"#.to_owned()), "{sent:?}");
    // Lines so far: it started, a 1, what was said.
    bench.hand.handle(Event::Closed { op: one, code: None, failure: None });
    bench.prints(r#"{"type":"a","n":2}"#);
    let two = bench.resuming("run-1", 2, 0);
    let sent = bench.sent(two);
    assert!(sent[0].contains(r#""received":1,"from":2"#), "{sent:?}");
    assert_eq!(
        sent[1..],
        [r#"{"type":"user","message":{"content":"x"}}"#, r#"{"type":"a","n":2}"#]
    );
    // A newer connection of the same client replaces it.
    let three = bench.resuming("run-1", 4, 1);
    assert_eq!(bench.closes(two), Some(REPLACED));
    assert_eq!(bench.sent(three).len(), 1);
    // One that knows another run gets all that is held, and the questions.
    bench.prints(&question("P"));
    let four = bench.resuming("run-0", 99, 0);
    let sent = bench.sent(four);
    assert!(sent[0].contains(r#""from":0,"questions":[{"type""#), "{sent:?}");
    assert_eq!(sent.len(), 1 + 5);
}

#[test]
fn a_slow_client_is_cut_and_holds_up_nobody() {
    let mut bench = Bench::new();
    let (slow, fast) = (bench.plain(), bench.plain());
    let line = format!(r#"{{"type":"a","x":"{}"}}"#, "x".repeat(1000));
    for _ in 0..DIRECT_LOG_LINES + 2000 {
        bench.prints(&line);
        bench.sent(fast);
    }
    let is_cut = |hand: &Hand<Serve>, op| hand.actions.contains(&Action::Cancel { op });
    assert!(is_cut(&bench.hand, slow) && !is_cut(&bench.hand, fast));
    assert!(!bench.hand.actions.iter().any(|action| matches!(action, Action::Pause { .. })));

    // One that takes nothing at all is cut after a while, however little there is.
    let stuck = bench.plain();
    bench.prints(&line);
    bench.sent(fast);
    bench.hand.pass(VIEWER_STALLED_AFTER);
    bench.hand.handle(Event::Tick);
    assert!(is_cut(&bench.hand, stuck) && !is_cut(&bench.hand, fast));
}

#[test]
fn one_that_falls_behind_and_counts_lines_finds_a_gap() {
    let mut bench = Bench::new();
    let one = bench.resuming("", 0, 0);
    bench.sent(one);
    let line = format!(r#"{{"type":"a","x":"{}"}}"#, "x".repeat(1000));
    for _ in 0..DIRECT_LOG_LINES + 2000 {
        bench.prints(&line);
    }
    bench.sent(one);
    let sent = bench.sent(one);
    assert!(sent[0].contains(r#""type":"gap""#), "{}", sent[0]);
    assert_eq!(sent[1], line);
}

#[test]
fn silence_is_asked_about_and_then_ended() {
    let mut bench = Bench::new();
    let op = bench.open(&[GOOD.as_slice(), &[("sec-websocket-protocol", PROTOCOL)]].concat());
    assert_eq!(bench.hand.wait(), DIRECT_GREETING_TIME);
    assert!(bench.hand.actions.contains(&Action::Cancel { op }), "it never said where it is");
    let op = bench.resuming("", 0, 0);
    bench.sent(op);
    bench.hand.wait();
    assert!(bench.sent(op)[0].contains("ping"));
    bench.binary(op, r#"{"type":"pong"}"#);
    bench.hand.wait();
    assert!(bench.sent(op)[0].contains("ping"));
    bench.hand.wait();
    assert!(bench.hand.actions.contains(&Action::Cancel { op }));
}

#[test]
fn clients_wait_while_the_agent_does_not_read() {
    let mut bench = Bench::new();
    let one = bench.plain();
    let line = format!(r#"{{"type":"x","x":"{}"}}"#, "x".repeat(1 << 20));
    bench.says(one, &line);
    assert!(bench.hand.actions.contains(&Action::Pause { op: one }));
    assert_eq!(bench.given().len(), 1);
    assert!(bench.hand.actions.contains(&Action::Resume { op: one }));
}

#[test]
fn the_agents_end_withdraws_its_questions_and_closes_with_a_reason() {
    let mut bench = Bench::new();
    let one = bench.plain();
    bench.prints(&question("P"));
    bench.says(one, r#"{"type":"control_request","request_id":"r1","request":{"subtype":"x"}}"#);
    bench.given();
    bench.sent(one);
    bench.exits(3);
    let sent = bench.sent(one);
    assert_eq!(sent[0], cancel("P"));
    assert!(sent[1].contains(r#""request_id":"r1""#) && sent[1].contains("the agent has ended"));
    assert!(
        sent[2].contains(r#""subtype":"agent_exited""#) && sent[2].contains(r#""exit_code":3"#)
    );
    assert_eq!(bench.closes(one), Some(ENDED));
    bench.hand.handle(Event::Closed { op: one, code: Some(ENDED), failure: None });
    let error = bench.hand.outcome.expect("it ends").expect_err("with the agent's error");
    assert!(error.message.contains("exit code 3"), "{error}");
    assert_eq!(bench.hand.trees_ended, Some(1), "with all that it started");
}

#[test]
fn one_that_does_not_take_the_last_lines_does_not_keep_the_server() {
    let mut bench = Bench::new();
    bench.plain();
    bench.exits(0);
    assert_eq!(bench.hand.wait(), DIRECT_FLUSH);
    assert_eq!(bench.hand.outcome, Some(Ok(())));
}

#[test]
fn a_shutdown_ends_the_agent_first() {
    let mut bench = Bench::new();
    bench.hand.command(ServeCommand::Shutdown);
    let signal = |action: &Action| match action {
        Action::Signal { signal, .. } => Some(*signal),
        _ => None,
    };
    use crate::contract::action::Signal;
    assert_eq!(bench.hand.take("a signal", signal), Signal::Terminate);
    assert_eq!(bench.hand.wait(), Duration::from_secs(3));
    assert_eq!(bench.hand.take("a signal", signal), Signal::Kill);
    bench.exits(143);
    assert_eq!(bench.hand.outcome, Some(Ok(())), "as it was told to");
}

#[test]
fn another_session_of_this_machine_tells_the_agent_something_once() {
    let mut bench = Bench::new();
    let one = bench.plain();
    bench.sent(one);
    let listener = bench.hand.take("listen", |action| match action {
        Action::Listen { op, address, .. } if address == "unix:/peers/7.sock" => Some(*op),
        _ => None,
    });
    bench.hand.actions.retain(|action| !matches!(action, Action::Accept { .. }));
    bench.hand.handle(Event::Listening { op: listener, address: "unix:/peers/7.sock".into() });
    let post = |bench: &mut Bench, target: &str, body: &str| {
        let op = bench.hand.take("accept", |action| match action {
            Action::Accept { op, listener: of } if *of == listener => Some(*op),
            _ => None,
        });
        let asked = IncomingRequest { method: Method::Post, ..request(target, &[]) };
        bench.hand.handle(Event::Requested { op, request: asked });
        if bench.hand.actions.iter().any(|it| matches!(it, Action::ReadBody { .. })) {
            bench.hand.actions.retain(|it| !matches!(it, Action::ReadBody { .. }));
            let body = Body::Whole(Bytes::copy_from_slice(body.as_bytes()));
            bench.hand.handle(Event::BodyRead { op, body });
        }
        bench.hand.take("an answer", |action| match action {
            Action::Reply { op: of, response } if *of == op => Some(response.status),
            _ => None,
        })
    };
    let good = r#"{"from":"uds:/b","to":"uds:/peers/7.sock","messageId":"m1","body":"hello"}"#;
    assert_eq!(post(&mut bench, "/v1/peer", good), 202);
    assert_eq!(post(&mut bench, "/v1/peer", good), 202, "once more");
    assert_eq!(post(&mut bench, "/v1/peer", &good.replace("uds:/b", "unknown")), 400);
    assert_eq!(post(&mut bench, "/v1/peer", "{}"), 400);
    assert_eq!(post(&mut bench, "/v1/direct", good), 404);
    let given = bench.given();
    assert!(
        given.len() == 1 && given[0].contains("hello") && given[0].contains("uds:/b"),
        "{given:?}"
    );
    assert!(bench.sent(one).iter().any(|line| line.contains("hello")));
}

#[test]
fn no_more_than_so_many_are_connected() {
    let mut bench = Bench::new();
    for _ in 0..MAX_DIRECT_CLIENTS {
        bench.plain();
    }
    assert_eq!(bench.status(request("/v1/direct/session_1", &GOOD)), 429);
}
