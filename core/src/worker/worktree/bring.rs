//! Bringing everything in a worktree that git does not ignore into a branch of its own.
//!
//! ```text
//!   HEAD ──▶ stage everything ──▶ a tree ──▶ the same as HEAD's? ──▶ commit it ──▶ name it
//!     ──▶ HEAD is on the new branch ──▶ has the session's branch commits that it lacks? name those
//!   If its directory is gone: only what HEAD was on is named.
//! ```
//!
//! No hook is run, since no porcelain makes the commit. Nothing is removed here: what follows is the
//! cleaning, which looks once more whether anything in the worktree is nowhere else. The branch is
//! called after the session and the commit, so the only one in its place can be that of the same
//! commit.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answer::Answer;
use super::clean::{REFRESH, UNMARKED};
use super::done::{HEADS, zeros};

/// How far it has come.
#[derive(Clone, Debug)]
pub(super) struct Bringing {
    step: Step,
    is_gone: bool,
    /// What `HEAD` is on; `None` on a branch without a commit.
    parent: Option<String>,
    tree: String,
    commit: String,
    branches: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Head,
    /// The directory is gone: what was its `HEAD` on?
    LastHead,
    /// Or its branch.
    LastTip,
    Refresh,
    Stage,
    Tree,
    TreeOfHead,
    Commit,
    Name,
    /// There is a branch of that name: is it at that commit?
    Named,
    Switch,
    OwnTip,
    NameTip,
}

/// What of a worktree was brought where.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Brought {
    Into(Vec<String>),
    /// There is neither a worktree nor a commit any more.
    Nothing,
    Failed(String),
}

/// What a branch is called that a session's work is brought into.
const KEPT_BRANCHES: &str = "footbridge-kept-";
/// How much of a commit's name is in that of its branch.
const NAME_LENGTH: usize = 12;

impl Bringing {
    pub(super) const fn new() -> Self {
        Self {
            step: Step::Head,
            is_gone: false,
            parent: None,
            tree: String::new(),
            commit: String::new(),
            branches: Vec::new(),
        }
    }

    /// Whether the next command runs in the worktree itself.
    pub(super) const fn is_within(&self) -> bool {
        !self.is_gone
    }

    /// Whether the next command reads files of the worktree.
    pub(super) const fn touches_files(&self) -> bool {
        matches!(self.step, Step::Refresh | Step::Stage)
    }

    /// The next git command.
    pub(super) fn args(&self, path: &str, branch: &str) -> Vec<String> {
        let session = path.rsplit('/').next().unwrap_or_default();
        let own = format!("{HEADS}{branch}");
        let named = self.branches.first().map_or("", String::as_str);
        let commit = self.commit.as_str();
        let message = format!("Keep what session {session} had not committed");
        let parent: Vec<&str> = self.parent.iter().flat_map(|parent| ["-p", parent]).collect();
        let args: &[&str] = match self.step {
            Step::Head => &["rev-parse", "--verify", "--quiet", "HEAD"],
            Step::LastHead => {
                &["rev-parse", "--verify", "--quiet", &format!("worktrees/{session}/HEAD")]
            }
            Step::LastTip => &["rev-parse", "--verify", "--quiet", &own],
            // Without this, what is marked `--assume-unchanged` is not staged.
            Step::Refresh => &[&UNMARKED[..], &REFRESH].concat(),
            Step::Stage => {
                let add = ["-c", "add.ignoreErrors=false", "-c", "advice.addEmbeddedRepo=false"];
                &[&UNMARKED[..], &add, &["add", "--all"]].concat()
            }
            Step::Tree => &["write-tree"],
            Step::TreeOfHead => &["rev-parse", "--verify", "--quiet", "HEAD^{tree}"],
            Step::Commit => {
                let who = ["-c", "user.name=Footbridge", "-c", "user.email=footbridge@localhost"];
                &[&who[..], &["commit-tree", "-m", &message], &parent, &[&self.tree]].concat()
            }
            // Nothing may be there yet.
            Step::Name => &["update-ref", &format!("{HEADS}{named}"), commit, &zeros(commit)],
            Step::Named => &["rev-parse", "--verify", "--quiet", &format!("{HEADS}{named}")],
            Step::Switch => &["symbolic-ref", "HEAD", &format!("{HEADS}{named}")],
            Step::OwnTip => &["rev-list", "--max-count=1", &own, "--not", commit],
            Step::NameTip => &["update-ref", &format!("{HEADS}{named}-branch"), &own],
        };
        args.iter().map(ToString::to_string).collect()
    }

    /// Takes one step, according to the answer.
    pub(super) fn advance(&mut self, answer: &Answer, path: &str) -> Option<Brought> {
        let session = path.rsplit('/').next().unwrap_or_default();
        let is_named = answer.is_success && answer.out == self.commit;
        self.step = match self.step {
            Step::Head if answer.says_directory_is_gone() => {
                self.is_gone = true;
                Step::LastHead
            }
            Step::Head => {
                self.parent = Some(answer.out.clone()).filter(|_| answer.is_success);
                Step::Refresh
            }
            Step::LastHead | Step::LastTip if answer.is_success => {
                self.name(session, answer.out.clone())
            }
            Step::LastHead => Step::LastTip,
            Step::LastTip => return Some(Brought::Nothing),
            // It complains about every file that has changed.
            Step::Refresh => Step::Stage,
            Step::TreeOfHead if answer.is_success && answer.out == self.tree => {
                let head = self.parent.clone().unwrap_or_default();
                self.name(session, head)
            }
            Step::TreeOfHead => Step::Commit,
            Step::Name if !answer.is_success => Step::Named,
            Step::Named if !is_named => {
                return Some(Brought::Failed(String::from(
                    "a branch of the name that it should have got is there already",
                )));
            }
            Step::Stage | Step::Tree | Step::Commit | Step::Switch | Step::NameTip
                if !answer.is_success =>
            {
                return Some(Brought::Failed(answer.complaint()));
            }
            Step::Stage => Step::Tree,
            Step::Tree => {
                self.tree.clone_from(&answer.out);
                Step::TreeOfHead
            }
            Step::Commit => self.name(session, answer.out.clone()),
            Step::Name | Step::Named if self.is_gone => Step::OwnTip,
            Step::Name | Step::Named => Step::Switch,
            Step::Switch => Step::OwnTip,
            Step::OwnTip if answer.is_success && !answer.out.is_empty() => Step::NameTip,
            // It has none of its own, or the agent has deleted it.
            Step::OwnTip => return Some(Brought::Into(core::mem::take(&mut self.branches))),
            Step::NameTip => {
                let second = self.branches.first().map(|first| format!("{first}-branch"));
                self.branches.extend(second);
                return Some(Brought::Into(core::mem::take(&mut self.branches)));
            }
        };
        None
    }

    fn name(&mut self, session: &str, commit: String) -> Step {
        let short = commit.get(..NAME_LENGTH).unwrap_or(&commit);
        self.branches.push(format!("{KEPT_BRANCHES}{session}-{short}"));
        self.commit = commit;
        Step::Name
    }
}
