//! Healthchecks: a person asks whether a worker is there (W-11).
//!
//! At most one is open for each environment, so that asking often costs nothing. It goes ahead of
//! everything that waits: behind a long queue its answer would say nothing.

use alloc::boxed::Box;
use alloc::string::{String, ToString};

use super::work::{State, Work};
use super::{Answered, Context, MemoryStore};
use crate::base::id::{EnvironmentId, WorkId};
use crate::base::limits::MAX_HEALTHCHECK_KEYS;
use crate::store::committed::{Answer, StoreError};
use crate::store::record::{AccountId, Healthcheck};
use crate::wire::work::WorkData;

impl MemoryStore {
    pub(super) fn ask_healthcheck(
        &mut self,
        cx: &mut Context,
        owner: &AccountId,
        id: &EnvironmentId,
        work: WorkId,
        key: Option<String>,
    ) -> Answered {
        let known = self.environments.get_mut(id);
        let known = known.filter(|known| known.environment.owner == *owner);
        let known = known.ok_or(StoreError::EnvironmentUnknown)?;
        let is_repeated = key.as_ref().is_some_and(|key| known.healthcheck_keys.contains(key));
        if let Some(key) = key.filter(|_| !is_repeated) {
            known.healthcheck_keys.push_back(key);
            while known.healthcheck_keys.len() > MAX_HEALTHCHECK_KEYS {
                known.healthcheck_keys.pop_front();
            }
        }
        let last = known.environment.last_healthcheck;
        let is_open = last.is_some_and(|last| last.answered_at.is_none());
        if is_repeated || is_open {
            return Ok(Answer::Environment(Box::new(known.environment.clone())));
        }
        let asked = Healthcheck { asked_at: cx.wall, answered_at: None };
        known.environment.last_healthcheck = Some(asked);
        known.queue.push_front(work.clone());
        cx.changes.work_for.push(id.clone());
        cx.changes.environment(&known.environment);
        let answer = Answer::Environment(Box::new(known.environment.clone()));
        if let Some(before) = known.healthcheck.replace(work.clone()) {
            self.forget_work(&before);
        }
        let data = WorkData::Healthcheck(work.to_string());
        self.work.insert(work, Work::queued(cx, id, data));
        Ok(answer)
    }

    /// The worker is there; a second answer changes nothing.
    pub(super) fn healthcheck_answered(
        &mut self,
        cx: &mut Context,
        environment: &EnvironmentId,
        id: &WorkId,
    ) {
        let Some(work) = self.work.get_mut(id).filter(|work| work.state != State::Stopped) else {
            return;
        };
        work.state = State::Stopped;
        let Some(known) = self.environments.get_mut(environment) else { return };
        known.queue.retain(|queued| queued != id);
        if let Some(last) = &mut known.environment.last_healthcheck {
            last.answered_at = Some(cx.wall);
            cx.changes.environment(&known.environment);
        }
    }

    /// Its worker took it and did not answer in time: it is asked again.
    pub(super) fn requeue_healthcheck(&mut self, cx: &mut Context, id: &WorkId) {
        let Some(work) = self.work.get_mut(id) else { return };
        work.state = State::Queued;
        if let Some(known) = self.environments.get_mut(&work.environment) {
            known.queue.push_front(id.clone());
            cx.changes.work_for.push(work.environment.clone());
        }
    }
}
