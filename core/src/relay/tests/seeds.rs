//! A worker written only from E and S of the specification: it knows no fences, no subprotocol and
//! no control frames.

use super::*;
use crate::base::limits::LINK_WINDOW_LINES;

/// It speaks HTTP and plain NDJSON.
struct SeedWorker {
    environment: String,
    secret: String,
}

/// A session it is running.
struct SeedSession {
    item: String,
    id: String,
    token: String,
}

impl SeedWorker {
    fn register(world: &mut World) -> Self {
        let body = json!({"machine_name": "laptop", "directory": "/home/me", "branch": "main",
            "git_repo_url": null, "max_sessions": 1, "metadata": {"worker_type": "seed"}});
        let (status, answer) = world.post("/v1/environments/bridge", TOKEN, &body);
        assert_eq!(status, 200, "{answer}");
        let text = |key: &str| answer[key].as_str().expect(key).to_owned();
        Self { environment: text("environment_id"), secret: text("environment_secret") }
    }

    /// Polls once, and acks what it gets.
    fn next_session(&self, world: &mut World) -> Option<SeedSession> {
        let poll = format!("/v1/environments/{}/work/poll", self.environment);
        let (status, item) = world.get(&poll, &self.secret);
        if status == 204 {
            return None;
        }
        let secret = URL_SAFE_NO_PAD.decode(item["secret"].as_str()?).ok()?;
        let secret: Value = serde_json::from_slice(&secret).ok()?;
        assert_eq!((&secret["version"], &item["data"]["type"]), (&json!(1), &json!("session")));
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let session = SeedSession {
            item: text(&item["id"])?,
            id: text(&item["data"]["id"])?,
            token: text(&secret["session_ingress_token"])?,
        };
        assert_eq!(self.call(world, &session, "ack").0, 200);
        Some(session)
    }

    fn call(&self, world: &mut World, session: &SeedSession, call: &str) -> (u16, Value) {
        let path = format!("/v1/environments/{}/work/{}/{call}", self.environment, session.item);
        world.post(&path, &session.token, &Value::Null)
    }

    fn open(&self, world: &mut World, session: &SeedSession) -> OpId {
        let path = format!("/v2/session_ingress/ws/{}", session.id);
        world.websocket(&path, &session.token, "")
    }

    fn stop(&self, world: &mut World, session: &SeedSession) -> (u16, Value) {
        let path = format!("/v1/environments/{}/work/{}/stop", self.environment, session.item);
        world.post(&path, &self.secret, &json!({"force": false}))
    }
}

/// What the agent would read: each message is one line, and nothing else ever arrives.
fn stdin(world: &mut World, op: OpId) -> Vec<Value> {
    let came = world.received(op);
    assert!(came.iter().all(|line| line.get("frame").is_none()), "a control frame: {came:?}");
    came
}

