//! Sessions: made, asked to stop, ended, forgotten.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::conversation::Conversation;
use super::environments::ended;
use super::{Answered, Context, MemoryStore};
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::store::committed::{Answer, Limit, StoreError};
use crate::store::record::{AccountId, Session};
use crate::wire::session::{ResultStatus, SessionResult, SessionState};

pub(super) struct NewSession {
    pub(super) owner: AccountId,
    pub(super) environment: EnvironmentId,
    pub(super) id: SessionId,
    pub(super) work: WorkId,
    pub(super) title: Option<String>,
    pub(super) key: Option<String>,
}

impl MemoryStore {
    pub(super) fn create_session(&mut self, cx: &mut Context, new: NewSession) -> Answered {
        let NewSession { owner, environment, id, work, title, key } = new;
        let key = key.map(|key| (owner.clone(), key));
        let made = key.as_ref().and_then(|key| self.made_by.get(key));
        if let Some(made) = made.and_then(|made| self.sessions.get(made)) {
            return Ok(Answer::Session(Box::new(made.session.clone())));
        }
        let known = self.environments.get(&environment);
        let known = known.filter(|known| known.environment.owner == owner);
        let known = known.ok_or(StoreError::EnvironmentUnknown)?;
        if known.environment.active_sessions >= cx.policy.max_sessions {
            return Err(StoreError::Limit(Limit::LiveSessions));
        }
        if known.queue.len() >= cx.policy.max_queued {
            return Err(StoreError::Limit(Limit::QueuedSessions));
        }
        self.queue(cx, &environment, &id, work.clone())?;
        self.sessions_made += 1;
        let session = Session {
            id: id.clone(),
            owner,
            environment: environment.clone(),
            title,
            state: SessionState::Queued,
            is_stopping: false,
            pending: alloc::vec::Vec::new(),
            created_at: cx.wall,
            updated_at: cx.wall,
            first_seq: 1,
            last_seq: 0,
            result: None,
            ordinal: self.sessions_made,
        };
        let mut conversation = Conversation::new(session, work, key.clone());
        conversation.log_state(cx);
        let answer = Answer::Session(Box::new(conversation.session.clone()));
        self.sessions.insert(id.clone(), conversation);
        if let Some(key) = key {
            self.made_by.insert(key, id);
        }
        self.count_session(cx, &environment, true);
        Ok(answer)
    }

    pub(super) fn list_sessions(
        &self,
        owner: &AccountId,
        environment: Option<&EnvironmentId>,
        before: Option<&SessionId>,
        limit: usize,
    ) -> Answered {
        let before = before.map(|id| self.conversation(owner, id)).transpose()?;
        let before = before.map_or(u64::MAX, |found| found.session.ordinal);
        let is_listed = |session: &Session| {
            session.owner == *owner
                && session.ordinal < before
                && environment.is_none_or(|id| session.environment == *id)
        };
        Ok(Answer::Sessions(self.newest_sessions(limit, is_listed)))
    }

    /// Up to `limit` of the sessions that a test names, the newest first.
    pub(super) fn newest_sessions(
        &self,
        limit: usize,
        is_listed: impl Fn(&Session) -> bool,
    ) -> Vec<Session> {
        let sessions = self.sessions.values().map(|conversation| &conversation.session);
        let mut sessions: Vec<_> = sessions.filter(|session| is_listed(session)).collect();
        sessions.sort_by_key(|session| Reverse(session.ordinal));
        sessions.into_iter().take(limit).cloned().collect()
    }

    pub(super) fn request_stop(
        &mut self,
        cx: &mut Context,
        owner: &AccountId,
        id: &SessionId,
    ) -> Answered {
        let conversation = self.conversation_mut(owner, id)?;
        match conversation.session.state {
            SessionState::Queued => {
                let result = if conversation.ran_under == 0 {
                    ended(ResultStatus::Interrupted, "it was stopped before a worker took it")
                } else {
                    ended(ResultStatus::Lost, "it was stopped while its worker was gone")
                };
                self.end_session(cx, id, result);
            }
            SessionState::Starting | SessionState::Running => conversation.ask_to_stop(cx),
            SessionState::Ended => {}
        }
        let session = self.conversation(owner, id)?.session.clone();
        Ok(Answer::Session(Box::new(session)))
    }

    /// Ends a session, once: a later result changes nothing.
    pub(super) fn end_session(&mut self, cx: &mut Context, id: &SessionId, result: SessionResult) {
        let Some(conversation) = self.sessions.get_mut(id) else { return };
        if conversation.session.result.is_some() {
            return;
        }
        conversation.end(cx, result);
        let environment = conversation.session.environment.clone();
        let owner = conversation.session.owner.clone();
        self.stop_items(&environment, id);
        self.count_session(cx, &environment, false);
        let ended = self.ended.entry(owner).or_default();
        ended.push_back(id.clone());
        let surplus = ended.len().saturating_sub(cx.policy.ended_sessions);
        for oldest in ended.drain(..surplus).collect::<Vec<_>>() {
            self.forget_session(cx, &oldest);
        }
    }

    fn forget_session(&mut self, cx: &mut Context, id: &SessionId) {
        let Some(gone) = self.sessions.remove(id) else { return };
        for work in &gone.works {
            self.forget_work(work);
        }
        if let Some(key) = &gone.key {
            self.made_by.remove(key);
        }
        cx.changes.sessions.retain(|session| session.id != *id);
        cx.changes.sessions_gone.push((gone.session.owner, id.clone()));
    }
}
