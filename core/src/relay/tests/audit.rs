//! What the audit log says of what people, devices and workers have done (Y-9).

use alloc::collections::BTreeSet;

use super::*;
use crate::relay::http::route::{Access, TABLE};

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

/// What people cause, and is written down.
const LOGGED: [&str; 20] = [
    "AddDevice",
    "AddPush",
    "AnswerByLink",
    "AnswerCallback",
    "AnswerPermission",
    "AskHealthcheck",
    "AskWorktree",
    "ChangeSession",
    "CreateCodeSession",
    "CreateSession",
    "DeleteSession",
    "MakeAnswerLink",
    "Note",
    "Post",
    "RefreshDevice",
    "RegisterEnvironment",
    "RemovePush",
    "RequestStop",
    "RevokeDevice",
    "TrustDevice",
];

/// What people's programs cause, and is not written down.
const EXCEPTIONS: [(&str, &str); 2] = [
    ("Bridge", "a program takes up the session that it has created, at least once an hour"),
    ("CheckDevice", "comes before every request of a device"),
];

/// What only reads.
const READS: [&str; 12] = [
    "GetEnvironment",
    "GetSession",
    "List",
    "ListDevices",
    "ListPushes",
    "ListSessions",
    "ReadAnswerLink",
    "ReadAudit",
    "ReadLog",
    "ReadPushTargets",
    "ReadReceipt",
    "ReadReceipts",
];

/// What workers and the relay itself cause.
const NOT_OF_PEOPLE: [&str; 21] = [
    "AckInbound",
    "AckWork",
    "Append",
    "AttachLink",
    "DrainEnvironment",
    "EndAccount",
    "Find",
    "Lapse",
    "LeaseWork",
    "NotePeople",
    "NoteWorker",
    "NoteWorktree",
    "OpenStream",
    "Prove",
    "ReadInbound",
    "Redispatch",
    "RemoveEnvironment",
    "RenewLease",
    "ResumeLink",
    "ReturnWork",
    "StopWork",
];

/// Notes which operations are carried out by `act`, and that there are entries for them.
fn leads_to(
    world: &mut World,
    logged: &mut BTreeSet<String>,
    actions: &[&str],
    act: impl FnOnce(&mut World),
) {
    let before = entries(world, TOKEN).len();
    world.carried_out.clear();
    act(world);
    let carried_out = core::mem::take(&mut world.carried_out);
    let after = entries(world, TOKEN);
    assert_eq!(self::actions(&after[before..]), actions);
    logged.extend(carried_out.into_iter().map(|(name, _)| name));
}

/// A request that is repeated because its answer was lost: there is one entry for each action.
fn twice(
    world: &mut World,
    logged: &mut BTreeSet<String>,
    actions: &[&str],
    (method, target): (Method, &str),
    body: &Value,
) {
    leads_to(world, logged, actions, |world| {
        for _ in 0..2 {
            let key = [("idempotency-key", "k")];
            let op = world.ask_with(method, target, TOKEN, body, &key);
            let (status, answer) = world.answer(op);
            assert!(status < 300 || status == 404, "{target}: {status} {answer}");
        }
    });
}

#[test]
fn whatever_a_person_can_cause_is_in_it_or_has_a_reason_not_to_be() {
    use Method::{Delete, Post};
    let (world, logged) = (&mut World::new(), &mut BTreeSet::new());
    let mut worker = None;
    leads_to(world, logged, &["environment_registered"], |world| worker = Some(world.register()));
    let environment = worker.expect("it is registered").environment;
    let health = format!("/v1/environments/{environment}/healthcheck");
    twice(world, logged, &["healthcheck_asked"], (Post, &health), &Value::Null);
    let create = json!({"environment_id": environment});
    twice(world, logged, &["session_created"], (Post, "/v1/sessions"), &create);
    let (_, sessions) = world.get("/v1/sessions", TOKEN);
    let session = sessions["sessions"][0]["id"].as_str().expect("an id");
    let target = format!("/v1/sessions/{session}");
    let both = json!({"title": "a name", "archived": true});
    twice(world, logged, &["session_renamed", "session_archived"], (Post, &target), &both);
    twice(world, logged, &["session_unarchived"], (Post, &target), &json!({"archived": false}));
    twice(world, logged, &["session_stopped"], (Post, &format!("{target}/stop")), &Value::Null);
    twice(world, logged, &["session_deleted"], (Delete, &target), &Value::Null);
    twice(world, logged, &["session_created"], (Post, "/v1/code/sessions"), &json!({}));
    let pushes = "/v1/push/subscriptions";
    let push = super::push::subscription("https://push.example/one");
    twice(world, logged, &["push_added"], (Post, pushes), &push);
    let (_, listed) = world.get(pushes, TOKEN);
    let push = listed["subscriptions"][0]["id"].as_str().expect("an id");
    twice(world, logged, &["push_removed"], (Delete, &format!("{pushes}/{push}")), &Value::Null);
    leads_to(world, logged, &["sign_in_code_made"], |world| {
        assert_eq!(world.post("/v1/sign-in/codes", TOKEN, &Value::Null).0, 201);
    });
    let revoked = ["log_in_approved", "logged_in", "device_revoked"];
    leads_to(world, logged, &revoked, |world| {
        let token = super::log_in::everything(world);
        let (_, me) = world.get("/v1/whoami", &token);
        let id = me["device_id"].as_str().expect("an id");
        assert_eq!(world.post(&format!("/v1/devices/{id}/revoke"), TOKEN, &Value::Null).0, 200);
    });
    let trusted = ["log_in_approved", "logged_in", "device_trusted"];
    leads_to(world, logged, &trusted, |world| {
        let token = super::log_in::everything(world);
        let name = json!({"display_name": "Footbridge on box"});
        assert_eq!(world.post("/api/auth/trusted_devices", &token, &name).0, 201);
    });
    let reused = ["log_in_approved", "logged_in", "refresh_token_reused"];
    leads_to(world, logged, &reused, super::log_in::reuse);
    leads_to(world, logged, &CALLBACK, super::callbacks::answered_once);
    leads_to(world, logged, &WORKTREE, super::worktrees::asked_once);

    let world = &mut World::new();
    let (_, taken, link) = world.running();
    world.lines(link, &format!("{}\n", question("q1")));
    leads_to(world, logged, &["permission_answered", "messages_sent"], |world| {
        let answer = json!({"request_id": "q1", "behavior": "allow"});
        let target = format!("/v1/sessions/{}/permission", taken.session);
        assert_eq!(world.post(&target, TOKEN, &answer).0, 200);
        world.say(&taken.session, "words");
    });
    world.lines(link, &format!("{}\n", question("q2")));
    leads_to(world, logged, &["answer_link_made", "permission_answered"], |world| {
        let target = format!("/v1/sessions/{}/permission/link", taken.session);
        let (status, made) = world.post(&target, TOKEN, &json!({"request_id": "q2"}));
        assert_eq!(status, 201, "{made}");
        let token = made["token"].as_str().expect("a token");
        assert_eq!(world.post("/v1/answer", token, &json!({"behavior": "deny"})).0, 200);
    });
    logged.retain(|name| LOGGED.contains(&&**name));
    let expected: BTreeSet<String> = LOGGED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(*logged, expected);
}

