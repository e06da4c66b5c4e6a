//! The viewers' side: messages, questions, answers, subscriptions.

use super::*;

fn frames<'a>(came: &'a [Value], kind: &str) -> Vec<&'a Value> {
    came.iter().filter(|value| value["type"] == kind).collect()
}

#[test]
fn messages_are_numbered_given_ids_and_stored_once() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let target = format!("/v1/sessions/{}/messages", taken.session);
    let body = json!({"messages": [
        {"type": "user", "uuid": "u1", "message": {}},
        {"type": "user", "uuid": null},
        {"type": "control_request", "request": {"subtype": "set_model", "model": "m"}},
    ]});
    let (status, answer) = world.post(&target, TOKEN, &body);
    assert_eq!(status, 200, "{answer}");
    let accepted = answer["accepted"].as_array().expect("a list");
    assert_eq!((&accepted[0]["uuid"], accepted.len()), (&json!("u1"), 3));
    let Some(Message::Text(second)) = world.streams[&op].sent.iter().rev().nth(1).cloned() else {
        panic!("no line")
    };
    assert_eq!(second.as_str().matches("\"uuid\"").count(), 1, "{second:?}");
    let came = world.received(op);
    assert_eq!((came.len(), &came[1]["uuid"]), (3, &accepted[1]["uuid"]));
    assert_eq!(came[2]["request_id"], accepted[2]["request_id"]);

    let body = json!({"messages": [{"type": "user", "uuid": "u1", "message": "again"}]});
    let (_, again) = world.post(&target, TOKEN, &body);
    assert_eq!(again["accepted"][0]["seq"], accepted[0]["seq"]);
    assert!(world.received(op).is_empty());
}

#[test]
fn whatever_else_an_agent_may_know_passes_through() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let target = format!("/v1/sessions/{}/messages", taken.session);
    let sent = [
        json!({"type": "control_request", "request_id": "r", "request": {"subtype": "rewind_files", "user_message_id": "u"}}),
        json!({"type": "control_request", "request_id": "s", "request": {"subtype": "initialize", "hooks": {}, "later": [1]}}),
        json!({"type": "control_cancel_request", "request_id": "r"}),
        json!({"type": "update_environment_variables", "variables": {"A": "b"}}),
        json!({"type": "later", "uuid": "u9", "x": {"y": null}}),
    ];
    let (status, answer) = world.post(&target, TOKEN, &json!({"messages": sent}));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(world.received(op), sent);
    assert_eq!(answer["accepted"][4]["uuid"], "u9");
    let once = json!({"messages": [sent[4]]});
    let (_, again) = world.post(&target, TOKEN, &once);
    assert_eq!(again["accepted"][0]["seq"], answer["accepted"][4]["seq"], "its uuid counts too");
}

#[test]
fn a_session_shows_what_its_agent_has_done_last() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let watcher = world.subscribe(&taken.session, 0);
    world.received(watcher);
    for n in 0..7 {
        let input = json!({"command": format!("make {n}")});
        let content = json!([{"type": "tool_use", "id": "t", "name": "Bash", "input": input}]);
        let line = json!({"type": "assistant", "message": {"content": content}});
        world.lines(op, &line.to_string());
    }
    let session = world.session(&taken.session);
    let what = |session: &Value| {
        let activities = session["activities"].as_array().expect("a list").clone();
        activities.into_iter().map(|activity| activity["what"].clone()).collect::<Vec<_>>()
    };
    let last = ["Bash: make 2", "Bash: make 3", "Bash: make 4", "Bash: make 5", "Bash: make 6"];
    assert_eq!(what(&session), last);
    let came = world.received(watcher);
    let told = frames(&came, "session");
    assert_eq!(what(&told.last().expect("a change")["session"]), last, "and viewers are told");
}

#[test]
fn a_message_on_several_lines_reaches_the_agent_on_one() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let target = format!("/v1/sessions/{}/messages", taken.session);
    let body = "{\"messages\":[{\r\n \"type\":\"user\",\n \"uuid\":\"a\\nb\"\n}]}";
    let asked = world.ask_unread(&target, TOKEN, None);
    let body = Body::Whole(Bytes::from_static(body.as_bytes()));
    world.deliver(Event::BodyRead { op: asked, body });
    assert_eq!(world.answer(asked).0, 200);
    let Some(Message::Text(line)) = world.streams[&op].sent.last() else { panic!("no line") };
    assert!(!line.as_str().contains(['\n', '\r']), "{line:?}");
    assert_eq!(world.received(op)[0]["uuid"], "a\nb");
}

