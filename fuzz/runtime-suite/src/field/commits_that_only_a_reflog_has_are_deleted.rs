//! An agent amends its commit, rebases it or resets to another one. Git keeps what was there before
//! for weeks, by the reflogs of the worktree and of its branch, and people get it back from there. Both
//! went with the worktree, and a collection of garbage deleted the commits.

use std::path::Path;

use serde_json::json;

use crate::Runtime;
use crate::scenarios::stage::repository::{COMMIT, Stage, git};
use crate::scenarios::stage::until;
use crate::scenarios::stage::worker::script;

/// Notes the commit that `HEAD` is on.
const NOTE: &str = "git rev-parse HEAD >> \"$(git rev-parse --git-common-dir)/noted\"";

/// Whether a collection of garbage leaves every commit that the agent has noted.
#[track_caller]
fn has_all(repository: &Path, agent: &str) {
    git(repository, &["reflog", "expire", "--all", "--expire=now", "--expire-unreachable=now"]);
    git(repository, &["gc", "--quiet", "--prune=now"]);
    let noted = std::fs::read_to_string(repository.join(".git/noted")).expect("noted");
    assert!(!noted.is_empty(), "{agent}");
    let kept = git(repository, &["rev-list", "--all"]);
    for commit in noted.lines() {
        assert!(kept.contains(commit), "{agent}: {commit} of {noted} is not in {kept}");
    }
}

pub fn they_get_a_name<R: Runtime>() {
    let amend = COMMIT.replace("-m work", "--amend -m better");
    let again = COMMIT.replace("-m work", "-m again");
    let agents = [
        format!("{COMMIT}; {NOTE}; git reset --quiet --hard HEAD~1"),
        // Two that do not follow each other.
        format!("{COMMIT}; {NOTE}; {amend}; {NOTE}; git reset --quiet --hard HEAD~1"),
        format!("{COMMIT}; {NOTE}; {again}; {NOTE}; git reset --quiet --hard HEAD~2"),
        // Elsewhere, after it was amended.
        format!("{COMMIT}; {NOTE}; {amend}; git branch topic"),
        format!(
            "{COMMIT}; {NOTE}; git branch topic; git branch -q -D topic; git reset -q --hard HEAD~"
        ),
        format!("git switch -q -c a; {COMMIT}; {NOTE}; git switch -q -; git branch -q -D a"),
        format!("git switch -q --detach; {COMMIT}; {NOTE}; git switch -q -"),
        format!(
            "{COMMIT}; {NOTE}; git switch -q -c a HEAD~; git branch -q -D footbridge/$FOOTBRIDGE_SESSION_ID"
        ),
        format!("{COMMIT}; {NOTE}; git reset --quiet --hard HEAD~1; rm -rf \"$PWD\""),
    ];
    for agent in &agents {
        let stage = Stage::new();
        let (session, result) = stage.run::<R>(agent);
        let message = result["message"].as_str().expect("text");
        assert!(!message.contains("was kept:"), "{agent}: {result}");
        assert!(message.contains("kept as refs/footbridge/kept/"), "{agent}: {result}");
        assert!(!stage.root.join(session).exists(), "{agent}: {result}");
        assert!(!stage.branches().contains("footbridge/"), "{agent}: {}", stage.branches());
        has_all(&stage.repository, agent);
    }
}

pub fn what_another_reference_has_gets_none<R: Runtime>() {
    let agents = [
        "exit 0",
        &format!("{COMMIT}; git tag a-tag; git reset --quiet --hard HEAD~1"),
        "git switch -q -c a; git switch -q -; git switch -q --detach; git switch -q -",
    ];
    for agent in agents {
        let stage = Stage::new();
        stage.keeps::<R>(agent, "");
        assert_eq!(git(&stage.repository, &["for-each-ref", "refs/footbridge"]), "", "{agent}");
    }
    // Where git was told to write no reflogs.
    let stage = Stage::new();
    git(&stage.repository, &["config", "core.logAllRefUpdates", "false"]);
    stage.keeps::<R>(&format!("{COMMIT}; git reset --quiet --hard HEAD~1"), "");
}

pub fn whoever_deletes_a_kept_worktree_deletes_what_was_shown<R: Runtime>() {
    let stage = Stage::new();
    let amend = COMMIT.replace("-m work", "--amend -m shown");
    let agent = format!("{COMMIT}; {NOTE}; {amend}");
    let worker = stage.worker::<R>(&stage.repository, script(&agent));
    let session = stage.relay.session();
    session.result();
    let is_offered =
        |now: &serde_json::Value| now["worktree"]["seen"].as_str().is_some_and(|it| !it.is_empty());
    let offer = session.until("it is offered", is_offered)["worktree"].clone();
    let told = session.event("what is in it", |event| event["subtype"] == "worktree");
    let commits = &told["worktree"]["contents"]["commits"];
    assert_eq!(commits.as_array().map(Vec::len), Some(1), "{told}");
    let shown = commits[0]["id"].as_str().expect("text").to_owned();
    let (status, answer) =
        session.post("/worktree", &json!({"action": "delete", "seen": offer["seen"]}));
    assert_eq!(status, 202, "{answer}");
    until("it is removed", || (!stage.root.join(&session.id).exists()).then_some(()));
    let told = session.event("that it is removed", |event| event["worktree"]["state"] == "removed");
    let name = told["worktree"]["kept_as"].as_str().unwrap_or_default();
    assert!(name.starts_with("refs/footbridge/kept/"), "{told}");
    worker.shut_down();
    has_all(&stage.repository, &agent);
    assert!(!git(&stage.repository, &["rev-list", "--all"]).contains(&shown), "{told}");
}
