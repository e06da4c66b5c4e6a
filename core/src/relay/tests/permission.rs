//! The agent's questions: answered once, by whoever is first, or withdrawn (M-2).

use super::*;

fn permission(world: &mut World, id: &str, body: &Value) -> (u16, Value) {
    world.post(&format!("/v1/sessions/{id}/permission"), TOKEN, body)
}

#[test]
fn a_question_is_answered_once_and_everyone_sees_the_same_answer() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let id = taken.session.clone();
    world.lines(op, &question("P"));
    let pending = &world.session(&id)["pending_permissions"];
    assert_eq!(
        (&pending[0]["request_id"], &pending[0]["tool_name"]),
        (&json!("P"), &json!("Bash"))
    );
    world.received(op);

    // Two at the same time: both arrive before the store has decided either.
    world.holds_store = true;
    let target = format!("/v1/sessions/{id}/permission");
    let deny = json!({"request_id": "P", "behavior": "deny", "message": "no"});
    let allow = json!({"request_id": "P", "behavior": "allow"});
    let first = world.ask(Method::Post, &target, TOKEN, &allow);
    let second = world.ask(Method::Post, &target, TOKEN, &deny);
    world.release_store();
    let (status, answer) = world.answer(first);
    assert_eq!(status, 200);
    let (status, error) = world.answer(second);
    assert_eq!((status, &error["error"]["type"]), (409, &json!("permission_conflict")));
    assert_eq!(error["error"]["answer"]["behavior"], "allow");

    let Some(Message::Text(line)) = world.streams[&op].sent.last() else { panic!("no line") };
    assert!(line.as_str().contains(r#""updatedInput":{"command": "echo  hi"}"#), "{line:?}");
    assert_eq!(world.received(op).len(), 1);
    assert_eq!(permission(&mut world, &id, &allow), (200, answer));
    assert!(world.received(op).is_empty());
    assert_eq!(world.session(&id)["pending_permissions"], json!([]));
}

#[test]
fn a_body_of_another_shape_is_refused_in_plain_words() {
    let mut world = World::new();
    let (_, taken, _) = world.running();
    for path in ["messages", "permission"] {
        let target = format!("/v1/sessions/{}/{path}", taken.session);
        for body in [json!("x"), json!(7), json!([1]), json!({"messages": 1, "request_id": 1})] {
            let (status, error) = world.post(&target, TOKEN, &body);
            let words = error["error"]["message"].as_str().expect("words");
            assert_eq!(status, 400, "{words}");
            for name in ["struct", "enum", "PostMessages", "PermissionPost", "Behavior"] {
                assert!(!words.contains(name), "{words}");
            }
        }
    }
}

fn asks(command: &str) -> String {
    let request =
        json!({"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": command}});
    json!({"type": "control_request", "request_id": "req-1", "request": request}).to_string()
}

#[test]
fn a_question_under_the_id_of_an_answered_one_is_a_new_question() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let id = taken.session.clone();
    let mut seqs = Vec::new();
    for (nth, command) in ["ls", "rm", "rm"].into_iter().enumerate() {
        world.lines(op, &asks(command));
        let pending = world.session(&id)["pending_permissions"].clone();
        assert_eq!(pending.as_array().map(Vec::len), Some(1), "{pending}");
        let seq = pending[0]["seq"].as_u64().expect("a number");
        world.received(op);
        // What was meant for an earlier one is no answer to this one.
        for earlier in &seqs {
            let late = json!({"request_id": "req-1", "seq": earlier, "behavior": "allow"});
            assert_eq!(permission(&mut world, &id, &late).0, 410);
        }
        assert!(world.received(op).is_empty());
        let allow = json!({"request_id": "req-1", "seq": seq, "behavior": "allow"});
        let (status, answer) = permission(&mut world, &id, &allow);
        assert_eq!(status, 200, "{answer}");
        assert_eq!(permission(&mut world, &id, &allow), (200, answer), "repeating it is fine");
        let came = world.received(op);
        assert_eq!(came.len(), 1);
        assert_eq!(came[0]["response"]["response"]["updatedInput"]["command"], command);
        assert_eq!(came[0]["asked_on_line"], json!(nth + 1), "the worker can tell them apart");
        seqs.push(seq);
    }
    world.lines(op, &asks("ls"));
    world.lines(op, r#"{"type":"control_cancel_request","request_id":"req-1"}"#);
    world.lines(op, &asks("ls"));
    let without_seq = json!({"request_id": "req-1", "behavior": "deny"});
    let open = world.session(&id)["pending_permissions"][0]["seq"].clone();
    let (status, refused) = permission(&mut world, &id, &without_seq);
    assert_eq!((status, &refused["error"]["type"]), (409, &json!("permission_ambiguous")));
    assert_eq!(refused["error"]["seq"], open);
    let with_seq = json!({"request_id": "req-1", "seq": open, "behavior": "deny"});
    assert_eq!(permission(&mut world, &id, &with_seq).0, 200);
    let (status, refused) = permission(&mut world, &id, &without_seq);
    assert_eq!((status, &refused["error"]["seq"]), (409, &Value::Null), "none is open");
}

#[test]
fn two_different_questions_under_one_id_are_answered_by_nobody() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    world.lines(op, &asks("ls"));
    world.lines(op, &asks("ls"));
    let id = taken.session.clone();
    let pending = |world: &mut World| world.session(&id)["pending_permissions"].clone();
    assert_eq!(pending(&mut world).as_array().map(Vec::len), Some(1), "the same one again");
    world.received(op);
    world.lines(op, &asks("rm"));
    assert_eq!(pending(&mut world), json!([]));
    let refused = world.received(op);
    let errors = refused.iter().filter(|line| line["response"]["subtype"] == "error");
    assert_eq!(errors.count(), 2, "{refused:?}");
    let allow = json!({"request_id": "req-1", "behavior": "allow"});
    assert_eq!(permission(&mut world, &taken.session, &allow).0, 410);
}