#[test]
fn an_untitled_session_takes_its_title_from_the_first_user_message_with_text() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    let viewer = world.subscribe(&id, 0);
    world.received(viewer);
    world.post(&format!("/v1/sessions/{id}/interrupt"), TOKEN, &Value::Null);
    assert_eq!(world.session(&id)["title"], Value::Null);
    assert_eq!(world.say(&id, "mend\nthe bridge").0, 200);
    let came = world.received(viewer);
    let told = frames(&came, "session");
    assert_eq!(told.last().expect("a session")["session"]["title"], "mend the bridge");
    world.say(&id, "and the ferry");
    assert_eq!(world.session(&id)["title"], "mend the bridge", "the first one counts");

    let body = json!({"environment_id": worker.environment, "title": "given"});
    let (_, named) = world.post("/v1/sessions", TOKEN, &body);
    let named = named["id"].as_str().expect("an id").to_owned();
    world.say(&named, "hello");
    assert_eq!(world.session(&named)["title"], "given");
}

#[test]
fn sessions_are_listed_in_pages_of_one_environment_or_of_all() {
    let mut config = config();
    config.policy.listed_sessions = 5;
    let mut world = World::with(config);
    let workers = [world.register(), world.register()];
    let mut made: Vec<_> = (0..14).map(|n| (n % 2, world.create(&workers[n % 2]))).collect();
    made.reverse();
    let all: Vec<_> = made.iter().map(|(_, id)| id.clone()).collect();
    let of_one = made.iter().filter(|(at, _)| *at == 0).map(|(_, id)| id.clone());
    let of_one: Vec<_> = of_one.collect();
    let one = format!("environment_id={}&", workers[0].environment);
    let cases = [("", 5, &all), (&one, 5, &of_one), ("limit=3&", 3, &all), ("limit=9&", 5, &all)];
    for (query, most, expected) in cases {
        let mut seen: Vec<String> = Vec::new();
        loop {
            let before = seen.last().map(|id| format!("before={id}")).unwrap_or_default();
            let (status, page) = world.get(&format!("/v1/sessions?{query}{before}"), TOKEN);
            assert_eq!(status, 200, "{page}");
            let page = page["sessions"].as_array().expect("a list").clone();
            assert!(page.len() <= most, "{query}");
            if page.is_empty() {
                break;
            }
            seen.extend(page.iter().map(|session| session["id"].as_str().expect("id").to_owned()));
        }
        assert_eq!(seen, *expected, "{query}");
    }
    let target = format!("/v1/sessions?before={}", all[0]);
    assert_eq!(world.get(&target, BOB).1["error"]["type"], "session_unknown");
    for query in ["before=../x", "environment_id=", "limit=x"] {
        assert_eq!(world.get(&format!("/v1/sessions?{query}"), TOKEN).0, 400, "{query}");
    }
}

#[test]
fn a_message_that_its_own_request_pushes_out_of_the_log_is_not_stored_again() {
    let mut config = config();
    config.policy.log_bytes = 1000;
    let mut world = World::with(config);
    let (_, taken, link) = world.running();
    let target = format!("/v1/sessions/{}/messages", taken.session);
    let message =
        |uuid: &str, pad: usize| json!({"type": "user", "uuid": uuid, "pad": "x".repeat(pad)});
    let (_, first) = world.post(&target, TOKEN, &json!({"messages": [message("a", 0)]}));
    world.received(link);
    let body = json!({"messages": [message("b", 900), message("a", 0)]});
    let (_, second) = world.post(&target, TOKEN, &body);
    assert_eq!(second["accepted"][1], first["accepted"][0]);
    assert_eq!(world.received(link).len(), 1);
    // Nor by a later request, whose sender never got the first answer.
    let (_, third) = world.post(&target, TOKEN, &json!({"messages": [message("a", 0)]}));
    assert_eq!(third["accepted"][0], first["accepted"][0]);
    assert!(world.received(link).is_empty());
}

#[test]
fn an_interrupt_is_a_control_request() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let target = format!("/v1/sessions/{}/interrupt", taken.session);
    let (status, answer) = world.post(&target, TOKEN, &Value::Null);
    assert_eq!(status, 200);
    let came = world.received(op);
    assert_eq!(came[0]["request"]["subtype"], "interrupt");
    assert_eq!(came[0]["request_id"], answer["request_id"]);
}

