//! What an agent asks of the client that has declared hooks or MCP servers (M-6).

use super::*;
use crate::base::limits::MAX_CALLBACK_RESPONSE_BYTES;

const ONE: &str = "client-one-0123456789";
const TWO: &str = "client-two-0123456789";

impl World {
    fn client(&mut self, id: &str, client: &str, after: u64) -> OpId {
        let target = format!("/v1/sessions/{id}/events/ws?after={after}&client={client}");
        let op = self.websocket(&target, TOKEN, "footbridge.viewer.v1");
        self.received(op);
        op
    }

    fn declare(&mut self, id: &str, client: Option<&str>, request: &Value) -> (u16, Value) {
        let message = json!({"type": "control_request", "request_id": "r1", "request": request});
        let target = format!("/v1/sessions/{id}/messages");
        self.post(&target, TOKEN, &json!({"client": client, "messages": [message]}))
    }

    fn answer_callback(&mut self, id: &str, body: &Value) -> (u16, Value) {
        self.post(&format!("/v1/sessions/{id}/callback"), TOKEN, body)
    }

    fn close(&mut self, op: OpId) {
        self.deliver(Event::Closed { op, code: Some(1000), failure: None });
    }
}

fn hooks() -> Value {
    let matcher = json!({"matcher": "Bash", "hookCallbackIds": ["hook_0"]});
    json!({"subtype": "initialize", "hooks": {"PreToolUse": [matcher]}})
}

fn asks(id: &str, event: &str) -> String {
    let input = json!({"hook_event_name": event, "tool_name": "Bash"});
    let request = json!({"subtype": "hook_callback", "callback_id": "hook_0", "input": input});
    json!({"type": "control_request", "request_id": id, "request": request}).to_string()
}

/// A session whose first client has declared a hook; its stream, and the link.
fn declared(world: &mut World) -> (Worker, Taken, OpId, OpId) {
    let (worker, taken, link) = world.running();
    let viewer = world.client(&taken.session, ONE, 0);
    let (status, answer) = world.declare(&taken.session, Some(ONE), &hooks());
    assert_eq!(status, 200, "{answer}");
    world.received(viewer);
    let given = world.received(link);
    assert_eq!(given[0]["request"], hooks(), "the agent is told as it was said");
    (worker, taken, viewer, link)
}

fn types(came: &[Value]) -> Vec<&str> {
    came.iter().filter_map(|frame| frame["type"].as_str()).collect()
}

fn kind(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["type"].as_str().unwrap_or_default())
}

