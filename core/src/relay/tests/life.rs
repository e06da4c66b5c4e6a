//! The relay's own life: stopping, and failures underneath it.

use super::*;
use crate::base::limits::STORE_FAILURES_REPORTED_EVERY;
use crate::store::StoreOp;

#[test]
fn shutdown_tells_everyone_to_come_back_and_finishes() {
    let mut world = World::new();
    let (worker, taken, link) = world.running();
    let viewer = world.subscribe(&taken.session, 0);
    let poll = world.poll_waiting(&worker, "wait=50", "a");
    world.command(RelayCommand::Shutdown);
    let response = world.replies.remove(&poll).expect("an answer");
    assert_eq!((response.status, response.header("retry-after")), (503, Some("1")));
    assert_eq!(world.streams[&link].closed, Some(1001));
    assert_eq!(world.streams[&viewer].closed, Some(1001));
    assert_eq!(world.hand.outcome, Some(Ok(())));
    assert!(world.accepts.is_empty());
    let mut notices = world.hand.notices.iter();
    assert!(notices.any(|notice| matches!(notice, RelayNotice::ShuttingDown { .. })));
}

#[test]
fn shutdown_does_not_wait_for_a_store_that_hangs() {
    let mut world = World::new();
    world.holds_store = true;
    world.ask(Method::Get, "/v1/sessions", TOKEN, &Value::Null);
    world.command(RelayCommand::Shutdown);
    assert_eq!(world.hand.outcome, None);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.hand.outcome, Some(Ok(())));
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let relay = Relay::new(config(), &keys()).expect("a valid configuration");
    let mut hand = Hand::new(relay, START);
    let op = hand.take("listener", |action| match action {
        Action::Listen { op, .. } => Some(*op),
        _ => None,
    });
    let kind = crate::contract::event::IoErrorKind::InUse;
    let failure = crate::contract::event::IoError { kind, detail: "EADDRINUSE".to_owned() };
    hand.handle(Event::Failed { op, failure });
    let Some(Err(fault)) = hand.outcome else { panic!("it keeps running") };
    assert!(fault.message.contains("127.0.0.1:8787"), "{fault}");
}

#[test]
fn a_failing_store_is_reported_as_unavailable() {
    for target in ["/v1/sessions", "/ready"] {
        let mut world = World::new();
        world.holds_store = true;
        let op = world.ask(Method::Get, target, TOKEN, &Value::Null);
        let (store, _) = world.held.pop_front().expect("an operation");
        let kind = crate::contract::event::IoErrorKind::Full;
        let failure = crate::contract::event::IoError { kind, detail: "disk full".to_owned() };
        world.deliver(Event::Failed { op: store, failure });
        assert_eq!(world.answer(op).0, 503);
        let notice = world.hand.notices.last();
        assert!(matches!(notice, Some(RelayNotice::Answered { status: 503, .. })));
    }
}

#[test]
fn a_session_ends_although_the_store_cannot_keep_that_it_should() {
    let mut world = World::new();
    let (worker, taken, link) = world.running();
    let path = format!("/v1/sessions/{}/stop", taken.session);
    let fail = |world: &mut World| {
        let held: Vec<_> = world.held.drain(..).collect();
        assert!(!held.is_empty(), "an operation");
        for (op, _) in held {
            let kind = crate::contract::event::IoErrorKind::Full;
            let failure = crate::contract::event::IoError { kind, detail: "disk full".to_owned() };
            world.deliver(Event::Failed { op, failure });
        }
    };
    world.holds_store = true;
    let op = world.ask(Method::Post, &path, TOKEN, &Value::Null);
    fail(&mut world);
    world.release_store();
    let (status, session) = world.answer(op);
    assert_eq!((status, &session["stopping"]), (202, &json!(true)));
    assert_eq!(world.received(link), [json!({"frame": {"type": "stop"}})]);
    assert_eq!(world.about(&worker, &taken, "heartbeat").1["state"], "stopping");
    assert_eq!(world.session(&taken.session)["stopping"], true);
    // It is stored once the store takes it.
    world.holds_store = true;
    world.pass(Duration::from_secs(1));
    fail(&mut world);
    world.release_store();
    world.pass(Duration::from_secs(1));
    let events = world.events(&taken.session);
    assert_eq!(world.session(&taken.session)["stopping"], true, "{events:?}");
    let asked = world.get("/v1/audit", TOKEN).1["entries"].to_string();
    assert!(asked.contains("session_stopped"), "{asked}");
}

#[test]
fn nobody_ends_the_session_of_another_person_while_the_store_fails() {
    let mut world = World::new();
    let (_, _, link) = world.running();
    world.holds_store = true;
    let op = world.ask(Method::Post, "/v1/sessions/session_x/stop", TOKEN, &Value::Null);
    let (store, _) = world.held.pop_front().expect("an operation");
    let kind = crate::contract::event::IoErrorKind::Full;
    let failure = crate::contract::event::IoError { kind, detail: "disk full".to_owned() };
    world.deliver(Event::Failed { op: store, failure });
    world.release_store();
    assert_eq!(world.answer(op).0, 404);
    assert!(world.received(link).is_empty());
}

