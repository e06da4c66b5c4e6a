//! How far what viewers sent has come, and how it ended (M-7).

use super::*;
use crate::base::limits::SESSIONS_LOST_AFTER;

/// The stage and the reason of an event.
fn receipt(world: &mut World, id: &str, seq: u64) -> (String, Value) {
    let (status, receipt) = world.get(&format!("/v1/sessions/{id}/receipts/{seq}"), TOKEN);
    assert_eq!((status, &receipt["seq"]), (200, &json!(seq)), "{receipt}");
    (receipt["stage"].as_str().expect("a stage").to_owned(), receipt["reason"].clone())
}

fn stage(world: &mut World, id: &str, seq: u64) -> String {
    receipt(world, id, seq).0
}

fn accepted(said: &(u16, Value)) -> u64 {
    assert_eq!(said.0, 200, "{said:?}");
    let seq = said.1["accepted"][0]["seq"].as_u64();
    seq.or_else(|| said.1["seq"].as_u64()).expect("a number")
}

fn say(world: &mut World, id: &str, uuid: &str) -> u64 {
    let body = json!({"messages": [{"type": "user", "uuid": uuid, "message": {}}]});
    accepted(&world.post(&format!("/v1/sessions/{id}/messages"), TOKEN, &body))
}

fn report(world: &mut World, op: OpId, message: &Value) {
    let message = serde_json::value::to_raw_value(message).expect("JSON");
    world.send_frame(op, &ControlFrame::Report { message });
}

/// The log's words about what did not end well.
fn failures(world: &mut World, id: &str) -> Vec<Value> {
    let events = world.events(id).into_iter().map(|event| event["message"].clone());
    let failures = events.filter(|message| {
        let subtype = message["subtype"].as_str().unwrap_or_default();
        message["type"] == "footbridge" && subtype.starts_with("messages_")
    });
    failures.collect()
}

#[test]
fn a_message_is_followed_from_the_store_to_the_agents_echo() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    let viewer = world.subscribe(&id, 0);
    let seq = say(&mut world, &id, "u1");
    assert_eq!(stage(&mut world, &id, seq), "stored");
    let taken = world.take(&worker);
    let op = world.link(&taken, 0, 0);
    assert_eq!(stage(&mut world, &id, seq), "sent");
    world.received(viewer);
    let next = |world: &mut World, frame: &ControlFrame| {
        world.send_frame(op, frame);
        let frames = world.received(viewer);
        let last = frames.last().expect("a frame").clone();
        assert_eq!((frames.len(), &last["type"]), (1, &json!("receipts")), "{frames:?}");
        last["receipts"].clone()
    };
    let held = next(&mut world, &ControlFrame::Held { received: 1 });
    assert_eq!((&held["with_worker"], &held["delivered"]), (&json!(seq), &json!(0)));
    assert_eq!(stage(&mut world, &id, seq), "with_worker");
    let acked = next(&mut world, &ControlFrame::Ack { received: 1 });
    assert_eq!((&acked["delivered"], &acked["seen"]), (&json!(seq), &json!(0)));
    assert_eq!(stage(&mut world, &id, seq), "delivered");
    let (_, list) = world.get(&format!("/v1/sessions/{id}/receipts"), TOKEN);
    assert_eq!(list["open"], json!([{"seq": seq, "stage": "delivered"}]));

    world.lines(op, r#"{"type":"user","uuid":"u1","isReplay":true,"message":{}}"#);
    assert_eq!(stage(&mut world, &id, seq), "seen");
    assert_eq!(world.session(&id)["receipts"]["seen"], json!(seq));
    let (_, list) = world.get(&format!("/v1/sessions/{id}/receipts"), TOKEN);
    assert_eq!((&list["open"], &list["failed"]), (&json!([]), &json!([])));
    // A viewer that comes later, or again, learns the current stage with the session.
    let late = world.subscribe(&id, 0);
    assert_eq!(world.received(late)[0]["session"]["receipts"]["seen"], json!(seq));
}

