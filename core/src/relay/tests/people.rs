//! Several people at one relay (Y-1, Y-4): what is one person's is nobody else's.

use super::*;
use crate::auth::worker_credential;
use crate::relay::http::route::{Access, TABLE};

/// What a person sees of all that is theirs.
fn all_of(world: &mut World, token: &str) -> Vec<Value> {
    let lists = ["sessions", "environments", "devices", "audit", "push/subscriptions"];
    let mut all: Vec<Value> =
        lists.iter().map(|list| world.get(&format!("/v1/{list}"), token).1).collect();
    // That a worker was heard of is not what anybody has done.
    for environment in all[1]["environments"].as_array_mut().expect("a list") {
        environment["last_seen_at"] = Value::Null;
    }
    let sessions = all[0]["sessions"].as_array().expect("a list").clone();
    for session in sessions {
        let id = session["id"].as_str().expect("an id");
        all.push(world.get(&format!("/v1/sessions/{id}/events?after=0"), token).1);
    }
    all
}

/// Everything that another person can show: their own.
fn shown_by_bob(world: &mut World) -> Vec<(&'static str, String)> {
    let (_, signed) = world.post("/v1/sign-in", BOB, &Value::Null);
    let browser = signed["token"].as_str().expect("a token").to_owned();
    let (device, _) = super::log_in::everything_of(world, BOB);
    let worker = worker_credential(&Secret::from(BOB), "bobs").expect("a credential");
    let registration = json!({"machine_name": "bobs", "directory": "/b", "max_sessions": 1});
    let (_, registered) = world.post("/v1/environments/bridge", BOB, &registration);
    let secret = registered["environment_secret"].as_str().expect("a secret").to_owned();
    alloc::vec![
        ("access token", BOB.to_owned()),
        ("browser token", browser),
        ("device token", device),
        ("worker credential", worker.reveal().to_owned()),
        ("environment secret", secret),
    ]
}

/// Bodies that each request would take of the person whose it is, and one that most do not look at.
fn bodies(path: &str, session: &str, environment: &str) -> Vec<Value> {
    let message = json!({"type": "user", "message": {"role": "user", "content": "hi"}});
    let own = match path.rsplit('/').next().unwrap_or_default() {
        "messages" => json!({"messages": [message]}),
        "permission" => json!({"request_id": "q1", "behavior": "allow"}),
        "link" => json!({"request_id": "q1"}),
        "callback" => {
            json!({"client": "client-one-0123456789", "request_id": "q1", "seq": 1, "response": {}})
        }
        "worktree" => json!({"action": "look"}),
        "sessions" => json!({"environment_id": environment}),
        "worktrees" => json!({"session_id": session, "state": "gone", "path": "/trees/it"}),
        // As if its worker registered again.
        "bridge" if path == "/v1/environments/bridge" => json!({"machine_name": "m",
            "directory": "/a", "max_sessions": 1, "environment_id": environment}),
        _ => json!({"title": "bobs", "archived": true, "force": true}),
    };
    alloc::vec![own, json!({"fence": 1})]
}

#[test]
fn no_request_of_one_person_shows_or_changes_what_is_another_ones() {
    let mut world = super::page::world_with_page();
    let (worker, taken, link) = world.running();
    world.lines(link, &format!("{}\n", question("q1")));
    world.say(&taken.session, "a private word");
    super::log_in::everything(&mut world);
    let push = super::push::subscription("https://push.example/alice");
    assert_eq!(world.post("/v1/push/subscriptions", TOKEN, &push).0, 200);
    let shown = shown_by_bob(&mut world);
    let before = all_of(&mut world, TOKEN);
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    let (device, push) =
        (text(&before[2]["devices"][0]["id"]), text(&before[4]["subscriptions"][0]["id"]));
    let private = [&worker.environment, &taken.session, &taken.work, &device, &push];
    let mut tried = 0;
    for row in TABLE.iter().filter(|row| row.access != Access::Anybody) {
        let of = match row.path {
            path if path.contains("/environments/") => &worker.environment,
            path if path.contains("/devices/") => &device,
            path if path.contains("/push/") => &push,
            _ => &taken.session,
        };
        let target = row.path.replace("{id}", of).replace("{work}", &taken.work);
        let target = target.replace("{session}", &taken.session).replace("{seq}", "1");
        for (kind, token) in &shown {
            for body in bodies(row.path, &taken.session, &worker.environment) {
                let op = world.ask(row.method, &target, token, &body);
                tried += 1;
                let Some(response) = world.replies.remove(&op) else {
                    // A poll of nothing, or a stream of their own.
                    let stream = world.streams.get(&op).map(|stream| format!("{:?}", stream.sent));
                    let stream = stream.unwrap_or_default();
                    assert!(private.iter().all(|id| !stream.contains(&***id)), "{target}: {kind}");
                    world.deliver(Event::Closed { op, code: None, failure: None });
                    continue;
                };
                let answer = core::str::from_utf8(&response.body).expect("text");
                let gives_away = private.iter().any(|id| answer.contains(&***id));
                assert!(!gives_away, "{} {target} to {kind}: {answer}", row.method.as_str());
            }
        }
        assert_eq!(all_of(&mut world, TOKEN), before, "{} {target}", row.method.as_str());
    }
    assert!(tried > 400, "{tried}");
}

