//! What is in a worktree that was kept, and nowhere else: names and numbers, never what is in a
//! file. It changes nothing but git's own notes on which files to look at again.
//!
//! ```text
//!   uncommitted and untracked files ──▶ changes that git was told to overlook ──▶ ignored files that
//!   cannot be made again ──▶ how many lines each has ──▶ commits that only session branches have
//!   ──▶ what the files are, for telling whether something has changed since
//!   If its directory is gone: only the commits.
//! ```

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::answer::Answer;
use super::clean::{REFRESH, UNMARKED};
use super::done::HEADS;
use super::ignored::Ignored;
use super::own_commits::commits_of;
use crate::base::limits::{
    MAX_KEPT_COMMITS_COUNTED, MAX_KEPT_COMMITS_NAMED, MAX_KEPT_FILES_COMPARED, MAX_KEPT_FILES_NAMED,
};
use crate::wire::worktree::{Contents, KeptBecause, KeptCommit, KeptFile};

/// How far it has come, and what it has found.
#[derive(Clone, Debug)]
pub(super) struct Looking {
    step: Step,
    /// Whether its directory is gone.
    is_gone: bool,
    contents: Contents,
    digest: Sha256,
    /// The files whose contents are compared.
    compared: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Looked {
    pub(super) contents: Contents,
    /// Whether its directory is gone.
    pub(super) is_gone: bool,
    /// Why it could not be told, if it could not.
    pub(super) complaint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Changes,
    Overlooked,
    Ignored,
    Numbers,
    Commits,
    Compared,
}

/// How many characters of a digest are enough to tell two states of a worktree apart.
const SEEN_BYTES: usize = 16;

impl Looking {
    pub(super) fn new() -> Self {
        Self {
            step: Step::Changes,
            is_gone: false,
            contents: Contents::default(),
            digest: Sha256::new(),
            compared: Vec::new(),
        }
    }

    /// Whether the next command runs in the worktree itself.
    pub(super) const fn is_within(&self) -> bool {
        !self.is_gone
    }

    /// Whether the next command lists files.
    pub(super) const fn lists_files(&self) -> bool {
        matches!(self.step, Step::Changes | Step::Ignored)
    }

    /// Whether the next command reads files of the worktree through filters.
    pub(super) const fn touches_files(&self) -> bool {
        matches!(self.step, Step::Changes | Step::Overlooked | Step::Numbers)
    }

    /// The next git command.
    pub(super) fn args(&self, path: &str, branch: &str) -> Vec<String> {
        let args: &[&str] = match self.step {
            Step::Changes => {
                &["status", "--porcelain", "--untracked-files=all", "--ignore-submodules=all"]
            }
            Step::Overlooked => &[&UNMARKED[..], &REFRESH].concat(),
            Step::Ignored => &["ls-files", "--others", "--ignored", "--exclude-standard", "-z"],
            Step::Numbers => {
                let diff = ["diff", "--numstat", "--no-ext-diff", "--no-textconv", "--no-renames"];
                &[&UNMARKED[..], &diff, &["HEAD"]].concat()
            }
            Step::Commits => {
                let name = path.rsplit('/').next().unwrap_or_default();
                let head = match self.is_gone {
                    true => format!("worktrees/{name}/HEAD"),
                    false => String::from("HEAD"),
                };
                let tips = [&*head, &format!("{HEADS}{branch}")];
                return commits_of(&tips, MAX_KEPT_COMMITS_COUNTED);
            }
            // Nothing is written, and no filter run.
            Step::Compared => {
                let args = ["hash-object", "--no-filters", "--"].map(String::from);
                return args.into_iter().chain(self.compared.iter().cloned()).collect();
            }
        };
        args.iter().map(ToString::to_string).collect()
    }

