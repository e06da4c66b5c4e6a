//! A worktree that somebody else has removed: its agent, or a person.
//!
//! ```text
//!   git has no record of it ──────────────────────────────▶ its branch is deleted
//!   git has moved it ─────────▶ unlock: it is theirs now
//!   its directory is gone ────▶ unlock ──▶ detach `HEAD` ──▶ its branch is deleted
//!   the same, at a later start ──▶ its record is removed
//! ```
//!
//! Its branch is only deleted if all its commits are elsewhere. A directory that is gone may have
//! been moved without git's knowledge. So its record stays at first: what was moved is still a
//! worktree, with its changes, and `git worktree repair` finds its record.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answer::Answer;
use super::done::{Done, HEADS};
use super::list::{Entry, Lock, entries};
use super::own_branch::OwnBranch;
use super::own_commits::{SYMBOLIC, own_commits, symbolic};
use super::reflog::Reflogs;

/// How far it has come.
#[derive(Clone, Debug)]
pub(super) struct Gone {
    step: Step,
    /// Whether only its branch was found. It says nothing then, since any branch may stay, and does
    /// nothing to a worktree in its place.
    is_branch_only: bool,
    /// What git has on record.
    entry: Option<Entry>,
    /// The commit that the session's own branch points to.
    tip: Option<String>,
    symbolic: Vec<String>,
    reflogs: Reflogs,
}

#[derive(Clone, Debug)]
enum Step {
    List,
    Release,
    Tip,
    Symbolic,
    OwnCommits,
    Reflogs,
    /// Then it is kept for this reason, if there is one.
    Unlock(Option<String>),
    /// Is its record called what git calls it first? Two places can have directories of one name, but
    /// its branch can be checked out only once.
    Name,
    Detach,
    Forget,
    Branch(OwnBranch),
}

impl Gone {
    pub(super) const fn new() -> Self {
        Self {
            step: Step::List,
            is_branch_only: false,
            entry: None,
            tip: None,
            symbolic: Vec::new(),
            reflogs: Reflogs::new(),
        }
    }

    pub(super) fn with_branch_only() -> Self {
        Self { is_branch_only: true, ..Self::new() }
    }

    /// Whether the next command lists things of which there can be many.
    pub(super) const fn lists_many(&self) -> bool {
        match self.step {
            Step::Symbolic => true,
            Step::Reflogs => self.reflogs.lists_many(),
            _ => false,
        }
    }

    /// The commit that has got a name because only reflogs had it.
    pub(super) fn named(&self) -> Option<&str> {
        self.reflogs.named()
    }

    /// The next git command, outside of the worktree.
    pub(super) fn args(&self, path: &str, branch: &str) -> Vec<String> {
        let entry = self.entry.as_ref();
        let head = entry.map_or("", |entry| &entry.head);
        let tip = self.tip.as_deref();
        let name = path.rsplit('/').next().unwrap_or_default();
        let args: &[&str] = match &self.step {
            Step::List => &["worktree", "list", "--porcelain"],
            Step::Release => &["worktree", "unlock", entry.map_or("", |entry| &entry.path)],
            Step::Tip => &["rev-parse", "--verify", "--quiet", &format!("{HEADS}{branch}")],
            Step::Symbolic => &SYMBOLIC,
            Step::OwnCommits => {
                let head = entry.and_then(Entry::commit);
                let tips: Vec<_> = head.into_iter().chain(tip).collect();
                return own_commits(&tips, &self.symbolic);
            }
            Step::Reflogs => {
                let tips = [&*format!("worktrees/{name}/HEAD"), &format!("{HEADS}{branch}")];
                return self.reflogs.args(&tips, &[], &self.symbolic);
            }
            Step::Unlock(_) => &["worktree", "unlock", path],
            Step::Name => &["symbolic-ref", "--quiet", &format!("worktrees/{name}/HEAD")],
            Step::Detach => {
                &["update-ref", "--no-deref", &format!("worktrees/{name}/HEAD"), head, head]
            }
            Step::Forget => &["worktree", "remove", path],
            Step::Branch(step) => {
                return step.args(&format!("{HEADS}{branch}"), tip.unwrap_or_default());
            }
        };
        args.iter().map(ToString::to_string).collect()
    }

