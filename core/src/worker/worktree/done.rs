//! How creating or cleaning up a worktree ends, and the names of branches.

use alloc::string::String;

/// The prefix of a branch's full name.
pub(super) const HEADS: &str = "refs/heads/";
/// The prefix of session branches.
pub(super) const BRANCHES: &str = "footbridge/";
/// Where commits are kept that only a worktree had, or only its reflogs.
pub(in crate::worker) const KEPT: &str = "refs/footbridge/kept/";

/// As git writes "no commit", in the length of this one's name.
pub(super) fn zeros(commit: &str) -> String {
    "0".repeat(commit.len())
}

/// What became of a worktree.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::worker) enum Done {
    /// The agent can start in it. With a commit that got a name, because only a worktree had it that
    /// somebody has removed.
    Made(Option<String>),
    NotMade(String),
    Removed,
    /// Somebody else has removed it.
    Gone,
    /// Why it was kept.
    Kept(String),
}
