//! A session's link: nothing lost and nothing duplicated, in either direction.

use super::*;
use crate::base::limits::{
    LINK_WINDOW_BYTES, LINK_WINDOW_LINES, LINK_WINDOW_LINES_TO_RELAY, MAX_LINE_BYTES,
};
use crate::wire::last_line::LastLine;

/// What was received besides control frames: the lines for the agent.
fn lines_of(came: &[Value]) -> Vec<&str> {
    let lines = came.iter().filter(|value| value.get("frame").is_none());
    lines.map(|line| line["message"]["content"].as_str().unwrap_or("?")).collect()
}

fn agent_lines(world: &mut World, id: &str) -> Vec<u64> {
    let events = world.events(id);
    let lines = events.iter().filter(|event| event["from"] == "agent");
    lines.map(|event| event["message"]["n"].as_u64().expect("a number")).collect()
}

fn line(n: u64) -> String {
    format!("{{\"type\":\"x\",\"n\":{n}}}\n")
}

#[test]
fn each_side_begins_with_its_resume() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    world.say(&id, "early");
    let taken = world.take(&worker);
    let op = world.ingress(&taken);
    assert_eq!(world.streams[&op].protocol.as_deref(), Some("footbridge.link.v1"));
    let resume = json!({"frame": {"type": "resume", "received": 0, "from": 0, "window": 1024}});
    assert_eq!(world.received(op), [resume], "no line before the other side's resume");
    assert_eq!(world.session(&id)["connected"], false);
    world.send_frame(op, &ControlFrame::Resume { received: 0, from: 0, window: None });
    assert_eq!(lines_of(&world.received(op)), ["early"]);
}

#[test]
fn after_a_break_both_sides_continue_where_they_were() {
    let mut world = World::new();
    let (_, taken, first) = world.running();
    world.lines(first, &[line(1), line(2), line(3)].concat());
    for text in ["a", "b", "c"] {
        world.say(&taken.session, text);
    }
    assert_eq!(lines_of(&world.received(first)), ["a", "b", "c"]);
    world.send_frame(first, &ControlFrame::Ack { received: 1 });
    world.deliver(Event::Closed { op: first, code: None, failure: None });
    assert_eq!(world.session(&taken.session)["connected"], false);
    world.say(&taken.session, "d");

    // The worker has "b" as well, but its ack was lost; nor did the ack for its third line reach
    // it, which the relay repeats in its resume.
    let second = world.ingress(&taken);
    let resume = json!({"frame": {"type": "resume", "received": 3, "from": 1, "window": 1024}});
    assert_eq!(world.received(second), [resume]);
    world.send_frame(second, &ControlFrame::Resume { received: 2, from: 2, window: None });
    assert_eq!(lines_of(&world.received(second)), ["c", "d"]);
    world.lines(second, &line(4));
    assert_eq!(agent_lines(&mut world, &taken.session), [1, 2, 3, 4]);
}

#[test]
fn lines_given_to_another_run_of_the_agent_are_indeterminate_and_not_sent_again() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    let taken = world.take(&worker);
    let first = world.link_of_run(&taken, "one", 0);
    world.say(&id, "a");
    world.say(&id, "b");
    assert_eq!(lines_of(&world.received(first)), ["a", "b"]);
    world.send_frame(first, &ControlFrame::Ack { received: 1 });
    world.deliver(Event::Closed { op: first, code: None, failure: None });

    // The same run has lost what was in flight, and gets it again.
    let second = world.link_of_run(&taken, "one", 1);
    assert_eq!(lines_of(&world.received(second)), ["b"]);
    world.deliver(Event::Closed { op: second, code: None, failure: None });
    world.say(&id, "c");

    // Another run, after a crash of the worker, begins with what nobody has been given.
    let third = world.link_of_run(&taken, "two", 0);
    let came = world.received(third);
    assert_eq!(came[0]["frame"]["from"], 2);
    assert_eq!(lines_of(&came), ["c"]);
    let (_, page) = world.get(&format!("/v1/sessions/{id}/events?after=0"), TOKEN);
    let events = page["events"].as_array().expect("events");
    let uuid = |text: &str| {
        let of = |event: &&Value| event["message"]["message"]["content"] == text;
        events.iter().find(of).expect("an event")["message"]["uuid"].clone()
    };
    // It had "a" and may have had "b", and has shown nothing about either.
    let told = events.iter().find(|e| e["message"]["subtype"] == "messages_indeterminate");
    assert_eq!(told.expect("it is logged")["message"]["uuids"], json!([uuid("a"), uuid("b")]));
}