/// What it takes to have a callback, and to answer it.
const CALLBACK: [&str; 4] =
    ["environment_registered", "session_created", "control_sent", "callback_answered"];
/// What it takes to have a worktree kept, and to decide about it.
const WORKTREE: [&str; 3] = ["environment_registered", "session_created", "worktree_asked"];

#[test]
fn every_store_operation_is_known_to_be_in_it_or_not() {
    let source = include_str!("../../store/transaction.rs");
    let (_, names) = source.split_once("const fn name(&self)").expect("it is there");
    let names: BTreeSet<&str> = names
        .lines()
        .filter_map(|line| {
            line.trim().strip_prefix("Self::")?.split_once("=> \"")?.1.strip_suffix("\",")
        })
        .collect();
    let known = LOGGED.iter().chain(&READS).chain(&NOT_OF_PEOPLE).copied();
    let known: BTreeSet<&str> = known.chain(EXCEPTIONS.iter().map(|(name, _)| *name)).collect();
    assert_eq!(names, known);
    assert!(EXCEPTIONS.iter().all(|(_, reason)| !reason.is_empty()));
}

#[test]
fn nothing_that_is_said_to_be_of_workers_is_asked_for_by_people() {
    for row in TABLE.iter().filter(|row| row.access != Access::Anybody) {
        let mut world = World::new();
        let (worker, taken, _) = world.running();
        let of = match row.path.contains("/environments/") {
            true => &worker.environment,
            false => &taken.session,
        };
        world.carried_out.clear();
        let target = row.path.replace("{id}", of).replace("{work}", &taken.work);
        let target = target.replace("{session}", &taken.session).replace("{seq}", "1");
        world.ask(row.method, &target, TOKEN, &json!({}));
        for (name, is_asked_for) in &world.carried_out {
            let is_workers = NOT_OF_PEOPLE.contains(&&**name) && name != "Find";
            assert!(!is_asked_for || !is_workers, "{target}: {name}");
        }
    }
}

#[test]
fn whom_the_relay_lets_in_and_out_is_in_the_log_of_whom_it_runs_for() {
    let mut world = World::new();
    let person = |name: &str, token: &str| AccessToken {
        person: name.to_owned(),
        token: Secret::from(token),
    };
    let own = || person("owner", TOKEN);
    let eva = || person("eva.1", "another-token-with-enough-characters");
    let mut set = |people: Vec<AccessToken>| {
        world.command(RelayCommand::SetPeople { people, gone: Vec::new() });
        let entries = entries(&mut world, TOKEN);
        let of = |entry: &Value| (entry["action"].clone(), entry["detail"].clone());
        entries.iter().filter(|entry| entry["by"]["kind"] == "program").map(of).collect::<Vec<_>>()
    };
    assert_eq!(set(alloc::vec![own()]), [], "who was there before anybody noted it is not new");
    let added = || (json!("person_added"), json!("eva"));
    assert_eq!(set(alloc::vec![own(), eva()]), [added()]);
    assert_eq!(set(alloc::vec![own(), eva()]), [added()], "nothing is new");
    assert_eq!(set(alloc::vec![own()]), [added(), (json!("person_removed"), json!("eva"))]);
}
