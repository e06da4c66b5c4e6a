//! What making or cleaning a worktree ends with, and the names of branches.

use alloc::string::String;

/// The full name of a branch begins with this.
pub(super) const HEADS: &str = "refs/heads/";
/// Session branches are below this.
pub(super) const BRANCHES: &str = "footbridge/";

/// What became of a worktree.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::worker) enum Done {
    Made,
    NotMade(String),
    Removed,
    /// Why it was kept.
    Kept(String),
}
