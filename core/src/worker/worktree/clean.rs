//! Removing a worktree if nothing would be lost.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answer::Answer;
use super::done::{Done, HEADS};
use super::gone::Gone;
use super::ignored::{Ignored, TAGS_QUESTION};
use super::own_branch::OwnBranch;
use super::own_commits::{SYMBOLIC, own_commits, symbolic};
use super::reflog::Reflogs;
use super::submodules::{Submodules, Within};
use super::tracked::{self, Tracked};
use crate::base::limits::MAX_FILE_LIST_BYTES;

/// How far it has come.
#[derive(Clone, Debug)]
pub(super) struct Cleaning {
    step: Clean,
    /// The submodules that are checked out in it; the steps up to [`Clean::Within`] are taken for
    /// each.
    submodules: Submodules,
    /// The full name of the branch its `HEAD` is on.
    head: String,
    /// The commit that the session's own branch points to.
    tip: Option<String>,
    /// Whether files that git ignores may go: a person has said so.
    takes_ignored: bool,
    /// The symbolic references, as of the last question.
    symbolic: Vec<String>,
    reflogs: Reflogs,
    /// The commit that has got a name because only reflogs had it.
    named: Option<String>,
}

#[derive(Clone, Debug)]
enum Clean {
    Changes,
    Overlooked,
    Ignored,
    /// With the list of ignored files: some say that all in their directories can be made again.
    Tagged(String),
    Tracked,
    Version(Tracked),
    Within(Tracked),
    GitDirectory,
    Submodule,
    SubmoduleHead,
    SubmoduleCommits,
    SubmodulesLeft,
    Tip,
    Symbolic,
    OwnCommits,
    Reflogs,
    Head,
    Idle,
    Unlock,
    Remove,
    RecheckSymbolic,
    RecheckCommits,
    RecheckReflogs,
    Branch(OwnBranch),
    /// Somebody else has removed it.
    Gone(Box<Gone>),
}

/// With these settings, git looks at files marked `--skip-worktree` that are there as at any other.
pub(super) const UNMARKED: [&str; 4] =
    ["-c", "core.sparseCheckout=true", "-c", "sparse.expectFilesOutsideOfPatterns=false"];

pub(super) const REFRESH: [&str; 3] = ["update-index", "--ignore-submodules", "--really-refresh"];

impl Cleaning {
    pub(super) fn new() -> Self {
        Self::at(Clean::Changes)
    }

    /// Of a worktree whose contents were brought into a branch.
    pub(super) fn of_brought(takes_ignored: bool) -> Self {
        Self { takes_ignored, ..Self::new() }
    }

    /// Of a branch without a worktree.
    pub(super) fn of_branch() -> Self {
        Self::at(Clean::Gone(Box::new(Gone::with_branch_only())))
    }

    fn at(step: Clean) -> Self {
        Self {
            step,
            submodules: Submodules::default(),
            head: String::new(),
            tip: None,
            takes_ignored: false,
            symbolic: Vec::new(),
            reflogs: Reflogs::new(),
            named: None,
        }
    }

    /// Where the next command runs.
    pub(super) fn place(&self, directory: &str, path: &str) -> String {
        match self.step {
            Clean::Unlock
            | Clean::Remove
            | Clean::RecheckSymbolic
            | Clean::RecheckCommits
            | Clean::RecheckReflogs
            | Clean::Branch(_)
            | Clean::Gone(_) => directory.to_string(),
            Clean::SubmodulesLeft => self.submodules.repositories(),
            _ => self.submodules.place(path),
        }
    }

    /// Whose files it reads or writes.
    pub(super) fn files(&self, path: &str) -> String {
        self.submodules.place(path)
    }

    /// Whether the next command reads or writes files of the worktree.
    pub(super) const fn touches_files(&self) -> bool {
        matches!(
            self.step,
            Clean::Changes | Clean::Overlooked | Clean::Tracked | Clean::Idle | Clean::Remove
        )
    }

