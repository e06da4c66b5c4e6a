//! A worktree that was kept: what its worker says, and what a person asks for (W-5).

use super::*;

impl World {
    /// A session that has ended, and whose worktree was kept.
    fn with_kept_worktree(&mut self) -> (Worker, String) {
        let (worker, taken, _) = self.running();
        self.stop_work(&worker, &taken, "completed");
        let (status, _) = self.note(&worker, &kept(&taken.session, "s1"));
        assert_eq!(status, 200);
        (worker, taken.session)
    }

    fn note(&mut self, worker: &Worker, note: &Value) -> (u16, Value) {
        let target = format!("/v1/environments/{}/worktrees", worker.environment);
        self.post(&target, &worker.secret, note)
    }

    fn ask_worktree(&mut self, session: &str, body: &Value) -> (u16, Value) {
        self.post(&format!("/v1/sessions/{session}/worktree"), TOKEN, body)
    }

    fn answer_worktree(&mut self, worker: &Worker, item: &Value, note: &Value) -> u16 {
        let work = item["id"].as_str().expect("an id");
        let target = format!("/v1/environments/{}/work/{work}/stop", worker.environment);
        let body = json!({"fence": item["fence"], "worktree": note});
        self.post(&target, &worker.secret, &body).0
    }

    /// The messages about worktrees in a session's log.
    fn told_of_worktree(&mut self, session: &str) -> Vec<Value> {
        let all = self.events(session).into_iter().map(|event| event["message"].clone());
        let is = |message: &Value| {
            message["subtype"].as_str().is_some_and(|subtype| subtype.starts_with("worktree"))
        };
        all.filter(is).collect()
    }
}

fn kept(session: &str, seen: &str) -> Value {
    json!({
        "session_id": session, "state": "kept", "path": "/trees/it", "reason": "1 file",
        "contents": {"files": [{"path": "a", "what": "changed", "added": 1, "removed": 2}],
                     "commits": [{"id": "c0ffee", "subject": "work"}], "seen": seen}
    })
}

fn gone(session: &str, state: &str) -> Value {
    json!({"session_id": session, "state": state, "path": "/trees/it"})
}

#[test]
fn a_kept_worktree_is_shown_with_what_is_in_it_and_told_once() {
    let mut world = World::new();
    let (worker, session) = world.with_kept_worktree();
    let shown = world.session(&session)["worktree"].clone();
    assert_eq!(
        (&shown["path"], &shown["reason"], &shown["seen"], &shown["request"]),
        (&json!("/trees/it"), &json!("1 file"), &json!("s1"), &Value::Null)
    );
    // The next start of the worker finds the same.
    world.note(&worker, &kept(&session, "s1"));
    let told = world.told_of_worktree(&session);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["worktree"]["contents"]["files"][0]["path"], "a");
    assert_eq!(told[0]["message"], "the worktree /trees/it was kept: 1 file");

    world.note(&worker, &kept(&session, "s2"));
    assert_eq!(world.told_of_worktree(&session).len(), 2, "something else is in it");
    world.note(&worker, &gone(&session, "removed"));
    assert_eq!(world.session(&session)["worktree"], Value::Null);
    world.note(&worker, &gone(&session, "gone"));
    assert_eq!(world.told_of_worktree(&session).len(), 3, "that it is not there is no news");
}

#[test]
fn nobody_else_and_no_running_session_gets_a_note() {
    let mut world = World::new();
    let (worker, taken, _) = world.running();
    assert_eq!(world.note(&worker, &kept(&taken.session, "s1")).0, 200);
    assert_eq!(world.session(&taken.session)["worktree"], Value::Null, "it has not ended");
    world.stop_work(&worker, &taken, "completed");
    let registration = json!({"machine_name": "m", "directory": "/b", "max_sessions": 1});
    let (_, of_bob) = world.post("/v1/environments/bridge", BOB, &registration);
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let bobs = Worker {
        environment: text(&of_bob["environment_id"]),
        secret: text(&of_bob["environment_secret"]),
    };
    let (status, error) = world.note(&bobs, &kept(&taken.session, "s1"));
    assert_eq!((status, &error["error"]["type"]), (404, &json!("session_unknown")));
    world.note(&worker, &kept(&taken.session, "s1"));
    let target = format!("/v1/sessions/{}/worktree", taken.session);
    let (status, _) = world.post(&target, BOB, &json!({"action": "look"}));
    assert_eq!(status, 404);
}