#[test]
fn a_subscription_replays_from_any_point_and_continues_live() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    for n in 0..20 {
        world.lines(op, &format!("{{\"type\":\"x\",\"n\":{n}}}"));
    }
    let last = world.session(&taken.session)["last_seq"].as_u64().expect("a number");
    for after in 0..=last {
        let viewer = world.subscribe(&taken.session, after);
        assert_eq!(world.streams[&viewer].protocol.as_deref(), Some("footbridge.viewer.v1"));
        let came = world.received(viewer);
        assert_eq!(came[0]["type"], "session");
        let events: Vec<_> = frames(&came, "event").into_iter().cloned().collect();
        assert_eq!(seqs(&events), (after + 1..=last).collect::<Vec<_>>());
        assert_eq!(came.last(), Some(&json!({"type": "live", "seq": last})));
    }
    let viewer = world.subscribe(&taken.session, last);
    world.received(viewer);
    world.lines(op, "{\"type\":\"x\", \"odd\" : 1.0}");
    let Some(Message::Text(told)) = world.streams[&viewer].sent.last() else { panic!("nothing") };
    assert!(
        told.as_str().ends_with(",\"from\":\"agent\",\"message\":{\"type\":\"x\", \"odd\" : 1.0}}")
    );
    assert_eq!(seqs(&world.received(viewer)), [last + 1]);
    let ahead = world.subscribe(&taken.session, last + 1000);
    assert_eq!(world.received(ahead).last(), Some(&json!({"type": "live", "seq": last + 1})));
    world.lines(op, "{\"type\":\"x\"}");
    assert_eq!(seqs(&world.received(ahead)), [last + 2]);
}

#[test]
fn a_slow_viewer_costs_no_more_than_its_credit_and_misses_nothing() {
    let mut config = config();
    config.stream_credit = 4000;
    let mut world = World::with(config);
    let (_, taken, op) = world.running();
    let slow = world.subscribe(&taken.session, 0);
    let mut seen = seqs(&world.received(slow));
    world.arrives = false;
    for n in 0..500 {
        world.lines(op, &format!("{{\"type\":\"x\",\"n\":{n},\"pad\":\"{}\"}}", "y".repeat(100)));
    }
    let under_way: usize = world.streams[&slow].sent.iter().map(Message::len).sum();
    assert!(under_way < 12_000, "{under_way} bytes are on the way");
    while world.streams[&slow].under_way > 0 {
        let stream = world.streams.get_mut(&slow).expect("a stream");
        let messages = core::mem::take(&mut stream.under_way);
        world.deliver(Event::Sent { op: slow, messages });
        seen.extend(seqs(&world.received(slow)));
    }
    let last = world.session(&taken.session)["last_seq"].as_u64().expect("a number");
    assert_eq!(seen, (1..=last).collect::<Vec<_>>());
}

#[test]
fn a_stalled_viewer_is_cut_off_and_a_quiet_one_is_kept_alive() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    let viewer = world.subscribe(&taken.session, 0);
    world.received(viewer);
    world.pass(Duration::from_secs(15));
    assert_eq!(world.received(viewer), [json!({"type": "alive"})]);
    world.arrives = false;
    world.lines(op, "{\"type\":\"x\"}");
    for _ in 0..5 {
        world.pass(Duration::from_secs(11));
        world.send_frame(op, &ControlFrame::Pong);
    }
    assert!(!world.streams[&viewer].is_cut);
    world.pass(Duration::from_secs(5));
    assert!(world.streams[&viewer].is_cut);
}

#[test]
fn a_viewer_says_how_often_it_wants_to_be_sent_something() {
    let cases = [("", 15), ("&alive=3", 3), ("&alive=0", 1), ("&alive=99999999999", 15)];
    for (wish, seconds) in cases {
        for path in ["/v1/overview/ws?x", "/v1/sessions/{id}/events/ws?after=0"] {
            let mut world = World::new();
            let (_, taken, _) = world.running();
            let target = path.replace("{id}", &taken.session) + wish;
            let offer = format!("footbridge.viewer.v1, footbridge.bearer.{TOKEN}");
            let viewer = world.websocket(&target, "", &offer);
            world.received(viewer);
            world.pass(Duration::from_millis(seconds * 1000 - 1));
            assert!(world.received(viewer).is_empty(), "{target}");
            world.pass(Duration::from_millis(1));
            assert_eq!(world.received(viewer), [json!({"type": "alive"})], "{target}");
        }
    }
}

