//! What people want done with worktrees that were kept, and what workers say of them (W-5): a
//! request is open until the worker has answered it, or is gone.

use alloc::format;
use core::mem;

use super::kept_worktree::Kept;
use super::model::Model;
use super::subject::Subject;
use super::{Check, ensure};
use crate::base::id::{EnvironmentId, WorkId};
use crate::store::{Answer, Limit, Session, StoreError, StoreOp};
use crate::wire::session::SessionState;
use crate::wire::worktree::{WorktreeAction, WorktreeNote};

impl Model {
    /// A worker says what has become of a worktree.
    pub(super) fn worktree_noted(
        &mut self,
        environment: &EnvironmentId,
        note: &WorktreeNote,
        answer: &Result<Answer, StoreError>,
    ) -> Check {
        let known = self.environments.get(environment).map(|known| known.owner.clone());
        let session = self.sessions.get_mut(&note.session_id);
        let session = session.filter(|session| Some(&session.owner) == known.as_ref());
        let expected = match (&known, &session) {
            (None, _) => Err(StoreError::EnvironmentUnknown),
            (_, None) => Err(StoreError::SessionUnknown),
            _ => Ok(Answer::Done),
        };
        if let Some(session) = session.filter(|session| session.state == SessionState::Ended) {
            session.worktree.noted(environment, note);
        }
        ensure(*answer == expected, || format!("worktrees: {answer:?}, expected {expected:?}"))
    }

    /// A person wants something done.
    pub(super) fn worktree_asked(
        &mut self,
        op: &StoreOp,
        answer: &Result<Answer, StoreError>,
    ) -> Check {
        let StoreOp::AskWorktree { owner, session: id, work, post } = op else { return Ok(()) };
        let environments = &self.environments;
        let max_queued = self.policy.max_queued;
        let queued = |environment: &EnvironmentId| {
            let own = self.subjects.values().filter(|own| own.environment == *environment);
            own.filter(|own| own.queued.is_some()).count()
        };
        let session = self.sessions.get_mut(id).filter(|session| session.owner == *owner);
        let Some(session) = session else {
            return ensure(*answer == Err(StoreError::SessionUnknown), || {
                format!("owners: a request about a worktree returned {answer:?}")
            });
        };
        let deletes = post.action == WorktreeAction::Delete || post.ignored;
        let denied = match &session.worktree.kept {
            None => Some(StoreError::WorktreeUnknown),
            Some(Kept { request: Some(open), .. }) => {
                (open != post).then_some(StoreError::WorktreeBusy)
            }
            Some(kept) if deletes && (kept.seen.is_empty() || kept.seen != post.seen) => {
                Some(StoreError::WorktreeChanged)
            }
            Some(_) if post.action == WorktreeAction::Keep => None,
            Some(Kept { environment, .. }) => {
                let known = environments.get(environment);
                if known.is_none_or(|known| known.owner != *owner) {
                    Some(StoreError::WorktreeUnreachable)
                } else {
                    let is_full = queued(environment) >= max_queued;
                    is_full.then_some(StoreError::Limit(Limit::QueuedSessions))
                }
            }
        };
        let is_so = answer.as_ref().err() == denied.as_ref();
        ensure(is_so, || format!("worktrees: got {answer:?}, expected {denied:?}"))?;
        let worktree = &mut session.worktree;
        let new = worktree.kept.as_mut().filter(|kept| denied.is_none() && kept.request.is_none());
        if let Some(kept) = new.filter(|_| post.action != WorktreeAction::Keep) {
            kept.request = Some(post.clone());
            worktree.item = Some(work.clone());
            let subject = Subject::queued(kept.environment.clone(), work.clone());
            self.subjects.insert(work.as_str().into(), subject);
            self.works.insert(work.clone(), work.as_str().into());
            self.requests.insert(work.clone(), id.clone());
        }
        Ok(())
    }

    /// The holder of an item has ended it. If it was a request about a worktree, that is answered,
    /// and the item is forgotten.
    pub(super) fn worktree_answered(
        &mut self,
        environment: &EnvironmentId,
        work: &WorkId,
        note: Option<&WorktreeNote>,
    ) {
        let Some(id) = self.requests.remove(work) else { return };
        self.subjects.remove(work.as_str());
        self.works.remove(work);
        let note = note.filter(|note| note.session_id == id);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.worktree.ended(work)
            && let Some(note) = note
        {
            session.worktree.noted(environment, note);
        }
    }

    /// A request is with its worker while somebody has its item.
    pub(super) fn check_with_worker(&self, session: &Session) -> Check {
        let request = session.worktree.as_ref().and_then(|kept| kept.request.as_ref());
        let known = self.sessions.get(&session.id).and_then(|known| known.worktree.item.as_ref());
        let Some((request, item)) = request.zip(known) else { return Ok(()) };
        let subject = self.subjects.get(item.as_str());
        let is_held = subject.is_some_and(|subject| subject.queued.is_none());
        ensure(request.with_worker == is_held, || {
            format!(
                "worktrees: {item} is with its worker: {is_held}, but the session says otherwise"
            )
        })
    }

    /// The requests of an environment go with it.
    pub(super) fn worktrees_unreachable(&mut self, environment: &EnvironmentId) {
        let requests = mem::take(&mut self.requests);
        for (work, id) in requests {
            let subject = self.subjects.get(work.as_str());
            if subject.is_some_and(|subject| subject.environment != *environment) {
                self.requests.insert(work, id);
            } else if let Some(session) = self.sessions.get_mut(&id) {
                session.worktree.ended(&work);
            }
        }
    }
}
