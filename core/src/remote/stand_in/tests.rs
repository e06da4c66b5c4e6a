//! A stand-in driven by hand: an SDK on one side, a relay on the other.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::auth::proof::answer as prove;
use crate::auth::{AccountKey, Credential};
use crate::base::id::{OpId, SessionId};
use crate::base::limits::STDERR_TAIL_BYTES;
use crate::base::secret::Secret;
use crate::base::time::{Now, UnixTime};
use crate::contract::action::{Action, Response, Target};
use crate::testing::Hand;
use crate::wire::url::BaseUrl;

const TOKEN: &str = "an-access-token-7Qx";
const CLIENT: &str = "client-one-0123456789";
const QUESTION: &str = r#"{"type":"control_request","request_id":"P","request":{"subtype":"can_use_tool","tool_name":"Bash","tool_use_id":"T","input":{}}}"#;

struct World {
    hand: Hand<StandIn>,
    stdio: OpId,
    stream: OpId,
    printed: Vec<Value>,
}

impl World {
    /// An SDK's program has started it for a session of its own.
    fn new(change: impl FnOnce(&mut StandInConfig)) -> Self {
        let relay = BaseUrl::parse("https://relay.example").expect("a URL");
        let session = SessionId::new("session_1").expect("an id");
        let credential = Credential::fixed(Secret::from(TOKEN));
        let mut remote = RemoteConfig::new(relay, session, credential, 7);
        remote.client = Some(CLIENT.to_owned());
        let mut config = StandInConfig {
            remote,
            is_own: true,
            shows_replays: false,
            shows_partials: false,
            servers: vec![],
            opening: vec![],
        };
        change(&mut config);
        let now = Now { wall: UnixTime::from_millis(1_767_225_600_000), ..Now::default() };
        let mut hand = Hand::new(StandIn::new(config), now);
        let stdio = hand.take("stdio", |action| match action {
            Action::Open { op, target: Target::Stdio } => Some(*op),
            _ => None,
        });
        hand.handle(Event::Opened { op: stdio });
        let mut world = Self { hand, stdio, stream: stdio, printed: vec![] };
        world.proves();
        world.stream = world.hand.take("stream", |action| match action {
            Action::Open { op, target: Target::WebSocket { .. } } => Some(*op),
            _ => None,
        });
        world.hand.handle(Event::Opened { op: world.stream });
        world.session(&json!({}));
        world.frame(&json!({"type": "live", "seq": 0}));
        world
    }

    /// The relay proves that it knows the credential.
    fn proves(&mut self) {
        let (op, url) = self.hand.take("question", |action| match action {
            Action::Request { op, request } => Some((*op, request.url.clone())),
            _ => None,
        });
        let (_, query) = url.split_once("/v1/proof?").expect("a question");
        let part = |name: &str| {
            let part = query.split('&').find_map(|part| part.strip_prefix(name));
            part.expect("it is there").to_owned()
        };
        let key = AccountKey::new(&Secret::from(TOKEN));
        let proof = prove(&key, &part("nonce="), &part("mac=")).expect("it knows it");
        self.answer(op, 200, &json!({ "proof": proof }));
    }

    fn answer(&mut self, op: OpId, status: u16, body: &Value) {
        let body = Bytes::from(body.to_string());
        self.hand
            .handle(Event::Response { op, response: Response { status, headers: vec![], body } });
    }

    fn frame(&mut self, frame: &Value) {
        let message = Message::Text(Text::from(frame.to_string()));
        self.hand.handle(Event::Received { op: self.stream, message });
    }

    fn session(&mut self, change: &Value) {
        let at = "2026-01-01T00:00:00.000Z";
        let mut session = json!({
            "id": "session_1", "environment_id": "env_1", "title": null, "state": "running",
            "created_at": at, "updated_at": at, "first_seq": 1, "last_seq": 0, "result": null,
        });
        for (name, value) in change.as_object().expect("fields") {
            session[name] = value.clone();
        }
        self.frame(&json!({"type": "session", "session": session}));
    }

    fn event(&mut self, seq: u64, from: &str, message: &str) {
        let message: Value = serde_json::from_str(message).expect("JSON");
        let at = "2026-01-01T00:00:00.000Z";
        self.frame(
            &json!({"type": "event", "seq": seq, "at": at, "from": from, "message": message}),
        );
    }