#[test]
fn a_request_waits_for_its_worker_and_ends_with_its_answer() {
    let mut world = World::new();
    let (worker, session) = world.with_kept_worktree();
    let watched = world.subscribe(&session, 0);
    world.received(watched);
    let look = json!({"action": "look"});
    let (status, answer) = world.ask_worktree(&session, &look);
    assert_eq!((status, &answer["worktree"]["request"]["with_worker"]), (202, &json!(false)));
    assert_eq!(world.ask_worktree(&session, &look).0, 202, "asking again changes nothing");
    let (status, error) = world.ask_worktree(&session, &json!({"action": "branch"}));
    assert_eq!((status, &error["error"]["type"]), (409, &json!("worktree_busy")));

    let (_, item) = world.poll(&worker);
    assert_eq!(item["data"]["type"], "healthcheck", "which a worker of before answers");
    assert_eq!(item["worktree"], json!({"session_id": session, "action": "look"}));
    assert_eq!(world.about(&worker, &taken(&item), "ack").0, 200);
    assert_eq!(world.session(&session)["worktree"]["request"]["with_worker"], true);
    // Its worker dies, and the next one gets it.
    world.pass(Duration::from_secs(61));
    assert_eq!(world.session(&session)["worktree"]["request"]["with_worker"], false);
    let (_, item) = world.poll(&worker);
    assert_eq!(world.answer_worktree(&worker, &item, &kept(&session, "s2")), 200);
    let shown = world.session(&session)["worktree"].clone();
    assert_eq!((&shown["seen"], &shown["request"]), (&json!("s2"), &Value::Null));
    assert_eq!(world.answer_worktree(&worker, &item, &kept(&session, "s3")), 404, "it is over");
    let told: Vec<_> = world.told_of_worktree(&session);
    let told: Vec<_> = told.iter().map(|message| message["subtype"].as_str()).collect();
    assert_eq!(told, [Some("worktree"), Some("worktree_requested"), Some("worktree")]);
    let came = world.received(watched);
    let last = came.iter().rfind(|frame| frame["type"] == "session").expect("it was announced");
    assert_eq!(last["session"]["worktree"]["seen"], "s2");
    assert_eq!(world.poll(&worker).0, 204);
}

#[test]
fn a_request_is_with_its_worker_again_that_was_only_late() {
    let mut world = World::new();
    let (worker, session) = world.with_kept_worktree();
    world.ask_worktree(&session, &json!({"action": "look"}));
    let (_, item) = world.poll(&worker);
    assert_eq!(world.about(&worker, &taken(&item), "ack").0, 200);
    world.pass(Duration::from_secs(61));
    assert_eq!(world.session(&session)["worktree"]["request"]["with_worker"], false);
    assert_eq!(world.about(&worker, &taken(&item), "heartbeat").0, 200);
    assert_eq!(world.session(&session)["worktree"]["request"]["with_worker"], true);
    assert_eq!(world.poll(&worker).0, 204, "nobody else gets it");
}