#[test]
fn each_kind_of_agent_shows_in_its_way_what_it_has_read() {
    let shows = [
        (r#"{"type":"command_lifecycle","command_uuid":"u2","state":"started"}"#, 2),
        (r#"{"type":"result","user_message_uuids":["u1"]}"#, 1),
        (r#"{"type":"system","subtype":"init"}"#, 1),
        (r#"{"type":"assistant","message":{}}"#, 1),
        // These show nothing about a message that it was given, or that it is lost with the agent.
        (r#"{"type":"command_lifecycle","command_uuid":"u2","state":"queued"}"#, 0),
        (r#"{"type":"system","subtype":"status"}"#, 0),
        (r#"{"type":"user","uuid":"other","message":{}}"#, 0),
        (r#"{"type":"later"}"#, 0),
    ];
    for (line, seen) in shows {
        let mut world = World::new();
        let (_, taken, op) = world.running();
        let id = &taken.session;
        let seqs: Vec<_> = ["u1", "u2", "u3"].map(|uuid| say(&mut world, id, uuid)).into();
        world.send_frame(op, &ControlFrame::Ack { received: 3 });
        world.lines(op, line);
        let stages: Vec<_> = seqs.iter().map(|seq| stage(&mut world, id, *seq)).collect();
        let expected: Vec<_> =
            (0..3).map(|at| if at < seen { "seen" } else { "delivered" }).collect();
        assert_eq!(stages, expected, "{line}");
    }
}

#[test]
fn a_message_that_waits_during_a_turn_is_seen_when_the_next_turn_begins() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let id = &taken.session;
    let first = say(&mut world, id, "u1");
    world.send_frame(op, &ControlFrame::Ack { received: 1 });
    world.lines(op, r#"{"type":"assistant"}"#);
    let second = say(&mut world, id, "u2");
    world.send_frame(op, &ControlFrame::Ack { received: 2 });
    world.lines(op, r#"{"type":"assistant"}"#);
    world.lines(op, r#"{"type":"result"}"#);
    assert_eq!(
        (stage(&mut world, id, first), stage(&mut world, id, second)),
        ("seen".to_owned(), "delivered".to_owned())
    );
    world.lines(op, r#"{"type":"assistant"}"#);
    assert_eq!(stage(&mut world, id, second), "seen");
}

#[test]
fn an_answer_and_a_request_are_followed_too() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let id = &taken.session;
    world.lines(op, &question("q1"));
    let answer = json!({"request_id": "q1", "behavior": "allow"});
    let answer = accepted(&world.post(&format!("/v1/sessions/{id}/permission"), TOKEN, &answer));
    assert_eq!(stage(&mut world, id, answer), "sent");
    world.send_frame(op, &ControlFrame::Ack { received: 1 });
    assert_eq!(stage(&mut world, id, answer), "delivered");
    world.lines(op, r#"{"type":"user","message":{"content":[{"type":"tool_result"}]}}"#);
    assert_eq!(stage(&mut world, id, answer), "seen");

    let interrupt = world.post(&format!("/v1/sessions/{id}/interrupt"), TOKEN, &Value::Null);
    let request_id = interrupt.1["request_id"].as_str().expect("an id").to_owned();
    world.send_frame(op, &ControlFrame::Ack { received: 2 });
    assert_eq!(stage(&mut world, id, accepted(&interrupt)), "delivered");
    world.lines(
        op,
        &format!(
            r#"{{"type":"control_response","response":{{"subtype":"success","request_id":"{request_id}"}}}}"#
        ),
    );
    assert_eq!(stage(&mut world, id, accepted(&interrupt)), "seen");
}

#[test]
fn an_answer_that_shows_says_nothing_of_a_message_that_waits_before_it() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let id = &taken.session;
    say(&mut world, id, "u0");
    world.send_frame(op, &ControlFrame::Ack { received: 1 });
    world.lines(op, r#"{"type":"assistant"}"#);
    world.lines(op, &question("q1"));
    let message = say(&mut world, id, "u1");
    let answer = json!({"request_id": "q1", "behavior": "allow"});
    let answer = accepted(&world.post(&format!("/v1/sessions/{id}/permission"), TOKEN, &answer));
    world.send_frame(op, &ControlFrame::Ack { received: 3 });
    // Another of its agents goes on meanwhile.
    world.lines(op, r#"{"type":"assistant"}"#);
    assert_eq!(stage(&mut world, id, message), "delivered");
    world.lines(op, r#"{"type":"user","uuid":"u1","isReplay":true,"message":{}}"#);
    world.lines(op, r#"{"type":"assistant"}"#);
    let stages = [message, answer].map(|seq| stage(&mut world, id, seq));
    assert_eq!(stages, ["seen", "seen"]);
}

#[test]
fn what_waits_when_its_session_is_stopped_in_the_queue_is_undelivered() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    let seq = say(&mut world, &id, "u1");
    assert_eq!(world.post(&format!("/v1/sessions/{id}/stop"), TOKEN, &Value::Null).0, 200);
    let failures = failures(&mut world, &id);
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0]["subtype"], "messages_undelivered");
    assert_eq!((&failures[0]["uuids"], &failures[0]["seqs"]), (&json!(["u1"]), &json!([seq])));
    let (stage, reason) = receipt(&mut world, &id, seq);
    assert_eq!((stage.as_str(), &reason), ("undelivered", &failures[0]["reason"]));
    assert!(reason.as_str().expect("why").contains("before a worker took it"), "{reason}");
}

#[test]
fn what_waits_for_a_worker_that_never_comes_back_expires() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let id = &taken.session;
    let seen = say(&mut world, id, "u1");
    world.send_frame(op, &ControlFrame::Ack { received: 1 });
    world.lines(op, r#"{"type":"result","user_message_uuids":["u1"]}"#);
    let given = say(&mut world, id, "u2");
    world.deliver(Event::Closed { op, code: None, failure: None });
    let waiting = say(&mut world, id, "u3");
    world.pass(SESSIONS_LOST_AFTER);
    assert_eq!(world.session(id)["result"]["status"], "lost");
    let failures = failures(&mut world, id);
    let told: Vec<_> = failures.iter().map(|said| (&said["subtype"], &said["uuids"])).collect();
    assert_eq!(
        told,
        [
            (&json!("messages_indeterminate"), &json!(["u2"])),
            (&json!("messages_expired"), &json!(["u3"]))
        ]
    );
    let stages = [seen, given, waiting].map(|seq| stage(&mut world, id, seq));
    assert_eq!(stages, ["seen", "indeterminate", "expired"]);
}

#[test]
fn an_exit_says_exactly_what_the_agent_was_given() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    let taken = world.take(&worker);
    let op = world.link_of_run(&taken, "one", 0);
    let seqs: Vec<_> = ["u1", "u2", "u3"].map(|uuid| say(&mut world, &id, uuid)).into();
    report(
        &mut world,
        op,
        &json!({"type": "footbridge", "subtype": "agent_exited", "delivered": 1, "attempted": 2}),
    );
    let stages: Vec<_> = seqs.iter().map(|seq| stage(&mut world, &id, *seq)).collect();
    assert_eq!(stages[..2], ["indeterminate", "indeterminate"]);
    // The third one was never written: the next run gets it.
    assert_eq!(stages[2], "sent");
    world.deliver(Event::Closed { op, code: None, failure: None });
    let next = world.link_of_run(&taken, "two", 0);
    let given = world.received(next);
    assert_eq!(given[0]["frame"]["from"], 2);
    assert_eq!(given[1]["uuid"], "u3");
    assert_eq!(failures(&mut world, &id).len(), 1, "and nothing is said twice");
    world.stop_work(&worker, &taken, "completed");
    assert_eq!(failures(&mut world, &id).len(), 2);
    assert_eq!(stage(&mut world, &id, seqs[2]), "indeterminate");
}

#[test]
fn an_allow_that_reached_nobody_is_said() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let id = &taken.session;
    world.lines(op, &question("q1"));
    let answer = json!({"request_id": "q1", "behavior": "allow"});
    let target = format!("/v1/sessions/{id}/permission");
    let seq = accepted(&world.post(&target, TOKEN, &answer));
    let message = json!({"type": "footbridge", "subtype": "messages_undelivered",
        "uuids": [], "answers": ["q1"], "lines": [1], "reason": "the agent is no longer waiting"});
    report(&mut world, op, &message);
    world.send_frame(op, &ControlFrame::Ack { received: 1 });
    let undelivered = ("undelivered".to_owned(), json!("the agent is no longer waiting"));
    assert_eq!(receipt(&mut world, id, seq), undelivered);
    world.lines(op, r#"{"type":"result"}"#);
    assert_eq!(receipt(&mut world, id, seq), undelivered, "it stays so");
}

#[test]
fn a_plain_connection_is_believed_only_what_its_agent_shows() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    let taken = world.take(&worker);
    let target = format!("/v2/session_ingress/ws/{id}");
    let op = world.websocket(&target, &taken.token, "");
    let first = say(&mut world, &id, "u1");
    let second = say(&mut world, &id, "u2");
    assert_eq!(stage(&mut world, &id, first), "sent");
    world.lines(op, r#"{"type":"assistant"}"#);
    assert_eq!(stage(&mut world, &id, first), "seen");
    assert_eq!(stage(&mut world, &id, second), "sent");
    world.stop_work(&worker, &taken, "completed");
    assert_eq!(stage(&mut world, &id, second), "indeterminate");
}

#[test]
fn a_receipt_outlives_its_event_until_it_is_settled() {
    let mut config = config();
    config.policy.log_bytes = 1000;
    let mut world = World::with(config);
    let (_, taken, op) = world.running();
    let id = &taken.session;
    let seq = say(&mut world, id, "u1");
    for n in 0..100 {
        world.lines(op, &format!(r#"{{"type":"x","n":{n}}}"#));
    }
    assert!(world.session(id)["first_seq"].as_u64() > Some(seq));
    assert_eq!(stage(&mut world, id, seq), "sent");
    world.send_frame(op, &ControlFrame::Ack { received: 1 });
    world.lines(op, r#"{"type":"assistant"}"#);
    for (number, kept) in [(seq, false), (1, false), (9999, false)] {
        let (status, gone) = world.get(&format!("/v1/sessions/{id}/receipts/{number}"), TOKEN);
        assert_eq!((status == 200, &gone["error"]["type"]), (kept, &json!("receipt_unknown")));
    }
}

#[test]
fn an_agent_that_shows_nothing_is_followed_only_so_far() {
    let mut config = config();
    config.policy.inbound_lines = 8;
    let mut world = World::with(config);
    let (_, taken, op) = world.running();
    let id = &taken.session;
    for n in 1..=40 {
        say(&mut world, id, &format!("u{n}"));
        world.send_frame(op, &ControlFrame::Ack { received: n });
    }
    let told = failures(&mut world, id);
    assert!((3..=10).contains(&told.len()), "{}", told.len());
    let named = told.iter().map(|said| said["uuids"].as_array().expect("a list").len());
    assert!((32..40).contains(&named.sum::<usize>()));
    let (_, list) = world.get(&format!("/v1/sessions/{id}/receipts"), TOKEN);
    assert!(list["open"].as_array().expect("a list").len() <= 8);
}