#[test]
fn a_worker_that_knows_only_the_basics_runs_a_session() {
    let mut world = World::new();
    let worker = SeedWorker::register(&mut world);
    assert!(worker.next_session(&mut world).is_none());
    let body = json!({"environment_id": worker.environment});
    let (_, made) = world.post("/v1/sessions", TOKEN, &body);
    let id = made["id"].as_str().expect("an id").to_owned();
    world.say(&id, "hello");

    let session = worker.next_session(&mut world).expect("a session");
    assert_eq!(session.id, id);
    let link = worker.open(&mut world, &session);
    assert_eq!(world.streams[&link].protocol, None);
    assert_eq!(stdin(&mut world, link)[0]["message"]["content"], "hello");
    assert_eq!(world.session(&id)["connected"], true);
    assert_eq!(world.session(&id)["state"], "running");

    let heartbeat = worker.call(&mut world, &session, "heartbeat");
    assert_eq!((heartbeat.0, &heartbeat.1["lease_extended"]), (200, &json!(true)));

    world.lines(link, &question("q1"));
    let answer = json!({"request_id": "q1", "behavior": "allow"});
    assert_eq!(world.post(&format!("/v1/sessions/{id}/permission"), TOKEN, &answer).0, 200);
    let answers = stdin(&mut world, link);
    assert_eq!(answers[0]["response"]["response"]["behavior"], "allow");
    world.lines(link, r#"{"type":"result","subtype":"success"}"#);

    let target = format!("/v1/sessions/{id}/stop");
    assert_eq!(world.post(&target, TOKEN, &Value::Null).0, 200);
    assert_eq!(stdin(&mut world, link), Vec::<Value>::new());
    assert_eq!(worker.call(&mut world, &session, "heartbeat").1["state"], "stopping");
    assert_eq!(worker.stop(&mut world, &session), (200, json!({"state": "stopped"})));
    assert_eq!(world.session(&id)["state"], "ended");
    let events = world.events(&id);
    let agent: Vec<_> = events.iter().filter(|event| event["from"] == "agent").collect();
    assert_eq!(agent.len(), 2, "{agent:?}");
}

/// A session of such a worker, with its link.
fn running(world: &mut World) -> (SeedWorker, SeedSession, OpId) {
    let worker = SeedWorker::register(world);
    let body = json!({"environment_id": worker.environment});
    assert_eq!(world.post("/v1/sessions", TOKEN, &body).0, 201);
    let session = worker.next_session(world).expect("a session");
    let link = worker.open(world, &session);
    (worker, session, link)
}

#[test]
fn a_plain_link_continues_after_the_lines_already_sent() {
    let mut world = World::new();
    let (worker, session, first) = running(&mut world);
    world.say(&session.id, "left");
    world.arrives = false;
    world.say(&session.id, "did not leave");
    assert_eq!(stdin(&mut world, first).len(), 2);
    world.lines(first, "{\"type\":\"x\",\"n\":1}\n{\"type\":\"x\",\"n\":2}\n");
    world.deliver(Event::Closed { op: first, code: None, failure: None });
    assert_eq!(world.session(&session.id)["connected"], false);

    world.arrives = true;
    let second = worker.open(&mut world, &session);
    let again = stdin(&mut world, second);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0]["message"]["content"], "did not leave");
    world.lines(second, "{\"type\":\"x\",\"n\":3}");
    let events = world.events(&session.id);
    let agent = events.iter().filter(|event| event["from"] == "agent");
    let numbers: Vec<_> = agent.map(|event| event["message"]["n"].as_u64()).collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
}

#[test]
fn a_quiet_plain_link_stays_open() {
    let mut world = World::new();
    let (worker, session, link) = running(&mut world);
    for _ in 0..10 {
        world.pass(Duration::from_secs(30));
        assert_eq!(worker.call(&mut world, &session, "heartbeat").0, 200);
    }
    assert_eq!(stdin(&mut world, link), Vec::<Value>::new());
    assert!(!world.streams[&link].is_cut);
    assert_eq!(world.session(&session.id)["connected"], true);
}

#[test]
fn a_plain_link_is_read_only_as_fast_as_the_store_accepts_lines() {
    let mut world = World::new();
    let (_, session, link) = running(&mut world);
    world.holds_store = true;
    let lines = LINK_WINDOW_LINES + 1;
    for _ in 0..lines {
        world.lines(link, "{\"type\":\"x\"}");
    }
    assert_eq!((world.streams[&link].pauses, world.streams[&link].resumes), (1, 0));
    world.release_store();
    assert_eq!((world.streams[&link].pauses, world.streams[&link].resumes), (1, 1));
    assert_eq!(world.session(&session.id)["last_seq"].as_u64(), Some(lines as u64 + 3));

    world.lines(link, &"{\"type\":\"x\"}\n".repeat(LINK_WINDOW_LINES + 1));
    assert_eq!(world.streams[&link].closed, Some(1002), "too many lines for one message");
}

#[test]
fn a_subprotocol_that_the_relay_does_not_know_is_not_plain() {
    let mut world = World::new();
    let (_, session, link) = running(&mut world);
    let path = format!("/v1/session_ingress/ws/{}", session.id);
    let op = world.websocket(&path, &session.token, "footbridge.link.v9");
    assert_eq!(world.answer(op).0, 400);
    assert_eq!(world.streams[&link].closed, None);
}

#[test]
fn without_a_fence_a_call_is_about_the_lease_of_its_token() {
    let mut world = World::new();
    let (worker, session, link) = running(&mut world);
    world.deliver(Event::Closed { op: link, code: None, failure: None });
    // The lease expires, and the item is handed out again under a newer one.
    world.pass(Duration::from_secs(61));
    let newer = worker.next_session(&mut world).expect("the session again");
    assert_eq!(newer.id, session.id);
    let (status, error) = worker.call(&mut world, &session, "heartbeat");
    assert_eq!((status, &error["error"]["type"]), (409, &json!("lease_lost")));
    assert_eq!(worker.call(&mut world, &newer, "heartbeat").0, 200);
    assert_eq!(worker.stop(&mut world, &newer), (200, json!({"state": "stopped"})));
}
