//! Whether an agent works or waits for its next message (U-4).

use super::*;

const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"s"}"#;
const ASSISTANT: &str = r#"{"type":"assistant","message":{"content":[]}}"#;
const RESULT: &str = r#"{"type":"result","subtype":"success"}"#;
const IDLE: &str = r#"{"type":"system","subtype":"session_state_changed","state":"idle"}"#;
const RUNNING: &str = r#"{"type":"system","subtype":"session_state_changed","state":"running"}"#;
const STATUS: &str = r#"{"type":"system","subtype":"status","status":null}"#;
const HOOK: &str = r#"{"type":"system","subtype":"hook_started","hook_event":"SessionStart"}"#;
const ASKED: &str = r#"{"type":"user","uuid":"local","message":{"content":"do it"}}"#;
const TOOL: &str =
    r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t"}]}}"#;
const MCP: &str = r#"{"type":"control_request","request_id":"m","request":{"subtype":"mcp_message","server_name":"s","message":{}}}"#;
const HOOKED: &str = r#"{"type":"control_request","request_id":"h","request":{"subtype":"hook_callback","callback_id":"c","input":{}}}"#;
const PARTIAL: &str = r#"{"type":"stream_event","event":{}}"#;

/// What the session, the list and the overview say.
fn works(world: &mut World, id: &str) -> bool {
    let one = world.session(id)["working"].clone();
    let (_, list) = world.get("/v1/sessions", TOKEN);
    let listed = list["sessions"].as_array().expect("sessions");
    let listed = listed.iter().find(|session| session["id"] == id).expect("the session");
    assert_eq!(listed["working"], one, "the list says the same");
    one.as_bool().expect("working")
}

#[test]
fn only_what_is_of_a_turn_is_work_whatever_an_agent_says_of_itself() {
    let question = question("q");
    let cases: &[(&[&str], bool)] = &[
        // It starts, connects again, and says how its tools are.
        (&[INIT], false),
        (&[INIT, INIT], false),
        (&[INIT, STATUS, HOOK], false),
        (&[HOOK, INIT, HOOKED, MCP], false),
        (&[INIT, IDLE, STATUS], false),
        (&[INIT, RUNNING, IDLE, INIT], false),
        (&[INIT, r#"{"type":"keep_alive"}"#], false),
        (&[INIT, TOOL], false),
        // It has something to do.
        (&[INIT, ASSISTANT], true),
        (&[INIT, PARTIAL], true),
        (&[INIT, ASKED], true),
        (&[ASKED, INIT], true),
        (&[INIT, &question], true),
        (&[INIT, RUNNING], true),
        (&[ASSISTANT, INIT], true),
        (&[INIT, ASSISTANT, STATUS, TOOL], true),
        // It has done it.
        (&[INIT, ASSISTANT, RESULT], false),
        (&[INIT, ASSISTANT, RESULT, STATUS, INIT], false),
        (&[INIT, ASSISTANT, RUNNING, RESULT, IDLE], false),
        (&[INIT, ASSISTANT, IDLE, STATUS], false),
        (&[INIT, ASSISTANT, RESULT, INIT, ASSISTANT], true),
    ];
    for (lines, expected) in cases {
        let mut world = World::new();
        let (_, taken, op) = world.running();
        for line in *lines {
            world.lines(op, line);
        }
        assert_eq!(works(&mut world, &taken.session), *expected, "{lines:#?}");
    }
}

#[test]
fn an_agent_that_is_given_a_message_works_from_its_first_line() {
    for was_told in [false, true] {
        let mut world = World::new();
        let (_, taken, op) = world.running();
        let id = &taken.session;
        let body = json!({"messages": [{"type": "user", "uuid": "u1", "message": {}}]});
        let said = world.post(&format!("/v1/sessions/{id}/messages"), TOKEN, &body);
        assert_eq!(said.0, 200, "{said:?}");
        if was_told {
            world.send_frame(op, &ControlFrame::Ack { received: 1 });
        }
        world.lines(op, INIT);
        assert!(works(&mut world, id), "read by the worker: {was_told}");
        world.lines(op, RESULT);
        assert!(!works(&mut world, id));
    }
}

#[test]
fn a_request_to_an_agent_is_no_work() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let id = &taken.session;
    let request =
        json!({"type": "control_request", "request_id": "r", "request": {"subtype": "initialize"}});
    let body = json!({"messages": [request]});
    let said = world.post(&format!("/v1/sessions/{id}/messages"), TOKEN, &body);
    assert_eq!(said.0, 200, "{said:?}");
    world.send_frame(op, &ControlFrame::Ack { received: 1 });
    world.lines(op, INIT);
    world.lines(
        op,
        r#"{"type":"control_response","response":{"subtype":"success","request_id":"r"}}"#,
    );
    assert!(!works(&mut world, id));
}