#[test]
fn a_viewer_that_stops_sending_keepalives_is_cut_off() {
    let mut world = World::new();
    let (_, taken, link) = world.running();
    let [silent, talking, mute] = [(), (), ()].map(|()| world.subscribe(&taken.session, 0));
    let overview = world.websocket("/v1/overview/ws", TOKEN, "footbridge.viewer.v1");
    let alive = || Message::Text(Text::from(r#"{"type":"alive"}"#));
    for op in [silent, talking, overview] {
        world.deliver(Event::Received { op, message: alive() });
    }
    for _ in 0..6 {
        world.pass(Duration::from_secs(15));
        world.deliver(Event::Received { op: talking, message: alive() });
        world.send_frame(link, &ControlFrame::Ping);
    }
    assert!(world.streams[&silent].is_cut && world.streams[&overview].is_cut);
    assert!(!world.streams[&talking].is_cut && !world.streams[&mute].is_cut);
}

#[test]
fn what_retention_has_dropped_is_reported_as_a_gap() {
    let mut config = config();
    config.policy.log_bytes = 2000;
    let mut world = World::with(config);
    let (_, taken, op) = world.running();
    for n in 0..100 {
        world.lines(op, &format!("{{\"type\":\"x\",\"n\":{n}}}"));
    }
    let session = world.session(&taken.session);
    let number = |key: &str| session[key].as_u64().expect("a number");
    let (first, last) = (number("first_seq"), number("last_seq"));
    assert!(first > 50 && last == 103, "{first} {last}");
    let viewer = world.subscribe(&taken.session, 2);
    let came = world.received(viewer);
    let gap = json!({"type": "gap", "after": 2, "resumes_after": first - 1});
    assert_eq!(frames(&came, "gap"), [&gap]);
    let events: Vec<_> = frames(&came, "event").into_iter().cloned().collect();
    assert_eq!(seqs(&events), (first..=last).collect::<Vec<_>>());
    let (_, page) = world.get(&format!("/v1/sessions/{}/events?after=2", taken.session), TOKEN);
    assert_eq!((&page["first_seq"], &page["events"][0]["seq"]), (&json!(first), &json!(first)));
}

#[test]
fn pages_are_bounded_and_continue_each_other() {
    let mut world = World::new();
    let (_, taken, op) = world.running();
    for n in 0..30 {
        world.lines(op, &format!("{{\"type\":\"x\",\"n\":{n}}}"));
    }
    let mut seen = Vec::new();
    loop {
        let after = seen.last().copied().unwrap_or(0);
        let target = format!("/v1/sessions/{}/events?limit=7&after={after}", taken.session);
        let (_, page) = world.get(&target, TOKEN);
        let new = seqs(page["events"].as_array().expect("events"));
        if new.is_empty() {
            break;
        }
        assert!(new.len() <= 7);
        seen.extend(new);
    }
    assert_eq!(seen, (1..=33).collect::<Vec<_>>());
}

#[test]
fn the_overview_has_everything_and_then_each_change() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    let offer = format!("footbridge.bearer.{TOKEN}, footbridge.viewer.v1");
    let op = world.websocket("/v1/overview/ws", "", &offer);
    let bobs = world.websocket("/v1/overview/ws", BOB, "");
    let came = world.received(op);
    assert_eq!(came[0]["environments"][0]["id"], worker.environment.as_str());
    assert_eq!(came[0]["sessions"][0]["id"], id.as_str());
    assert_eq!(came.len(), 1);
    let taken = world.take(&worker);
    let link = world.link(&taken, 0, 0);
    let came = world.received(op);
    let last = frames(&came, "session").last().copied().expect("a session").clone();
    assert_eq!(
        (&last["session"]["state"], &last["session"]["connected"]),
        (&json!("running"), &json!(true))
    );
    world.deliver(Event::Closed { op: link, code: None, failure: None });
    assert_eq!(world.received(op)[0]["session"]["connected"], false);
    world.post(
        &format!("/v1/environments/{}/stop", worker.environment),
        &worker.secret,
        &Value::Null,
    );
    let came = world.received(op);
    assert!(came.contains(&json!({"type": "environment_gone", "id": worker.environment})));
    let nothing = json!({"type": "overview", "environments": [], "sessions": []});
    assert_eq!(world.received(bobs), [nothing], "everyone sees only their own");
}

#[test]
fn a_slow_overview_gets_everything_again() {
    let mut config = config();
    config.stream_credit = 1000;
    let mut world = World::with(config);
    let worker = world.register();
    let op = world.websocket("/v1/overview/ws", TOKEN, "");
    world.received(op);
    world.arrives = false;
    for _ in 0..50 {
        world.create(&worker);
    }
    let messages = world.received(op).len();
    assert!(messages < 10, "{messages}");
    world.deliver(Event::Sent { op, messages });
    let came = world.received(op);
    assert_eq!(came[0]["sessions"].as_array().map(Vec::len), Some(50));
}

#[test]
fn browsers_learn_from_a_close_code_why_they_may_not_watch() {
    let mut config = config();
    config.max_subscribers = 1;
    config.policy.ended_sessions = 1;
    let mut world = World::with(config);
    let worker = world.register();
    let id = world.create(&worker);
    let first = world.subscribe(&id, 0);
    let second = world.subscribe(&id, 0);
    assert_eq!(world.streams[&second].closed, Some(4429));
    let unknown = world.subscribe("session_unknown", 0);
    assert_eq!(world.streams[&unknown].closed, Some(4404));
    // Two ended sessions, but only one is kept: the older one is gone.
    let other = world.create(&worker);
    for id in [&id, &other] {
        world.post(&format!("/v1/sessions/{id}/stop"), TOKEN, &Value::Null);
    }
    assert_eq!(world.streams[&first].closed, Some(4404));
    assert_eq!(world.get(&format!("/v1/sessions/{id}"), TOKEN).0, 404);
}

#[test]
fn a_session_is_created_once_per_key() {
    let mut world = World::new();
    let worker = world.register();
    let body = json!({"environment_id": worker.environment, "title": "t"});
    let mut make = |token, key| {
        let headers = [("idempotency-key", key)];
        let op = world.ask_with(Method::Post, "/v1/sessions", token, &body, &headers);
        world.answer(op)
    };
    let (status, first) = make(TOKEN, "a");
    assert_eq!((status, &first["title"]), (201, &json!("t")));
    assert_eq!(make(TOKEN, "a").1["id"], first["id"]);
    assert_ne!(make(TOKEN, "b").1["id"], first["id"]);
    assert_eq!(make(BOB, "a").0, 404, "two people's keys do not collide");
    assert_eq!(make(TOKEN, "").0, 400);
}

#[test]
fn a_key_belongs_to_one_request() {
    let mut world = World::new();
    let (one, other) = (world.register(), world.register());
    let mut make = |body: &Value, key| {
        let headers = [("idempotency-key", key)];
        let op = world.ask_with(Method::Post, "/v1/sessions", TOKEN, body, &headers);
        world.answer(op)
    };
    let titled = json!({"environment_id": one.environment, "title": "t"});
    let plain = json!({"environment_id": one.environment});
    let (titled_id, plain_id) = (make(&titled, "a").1, make(&plain, "b").1);
    let elsewhere = json!({"environment_id": other.environment});
    let retitled = json!({"environment_id": one.environment, "title": "u"});
    for (body, key) in [(&elsewhere, "b"), (&retitled, "a"), (&plain, "a"), (&retitled, "b")] {
        let (status, answer) = make(body, key);
        assert_eq!((status, &answer["error"]["type"]), (409, &json!("key_reused")), "{body} {key}");
    }
    assert_eq!(make(&titled, "a").1["id"], titled_id["id"]);
    assert_eq!(make(&plain, "b").1["id"], plain_id["id"]);
}

#[test]
fn an_ended_session_accepts_no_message_but_confirms_what_it_has_accepted() {
    let mut world = World::new();
    let (worker, taken, _) = world.running();
    let target = format!("/v1/sessions/{}/messages", taken.session);
    let body = json!({"messages": [{"type": "user", "uuid": "u"}]});
    let accepted = world.post(&target, TOKEN, &body);
    world.stop_work(&worker, &taken, "completed");
    assert_eq!(world.post(&target, TOKEN, &body), accepted);
    assert_eq!(world.say(&taken.session, "more").0, 410);
    let op = world.ingress(&taken);
    assert_eq!(world.answer(op).0, 410);
}
