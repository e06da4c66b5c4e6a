//! Which environment a registration gives, and what becomes of the worker's previous run.

use alloc::format;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::model::{EnvironmentModel, Model};
use super::{Check, ensure};
use crate::base::id::{EnvironmentId, SessionId};
use crate::store::{AccountId, Answer, StoreError};
use crate::wire::session::SessionState;
use crate::wire::worker_api::environment::Registration;

impl Model {
    pub(super) fn registered(
        &mut self,
        owner: &AccountId,
        id: &EnvironmentId,
        registration: &Registration,
        answer: &Result<Answer, StoreError>,
    ) -> Check {
        let again = self.continued(owner, registration);
        let expected = again.as_ref().unwrap_or(id);
        let run = self.run_of(expected, registration);
        if run == Some(Ordering::Less) {
            return ensure(*answer == Err(StoreError::WorkerReplaced), || {
                format!("leases: an earlier run registered: {answer:?}")
            });
        }
        let Ok(Answer::Registered { environment, sessions }) = answer else {
            let own = self.environments.values().filter(|known| known.owner == *owner).count();
            let is_full = self.environments.len() >= self.policy.max_environments
                || own >= self.policy.environments_per_person;
            return ensure(again.is_none() && is_full, || {
                format!("limits: got {answer:?}, but there is room")
            });
        };
        let live = self.sessions.iter().filter(|(_, known)| {
            known.environment == *expected && known.state != SessionState::Ended
        });
        let is_stopping = |id: &SessionId| {
            let subject = self.subjects.get(id.as_str());
            subject.is_some_and(|subject| subject.is_stopping && subject.fence > 0)
        };
        let mut live: Vec<_> = live.map(|(id, _)| id.clone()).collect();
        let before = self.environments.get(expected);
        let is_new_run = run == Some(Ordering::Greater);
        if is_new_run {
            live.retain(|id| !is_stopping(id));
        }
        ensure(*sessions == live, || format!("leases: {sessions:?} continue, not {live:?}"))?;
        let created_at = before.map_or(self.at.wall, |before| before.created_at);
        let is_kept = environment.id == *expected
            && environment.owner == *owner
            && environment.created_at == created_at;
        ensure(is_kept, || {
            format!("once: {} was registered instead of {expected}", environment.id)
        })?;
        if is_new_run {
            self.taken_over(expected);
        }
        let model = EnvironmentModel {
            owner: owner.clone(),
            worker_id: None,
            worker_run: None,
            heard: self.now,
            created_at,
            is_draining: false,
            named_claims: 0,
            healthcheck: None,
            is_healthcheck_open: false,
            made_for: None,
        };
        let known = self.environments.entry(environment.id.clone()).or_insert(model);
        known.heard = self.now;
        known.is_draining = false;
        if registration.worker_run.is_some() || again.is_none() {
            known.worker_id.clone_from(&registration.worker_id);
            known.worker_run = registration.worker_run;
        }
        Ok(())
    }

    /// How the run of a registration compares with the one before, where that can be said.
    fn run_of(&self, id: &EnvironmentId, registration: &Registration) -> Option<Ordering> {
        let before = self.environments.get(id)?;
        let now = registration.worker_run?;
        let Some(run) = before.worker_run else { return Some(Ordering::Greater) };
        let is_same_worker = before.worker_id == registration.worker_id;
        Some(if is_same_worker { now.cmp(&run) } else { Ordering::Greater })
    }

    /// The environment that a registration has to continue.
    fn continued(&self, owner: &AccountId, registration: &Registration) -> Option<EnvironmentId> {
        let named = registration.environment_id.as_ref();
        let named = named.filter(|id| {
            let known = self.environments.get(id).filter(|known| known.made_for.is_none());
            known.is_some_and(|known| known.owner == *owner)
        });
        let worker = registration.worker_id.as_ref();
        let own = self.environments.iter().filter(|(_, known)| known.owner == *owner);
        let mut own = own.filter(|(_, known)| known.made_for.is_none());
        let same = own.find(|(_, known)| worker.is_some() && known.worker_id.as_ref() == worker);
        named.or(same.map(|(id, _)| id)).cloned()
    }

    /// Nobody holds anything of an environment any more: what its worker had is queued again.
    fn taken_over(&mut self, environment: &EnvironmentId) {
        let own = self.subjects.iter_mut().filter(|(_, own)| own.environment == *environment);
        for (id, subject) in own.filter(|(_, own)| !own.is_ended) {
            let session = SessionId::new(id).ok();
            let session = session.and_then(|session| self.sessions.get_mut(&session));
            let is_in_force = subject.until().is_some();
            if let Some(current) = &mut subject.current
                && is_in_force
                && subject.newest == current.work
            {
                subject.queued = Some(current.work.clone());
                current.is_over = true;
            }
            if let Some(session) = session
                && subject.fence > 0
            {
                subject.current = None;
                subject.fence += 1;
                session.link += 1;
            }
        }
    }
}
