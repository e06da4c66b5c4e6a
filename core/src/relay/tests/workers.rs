//! The workers' side: register, poll, lease, end.

use super::*;
use crate::base::limits::SESSIONS_LOST_AFTER;

#[test]
fn a_session_runs_from_creation_to_end() {
    let mut world = World::new();
    assert!(matches!(world.hand.notices.first(), Some(RelayNotice::Listening { .. })));
    let worker = world.register();
    let id = world.create(&worker);
    assert_eq!(world.session(&id)["state"], "queued");
    let (status, item) = world.poll(&worker);
    assert_eq!((status, &item["type"], &item["fence"]), (200, &json!("work"), &json!(1)));
    let secret = item["secret"].as_str().expect("a secret");
    let secret = crate::wire::work_secret::WorkSecret::decode(secret).expect("a work secret");
    assert_eq!(secret.api_base_url.as_deref(), Some("http://127.0.0.1:8787"));
    assert!(secret.session_ingress_token.reveal().starts_with("sk-ant-si-"));

    let taken = taken(&item);
    assert_eq!(world.about(&worker, &taken, "ack").0, 200);
    assert_eq!(world.session(&id)["state"], "starting");
    let op = world.link(&taken, 0, 0);
    let session = world.session(&id);
    assert_eq!((&session["state"], &session["connected"]), (&json!("running"), &json!(true)));
    world.lines(op, "{\"type\":\"assistant\"}\n{\"type\":\"result\"}\n");
    assert_eq!(world.received(op).last().expect("an ack")["frame"]["received"], 2);
    let heartbeat = json!({"lease_extended": true, "state": "running", "lease_seconds": 60});
    assert_eq!(world.about(&worker, &taken, "heartbeat"), (200, heartbeat));

    let stopped = (200, json!({"state": "stopped"}));
    assert_eq!(world.stop_work(&worker, &taken, "completed"), stopped);
    assert_eq!(world.stop_work(&worker, &taken, "failed"), stopped, "repeating it is fine");
    let session = world.session(&id);
    assert_eq!(session["result"]["status"], "completed", "the first result counts");
    let states: Vec<_> = world.events(&id).iter().map(|e| e["message"]["state"].clone()).collect();
    let expected = [json!("queued"), json!("starting"), json!("running"), Value::Null, Value::Null];
    assert_eq!((&states[..5], &states[5]), (&expected[..], &json!("ended")));
}

#[test]
fn a_held_poll_is_woken_by_work_and_ended_by_its_time_limit() {
    let mut world = World::new();
    let worker = world.register();
    let first = world.poll_waiting(&worker, "wait=20", "a");
    world.pass(Duration::from_secs(19));
    assert!(!world.replies.contains_key(&first));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.answer(first).0, 204);

    let capped = world.poll_waiting(&worker, "respond-async, wait=9999", "b");
    world.pass(Duration::from_secs(49));
    assert!(!world.replies.contains_key(&capped));
    let id = world.create(&worker);
    let (status, item) = world.answer(capped);
    assert_eq!((status, item["data"]["id"].as_str()), (200, Some(&*id)));
}

#[test]
fn a_client_that_left_gets_no_lease() {
    let mut world = World::new();
    let worker = world.register();
    let gone = world.poll_waiting(&worker, "wait=50", "a");
    world.deliver(Event::Closed { op: gone, code: None, failure: None });
    world.create(&worker);
    assert_eq!(world.poll(&worker).1["fence"], 1, "the first lease is this one");

    // It leaves while the store is working: the next poll gets the item immediately.
    world.create(&worker);
    world.holds_store = true;
    let gone = world.poll_waiting(&worker, "wait=50", "b");
    world.deliver(Event::Closed { op: gone, code: None, failure: None });
    world.release_store();
    assert_eq!(world.poll(&worker).0, 200);
}

