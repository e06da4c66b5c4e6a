//! Which commits would go with a session's worktree and branch.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::done::{BRANCHES, HEADS};

/// Asks for the symbolic references: a line for each reference, and empty ones for all others.
pub(super) const SYMBOLIC: [&str; 2] =
    ["for-each-ref", "--format=%(if)%(symref)%(then)%(refname)%(end)"];

/// The answer to that.
pub(super) fn symbolic(list: &str) -> Vec<String> {
    list.lines().filter(|line| !line.is_empty()).map(ToString::to_string).collect()
}

/// Asks for one commit that is reachable from these and from no other reference. Another session's
/// branch does not count: its worker may be about to delete it by the same reasoning. Neither does
/// the stash, which goes when it is applied. `--glob` does not count HEAD, as `--all` would;
/// references private to this worktree are removed with it. Nor do `symbolic` references: each holds
/// only what another one does, which may be the session's branch.
pub(super) fn own_commits(tips: &[&str], symbolic: &[String]) -> Vec<String> {
    list(&["--max-count=1"], tips, symbolic)
}

/// Asks for the newest of all of them, each with the first line of its message. Not all of the tips
/// need exist.
pub(super) fn commits_of(tips: &[&str], limit: usize) -> Vec<String> {
    let limit = format!("--max-count={limit}");
    list(&["--oneline", "--abbrev=12", "--ignore-missing", &limit], tips, &[])
}

/// Asks for those of these commits, and of what they follow, that neither `others` nor any other
/// reference has, each with its parents. Not all of them need exist.
pub(super) fn commits_and_parents(
    commits: &[String],
    others: &[&str],
    symbolic: &[String],
) -> Vec<String> {
    let commits: Vec<&str> = commits.iter().map(String::as_str).collect();
    let mut args = list(&["--parents", "--ignore-missing"], &commits, symbolic);
    args.extend(others.iter().map(ToString::to_string));
    args
}

fn list(options: &[&str], tips: &[&str], symbolic: &[String]) -> Vec<String> {
    let branches = format!("--exclude={HEADS}{BRANCHES}*");
    let symbolic = symbolic.iter().map(|name| format!("--exclude={name}"));
    let others = [
        &branches,
        "--exclude=refs/stash",
        "--exclude=refs/bisect/*",
        "--exclude=refs/worktree/*",
        "--exclude=refs/rewritten/*",
        "--glob=refs/*",
    ];
    let args = ["rev-list"].iter().chain(options).chain(tips).chain(&["--not"]);
    let args = args.map(ToString::to_string).chain(symbolic);
    args.chain(others.iter().map(ToString::to_string)).collect()
}
