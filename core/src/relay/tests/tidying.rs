//! Sessions as entries of a list: named, put away, deleted (U-5).

use super::*;

impl World {
    fn delete(&mut self, session: &str, token: &str) -> (u16, Value) {
        let op = self.ask(Method::Delete, &format!("/v1/sessions/{session}"), token, &Value::Null);
        self.answer(op)
    }

    fn change(&mut self, session: &str, body: &Value) -> Value {
        let (status, view) = self.post(&format!("/v1/sessions/{session}"), TOKEN, body);
        assert_eq!(status, 200, "{view}");
        view
    }
}

#[test]
fn a_title_that_a_person_gives_wins_and_everybody_learns_of_it() {
    let mut world = World::new();
    let (_, taken, _) = world.running();
    world.say(&taken.session, "mend the bridge");
    assert_eq!(world.session(&taken.session)["title"], "mend the bridge");
    let viewer = world.subscribe(&taken.session, 0);
    world.received(viewer);
    assert_eq!(world.change(&taken.session, &json!({"title": " Bridge "}))["title"], "Bridge");
    assert_eq!(world.received(viewer)[0]["session"]["title"], "Bridge");
    world.say(&taken.session, "something else");
    assert_eq!(world.session(&taken.session)["title"], "Bridge");
    world.change(&taken.session, &json!({"title": ""}));
    world.say(&taken.session, "the next one");
    assert_eq!(world.session(&taken.session)["title"], "the next one");
    let long = json!({"title": "x".repeat(2000)});
    let target = format!("/v1/sessions/{}", taken.session);
    assert_eq!(world.post(&target, TOKEN, &long).0, 400);
    assert_eq!(world.post(&target, BOB, &json!({"title": "mine"})).0, 404);
}

#[test]
fn what_is_put_away_stays_so_until_it_is_taken_out() {
    let mut world = World::new();
    let (_, taken, _) = world.running();
    assert_eq!(world.session(&taken.session)["archived"], false);
    assert_eq!(world.change(&taken.session, &json!({"archived": true}))["archived"], true);
    assert_eq!(world.change(&taken.session, &json!({"title": "x"}))["archived"], true);
    assert_eq!(world.change(&taken.session, &json!({"archived": false}))["archived"], false);
}

#[test]
fn only_a_session_that_has_ended_is_deleted_and_then_with_all_of_it() {
    let mut world = World::new();
    let (worker, taken, _) = world.running();
    let (status, error) = world.delete(&taken.session, TOKEN);
    assert_eq!((status, &error["error"]["type"]), (409, &json!("session_running")));
    assert_eq!(world.stop_work(&worker, &taken, "completed").0, 200);
    assert_eq!(world.delete(&taken.session, BOB).0, 404);
    let viewer = world.subscribe(&taken.session, 0);
    assert_eq!(world.delete(&taken.session, TOKEN), (200, json!({"state": "deleted"})));
    assert_eq!(world.streams[&viewer].closed, Some(4404));
    assert_eq!(world.get(&format!("/v1/sessions/{}/events", taken.session), TOKEN).0, 404);
    assert_eq!(world.delete(&taken.session, TOKEN).0, 404);
}

#[test]
fn a_session_with_work_in_its_worktree_stays_until_somebody_has_decided_about_that() {
    let mut world = World::new();
    let (worker, taken, _) = world.running();
    assert_eq!(world.stop_work(&worker, &taken, "completed").0, 200);
    let note = json!({
        "session_id": taken.session, "state": "kept", "path": "/w/tree", "reason": "1 file",
        "contents": {"files": [{"path": "a", "what": "untracked"}], "more_files": 0, "commits": [],
                     "more_commits": 0, "seen": "5ee4"},
    });
    let target = format!("/v1/environments/{}/worktrees", worker.environment);
    assert_eq!(world.post(&target, &worker.secret, &note).0, 200);
    let (status, error) = world.delete(&taken.session, TOKEN);
    assert_eq!((status, &error["error"]["type"]), (409, &json!("worktree_kept")));
    let about = format!("/v1/sessions/{}/worktree", taken.session);
    assert_eq!(world.post(&about, TOKEN, &json!({"action": "look"})).0, 202);
    let (status, error) = world.delete(&taken.session, TOKEN);
    assert_eq!((status, &error["error"]["type"]), (409, &json!("worktree_busy")));
    let (_, item) = world.poll(&worker);
    let target = format!(
        "/v1/environments/{}/work/{}/stop",
        worker.environment,
        item["id"].as_str().expect("an id")
    );
    let answer =
        json!({"fence": item["fence"], "result": {"status": "completed"}, "worktree": note});
    assert_eq!(world.post(&target, &worker.secret, &answer).0, 200);
    assert_eq!(world.post(&about, TOKEN, &json!({"action": "keep"})).0, 202);
    assert_eq!(world.delete(&taken.session, TOKEN).0, 200, "its person knows where it is");
}