    /// Takes one step, according to the answer.
    pub(super) fn advance(&mut self, answer: &Answer, ignored: &Ignored<'_>) -> Option<Looked> {
        let out = if answer.is_success { answer.out.as_str() } else { "" };
        self.digest.update(out);
        self.digest.update([0]);
        self.step = match self.step {
            Step::Changes if answer.says_directory_is_gone() => {
                self.is_gone = true;
                Step::Commits
            }
            Step::Changes if !answer.is_success => return Some(self.failed(answer.complaint())),
            Step::Changes => {
                out.lines().for_each(|line| self.add_changed(line));
                Step::Overlooked
            }
            Step::Overlooked => {
                let found =
                    answer.out.lines().filter_map(|line| line.strip_suffix(": needs update"));
                found.for_each(|path| self.add_overlooked(path));
                Step::Ignored
            }
            Step::Ignored => {
                ignored.work(out, "").for_each(|path| self.add(path, KeptBecause::Ignored));
                Step::Numbers
            }
            Step::Numbers => {
                out.lines().for_each(|line| self.add_numbers(line));
                Step::Commits
            }
            Step::Commits => {
                self.add_commits(out);
                if self.compared.is_empty() {
                    return Some(self.found());
                }
                Step::Compared
            }
            Step::Compared => return Some(self.found()),
        };
        None
    }

    fn failed(&mut self, complaint: String) -> Looked {
        let contents = core::mem::take(&mut self.contents);
        Looked { contents, is_gone: false, complaint: Some(complaint) }
    }

    fn found(&mut self) -> Looked {
        let mut contents = core::mem::take(&mut self.contents);
        let digest = core::mem::take(&mut self.digest).finalize();
        contents.seen = digest.iter().take(SEEN_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Looked { contents, is_gone: self.is_gone, complaint: None }
    }

    /// A line of `git status --porcelain`.
    fn add_changed(&mut self, line: &str) {
        // The answer is trimmed, so the first line may have lost a blank.
        let (state, path) = match line.split_at_checked(3) {
            Some((state, path)) if state.ends_with(' ') => (state, path),
            _ => line.split_once(' ').unwrap_or(("", line)),
        };
        let path = path.rsplit_once(" -> ").map_or(path, |(_, path)| path);
        let what = match state {
            _ if state.contains('?') => KeptBecause::Untracked,
            _ if state.contains('D') => KeptBecause::Deleted,
            _ => KeptBecause::Changed,
        };
        self.add(path, what);
    }

    fn add_overlooked(&mut self, path: &str) {
        if !self.contents.files.iter().any(|file| file.path == path) {
            self.add(path, KeptBecause::Changed);
        }
    }

    fn add(&mut self, path: &str, what: KeptBecause) {
        let is_plain = !path.starts_with('"') && !path.ends_with('/');
        let is_there = what != KeptBecause::Deleted;
        if is_plain && is_there && self.compared.len() < MAX_KEPT_FILES_COMPARED {
            self.compared.push(String::from(path));
        }
        let Contents { files, more_files, .. } = &mut self.contents;
        if files.len() < MAX_KEPT_FILES_NAMED {
            files.push(KeptFile { path: String::from(path), what, added: None, removed: None });
        } else {
            *more_files += 1;
        }
    }

    /// A line of `git diff --numstat`.
    fn add_numbers(&mut self, line: &str) {
        let mut parts = line.splitn(3, '\t');
        let (added, removed) = (parts.next(), parts.next());
        let Some(path) = parts.next() else { return };
        if let Some(file) = self.contents.files.iter_mut().find(|file| file.path == path) {
            let number = |text: Option<&str>| text?.parse().ok();
            (file.added, file.removed) = (number(added), number(removed));
        }
    }

    fn add_commits(&mut self, list: &str) {
        for line in list.lines() {
            let Contents { commits, more_commits, .. } = &mut self.contents;
            if commits.len() < MAX_KEPT_COMMITS_NAMED {
                let (id, subject) = line.split_once(' ').unwrap_or((line, ""));
                commits.push(KeptCommit { id: id.to_string(), subject: subject.to_string() });
            } else {
                *more_commits += 1;
            }
        }
    }
}
