//! An agent deletes or moves the worktree that it works in. Its lock and its branch stayed for ever,
//! also after a restart and `git worktree prune`.

use std::fs;

use footbridge_core::worker::WorkerCommand;

use crate::Runtime;
use crate::scenarios::stage::repository::{COMMIT, Stage, git, git_meanwhile};
use crate::scenarios::stage::worker::script;
use crate::scenarios::stage::{Worker, until};

/// What git is asked for what it has on record of all worktrees.
const LIST: [&str; 3] = ["worktree", "list", "--porcelain"];

fn recorded(stage: &Stage) -> String {
    git(&stage.repository, &LIST)
}

/// Whether git has nothing of this on record any more, while a worker may be removing it.
fn is_forgotten(stage: &Stage, session: &str) -> bool {
    git_meanwhile(&stage.repository, &LIST).is_some_and(|all| !all.contains(session))
}

/// Runs a worker without a session, until git has this on record.
fn restart<R: Runtime>(stage: &Stage, what: &str, is_so: impl Fn() -> bool) {
    let worker = stage.worker::<R>(&stage.repository, script("exit 0"));
    worker.registers(1);
    until(what, || is_so().then_some(()));
    worker.shut_down();
}

pub fn its_lock_and_branch_go<R: Runtime>() {
    let agents = [
        "rm -rf \"$PWD\"",
        "git switch --quiet --detach; rm -rf \"$PWD\"",
        "git switch --quiet -c other; git branch -q -D footbridge/$FOOTBRIDGE_SESSION_ID; rm -rf \"$PWD\"",
        "git worktree remove -f -f \"$PWD\"",
        "main=$(cd '../../../a repository'; pwd); git worktree unlock \"$PWD\"; rm -rf \"$PWD\"; git -C \"$main\" worktree prune",
    ];
    for agent in agents {
        let stage = Stage::new();
        let (session, result) = stage.run::<R>(agent);
        let message = result["message"].as_str().expect("text");
        assert!(message.contains("was removed or moved by something else"), "{agent}: {result}");
        assert!(message.contains(&session), "{agent}: {result}");
        assert!(!recorded(&stage).contains("locked"), "{agent}: {}", recorded(&stage));
        assert!(!stage.branches().contains("footbridge/"), "{agent}: {}", stage.branches());
        restart::<R>(&stage, "its record goes", || is_forgotten(&stage, &session));
        assert!(stage.worktrees().is_empty(), "{agent}");
    }
    // What is nowhere else stays.
    let stage = Stage::new();
    let (session, result) = stage.run::<R>(&format!("{COMMIT}; rm -rf \"$PWD\""));
    let message = result["message"].as_str().expect("text");
    assert!(message.contains("no other branch has its commits"), "{result}");
    assert!(!recorded(&stage).contains("locked"), "{}", recorded(&stage));
    git(&stage.repository, &["worktree", "prune"]);
    restart::<R>(&stage, "it starts", || true);
    assert_eq!(stage.branches(), format!("footbridge/{session}\nmain\n"));
    git(&stage.repository, &["merge", "--quiet", &format!("footbridge/{session}")]);
    restart::<R>(&stage, "its branch goes", || stage.branches() == "main\n");
}

pub fn what_was_moved_stays_usable<R: Runtime>() {
    // Without git's knowledge, and with it.
    let agents = [
        "echo changed > file; mv \"$PWD\" ../../../moved",
        "echo changed > file; git worktree move -f -f \"$PWD\" ../../../moved",
    ];
    for agent in agents {
        let stage = Stage::new();
        let moved = stage.repository.with_file_name("moved");
        let (_, result) = stage.run::<R>(agent);
        let message = result["message"].as_str().expect("text");
        assert!(message.contains("moved"), "{agent}: {result}");
        assert_eq!(git(&moved, &["status", "--porcelain"]), " M file\n", "{agent}: {result}");
        git(&moved, &["worktree", "repair"]);
        restart::<R>(&stage, "it starts", || true);
        assert!(!recorded(&stage).contains("locked"), "{agent}: {}", recorded(&stage));
        assert_eq!(git(&moved, &["status", "--porcelain"]), " M file\n", "{agent}");
    }
}

pub fn a_session_that_returns_gets_a_new_one<R: Runtime>() {
    let stage = Stage::new();
    let agent = "test -f file || exit 7; cat > /dev/null";
    let start = || {
        let mut config = stage.config(&stage.repository, script(agent));
        let state = stage.repository.with_file_name("state of the worker");
        config.state_directory = Some(state.to_str().expect("text").to_owned());
        Worker::start::<R>(config)
    };
    let worker = start();
    let session = stage.relay.session();
    let tree = stage.root.join(&session.id);
    // With an agent in it: a session that has none yet ends, and its worktree with it.
    session.event("its agent", |message| message["subtype"] == "agent_started");
    worker.command(WorkerCommand::HandOver);
    worker.ends().expect("it ends well");
    fs::remove_dir_all(&tree).expect("removed");
    let worker = start();
    session.event("another agent", |message| message["subtype"] == "agent_restarted");
    assert!(tree.join("file").exists(), "it is made again");
    worker.shut_down();
    let result = session.result();
    assert_eq!(result["status"], "interrupted", "{result}");
    until("it is removed", || stage.worktrees().is_empty().then_some(()));
    until("its branch, too", || (stage.branches() == "main\n").then_some(()));
}

pub fn a_branch_without_a_worktree_goes_at_the_next_start<R: Runtime>() {
    let stage = Stage::new();
    for branch in ["footbridge/session_1", "footbridge/by hand/1", "footbridge/session_2"] {
        git(&stage.repository, &["branch", &branch.replace(' ', "-")]);
    }
    let elsewhere = stage.repository.with_file_name("elsewhere");
    let path = elsewhere.to_str().expect("text");
    git(&stage.repository, &["worktree", "add", "--quiet", path, "footbridge/session_2"]);
    let rest = "footbridge/by-hand/1\nfootbridge/session_2\nmain\n";
    restart::<R>(&stage, "its branch goes", || stage.branches() == rest);
}
