//! A git worktree per session, with real git: nobody's work is ever deleted.

use std::path::Path;

use footbridge_core::contract::machine::MachineErrorKind;
use footbridge_core::worker::WorkerNotice;

use super::stage::repository::{COMMIT, Stage, git};
use super::stage::until;
use super::stage::worker::script;
use crate::Runtime;

pub fn a_session_has_its_own_worktree_and_branch_and_a_clean_one_is_removed<R: Runtime>() {
    let stage = Stage::new();
    let agent = "pwd > ../../../seen; git branch --show-current >> ../../../seen; cat file >> ../../../seen";
    let (session, result) = stage.run::<R>(agent);
    assert_eq!(result["status"], "completed", "{result}");
    let seen = stage.repository.with_file_name("seen");
    let seen = std::fs::read_to_string(seen).expect("it ran");
    let tree = stage.root.join(&session);
    assert_eq!(seen, format!("{}\nfootbridge/{session}\nas committed\n", tree.display()));
    assert!(stage.worktrees().is_empty(), "{result}");
    assert_eq!(stage.branches(), "main\n");
}

pub fn a_worktree_with_work_in_it_is_kept_and_named<R: Runtime>() {
    let own_commit = &format!("echo new > file; git add file; {COMMIT}");
    let detached = &format!("git switch --quiet --detach; {COMMIT}");
    let cases = [
        ("an uncommitted change", "echo changed > file", "uncommitted or untracked"),
        ("a staged change", "echo changed > file; git add file", "uncommitted or untracked"),
        ("an untracked file", "echo new > 'a new file'", "uncommitted or untracked"),
        ("a file deleted", "rm file", "uncommitted or untracked"),
        ("a commit of its own", own_commit, "commits that no other branch has"),
        ("a commit on no branch", detached, "commits that no other branch has"),
    ];
    for (what, agent, why) in cases {
        let stage = Stage::new();
        let (session, result) = stage.run::<R>(agent);
        let tree = stage.root.join(&session);
        let message = result["message"].as_str().expect("text");
        assert!(message.contains(&*tree.to_string_lossy()), "{what}: {result}");
        assert!(message.contains(why), "{what}: {result}");
        assert_eq!(stage.worktrees(), [tree], "{what}");
        assert_eq!(stage.branches(), format!("footbridge/{session}\nmain\n"), "{what}");
    }
}

pub fn a_commit_that_is_also_on_another_branch_survives_its_worktree<R: Runtime>() {
    let stage = Stage::new();
    let (_, result) = stage.run::<R>(&format!("{COMMIT}; git branch kept"));
    assert!(stage.worktrees().is_empty(), "{result}");
    assert_eq!(stage.branches(), "kept\nmain\n");
}

pub fn several_worktrees_do_not_interfere<R: Runtime>() {
    let stage = Stage::new();
    // Each writes its own name, and ends when it is told to.
    let agent = "echo $FOOTBRIDGE_SESSION_ID > file; cat > /dev/null; git checkout --quiet file";
    let worker = stage.worker::<R>(&stage.repository, script(agent));
    let sessions = [(); 6].map(|()| stage.relay.session());
    for session in &sessions {
        let file = stage.root.join(&session.id).join("file");
        let own = format!("{}\n", session.id);
        until("its file", || (std::fs::read_to_string(&file).ok()? == own).then_some(()));
    }
    assert_eq!(stage.worktrees().len(), 6);
    for session in &sessions[..5] {
        // SIGTERM reaches both `cat` and the shell: the change stays, and so does the tree.
        session.stop();
        let result = session.result();
        assert!(result["message"].as_str().is_some_and(|m| m.contains("was kept")), "{result}");
    }
    worker.shut_down();
    assert_eq!(stage.worktrees().len(), 6, "a shutdown deletes no work either");
}

pub fn a_worktree_left_by_an_earlier_run_is_picked_up_and_never_deleted_with_work_in_it<
    R: Runtime,
