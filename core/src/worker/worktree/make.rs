//! Creating a worktree for a session, or reusing the one it had before.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answer::Answer;
use super::done::Done;
use super::list::Lock;

/// How far it has come.
#[derive(Clone, Debug)]
pub(super) struct Making {
    step: Make,
    reference: String,
    /// Why a fresh one could not be created.
    complaint: String,
}

/// A session may return, after a crash or a lost lease: it then continues in the worktree that was
/// kept for it, or from its branch if only that is left.
#[derive(Clone, Copy, Debug)]
enum Make {
    Resolve,
    Add,
    Find,
    IsOwnerAlive(u32),
    Unlock,
    Lock,
    Attach,
}

impl Making {
    /// At `reference`, or at the repository's `HEAD`.
    pub(super) fn at(reference: Option<String>) -> Self {
        let reference = reference.unwrap_or_else(|| String::from("HEAD"));
        Self { step: Make::Resolve, reference, complaint: String::new() }
    }

    /// The process to check for, when the next step is not a git command.
    pub(super) const fn owner(&self) -> Option<u32> {
        match self.step {
            Make::IsOwnerAlive(owner) => Some(owner),
            _ => None,
        }
    }

    /// The next git command.
    pub(super) fn args(&self, path: &str, branch: &str, lock_reason: &str) -> Vec<String> {
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
                lock_reason,
                "-b",
                branch,
                path,
                &self.reference,
            ],
            Make::Find => &["worktree", "list", "--porcelain"],
            // Not a git command.
            Make::IsOwnerAlive(_) => &[],
            Make::Unlock => &["worktree", "unlock", path],
            Make::Lock => &["worktree", "lock", "--reason", lock_reason, path],
            Make::Attach => {
                &["worktree", "add", "--quiet", "--lock", "--reason", lock_reason, path, branch]
            }
        };
        args.iter().map(ToString::to_string).collect()
    }

    /// Moves one step on, depending on the answer.
    pub(super) fn advance(&mut self, answer: &Answer, path: &str, process_id: u32) -> Option<Done> {
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
                Make::Find
            }
            Make::Find if answer.is_success => match Lock::at(&answer.out, path) {
                Some(Lock::Worker(owner)) if owner == process_id => {
                    return Some(Done::Made);
                }
                Some(Lock::Worker(owner)) => Make::IsOwnerAlive(owner),
                Some(Lock::None) => Make::Lock,
                Some(Lock::Other) => {
                    return Some(Done::NotMade(format!("{path} is locked by someone else")));
                }
                None => Make::Attach,
            },
            Make::IsOwnerAlive(owner) if answer.is_success => {
                return Some(Done::NotMade(format!("process {owner} is using {path}")));
            }
            Make::IsOwnerAlive(_) if answer.has_run => Make::Unlock,
            Make::Unlock if answer.is_success => Make::Lock,
            Make::Find | Make::IsOwnerAlive(_) | Make::Unlock | Make::Lock | Make::Attach => {
                return Some(Done::NotMade(core::mem::take(&mut self.complaint)));
            }
        };
        self.step = next;
        None
    }
}