#[test]
fn an_ack_right_after_a_resume_that_confirmed_more_is_accepted() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    let taken = world.take(&worker);
    world.say(&id, "a");
    world.say(&id, "b");
    let first = world.link(&taken, 0, 0);
    world.deliver(Event::Closed { op: first, code: None, failure: None });
    let second = world.ingress(&taken);
    world.holds_store = true;
    world.send_frame(second, &ControlFrame::Resume { received: 2, from: 0, window: None });
    world.send_frame(second, &ControlFrame::Ack { received: 1 });
    world.release_store();
    assert_eq!(world.streams[&second].closed, None);
}

#[test]
fn requests_to_an_agent_that_is_gone_are_logged_as_unanswered() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    let taken = world.take(&worker);
    let first = world.link_of_run(&taken, "one", 0);
    let asks = |world: &mut World| {
        let (status, said) =
            world.post(&format!("/v1/sessions/{id}/interrupt"), TOKEN, &Value::Null);
        assert_eq!(status, 200);
        said["request_id"].clone()
    };
    let answered = asks(&mut world);
    let had = asks(&mut world);
    let response = json!({"subtype": "success", "request_id": answered});
    let line = json!({"type": "control_response", "response": response}).to_string();
    world.lines(first, &format!("{line}\n"));
    world.send_frame(first, &ControlFrame::Ack { received: 2 });
    world.deliver(Event::Closed { op: first, code: None, failure: None });
    let waits = asks(&mut world);

    let second = world.link_of_run(&taken, "two", 0);
    assert_eq!(lines_of(&world.received(second)).len(), 1, "{waits} is for the new agent");
    let unanswered = |world: &mut World| -> Vec<(Value, Value)> {
        let events = world.events(&id).into_iter().map(|event| event["message"].clone());
        let events = events.filter(|message| message["subtype"] == "requests_unanswered");
        events.map(|message| (message["request_ids"].clone(), message["reason"].clone())).collect()
    };
    let told = unanswered(&mut world);
    assert_eq!(told, [(json!([had]), json!("the agent that had them has ended"))]);

    assert_eq!(world.stop_work(&worker, &taken, "completed").0, 200);
    let of_session = (json!([waits]), json!("the session has ended: done"));
    assert_eq!(unanswered(&mut world)[told.len()..], [of_session]);
}

/// A relay of an earlier version did not record which run of the agent its lines were for.
#[test]
fn requests_to_an_unnamed_run_are_unanswered_once_another_agent_starts() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    let taken = world.take(&worker);
    let unnamed = world.link(&taken, 0, 0);
    let (status, said) = world.post(&format!("/v1/sessions/{id}/interrupt"), TOKEN, &Value::Null);
    assert_eq!(status, 200);
    world.send_frame(unnamed, &ControlFrame::Ack { received: 1 });
    world.deliver(Event::Closed { op: unnamed, code: None, failure: None });

    let named = world.link_of_run(&taken, "two", 0);
    assert!(unanswered(&mut world, &id).is_empty(), "it may still be the same agent");
    report_start(&mut world, named);
    assert_eq!(unanswered(&mut world, &id), [json!([said["request_id"]])]);
}

/// The ids of requests that will never be answered, as the log has them.
fn unanswered(world: &mut World, id: &str) -> Vec<Value> {
    let events = world.events(id).into_iter().map(|event| event["message"].clone());
    let events = events.filter(|message| message["subtype"] == "requests_unanswered");
    events.map(|message| message["request_ids"].clone()).collect()
}

fn report_start(world: &mut World, link: OpId) {
    let started = json!({"type": "footbridge", "subtype": "agent_started", "pid": 7});
    let message = serde_json::value::to_raw_value(&started).expect("JSON");
    world.send_frame(link, &ControlFrame::Report { message });
}

#[test]
fn requests_to_an_unnamed_run_are_unanswered_once_another_unnamed_one_starts() {
    let mut world = World::new();
    let (worker, taken, first) = world.running();
    let id = taken.session.clone();
    report_start(&mut world, first);
    let (_, said) = world.post(&format!("/v1/sessions/{id}/interrupt"), TOKEN, &Value::Null);
    world.send_frame(first, &ControlFrame::Ack { received: 1 });
    world.deliver(Event::Closed { op: first, code: None, failure: None });

    // The agent of the same lease is the same, however often its start is reported.
    let second = world.link(&taken, 1, 0);
    report_start(&mut world, second);
    assert!(unanswered(&mut world, &id).is_empty());
    world.deliver(Event::Closed { op: second, code: None, failure: None });

    world.pass(Duration::from_secs(61));
    let again = world.take(&worker);
    let third = world.link(&again, 0, 0);
    assert!(unanswered(&mut world, &id).is_empty(), "it may still be the same agent");
    report_start(&mut world, third);
    assert_eq!(unanswered(&mut world, &id), [json!([said["request_id"]])]);
}

