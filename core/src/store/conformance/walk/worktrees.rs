//! What workers say of worktrees, and what people want done with them (W-5).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Walk, id};
use crate::base::id::{SessionId, WorkId};
use crate::store::conformance::model::Model;
use crate::store::{AccountId, StoreOp};
use crate::wire::session::SessionState;
use crate::wire::worktree::{Contents, WorktreeAction, WorktreeNote, WorktreePost, WorktreeState};

impl Walk {
    /// A session that has ended, if there is one, and usually its owner.
    pub(super) fn ended(&mut self, model: &Model) -> (AccountId, SessionId) {
        let ended = model.sessions.iter().filter(|(_, s)| s.state == SessionState::Ended);
        let known = self.pick(ended.map(|(id, s)| (s.owner.clone(), id.clone())));
        let rare = self.one_in(15);
        known.filter(|_| !rare).unwrap_or_else(|| self.session(model))
    }

    /// What a worker says about the worktree of a session.
    pub(super) fn note(&mut self, session_id: SessionId) -> Box<WorktreeNote> {
        let state = match self.rng.u32(..6) {
            0 => WorktreeState::Removed,
            1 => WorktreeState::Gone,
            _ => WorktreeState::Kept,
        };
        let seen = ["", "one", "two"][self.rng.usize(..3)].to_owned();
        Box::new(WorktreeNote {
            session_id,
            state,
            path: "/worktree".to_owned(),
            reason: String::new(),
            branches: Vec::new(),
            kept_as: String::new(),
            error: String::new(),
            contents: Contents { seen, ..Contents::default() },
        })
    }

    pub(super) fn ask_worktree(&mut self, model: &Model) -> StoreOp {
        let (owner, session) = self.ended(model);
        let seen = model.sessions.get(&session).and_then(|known| known.worktree.seen());
        let seen = seen.filter(|_| !self.one_in(4)).cloned().unwrap_or_default();
        let action = match self.rng.u32(..8) {
            0 => WorktreeAction::Keep,
            1..4 => WorktreeAction::Delete,
            _ => WorktreeAction::Look,
        };
        let work = id(WorkId::new(&self.fresh("work")));
        let ignored = self.one_in(8);
        StoreOp::AskWorktree { owner, session, work, post: WorktreePost { action, ignored, seen } }
    }
}