#[test]
fn only_what_was_looked_at_is_deleted() {
    let mut world = World::new();
    let (worker, session) = world.with_kept_worktree();
    let delete = |seen: &str| json!({"action": "delete", "seen": seen});
    assert_eq!(world.ask_worktree(&session, &json!({"action": "delete"})).0, 400);
    let ignored = json!({"action": "look", "ignored": true, "seen": "s1"});
    assert_eq!(world.ask_worktree(&session, &ignored).0, 400);
    assert_eq!(world.ask_worktree(&session, &json!({"action": "burn"})).0, 400);
    let (status, error) = world.ask_worktree(&session, &delete("s0"));
    assert_eq!((status, &error["error"]["type"]), (409, &json!("worktree_changed")));
    assert_eq!(world.ask_worktree(&session, &delete("s1")).0, 202);
    let (_, item) = world.poll(&worker);
    assert_eq!(item["worktree"], json!({"session_id": session, "action": "delete", "seen": "s1"}));
    // Something has changed since: the worker does nothing, and says what is in it now.
    let mut note = kept(&session, "s2");
    note["error"] = json!("something else is in it");
    world.answer_worktree(&worker, &item, &note);
    let told = world.told_of_worktree(&session);
    let last = told.last().expect("the answer");
    assert_eq!(last["action"], "delete");
    assert!(last["message"].as_str().is_some_and(|it| it.contains("not done")), "{last}");

    assert_eq!(world.ask_worktree(&session, &delete("s2")).0, 202);
    let (_, item) = world.poll(&worker);
    world.answer_worktree(&worker, &item, &gone(&session, "removed"));
    assert_eq!(world.session(&session)["worktree"], Value::Null);
    let (status, error) = world.ask_worktree(&session, &json!({"action": "look"}));
    assert_eq!((status, &error["error"]["type"]), (404, &json!("worktree_unknown")));
}

#[test]
fn one_that_is_to_stay_is_not_offered_again_until_something_changes() {
    let mut world = World::new();
    let (worker, session) = world.with_kept_worktree();
    let (status, answer) = world.ask_worktree(&session, &json!({"action": "keep"}));
    assert_eq!((status, &answer["worktree"]["dismissed"]), (202, &json!(true)));
    assert_eq!(world.poll(&worker).0, 204, "that is not the worker's business");
    world.note(&worker, &kept(&session, "s1"));
    assert_eq!(world.session(&session)["worktree"]["dismissed"], true);
    world.note(&worker, &kept(&session, "s2"));
    assert_eq!(world.session(&session)["worktree"]["dismissed"], false);
}

#[test]
fn a_request_ends_with_the_worker_and_the_next_one_offers_the_worktree_again() {
    let mut world = World::new();
    let (worker, session) = world.with_kept_worktree();
    world.ask_worktree(&session, &json!({"action": "look"}));
    let target = format!("/v1/environments/{}/stop", worker.environment);
    assert_eq!(world.post(&target, &worker.secret, &json!({})).0, 200);
    let told = world.told_of_worktree(&session);
    let last = told.last().expect("that it is over");
    assert_eq!(
        (&last["subtype"], &last["reason"]),
        (&json!("worktree_unanswered"), &json!("its worker has shut down"))
    );
    assert_eq!(world.session(&session)["worktree"]["request"], Value::Null);
    let (status, error) = world.ask_worktree(&session, &json!({"action": "look"}));
    assert_eq!((status, &error["error"]["type"]), (410, &json!("worktree_unreachable")));

    let next = world.register();
    world.note(&next, &kept(&session, "s1"));
    assert_eq!(world.ask_worktree(&session, &json!({"action": "look"})).0, 202);
    assert!(world.poll(&next).1["worktree"].is_object());
}

#[test]
fn a_worker_that_knows_of_no_such_requests_is_said_not_to() {
    let mut world = World::new();
    let (worker, session) = world.with_kept_worktree();
    world.ask_worktree(&session, &json!({"action": "branch"}));
    let (_, item) = world.poll(&worker);
    world.answer_worktree(&worker, &item, &Value::Null);
    let told = world.told_of_worktree(&session);
    let last = told.last().expect("that it is not done");
    assert_eq!(
        (&last["subtype"], &last["action"]),
        (&json!("worktree_unanswered"), &json!("branch"))
    );
    assert!(world.session(&session)["worktree"].is_object(), "it is still there");
}

/// A person asks once about a worktree that was kept, and the answer is lost.
pub(super) fn asked_once(world: &mut World) {
    let (_, session) = world.with_kept_worktree();
    for _ in 0..2 {
        assert_eq!(world.ask_worktree(&session, &json!({"action": "look"})).0, 202);
    }
}
