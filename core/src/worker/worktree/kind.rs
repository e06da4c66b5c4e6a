//! What a job for a worktree does: its next git command, where that runs, and what its answer leads
//! to.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answer::Answer;
use super::bring::{Bringing, Brought};
use super::clean::Cleaning;
use super::delete::Deleting;
use super::done::Done;
use super::ignored::Ignored;
use super::look::{Looked, Looking};
use super::make::Making;
use crate::base::limits::MAX_FILE_LIST_BYTES;

/// How much of git's output is read. A list of changes only matters for being empty or not.
const OUTPUT_BYTES: usize = 256 << 10;

#[derive(Clone, Debug)]
pub(super) enum JobKind {
    Make(Making),
    Clean(Box<Cleaning>),
    Look(Box<Looking>),
    Bring(Box<Bringing>),
    Delete(Deleting),
}

/// What a step has led to.
pub(super) enum Step {
    Looked(Looked),
    Brought(Brought),
    Over(Done),
}

impl JobKind {
    /// Takes one step, according to the answer.
    pub(super) fn advance(
        &mut self,
        answer: &Answer,
        path: &str,
        branch: &str,
        ignored: &Ignored<'_>,
    ) -> Option<Step> {
        match self {
            Self::Make(making) => making.advance(answer, path).map(Step::Over),
            Self::Clean(cleaning) => {
                cleaning.advance(answer, path, branch, ignored).map(Step::Over)
            }
            Self::Look(looking) => looking.advance(answer, ignored).map(Step::Looked),
            Self::Bring(bringing) => bringing.advance(answer, path).map(Step::Brought),
            Self::Delete(deleting) => deleting.advance(answer, path, branch).map(Step::Over),
        }
    }

    /// The next git command.
    pub(super) fn args(&self, path: &str, branch: &str) -> Vec<String> {
        match self {
            Self::Make(making) => making.args(path, branch),
            Self::Clean(cleaning) => cleaning.args(path, branch),
            Self::Look(looking) => looking.args(path, branch),
            Self::Bring(bringing) => bringing.args(path, branch),
            Self::Delete(deleting) => deleting.args(path, branch),
        }
    }

    /// Where it runs.
    pub(super) fn place(&self, directory: &str, path: &str) -> String {
        match self {
            Self::Make(making) if making.is_within() => path.to_string(),
            Self::Make(_) => directory.to_string(),
            Self::Clean(cleaning) => cleaning.place(directory, path),
            Self::Look(looking) if looking.is_within() => path.to_string(),
            Self::Bring(bringing) if bringing.is_within() => path.to_string(),
            Self::Look(_) | Self::Bring(_) | Self::Delete(_) => directory.to_string(),
        }
    }

    /// How much of its output is read.
    pub(super) fn output_limit(&self) -> usize {
        match self {
            Self::Clean(cleaning) if cleaning.lists_files() => MAX_FILE_LIST_BYTES,
            Self::Look(looking) if looking.lists_files() => MAX_FILE_LIST_BYTES,
            Self::Delete(deleting) if deleting.lists_many() => MAX_FILE_LIST_BYTES,
            Self::Make(making) if making.lists_many() => MAX_FILE_LIST_BYTES,
            _ => OUTPUT_BYTES,
        }
    }

    /// The commit that has got a name because only reflogs had it.
    pub(super) fn named(&self) -> Option<&str> {
        match self {
            Self::Clean(cleaning) => cleaning.named(),
            Self::Delete(deleting) => deleting.named(),
            Self::Make(_) | Self::Look(_) | Self::Bring(_) => None,
        }
    }

    /// Whether it reads or writes files of the worktree, which can take filters.
    pub(super) fn touches_files(&self) -> bool {
        match self {
            Self::Make(making) => making.touches_files(),
            Self::Clean(cleaning) => cleaning.touches_files(),
            Self::Look(looking) => looking.touches_files(),
            Self::Bring(bringing) => bringing.touches_files(),
            Self::Delete(deleting) => deleting.touches_files(),
        }
    }

    /// Where the configuration applies that decides about them: a worktree can have its own.
    pub(super) fn files(&self, directory: &str, path: &str) -> String {
        match self {
            Self::Make(_) => directory.to_string(),
            Self::Clean(cleaning) => cleaning.files(path),
            Self::Look(_) | Self::Bring(_) | Self::Delete(_) => path.to_string(),
        }
    }

    pub(super) fn knows_no_files(&self) -> bool {
        matches!(self, Self::Clean(cleaning) if cleaning.knows_no_files())
    }
}