#[test]
fn a_question_whose_turn_has_ended_says_so_and_can_still_be_answered() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let id = taken.session.clone();
    let ask = |request_id: &str, more: &str| {
        let request = r#""subtype":"can_use_tool","tool_name":"Bash","input":{}"#;
        format!(
            r#"{{"type":"control_request","request_id":"{request_id}","request":{{{request}{more}}}}}"#
        )
    };
    world.lines(op, &ask("own", ""));
    world.lines(op, &ask("of-subagent", r#","agent_id":"a""#));
    let ended = |world: &mut World| {
        let pending = world.session(&id)["pending_permissions"].clone();
        let ended = pending.as_array().expect("a list").iter();
        ended.map(|one| one["turn_ended"] == true).collect::<Vec<_>>()
    };
    assert_eq!(ended(&mut world), [false, false]);
    world.lines(op, r#"{"type":"result","subtype":"success","is_error":false}"#);
    assert_eq!(ended(&mut world), [true, false], "a subagent may go on in the background");
    world.lines(op, r#"{"type":"result","subtype":"error_during_execution","is_error":true}"#);
    assert_eq!(ended(&mut world), [true, true]);
    world.lines(op, &ask("next", ""));
    assert_eq!(ended(&mut world), [true, true, false]);
    world.received(op);
    let allow = json!({"request_id": "own", "behavior": "allow"});
    assert_eq!(permission(&mut world, &taken.session, &allow).0, 200);
    assert_eq!(world.received(op).len(), 1, "it reaches the agent");
}

#[test]
fn an_answer_says_what_it_changes() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    for (id, answer, expected) in [
        (
            "A",
            json!({"behavior": "allow", "updatedInput": {"command": "ls"}}),
            json!({"behavior": "allow", "updatedInput": {"command": "ls"}}),
        ),
        (
            "B",
            json!({"behavior": "deny", "message": "no", "interrupt": true}),
            json!({"behavior": "deny", "message": "no", "interrupt": true}),
        ),
        (
            "C",
            json!({"behavior": "deny"}),
            json!({"behavior": "deny", "message": "the person said no"}),
        ),
        (
            "D",
            json!({"behavior": "allow", "updatedPermissions": [{"type": "setMode", "mode": "plan"}], "toolUseID": "T"}),
            json!({"behavior": "allow", "updatedInput": {"command": "echo  hi"},
                "updatedPermissions": [{"type": "setMode", "mode": "plan"}], "toolUseID": "T"}),
        ),
        (
            "E",
            json!({"behavior": "deny", "message": "no", "decisionClassification": "user_reject"}),
            json!({"behavior": "deny", "message": "no", "decisionClassification": "user_reject"}),
        ),
    ] {
        world.lines(op, &question(id));
        world.received(op);
        let mut body = answer;
        body["request_id"] = json!(id);
        assert_eq!(permission(&mut world, &taken.session, &body).0, 200);
        assert_eq!(permission(&mut world, &taken.session, &body).0, 200, "repeating it is fine");
        let came = world.received(op);
        assert_eq!(came.len(), 1);
        assert_eq!(came[0]["response"]["request_id"], id);
        assert_eq!(came[0]["response"]["response"], expected);
    }
}

#[test]
fn what_can_no_longer_be_answered_is_withdrawn() {
    let exited = r#"{"type":"footbridge","subtype":"agent_exited","exit_code":1,"signal":null}"#;
    type Withdrawal<'a> = (&'a str, &'a dyn Fn(&mut World, &Worker, &Taken, OpId));
    let ways: [Withdrawal<'_>; 3] = [
        ("cancel", &|world, _, _, op| {
            world.lines(op, r#"{"type":"control_cancel_request","request_id":"P"}"#);
        }),
        ("the agent's death", &|world, _, _, op| {
            let message = serde_json::value::RawValue::from_string(exited.to_owned());
            world.send_frame(op, &ControlFrame::Report { message: message.expect("JSON") });
        }),
        ("the end of the session", &|world, worker, taken, _| {
            world.stop_work(worker, taken, "completed");
        }),
    ];
    for (name, withdraw) in ways {
        let mut world = World::new();
        let (worker, taken, op) = world.running();
        world.lines(op, &question("P"));
        withdraw(&mut world, &worker, &taken, op);
        assert_eq!(world.session(&taken.session)["pending_permissions"], json!([]), "{name}");
        world.received(op);
        let allow = json!({"request_id": "P", "behavior": "allow"});
        let (status, error) = permission(&mut world, &taken.session, &allow);
        let kind = error["error"]["type"].clone();
        assert_eq!((status, kind), (410, json!("permission_withdrawn")), "{name}");
        assert!(world.received(op).is_empty(), "{name}: nothing reaches the agent");
        let unknown = json!({"request_id": "Q", "behavior": "allow"});
        assert_eq!(permission(&mut world, &taken.session, &unknown).0, 404);
    }
}

#[test]
fn an_agent_with_too_many_open_questions_gets_an_error() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    for n in 0..=crate::base::limits::MAX_OPEN_PERMISSIONS {
        world.lines(op, &question(&n.to_string()));
    }
    let pending = world.session(&taken.session)["pending_permissions"].clone();
    assert_eq!(pending.as_array().map(Vec::len), Some(crate::base::limits::MAX_OPEN_PERMISSIONS));
    let came = world.received(op);
    let refused = came.iter().find(|value| value["type"] == "control_response");
    assert_eq!(refused.expect("an answer")["response"]["subtype"], "error");
}