#[test]
fn the_same_key_gives_the_same_item_within_its_lease() {
    let mut world = World::new();
    let worker = world.register();
    world.create(&worker);
    world.create(&worker);
    let claim = |world: &mut World, key: &str| {
        let op = world.poll_waiting(&worker, "wait=0", key);
        world.answer(op)
    };
    let (_, first) = claim(&mut world, "a");
    let (_, again) = claim(&mut world, "a");
    assert_eq!((&first["id"], &first["fence"]), (&again["id"], &again["fence"]));
    let (_, second) = claim(&mut world, "b");
    assert_ne!(first["id"], second["id"]);
    assert_eq!(claim(&mut world, "c").0, 204);
}

#[test]
fn what_is_not_acked_is_handed_out_again_and_the_old_lease_is_lost() {
    let mut world = World::new();
    let worker = world.register();
    world.create(&worker);
    let (_, item) = world.poll(&worker);
    let old = taken(&item);
    world.pass(Duration::from_secs(29));
    assert_eq!(world.poll(&worker).0, 204);
    world.pass(Duration::from_secs(1));
    let new = taken(&world.poll(&worker).1);
    assert_eq!((new.fence, &new.work), (2, &old.work));
    for call in ["ack", "heartbeat"] {
        let (status, error) = world.about(&worker, &old, call);
        assert_eq!((status, &error["error"]["type"]), (409, &json!("lease_lost")));
    }
    assert_eq!(world.stop_work(&worker, &old, "completed").0, 409);
    assert_eq!(world.about(&worker, &new, "ack").0, 200);
    let target = format!("/v1/session_ingress/ws/{}", old.session);
    let op = world.websocket(&target, &old.token, "footbridge.link.v1");
    assert_eq!(world.answer(op).1["error"]["type"], "lease_lost");
}

#[test]
fn a_lease_that_is_not_renewed_expires_and_a_worker_back_in_time_keeps_it() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    let taken = world.take(&worker);
    for _ in 0..5 {
        world.pass(Duration::from_secs(50));
        assert_eq!(world.about(&worker, &taken, "heartbeat").0, 200);
    }
    world.pass(Duration::from_secs(61));
    assert_eq!(world.session(&id)["state"], "queued");
    // Nobody else has it: the worker that comes back still has it.
    assert_eq!(world.about(&worker, &taken, "heartbeat").0, 200);
    assert_eq!(world.poll(&worker).0, 204);
    world.pass(Duration::from_secs(61));
    assert_eq!(world.poll(&worker).1["fence"], 2);
    assert_eq!(world.about(&worker, &taken, "heartbeat").0, 409);
}

#[test]
fn no_lease_runs_out_because_the_relay_was_stopped() {
    let mut world = World::new();
    let (worker, taken, _) = world.running();
    let held = world.poll_waiting(&worker, "wait=50", "a");
    world.pass(Duration::from_secs(10));
    // Stopped, then continued: its clocks went on, and what its workers sent waits for it.
    world.hand.pass(Duration::from_secs(70));
    world.deliver(Event::Tick);
    assert_eq!(world.answer(held).0, 204, "the session is not handed out again");
    assert_eq!(world.session(&taken.session)["state"], "running");
    assert_eq!(world.about(&worker, &taken, "heartbeat").0, 200);
    // From then on, time counts again.
    world.pass(Duration::from_secs(61));
    assert_eq!(world.session(&taken.session)["state"], "queued");
}

#[test]
fn a_running_session_whose_lease_has_expired_shows_that_it_waits_for_its_worker() {
    let mut world = World::new();
    let (worker, taken, _) = world.running();
    world.links_alive(Duration::from_secs(61));
    assert_eq!(world.session(&taken.session)["state"], "queued");
    // Its worker is back with the old lease, and its link never broke.
    assert_eq!(world.about(&worker, &taken, "heartbeat").0, 200);
    assert_eq!(world.session(&taken.session)["state"], "running");
    world.links_alive(Duration::from_secs(61));
    let again = world.take(&worker);
    assert_eq!(world.session(&taken.session)["state"], "starting");
    world.link(&again, 0, 0);
    assert_eq!(world.session(&taken.session)["state"], "running");
}

