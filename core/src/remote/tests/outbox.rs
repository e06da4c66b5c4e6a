use super::*;
use crate::auth::LogIn;
use crate::base::limits::MAX_REMOTE_WAITING;
use crate::wire::device::Scopes;
use crate::wire::oauth::Tokens;

fn accepted(uuid: &str, seq: u64) -> Value {
    json!({"accepted": [{"uuid": uuid, "seq": seq}]})
}

fn sent(told: &[RemoteNotice]) -> Vec<u64> {
    let seq = |notice: &RemoteNotice| match notice {
        RemoteNotice::Accepted { seq, .. } => Some(*seq),
        _ => None,
    };
    told.iter().filter_map(seq).collect()
}

#[test]
fn what_is_said_goes_out_in_order_one_at_a_time_under_a_name() {
    let mut world = World::following(config());
    world.say(r#"{"type":"user","message":{"content":"one"}}"#);
    world.say(r#"{"type":"user","uuid":"own","message":{"content":"two"}}"#);
    world.say(r#"{"type":"control_request","request":{"subtype":"set_model","model":"m"}}"#);
    let (op, body) = world.posted("messages");
    let first = body["messages"][0]["uuid"].as_str().expect("a name").to_owned();
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(1));
    assert!(world.actions.is_empty(), "one at a time");
    world.answer(op, 200, &accepted(&first, 1));
    let (op, body) = world.posted("messages");
    assert_eq!(body["messages"][0]["uuid"], "own");
    world.answer(op, 200, &accepted("own", 2));
    let (op, body) = world.posted("messages");
    let request = &body["messages"][0];
    assert!(request["uuid"].is_string() && request["request_id"].is_string(), "{request}");
    world.answer(op, 200, &accepted("x", 3));
    assert_eq!(sent(&world.told()), [1, 2, 3]);
    // None of them comes back.
    world.event(1, "viewer", &format!(r#"{{"type":"user","uuid":"{first}"}}"#));
    world.event(2, "viewer", r#"{"type":"user","uuid":"own"}"#);
    world.event(3, "agent", r#"{"type":"user","uuid":"own","isReplay":true}"#);
    world.event(4, "viewer", r#"{"type":"user","uuid":"theirs"}"#);
    world.event(5, "agent", r#"{"type":"user","uuid":"theirs","isReplay":true}"#);
    assert_eq!(seqs(&world.told()), [4]);
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_name_and_a_break_loses_nothing() {
    let mut world = World::following(config());
    world.say(r#"{"type":"user","message":{}}"#);
    let (op, first) = world.posted("messages");
    world.handle(Event::Failed { op, failure: broken() });
    world.say(r#"{"type":"user","uuid":"second"}"#);
    assert!(world.actions.is_empty(), "it keeps its place");
    world.breaks();
    world.wait();
    world.proves();
    while world.stream.is_none() {
        // Whichever pause is over first.
        if world.actions.iter().any(|action| matches!(action, Action::Open { .. })) {
            world.opens();
        } else {
            world.wait();
        }
    }
    world.session(&json!({}));
    let (op, again) = world.posted("messages");
    assert_eq!(again, first);
    world.answer(op, 200, &accepted("x", 1));
    let (op, _) = world.posted("messages");
    world.answer(op, 200, &accepted("second", 2));
    assert_eq!(sent(&world.told()), [1, 2]);
}

#[test]
fn an_interrupt_has_a_key_and_a_mere_window_has_no_interrupt() {
    let mut world = World::following(config());
    world.command(RemoteCommand::Interrupt);
    let (op, request) = world.request();
    let key = request.headers.iter().find(|(name, _)| *name == "idempotency-key");
    let key = key.expect("a key").1.reveal().to_owned();
    world.answer(op, 200, &json!({"request_id": key, "seq": 3}));
    let interrupt = format!(
        r#"{{"type":"control_request","request_id":"{key}","request":{{"subtype":"interrupt"}}}}"#
    );
    world.event(3, "viewer", &interrupt);
    let told = world.told();
    assert_eq!((sent(&told), seqs(&told)), (vec![3], vec![]));

    let mut config = config();
    config.viewer_only = true;
    let mut world = World::following(config);
    world.command(RemoteCommand::Interrupt);
    world.command(RemoteCommand::Stop);
    assert!(world.actions.is_empty());
    assert!(world.told().iter().all(|told| matches!(told, RemoteNotice::Refused { .. })));
}

#[test]
fn what_cannot_be_sent_is_refused_by_name_and_the_next_one_is_sent() {
    let mut world = World::following(config());
    world.say("not JSON");
    world.say(r#"{"type":"user","uuid":"first"}"#);
    world.say(r#"{"type":"user","uuid":"second"}"#);
    let (op, _) = world.posted("messages");
    world.refuse(op, 400, "invalid_request");
    // Its refusals count once it has proved that they are its own.
    world.proves();
    let (op, body) = world.posted("messages");
    assert_eq!(body["messages"][0]["uuid"], "second");
    world.answer(op, 200, &accepted("second", 1));
    let told = world.told();
    let refused = |notice: &RemoteNotice| match notice {
        RemoteNotice::Refused { sent, status, .. } => Some((sent.clone(), *status)),
        _ => None,
    };
    let refused: Vec<_> = told.iter().filter_map(refused).collect();
    let first = Sent::Message { uuid: "first".to_owned(), request_id: None };
    assert_eq!(refused, [(Sent::Unreadable, None), (first, Some(400))]);
}

#[test]
fn no_more_waits_than_a_limit_and_what_was_not_sent_is_told() {
    let mut world = World::following(config());
    for _ in 0..=MAX_REMOTE_WAITING {
        world.say(r#"{"type":"user","message":{}}"#);
    }
    let told = world.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(matches!(&told[0], RemoteNotice::Refused { status: None, .. }));
    world.command(RemoteCommand::Disconnect);
    assert_eq!(world.outcome, None, "it sends first");
    world.command(RemoteCommand::Disconnect);
    assert_eq!(world.outcome, Some(Ok(())));
    let unsent = |told: &&RemoteNotice| matches!(told, RemoteNotice::Unsent(_));
    assert_eq!(world.told().iter().filter(unsent).count(), MAX_REMOTE_WAITING);
}

#[test]
fn a_token_that_was_renewed_in_its_file_is_found_there_and_a_second_401_is_final() {
    let mut config = config();
    config.credential = Credential::from_file(Secret::from(TOKEN), "/token".to_owned());
    let mut world = World::following(config);
    world.say(r#"{"type":"user","uuid":"u"}"#);
    let (op, _) = world.posted("messages");
    world.refuse(op, 401, "authentication_failed");
    world.proves();
    let op = world.take("load", |action| match action {
        Action::Load { op, path, .. } if path == "/token" => Some(*op),
        _ => None,
    });
    let data = Some(Bytes::from_static(b"another-token-for-it\n"));
    world.handle(Event::Loaded { op, data, modified: None });
    let (op, request) = world.request();
    assert_eq!(request.headers[0].1.reveal(), "Bearer another-token-for-it");
    world.answer(op, 200, &accepted("u", 1));
    assert_eq!(sent(&world.told()), [1]);
}

fn log_in() -> Credential {
    let relay = BaseUrl::parse("https://relay.example").expect("a URL");
    let tokens = Tokens {
        access_token: Secret::from(TOKEN),
        token_type: "Bearer".into(),
        expires_in: Some(3600),
        refresh_token: Secret::from(TOKEN),
        scope: Scopes::parse("watch answer"),
    };
    Credential::from_log_in(LogIn::new(&relay, tokens, &Secret::from("seed")), "/log-in".to_owned())
}

#[test]
fn a_log_in_is_refreshed_and_kept_before_it_is_used_again() {
    let mut config = config();
    config.credential = log_in();
    let mut world = World::following(config);
    world.say(r#"{"type":"user","uuid":"u"}"#);
    let (op, _) = world.posted("messages");
    world.refuse(op, 401, "token_expired");
    world.proves();
    let (lock, _) = world.lock();
    let load = |action: &Action| match action {
        Action::Load { op, .. } => Some(*op),
        _ => None,
    };
    let op = world.take("load", load);
    world.handle(Event::Loaded { op, data: None, modified: None });
    let (op, request) = world.request();
    assert_eq!(request.url, "https://relay.example/v1/oauth/token");
    let next = json!({"access_token": "next", "token_type": "Bearer", "refresh_token": "r2"});
    world.answer(op, 200, &next);
    let op = world.take("save", |action| match action {
        Action::Save { op, path, .. } if path == "/log-in" => Some(*op),
        _ => None,
    });
    assert!(world.actions.is_empty(), "not before it is kept");
    world.handle(Event::Saved { op });
    assert!(world.cancels(lock));
    world.actions.retain(|action| *action != Action::Cancel { op: lock });
    let (op, request) = world.request();
    assert_eq!(request.headers[0].1.reveal(), "Bearer next");
    world.answer(op, 200, &accepted("u", 1));
    assert_eq!(sent(&world.told()), [1]);
}

#[test]
fn what_is_sent_shows_that_it_comes_from_a_trusted_device() {
    let mut config = config();
    config.credential = log_in().on_trusted_device(Some(Secret::from("fbtrusted-x")));
    let mut world = World::following(config);
    world.say(r#"{"type":"user","uuid":"u"}"#);
    let (_, request) = world.request();
    let shown = request.headers.iter().find(|(name, _)| *name == "x-trusted-device-token");
    assert_eq!(shown.expect("a header").1.reveal(), "fbtrusted-x");
}

#[test]
fn a_403_names_the_scope_that_is_missing_and_how_to_get_it() {
    let mut config = config();
    config.credential = log_in();
    let mut world = World::following(config);
    world.say(r#"{"type":"user","uuid":"u"}"#);
    let (op, _) = world.posted("messages");
    world.refuse(op, 403, "permission_denied");
    world.proves();
    let told = world.told();
    let RemoteNotice::Refused { reason, .. } = &told[0] else { panic!("{told:?}") };
    let command = "footbridge login https://relay.example --scope watch,answer,drive";
    assert!(reason.contains(command), "{reason}");
}

#[test]
fn one_that_leaves_before_the_relay_has_proved_itself_cancels_nothing_that_never_started() {
    let mut world = World::new(config());
    world.say(r#"{"type":"user","uuid":"u"}"#);
    world.command(RemoteCommand::Disconnect);
    world.command(RemoteCommand::Disconnect);
    assert_eq!(world.outcome, Some(Ok(())));
    let cancelled = world.actions.iter().filter(|it| matches!(it, Action::Cancel { .. }));
    assert_eq!(cancelled.count(), 1, "the question alone was ever asked");
}
