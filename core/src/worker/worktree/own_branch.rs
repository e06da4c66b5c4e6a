//! Deletes a session's branch, by value.
//!
//! Git lets a branch go by `update-ref` whoever is on it. Somebody may have switched to this one since
//! the worktrees were listed, and would be left on a branch without a commit. So they are listed once
//! more afterwards, and the branch comes back if one of them is on it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answer::Answer;
use super::done::zeros;
use super::list::entries;

/// What is done next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum OwnBranch {
    #[default]
    Delete,
    Look,
    Restore,
}

impl OwnBranch {
    /// The command, for a branch of this full name at this commit.
    pub(super) fn args(self, branch: &str, tip: &str) -> Vec<String> {
        let args: &[&str] = match self {
            Self::Delete => &["update-ref", "-d", branch, tip],
            Self::Look => &["worktree", "list", "--porcelain"],
            Self::Restore => &["update-ref", branch, tip, &zeros(tip)],
        };
        args.iter().map(ToString::to_string).collect()
    }

    /// Takes one step, according to the answer; `None` if it was the last. One that has moved in the
    /// meantime stays, along with its commits.
    pub(super) fn advance(self, answer: &Answer, branch: &str) -> Option<Self> {
        let is_on_it =
            || entries(&answer.out).iter().any(|it| it.branch.as_deref() == Some(branch));
        match self {
            Self::Delete if answer.is_success => Some(Self::Look),
            Self::Look if answer.is_success && is_on_it() => Some(Self::Restore),
            Self::Delete | Self::Look | Self::Restore => None,
        }
    }
}