#[test]
fn a_running_session_is_dispatched_again_with_a_fresh_token() {
    let mut world = World::new();
    let (worker, old, link) = world.running();
    world.pass(Duration::from_secs(30));
    let target =
        format!("/v1/environments/{}/sessions/{}/redispatch", worker.environment, old.session);
    for _ in 0..2 {
        let queued = (200, json!({"state": "queued"}));
        assert_eq!(world.post(&target, &worker.secret, &Value::Null), queued);
    }
    assert_eq!(world.about(&worker, &old, "heartbeat").0, 200, "until the new item is taken");
    let new = world.take(&worker);
    assert_eq!((&new.session, new.fence), (&old.session, 2));
    assert_ne!(new.work, old.work);
    assert_eq!(world.poll(&worker).0, 204, "it was queued once");
    assert_eq!(world.about(&worker, &old, "heartbeat").0, 409);
    world.lines(link, "{\"type\":\"a\"}\n");
    let ack = json!({"frame": {"type": "ack", "received": 1}});
    assert_eq!(world.received(link).last(), Some(&ack), "the open link continues");
    let newer = world.link(&new, 0, 0);
    assert_eq!(world.streams[&link].closed, Some(4409));
    assert_eq!(world.received(newer)[0]["frame"]["received"], 1);
    assert_eq!(world.stop_work(&worker, &new, "completed").0, 200);
}

#[test]
fn an_expired_token_is_distinguished_from_a_bad_one() {
    let mut world = World::new();
    let (worker, taken, link) = world.running();
    world.hand.now.wall = world.hand.now.wall + Duration::from_secs(4 * 3600);
    world.send_frame(link, &ControlFrame::Ping);
    assert_eq!(world.session(&taken.session)["state"], "running", "a clock step ends no lease");
    let (status, error) = world.about(&worker, &taken, "heartbeat");
    assert_eq!((status, &error["error"]["type"]), (401, &json!("token_expired")));
    let op = world.ingress(&taken);
    assert_eq!(world.answer(op).1["error"]["type"], "token_expired");
}

#[test]
fn a_silent_environment_goes_offline_and_after_a_week_lapses_with_its_sessions() {
    let mut world = World::new();
    let worker = world.register();
    let idle = world.register();
    let running = world.create(&worker);
    let taken = world.take(&worker);
    let queued = world.create(&worker);
    let target = format!("/v1/environments/{}", worker.environment);
    world.pass(Duration::from_secs(89));
    assert_eq!(world.get(&target, TOKEN).1["online"], true);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.get(&target, TOKEN).1["online"], false);
    world.pass(Duration::from_secs(510));
    let of_idle = format!("/v1/environments/{}", idle.environment);
    assert_eq!(world.get(&of_idle, TOKEN).0, 404, "there is nothing to wait for");
    world.pass(SESSIONS_LOST_AFTER - Duration::from_secs(602));
    for id in [&running, &queued] {
        assert_eq!(world.session(id)["state"], "queued");
    }
    world.pass(Duration::from_secs(1));
    assert_eq!(world.get(&target, TOKEN).0, 404);
    for id in [running, queued] {
        assert_eq!(world.session(&id)["result"]["status"], "lost");
    }
    let (status, error) = world.about(&worker, &taken, "heartbeat");
    assert_eq!((status, &error["error"]["type"]), (404, &json!("environment_unknown")));
}

#[test]
fn a_machine_that_slept_for_days_goes_on_where_it_was() {
    let mut world = World::new();
    let (worker, taken, link) = world.running();
    world.deliver(Event::Closed { op: link, code: None, failure: None });
    let (status, accepted) = world.say(&taken.session, "meanwhile");
    assert_eq!(status, 200, "{accepted}");
    world.pass(Duration::from_secs(3 * 24 * 60 * 60));
    let (status, item) = world.poll(&worker);
    assert_eq!((status, &item["data"]["id"]), (200, &json!(taken.session)));
    assert_eq!(world.session(&taken.session)["result"], Value::Null);
}

