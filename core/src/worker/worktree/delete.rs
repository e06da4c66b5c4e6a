//! Deleting a worktree with everything in it, because a person who was shown what that is said so.
//!
//! ```text
//!   who locked it? ──▶ what only its reflogs have, and nobody was shown, gets a name
//!     ──▶ unlock ──▶ worktree remove --force ──▶ its branch is deleted
//! ```

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answer::Answer;
use super::done::{Done, HEADS};
use super::list::{Lock, entries};
use super::own_branch::OwnBranch;
use super::reflog::Reflogs;

/// How far it has come.
#[derive(Clone, Debug)]
pub(super) struct Deleting {
    step: Step,
    /// The commit that the session's own branch points to.
    tip: Option<String>,
    reflogs: Reflogs,
    /// Who has locked it; `None` if git has no record of it.
    lock: Option<Lock>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Tip,
    List,
    Reflogs,
    Unlock,
    Remove,
    Branch(OwnBranch),
}

impl Deleting {
    pub(super) const fn new() -> Self {
        Self { step: Step::Tip, tip: None, reflogs: Reflogs::new(), lock: None }
    }

    /// Whether the next command lists things of which there can be many.
    pub(super) const fn lists_many(&self) -> bool {
        matches!(self.step, Step::Reflogs) && self.reflogs.lists_many()
    }

    /// The commit that has got a name because only reflogs had it.
    pub(super) fn named(&self) -> Option<&str> {
        self.reflogs.named()
    }

    /// Whether the next command reads or writes files of the worktree.
    pub(super) const fn touches_files(&self) -> bool {
        matches!(self.step, Step::Remove)
    }

    /// The next git command, outside of the worktree.
    pub(super) fn args(&self, path: &str, branch: &str) -> Vec<String> {
        let tip = self.tip.as_deref().unwrap_or_default();
        let own = format!("{HEADS}{branch}");
        let args: &[&str] = match self.step {
            Step::Tip => &["rev-parse", "--verify", "--quiet", &own],
            Step::List => &["worktree", "list", "--porcelain"],
            Step::Reflogs => {
                let name = path.rsplit('/').next().unwrap_or_default();
                let tips = [&*format!("worktrees/{name}/HEAD"), &own];
                return self.reflogs.args(&tips, &tips, &[]);
            }
            Step::Unlock => &["worktree", "unlock", path],
            Step::Remove => &["worktree", "remove", "--force", path],
            Step::Branch(step) => return step.args(&own, tip),
        };
        args.iter().map(ToString::to_string).collect()
    }

    /// Takes one step, according to the answer.
    pub(super) fn advance(&mut self, answer: &Answer, path: &str, branch: &str) -> Option<Done> {
        self.step = match self.step {
            Step::Tip => {
                self.tip =
                    Some(answer.out.clone()).filter(|tip| answer.is_success && !tip.is_empty());
                Step::List
            }
            Step::List | Step::Remove if !answer.is_success => {
                return Some(Done::Kept(answer.complaint()));
            }
            Step::List => {
                let entry = entries(&answer.out).into_iter().find(|entry| entry.path == path);
                self.lock = entry.map(|entry| entry.lock);
                if self.lock == Some(Lock::Other) {
                    return Some(Done::Kept(String::from("it is locked by someone else")));
                }
                Step::Reflogs
            }
            Step::Reflogs => match (self.reflogs.advance(answer), self.lock) {
                (Err(reason), _) => return Some(Done::Kept(reason)),
                (Ok(false), _) => Step::Reflogs,
                (Ok(true), Some(Lock::None)) => Step::Remove,
                (Ok(true), Some(_)) => Step::Unlock,
                (Ok(true), None) => return self.branch(),
            },
            Step::Unlock => Step::Remove,
            Step::Remove => return self.branch(),
            Step::Branch(step) => match step.advance(answer, &format!("{HEADS}{branch}")) {
                Some(step) => Step::Branch(step),
                None => return Some(Done::Removed),
            },
        };
        None
    }

    fn branch(&mut self) -> Option<Done> {
        self.step = Step::Branch(OwnBranch::default());
        if self.tip.is_some() { None } else { Some(Done::Removed) }
    }
}