    /// Takes one step, according to the answer.
    pub(super) fn advance(
        mut self,
        answer: &Answer,
        path: &str,
        branch: &str,
    ) -> Result<Self, Done> {
        let own = format!("{HEADS}{branch}");
        let is_own = |entry: &Entry| entry.branch.as_ref() == Some(&own);
        let on_branch = self.entry.as_ref().is_some_and(|entry| entry.branch.is_some());
        self.step = match core::mem::replace(&mut self.step, Step::List) {
            Step::List | Step::Symbolic | Step::OwnCommits | Step::Detach | Step::Forget
                if !answer.is_success =>
            {
                return Err(self.kept(answer.complaint()));
            }
            Step::List => {
                let mut list = entries(&answer.out);
                let at_path = list.iter().position(|entry| entry.path == path);
                let moved = list.iter().position(is_own);
                self.entry = at_path.or(moved).map(|at| list.swap_remove(at));
                match self.entry.as_ref().map(|entry| entry.lock) {
                    Some(_) if at_path.is_some() && self.is_branch_only => return Err(Done::Gone),
                    Some(Lock::Own) if at_path.is_none() => Step::Release,
                    Some(Lock::None | Lock::Other) if at_path.is_none() => {
                        return Err(self.moved());
                    }
                    Some(Lock::Other) => return Err(self.kept("it is locked by someone else")),
                    Some(Lock::None | Lock::Own) | None => Step::Tip,
                }
            }
            Step::Release => return Err(self.moved()),
            Step::Tip => {
                self.tip =
                    Some(answer.out.clone()).filter(|tip| answer.is_success && !tip.is_empty());
                match (&self.tip, &self.entry) {
                    (None, None) => return Err(Done::Gone),
                    (None, Some(entry)) if entry.commit().is_none() => self.after_commits(&own),
                    _ => Step::Symbolic,
                }
            }
            Step::Symbolic => {
                self.symbolic = symbolic(&answer.out);
                Step::OwnCommits
            }
            Step::OwnCommits if !answer.out.is_empty() => {
                let reason =
                    "its directory was removed or moved, and no other branch has its commits";
                // On no branch, only its record has them.
                if !on_branch {
                    return Err(self.kept(reason));
                }
                Step::Unlock(Some(String::from(reason)))
            }
            Step::OwnCommits => Step::Reflogs,
            Step::Reflogs => match self.reflogs.advance(answer) {
                Ok(false) => Step::Reflogs,
                Ok(true) => self.after_commits(&own),
                Err(reason) => return Err(self.kept(reason)),
            },
            Step::Unlock(Some(reason)) => return Err(self.kept(reason)),
            Step::Unlock(None) if self.entry.as_ref().is_some_and(is_own) => Step::Name,
            Step::Name if answer.is_success && answer.out == own => Step::Detach,
            Step::Unlock(None) | Step::Name | Step::Detach | Step::Forget if self.tip.is_some() => {
                Step::Branch(OwnBranch::default())
            }
            Step::Unlock(None) | Step::Name | Step::Detach | Step::Forget => {
                return Err(Done::Gone);
            }
            Step::Branch(step) => Step::Branch(step.advance(answer, &own).ok_or(Done::Gone)?),
        };
        Ok(self)
    }

    /// All its commits are elsewhere.
    fn after_commits(&self, own: &str) -> Step {
        match &self.entry {
            None => Step::Branch(OwnBranch::default()),
            // As an earlier run has left it.
            Some(entry) if entry.lock == Lock::None && entry.branch.as_deref() != Some(own) => {
                Step::Forget
            }
            Some(_) => Step::Unlock(None),
        }
    }

    fn kept(&self, reason: impl Into<String>) -> Done {
        if self.is_branch_only { Done::Gone } else { Done::Kept(reason.into()) }
    }

    fn moved(&self) -> Done {
        let place = self.entry.as_ref().map_or("", |entry| &entry.path);
        self.kept(format!("somebody has moved it to {place}, and it is theirs now"))
    }
}