#[test]
fn whoever_is_removed_is_cut_off_at_once_and_others_notice_nothing() {
    let mut world = World::new();
    let (_, taken, link) = world.running();
    let before = all_of(&mut world, TOKEN);
    let shown = shown_by_bob(&mut world);
    let (_, refresh) = super::log_in::everything_of(&mut world, BOB);
    let environments = world.get("/v1/environments", BOB).1;
    let environment = environments["environments"][0]["id"].as_str().expect("an id").to_owned();
    let watching = world.websocket("/v1/overview/ws", BOB, "footbridge.viewer.v1");
    let poll = format!("/v1/environments/{environment}/work/poll");
    let secret = shown[4].1.clone();
    let of_bob = Worker { environment: environment.clone(), secret: secret.clone() };
    let made = world.post("/v1/sessions", BOB, &json!({"environment_id": environment}));
    assert_eq!(made.0, 201, "{made:?}");
    let taken_by_bob = world.take(&of_bob);
    let running = world.link(&taken_by_bob, 0, 0);
    let held = world.ask_with(Method::Get, &poll, &secret, &Value::Null, &[("prefer", "wait=20")]);
    assert!(!world.replies.contains_key(&held));
    let alice = AccessToken { person: "alice".to_owned(), token: Secret::from(TOKEN) };
    let gone = alloc::vec!["carol.0123".to_owned(), "alice".to_owned()];
    let people = alloc::vec![alice.clone()];
    world.command(RelayCommand::SetPeople { people: people.clone(), gone });
    assert_eq!(world.streams[&watching].closed, Some(4401));
    assert_eq!(world.answer(held).0, 404, "its environment is gone");
    for (kind, token) in &shown {
        let (status, _) = world.get("/v1/sessions", token);
        assert!(status == 401 || (*kind == "environment secret" && status == 403), "{kind}");
        let registration = json!({"machine_name": "b", "directory": "/b", "max_sessions": 1});
        let (status, _) = world.post("/v1/environments/bridge", token, &registration);
        assert!(matches!(status, 401 | 403 | 429), "{kind}: {status}");
    }
    // Nor does what its session was given open anything.
    for call in ["ack", "heartbeat"] {
        assert_eq!(world.about(&of_bob, &taken_by_bob, call).0, 404, "{call}");
    }
    let bridge = format!("/v1/code/sessions/{}/bridge", taken_by_bob.session);
    assert_eq!(world.post(&bridge, &taken_by_bob.token, &Value::Null).0, 410);
    let again = world.ingress(&taken_by_bob);
    assert_eq!(world.answer(again).0, 410);
    assert!(super::log_in::is_refused(&mut world, &refresh));
    assert_eq!(world.get(&poll, &secret).0, 404);
    assert_eq!(all_of(&mut world, TOKEN), before);
    assert!(world.streams[&link].closed.is_none());
    world.say(&taken.session, "alice goes on");
    // Somebody of the same name later has nothing of it.
    let bob = AccessToken {
        person: "bob.2".to_owned(),
        token: Secret::from("another-token-of-a-bob-1234"),
    };
    world.command(RelayCommand::SetPeople { people: alloc::vec![alice, bob], gone: Vec::new() });
    let again = all_of(&mut world, "another-token-of-a-bob-1234");
    assert_eq!((&again[1]["environments"], &again[0]["sessions"]), (&json!([]), &json!([])));
    world.links_alive(Duration::from_secs(60));
    assert!(world.streams[&running].closed.is_some() || world.streams[&running].is_cut);
    assert!(world.streams[&link].closed.is_none());
    let (_, me) = world.get("/v1/whoami", "another-token-of-a-bob-1234");
    assert_eq!((&me["account"], &me["shared"]), (&json!("bob"), &json!(true)));
    let alone = alloc::vec![AccessToken {
        person: "bob.2".to_owned(),
        token: Secret::from("another-token-of-a-bob-1234"),
    }];
    world.command(RelayCommand::SetPeople { people: alone, gone: alloc::vec!["alice".to_owned()] });
    assert_eq!(world.get("/v1/whoami", "another-token-of-a-bob-1234").1["shared"], false);
}

/// A store that fails leaves nobody in.
#[test]
fn what_a_removed_person_has_ends_also_if_the_store_fails_at_first() {
    let mut world = World::new();
    let shown = shown_by_bob(&mut world);
    let environments = world.get("/v1/environments", BOB).1;
    let environment = environments["environments"][0]["id"].as_str().expect("an id").to_owned();
    let poll = format!("/v1/environments/{environment}/work/poll");
    let secret = shown[4].1.clone();
    assert_eq!(world.get(&poll, &secret).0, 204);
    let alice = AccessToken { person: "alice".to_owned(), token: Secret::from(TOKEN) };
    world.holds_store = true;
    world.command(RelayCommand::SetPeople { people: alloc::vec![alice], gone: Vec::new() });
    let (op, _) = world.held.pop_front().expect("an operation");
    let failure = crate::base::io_error::IoError {
        kind: crate::base::io_error::IoErrorKind::Full,
        detail: "full".to_owned(),
    };
    world.deliver(Event::Failed { op, failure });
    world.release_store();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.get(&poll, &secret).0, 404);
}