    fn writes(&mut self, line: &str) {
        let chunk = Bytes::from(format!("{line}\n"));
        self.hand.handle(Event::Received { op: self.stdio, message: Message::Binary(chunk) });
    }

    fn closes(&mut self) {
        let message = Message::Binary(Bytes::new());
        self.hand.handle(Event::Received { op: self.stdio, message });
    }

    /// What is posted there next.
    #[track_caller]
    fn posted(&mut self, path: &str) -> (OpId, Value) {
        let (op, request) = self.hand.take("request", |action| match action {
            Action::Request { op, request } => Some((*op, request.clone())),
            _ => None,
        });
        assert_eq!(request.url, format!("https://relay.example/v1/sessions/session_1/{path}"));
        (op, serde_json::from_slice(&request.body).expect("JSON"))
    }

    /// The program's line is posted and accepted.
    #[track_caller]
    fn accepted(&mut self, seq: u64) -> Value {
        let (op, body) = self.posted("messages");
        let uuid = body["messages"][0]["uuid"].clone();
        self.answer(op, 200, &json!({"accepted": [{"uuid": uuid, "seq": seq}]}));
        body["messages"][0].clone()
    }

    /// What it has printed since the last time, by type and what tells them apart.
    fn printed(&mut self) -> Vec<String> {
        let lines = self.lines().into_iter().map(|line| {
            let id = [&line["request_id"], &line["response"]["request_id"], &line["subtype"]];
            let id = id.into_iter().find_map(Value::as_str).unwrap_or_default();
            let kind = line["type"].as_str().expect("a type");
            format!("{kind} {id}").trim_end().to_owned()
        });
        lines.collect()
    }

    /// The lines themselves.
    fn lines(&mut self) -> Vec<Value> {
        let is_print =
            |action: &Action| matches!(action, Action::Send { message: Message::Binary(_), .. });
        while let Some(at) = self.hand.actions.iter().position(is_print) {
            if let Some(Action::Send { message: Message::Binary(line), .. }) =
                self.hand.actions.remove(at)
            {
                self.hand.handle(Event::Sent { op: self.stdio, messages: 1 });
                self.printed.push(serde_json::from_slice(&line).expect("JSON"));
            }
        }
        core::mem::take(&mut self.printed)
    }
}

fn response(id: &str) -> String {
    json!({"type": "control_response", "response": {"subtype": "success", "request_id": id, "response": {}}})
        .to_string()
}

