//! Which commits would go with a session's worktree and branch.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::done::{BRANCHES, HEADS};

/// Asks for one commit that is reachable from these and from no other reference. Another session's
/// branch does not count: its worker may be about to delete it by the same reasoning. Neither does
/// the stash, which goes when it is applied. `--glob` does not count HEAD, as `--all` would;
/// references private to this worktree are removed with it.
pub(super) fn own_commits(tips: &[&str]) -> Vec<String> {
    list(&["--max-count=1"], tips)
}

/// Asks for the newest of all of them, each with the first line of its message. Not all of the tips
/// need exist.
pub(super) fn commits_of(tips: &[&str], limit: usize) -> Vec<String> {
    let limit = format!("--max-count={limit}");
    list(&["--oneline", "--abbrev=12", "--ignore-missing", &limit], tips)
}

fn list(options: &[&str], tips: &[&str]) -> Vec<String> {
    let branches = format!("--exclude={HEADS}{BRANCHES}*");
    let others = [
        "--not",
        &branches,
        "--exclude=refs/stash",
        "--exclude=refs/bisect/*",
        "--exclude=refs/worktree/*",
        "--exclude=refs/rewritten/*",
        "--glob=refs/*",
    ];
    let args = ["rev-list"].iter().chain(options).chain(tips).chain(&others);
    args.map(ToString::to_string).collect()
}
