//! Notifications: who is told of what, when, and how it is taken back (Y-7).

use super::*;
use crate::base::limits::{
    BROWSER_TOKEN_LIFE, LOOKED_AT_FOR, MAX_PUSH_ATTEMPTS, MAX_PUSH_SUBSCRIPTIONS, PUSH_AFTER,
};
use crate::contract::action::Reach;
use crate::contract::event::{IoError, IoErrorKind};
use crate::relay::push::seal::open;
use p256::SecretKey;
use p256::elliptic_curve::sec1::ToSec1Point;

const AUTH: [u8; 16] = [9; 16];

/// The secret key of the test's only browser.
fn own_key() -> SecretKey {
    SecretKey::from_slice(&[5; 32]).expect("a key")
}

pub(super) fn subscription(endpoint: &str) -> Value {
    let public = own_key().public_key().to_sec1_point(false);
    json!({
        "endpoint": endpoint,
        "keys": {
            "p256dh": URL_SAFE_NO_PAD.encode(public.as_bytes()),
            "auth": URL_SAFE_NO_PAD.encode(AUTH),
        },
        "name": "a browser",
    })
}

const ENDPOINT: &str = "https://push.example/one";

impl World {
    /// A browser that is sent notifications; the id of its subscription.
    fn with_push(&mut self, body: &Value) -> String {
        let (status, view) = self.post("/v1/push/subscriptions", TOKEN, body);
        assert_eq!(status, 200, "{view}");
        view["id"].as_str().expect("an id").to_owned()
    }

    /// The next message to a push service, and what its browser reads in it.
    fn pushed(&mut self) -> Option<(OpId, Request, Value)> {
        let (op, request) = self.requests.pop_front()?;
        let message = open(&own_key(), &AUTH, &request.body);
        Some((op, request, serde_json::from_slice(&message).expect("JSON")))
    }

    /// The push service answers.
    fn answer_push(&mut self, op: OpId, status: u16, headers: &[(&str, &str)]) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(own).collect();
        let response = Response { status, headers, body: Bytes::new() };
        self.deliver(Event::Response { op, response });
    }

    /// What the browser has been sent by now; the push service takes all of it.
    fn taken(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some((op, _, message)) = self.pushed() {
            all.push(message);
            self.answer_push(op, 201, &[]);
        }
        all
    }

    fn allow(&mut self, session: &str, request_id: &str) {
        let target = format!("/v1/sessions/{session}/permission");
        let (status, _) =
            self.post(&target, TOKEN, &json!({"request_id": request_id, "behavior": "allow"}));
        assert_eq!(status, 200);
    }

    fn look(&mut self, viewer: OpId, visible: bool) {
        self.lines(viewer, &json!({"type": "alive", "visible": visible}).to_string());
    }
}

const RESULT: &str = r#"{"type":"result","subtype":"success","is_error":false}"#;
const ASSISTANT: &str = r#"{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":"hi"}]}}"#;

fn header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    let found = request.headers.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.reveal())
}

#[test]
fn a_question_that_waits_for_some_seconds_is_told_once_and_taken_back_when_it_is_answered() {
    let mut world = World::new();
    world.with_push(&subscription(ENDPOINT));
    let (_, taken, op) = world.running();
    world.lines(op, &question("P"));
    world.pass(PUSH_AFTER / 2);
    assert!(world.pushed().is_none(), "somebody may still be answering");
    world.pass(PUSH_AFTER);

    let (push, request, message) = world.pushed().expect("a message");
    assert_eq!((request.method, request.url.as_str()), (Method::Post, ENDPOINT));
    assert_eq!(request.reach, Reach::Public);
    assert_eq!(header(&request, "content-encoding"), Some("aes128gcm"));
    assert_eq!(header(&request, "ttl"), Some("43200"));
    let authorization = header(&request, "authorization").expect("signed");
    assert!(authorization.starts_with("vapid t=ey"), "{authorization}");
    let (_, key) = world.get("/v1/push/key", TOKEN);
    assert!(authorization.ends_with(key["key"].as_str().expect("a key")), "{authorization}");
    let seq = world.session(&taken.session)["pending_permissions"][0]["seq"].clone();
    let expected = json!({
        "kind": "waits", "what": "question", "tag": format!("{}:{seq}", taken.session),
        "session": taken.session, "title": "", "machine": "laptop", "seq": seq,
        "request_id": "P", "tool": "Bash", "detail": "echo  hi", "whole": true, "waiting": 1,
    });
    assert_eq!(message, expected);
    world.answer_push(push, 201, &[]);
    world.pass(PUSH_AFTER * 4);
    assert!(world.pushed().is_none(), "once");

    world.allow(&taken.session, "P");
    let (_, over, message) = world.pushed().expect("taken back");
    assert_eq!(message, json!({"kind": "over", "tag": expected["tag"], "waiting": 0}));
    assert_eq!(header(&over, "topic"), header(&request, "topic"), "one replaces the other");
}