#[test]
fn a_program_sees_what_the_agent_says_to_it_and_nobody_elses_traffic() {
    let mut world = World::new(|_| {});
    world.writes(
        r#"{"type":"control_request","request_id":"r1","request":{"subtype":"initialize"}}"#,
    );
    assert_eq!(world.accepted(1)["request_id"], "r1");
    world.event(2, "agent", &response("theirs"));
    world.event(3, "agent", &response("r1"));
    world.event(4, "agent", &response("r1"));
    world.writes(r#"{"type":"user","message":{"role":"user","content":"hi"}}"#);
    let uuid = world.accepted(5)["uuid"].as_str().expect("a name").to_owned();
    world.event(5, "viewer", &format!(r#"{{"type":"user","uuid":"{uuid}","message":{{}}}}"#));
    for (at, line) in [
        r#"{"type":"system","subtype":"init"}"#,
        r#"{"type":"stream_event","event":{}}"#,
        r#"{"type":"system","subtype":"status","status":"requesting"}"#,
        r#"{"type":"system","subtype":"status","status":null,"permissionMode":"plan"}"#,
        r#"{"type":"user","uuid":"of-a-command","isReplay":true}"#,
        &format!(r#"{{"type":"user","uuid":"{uuid}","isReplay":true}}"#),
        &format!(r#"{{"type":"command_lifecycle","command_uuid":"{uuid}","state":"started"}}"#),
        r#"{"type":"assistant","message":{}}"#,
        r#"{"type":"control_request","request_id":"X","request":{"subtype":"of_tomorrow"}}"#,
        r#"{"type":"result","subtype":"success"}"#,
    ]
    .into_iter()
    .enumerate()
    {
        world.event(6 + at as u64, "agent", line);
    }
    world.event(16, "viewer", r#"{"type":"user","uuid":"theirs","message":{}}"#);
    let expected = [
        "control_response r1",
        "system init",
        "system status",
        "user",
        "assistant",
        "result success",
    ];
    assert_eq!(world.printed(), expected);
}

#[test]
fn a_question_is_answered_by_the_program_and_withdrawn_if_somebody_else_is_first() {
    let mut world = World::new(|_| {});
    world.event(1, "agent", QUESTION);
    assert_eq!(world.printed(), ["control_request P"]);
    world.writes(
        r#"{"type":"control_response","response":{"subtype":"success","request_id":"P","response":{"behavior":"allow","updatedInput":{"a":1},"updatedPermissions":null,"toolUseID":"T"}}}"#,
    );
    let (op, body) = world.posted("permission");
    let expected = json!({"request_id": "P", "seq": 1, "behavior": "allow", "updatedInput": {"a": 1}, "toolUseID": "T"});
    assert_eq!(body, expected);
    world.answer(op, 200, &json!({"seq": 2}));
    assert_eq!(world.printed(), Vec::<String>::new());

    world.event(3, "agent", &QUESTION.replace("\"P\"", "\"Q\""));
    world.event(4, "viewer", &response("Q"));
    assert_eq!(world.printed(), ["control_request Q", "control_cancel_request Q"]);
    // Too late.
    world.writes(&response("Q"));
    assert!(world.hand.actions.is_empty());

    // What its callback could not decide is denied.
    world.event(5, "agent", &QUESTION.replace("\"P\"", "\"R\""));
    world.writes(
        r#"{"type":"control_response","response":{"subtype":"error","request_id":"R","error":"it broke"}}"#,
    );
    let (_, body) = world.posted("permission");
    assert_eq!((&body["behavior"], &body["message"]), (&json!("deny"), &json!("it broke")));
}

#[test]
fn its_hooks_and_servers_are_asked_and_answer() {
    let mut world = World::new(|config| config.servers = vec!["calc".to_owned()]);
    world.writes(
        r#"{"type":"control_request","request_id":"r1","request":{"subtype":"initialize"}}"#,
    );
    let (op, body) = world.posted("messages");
    assert_eq!(body["client"], CLIENT);
    assert_eq!(body["messages"][0]["request"]["sdkMcpServers"], json!(["calc"]));
    // Its stream is not open yet, as far as the relay knows.
    world.answer(op, 409, &json!({"error": {"type": "callbacks_unanswerable", "message": "no"}}));
    assert_eq!(world.printed(), Vec::<String>::new());
    let hook = r#"{"type":"control_request","request_id":"H","request":{"subtype":"hook_callback","callback_id":"hook_0"}}"#;
    world.event(1, "agent", hook);
    assert_eq!(world.printed(), Vec::<String>::new());
    world.frame(&json!({"type": "callback", "request_id": "H", "seq": 1}));
    assert_eq!(world.printed(), ["control_request H"]);
}

#[test]
fn a_hooks_answer_that_is_none_is_a_no_and_nobody_waits_for_another() {
    let mut world = World::new(|config| config.servers = vec!["calc".to_owned()]);
    let hook = r#"{"type":"control_request","request_id":"H","request":{"subtype":"hook_callback","callback_id":"hook_0"}}"#;
    world.event(1, "agent", hook);
    world.frame(&json!({"type": "callback", "request_id": "H", "seq": 1}));
    assert_eq!(world.printed(), ["control_request H"]);
    world.writes(
        r#"{"type":"control_response","response":{"subtype":"success","request_id":"H","response":{"decision":"nonsense"}}}"#,
    );
    let (op, _) = world.posted("callback");
    world.answer(op, 400, &json!({"error": {"type": "invalid_request", "message": "one of"}}));
    // It asks whether it was the relay that refused.
    world.proves();
    let (_, body) = world.posted("callback");
    assert!(body["error"].as_str().is_some_and(|why| why.contains("one of")), "{body}");
}

#[test]
fn once_its_input_has_ended_it_stays_until_the_result_and_ends_its_own_session() {
    let mut world = World::new(|_| {});
    world.writes(r#"{"type":"user","message":{"role":"user","content":"hi"}}"#);
    world.closes();
    world.accepted(1);
    world.event(2, "agent", QUESTION);
    let (op, body) = world.posted("permission");
    assert_eq!(body["behavior"], "deny", "nobody is there any more");
    world.answer(op, 200, &json!({"seq": 3}));
    assert_eq!(world.hand.outcome, None);
    world.event(4, "agent", r#"{"type":"result","subtype":"success"}"#);
    let (op, _) = world.posted("stop");
    world.answer(op, 200, &json!({}));
    let stream = world.stream;
    world.hand.take("close", |action| {
        matches!(action, Action::Close { op, .. } if *op == stream).then_some(())
    });
    world.hand.handle(Event::Closed { op: stream, code: Some(1000), failure: None });
    assert_eq!(world.printed(), ["result success"]);
    let stdio = world.stdio;
    world.hand.take("close", |action| {
        matches!(action, Action::Close { op, .. } if *op == stdio).then_some(())
    });
    world.hand.handle(Event::Closed { op: stdio, code: None, failure: None });
    assert_eq!(world.hand.outcome, Some(Ok(())));
}

#[test]
fn told_to_end_it_does_although_nobody_reads_and_nobody_answers() {
    for is_answered in [false, true] {
        let mut world = World::new(|_| {});
        world.event(1, "agent", r#"{"type":"assistant","message":{}}"#);
        let latest = world.hand.now.mono + HOST_QUIT;
        world.hand.command(StandInCommand::Shutdown);
        let (op, _) = world.posted("stop");
        if is_answered {
            world.answer(op, 200, &json!({}));
            let (op, failure) = (world.stream, None);
            world.hand.handle(Event::Closed { op, code: Some(1000), failure });
        }
        while world.hand.outcome.is_none() {
            world.hand.wait();
        }
        assert_eq!(world.hand.outcome, Some(Ok(())));
        assert!(world.hand.now.mono <= latest, "{is_answered}");
    }
}

#[test]
fn a_session_that_was_there_before_is_left_as_it_is() {
    let mut world = World::new(|config| config.is_own = false);
    world.closes();
    let stream = world.stream;
    world.hand.take("close", |action| {
        matches!(action, Action::Close { op, .. } if *op == stream).then_some(())
    });
    assert!(!world.hand.actions.iter().any(|action| matches!(action, Action::Request { .. })));
}

#[test]
fn what_will_have_no_answer_is_told_to_the_program() {
    let mut world = World::new(|_| {});
    world.writes(
        r#"{"type":"control_request","request_id":"r1","request":{"subtype":"mcp_status"}}"#,
    );
    world.accepted(1);
    world.event(
        2,
        "relay",
        r#"{"type":"footbridge","subtype":"requests_unanswered","request_ids":["r1","theirs"],"reason":"it died"}"#,
    );
    world.writes(r#"{"type":"user","uuid":"u","message":{}}"#);
    world.accepted(3);
    world.event(
        4,
        "relay",
        r#"{"type":"footbridge","subtype":"messages_indeterminate","uuids":["u"],"reason":"it died"}"#,
    );
    let expected = ["control_response r1", "result error_during_execution"];
    assert_eq!(world.printed(), expected);
}

#[test]
fn what_its_agent_says_on_stderr_and_how_it_ends_is_its_programs_to_see() {
    let stderr = "No conversation found\n";
    let cases = [
        // What came as it was written is not said again at the end.
        (true, json!({"exit_code": 7}), vec![ExitStatus::Code(7)]),
        (false, json!({"exit_code": 7}), vec![ExitStatus::Code(7)]),
        (false, json!({"signal": 9}), vec![ExitStatus::Signal(9)]),
        (false, json!({}), vec![]),
    ];
    for (is_live, how, expected) in cases {
        let mut world = World::new(|_| {});
        world.writes(
            r#"{"type":"control_request","request_id":"r1","request":{"subtype":"initialize"}}"#,
        );
        world.accepted(1);
        world.writes(r#"{"type":"user","uuid":"u","message":{}}"#);
        world.accepted(2);
        if is_live {
            let line = json!({"type": "footbridge", "subtype": "agent_stderr", "text": "No conversation found"});
            world.event(3, "worker", &line.to_string());
        }
        let mut result = json!({"status": "failed", "message": "it failed", "stderr": stderr});
        for (name, value) in how.as_object().expect("fields") {
            result[name] = value.clone();
        }
        world.session(&json!({"state": "ended", "result": result}));
        let stream = world.stream;
        world.hand.handle(Event::Closed { op: stream, code: Some(1000), failure: None });
        let lines = world.lines();
        let why = "the session has ended: it failed; it said on stderr: No conversation found";
        if expected.is_empty() {
            assert_eq!(lines[0]["response"]["error"], why, "{lines:?}");
            assert_eq!((&lines[1]["type"], &lines[1]["errors"]), (&json!("result"), &json!([why])));
        } else {
            assert_eq!(lines, Vec::<Value>::new(), "an exit code says it, as an agent's own would");
        }
        let told = |notice: &RemoteNotice| match notice {
            RemoteNotice::AgentStderr { text } => Some(text.clone()),
            _ => None,
        };
        let told: Vec<_> = world.hand.notices.iter().filter_map(told).collect();
        assert_eq!(told, ["No conversation found"], "once, live: {is_live}");
        let failed = |notice: &RemoteNotice| match notice {
            RemoteNotice::AgentFailed { status } => Some(*status),
            _ => None,
        };
        let failed: Vec<_> = world.hand.notices.iter().filter_map(failed).collect();
        assert_eq!(failed, expected);
    }
}

#[test]
fn what_dies_with_its_agent_is_answered_with_what_that_has_said_if_another_takes_its_place() {
    let mut world = World::new(|_| {});
    world.writes(
        r#"{"type":"control_request","request_id":"r1","request":{"subtype":"initialize"}}"#,
    );
    world.accepted(1);
    world.writes(r#"{"type":"user","uuid":"u","message":{}}"#);
    world.accepted(2);
    let long = "x".repeat(STDERR_TAIL_BYTES);
    let lines = [
        ("worker", json!({"subtype": "agent_stderr", "text": "of an earlier run"})),
        ("worker", json!({"subtype": "agent_started", "pid": 7})),
        ("worker", json!({"subtype": "agent_stderr", "text": long})),
        ("worker", json!({"subtype": "agent_stderr", "text": "No such model", "dropped": 2})),
        ("worker", json!({"subtype": "agent_exited", "message": "exit code 7", "exit_code": 7})),
        (
            "relay",
            json!({"subtype": "messages_indeterminate", "uuids": ["u"], "reason": "it died"}),
        ),
        (
            "relay",
            json!({"subtype": "requests_unanswered", "request_ids": ["r1"], "reason": "gone"}),
        ),
    ];
    for (seq, (from, mut line)) in (3..).zip(lines) {
        line["type"] = json!("footbridge");
        world.event(seq, from, &line.to_string());
    }
    assert_eq!(world.lines(), Vec::<Value>::new(), "the session may end with it");
    let started = r#"{"type":"footbridge","subtype":"agent_started","pid":8}"#;
    world.event(10, "worker", started);
    let lines = world.lines();
    let (result, answer) = (&lines[0]["errors"][0], &lines[1]["response"]["error"]);
    for (why, beginning) in [(result, "it died"), (answer, "gone")] {
        let why = why.as_str().expect("why");
        let beginning = format!("{beginning}: exit code 7; it said on stderr: x");
        assert!(why.starts_with(&beginning) && !why.contains("earlier"), "{why}");
        assert!(why.contains("xxx\nNo such model\n[2 more lines"), "{why}");
        assert!(why.len() < STDERR_TAIL_BYTES + 100, "bounded: {}", why.len());
    }
}

#[test]
fn a_program_that_does_not_read_holds_up_its_session_and_loses_nothing() {
    let mut world = World::new(|_| {});
    let long = "x".repeat(1 << 20);
    for seq in 1..=5 {
        world.event(seq, "agent", &format!(r#"{{"type":"assistant","text":"{long}"}}"#));
    }
    let stream = world.stream;
    world.hand.take("pause", |action| {
        matches!(action, Action::Pause { op } if *op == stream).then_some(())
    });
    assert_eq!(world.printed().len(), 5);
    world.hand.take("resume", |action| {
        matches!(action, Action::Resume { op } if *op == stream).then_some(())
    });
}