    /// Whether the next command lists files, or other things of which there can be many.
    pub(super) const fn lists_files(&self) -> bool {
        match &self.step {
            Clean::Ignored
            | Clean::Tagged(_)
            | Clean::Tracked
            | Clean::Symbolic
            | Clean::RecheckSymbolic => true,
            Clean::Reflogs | Clean::RecheckReflogs => self.reflogs.lists_many(),
            Clean::Gone(gone) => gone.lists_many(),
            _ => false,
        }
    }

    /// The commit that has got a name because only reflogs had it.
    pub(super) fn named(&self) -> Option<&str> {
        self.named.as_deref()
    }

    /// Whether the next command takes every file for a new one.
    pub(super) const fn knows_no_files(&self) -> bool {
        matches!(self.step, Clean::Within(_) | Clean::SubmodulesLeft)
    }

    /// The next git command.
    pub(super) fn args(&self, path: &str, branch: &str) -> Vec<String> {
        let (head, tip) = (self.head.as_str(), self.tip.as_deref());
        let args: &[&str] = match &self.step {
            // Each submodule has a configuration of its own, and is looked into later.
            Clean::Changes => {
                &["status", "--porcelain", "--untracked-files=all", "--ignore-submodules=all"]
            }
            // It fails if a file has changed, marked `--assume-unchanged` or not.
            Clean::Overlooked => &[&UNMARKED[..], &REFRESH].concat(),
            Clean::Ignored => &["ls-files", "--others", "--ignored", "--exclude-standard", "-z"],
            Clean::Tagged(_) => &TAGS_QUESTION,
            Clean::Symbolic | Clean::RecheckSymbolic => &SYMBOLIC,
            Clean::Tracked => &[&UNMARKED[..], &["ls-files", "--stage", "-t", "-z"]].concat(),
            Clean::Version(_) => &["version"],
            Clean::Within(tracked) => return tracked.question(),
            Clean::GitDirectory | Clean::Submodule => &["rev-parse", "--absolute-git-dir"],
            Clean::SubmoduleHead => &["rev-parse", "--verify", "--quiet", "HEAD"],
            Clean::SubmoduleCommits => {
                &["rev-list", "--max-count=1", "HEAD", "--all", "--reflog", "--not", "--remotes"]
            }
            Clean::SubmodulesLeft => return self.submodules.question(),
            Clean::Head => &["symbolic-ref", "--quiet", "HEAD"],
            Clean::Tip => &["rev-parse", "--verify", "--quiet", &format!("{HEADS}{branch}")],
            Clean::OwnCommits => {
                let private = ["worktree", "bisect", "rewritten"];
                let private = private.map(|name| format!("--glob=refs/{name}/*"));
                let private = private.iter().map(String::as_str);
                let tips: Vec<_> = ["HEAD"].into_iter().chain(tip).chain(private).collect();
                return own_commits(&tips, &self.symbolic);
            }
            Clean::Reflogs => {
                let own = format!("{HEADS}{branch}");
                let tips: Vec<_> = ["HEAD"].into_iter().chain(tip.map(|_| &*own)).collect();
                return self.reflogs.args(&tips, &[], &self.symbolic);
            }
            Clean::RecheckReflogs => {
                return self.reflogs.args(&[&format!("{HEADS}{branch}")], &[], &self.symbolic);
            }
            // What HEAD had was checked before the worktree was removed.
            Clean::RecheckCommits => {
                return own_commits(&[tip.unwrap_or_default()], &self.symbolic);
            }
            // To where it already is: git refuses during a merge, a rebase or the like, and
            // otherwise changes nothing.
            Clean::Idle => {
                &["switch", "--quiet", "--no-guess", head.strip_prefix(HEADS).unwrap_or(head)]
            }
            Clean::Unlock => &["worktree", "unlock", path],
            // Git removes none with submodules otherwise. Those have been looked into.
            Clean::Remove if self.submodules.are_there() => {
                &["worktree", "remove", "--force", path]
            }
            // Git checks for changes once more, but could ignore new files if the user's settings
            // say so.
            Clean::Remove => &["-c", "status.showUntrackedFiles=all", "worktree", "remove", path],
            Clean::Branch(step) => {
                return step.args(&format!("{HEADS}{branch}"), tip.unwrap_or_default());
            }
            Clean::Gone(gone) => return gone.args(path, branch),
        };
        args.iter().map(ToString::to_string).collect()
    }