#[test]
fn requests_that_an_agent_had_are_unanswered_once_its_worker_has_restarted() {
    let mut world = World::new();
    let start = |world: &mut World, run: u64| {
        let body = json!({"machine_name": "laptop", "directory": "/home/me", "max_sessions": 4,
            "worker_id": "the-same-worker", "worker_run": run});
        let (status, answer) = world.post("/v1/environments/bridge", TOKEN, &body);
        assert_eq!(status, 200, "{answer}");
        let text = |key: &str| answer[key].as_str().expect(key).to_owned();
        Worker { environment: text("environment_id"), secret: text("environment_secret") }
    };
    let worker = start(&mut world, 1);
    let id = world.create(&worker);
    let taken = world.take(&worker);
    let link = world.link(&taken, 0, 0);
    let ask = |world: &mut World| {
        let interrupt = format!("/v1/sessions/{id}/interrupt");
        world.post(&interrupt, TOKEN, &Value::Null).1["request_id"].clone()
    };
    let had = ask(&mut world);
    world.send_frame(link, &ControlFrame::Ack { received: 1 });
    // The next agent gets this one.
    ask(&mut world);
    start(&mut world, 2);
    assert_eq!(unanswered(&mut world, &id), [json!([had])]);
}

#[test]
fn lines_in_flight_when_a_link_is_replaced_are_stored_once() {
    let mut world = World::new();
    let (_, taken, first) = world.running();
    world.holds_store = true;
    world.lines(first, &line(1));
    let second = world.ingress(&taken);
    world.lines(first, &line(2));
    world.release_store();
    // The first line was in time, the second arrived after the newer link was accepted.
    assert_eq!(world.received(second)[0]["frame"]["received"], 1);
    assert_eq!(world.streams[&first].closed, Some(4408));
    world.send_frame(second, &ControlFrame::Resume { received: 0, from: 0, window: None });
    world.lines(second, &line(2));
    assert_eq!(agent_lines(&mut world, &taken.session), [1, 2]);
}

#[test]
fn lines_that_nobody_has_any_more_are_logged_as_lost() {
    let mut world = World::new();
    let (_, taken, first) = world.running();
    world.lines(first, &line(1));
    world.deliver(Event::Closed { op: first, code: None, failure: None });
    let second = world.link(&taken, 0, 4);
    world.lines(second, &line(5));
    let events = world.events(&taken.session);
    let lost = events.iter().find(|event| event["message"]["subtype"] == "lines_lost");
    let lost = &lost.expect("a note")["message"];
    assert_eq!((&lost["after"], &lost["resumes_after"]), (&json!(1), &json!(4)));
    assert_eq!(world.received(second).last().expect("an ack")["frame"]["received"], 5);
}

#[test]
fn lines_are_acknowledged_only_once_they_are_stored() {
    let mut world = World::new();
    let (_, _, op) = world.running();
    world.holds_store = true;
    world.lines(op, &line(1));
    world.lines(op, &line(2));
    assert!(world.received(op).is_empty());
    world.release_store();
    let ack = json!({"frame": {"type": "ack", "received": 2}});
    assert_eq!(world.received(op), [ack], "one ack for what was stored together");
}

#[test]
fn no_more_is_sent_than_the_window_allows() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    for n in 0..LINK_WINDOW_LINES + 10 {
        assert_eq!(world.say(&taken.session, &n.to_string()).0, 200);
    }
    assert_eq!(world.received(op).len(), LINK_WINDOW_LINES);
    world.send_frame(op, &ControlFrame::Ack { received: 7 });
    assert_eq!(world.received(op).len(), 7);
    world.send_frame(op, &ControlFrame::Ack { received: 200 });
    assert_eq!(world.received(op).len(), 3);
}

#[test]
fn a_line_larger_than_the_window_is_sent_alone() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let large = "x".repeat(LINK_WINDOW_BYTES + 1);
    world.say(&taken.session, "small");
    world.say(&taken.session, &large);
    world.say(&taken.session, "after");
    assert_eq!(lines_of(&world.received(op)), ["small"]);
    world.send_frame(op, &ControlFrame::Ack { received: 1 });
    assert_eq!(lines_of(&world.received(op)), [&*large]);
    world.send_frame(op, &ControlFrame::Ack { received: 2 });
    assert_eq!(lines_of(&world.received(op)), ["after"]);
}

