//! Commits that only the reflogs of a session's worktree and branch have: those that were amended,
//! rebased or reset away. The reflogs go with the worktree and the branch, so such commits get a name
//! first, and git does not delete them.
//!
//! ```text
//!   what did HEAD and the branch ever point to? ──▶ which of that has no other reference?
//!     ──▶ several that do not follow each other? make a commit that follows them all
//!     ──▶ name it: refs/footbridge/kept/COMMIT
//! ```

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answer::Answer;
use super::done::KEPT;
use super::own_commits::commits_and_parents;
use crate::base::limits::{MAX_FILE_LIST_BYTES, MAX_REFLOG_COMMITS, MAX_REFLOG_ENTRIES};

/// How far it has come.
#[derive(Clone, Debug)]
pub(super) struct Reflogs {
    step: Step,
    /// The commit of a detached `HEAD`, which counts as in its reflog, whether there is one or not.
    detached: Option<String>,
    /// The commit that has got a name.
    named: Option<String>,
}

#[derive(Clone, Debug)]
enum Step {
    Entries,
    /// With what the reflogs have.
    Commits(Vec<String>),
    /// With those that no other one of them follows.
    Join(Vec<String>),
    Name(String),
    Over,
}

impl Reflogs {
    pub(super) const fn new() -> Self {
        Self { step: Step::Entries, detached: None, named: None }
    }

    /// Of a worktree whose `HEAD` is on this commit, and on no branch.
    pub(super) const fn of_detached(commit: Option<String>) -> Self {
        Self { step: Step::Entries, detached: commit, named: None }
    }

    /// Whether the next command lists things of which there can be many.
    pub(super) const fn lists_many(&self) -> bool {
        matches!(self.step, Step::Entries | Step::Commits(_))
    }

    /// The commit that has got a name, if there was one.
    pub(super) fn named(&self) -> Option<&str> {
        self.named.as_deref()
    }

    /// The next git command. It reads the reflogs of `tips`. What `others` have stays, or is to go.
    /// Not all of either need exist.
    pub(super) fn args(&self, tips: &[&str], others: &[&str], symbolic: &[String]) -> Vec<String> {
        let limit = format!("--max-count={MAX_REFLOG_ENTRIES}");
        let to_strings = |args: &[&str]| args.iter().map(ToString::to_string).collect();
        match &self.step {
            Step::Entries => {
                let args = ["rev-list", "--walk-reflogs", "--ignore-missing", &limit];
                to_strings(&[&args[..], tips].concat())
            }
            Step::Commits(commits) => commits_and_parents(commits, others, symbolic),
            Step::Join(commits) => {
                let message = "Commits that only the reflogs of a removed worktree had";
                let name = ["-c", "user.name=Footbridge", "-c", "user.email=footbridge@localhost"];
                let tree = format!("{}^{{tree}}", commits.first().map_or("", String::as_str));
                let parents = commits.iter().flat_map(|commit| ["-p", commit]);
                let args = name.into_iter().chain(["commit-tree", "-m", message]).chain(parents);
                args.chain([&*tree]).map(ToString::to_string).collect()
            }
            Step::Name(commit) => to_strings(&["update-ref", &format!("{KEPT}{commit}"), commit]),
            Step::Over => Vec::new(),
        }
    }

    /// Takes one step, according to the answer. Returns whether nothing is left to do, or why the
    /// worktree has to stay.
    pub(super) fn advance(&mut self, answer: &Answer) -> Result<bool, String> {
        if !answer.is_success {
            return Err(answer.complaint());
        }
        let too_many = || Err(String::from("more in its reflogs than could be looked at"));
        self.step = match core::mem::replace(&mut self.step, Step::Over) {
            Step::Entries => {
                if answer.out.lines().count() >= MAX_REFLOG_ENTRIES {
                    return too_many();
                }
                let mut commits: BTreeSet<&str> =
                    answer.out.lines().filter(|line| is_name(line)).collect();
                commits.extend(self.detached.as_deref());
                match commits.is_empty() {
                    true => Step::Over,
                    false => Step::Commits(commits.into_iter().map(String::from).collect()),
                }
            }
            Step::Commits(_) if answer.is_cut(MAX_FILE_LIST_BYTES) => return too_many(),
            Step::Commits(_) => match unfollowed(&answer.out) {
                commits if commits.is_empty() => Step::Over,
                commits if commits.len() == 1 => Step::Name(commits.concat()),
                commits if commits.len() <= MAX_REFLOG_COMMITS => Step::Join(commits),
                _ => return too_many(),
            },
            Step::Join(_) if is_name(&answer.out) => Step::Name(answer.out.clone()),
            Step::Join(_) => return Err(String::from("git does not name the commit it has made")),
            Step::Name(commit) => {
                self.named = Some(commit);
                Step::Over
            }
            Step::Over => Step::Over,
        };
        Ok(matches!(self.step, Step::Over))
    }
}

/// Of lines of commits, each with its parents, those that are nobody's parent.
fn unfollowed(list: &str) -> Vec<String> {
    let parents = |line| str::split_ascii_whitespace(line).skip(1);
    let followed: BTreeSet<&str> = list.lines().flat_map(parents).collect();
    let commits = list.lines().filter_map(|line| line.split_ascii_whitespace().next());
    let unfollowed = commits.filter(|commit| is_name(commit) && !followed.contains(commit));
    unfollowed.map(String::from).collect()
}

/// Whether it is the full name of a commit, which is never taken for an option.
fn is_name(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
