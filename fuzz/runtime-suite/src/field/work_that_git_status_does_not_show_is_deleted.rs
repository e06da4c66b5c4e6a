//! An agent edits a file that git was told to overlook, or leaves something in a place that only
//! this worktree has. `git status` shows nothing, and the worktree was removed with it.

use crate::Runtime;
use crate::scenarios::stage::repository::{COMMIT, Stage, git};

fn stage() -> Stage {
    let stage = Stage::new();
    std::fs::write(stage.repository.join("file"), "changed\n").expect("written");
    git(&stage.repository, &["commit", "--quiet", "--all", "-m", "second"]);
    stage
}

const AS: &str = "git -c user.name=a -c user.email=a@b";

pub fn it_keeps_the_worktree<R: Runtime>() {
    let edit = "sed -i 1s/pick/edit/";
    let cases = [
        ("git update-index --skip-worktree file; echo new > file", "does not show, such as file"),
        (
            "git update-index --assume-unchanged file; echo new > file",
            "does not show, such as file",
        ),
        ("git update-index --assume-unchanged file; rm file", "does not show, such as file"),
        (
            "git sparse-checkout set --no-cone /nothing; echo new > file",
            "uncommitted or untracked files",
        ),
        (
            "git config core.trustctime false; git config core.checkStat minimal; touch -r file t; echo Changed > file; touch -r t file; rm t",
            "uncommitted",
        ),
        ("git config core.ignorecase true; echo new > FILE", "uncommitted or untracked"),
        ("git config core.fileMode false; chmod +x file", "uncommitted or untracked"),
        (
            "git config core.untrackedCache true; git status >&2; git config status.showUntrackedFiles no; echo new > a",
            "uncommitted or untracked",
        ),
        (
            "git config extensions.worktreeConfig true; git config --worktree core.worktree \"$(git rev-parse --git-common-dir)/..\"; echo new > a",
            "uncommitted or untracked",
        ),
        (
            &format!("{COMMIT}; git symbolic-ref refs/heads/alias $(git symbolic-ref HEAD)"),
            "commits that no other branch has",
        ),
        (
            &format!(
                "{COMMIT}; git symbolic-ref refs/tags/a $(git symbolic-ref HEAD); git symbolic-ref refs/heads/b refs/tags/a"
            ),
            "commits that no other branch has",
        ),
        (
            &format!(
                "{COMMIT}; echo $(git rev-parse main HEAD) > \"$(git rev-parse --git-common-dir)/info/grafts\""
            ),
            "commits that no other branch has",
        ),
        ("echo new > a; git add a; rm a", "uncommitted or untracked"),
        ("echo new > a; git add --intent-to-add a", "uncommitted or untracked"),
        ("ln -s /elsewhere a", "uncommitted or untracked"),
        (&format!("git switch --quiet --detach; {COMMIT}"), "commits that no other branch has"),
        ("git switch --quiet --detach", "its HEAD is not on a branch"),
        ("git switch --quiet --orphan new", "its HEAD is on a branch without a commit"),
        (&format!("{COMMIT}; echo new > file; {AS} stash"), "commits that no other branch has"),
        (
            &format!("git update-ref refs/worktree/mine $({AS} commit-tree -m work HEAD^{{tree}})"),
            "commits that no other branch has",
        ),
        (
            &format!("GIT_SEQUENCE_EDITOR='{edit}' {AS} rebase --quiet -i HEAD~1"),
            "its HEAD is not on a branch",
        ),
        (
            &format!("{AS} revert --no-commit HEAD; git checkout --quiet -f HEAD -- ."),
            "cannot switch branch while reverting",
        ),
        (
            &format!(
                "{AS} merge --quiet -s ours --no-commit --allow-unrelated-histories $({AS} commit-tree -m x HEAD^{{tree}})"
            ),
            "cannot switch branch while merging",
        ),
        ("git bisect start >&2; git bisect bad", "a bisection is in progress"),
        ("git bisect start --no-checkout HEAD HEAD~1", "a bisection is in progress"),
    ];
    for (agent, why) in cases {
        // What one of them does to the repository's configuration is not for the next.
        stage().keeps::<R>(agent, why);
    }
}

pub fn what_is_elsewhere_too_does_not<R: Runtime>() {
    let cases = [
        "git update-index --skip-worktree file; git update-index --assume-unchanged file",
        "git sparse-checkout set --no-cone /nothing",
        &format!("echo new > file; {AS} stash"),
        &format!("{AS} tag -m note a-tag; {AS} notes add -m note"),
        &format!("{COMMIT}; git tag a-tag"),
        &format!("git switch --quiet -c new; {COMMIT}"),
        &format!(
            "git switch --quiet -c new; {COMMIT}; git symbolic-ref refs/heads/b refs/heads/new"
        ),
    ];
    for agent in cases {
        stage().keeps::<R>(agent, "");
    }
    let stage = stage();
    stage.keeps::<R>(&format!("echo new > file; {AS} stash"), "");
    assert!(git(&stage.repository, &["stash", "list"]).contains("footbridge/"), "it is there");
}
