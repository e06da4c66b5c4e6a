//! A git worktree per session, with real git: nobody's work is ever deleted.

use std::path::{Path, PathBuf};
use std::process::Command;

use footbridge_core::contract::machine::MachineErrorKind;
use footbridge_core::worker::{AgentProgram, SpawnMode, WorkerNotice};
use serde_json::Value;
use tempfile::TempDir;

use super::stage::worker::{config, script};
use super::stage::{Relay, Worker, until};
use crate::Runtime;

/// An agent's commits need an author.
const COMMIT: &str = "git -c user.name=a -c user.email=a@b commit --quiet --allow-empty -m work";

/// A repository with one commit, and a place for worktrees; both with spaces in their paths.
struct Stage {
    relay: Relay,
    repository: PathBuf,
    root: PathBuf,
    _home: TempDir,
}

fn git(directory: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]);
    let output = git.arg("-C").arg(directory).args(args).output().expect("git");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {stderr}");
    String::from_utf8(output.stdout).expect("text")
}

fn repository(at: &Path) {
    std::fs::create_dir_all(at).expect("made");
    git(at, &["init", "--quiet", "--initial-branch=main"]);
    std::fs::write(at.join("file"), "as committed\n").expect("written");
    git(at, &["add", "."]);
    git(at, &["commit", "--quiet", "-m", "first"]);
}

impl Stage {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().canonicalize().expect("there");
        let (at, root) = (path.join("a repository"), path.join("state of it/work trees"));
        repository(&at);
        std::fs::create_dir_all(&root).expect("made");
        Self { relay: Relay::start(), repository: at, root, _home: home }
    }

    fn worker<R: Runtime>(&self, directory: &Path, agent: AgentProgram) -> Worker {
        let mut config = config(&self.relay.address, directory, agent);
        let root = self.root.to_str().expect("text").to_owned();
        config.spawn_mode = SpawnMode::Worktree { root };
        Worker::start::<R>(config)
    }

    /// Runs one session of a script; returns its id and its result.
    fn run<R: Runtime>(&self, agent: &str) -> (String, Value) {
        let worker = self.worker::<R>(&self.repository, script(agent));
        let session = self.relay.session();
        let result = session.result();
        worker.shut_down();
        (session.id.clone(), result)
    }

    /// The existing worktrees, according to git and to the directory.
    fn worktrees(&self) -> Vec<PathBuf> {
        let list = git(&self.repository, &["worktree", "list", "--porcelain"]);
        let paths = list.lines().filter_map(|line| line.strip_prefix("worktree "));
        let mut of_git: Vec<_> =
            paths.map(PathBuf::from).filter(|path| path.starts_with(&self.root)).collect();
        let entries = std::fs::read_dir(&self.root).expect("there");
        let mut of_directory: Vec<_> = entries.map(|entry| entry.expect("one").path()).collect();
        of_git.sort();
        of_directory.sort();
        assert_eq!(of_git, of_directory);
        of_git
    }

    fn branches(&self) -> String {
        git(&self.repository, &["for-each-ref", "--format=%(refname:short)", "refs/heads"])
    }
}

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

pub fn a_worktree_with_a_submodule_is_removed_only_if_the_submodule_is_empty<R: Runtime>() {
    let init = "git -c protocol.file.allow=always submodule --quiet update --init";
    let own_commit = &format!("{init}; cd part; {COMMIT}");
    // Git itself does not remove a tree with initialised submodules: it stays, and that is
    // reported.
    let cases = [("test -d part", ""), (init, "submodule"), (own_commit, "submodule")];
    for (agent, why) in cases {
        let stage = Stage::new();
        let part = stage.repository.with_file_name("a part");
        repository(&part);
        let url = part.to_str().expect("text");
        git(&stage.repository, &["submodule", "--quiet", "add", url, "part"]);
        git(&stage.repository, &["commit", "--quiet", "-m", "with a part"]);
        let (session, result) = stage.run::<R>(agent);
        assert_eq!(result["status"], "completed", "{agent}: {result}");
        let message = result["message"].as_str().expect("text");
        assert_eq!(message.contains("was kept"), !why.is_empty(), "{agent}: {result}");
        assert!(message.contains(why), "{agent}: {result}");
        let kept = stage.root.join(session);
        assert_eq!(stage.worktrees().contains(&kept), !why.is_empty(), "{agent}: {result}");
    }
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
    for (directory, why) in [(none, "not a git repository"), (empty, "without a commit")] {
        let fault = stage.worker::<R>(&directory, script("exit 0")).ends().expect_err("refused");
        assert_eq!(fault.kind, MachineErrorKind::Local, "{fault}");
        assert!(fault.message.contains(why), "{fault}");
        assert!(fault.message.contains(&*directory.to_string_lossy()), "{fault}");
        assert!(fault.message.contains("same-dir"), "it says what to try: {fault}");
    }
    assert!(stage.relay.api.environments().is_empty(), "nothing was registered");
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