#[test]
fn the_agent_asks_the_client_that_has_declared_a_hook_and_nobody_else() {
    let mut world = World::new();
    let (_, taken, viewer, link) = declared(&mut world);
    let id = taken.session.clone();
    let other = world.client(&id, TWO, 0);
    world.lines(link, &asks("H", "PreToolUse"));
    let came = world.received(viewer);
    assert_eq!(types(&came), ["event", "callback"]);
    let seq = came[0]["seq"].clone();
    assert_eq!(came[1], json!({"type": "callback", "request_id": "H", "seq": seq}));
    assert_eq!(types(&world.received(other)), ["event"], "everybody sees it in the log");
    assert_eq!(world.session(&id)["pending_permissions"], json!([]), "people are not asked");
    world.received(link);

    let deny = json!({"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "deny"}});
    let body = |client: &str, seq: &Value, response: &Value| json!({"client": client, "request_id": "H", "seq": seq, "response": response});
    let refused = world.answer_callback(&id, &body(TWO, &seq, &deny));
    assert_eq!(kind(&refused), (403, "callback_not_yours"));
    let refused = world.answer_callback(&id, &body(ONE, &json!(1), &deny));
    assert_eq!(kind(&refused), (410, "callback_withdrawn"), "that was another question");
    let of_person = json!({"request_id": "H", "behavior": "allow"});
    let refused = world.post(&format!("/v1/sessions/{id}/permission"), TOKEN, &of_person);
    assert_eq!(kind(&refused), (404, "permission_unknown"));
    assert!(world.received(link).is_empty());

    let (status, answer) = world.answer_callback(&id, &body(ONE, &seq, &deny));
    assert_eq!(status, 200, "{answer}");
    let given = world.received(link);
    assert_eq!(given.len(), 1);
    assert_eq!(given[0]["response"]["response"], deny);
    let again = world.answer_callback(&id, &body(ONE, &seq, &deny));
    assert_eq!(again, (200, answer), "repeating it is fine");
    let other = world.answer_callback(&id, &body(ONE, &seq, &json!({})));
    assert_eq!(kind(&other), (409, "callback_conflict"));
    assert_eq!(other.1["error"]["answer"], deny);
    assert!(world.received(link).is_empty(), "the agent gets one answer");
}

#[test]
fn whoever_the_agent_cannot_reach_may_not_declare_anything() {
    let mut world = World::new();
    let (_, taken, link) = world.running();
    let id = taken.session.clone();
    for (client, request) in [
        (None, hooks()),
        (Some(ONE), hooks()),
        (Some(ONE), json!({"subtype": "initialize", "sdkMcpServers": ["calc"]})),
        (
            None,
            json!({"subtype": "mcp_set_servers", "servers": {"calc": {"type": "sdk", "name": "calc"}}}),
        ),
    ] {
        let refused = world.declare(&id, client, &request);
        assert_eq!(kind(&refused), (409, "callbacks_unanswerable"), "{request}");
    }
    let (status, _) = world.declare(&id, Some("short"), &hooks());
    assert_eq!(status, 400);
    // Connected to another session.
    let elsewhere = world.register();
    let elsewhere = world.create(&elsewhere);
    world.client(&elsewhere, ONE, 0);
    assert_eq!(world.declare(&id, Some(ONE), &hooks()).0, 409);
    assert!(world.received(link).is_empty());
    let nothing = json!({"subtype": "initialize", "hooks": {}, "sdkMcpServers": []});
    assert_eq!(world.declare(&id, None, &nothing).0, 200, "it declares nothing");
}

#[test]
fn nobody_takes_the_place_of_a_client_that_is_there_nor_takes_its_hooks_back() {
    let mut world = World::new();
    let (_, taken, viewer, link) = declared(&mut world);
    let id = taken.session.clone();
    let other = world.client(&id, TWO, 0);
    let empty = json!({"subtype": "initialize", "hooks": {}});
    for request in [&hooks(), &empty] {
        let refused = world.declare(&id, Some(TWO), request);
        assert_eq!(kind(&refused), (409, "callbacks_taken"), "{request}");
    }
    assert_eq!(kind(&world.declare(&id, None, &empty)), (409, "callbacks_unanswerable"));
    let plain = json!({"subtype": "initialize", "hooks": null});
    assert_eq!(world.declare(&id, None, &plain).0, 200, "agents keep their hooks then");
    world.received(link);

    world.lines(link, &asks("H", "PreToolUse"));
    let seq = world.received(viewer).pop().expect("a callback")["seq"].clone();
    world.close(viewer);
    world.received(link);
    assert_eq!(world.declare(&id, Some(TWO), &hooks()).0, 200, "it is gone");
    let given = world.received(link);
    let refusal = &given[1]["response"]["response"]["hookSpecificOutput"];
    assert_eq!(
        refusal["permissionDecision"], "deny",
        "nobody answers what it was asked: {given:?}"
    );
    let late = json!({"client": ONE, "request_id": "H", "seq": seq, "response": {}});
    let late = world.answer_callback(&id, &late);
    assert_eq!(kind(&late), (403, "callback_not_yours"));
    world.received(other);
    world.lines(link, &asks("I", "PreToolUse"));
    assert_eq!(types(&world.received(other)), ["event", "callback"]);

    assert_eq!(world.declare(&id, Some(TWO), &empty).0, 200, "it may take back its own");
    world.received(link);
    world.lines(link, &asks("J", "PreToolUse"));
    let given = world.received(link);
    let refusal = &given[1]["response"]["response"]["hookSpecificOutput"];
    assert_eq!(refusal["permissionDecision"], "deny", "{given:?}");
}

#[test]
fn a_client_that_takes_its_hooks_back_leaves_no_question_open() {
    let mut world = World::new();
    let (_, taken, viewer, link) = declared(&mut world);
    let id = taken.session.clone();
    world.lines(link, &asks("H", "PreToolUse"));
    world.received(viewer);
    world.received(link);
    let empty = json!({"subtype": "initialize", "hooks": {}});
    assert_eq!(world.declare(&id, Some(ONE), &empty).0, 200);
    let given = world.received(link);
    let refusal = &given[1]["response"]["response"]["hookSpecificOutput"];
    assert_eq!(refusal["permissionDecision"], "deny", "nobody answers it any more: {given:?}");
}

#[test]
fn a_client_that_connects_again_is_asked_again_and_so_is_one_after_the_relay_has_restarted() {
    let mut world = World::new();
    let (_, taken, viewer, link) = declared(&mut world);
    let id = taken.session.clone();
    world.close(viewer);
    world.lines(link, &[asks("H", "PreToolUse"), asks("I", "Stop"), asks("J", "Stop")].join("\n"));
    world.lines(link, r#"{"type":"control_cancel_request","request_id":"J"}"#);
    let asked = |came: &[Value]| {
        let asked = came.iter().filter(|frame| frame["type"] == "callback");
        asked
            .map(|frame| frame["request_id"].as_str().expect("an id").to_owned())
            .collect::<Vec<_>>()
    };
    let target = |after: u64| format!("/v1/sessions/{id}/events/ws?after={after}&client={ONE}");
    let first = world.websocket(&target(0), TOKEN, "footbridge.viewer.v1");
    assert_eq!(asked(&world.received(first)), ["H", "I"]);
    let last = world.session(&id)["last_seq"].as_u64().expect("a number");
    let mut world = world.beside();
    let again = world.websocket(&target(last), TOKEN, "footbridge.viewer.v1");
    let came = world.received(again);
    assert_eq!(asked(&came), ["H", "I"], "{came:?}");
    let seq = came.iter().find(|frame| frame["type"] == "callback").expect("one")["seq"].clone();
    let body = json!({"client": ONE, "request_id": "H", "seq": seq, "error": "it broke"});
    assert_eq!(world.answer_callback(&id, &body).0, 200);
    let late = json!({"client": ONE, "request_id": "J", "seq": last - 1, "response": {}});
    assert_eq!(kind(&world.answer_callback(&id, &late)), (410, "callback_withdrawn"));
    let unknown = json!({"client": ONE, "request_id": "K", "seq": 1, "response": {}});
    assert_eq!(kind(&world.answer_callback(&id, &unknown)), (404, "callback_unknown"));
}

#[test]
fn an_answer_that_would_let_a_guarded_tool_run_by_accident_is_refused_or_denies_it() {
    let mut world = World::new();
    let (_, taken, viewer, link) = declared(&mut world);
    let id = taken.session.clone();
    world.lines(link, &asks("H", "PreToolUse"));
    let seq = world.received(viewer).pop().expect("a callback")["seq"].clone();
    world.received(link);
    for (key, value) in [
        ("response", json!(null)),
        ("response", json!("deny")),
        ("response", json!({"decision": "deny"})),
        (
            "response",
            json!({"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "DENY"}}),
        ),
        ("nothing", json!(1)),
    ] {
        let body = json!({"client": ONE, "request_id": "H", "seq": seq, key: value});
        assert_eq!(kind(&world.answer_callback(&id, &body)), (400, "invalid_request"), "{body}");
    }
    assert!(world.received(link).is_empty());
    let body = json!({"client": ONE, "request_id": "H", "seq": seq, "error": "it broke"});
    assert_eq!(world.answer_callback(&id, &body).0, 200);
    let given = world.received(link);
    let decision = &given[0]["response"]["response"]["hookSpecificOutput"];
    assert_eq!(
        (&decision["permissionDecision"], &decision["permissionDecisionReason"]),
        (&json!("deny"), &json!("it broke"))
    );
}

#[test]
fn an_answer_may_be_as_long_as_an_agent_can_read() {
    let mut world = World::new();
    let (_, taken, viewer, link) = declared(&mut world);
    let id = taken.session.clone();
    world.lines(link, &asks("H", "PostToolUse"));
    let seq = world.received(viewer).pop().expect("a callback")["seq"].clone();
    world.received(link);
    let answer = |letters: usize| {
        let response = json!({"systemMessage": "x".repeat(letters)});
        json!({"client": ONE, "request_id": "H", "seq": seq, "response": response})
    };
    let most = MAX_CALLBACK_RESPONSE_BYTES - r#"{"systemMessage":""}"#.len();
    let refused = world.answer_callback(&id, &answer(most + 1));
    assert_eq!(kind(&refused), (400, "invalid_request"));
    assert_eq!(world.answer_callback(&id, &answer(most)).0, 200);
    // There is room for it once the line before it has arrived.
    world.send_frame(link, &ControlFrame::Ack { received: 1 });
    let given = world.received(link);
    let words = given[0]["response"]["response"]["systemMessage"].as_str().map(str::len);
    assert_eq!(words, Some(most));
}

#[test]
fn what_the_worker_says_was_not_answered_in_time_cannot_be_answered_later() {
    let mut world = World::new();
    let (_, taken, viewer, link) = declared(&mut world);
    let id = taken.session.clone();
    world.lines(link, &asks("H", "PreToolUse"));
    let seq = world.received(viewer).pop().expect("a callback")["seq"].clone();
    let report = json!({"type": "footbridge", "subtype": "callback_withdrawn", "request_id": "H", "reason": "late"});
    let message = serde_json::value::to_raw_value(&report).expect("JSON");
    world.send_frame(link, &ControlFrame::Report { message });
    let body = json!({"client": ONE, "request_id": "H", "seq": seq, "response": {}});
    let late = world.answer_callback(&id, &body);
    assert_eq!(kind(&late), (410, "callback_withdrawn"));
    assert!(late.1["error"]["message"].as_str().is_some_and(|words| words.contains("too late")));
}

#[test]
fn a_question_that_no_client_can_answer_is_refused_at_once() {
    let mut world = World::new();
    let (_, _, link) = world.running();
    world.lines(link, &[asks("H", "PreToolUse"), asks("I", "Stop")].join("\n"));
    let given: Vec<_> = world
        .received(link)
        .into_iter()
        .filter(|line| line["type"] == "control_response")
        .collect();
    let [guard, other] = &given[..] else { panic!("{given:?}") };
    assert_eq!(guard["response"]["response"]["hookSpecificOutput"]["permissionDecision"], "deny");
    assert_eq!(guard["refused"], true);
    assert_eq!(other["response"]["subtype"], "error");
}

#[test]
fn another_run_of_the_agent_is_told_what_was_declared_before_anything_else() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    let taken = world.take(&worker);
    world.client(&id, ONE, 0);
    let link = world.link_of_run(&taken, "run-1", 0);
    assert_eq!(world.declare(&id, Some(ONE), &hooks()).0, 200);
    world.send_frame(link, &ControlFrame::Ack { received: 1 });
    let is_declared =
        |came: &[Value]| came.iter().position(|one| one["frame"]["type"] == "declared");
    assert_eq!(is_declared(&world.received(link)), None, "this run was told by the client");
    let link = world.link_of_run(&taken, "run-1", 1);
    assert_eq!(is_declared(&world.received(link)), None);
    world.say(&id, "go on");
    let link = world.link_of_run(&taken, "run-2", 1);
    let came = world.received(link);
    assert_eq!(is_declared(&came), Some(1), "after the resume, before all lines: {came:?}");
    let again = &came[1]["frame"]["message"];
    assert_eq!(again["request"], hooks());
    let link = world.link_of_run(&taken, "run-2", 1);
    assert_eq!(is_declared(&world.received(link)), Some(1), "it may never have arrived");

    // What is declared beside it, and has not reached an agent, takes nothing away.
    let servers = json!({"subtype": "initialize", "sdkMcpServers": ["calc"]});
    assert_eq!(world.declare(&id, Some(ONE), &servers).0, 200);
    let link = world.link_of_run(&taken, "run-3", 1);
    let came = world.received(link);
    assert_eq!(is_declared(&came), Some(1), "{came:?}");
    let again = &came[1]["frame"]["message"]["request"];
    assert_eq!((&again["hooks"], &again["sdkMcpServers"]), (&hooks()["hooks"], &json!(["calc"])));

    // A plain connection says nothing of its agent.
    let target = format!("/v2/session_ingress/ws/{id}");
    let plain = world.websocket(&target, &taken.token, "");
    let came = world.received(plain);
    assert_eq!(came[0]["request"]["hooks"], hooks()["hooks"], "{came:?}");
}

#[test]
fn what_an_agent_asked_that_is_gone_cannot_be_answered() {
    let mut world = World::new();
    let (worker, taken, viewer, link) = declared(&mut world);
    let id = taken.session.clone();
    world.lines(link, &asks("H", "PreToolUse"));
    let seq = world.received(viewer).pop().expect("a callback")["seq"].clone();
    assert_eq!(world.stop_work(&worker, &taken, "completed").0, 200);
    let is_withdrawn = |event: &Value| event["message"]["subtype"] == "callback_withdrawn";
    assert!(world.events(&id).iter().any(is_withdrawn));
    let body = json!({"client": ONE, "request_id": "H", "seq": seq, "response": {}});
    assert_eq!(kind(&world.answer_callback(&id, &body)), (410, "callback_withdrawn"));
}

/// A client is asked what it has declared, and answers.
pub(super) fn answered_once(world: &mut World) {
    let (_, taken, viewer, link) = declared(world);
    world.lines(link, &asks("H", "PreToolUse"));
    let seq = world.received(viewer)[0]["seq"].clone();
    let body = json!({"client": ONE, "request_id": "H", "seq": seq, "response": {}});
    for _ in 0..2 {
        assert_eq!(world.answer_callback(&taken.session, &body).0, 200);
    }
}
