use super::*;

#[test]
fn it_shows_no_credential_before_the_relay_has_proved_that_it_knows_it() {
    let mut world = World::new(config());
    let (op, request) = world.request();
    assert!(request.url.starts_with("https://relay.example/v1/proof?"));
    assert!(world.actions.is_empty());
    world.answer(op, 200, &json!({"proof": "AAAA"}));
    assert!(world.actions.is_empty());
    assert!(matches!(&world.told()[..], [RemoteNotice::Reconnecting { .. }]));
    world.wait();
    world.proves();
    world.opens();
    // Nor after a break.
    world.session(&json!({}));
    world.breaks();
    world.wait();
    assert!(world.actions.iter().all(|action| !matches!(action, Action::Open { .. })));
    world.proves();
    world.opens();
}

#[test]
fn events_come_as_the_bytes_that_they_were_each_once_and_in_order() {
    let mut world = World::following(config());
    let line = r#"{"type":"assistant", "z":1.0,"a":"\u00e9"}"#;
    world.event(1, "agent", line);
    world.event(2, "agent", r#"{"type":"result"}"#);
    world.event(2, "agent", r#"{"type":"result"}"#);
    let told = world.told();
    assert_eq!(seqs(&told), [1, 2]);
    let RemoteNotice::Event(event) = &told[0] else { panic!("{told:?}") };
    assert_eq!(event.message.as_str(), line);
}

#[test]
fn a_break_is_told_and_mended_after_the_last_event_that_was_seen() {
    let mut world = World::following(config());
    world.event(1, "agent", r#"{"type":"assistant"}"#);
    world.told();
    world.breaks();
    let told = world.told();
    let expected = |notice: &RemoteNotice| matches!(notice, RemoteNotice::Reconnecting { .. });
    assert!(matches!(&told[0], RemoteNotice::Disconnected { .. }) && expected(&told[1]));
    let url = world.returns();
    assert_eq!(url, "wss://relay.example/v1/sessions/session_1/events/ws?after=1");
    world.session(&json!({"last_seq": 4}));
    world.frame(&json!({"type": "gap", "after": 1, "resumes_after": 3}));
    world.event(4, "agent", r#"{"type":"assistant"}"#);
    let told = world.told();
    assert!(told.contains(&RemoteNotice::Connected));
    assert!(told.contains(&RemoteNotice::Gap { after: 1, resumes_after: 3 }));
    assert_eq!(seqs(&told), [4]);
}

#[test]
fn another_log_in_the_place_of_the_one_that_was_seen_is_told_as_a_gap() {
    let mut world = World::following(config());
    for seq in 1..=9 {
        world.event(seq, "agent", r#"{"type":"assistant"}"#);
    }
    world.breaks();
    world.returns();
    world.told();
    world.session(&json!({"last_seq": 2}));
    world.event(3, "agent", r#"{"type":"assistant"}"#);
    let told = world.told();
    assert!(told.contains(&RemoteNotice::Gap { after: 9, resumes_after: 2 }));
    assert_eq!(seqs(&told), [3]);
}

#[test]
fn silence_is_taken_for_death_and_it_shows_in_turn_that_it_is_there() {
    let mut world = World::following(config());
    let mut alive = 0;
    let silent_for = loop {
        let before = world.now.mono;
        world.wait();
        let is_alive = |action: &Action| {
            matches!(action, Action::Send { message: Message::Text(text), .. }
                if text.as_str() == r#"{"type":"alive"}"#)
        };
        alive += world.actions.iter().filter(|action| is_alive(action)).count();
        let is_cut = world.actions.iter().any(|action| matches!(action, Action::Cancel { .. }));
        world.actions.clear();
        if is_cut {
            break world.now.mono.saturating_since(before.min(world.now.mono));
        }
        assert!(alive < 5, "it never ends");
    };
    assert!(silent_for <= Duration::from_secs(45));
    assert_eq!(alive, 2);
    assert!(matches!(&world.told()[..], [RemoteNotice::Disconnected { .. }, ..]));
    world.stream = None;
}

#[test]
fn a_permanent_refusal_ends_it_with_its_reason() {
    for (code, kind) in [
        (4404, MachineErrorKind::NotFound),
        (4429, MachineErrorKind::Forbidden),
        (4401, MachineErrorKind::Unauthorized),
    ] {
        let mut world = World::following(config());
        let op = world.stream.expect("a connection");
        world.handle(Event::Closed { op, code: Some(code), failure: None });
        let error = world.outcome.clone().expect("an end").expect_err("an error");
        assert_eq!(error.kind, kind, "{code}: {error}");
    }
    for (status, kind, expected) in [
        (404, "session_unknown", MachineErrorKind::NotFound),
        (403, "permission_denied", MachineErrorKind::Forbidden),
        (401, "authentication_failed", MachineErrorKind::Unauthorized),
        (410, "session_ended", MachineErrorKind::NotFound),
    ] {
        let mut world = World::new(config());
        world.proves();
        let (op, _) = world.handshake();
        let body = json!({"error": {"type": kind, "message": "no"}}).to_string();
        let response = Response { status, headers: vec![], body: Bytes::from(body) };
        world.handle(Event::Refused { op, response });
        // Only the relay itself can end it.
        assert_eq!(world.outcome, None);
        world.proves();
        let error = world.outcome.clone().expect("an end").expect_err("an error");
        assert_eq!(error.kind, expected, "{status}: {error}");
    }
}

#[test]
fn a_relay_that_stops_and_one_that_is_busy_are_tried_again() {
    let mut world = World::following(config());
    let op = world.stream.expect("a connection");
    world.handle(Event::Closed { op, code: Some(1001), failure: None });
    world.wait();
    world.proves();
    let (op, _) = world.handshake();
    let headers = vec![("retry-after".to_owned(), "7".to_owned())];
    let body = Bytes::from_static(br#"{"error":{"type":"unavailable","message":"later"}}"#);
    world.handle(Event::Refused { op, response: Response { status: 503, headers, body } });
    assert!(world.wait() >= Duration::from_secs(7));
    world.proves();
    world.opens();
    assert_eq!(world.outcome, None);
}

#[test]
fn a_session_that_shows_nothing_after_a_message_is_connected_again_once() {
    for (viewer_only, expected) in [(false, 1), (true, 0)] {
        let mut config = config();
        config.viewer_only = viewer_only;
        let mut world = World::following(config);
        world.say(r#"{"type":"user","message":{}}"#);
        let (op, _) = world.posted("messages");
        world.answer(op, 200, &json!({"accepted": [{"uuid": "u", "seq": 1}]}));
        // The relay is alive, and the session says nothing.
        let mut broken = 0;
        for _ in 0..10 {
            world.pass(Duration::from_secs(14));
            world.handle(Event::Tick);
            let told = world.told();
            let is_broken =
                told.iter().any(|told| matches!(told, RemoteNotice::Disconnected { .. }));
            if is_broken {
                broken += 1;
                world.actions.clear();
                world.returns();
                world.session(&json!({}));
            } else {
                world.frame(&json!({"type": "alive"}));
            }
        }
        assert_eq!(broken, expected);
    }
}

#[test]
fn one_that_begins_now_tells_what_happens_from_now_on_and_the_questions_that_are_open() {
    let mut config = config();
    config.start = Start::Now;
    let mut world = World::new(config);
    world.proves();
    let (op, request) = world.request();
    assert_eq!(request.url, "https://relay.example/v1/sessions/session_1");
    let at = "2026-01-01T00:00:00.000Z";
    world.answer(
        op,
        200,
        &json!({
            "id": "session_1", "environment_id": "env_1", "title": null, "state": "running",
            "created_at": at, "updated_at": at, "first_seq": 1, "last_seq": 6, "result": null,
            "pending_permissions": [{"request_id": "P", "tool_name": "Bash", "seq": 5}],
        }),
    );
    let url = world.opens();
    assert!(url.ends_with("?after=4"), "{url}");
    world.session(&json!({"last_seq": 6}));
    let question = r#"{"type":"control_request","request_id":"P","request":{"subtype":"can_use_tool","tool_name":"Bash","tool_use_id":"T"}}"#;
    world.event(5, "agent", question);
    world.event(6, "agent", r#"{"type":"assistant"}"#);
    world.frame(&json!({"type": "live", "seq": 6}));
    world.event(7, "agent", r#"{"type":"result"}"#);
    let told = world.told();
    assert_eq!(seqs(&told), [7]);
    let asked = told.iter().find_map(|notice| match notice {
        RemoteNotice::PermissionAsked(asked) => Some(asked.tool_use_id.clone()),
        _ => None,
    });
    assert_eq!(asked, Some(Some("T".to_owned())));
}

#[test]
fn one_that_begins_with_recent_events_begins_before_the_oldest_open_question() {
    for (questions, after) in
        [(json!([]), 60), (json!([{"request_id": "P", "tool_name": "Bash", "seq": 41}]), 40)]
    {
        let mut config = config();
        config.start = Start::Recent(40);
        let mut world = World::new(config);
        world.proves();
        let (op, _) = world.request();
        let at = "2026-01-01T00:00:00.000Z";
        let view = json!({
            "id": "session_1", "environment_id": "env_1", "title": null, "state": "running",
            "created_at": at, "updated_at": at, "first_seq": 1, "last_seq": 100, "result": null,
            "pending_permissions": questions,
        });
        world.answer(op, 200, &view);
        let url = world.opens();
        assert!(url.ends_with(&format!("?after={after}")), "{url}");
        world.session(&json!({"last_seq": 100}));
        world.event(after + 1, "agent", r#"{"type":"assistant"}"#);
        assert_eq!(seqs(&world.told()), [after + 1], "what is before the end is told too");
    }
}

#[test]
fn it_ends_once_all_of_a_session_that_has_ended_was_seen() {
    let mut config = config();
    config.ends_with_session = true;
    let mut world = World::new(config);
    world.proves();
    let op = {
        world.opens();
        world.stream.expect("a connection")
    };
    world.session(&json!({"state": "ended", "last_seq": 1}));
    assert_eq!(world.outcome, None);
    world.event(1, "agent", r#"{"type":"result"}"#);
    world.take("close", |action| matches!(action, Action::Close { .. }).then_some(()));
    world.handle(Event::Closed { op, code: Some(1000), failure: None });
    assert_eq!(world.outcome, Some(Ok(())));
}

#[test]
fn a_sleep_reconnects_at_once() {
    let mut world = World::following(config());
    world.now.wall = world.now.wall + Duration::from_secs(3600);
    world.handle(Event::Tick);
    world.proves();
    world.opens();
}