    /// Takes one step, according to the answer.
    pub(super) fn advance(
        &mut self,
        answer: &Answer,
        path: &str,
        branch: &str,
        ignored: &Ignored<'_>,
    ) -> Option<Done> {
        match self.next(answer, path, branch, ignored) {
            Ok(step) => {
                self.step = step;
                None
            }
            Err(done) => Some(done),
        }
    }

    fn next(
        &mut self,
        answer: &Answer,
        path: &str,
        branch: &str,
        ignored: &Ignored<'_>,
    ) -> Result<Clean, Done> {
        // A job that is done takes no step any more.
        Ok(match core::mem::replace(&mut self.step, Clean::Changes) {
            Clean::Changes if answer.says_directory_is_gone() && self.submodules.is_outside() => {
                Clean::Gone(Box::new(Gone::new()))
            }
            Clean::Overlooked if !answer.is_success => {
                let changes = "changes that git status does not show";
                let files = answer.out.lines().next().unwrap_or_default();
                return Err(self.kept(match files.strip_suffix(": needs update") {
                    Some(file) => format!("{changes}, such as {file}"),
                    None => answer.complaint(),
                }));
            }
            Clean::OwnCommits if answer.says_head_is_unborn() => {
                return Err(self.kept("its HEAD is on a branch without a commit"));
            }
            Clean::Changes
            | Clean::Ignored
            | Clean::Tracked
            | Clean::Version(_)
            | Clean::Within(_)
            | Clean::GitDirectory
            | Clean::Submodule
            | Clean::SubmoduleHead
            | Clean::SubmoduleCommits
            | Clean::SubmodulesLeft
            | Clean::Symbolic
            | Clean::OwnCommits
            | Clean::Idle
            | Clean::Remove
                if !answer.is_success =>
            {
                return Err(self.kept(answer.complaint()));
            }
            Clean::Changes if !answer.out.is_empty() => {
                let changes = answer.out.lines().count();
                return Err(self.kept(format!("{changes} uncommitted or untracked files")));
            }
            Clean::Changes => Clean::Overlooked,
            Clean::Overlooked => Clean::Ignored,
            Clean::Ignored | Clean::Tracked | Clean::Symbolic
                if answer.is_cut(MAX_FILE_LIST_BYTES) =>
            {
                return Err(self.kept("more files or references than could be looked at"));
            }
            Clean::Ignored if self.takes_ignored => match Ignored::repository_in(&answer.out) {
                Some(work) => return Err(self.kept(work)),
                None => Clean::Tracked,
            },
            Clean::Ignored => match ignored.work_in(&answer.out, "") {
                Some(_) if Ignored::has_tags(&answer.out) => Clean::Tagged(answer.out.clone()),
                Some(work) => return Err(self.kept(work)),
                None => Clean::Tracked,
            },
            // Git fails if there is none, and any that could not be read is none.
            Clean::Tagged(list) => match ignored.work_in(&list, &answer.out) {
                Some(work) => return Err(self.kept(work)),
                None => Clean::Tracked,
            },
            Clean::Tracked => {
                let tracked = Tracked::of(&answer.out).map_err(|why| self.kept(why))?;
                if tracked.has_hidden_files {
                    Clean::Version(tracked)
                } else {
                    self.look_within(tracked)
                }
            }
            Clean::Version(tracked) => {
                if let Some(reason) = tracked::hides_changes(&answer.out) {
                    return Err(self.kept(reason));
                }
                self.look_within(tracked)
            }
            Clean::Within(tracked) => {
                let found = tracked.found(&answer.out).map_err(|why| self.kept(why))?;
                self.submodules.add(found);
                self.after_within()
            }
            Clean::GitDirectory => {
                self.submodules.set_git_directory(&answer.out);
                self.after_within()
            }
            Clean::Submodule => match self.submodules.enter(&answer.out) {
                Within::Submodule => Clean::Changes,
                Within::Other(reason) => return Err(self.kept(reason)),
            },
            Clean::SubmoduleHead => match self.submodules.is_at(&answer.out) {
                true => Clean::SubmoduleCommits,
                false => return Err(self.kept("another commit than the one committed")),
            },
            Clean::SubmoduleCommits if !answer.out.is_empty() => {
                return Err(self.kept("commits that no remote is known to have"));
            }
            Clean::SubmoduleCommits => {
                self.submodules.leave();
                self.after_within()
            }
            Clean::SubmodulesLeft => match self.submodules.unchecked(&answer.out) {
                Some(reason) => return Err(self.kept(reason)),
                None => Clean::Tip,
            },
            Clean::Tip => {
                // A branch that the agent deleted has nothing that HEAD lacks.
                self.tip =
                    Some(answer.out.clone()).filter(|tip| answer.is_success && !tip.is_empty());
                Clean::Symbolic
            }
            Clean::Symbolic => {
                self.symbolic = symbolic(&answer.out);
                Clean::OwnCommits
            }
            Clean::OwnCommits if !answer.out.is_empty() => {
                return Err(self.kept("commits that no other branch has"));
            }
            Clean::OwnCommits => Clean::Reflogs,
            Clean::Reflogs => {
                let is_over = self.reflogs.advance(answer).map_err(|why| self.kept(why))?;
                self.note_named();
                if is_over { Clean::Head } else { Clean::Reflogs }
            }
            // As late as possible: on a `HEAD` that was detached before the commits were checked,
            // one may have been made since.
            Clean::Head if answer.is_success && answer.out.starts_with(HEADS) => {
                self.head.clone_from(&answer.out);
                Clean::Idle
            }
            Clean::Head => return Err(self.kept("its HEAD is not on a branch")),
            // There, git only warns.
            Clean::Idle if answer.warns_of_bisecting() => {
                return Err(self.kept("a bisection is in progress"));
            }
            Clean::Idle => Clean::Unlock,
            // It is not locked if an earlier attempt came this far.
            Clean::Unlock => Clean::Remove,
            Clean::Remove if self.tip.is_some() => Clean::RecheckSymbolic,
            Clean::RecheckSymbolic if answer.is_success && !answer.is_cut(MAX_FILE_LIST_BYTES) => {
                self.symbolic = symbolic(&answer.out);
                Clean::RecheckCommits
            }
            // Someone may have deleted the other branch that had its commits: then this one stays.
            Clean::RecheckCommits if answer.is_success && answer.out.is_empty() => {
                self.reflogs = Reflogs::new();
                Clean::RecheckReflogs
            }
            Clean::RecheckReflogs => {
                let Ok(is_over) = self.reflogs.advance(answer) else { return Err(Done::Removed) };
                self.note_named();
                if is_over { Clean::Branch(OwnBranch::default()) } else { Clean::RecheckReflogs }
            }
            Clean::Remove | Clean::RecheckSymbolic | Clean::RecheckCommits => {
                return Err(Done::Removed);
            }
            Clean::Branch(step) => {
                let step = step.advance(answer, &format!("{HEADS}{branch}"));
                Clean::Branch(step.ok_or(Done::Removed)?)
            }
            Clean::Gone(gone) => {
                let gone = gone.advance(answer, path, branch)?;
                self.named = gone.named().map(String::from).or(self.named.take());
                Clean::Gone(Box::new(gone))
            }
        })
    }

    fn note_named(&mut self) {
        self.named = self.reflogs.named().map(String::from).or(self.named.take());
    }

    fn kept(&self, reason: impl AsRef<str>) -> Done {
        self.submodules.kept(reason.as_ref())
    }

    /// The tracked files are known: what is in the places of its submodules?
    fn look_within(&mut self, tracked: Tracked) -> Clean {
        if tracked.is_without_submodules() { self.after_within() } else { Clean::Within(tracked) }
    }

    /// A repository's files have been looked at: what its commits are, and the next repository.
    fn after_within(&mut self) -> Clean {
        match () {
            () if !self.submodules.are_there() => Clean::Tip,
            () if !self.submodules.is_outside() => Clean::SubmoduleHead,
            () if self.submodules.lack_git_directory() => Clean::GitDirectory,
            () if self.submodules.go_to_next() => Clean::Submodule,
            () => Clean::SubmodulesLeft,
        }
    }
}
