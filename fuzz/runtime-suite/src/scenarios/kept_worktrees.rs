//! What a person can do about a worktree that was kept, with real git: look, keep, bring into a
//! branch, delete.

use serde_json::{Value, json};

use super::stage::api::Session;
use super::stage::repository::{COMMIT, Stage, git};
use super::stage::until;
use super::stage::worker::script;
use crate::Runtime;

/// Waits until the session's worktree is offered.
#[track_caller]
fn offered(session: &Session<'_>) -> Value {
    let is = |now: &Value| now["worktree"]["seen"].as_str().is_some_and(|seen| !seen.is_empty());
    session.until("it is offered", is)["worktree"].clone()
}

/// Asks for something, and waits for the worker's answer; what that says.
#[track_caller]
fn asked(session: &Session<'_>, body: &Value) -> Value {
    let answers = || {
        let all = session.from("worker");
        all.into_iter().filter(|it| it["subtype"] == "worktree" && it["action"].is_string())
    };
    let before = answers().count();
    let (status, answer) = session.post("/worktree", body);
    assert_eq!(status, 202, "{answer}");
    until("the answer", || answers().nth(before))
}

fn names(contents: &Value) -> Vec<(&str, &str)> {
    let files = contents["files"].as_array().expect("a list");
    files.iter().map(|file| (text_of(&file["what"]), text_of(&file["path"]))).collect()
}

fn text_of(value: &Value) -> &str {
    value.as_str().expect("text")
}