>() {
    let stage = Stage::new();
    let (session, _) = stage.run::<R>("echo changed > file");
    let tree = stage.root.join(&session);
    let worker = stage.worker::<R>(&stage.repository, script("exit 0"));
    worker.tells("what is kept", |notice| {
        matches!(notice, WorkerNotice::LeftoverWorktree { path, kept: Some(_) }
            if Path::new(path) == tree)
    });
    worker.shut_down();
    git(&tree, &["checkout", "--quiet", "file"]);
    let worker = stage.worker::<R>(&stage.repository, script("exit 0"));
    worker.tells("what is removed", |notice| {
        matches!(notice, WorkerNotice::LeftoverWorktree { path, kept: None }
            if Path::new(path) == tree)
    });
    worker.shut_down();
    assert!(stage.worktrees().is_empty());
}

pub fn a_session_of_a_subdirectory_works_in_the_same_subdirectory_of_its_worktree<R: Runtime>() {
    let stage = Stage::new();
    let below = stage.repository.join("some where/below");
    std::fs::create_dir_all(&below).expect("made");
    std::fs::write(below.join("file"), "").expect("written");
    git(&stage.repository, &["add", "."]);
    git(&stage.repository, &["commit", "--quiet", "-m", "below"]);
    let seen = stage.repository.with_file_name("seen");
    let worker = stage.worker::<R>(&below, script(&format!("pwd > '{}'", seen.display())));
    let session = stage.relay.session();
    session.result();
    worker.shut_down();
    let expected = stage.root.join(&session.id).join("some where/below");
    assert_eq!(std::fs::read_to_string(seen).expect("it ran"), format!("{}\n", expected.display()));
    assert!(stage.worktrees().is_empty());
}

pub fn a_directory_without_possible_worktrees_is_a_clear_error<R: Runtime>() {
    let stage = Stage::new();
    let at = |name: &str| stage.repository.with_file_name(name);
    let (none, empty) = (at("no repository"), at("no commit"));
    std::fs::create_dir(&none).expect("made");
    std::fs::create_dir(&empty).expect("made");
    git(&empty, &["init", "--quiet"]);
    let untracked = stage.repository.join("not committed");
    std::fs::create_dir(&untracked).expect("made");
    let cases = [
        (none, "not a git repository"),
        (empty, "without a commit"),
        (untracked, "is not in the last commit"),
    ];
    for (directory, why) in cases {
        let fault = stage.worker::<R>(&directory, script("exit 0")).ends().expect_err("refused");
        assert_eq!(fault.kind, MachineErrorKind::Local, "{fault}");
        assert!(fault.message.contains(why), "{fault}");
        assert!(fault.message.contains(&*directory.to_string_lossy()), "{fault}");
        assert!(fault.message.contains("same-dir"), "it says what to try: {fault}");
    }
    assert!(stage.relay.api.environments().is_empty(), "nothing was registered");
}

pub fn a_repository_that_was_moved_under_its_worker_is_named<R: Runtime>() {
    let stage = Stage::new();
    let worker = stage.worker::<R>(&stage.repository, script("exit 0"));
    stage.relay.session().result();
    std::fs::rename(&stage.repository, stage.repository.with_file_name("moved")).expect("moved");
    let result = stage.relay.session().result();
    let message = result["message"].as_str().expect("text");
    assert!(message.contains(&*stage.repository.to_string_lossy()), "{result}");
    assert!(message.contains("is gone; if it was moved, start the worker there"), "{result}");
    worker.shut_down();
}

pub fn a_bare_repository_has_worktrees_too<R: Runtime>() {
    let stage = Stage::new();
    let bare = stage.repository.with_file_name("bare.git");
    let (from, to) = (stage.repository.to_str().expect("text"), bare.to_str().expect("text"));
    git(&stage.repository, &["clone", "--quiet", "--bare", from, to]);
    let worker = stage.worker::<R>(&bare, script("test -f file && exit 0"));
    let session = stage.relay.session();
    let result = session.result();
    assert_eq!(result["status"], "completed", "{result}");
    worker.shut_down();
    assert!(!stage.root.join(&session.id).exists(), "{result}");
}