#[test]
fn once_its_last_session_was_stopped_a_silent_environment_is_not_waited_for() {
    let mut world = World::new();
    let (worker, taken, link) = world.running();
    world.deliver(Event::Closed { op: link, code: None, failure: None });
    world.pass(Duration::from_secs(3600));
    let stop = format!("/v1/sessions/{}/stop", taken.session);
    assert_eq!(world.post(&stop, TOKEN, &Value::Null).0, 200);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.session(&taken.session)["state"], "ended");
    let target = format!("/v1/environments/{}", worker.environment);
    assert_eq!(world.get(&target, TOKEN).0, 404);
}

#[test]
fn only_its_owner_can_register_an_environment_again() {
    let mut world = World::new();
    let worker = world.register();
    let body = json!({"machine_name": "new", "directory": "/", "max_sessions": 1,
        "environment_id": worker.environment});
    let (_, again) = world.post("/v1/environments/bridge", TOKEN, &body);
    assert_eq!(again["environment_id"], worker.environment.as_str());
    assert_eq!(again["environment_secret"], worker.secret.as_str());
    let (_, other) = world.post("/v1/environments/bridge", BOB, &body);
    assert_ne!(other["environment_id"], worker.environment.as_str());
}

#[test]
fn deregistering_ends_sessions_and_held_polls() {
    let mut world = World::new();
    let (worker, taken, _) = world.running();
    let poll = world.poll_waiting(&worker, "wait=50", "a");
    let target = format!("/v1/environments/{}/stop", worker.environment);
    let stopped = (200, json!({"state": "stopped"}));
    assert_eq!(world.post(&target, &worker.secret, &Value::Null), stopped);
    assert_eq!(world.answer(poll).0, 404);
    assert_eq!(world.session(&taken.session)["result"]["status"], "failed");
    assert_eq!(world.get("/v1/environments", TOKEN), (200, json!({"environments": []})));
}

#[test]
fn an_old_key_does_not_get_the_lease_of_another_claim() {
    let mut world = World::new();
    let worker = world.register();
    world.create(&worker);
    let claim = |world: &mut World, key: &str| {
        let op = world.poll_waiting(&worker, "wait=0", key);
        world.answer(op)
    };
    assert_eq!(claim(&mut world, "a").1["fence"], 1);
    world.pass(Duration::from_secs(30));
    assert_eq!(claim(&mut world, "b").1["fence"], 2, "not acked in time");
    assert_eq!(claim(&mut world, "a").0, 204);
    assert_eq!(claim(&mut world, "b").1["fence"], 2);
}

#[test]
fn of_two_items_of_one_session_one_is_handed_out() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    let redispatch = format!("/v1/environments/{}/sessions/{id}/redispatch", worker.environment);
    // The client of the first one leaves, with the item in flight to it and a newer one queued.
    world.holds_store = true;
    let gone = world.poll_waiting(&worker, "wait=50", "a");
    let newer = world.ask(Method::Post, &redispatch, &worker.secret, &Value::Null);
    world.deliver(Event::Closed { op: gone, code: None, failure: None });
    world.release_store();
    assert_eq!(world.answer(newer).0, 200);
    assert_eq!(world.poll(&worker).1["fence"], 2);
    assert_eq!(world.poll(&worker).0, 204);
}

#[test]
fn a_late_heartbeat_of_a_replaced_item_is_not_told_that_the_session_has_ended() {
    let mut world = World::new();
    let (worker, old, _) = world.running();
    let target =
        format!("/v1/environments/{}/sessions/{}/redispatch", worker.environment, old.session);
    assert_eq!(world.post(&target, &worker.secret, &Value::Null).0, 200);
    world.pass(Duration::from_secs(61));
    assert_eq!(world.about(&worker, &old, "heartbeat").1["error"]["type"], "lease_lost");
    assert_eq!(world.poll(&worker).1["fence"], 2);
}