#[test]
fn a_link_is_paused_while_too_much_waits_for_the_store() {
    let mut world = World::new();
    let (_, _, op) = world.running();
    world.holds_store = true;
    let large = format!("{{\"type\":\"x\",\"y\":\"{}\"}}", "z".repeat(1 << 20));
    for _ in 0..4 {
        world.lines(op, &large);
    }
    assert_eq!((world.streams[&op].pauses, world.streams[&op].resumes), (1, 0));
    world.release_store();
    assert_eq!((world.streams[&op].pauses, world.streams[&op].resumes), (1, 1));
}

#[test]
fn a_silent_link_is_pinged_and_then_cut() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    world.pass(Duration::from_secs(15));
    assert_eq!(world.received(op), [json!({"frame": {"type": "ping"}})]);
    world.send_frame(op, &ControlFrame::Pong);
    world.pass(Duration::from_secs(44));
    assert_eq!(world.session(&taken.session)["connected"], true);
    world.pass(Duration::from_secs(1));
    assert!(world.streams[&op].is_cut);
    assert_eq!(world.session(&taken.session)["connected"], false);
}

#[test]
fn a_report_from_the_worker_counts_as_a_line() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let raw = "{\n\"type\": \"footbridge\", \"subtype\": \"agent_started\", \"pid\": 7}".to_owned();
    let message = serde_json::value::RawValue::from_string(raw).expect("JSON");
    world.send_frame(op, &ControlFrame::Report { message });
    assert_eq!(world.received(op), [json!({"frame": {"type": "ack", "received": 1}})]);
    let event = world.events(&taken.session).pop().expect("an event");
    assert_eq!((&event["from"], &event["message"]["pid"]), (&json!("worker"), &json!(7)));
}

#[test]
fn a_line_that_is_not_a_message_keeps_its_number_and_is_reported() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    world.lines(op, "hello\n[1]\n{\"type\":\"x\",\"n\":3}");
    assert_eq!(world.received(op), [json!({"frame": {"type": "ack", "received": 3}})]);
    let events = world.events(&taken.session);
    let errors: Vec<_> =
        events.iter().filter(|e| e["message"]["subtype"] == "agent_output_error").collect();
    assert_eq!(errors.len(), 2);
    assert_eq!(
        (&errors[0]["from"], &errors[0]["message"]["line"]),
        (&json!("relay"), &json!("hello"))
    );
}

#[test]
fn what_breaks_the_protocol_closes_the_link() {
    let far = "x".repeat(MAX_LINE_BYTES + 1);
    type Breach<'a> = (&'a str, u16, &'a dyn Fn(&mut World, OpId));
    let many = "{\"type\":\"x\"}\n".repeat(LINK_WINDOW_LINES_TO_RELAY as usize + 1);
    let breaches: [Breach<'_>; 8] = [
        ("a second resume", 1002, &|world, op| {
            world.send_frame(op, &ControlFrame::Resume { received: 0, from: 0, window: None });
        }),
        ("an ack of lines never sent", 1002, &|world, op| {
            world.send_frame(op, &ControlFrame::Ack { received: 1 });
        }),
        ("not a control frame", 1002, &|world, op| {
            let message = Message::Binary(Bytes::from_static(b"\xff"));
            world.deliver(Event::Received { op, message });
        }),
        ("a line that is too long", 1009, &|world, op| world.lines(op, &far)),
        ("more lines than the window", 1002, &|world, op| world.lines(op, &many)),
        ("lines before the resume", 1002, &|world, op| {
            world.deliver(Event::Closed { op, code: None, failure: None });
        }),
        ("a resume from the largest number", 1002, &|_, _| {}),
        ("a resume with lines never sent", 4410, &|_, _| {}),
    ];
    for (name, code, breach) in breaches {
        let mut world = World::new();
        let (_, taken, mut op) = world.running();
        breach(&mut world, op);
        let opening = match name {
            "lines before the resume" => Some(Message::Text(Text::from("{\"type\":\"x\"}"))),
            "a resume from the largest number" => {
                let frame = ControlFrame::Resume { received: 0, from: u64::MAX, window: None };
                Some(Message::Binary(frame.to_bytes()))
            }
            "a resume with lines never sent" => {
                let frame = ControlFrame::Resume { received: 9, from: 0, window: None };
                Some(Message::Binary(frame.to_bytes()))
            }
            _ => None,
        };
        if let Some(message) = opening {
            op = world.ingress(&taken);
            world.deliver(Event::Received { op, message });
        }
        assert_eq!(world.streams[&op].closed, Some(code), "{name}");
        let events = world.events(&taken.session);
        assert!(!events.iter().any(|event| event["from"] == "agent"), "{name}");
    }
}

