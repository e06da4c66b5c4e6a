//! Removing a worktree if nothing would be lost.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answer::Answer;
use super::done::{BRANCHES, Done, HEADS};

/// How far it has come.
#[derive(Clone, Debug)]
pub(super) struct Cleaning {
    step: Clean,
    /// The full name of the branch its `HEAD` is on.
    head: String,
    /// The commit that the session's own branch points to.
    tip: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Clean {
    Changes,
    Head,
    Tip,
    OwnCommits,
    Idle,
    Unlock,
    Remove,
    RecheckCommits,
    Branch,
}

impl Cleaning {
    pub(super) const fn new() -> Self {
        Self { step: Clean::Changes, head: String::new(), tip: None }
    }

    /// Whether the next command runs outside the worktree itself.
    pub(super) const fn is_about_to_go(&self) -> bool {
        matches!(self.step, Clean::Unlock | Clean::Remove | Clean::RecheckCommits | Clean::Branch)
    }

    /// Whether the next command reads or writes files of the worktree.
    pub(super) const fn touches_files(&self) -> bool {
        matches!(self.step, Clean::Changes | Clean::Idle | Clean::Remove)
    }

    /// The next git command.
    pub(super) fn args(&self, path: &str, branch: &str) -> Vec<String> {
        let (head, tip) = (self.head.as_str(), self.tip.as_deref());
        let args: &[&str] = match self.step {
            // Each submodule has a configuration of its own. Git does not remove a worktree with one.
            Clean::Changes => {
                &["status", "--porcelain", "--untracked-files=all", "--ignore-submodules=all"]
            }
            Clean::Head => &["symbolic-ref", "--quiet", "HEAD"],
            Clean::Tip => &["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")],
            Clean::OwnCommits => return own_commits(&["HEAD", tip.unwrap_or("HEAD")]),
            // What HEAD had was checked before the worktree was removed.
            Clean::RecheckCommits => return own_commits(&[tip.unwrap_or_default()]),
            // To where it already is: git refuses during a merge, a rebase or the like, and
            // otherwise changes nothing.
            Clean::Idle => {
                &["switch", "--quiet", "--no-guess", head.strip_prefix(HEADS).unwrap_or(head)]
            }
            Clean::Unlock => &["worktree", "unlock", path],
            // Git checks for changes once more, but could ignore new files if the user's settings
            // say so.
            Clean::Remove => &["-c", "status.showUntrackedFiles=all", "worktree", "remove", path],
            Clean::Branch => {
                &["update-ref", "-d", &format!("refs/heads/{branch}"), tip.unwrap_or_default()]
            }
        };
        args.iter().map(ToString::to_string).collect()
    }

    /// Takes one step, according to the answer.
    pub(super) fn advance(&mut self, answer: &Answer) -> Option<Done> {
        let next = match self.step {
            Clean::Changes if !answer.is_success => {
                return Some(Done::Kept(answer.complaint()));
            }
            Clean::Changes if !answer.out.is_empty() => {
                let changes = answer.out.lines().count();
                return Some(Done::Kept(format!("{changes} uncommitted or untracked files")));
            }
            Clean::Changes => Clean::Tip,
            Clean::Tip => {
                // A branch that the agent deleted has nothing that HEAD lacks.
                self.tip =
                    Some(answer.out.clone()).filter(|tip| answer.is_success && !tip.is_empty());
                Clean::OwnCommits
            }
            Clean::OwnCommits if !answer.is_success => {
                return Some(Done::Kept(answer.complaint()));
            }
            Clean::OwnCommits if !answer.out.is_empty() => {
                return Some(Done::Kept(String::from("commits that no other branch has")));
            }
            Clean::OwnCommits => Clean::Head,
            // As late as possible: on a `HEAD` that was detached before the commits were checked,
            // one may have been made since.
            Clean::Head if answer.is_success && answer.out.starts_with(HEADS) => {
                self.head.clone_from(&answer.out);
                Clean::Idle
            }
            Clean::Head => {
                return Some(Done::Kept(String::from("its HEAD is not on a branch")));
            }
            Clean::Idle if !answer.is_success => {
                return Some(Done::Kept(answer.complaint()));
            }
            Clean::Idle => Clean::Unlock,
            // It is not locked if an earlier attempt came this far.
            Clean::Unlock => Clean::Remove,
            Clean::Remove if !answer.is_success => {
                return Some(Done::Kept(answer.complaint()));
            }
            Clean::Remove if self.tip.is_some() => Clean::RecheckCommits,
            // Someone may have deleted the other branch that had its commits: then this one stays.
            Clean::RecheckCommits if answer.is_success && answer.out.is_empty() => Clean::Branch,
            // A branch that has moved in the meantime stays, along with its commits.
            Clean::Remove | Clean::RecheckCommits | Clean::Branch => return Some(Done::Removed),
        };
        self.step = next;
        None
    }
}

/// Asks for one commit that is reachable from these and from no other reference. Another session's
/// branch does not count: its worker may be about to delete it by the same reasoning. `--glob` does
/// not count HEAD, as `--all` would; references private to this worktree are removed with it.
fn own_commits(tips: &[&str]) -> Vec<String> {
    let branches = format!("--exclude={HEADS}{BRANCHES}*");
    let others = [
        "--not",
        &branches,
        "--exclude=refs/bisect/*",
        "--exclude=refs/worktree/*",
        "--exclude=refs/rewritten/*",
        "--glob=refs/*",
    ];
    let args = ["rev-list", "--max-count=1"].iter().chain(tips).chain(&others);
    args.map(ToString::to_string).collect()
}
