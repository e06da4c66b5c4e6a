//! What the audit log says of what people, devices and workers have done (Y-9).

use super::*;

fn entries(world: &mut World, token: &str) -> Vec<Value> {
    let (status, page) = world.get("/v1/audit", token);
    assert_eq!(status, 200, "{page}");
    page["entries"].as_array().expect("a list").clone()
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().expect("a name")).collect()
}

#[test]
fn it_says_who_answered_started_stopped_and_interrupted_what() {
    let mut world = World::new();
    let (_, taken, link) = world.running();
    let token = super::log_in::everything(&mut world);
    let (_, me) = world.get("/v1/whoami", &token);
    world.lines(link, &format!("{}\n", question("q1")));
    let target = format!("/v1/sessions/{}/permission", taken.session);
    let answer = json!({"request_id": "q1", "behavior": "deny", "message": "a secret reason"});
    let first = world.post(&target, &token, &answer);
    assert_eq!(first.0, 200, "{first:?}");
    assert_eq!(world.post(&target, TOKEN, &answer), first, "the answer may have been lost");
    world.say(&taken.session, "something private");
    let interrupt = format!("/v1/sessions/{}/interrupt", taken.session);
    assert_eq!(world.post(&interrupt, TOKEN, &Value::Null).0, 200);
    let stop = format!("/v1/sessions/{}/stop", taken.session);
    for _ in 0..2 {
        assert_eq!(world.post(&stop, &token, &Value::Null).0, 200);
    }
    let all = entries(&mut world, TOKEN);
    let expected = [
        "environment_registered",
        "session_created",
        "log_in_approved",
        "logged_in",
        "permission_answered",
        "messages_sent",
        "interrupted",
        "session_stopped",
    ];
    assert_eq!(actions(&all), expected, "{all:#?}");
    let answered = &all[4];
    let by = json!({"kind": "device", "id": me["device_id"], "address": "127.0.0.1"});
    assert_eq!(answered["by"], by);
    assert_eq!(answered["session_id"], json!(taken.session));
    assert_eq!((&answered["request_id"], &answered["detail"]), (&json!("q1"), &json!("deny")));
    assert_eq!(answered["event"], first.1["seq"]);
    assert_eq!(all[5]["by"]["kind"], "access_token");
    let shown = Value::from(all).to_string();
    for secret in ["private", "reason", TOKEN, &token] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(entries(&mut world, BOB), Vec::<Value>::new(), "it is another person's");
}

#[test]
fn it_tells_apart_browsers_and_says_who_let_them_in() {
    let mut world = World::new();
    let mut sign_in = || {
        let (_, made) = world.post("/v1/sign-in/codes", TOKEN, &Value::Null);
        let code = made["code"].as_str().expect("a code");
        let (status, signed) = world.post("/v1/sign-in", code, &Value::Null);
        assert_eq!(status, 200, "{signed}");
        signed["token"].as_str().expect("a token").to_owned()
    };
    let (one, other) = (sign_in(), sign_in());
    let worker = world.register();
    let create = json!({"environment_id": worker.environment});
    for browser in [&one, &other] {
        assert_eq!(world.post("/v1/sessions", browser, &create).0, 201);
    }
    let all = entries(&mut world, &one);
    let made = ["sign_in_code_made", "signed_in"];
    let done = ["environment_registered", "session_created", "session_created"];
    assert_eq!(actions(&all), [&made[..], &made, &done].concat());
    assert_eq!(all[1]["by"]["kind"], "sign_in_code");
    for (signed, created) in [(1, 5), (3, 6)] {
        assert_eq!(all[created]["by"]["kind"], "browser");
        assert_eq!(all[signed]["by"]["id"], all[created]["by"]["id"], "the same browser");
    }
    assert_ne!(all[5]["by"]["id"], all[6]["by"]["id"]);
}

#[test]
fn it_says_who_ended_a_device_and_that_a_token_came_twice() {
    let mut world = World::new();
    let token = super::log_in::everything(&mut world);
    super::log_in::log_out(&mut world, &token);
    super::log_in::log_out(&mut world, &token);
    let token = super::log_in::everything(&mut world);
    let (_, me) = world.get("/v1/whoami", &token);
    let id = me["device_id"].as_str().expect("an id");
    assert_eq!(world.post(&format!("/v1/devices/{id}/revoke"), TOKEN, &Value::Null).0, 200);
    super::log_in::reuse(&mut world);
    let all = entries(&mut world, TOKEN);
    let approved = ["log_in_approved", "logged_in"];
    let expected = [
        &approved[..],
        &["logged_out"],
        &approved,
        &["device_revoked"],
        &approved,
        &["refresh_token_reused"],
    ];
    assert_eq!(actions(&all), expected.concat());
    assert_eq!(
        (&all[2]["by"]["kind"], &all[2]["by"]["id"]),
        (&json!("device"), &all[2]["device_id"])
    );
    assert_eq!(all[5]["by"]["kind"], "access_token");
    let page = world.get("/v1/audit?after=2&limit=1", TOKEN).1;
    assert_eq!((&page["entries"][0], &page["last_seq"]), (&all[2], &json!(all.len())));
}

#[test]
fn nobody_is_let_in_of_whom_nothing_can_be_written_down() {
    let mut world = World::new();
    world.holds_store = true;
    let op = world.ask(Method::Post, "/v1/sign-in", TOKEN, &Value::Null);
    let (held, _) = world.held.pop_front().expect("an operation");
    assert!(!world.replies.contains_key(&op));
    let failure = crate::base::io_error::IoError {
        kind: crate::base::io_error::IoErrorKind::Full,
        detail: "full".to_owned(),
    };
    world.deliver(Event::Failed { op: held, failure });
    let (status, refused) = world.answer(op);
    assert_eq!((status, &refused["error"]["type"]), (503, &json!("store_failed")));
}
