//! Environments: made, seen, gone silent, removed.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use super::{Answered, Context, Due, Known, MemoryStore};
use crate::base::id::{EnvironmentId, SessionId};
use crate::store::clock::StoreTime;
use crate::store::committed::{Answer, Limit, StoreError};
use crate::store::record::{AccountId, Environment};
use crate::wire::environment::Registration;
use crate::wire::session::{ResultStatus, SessionResult};

impl MemoryStore {
    pub(super) fn register(
        &mut self,
        cx: &mut Context,
        owner: AccountId,
        id: EnvironmentId,
        registration: Registration,
    ) -> Answered {
        let known = registration.environment_id.as_ref();
        let known = known.and_then(|id| self.environments.get_mut(id));
        if let Some(known) = known.filter(|known| known.environment.owner == owner) {
            known.environment.registration = registration;
            known.see(cx);
            known.watch(cx, &mut self.due);
            cx.changes.environment(&known.environment);
            return Ok(Answer::Environment(Box::new(known.environment.clone())));
        }
        if self.environments.len() >= cx.policy.max_environments {
            return Err(StoreError::Limit(Limit::Environments));
        }
        let known = self.environments.values().filter(|known| known.environment.owner == owner);
        if known.count() >= cx.policy.environments_per_person {
            return Err(StoreError::Limit(Limit::EnvironmentsOfPerson));
        }
        let environment = Environment {
            id: id.clone(),
            owner,
            registration,
            active_sessions: 0,
            is_online: true,
            created_at: cx.wall,
            last_seen_at: cx.wall,
            last_healthcheck: None,
        };
        cx.changes.environment(&environment);
        let answer = Answer::Environment(Box::new(environment.clone()));
        let mut known = Known {
            environment,
            last_seen: cx.now,
            watched_at: cx.now,
            queue: VecDeque::new(),
            claims: VecDeque::new(),
            healthcheck: None,
            healthcheck_keys: VecDeque::new(),
        };
        known.watched_at = known.next_due(cx);
        self.due.insert((known.watched_at, Due::Environment(id.clone())));
        self.environments.insert(id, known);
        Ok(answer)
    }

    pub(super) fn remove_environment(&mut self, cx: &mut Context, id: &EnvironmentId) -> Answered {
        if !self.environments.contains_key(id) {
            return Err(StoreError::EnvironmentUnknown);
        }
        self.drop_environment(cx, id, ResultStatus::Failed, "its worker has shut down");
        Ok(Answer::Done)
    }

    pub(super) fn find(
        &self,
        environment: Option<&EnvironmentId>,
        session: Option<&SessionId>,
    ) -> Answered {
        if environment.is_some_and(|id| !self.environments.contains_key(id)) {
            return Err(StoreError::EnvironmentUnknown);
        }
        if session.is_some_and(|id| !self.sessions.contains_key(id)) {
            return Err(StoreError::SessionUnknown);
        }
        Ok(Answer::Done)
    }

    pub(super) fn get_environment(&self, owner: &AccountId, id: &EnvironmentId) -> Answered {
        let known = self.environments.get(id).map(|known| &known.environment);
        let known = known.filter(|environment| environment.owner == *owner);
        known.cloned().map(Box::new).map(Answer::Environment).ok_or(StoreError::EnvironmentUnknown)
    }

    pub(super) fn list(&self, cx: &Context, owner: &AccountId) -> Answer {
        let environments = self.environments.values().map(|known| &known.environment);
        let environments = environments.filter(|environment| environment.owner == *owner);
        let sessions =
            self.newest_sessions(cx.policy.listed_sessions, |found| found.owner == *owner);
        Answer::Overview { environments: environments.cloned().collect(), sessions }
    }

    /// Takes note of a sign of life.
    pub(super) fn see(
        &mut self,
        cx: &mut Context,
        id: &EnvironmentId,
    ) -> Result<&mut Known, StoreError> {
        let known = self.environments.get_mut(id).ok_or(StoreError::EnvironmentUnknown)?;
        let was_online = known.environment.is_online;
        known.see(cx);
        if !was_online {
            known.watch(cx, &mut self.due);
            cx.changes.environment(&known.environment);
        }
        Ok(known)
    }

    /// Looks whether an environment has been silent for too long.
    pub(super) fn lapse_environment(&mut self, cx: &mut Context, id: EnvironmentId) {
        let Some(known) = self.environments.get_mut(&id) else { return };
        if known.last_seen + cx.policy.lapse_after <= cx.now {
            let message = "its worker has not been heard of for too long";
            self.drop_environment(cx, &id, ResultStatus::Lost, message);
            return;
        }
        let is_online = known.last_seen + cx.policy.offline_after > cx.now;
        if known.environment.is_online != is_online {
            known.environment.is_online = is_online;
            cx.changes.environment(&known.environment);
        }
        known.watched_at = known.next_due(cx);
        self.due.insert((known.watched_at, Due::Environment(id)));
    }

    fn drop_environment(
        &mut self,
        cx: &mut Context,
        id: &EnvironmentId,
        status: ResultStatus,
        message: &str,
    ) {
        let live = self.sessions.values().map(|conversation| &conversation.session);
        let live = live.filter(|session| session.environment == *id && session.result.is_none());
        let live: Vec<_> = live.map(|session| session.id.clone()).collect();
        for session in live {
            self.end_session(cx, &session, ended(status, message));
        }
        let items = self.work.iter().filter(|(_, work)| work.environment == *id);
        let items: Vec<_> = items.map(|(id, _)| id.clone()).collect();
        for item in items {
            self.forget_work(&item);
        }
        if let Some(known) = self.environments.remove(id) {
            self.due.remove(&(known.watched_at, Due::Environment(id.clone())));
            cx.changes.environments.retain(|environment| environment.id != *id);
            cx.changes.environments_gone.push((known.environment.owner, id.clone()));
        }
    }

    /// Says how many sessions an environment has, after one has begun or ended.
    pub(super) fn count_session(&mut self, cx: &mut Context, id: &EnvironmentId, begun: bool) {
        let Some(known) = self.environments.get_mut(id) else { return };
        let active = &mut known.environment.active_sessions;
        *active = if begun { *active + 1 } else { active.saturating_sub(1) };
        cx.changes.environment(&known.environment);
    }
}

impl Known {
    fn see(&mut self, cx: &Context) {
        self.last_seen = cx.now;
        self.environment.last_seen_at = cx.wall;
        self.environment.is_online = true;
    }

    /// One that is back is looked at again when it would be offline, not only when it would lapse.
    fn watch(&mut self, cx: &Context, due: &mut BTreeSet<(StoreTime, Due)>) {
        let id = self.environment.id.clone();
        due.remove(&(self.watched_at, Due::Environment(id.clone())));
        self.watched_at = self.next_due(cx);
        due.insert((self.watched_at, Due::Environment(id)));
    }

    fn next_due(&self, cx: &Context) -> StoreTime {
        let offline = self.last_seen + cx.policy.offline_after;
        if offline > cx.now { offline } else { self.last_seen + cx.policy.lapse_after }
    }
}

/// The result of a session that did not end by itself.
pub(crate) fn ended(status: ResultStatus, message: &str) -> SessionResult {
    SessionResult {
        status,
        exit_code: None,
        signal: None,
        message: message.into(),
        stderr: String::new(),
    }
}
