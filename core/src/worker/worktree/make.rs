//! Creating a worktree for a session, or reusing the one it had before.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answer::Answer;
use super::done::{Done, HEADS, KEPT};
use super::list::{Entry, LOCK_REASON, Lock, entries};
use super::reflog::Reflogs;
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
    /// Of the one before, whose directory is gone.
    reflogs: Reflogs,
    /// What has got a name because only they had it.
    named: Option<String>,
    /// Where git keeps what belongs to this worktree alone.
    git_directory: String,
}

/// A session may return, after a crash or a lost lease: it then continues in the worktree that was
/// kept for it, or from its branch if only that is left, because its directory was removed. Both may
/// go in between: a command that an
/// earlier run had started can take effect after that run's death. It then starts over.
#[derive(Clone, Copy, Debug)]
enum Make {
    Resolve,
    Add,
    Find,
    Lock,
    /// Is its directory still there?
    Check,
    /// Is it whole? Git writes its index when all of its files are there.
    Whole,
    /// It is not: was git cut off while it wrote them? No agent has ever worked in it then.
    CutOff,
    /// Then it is made again.
    Discard,
    /// Git was cut off before it wrote any, or somebody has removed the index: what is missing is added,
    /// and nothing is taken away.
    Index,
    Fill,
    /// It is gone. What its `HEAD` and reflogs alone hold gets a name before those go as well.
    Reflogs,
    Unlock,
    Forget,
    Attach,
}

impl Making {
    /// At `reference`, or at the repository's `HEAD`.
    pub(super) fn at(reference: Option<String>) -> Self {
        let reference = reference.unwrap_or_else(|| String::from("HEAD"));
        Self {
            step: Make::Resolve,
            reference,
            complaint: String::new(),
            attempts: 0,
            reflogs: Reflogs::new(),
            named: None,
            git_directory: String::new(),
        }
    }

    /// Whether the next command lists things of which there can be many.
    pub(super) const fn lists_many(&self) -> bool {
        matches!(self.step, Make::Reflogs) && self.reflogs.lists_many()
    }

    /// Whether the next command writes files of the worktree.
    pub(super) const fn touches_files(&self) -> bool {
        matches!(self.step, Make::Add | Make::Attach | Make::Fill)
    }

    /// The next git command.
    pub(super) fn args(&self, path: &str, branch: &str) -> Vec<String> {
        let commit = format!("{}^{{commit}}", self.reference);
        let own = |file: &str| format!("{}/{file}", self.git_directory);
        let (index, lock) = (own("index"), own("index.lock"));
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
            Make::Check => &["rev-parse", "--absolute-git-dir"],
            Make::Whole => &["hash-object", "--no-filters", "--", &index],
            Make::CutOff => &["hash-object", "--no-filters", "--", &lock],
            // Twice: it is locked.
            Make::Discard => &["worktree", "remove", "--force", "--force", path],
            Make::Index => &["read-tree", "HEAD"],
            Make::Fill => &["checkout-index", "--all", "--quiet"],
            Make::Reflogs => {
                let name = path.rsplit('/').next().unwrap_or_default();
                let own = format!("{HEADS}{branch}");
                let tips = [&*format!("worktrees/{name}/HEAD"), &own];
                return self.reflogs.args(&tips, &[&own], &[]);
            }
            Make::Unlock => &["worktree", "unlock", path],
            Make::Forget => &["worktree", "remove", path],
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
            Make::Resolve if answer.says_directory_is_gone() => {
                return Some(Done::NotMade(format!(
                    "the directory that the worker was started in is gone; if it was moved, start \
                     the worker there ({})",
                    answer.complaint()
                )));
            }
            Make::Resolve => {
                return Some(Done::NotMade(format!("git cannot resolve {:?}", self.reference)));
            }
            Make::Add | Make::Attach if answer.is_success => {
                return Some(Done::Made(self.named.take()));
            }
            Make::Lock if answer.is_success => Make::Check,
            Make::Add => {
                self.note(answer);
                self.attempts += 1;
                Make::Find
            }
            Make::Find if answer.is_success => {
                let entry = entries(&answer.out).into_iter().find(|entry| entry.path == path);
                let is_detached = |entry: &&Entry| entry.branch.is_none();
                let commit = entry.as_ref().filter(is_detached).and_then(Entry::commit);
                self.reflogs = Reflogs::of_detached(commit.map(String::from));
                match entry.map(|entry| entry.lock) {
                    Some(Lock::Own) => Make::Check,
                    Some(Lock::None) => Make::Lock,
                    Some(Lock::Other) => {
                        return Some(Done::NotMade(format!("{path} is locked by someone else")));
                    }
                    None => Make::Attach,
                }
            }
            Make::Check if answer.says_directory_is_gone() => Make::Reflogs,
            Make::Check if answer.is_success => {
                self.git_directory.clone_from(&answer.out);
                Make::Whole
            }
            Make::Whole if answer.says_file_is_missing() => Make::CutOff,
            Make::CutOff if answer.is_success => Make::Discard,
            Make::CutOff => Make::Index,
            Make::Index if answer.is_success => Make::Fill,
            Make::Fill if answer.is_success => return Some(Done::Made(None)),
            Make::Check | Make::Whole => return Some(Done::Made(None)),
            Make::Discard if answer.is_success => Make::Attach,
            Make::Discard | Make::Index | Make::Fill => {
                return Some(Done::NotMade(format!(
                    "git was cut off when it made {path}, and cannot make it again ({})",
                    answer.complaint()
                )));
            }
            Make::Reflogs if answer.is_success => match self.reflogs.advance(answer) {
                Ok(true) => {
                    self.named = self.reflogs.named().map(String::from).or(self.named.take());
                    Make::Unlock
                }
                Ok(false) => Make::Reflogs,
                Err(reason) => return Some(Done::NotMade(reason)),
            },
            Make::Unlock => Make::Forget,
            Make::Forget if answer.is_success => Make::Attach,
            Make::Lock | Make::Attach | Make::Forget if self.attempts < WORKTREE_ATTEMPTS => {
                if matches!(self.step, Make::Attach) {
                    self.note(answer);
                }
                Make::Add
            }
            Make::Find | Make::Lock | Make::Reflogs | Make::Forget | Make::Attach => {
                let mut complaint = core::mem::take(&mut self.complaint);
                if let Some(commit) = self.named.take() {
                    complaint += &format!("; the commit {commit} was kept as {KEPT}{commit}");
                }
                return Some(Done::NotMade(complaint));
            }
        };
        self.step = next;
        None
    }

    /// Whether the next command runs in the worktree itself.
    pub(super) const fn is_within(&self) -> bool {
        matches!(self.step, Make::Check | Make::Whole | Make::CutOff | Make::Index | Make::Fill)
    }

    /// That its branch exists says only that this was tried before.
    fn note(&mut self, answer: &Answer) {
        if self.complaint.is_empty() || !answer.says_branch_exists() {
            self.complaint = answer.complaint();
        }
    }
}