#[test]
fn a_worker_that_keeps_sending_requests_and_reads_nothing_is_cut() {
    let mut world = World::new();
    let (_, _, op) = world.running();
    world.arrives = false;
    for _ in 0..1_000_000 {
        if world.streams[&op].is_cut {
            return;
        }
        world.send_frame(op, &ControlFrame::Ping);
        world.streams.get_mut(&op).expect("a stream").sent.clear();
    }
    panic!("it was never cut");
}

#[test]
fn messages_wait_for_their_agent_within_limits() {
    let mut config = config();
    config.policy.inbound_lines = 2;
    let mut world = World::with(config);
    let worker = world.register();
    let id = world.create(&worker);
    assert_eq!(world.say(&id, "a").0, 200);
    assert_eq!(world.say(&id, "b").0, 200);
    assert_eq!(world.say(&id, "c").0, 429);
    let taken = world.take(&worker);
    let op = world.link(&taken, 0, 0);
    world.send_frame(op, &ControlFrame::Ack { received: 1 });
    assert_eq!(world.say(&id, "c").0, 200);
    assert_eq!(lines_of(&world.received(op)), ["a", "b", "c"]);
}

#[test]
fn an_accepted_message_outlives_the_retention_of_the_log() {
    let mut config = config();
    config.policy.log_bytes = 1000;
    let mut world = World::with(config);
    let (_, taken, first) = world.running();
    world.deliver(Event::Closed { op: first, code: None, failure: None });
    let texts: Vec<_> = (0..100).map(|n| format!("message {n}")).collect();
    for text in &texts {
        assert_eq!(world.say(&taken.session, text).0, 200);
    }
    assert!(world.session(&taken.session)["first_seq"].as_u64() > Some(50));
    let second = world.link(&taken, 0, 0);
    assert_eq!(lines_of(&world.received(second)), texts);
}

#[test]
fn a_fresh_worker_does_not_get_again_what_reached_the_agent_before() {
    let mut world = World::new();
    let (_, taken, first) = world.running();
    world.say(&taken.session, "run it");
    world.send_frame(first, &ControlFrame::Ack { received: 1 });
    world.deliver(Event::Closed { op: first, code: None, failure: None });
    world.say(&taken.session, "next");
    let second = world.ingress(&taken);
    assert_eq!(world.received(second)[0]["frame"]["from"], 1);
    world.send_frame(second, &ControlFrame::Resume { received: 0, from: 0, window: None });
    assert_eq!(lines_of(&world.received(second)), ["next"]);
}

#[test]
fn a_line_that_a_worker_has_is_the_one_that_it_was_given() {
    let mut world = World::new();
    let (_, taken, first) = world.running();
    for text in ["a", "b"] {
        world.say(&taken.session, text);
    }
    let marks: Vec<_> = world.streams[&first]
        .sent
        .iter()
        .filter_map(|message| match message {
            Message::Text(text) => Some(LastLine::mark_of(text.as_bytes())),
            Message::Binary(_) => None,
        })
        .collect();
    world.deliver(Event::Closed { op: first, code: None, failure: None });
    let target = format!("/v2/session_ingress/ws/{}", taken.session);
    let mut resume = |last: &str| {
        let headers = [
            ("upgrade", "websocket"),
            ("sec-websocket-protocol", "footbridge.link.v1"),
            ("x-footbridge-last-line", last),
        ];
        let op = world.ask_with(Method::Get, &target, &taken.token, &Value::Null, &headers);
        if !world.streams.contains_key(&op) {
            return Some(400);
        }
        world.send_frame(op, &ControlFrame::Resume { received: 2, from: 0, window: None });
        let closed = world.streams[&op].closed;
        if closed.is_none() {
            world.deliver(Event::Closed { op, code: None, failure: None });
        }
        closed
    };
    let line = |number, mark: u64| LastLine { number, mark }.to_string();
    assert_eq!(resume("of another form"), Some(400));
    assert_eq!(resume(&line(2, marks[0])), Some(4410), "another line of that number");
    assert_eq!(resume(&line(2, marks[1])), None);
    // What it has acknowledged is older than what could be lost.
    assert_eq!(resume(&line(1, 0)), None);
    let said = |notice: &&RelayNotice| matches!(notice, RelayNotice::WorkerAhead { .. });
    assert_eq!(world.hand.notices.iter().filter(said).count(), 1);
}