pub fn a_kept_worktree_is_offered_with_what_is_in_it<R: Runtime>() {
    let stage = Stage::new();
    std::fs::write(stage.repository.join(".gitignore"), ".env\ntarget\n").expect("written");
    git(&stage.repository, &["add", "."]);
    git(&stage.repository, &["commit", "--quiet", "-m", "ignore"]);
    let agent = format!(
        "echo more >> file; echo new > 'a new file'; echo SECRET > .env; mkdir target; echo x > target/x; {COMMIT}"
    );
    let worker = stage.worker::<R>(&stage.repository, script(&agent));
    let session = stage.relay.session();
    session.result();
    let shown = offered(&session);
    let tree = stage.root.join(&session.id);
    assert_eq!(shown["path"], json!(tree.to_str()), "{shown}");
    assert!(text_of(&shown["reason"]).contains("uncommitted or untracked"), "{shown}");
    let told = session.event("what is in it", |event| event["subtype"] == "worktree");
    let contents = &told["worktree"]["contents"];
    let files = [("changed", "file"), ("untracked", "\"a new file\""), ("ignored", ".env")];
    assert_eq!(names(contents), files, "{told}");
    assert_eq!(
        (&contents["files"][0]["added"], &contents["files"][0]["removed"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(contents["commits"][0]["subject"], "work", "{told}");
    assert!(!told.to_string().contains("SECRET"), "names only: {told}");

    let looked = asked(&session, &json!({"action": "look"}));
    assert_eq!(looked["worktree"]["contents"], *contents, "nothing has changed");
    std::fs::write(tree.join(".env"), "ANOTHER").expect("written");
    let looked = asked(&session, &json!({"action": "look"}));
    assert_ne!(looked["worktree"]["contents"]["seen"], contents["seen"], "a file has changed");
    worker.shut_down();
}

pub fn work_is_brought_into_a_branch_of_its_own<R: Runtime>() {
    let detached = format!("git switch --quiet --detach; {COMMIT}; echo new > other");
    // Another commit, not the same one made again within the same second.
    let more = COMMIT.replace("-m work", "-m more-work");
    let both = format!("{COMMIT}; git switch --quiet --detach HEAD~; {more}; echo new > other");
    let elsewhere = format!("git switch --quiet -c topic; {COMMIT}; echo new > other; rm file");
    let hidden = "git update-index --assume-unchanged file; echo changed > file; echo new > other";
    let cases: [(&str, &str, &[&str]); 6] = [
        ("changes", "echo changed > file; echo new > other; git add other", &["file", "other"]),
        ("a change that git overlooks", hidden, &["file", "other"]),
        ("a commit of its own", COMMIT, &[]),
        ("a detached HEAD", &detached, &["other"]),
        ("commits on its branch, and others", &both, &["other"]),
        ("a branch of the agent's", &elsewhere, &["file", "other"]),
    ];
    for (what, agent, changed) in cases {
        let stage = Stage::new();
        // None of the repository's programs may run.
        let hooks = stage.repository.join(".git/hooks");
        let ran = stage.repository.with_file_name("a-hook-ran");
        for name in ["pre-commit", "post-commit", "reference-transaction", "post-index-change"] {
            let hook = hooks.join(name);
            let script = format!("#!/bin/sh\ntouch '{}'\n", ran.display());
            std::fs::write(&hook, script).expect("written");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&hook, mode).expect("set");
        }
        let worker = stage.worker::<R>(&stage.repository, script(agent));
        let session = stage.relay.session();
        session.result();
        offered(&session);
        // The agent's own git has run them.
        let _ = std::fs::remove_file(&ran);
        let told = asked(&session, &json!({"action": "branch"}));
        assert_eq!(told["worktree"]["state"], "removed", "{what}: {told}");
        let branch = text_of(&told["worktree"]["branches"][0]);
        assert!(branch.starts_with(&format!("footbridge-kept-{}-", session.id)), "{what}: {told}");
        let diff = git(&stage.repository, &["diff", "--name-only", "main", branch]);
        assert_eq!(diff.lines().collect::<Vec<_>>(), changed, "{what}: {told}");
        assert!(stage.worktrees().is_empty(), "{what}: {told}");
        let branches = stage.branches();
        assert!(!branches.contains(&format!("footbridge/{}", session.id)), "{what}: {branches}");
        let all = git(&stage.repository, &["log", "--format=%s", "--branches"]);
        let made = agent.matches("--allow-empty").count();
        assert_eq!(all.matches("work").count(), made, "{what}: no commit is lost: {all}");
        let is_offered = session.now()["worktree"].is_object();
        assert!(!is_offered, "{what}");
        assert!(!ran.exists(), "{what}: a hook has run");
        worker.shut_down();
    }
}

pub fn ignored_files_stay_unless_a_person_says_so<R: Runtime>() {
    let stage = Stage::new();
    let agent = "echo .env > .gitignore; echo SECRET > .env; echo changed > file";
    let worker = stage.worker::<R>(&stage.repository, script(agent));
    let session = stage.relay.session();
    session.result();
    offered(&session);
    let told = asked(&session, &json!({"action": "branch"}));
    let tree = stage.root.join(&session.id);
    assert_eq!(told["worktree"]["state"], "kept", "{told}");
    assert!(text_of(&told["worktree"]["reason"]).contains("git ignores"), "{told}");
    let branch = text_of(&told["worktree"]["branches"][0]).to_owned();
    assert_eq!(names(&told["worktree"]["contents"]), [("ignored", ".env")], "{told}");
    assert!(tree.join(".env").exists());

    // Something has changed since: nothing goes that nobody was shown.
    let seen = session.now()["worktree"]["seen"].clone();
    std::fs::write(tree.join(".env"), "ANOTHER").expect("written");
    let told = asked(&session, &json!({"action": "branch", "ignored": true, "seen": seen}));
    assert!(text_of(&told["worktree"]["error"]).contains("something else is in it"), "{told}");
    assert!(tree.join(".env").exists());
    let seen = session.now()["worktree"]["seen"].clone();
    let told = asked(&session, &json!({"action": "branch", "ignored": true, "seen": seen}));
    assert_eq!(told["worktree"]["state"], "removed", "{told}");
    assert!(!tree.exists());
    let shown = git(&stage.repository, &["show", &format!("{branch}:file")]);
    assert_eq!(shown, "changed\n");
    worker.shut_down();
}

pub fn only_what_a_person_was_shown_is_deleted<R: Runtime>() {
    let stage = Stage::new();
    let agent = format!("{COMMIT}; echo new > other");
    let worker = stage.worker::<R>(&stage.repository, script(&agent));
    let session = stage.relay.session();
    session.result();
    let seen = offered(&session)["seen"].clone();
    let tree = stage.root.join(&session.id);
    std::fs::write(tree.join("other"), "of more worth").expect("written");
    let told = asked(&session, &json!({"action": "delete", "seen": seen}));
    assert!(text_of(&told["worktree"]["error"]).contains("something else is in it"), "{told}");
    assert!(tree.join("other").exists());
    let seen = session.now()["worktree"]["seen"].clone();
    let told = asked(&session, &json!({"action": "delete", "seen": seen}));
    assert_eq!(told["worktree"]["state"], "removed", "{told}");
    assert!(stage.worktrees().is_empty());
    assert_eq!(stage.branches(), "main\n");
    worker.shut_down();
}

pub fn a_request_waits_for_the_next_run_of_the_worker<R: Runtime>() {
    let stage = Stage::new();
    let worker = stage.worker::<R>(&stage.repository, script("echo changed > file"));
    let session = stage.relay.session();
    session.result();
    offered(&session);
    // Shut down, it cannot be asked; the next one offers the worktree again.
    worker.shut_down();
    let (status, answer) = session.post("/worktree", &json!({"action": "look"}));
    assert_eq!((status, &answer["error"]["type"]), (410, &json!("worktree_unreachable")));
    let before = session.now()["worktree"]["environment_id"].clone();
    let worker = stage.worker::<R>(&stage.repository, script("exit 0"));
    session.until("it is offered again", |now| {
        now["worktree"]["environment_id"].is_string() && now["worktree"]["environment_id"] != before
    });
    assert_eq!(asked(&session, &json!({"action": "look"}))["worktree"]["state"], "kept");
    worker.shut_down();
}

pub fn a_worktree_whose_directory_was_removed_gives_its_commits_a_branch<R: Runtime>() {
    for detaches in ["", "git switch --quiet --detach; "] {
        let stage = Stage::new();
        let agent = format!("{detaches}{COMMIT}");
        let worker = stage.worker::<R>(&stage.repository, script(&agent));
        let session = stage.relay.session();
        session.result();
        offered(&session);
        std::fs::remove_dir_all(stage.root.join(&session.id)).expect("removed");
        let told = asked(&session, &json!({"action": "branch"}));
        assert_eq!(told["worktree"]["state"], "removed", "{told}");
        let branch = text_of(&told["worktree"]["branches"][0]);
        let all = git(&stage.repository, &["log", "--format=%s", branch]);
        assert_eq!(all, "work\nfirst\n", "{told}");
        worker.shut_down();
    }
}

pub fn a_commit_that_only_a_removed_worktree_had_is_named_in_the_log<R: Runtime>() {
    let stage = Stage::new();
    let state = stage.root.parent().expect("one").join("of the worker");
    std::fs::create_dir_all(&state).expect("made");
    let agent = format!("git switch --quiet --detach; {COMMIT}; exec sleep 600");
    let config = |agent: &str| {
        let mut config = stage.config(&stage.repository, script(agent));
        config.state_directory = Some(state.to_str().expect("text").to_owned());
        config
    };
    let worker = super::stage::Worker::start::<R>(config(&agent));
    let session = stage.relay.session();
    session.running();
    let tree = stage.root.join(&session.id);
    until("its commit", || (git(&tree, &["log", "-1", "--format=%s"]) == "work\n").then_some(()));
    let commit = git(&tree, &["rev-parse", "HEAD"]).trim().to_owned();
    worker.command(footbridge_core::worker::WorkerCommand::HandOver);
    assert_eq!(worker.ends(), Ok(()));
    std::fs::remove_dir_all(&tree).expect("removed");
    let worker = super::stage::Worker::start::<R>(config("exec sleep 600"));
    let told = session.event("that it has a name", |event| event["subtype"] == "commit_kept");
    assert_eq!(told["commit"], json!(commit), "{told}");
    let reference = text_of(&told["reference"]).to_owned();
    assert_eq!(git(&stage.repository, &["rev-parse", &reference]).trim(), commit);
    worker.shut_down();
}