#[test]
fn the_links_of_a_removed_environment_are_closed_immediately() {
    type Way = fn(&mut World, &Worker);
    let deregister = |world: &mut World, worker: &Worker| {
        let target = format!("/v1/environments/{}/stop", worker.environment);
        assert_eq!(world.post(&target, &worker.secret, &Value::Null).0, 200);
    };
    let lapse = |world: &mut World, _: &Worker| world.links_alive(Duration::from_secs(601));
    let mut config = config();
    config.policy.lost_after = config.policy.lapse_after;
    let ways: [(Way, &str); 2] = [(deregister, "failed"), (lapse, "lost")];
    for (way, status) in ways {
        let mut world = World::with(config.clone());
        let (worker, taken, link) = world.running();
        let viewer = world.subscribe(&taken.session, 0);
        world.received(viewer);
        way(&mut world, &worker);
        assert_eq!(world.streams[&link].closed, Some(4404), "{status}");
        let came = world.received(viewer);
        let told = came.iter().rfind(|frame| frame["type"] == "session").expect("a session");
        let session = &told["session"];
        assert_eq!((&session["state"], &session["connected"]), (&json!("ended"), &json!(false)));
        assert_eq!(session["result"]["status"], status);
        assert_eq!(world.streams[&viewer].closed, None, "its log can still be read");
    }
}

#[test]
fn a_person_can_stop_a_session_in_any_state() {
    let mut world = World::new();
    let worker = world.register();
    let queued = world.create(&worker);
    let stop = |world: &mut World, id: &str| {
        world.post(&format!("/v1/sessions/{id}/stop"), TOKEN, &Value::Null)
    };
    let (_, session) = stop(&mut world, &queued);
    assert_eq!(session["result"]["status"], "interrupted");
    assert_eq!(world.poll(&worker).0, 204);

    let id = world.create(&worker);
    let taken = world.take(&worker);
    let link = world.link(&taken, 0, 0);
    world.received(link);
    let (_, session) = stop(&mut world, &id);
    assert_eq!((&session["state"], &session["stopping"]), (&json!("running"), &json!(true)));
    assert_eq!(world.received(link), [json!({"frame": {"type": "stop"}})]);
    assert_eq!(world.about(&worker, &taken, "heartbeat").1["state"], "stopping");
    let again = world.link(&taken, 0, 0);
    assert!(world.received(again).contains(&json!({"frame": {"type": "stop"}})));
    assert_eq!(world.stop_work(&worker, &taken, "interrupted").0, 200);
    assert_eq!(world.session(&id)["stopping"], false);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.streams[&again].closed, Some(1000), "a lingering link is closed");
}

#[test]
fn a_program_that_is_one_session_makes_that_and_nobody_gets_another_there() {
    for kind in ["footbridge_bridge", "footbridge_assistant"] {
        let mut world = World::new();
        let body = json!({
            "machine_name": "laptop", "directory": "/home/me", "max_sessions": 1,
            "metadata": {"worker_type": kind},
        });
        let (status, answer) = world.post("/v1/environments/bridge", TOKEN, &body);
        assert_eq!(status, 200, "{answer}");
        let create = json!({"environment_id": answer["environment_id"]});
        let mut ask = |key: &str| {
            let headers = [("idempotency-key", key)];
            let op = world.ask_with(Method::Post, "/v1/sessions", TOKEN, &create, &headers);
            world.answer(op)
        };
        let (status, refused) = ask("a-person");
        assert_eq!((status, &refused["error"]["type"]), (409, &json!("one_session")));
        let words = refused["error"]["message"].as_str().expect("what to do");
        assert!(words.contains("footbridge worker"), "{words}");
        let (status, made) = ask("own-run-0");
        assert_eq!(status, 201, "{made}");
        assert_eq!(ask("own-run-0").1["id"], made["id"]);
        assert_eq!(ask("another").0, 409, "once it is there, too");
        let (status, refused) = world.post("/v1/sessions", TOKEN, &create);
        assert_eq!((status, &refused["error"]["type"]), (409, &json!("one_session")));
    }
}

