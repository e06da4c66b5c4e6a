//! Creating a worktree for a session, or reusing the one it had before.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answer::Answer;
use super::done::Done;
use super::list::{LOCK_REASON, Lock};
use crate::base::limits::WORKTREE_ATTEMPTS;

/// How far it has come.
#[derive(Clone, Debug)]
pub(super) struct Making {
    step: Make,
    reference: String,
    /// Why a fresh one could not be created.
    complaint: String,
    /// How often it has been tried.
    attempts: u32,
}

/// A session may return, after a crash or a lost lease: it then continues in the worktree that was
/// kept for it, or from its branch if only that is left. Both may go in between: a command that an
/// earlier run had started can take effect after that run's death. It then starts over.
#[derive(Clone, Copy, Debug)]
enum Make {
    Resolve,
    Add,
    Find,
    Lock,
    Attach,
}

impl Making {
    /// At `reference`, or at the repository's `HEAD`.
    pub(super) fn at(reference: Option<String>) -> Self {
        let reference = reference.unwrap_or_else(|| String::from("HEAD"));
        Self { step: Make::Resolve, reference, complaint: String::new(), attempts: 0 }
    }

    /// Whether the next command writes files of the worktree.
    pub(super) const fn touches_files(&self) -> bool {
        matches!(self.step, Make::Add | Make::Attach)
    }

    /// The next git command.
    pub(super) fn args(&self, path: &str, branch: &str) -> Vec<String> {
        let commit = format!("{}^{{commit}}", self.reference);
        let args: &[&str] = match self.step {
            Make::Resolve => &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit],
            Make::Add => &[
                "worktree",
                "add",
                "--quiet",
                "--no-track",
                "--lock",
                "--reason",
                LOCK_REASON,
                "-b",
                branch,
                path,
                &self.reference,
            ],
            Make::Find => &["worktree", "list", "--porcelain"],
            Make::Lock => &["worktree", "lock", "--reason", LOCK_REASON, path],
            Make::Attach => {
                &["worktree", "add", "--quiet", "--lock", "--reason", LOCK_REASON, path, branch]
            }
        };
        args.iter().map(ToString::to_string).collect()
    }

    /// Moves one step on, depending on the answer.
    pub(super) fn advance(&mut self, answer: &Answer, path: &str) -> Option<Done> {
        let next = match self.step {
            Make::Resolve if answer.is_success => {
                // From here on it is a commit, whatever happens to the reference.
                self.reference.clone_from(&answer.out);
                Make::Add
            }
            Make::Resolve => {
                return Some(Done::NotMade(format!("git cannot resolve {:?}", self.reference)));
            }
            Make::Add | Make::Lock | Make::Attach if answer.is_success => {
                return Some(Done::Made);
            }
            Make::Add => {
                self.complaint = answer.complaint();
                self.attempts += 1;
                Make::Find
            }
            Make::Find if answer.is_success => match Lock::at(&answer.out, path) {
                Some(Lock::Own) => return Some(Done::Made),
                Some(Lock::None) => Make::Lock,
                Some(Lock::Other) => {
                    return Some(Done::NotMade(format!("{path} is locked by someone else")));
                }
                None => Make::Attach,
            },
            Make::Lock | Make::Attach if self.attempts < WORKTREE_ATTEMPTS => Make::Add,
            Make::Find | Make::Lock | Make::Attach => {
                return Some(Done::NotMade(core::mem::take(&mut self.complaint)));
            }
        };
        self.step = next;
        None
    }
}
