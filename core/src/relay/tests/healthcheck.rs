//! A person checks whether a worker responds (W-11).

use super::*;

impl World {
    fn ask_healthcheck(&mut self, worker: &Worker, token: &str, key: &str) -> (u16, Value) {
        let target = format!("/v1/environments/{}/healthcheck", worker.environment);
        let headers = [("idempotency-key", key)];
        let op = self.ask_with(Method::Post, &target, token, &Value::Null, &headers);
        self.answer(op)
    }

    fn last_healthcheck(&mut self, worker: &Worker) -> Value {
        let target = format!("/v1/environments/{}", worker.environment);
        self.get(&target, TOKEN).1["last_healthcheck"].clone()
    }

    fn answer_healthcheck(&mut self, worker: &Worker, taken: &Taken) -> (u16, Value) {
        let target = format!("/v1/environments/{}/work/{}/stop", worker.environment, taken.work);
        self.post(&target, &worker.secret, &json!({"fence": taken.fence}))
    }
}

#[test]
fn a_healthcheck_goes_ahead_of_sessions_and_its_answer_is_shown() {
    let mut world = World::new();
    let worker = world.register();
    world.create(&worker);
    assert_eq!(world.last_healthcheck(&worker), Value::Null);
    let overview = world.websocket("/v1/overview/ws", TOKEN, "");
    world.received(overview);
    let (status, environment) = world.ask_healthcheck(&worker, TOKEN, "a");
    let asked_at = environment["last_healthcheck"]["asked_at"].clone();
    assert_eq!((status, asked_at.is_string()), (202, true), "{environment}");
    assert_eq!(environment["last_healthcheck"]["answered_at"], Value::Null);
    assert_eq!(
        world.received(overview)[0]["environment"]["last_healthcheck"]["asked_at"],
        asked_at
    );

    let (_, item) = world.poll(&worker);
    assert_eq!((&item["data"]["type"], &item["data"]["id"]), (&json!("healthcheck"), &item["id"]));
    let taken = taken(&item);
    assert_eq!(world.about(&worker, &taken, "ack"), (200, json!({"state": "acked"})));
    assert_eq!(world.about(&worker, &taken, "heartbeat").1["state"], "running");
    world.received(overview);
    world.pass(Duration::from_secs(1));
    for _ in 0..2 {
        let stopped = (200, json!({"state": "stopped"}));
        assert_eq!(world.answer_healthcheck(&worker, &taken), stopped, "repeating it is fine");
        world.pass(Duration::from_secs(1));
    }
    let came = world.received(overview);
    let told: Vec<_> = came.iter().filter(|frame| frame["type"] == "environment").collect();
    assert_eq!(told.len(), 1, "the first answer counts: {came:?}");
    let answered_at = world.last_healthcheck(&worker)["answered_at"].clone();
    assert_eq!(told[0]["environment"]["last_healthcheck"]["answered_at"], answered_at);
    assert!(answered_at.as_str() > asked_at.as_str());
    assert_eq!(world.about(&worker, &taken, "ack").1["error"]["type"], "work_unknown");
    assert_eq!(world.poll(&worker).1["data"]["type"], "session");
}

#[test]
fn one_healthcheck_is_open_at_a_time_and_a_key_requests_one() {
    let mut world = World::new();
    let worker = world.register();
    let poll = world.poll_waiting(&worker, "wait=50", "p");
    world.ask_healthcheck(&worker, TOKEN, "a");
    let (status, item) = world.answer(poll);
    assert_eq!(status, 200, "a held poll is woken");
    world.ask_healthcheck(&worker, TOKEN, "b");
    assert_eq!(world.poll(&worker).0, 204, "one is open already");
    world.answer_healthcheck(&worker, &taken(&item));
    let answered = world.last_healthcheck(&worker);
    for key in ["a", "b"] {
        assert_eq!(world.ask_healthcheck(&worker, TOKEN, key).1["last_healthcheck"], answered);
        assert_eq!(world.poll(&worker).0, 204, "{key} was asked and answered");
    }
    world.ask_healthcheck(&worker, TOKEN, "c");
    let (_, next) = world.poll(&worker);
    assert_ne!(next["id"], item["id"]);
}

#[test]
fn an_unanswered_healthcheck_is_sent_again_and_its_old_lease_is_lost() {
    let mut world = World::new();
    let worker = world.register();
    world.ask_healthcheck(&worker, TOKEN, "a");
    let old = taken(&world.poll(&worker).1);
    world.pass(Duration::from_secs(30));
    let new = taken(&world.poll(&worker).1);
    assert_eq!((&new.work, new.fence), (&old.work, 2), "not acked in time");
    assert_eq!(world.about(&worker, &old, "ack").1["error"]["type"], "lease_lost");
    assert_eq!(world.answer_healthcheck(&worker, &old).0, 409);
    assert_eq!(world.about(&worker, &new, "ack").0, 200);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.last_healthcheck(&worker)["answered_at"], Value::Null);
    let last = taken(&world.poll(&worker).1);
    assert_eq!(last.fence, 3, "acked but not answered");
    assert_eq!(world.answer_healthcheck(&worker, &last).0, 200);

    // The environment lapses along with its healthcheck.
    world.ask_healthcheck(&worker, TOKEN, "b");
    world.pass(Duration::from_secs(601));
    assert_eq!(world.ask_healthcheck(&worker, TOKEN, "c").0, 404);
}

#[test]
fn a_healthchecks_token_opens_only_its_own_item() {
    let mut world = World::new();
    let (worker, session, _) = world.running();
    world.ask_healthcheck(&worker, TOKEN, "a");
    let health = taken(&world.poll(&worker).1);
    let crossed = Taken { work: session.work.clone(), fence: 1, ..taken_as(&health) };
    assert_eq!(world.about(&worker, &crossed, "heartbeat").0, 403);
    let crossed = Taken { session: session.session.clone(), ..taken_as(&health) };
    let op = world.ingress(&crossed);
    assert_eq!(world.answer(op).0, 403);
    let target = format!("/v1/sessions/{}", session.session);
    assert_eq!(world.get(&target, &health.token).0, 403);
}

fn taken_as(taken: &Taken) -> Taken {
    let Taken { session, work, token, fence } = taken;
    let (session, work, token) = (session.clone(), work.clone(), token.clone());
    Taken { session, work, token, fence: *fence }
}

#[test]
fn only_its_owner_may_request_a_healthcheck() {
    let mut world = World::new();
    let worker = world.register();
    let (status, error) = world.ask_healthcheck(&worker, BOB, "a");
    assert_eq!((status, &error["error"]["type"]), (404, &json!("environment_unknown")));
    let unknown = Worker { environment: "env_unknown".to_owned(), secret: String::new() };
    assert_eq!(world.ask_healthcheck(&unknown, TOKEN, "a").0, 404);
    assert_eq!(world.ask_healthcheck(&worker, &worker.secret.clone(), "a").0, 403);
    assert_eq!(world.poll(&worker).0, 204);
}
