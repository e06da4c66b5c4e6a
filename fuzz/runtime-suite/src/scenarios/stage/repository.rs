//! A repository whose sessions have worktrees.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use footbridge_core::worker::{AgentProgram, SpawnMode, WorkerConfig};
use serde_json::Value;
use tempfile::TempDir;

use super::worker::{config, script};
use super::{Relay, Worker};
use crate::Runtime;

/// An agent's commits need an author.
pub(crate) const COMMIT: &str =
    "git -c user.name=a -c user.email=a@b commit --quiet --allow-empty -m work";

/// A repository with one commit, and a place for worktrees; both with spaces in their paths.
pub(crate) struct Stage {
    pub(crate) relay: Relay,
    pub(crate) repository: PathBuf,
    pub(crate) root: PathBuf,
    _home: TempDir,
}

fn run_git(directory: &Path, args: &[&str]) -> Output {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]);
    git.arg("-C").arg(directory).args(args).output().expect("git")
}

/// What git says, unless it meets what somebody else is just removing.
pub(crate) fn git_meanwhile(directory: &Path, args: &[&str]) -> Option<String> {
    let output = run_git(directory, args);
    String::from_utf8(output.stdout).ok().filter(|_| output.status.success())
}

pub(crate) fn git(directory: &Path, args: &[&str]) -> String {
    let output = run_git(directory, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {stderr}");
    String::from_utf8(output.stdout).expect("text")
}

pub(crate) fn repository(at: &Path) {
    std::fs::create_dir_all(at).expect("made");
    git(at, &["init", "--quiet", "--initial-branch=main"]);
    std::fs::write(at.join("file"), "as committed\n").expect("written");
    git(at, &["add", "."]);
    git(at, &["commit", "--quiet", "-m", "first"]);
}

impl Stage {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().canonicalize().expect("there");
        let (at, root) = (path.join("a repository"), path.join("state of it/work trees"));
        repository(&at);
        std::fs::create_dir_all(&root).expect("made");
        Self { relay: Relay::start(), repository: at, root, _home: home }
    }

    pub(crate) fn worker<R: Runtime>(&self, directory: &Path, agent: AgentProgram) -> Worker {
        Worker::start::<R>(self.config(directory, agent))
    }

    /// The configuration of such a worker.
    pub(crate) fn config(&self, directory: &Path, agent: AgentProgram) -> WorkerConfig {
        let mut config = config(&self.relay.address, directory, agent);
        let root = self.root.to_str().expect("text").to_owned();
        config.spawn_mode = SpawnMode::Worktree { root };
        config
    }

    /// Runs one session of a script; returns its id and its result.
    pub(crate) fn run<R: Runtime>(&self, agent: &str) -> (String, Value) {
        let worker = self.worker::<R>(&self.repository, script(agent));
        let session = self.relay.session();
        let result = session.result();
        worker.shut_down();
        (session.id.clone(), result)
    }

    /// The existing worktrees, according to git and to the directory.
    pub(crate) fn worktrees(&self) -> Vec<PathBuf> {
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

    pub(crate) fn branches(&self) -> String {
        git(&self.repository, &["for-each-ref", "--format=%(refname:short)", "refs/heads"])
    }

    /// Runs one session of a script in a fresh worktree, and shows whether that was kept: all that
    /// its result must say about it, or nothing at all.
    #[track_caller]
    pub(crate) fn keeps<R: Runtime>(&self, agent: &str, why: &str) {
        let (session, result) = self.run::<R>(agent);
        assert_eq!(result["status"], "completed", "{agent}: {result}");
        let message = result["message"].as_str().expect("text");
        assert_eq!(message.contains("was kept"), !why.is_empty(), "{agent}: {result}");
        assert!(message.contains(why) && !message.contains('\n'), "{agent}: {result}");
        assert_eq!(self.root.join(session).exists(), !why.is_empty(), "{agent}: {result}");
    }
}
