//! What is to be found out, or done, about a worktree that was kept, from beginning to end.
//!
//! ```text
//!   look:    look
//!   branch:  [look, if ignored files may go] ──▶ bring ──▶ clean ──▶ [look, if it was kept]
//!   delete:  look ──▶ the same as the person has seen? ──▶ delete ──▶ [look, if that failed]
//! ```

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::bring::{Bringing, Brought};
use super::clean::Cleaning;
use super::delete::Deleting;
use super::done::Done;
use super::kind::{JobKind, Step};
use super::look::{Looked, Looking};
use crate::base::id::{SessionId, WorkId};
use crate::wire::worktree::{
    Contents, WorktreeAction, WorktreeNote, WorktreePost, WorktreeRequest, WorktreeState,
};

/// What is wanted, and what has come of it so far.
#[derive(Clone, Debug)]
pub(in crate::worker) struct Wish {
    /// The item that asks; `None` if nobody does, and the relay is only told.
    pub(in crate::worker) work: Option<WorkId>,
    session: SessionId,
    post: WorktreePost,
    /// Whether what is in it has been compared with what the person has seen.
    is_compared: bool,
    reason: String,
    branches: Vec<String>,
    error: String,
}

/// What follows a step.
pub(super) enum Next {
    Do(JobKind),
    Noted(Box<WorktreeNote>),
}

impl Wish {
    /// To tell the relay of a worktree that was kept for this reason.
    pub(in crate::worker) fn announcement(session: SessionId, reason: String) -> Self {
        let post =
            WorktreePost { action: WorktreeAction::Look, ignored: false, seen: String::new() };
        let (branches, error) = (Vec::new(), String::new());
        Self { work: None, session, post, is_compared: false, reason, branches, error }
    }

    /// To do what a person has asked for.
    pub(in crate::worker) fn of(work: WorkId, request: WorktreeRequest) -> Self {
        let WorktreeRequest { session_id, post } = request;
        Self { post, work: Some(work), ..Self::announcement(session_id, String::new()) }
    }

    /// The first thing to do.
    pub(super) fn first(&self) -> JobKind {
        match self.post.action {
            WorktreeAction::Branch if !self.post.ignored => Self::bring(),
            _ => Self::look(),
        }
    }

    fn look() -> JobKind {
        JobKind::Look(Box::new(Looking::new()))
    }

    fn bring() -> JobKind {
        JobKind::Bring(Box::new(Bringing::new()))
    }

    /// What to do after this.
    pub(super) fn after(&mut self, step: Step, path: &str) -> Next {
        match step {
            Step::Looked(looked) => self.after_look(looked, path),
            Step::Brought(Brought::Into(branches)) => {
                self.branches = branches;
                Next::Do(JobKind::Clean(Box::new(Cleaning::of_brought(self.post.ignored))))
            }
            Step::Brought(Brought::Nothing) => self.noted(path, WorktreeState::Gone),
            Step::Brought(Brought::Failed(error)) => {
                self.error = error;
                Next::Do(Self::look())
            }
            Step::Over(Done::Kept(reason)) => {
                if self.post.action == WorktreeAction::Delete {
                    self.error = reason;
                } else {
                    self.reason = reason;
                }
                Next::Do(Self::look())
            }
            // With its directory gone, the cleaning drops what git had on record.
            Step::Over(Done::Gone) if !self.branches.is_empty() => {
                self.noted(path, WorktreeState::Removed)
            }
            Step::Over(Done::Gone) => self.noted(path, WorktreeState::Gone),
            Step::Over(Done::Removed | Done::Made(_) | Done::NotMade(_)) => {
                self.noted(path, WorktreeState::Removed)
            }
        }
    }

    fn after_look(&mut self, looked: Looked, path: &str) -> Next {
        let Looked { contents, is_gone, complaint } = looked;
        if is_gone && contents.commits.is_empty() && self.error.is_empty() {
            // The branch may still be there, without anything of its own.
            return match self.post.action {
                WorktreeAction::Delete if !self.is_compared => {
                    self.is_compared = true;
                    Next::Do(JobKind::Delete(Deleting::new()))
                }
                _ => self.noted(path, WorktreeState::Gone),
            };
        }
        if let Some(complaint) = complaint {
            self.error = complaint;
            return self.noted_with(path, contents);
        }
        let loses = self.post.action == WorktreeAction::Delete || self.post.ignored;
        let is_first = !core::mem::replace(&mut self.is_compared, true);
        let has_tried = !self.error.is_empty() || !self.branches.is_empty();
        if !loses || !is_first || has_tried {
            return self.noted_with(path, contents);
        }
        if contents.seen != self.post.seen {
            self.error = String::from("something else is in it than what was looked at before");
            return self.noted_with(path, contents);
        }
        Next::Do(match self.post.action {
            WorktreeAction::Delete => JobKind::Delete(Deleting::new()),
            _ => Self::bring(),
        })
    }

    fn noted(&mut self, path: &str, state: WorktreeState) -> Next {
        Next::Noted(Box::new(self.note(path, state, Contents::default())))
    }

    fn noted_with(&mut self, path: &str, contents: Contents) -> Next {
        Next::Noted(Box::new(self.note(path, WorktreeState::Kept, contents)))
    }

    fn note(&mut self, path: &str, state: WorktreeState, contents: Contents) -> WorktreeNote {
        let note = WorktreeNote {
            reason: core::mem::take(&mut self.reason),
            branches: core::mem::take(&mut self.branches),
            error: core::mem::take(&mut self.error),
            contents,
            ..WorktreeNote::new(&self.session, String::from(path), state)
        };
        note.bounded()
    }
}
