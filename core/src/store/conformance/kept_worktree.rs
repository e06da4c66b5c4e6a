//! The worktree that one session has left.

use alloc::format;
use alloc::string::String;

use super::{Check, ensure};
use crate::base::id::{EnvironmentId, WorkId};
use crate::wire::worktree::{KeptWorktree, WorktreeNote, WorktreePost, WorktreeState};

/// What is known about the worktree of a session.
#[derive(Default)]
pub(super) struct WorktreeModel {
    pub(super) kept: Option<Kept>,
    /// The item of the last request, until it is answered.
    pub(super) item: Option<WorkId>,
}

pub(super) struct Kept {
    pub(super) environment: EnvironmentId,
    /// What is in it, as far as anybody knows.
    pub(super) seen: String,
    pub(super) request: Option<WorktreePost>,
}

impl WorktreeModel {
    /// What was last said to be in it.
    pub(super) fn seen(&self) -> Option<&String> {
        self.kept.as_ref().map(|kept| &kept.seen)
    }

    pub(super) fn noted(&mut self, environment: &EnvironmentId, note: &WorktreeNote) {
        let before = self.kept.take();
        if note.state != WorktreeState::Kept {
            return;
        }
        let (seen, request) = before.map(|kept| (kept.seen, kept.request)).unwrap_or_default();
        let new = &note.contents.seen;
        let seen = if new.is_empty() { seen } else { new.clone() };
        self.kept = Some(Kept { environment: environment.clone(), seen, request });
    }

    /// The request of this item is not open any more. Says whether it was the last one.
    pub(super) fn ended(&mut self, item: &WorkId) -> bool {
        let is_last = self.item.take_if(|last| last == item).is_some();
        if is_last && let Some(kept) = &mut self.kept {
            kept.request = None;
        }
        is_last
    }

    pub(super) fn check_record(&self, kept: Option<&KeptWorktree>) -> Check {
        let told = kept.map(|kept| {
            let request = kept.request.as_ref().map(|open| &open.post);
            (&kept.environment_id, &kept.seen, request)
        });
        let known = self.kept.as_ref();
        let known = known.map(|kept| (&kept.environment, &kept.seen, kept.request.as_ref()));
        ensure(told == known, || format!("worktrees: got {told:?}, expected {known:?}"))
    }
}