#[test]
fn a_relay_that_has_restarted_tells_what_waits_once_the_sessions_worker_is_back() {
    let mut world = World::new();
    world.with_push(&subscription(ENDPOINT));
    let (_, taken, op) = world.running();
    world.lines(op, &question("P"));
    world.pass(PUSH_AFTER / 2);
    let wall = START.wall.as_millis();
    let mut world = super::life::restarted(world, 7, wall);
    world.link(&taken, 1, 0);
    world.pass(PUSH_AFTER * 2);
    let told = world.taken();
    assert_eq!((told.len(), &told[0]["kind"]), (1, &json!("waits")), "{told:?}");
    world.allow(&taken.session, "P");
    assert_eq!(world.taken()[0]["kind"], "over");
}

#[test]
fn what_somebody_or_a_hook_answers_in_time_rings_nowhere() {
    let mut world = World::new();
    world.with_push(&subscription(ENDPOINT));
    let (_, taken, op) = world.running();
    world.lines(op, &question("P"));
    world.pass(PUSH_AFTER / 2);
    world.allow(&taken.session, "P");
    // An agent whose hook decides withdraws its question.
    world.lines(op, &question("Q"));
    world.lines(op, r#"{"type":"control_cancel_request","request_id":"Q"}"#);
    // What it asks a client is no question to a person.
    world.lines(
        op,
        r#"{"type":"control_request","request_id":"H","request":{"subtype":"hook_callback","callback_id":"hook_1","input":{"hook_event_name":"PreToolUse"}}}"#,
    );
    world.pass(PUSH_AFTER * 3);
    assert_eq!(world.taken(), Vec::<Value>::new());
}

#[test]
fn whoever_looks_at_a_session_is_not_told_elsewhere_until_they_look_away() {
    let mut world = World::new();
    world.with_push(&subscription(ENDPOINT));
    let (_, taken, op) = world.running();
    let viewer = world.subscribe(&taken.session, 0);
    world.look(viewer, true);
    world.lines(op, &question("P"));
    world.pass(PUSH_AFTER * 2);
    assert!(world.pushed().is_none(), "it is on their screen");
    world.look(viewer, false);
    world.pass(PUSH_AFTER * 2);
    assert_eq!(world.taken().len(), 1);
    // A phone that is put away says nothing any more.
    world.look(viewer, true);
    world.lines(op, &question("Q"));
    world.pass(LOOKED_AT_FOR + PUSH_AFTER * 2);
    assert_eq!(world.taken().len(), 1);
}

#[test]
fn the_end_of_a_turn_is_told_and_is_over_with_the_next_one_or_once_somebody_looks() {
    let mut world = World::new();
    world.with_push(&subscription(ENDPOINT));
    let (_, taken, op) = world.running();
    world.lines(op, ASSISTANT);
    world.pass(PUSH_AFTER * 2);
    assert!(world.pushed().is_none(), "it works");
    world.lines(op, RESULT);
    world.pass(PUSH_AFTER * 2);
    let told = world.taken();
    assert_eq!((told.len(), &told[0]["what"]), (1, &json!("turn")));
    world.lines(op, ASSISTANT);
    let over = world.taken();
    assert_eq!((&over[0]["kind"], &over[0]["tag"]), (&json!("over"), &told[0]["tag"]));
    world.lines(op, RESULT);
    world.pass(PUSH_AFTER * 2);
    let next = world.taken();
    assert_ne!(next[0]["tag"], told[0]["tag"], "each turn is one of its own");
    let viewer = world.subscribe(&taken.session, 0);
    world.look(viewer, true);
    assert_eq!(world.taken()[0]["tag"], next[0]["tag"], "it was seen");
}

#[test]
fn only_an_end_that_is_a_failure_is_told() {
    for (status, told) in [("failed", true), ("timed_out", true), ("completed", false)] {
        let mut world = World::new();
        world.with_push(&subscription(ENDPOINT));
        let (worker, taken, op) = world.running();
        world.lines(op, &question("P"));
        assert_eq!(world.stop_work(&worker, &taken, status).0, 200);
        world.pass(PUSH_AFTER * 2);
        let messages = world.taken();
        assert_eq!(messages.len(), usize::from(told), "{status}: {messages:?}");
        assert!(!told || messages[0]["what"] == "failed", "{messages:?}");
    }
}

#[test]
fn a_browser_says_when_and_of_which_machines_it_is_told() {
    let muted = json!({"muted": ["laptop"]});
    let others = json!({"muted": ["desktop"]});
    // The tests begin at midnight.
    let night = json!({"quiet": {"from": 1380, "until": 60, "offset": 0}});
    let day = json!({"quiet": {"from": 60, "until": 1380, "offset": 0}});
    for (preferences, told) in [(muted, false), (others, true), (night, false), (day, true)] {
        let mut world = World::new();
        let mut body = subscription(ENDPOINT);
        body["preferences"] = preferences.clone();
        world.with_push(&body);
        let (_, _, op) = world.running();
        world.lines(op, &question("P"));
        world.pass(PUSH_AFTER * 2);
        assert_eq!(world.taken().len(), usize::from(told), "{preferences}");
    }
}

#[test]
fn a_push_service_is_tried_again_as_it_asks_and_not_for_ever() {
    let mut world = World::new();
    world.with_push(&subscription(ENDPOINT));
    let (_, _, op) = world.running();
    world.lines(op, &question("P"));
    world.pass(PUSH_AFTER);
    let (push, _, _) = world.pushed().expect("a message");
    world.answer_push(push, 429, &[("retry-after", "90")]);
    world.links_alive(Duration::from_secs(80));
    assert!(world.pushed().is_none(), "too early");
    world.links_alive(Duration::from_secs(11));
    for attempt in 2..=MAX_PUSH_ATTEMPTS {
        let (push, _, _) = world.pushed().expect("tried again");
        let detail = "refused".to_owned();
        let failure = IoError { kind: IoErrorKind::Unreachable, detail };
        world.deliver(Event::Failed { op: push, failure });
        world.links_alive(Duration::from_secs(45));
        let failed = world.hand.notices.iter().filter(|notice| {
            matches!(notice, RelayNotice::PushFailed { service, .. } if service == "push.example")
        });
        assert_eq!(failed.count(), usize::from(attempt == MAX_PUSH_ATTEMPTS), "{attempt}");
    }
    assert!(world.pushed().is_none());
}

#[test]
fn what_has_not_been_sent_when_it_is_over_is_not_sent() {
    let mut world = World::new();
    world.with_push(&subscription(ENDPOINT));
    let (_, taken, op) = world.running();
    world.lines(op, &question("P"));
    world.pass(PUSH_AFTER);
    let (push, _, _) = world.pushed().expect("a message");
    world.answer_push(push, 503, &[]);
    world.allow(&taken.session, "P");
    world.pass(Duration::from_secs(60));
    let left = world.taken();
    assert!(left.iter().all(|message| message["kind"] == "over"), "{left:?}");
}

#[test]
fn a_subscription_that_its_browser_has_given_up_is_forgotten() {
    for status in [404, 410] {
        let mut world = World::new();
        world.with_push(&subscription(ENDPOINT));
        let (_, _, op) = world.running();
        world.lines(op, &question("P"));
        world.pass(PUSH_AFTER);
        let (push, _, _) = world.pushed().expect("a message");
        world.answer_push(push, status, &[]);
        let (_, list) = world.get("/v1/push/subscriptions", TOKEN);
        assert_eq!(list, json!({"subscriptions": []}));
    }
}

#[test]
fn a_test_says_what_the_push_service_has_said() {
    let mut world = World::new();
    let id = world.with_push(&subscription(ENDPOINT));
    let target = format!("/v1/push/subscriptions/{id}/test");
    let asked = world.ask(Method::Post, &target, TOKEN, &json!({"nonce": "n1"}));
    let (push, request, message) = world.pushed().expect("at once");
    assert_eq!(message, json!({"kind": "test", "nonce": "n1"}));
    assert_eq!(header(&request, "topic"), None);
    world.answer_push(push, 201, &[]);
    let expected = json!({"accepted": true, "status": 201, "detail": ""});
    assert_eq!(world.answer(asked), (200, expected));

    let asked = world.ask(Method::Post, &target, TOKEN, &json!({}));
    let (push, _, _) = world.pushed().expect("at once");
    world.answer_push(push, 403, &[]);
    let (status, answer) = world.answer(asked);
    assert_eq!((status, &answer["accepted"], &answer["status"]), (200, &json!(false), &json!(403)));
    assert_eq!(world.post("/v1/push/subscriptions/push_1/test", TOKEN, &json!({})).0, 404);
}

#[test]
fn a_subscription_is_its_persons_own_and_gives_nothing_back_that_sends() {
    let mut world = World::new();
    let id = world.with_push(&subscription(ENDPOINT));
    let (_, list) = world.get("/v1/push/subscriptions", TOKEN);
    let known = &list["subscriptions"][0];
    assert_eq!((&known["id"], &known["service"]), (&json!(id), &json!("push.example")));
    let text = list.to_string();
    assert!(!text.contains("/one") && !text.contains("auth") && !text.contains("p256dh"), "{text}");
    assert_eq!(world.get("/v1/push/subscriptions", BOB).1, json!({"subscriptions": []}));
    let target = format!("/v1/push/subscriptions/{id}");
    let delete = |world: &mut World, token| {
        let op = world.ask(Method::Delete, &target, token, &Value::Null);
        world.answer(op).0
    };
    assert_eq!(delete(&mut world, BOB), 404);
    assert_eq!(delete(&mut world, TOKEN), 200);
    assert_eq!(delete(&mut world, TOKEN), 404);
}

#[test]
fn the_same_browser_is_one_and_of_too_many_the_first_makes_room() {
    let mut world = World::new();
    let id = world.with_push(&subscription(ENDPOINT));
    assert_eq!(world.with_push(&subscription(ENDPOINT)), id);
    for at in 0..MAX_PUSH_SUBSCRIPTIONS {
        world.pass(Duration::from_secs(1));
        world.with_push(&subscription(&format!("https://push.example/{at}")));
    }
    let (_, list) = world.get("/v1/push/subscriptions", TOKEN);
    let known = list["subscriptions"].as_array().expect("a list");
    assert_eq!(known.len(), MAX_PUSH_SUBSCRIPTIONS);
    assert!(known.iter().all(|one| one["id"] != json!(id)));
}

#[test]
fn an_endpoint_in_the_relays_own_network_is_refused_unless_its_owner_allows_it() {
    let private = ["http://127.0.0.1:1/x", "https://10.0.0.1/x", "https://localhost/x"];
    let mut world = World::new();
    for endpoint in private {
        let (status, error) = world.post("/v1/push/subscriptions", TOKEN, &subscription(endpoint));
        assert_eq!((status, &error["error"]["type"]), (400, &json!("invalid_request")));
    }
    let mut world = World::with(RelayConfig { push_reach: Reach::Anywhere, ..config() });
    for endpoint in private {
        world.with_push(&subscription(endpoint));
    }
}

#[test]
fn what_is_no_subscription_is_refused() {
    let mut world = World::new();
    let mut bad_key = subscription(ENDPOINT);
    bad_key["keys"]["p256dh"] = json!("AAAA");
    let mut bad_hours = subscription(ENDPOINT);
    bad_hours["preferences"] = json!({"quiet": {"from": 1440, "until": 0, "offset": 0}});
    let mut many = subscription(ENDPOINT);
    many["preferences"] = json!({ "muted": alloc::vec!["x"; 100] });
    for body in [json!({}), json!({"endpoint": ENDPOINT}), bad_key, bad_hours, many] {
        assert_eq!(world.post("/v1/push/subscriptions", TOKEN, &body).0, 400, "{body}");
    }
}

#[test]
fn a_subscription_ends_with_the_sign_in_that_made_it() {
    let mut world = World::new();
    let (_, signed_in) = world.post("/v1/sign-in", TOKEN, &Value::Null);
    let browser = signed_in["token"].as_str().expect("a token").to_owned();
    let (status, _) = world.post("/v1/push/subscriptions", &browser, &subscription(ENDPOINT));
    assert_eq!(status, 200);
    let (_, _, op) = world.running();
    world.lines(op, &question("P"));
    world.pass(PUSH_AFTER * 2);
    assert_eq!(world.taken().len(), 1);

    // With another access token, no browser of the person's counts.
    let access_tokens = alloc::vec![AccessToken {
        person: "alice".to_owned(),
        token: Secret::from("alices-other-token-9876543210"),
    }];
    let config = RelayConfig { access_tokens, ..config() };
    let store = Rc::clone(&world.store);
    let mut other = World::on_store(config, &keys(), store, world.hand.now);
    other.hear(&mut world);
    let found = other.get("/v1/push/subscriptions", "alices-other-token-9876543210").1;
    assert_eq!(found["subscriptions"].as_array().map(Vec::len), Some(1), "its row is still there");

    world.links_alive(BROWSER_TOKEN_LIFE.min(Duration::from_secs(1)));
    world.hand.now.wall = world.hand.now.wall + BROWSER_TOKEN_LIFE;
    assert_eq!(world.get("/v1/push/subscriptions", TOKEN).1, json!({"subscriptions": []}));
}

#[test]
fn another_relay_on_the_same_store_does_not_tell_it_twice() {
    let mut world = World::new();
    let mut other = world.beside();
    world.with_push(&subscription(ENDPOINT));
    let (_, taken, op) = world.running();
    world.lines(op, &question("P"));
    other.hear(&mut world);
    world.pass(PUSH_AFTER * 2);
    other.pass(PUSH_AFTER * 2);
    assert_eq!((world.taken().len(), other.taken().len()), (1, 0));
    // The one that has told it takes it back, wherever it is answered.
    other.allow(&taken.session, "P");
    world.hear(&mut other);
    assert_eq!(world.taken()[0]["kind"], "over");
}

/// Until a minute after midnight, which is when the tests begin.
fn quiet_for_a_minute() -> Value {
    let mut body = subscription(ENDPOINT);
    body["preferences"] = json!({"quiet": {"from": 1380, "until": 1, "offset": 0}});
    body
}

#[test]
fn what_still_waits_when_quiet_hours_end_is_told_in_one_message_and_taken_back_as_one() {
    let mut world = World::new();
    world.with_push(&quiet_for_a_minute());
    let (worker, taken, op) = world.running();
    for id in ["P", "Q", "R"] {
        world.lines(op, &question(id));
    }
    world.pass(PUSH_AFTER * 2);
    world.allow(&taken.session, "P");
    world.links_alive(Duration::from_secs(40));
    assert_eq!(world.taken(), Vec::<Value>::new(), "it is quiet, and nothing is to be taken back");
    assert_eq!(world.about(&worker, &taken, "heartbeat").0, 200);
    world.links_alive(Duration::from_secs(10));
    let told = world.taken();
    let expected = json!({"kind": "waited", "tag": "quiet", "questions": 2, "turns": 0, "failed": 0,
                          "session": taken.session, "waiting": 2});
    assert_eq!(told, [expected]);
    world.links_alive(Duration::from_secs(20));
    assert_eq!(world.taken(), Vec::<Value>::new(), "once");
    world.allow(&taken.session, "Q");
    assert_eq!(world.taken(), Vec::<Value>::new(), "the other one waits");
    world.allow(&taken.session, "R");
    assert_eq!(world.taken(), [json!({"kind": "over", "tag": "quiet", "waiting": 0})]);
}

#[test]
fn what_was_answered_or_seen_while_it_was_quiet_is_told_nobody() {
    let mut world = World::new();
    world.with_push(&quiet_for_a_minute());
    let (_, taken, op) = world.running();
    world.lines(op, ASSISTANT);
    world.lines(op, RESULT);
    world.pass(PUSH_AFTER * 2);
    let viewer = world.subscribe(&taken.session, 0);
    world.look(viewer, true);
    world.lines(op, &question("P"));
    world.look(viewer, false);
    world.links_alive(PUSH_AFTER * 2);
    world.allow(&taken.session, "P");
    world.links_alive(Duration::from_secs(60));
    assert_eq!(world.taken(), Vec::<Value>::new());
}

#[test]
fn the_end_of_a_turn_waits_for_the_end_of_quiet_hours_and_longer_hours_are_kept() {
    let mut world = World::new();
    world.with_push(&quiet_for_a_minute());
    let (worker, taken, op) = world.running();
    world.lines(op, ASSISTANT);
    world.lines(op, RESULT);
    world.pass(PUSH_AFTER * 2);
    let mut longer = quiet_for_a_minute();
    longer["preferences"]["quiet"]["until"] = json!(2);
    world.with_push(&longer);
    for _ in 0..2 {
        world.links_alive(Duration::from_secs(40));
        assert_eq!(world.about(&worker, &taken, "heartbeat").0, 200);
    }
    assert_eq!(world.taken(), Vec::<Value>::new(), "it is still quiet");
    world.links_alive(Duration::from_secs(30));
    let told = world.taken();
    assert_eq!((told.len(), &told[0]["turns"]), (1, &json!(1)), "{told:?}");
}

#[test]
fn nobody_is_told_later_who_has_turned_notifications_off() {
    let mut world = World::new();
    let id = world.with_push(&quiet_for_a_minute());
    let (_, _, op) = world.running();
    world.lines(op, &question("P"));
    world.pass(PUSH_AFTER * 2);
    let target = format!("/v1/push/subscriptions/{id}");
    let op = world.ask(Method::Delete, &target, TOKEN, &Value::Null);
    assert_eq!(world.answer(op).0, 200);
    world.links_alive(Duration::from_secs(60));
    assert_eq!(world.taken(), Vec::<Value>::new());
}
