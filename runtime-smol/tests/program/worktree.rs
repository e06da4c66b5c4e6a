//! `--spawn-mode worktree` with real git.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::client::ready;
use crate::running::{Running, footbridge, until};

fn git(directory: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    let name = ["-c", "user.name=me", "-c", "user.email=me@example.org"];
    let output = command.current_dir(directory).args(name).args(args).output().expect("git");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_clean_sessions_worktree_is_removed_and_one_with_an_untracked_file_is_kept_and_named() {
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path().canonicalize().expect("there");
    let repository = home.join("repository");
    std::fs::create_dir(&repository).expect("made");
    git(&repository, &["init", "--quiet"]);
    git(&repository, &["commit", "--quiet", "--allow-empty", "-m", "begin"]);
    let args =
        ["up", "--listen", ":0", "--json", "--directory", "repository", "--spawn-mode", "worktree"];
    let mut program = Running::start(footbridge(&home).args(args));
    let relay = ready(&mut program);

    let mut workers =
        std::fs::read_dir(home.join(".local/state/footbridge/workers")).expect("there");
    let worktrees = workers.next().expect("one").expect("an entry").path().join("worktrees");
    let run = |command: &str| {
        let session = relay.new_session();
        relay.send(&session, command);
        relay.allow(&session);
        let result = relay.event(&session, |message| message["type"] == "result");
        assert_eq!(result["subtype"], "success");
        let path = worktrees.join(&session);
        let listed = git(&repository, &["worktree", "list", "--porcelain"]);
        assert!(listed.contains(&format!("worktree {}\n", path.display())), "{listed}");
        assert!(listed.contains(&format!("branch refs/heads/footbridge/{session}\n")), "{listed}");
        (relay.stop(&session), path)
    };

    let (session, path) = run("pwd");
    until("the worktree is gone", || (!path.exists()).then_some(()));
    let words = session["result"]["message"].as_str().expect("text");
    assert!(!words.contains("worktrees"), "{words}");

    let (session, path) = run("echo work > untracked");
    let words = session["result"]["message"].as_str().expect("text");
    assert!(words.contains(&*path.to_string_lossy()), "{words}");
    assert_eq!(std::fs::read_to_string(path.join("untracked")).expect("kept"), "work\n");

    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
    assert!(path.exists());
    let branches = git(&repository, &["branch", "--list", "footbridge/*"]);
    assert_eq!(branches.lines().count(), 1, "{branches}");
}

#[test]
fn a_worktree_whose_making_was_cut_off_is_made_again_before_an_agent_works_in_it() {
    const FILES: usize = 60;
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path().canonicalize().expect("there");
    let repository = home.join("repository");
    std::fs::create_dir(&repository).expect("made");
    git(&repository, &["init", "--quiet"]);
    for n in 0..FILES {
        std::fs::write(repository.join(format!("file{n}")), format!("{n}\n")).expect("written");
    }
    std::fs::write(repository.join(".gitattributes"), "file* filter=slow\n").expect("written");
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "--quiet", "-m", "begin"]);
    let filter = |smudge: &str| {
        let text = format!("[filter \"slow\"]\n\tsmudge = {smudge}\n");
        std::fs::write(home.join(".gitconfig"), text).expect("written");
    };
    filter("sleep 0.2; cat");
    let args =
        ["up", "--listen", ":0", "--json", "--directory", "repository", "--spawn-mode", "worktree"];
    let mut program = Running::start(footbridge(&home).args(args));
    let session = ready(&mut program).new_session();
    let mut workers =
        std::fs::read_dir(home.join(".local/state/footbridge/workers")).expect("there");
    let path = workers.next().expect("one").expect("an entry").path().join("worktrees");
    let path = path.join(&session);
    let written = || std::fs::read_dir(&path).map_or(0, Iterator::count);
    until("some files are there", || (written() > 3).then_some(()));
    program.signal(Signal::KILL);
    program.wait();
    assert!(written() < FILES);
    filter("cat");
    let mut program = Running::start(footbridge(&home).args(args));
    let relay = ready(&mut program);
    relay.send(&session, "true");
    relay.allow(&session);
    relay.event(&session, |message| message["type"] == "result");
    assert_eq!(git(&path, &["status", "--porcelain"]), "");
    assert_eq!(git(&path, &["ls-files"]).lines().count(), FILES + 1);
}