#[test]
fn a_relay_is_ready_once_its_store_has_taken_as_much_as_it_refused() {
    let mut world = World::new();
    let (_, taken, _) = world.running();
    let kind = crate::contract::event::IoErrorKind::Full;
    let failure = crate::contract::event::IoError { kind, detail: "/data: disk full".to_owned() };
    let long = "x".repeat(100_000);
    world.pass(Duration::from_secs(2));
    world.holds_store = true;
    let body = json!({"messages": [{"type": "user", "uuid": "u", "text": long}]});
    let target = format!("/v1/sessions/{}/messages", taken.session);
    let posted = world.ask(Method::Post, &target, TOKEN, &body);
    let (store, _) = world.held.pop_front().expect("an operation");
    world.deliver(Event::Failed { op: store, failure: failure.clone() });
    let (status, answer) = world.answer(posted);
    assert_eq!((status, &answer["error"]["type"]), (503, &json!("store_failed")));
    assert!(answer["error"]["message"].as_str().is_some_and(|m| m.contains("/data: disk full")));

    // Something small is still taken.
    world.holds_store = false;
    world.post(&format!("/v1/sessions/{}/interrupt", taken.session), TOKEN, &Value::Null);
    world.holds_store = true;
    let ready = world.ask(Method::Get, "/ready", "", &Value::Null);
    let (store, asked) = world.held.pop_front().expect("an operation");
    assert!(matches!(*asked.op, StoreOp::Prove { bytes } if bytes >= long.len()));
    world.deliver(Event::Failed { op: store, failure });
    let (status, answer) = world.answer(ready);
    let message = answer["error"]["message"].as_str().expect("a reason").to_owned();
    assert!(status == 503 && message.contains("full") && !message.contains("/data"), "{message}");
    world.holds_store = false;
    assert_eq!(world.get("/ready", "").0, 503, "it was tried just now");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.get("/ready", "").0, 200);
}

/// A relay starts in place of the previous one, over the same store; its clocks start over.
pub(super) fn restarted(before: World, entropy: u8, wall: u64) -> World {
    let keys = RelayKeys { entropy: [entropy; 32], ..keys() };
    let now = Now { mono: Instant::ORIGIN, wall: UnixTime::from_millis(wall) };
    World::on_store(config(), &keys, before.store, now)
}

#[test]
fn a_restart_leaves_a_lease_its_remaining_time_whatever_the_wall_clock_shows() {
    let day = 24 * 60 * 60 * 1000;
    let noon = 1_767_225_600_000;
    for wall in [noon, noon - 10 * day, noon + 10 * day, 0] {
        let mut world = World::new();
        let (worker, taken, _) = world.running();
        world.links_alive(Duration::from_secs(40));
        for restart in 3..6 {
            world = restarted(world, restart, wall);
            world.pass(Duration::from_secs(5));
            assert_eq!(world.session(&taken.session)["state"], "running", "{wall}");
        }
        // Of 60 s, 40 passed before the restarts and 15 between them, not counting idle time.
        world.pass(Duration::from_secs(5));
        assert_eq!(world.poll(&worker).0, 204, "{wall}");
        world.pass(Duration::from_secs(40));
        let again = world.poll(&worker).1;
        assert_eq!((&again["data"]["id"], &again["fence"]), (&json!(taken.session), &json!(2)));
    }
}

#[test]
fn viewers_learn_that_a_worker_is_gone_even_if_the_store_fails_at_first() {
    let mut world = World::new();
    let (_, taken, link) = world.running();
    let viewer = world.subscribe(&taken.session, 0);
    world.received(viewer);
    world.holds_store = true;
    world.deliver(Event::Closed { op: link, code: None, failure: None });
    let (op, _) = world.held.pop_front().expect("the session is read");
    let kind = crate::contract::event::IoErrorKind::Full;
    let failure = crate::contract::event::IoError { kind, detail: "no space left".to_owned() };
    world.deliver(Event::Failed { op, failure });
    world.holds_store = false;
    assert!(world.received(viewer).is_empty(), "nothing is known yet");
    world.pass(Duration::from_secs(1));
    let came = world.received(viewer);
    assert_eq!(came.last().expect("an update")["session"]["connected"], false);
}

#[test]
fn a_store_that_keeps_failing_is_reported_once_a_minute_with_a_count() {
    let mut world = World::new();
    let (_, taken, _) = world.running();
    let fail_once = |world: &mut World| {
        world.holds_store = true;
        let path = format!("/v1/sessions/{}", taken.session);
        let asked = world.ask(Method::Get, &path, TOKEN, &Value::Null);
        let (op, _) = world.held.pop_front().expect("the session is read");
        let kind = crate::contract::event::IoErrorKind::Full;
        let failure = crate::contract::event::IoError { kind, detail: "no space left".to_owned() };
        world.deliver(Event::Failed { op, failure });
        world.holds_store = false;
        assert_eq!(world.answer(asked).0, 503);
    };
    let reported = |world: &World| -> Vec<u64> {
        let notices = world.hand.notices.iter();
        let times = notices.filter_map(|notice| match notice {
            RelayNotice::StoreFailed { times, .. } => Some(*times),
            _ => None,
        });
        times.collect()
    };
    for _ in 0..40 {
        fail_once(&mut world);
    }
    assert_eq!(reported(&world), [1]);
    world.pass(STORE_FAILURES_REPORTED_EVERY);
    fail_once(&mut world);
    assert_eq!(reported(&world), [1, 40]);
}