#[test]
fn limits_say_when_to_try_again() {
    let mut config = config();
    config.policy.max_environments = 1;
    config.policy.max_queued = 2;
    config.policy.max_sessions = 3;
    let mut world = World::with(config);
    let worker = world.register();
    let body = json!({"machine_name": "m", "directory": "/", "max_sessions": 1});
    assert_eq!(world.post("/v1/environments/bridge", TOKEN, &body).0, 429);
    world.create(&worker);
    world.create(&worker);
    let body = json!({"environment_id": worker.environment});
    let op = world.ask(Method::Post, "/v1/sessions", TOKEN, &body);
    let response = world.replies.remove(&op).expect("an answer");
    assert_eq!((response.status, response.header("retry-after")), (429, Some("10")));
    world.take(&worker);
    world.create(&worker);
    world.take(&worker);
    assert_eq!(world.post("/v1/sessions", TOKEN, &body).0, 429);
}

#[test]
fn a_running_session_gets_its_new_lease_however_many_are_queued() {
    let mut config = config();
    config.policy.max_queued = 2;
    let mut world = World::with(config);
    let worker = world.register();
    let id = world.create(&worker);
    world.take(&worker);
    world.create(&worker);
    world.create(&worker);
    let redispatch = format!("/v1/environments/{}/sessions/{id}/redispatch", worker.environment);
    assert_eq!(world.post(&redispatch, &worker.secret, &Value::Null).0, 200);
    assert_eq!(world.take(&worker).session, id);
}

#[test]
fn an_environment_that_came_back_goes_offline_again_as_quickly_as_before() {
    let mut world = World::new();
    let worker = world.register();
    let target = format!("/v1/environments/{}", worker.environment);
    for _ in 0..2 {
        world.poll(&worker);
        assert_eq!(world.get(&target, TOKEN).1["online"], true);
        world.pass(Duration::from_secs(91));
        assert_eq!(world.get(&target, TOKEN).1["online"], false);
    }
}

#[test]
fn whoever_waits_for_a_worker_that_drains_is_told_so_until_it_registers_again() {
    let mut world = World::new();
    let (worker, running, _) = world.running();
    let queued = world.create(&worker);
    let overview = world.websocket("/v1/overview/ws", TOKEN, "");
    let watched = world.subscribe(&queued, 0);
    world.received(overview);
    world.received(watched);
    let target = format!("/v1/environments/{}/drain", worker.environment);
    for _ in 0..2 {
        let answer = world.post(&target, &worker.secret, &json!({}));
        assert_eq!(answer, (200, json!({"state": "draining"})));
    }
    let told = world.received(overview);
    let is_told = |frame: &&Value| frame["environment"]["draining"] == true;
    assert_eq!(told.iter().filter(is_told).count(), 1, "once: {told:?}");
    let told = world.received(watched);
    let last = told.iter().rfind(|frame| frame["type"] == "session").expect("it was announced");
    assert_eq!(last["session"]["worker_draining"], true);
    assert_eq!(world.session(&running.session)["worker_draining"], false, "it runs");
    let later = world.create(&worker);
    assert_eq!(world.session(&later)["worker_draining"], true);
    let (status, _) = world.post(&target, TOKEN, &json!({}));
    assert_eq!(status, 403, "a person stops a worker where it runs");

    let again = json!({"machine_name": "laptop", "directory": "/home/me/project", "max_sessions": 32,
                       "environment_id": worker.environment});
    assert_eq!(world.post("/v1/environments/bridge", TOKEN, &again).0, 200);
    let (_, environment) = world.get(&format!("/v1/environments/{}", worker.environment), TOKEN);
    assert_eq!(environment["draining"], false);
    for session in [&queued, &later] {
        assert_eq!(world.session(session)["worker_draining"], false);
    }
}
