//! Who holds which work item (E-2 to E-6, W-8, W-11).

use alloc::format;
use alloc::string::{String, ToString};

use super::model::Model;
use super::subject::{Claimed, Subject};
use super::{Check, ensure};
use crate::base::id::{EnvironmentId, WorkId};
use crate::base::limits::MAX_NAMED_CLAIMS;
use crate::store::{Answer, Lease, StoreError};
use crate::wire::worker_api::work::WorkData;
use crate::wire::worktree::WorktreeNote;

impl Model {
    pub(super) fn leased(
        &mut self,
        environment: &EnvironmentId,
        key: Option<&String>,
        answer: &Result<Answer, StoreError>,
    ) -> Check {
        let Some(known) = self.environments.get(environment) else {
            return ensure(*answer == Err(StoreError::EnvironmentUnknown), || {
                format!("lapse: {environment} is gone, but leasing from it returned {answer:?}")
            });
        };
        let Ok(Answer::Leased(lease)) = answer else {
            return Err(format!("leases: polling returned {answer:?}"));
        };
        let named_claims = known.named_claims;
        let own = self.subjects.values().filter(|subject| subject.environment == *environment);
        let held = own.filter_map(|subject| subject.until().and(subject.current.as_ref()));
        let mut held = held.filter(|held| named_claims - held.claim < MAX_NAMED_CLAIMS);
        let now = self.now;
        let repeated =
            held.find(|held| key.is_some() && held.key.as_ref() == key && held.until > now);
        let repeated = repeated.map(|held| (held.work.clone(), held.fence));
        let given = lease.as_ref().map(|lease| (lease.work.clone(), lease.fence));
        ensure(repeated.is_none() || repeated == given, || {
            format!("leases: {key:?} holds {repeated:?} but got {given:?}")
        })?;
        if let Some(lease) = lease {
            return self.handed_out(environment, key, lease);
        }
        let mut own = self.subjects.iter().filter(|(_, own)| own.environment == *environment);
        let queued = own.find(|(_, subject)| subject.queued.is_some()).map(|(id, _)| id);
        ensure(queued.is_none(), || {
            format!("leases: no work was returned, but {queued:?} is queued")
        })
    }

    fn handed_out(
        &mut self,
        environment: &EnvironmentId,
        key: Option<&String>,
        lease: &Lease,
    ) -> Check {
        let id = match &lease.data {
            WorkData::Session(id) => id.to_string(),
            WorkData::Healthcheck(id) => id.clone(),
        };
        let subject = self.subjects.get(&id).filter(|own| own.environment == *environment);
        let subject =
            subject.ok_or_else(|| format!("leases: {id} was handed out in another environment"))?;
        ensure(!subject.is_ended, || format!("leases: {id} was handed out after its end"))?;
        if let Some(current) = subject.holds(&lease.work, lease.fence) {
            return ensure(key.is_some() && current.key.as_ref() == key, || {
                format!("leases: fence {} of {id} went to two claims", lease.fence)
            });
        }
        ensure(subject.queued.as_ref() == Some(&lease.work), || {
            format!("leases: {} of {id} was handed out but is not queued", lease.work)
        })?;
        ensure(lease.fence > subject.fence, || {
            format!("leases: fence {} of {id} follows {}", lease.fence, subject.fence)
        })?;
        // A key names its latest claim; an older one, even if renewed since, no longer has it.
        let own = self.subjects.values_mut().filter(|own| own.environment == *environment);
        for current in own.filter_map(|own| own.current.as_mut()) {
            current.key.take_if(|named| key == Some(named));
        }
        let known = self.environments.get_mut(environment);
        let claims = known.map(|known| {
            known.named_claims += usize::from(key.is_some());
            known.named_claims
        });
        let Some(subject) = self.subjects.get_mut(&id) else { return Ok(()) };
        subject.fence = lease.fence;
        subject.queued = None;
        subject.current = Some(Claimed {
            work: lease.work.clone(),
            fence: lease.fence,
            key: key.cloned(),
            claim: claims.unwrap_or_default(),
            until: self.now + self.policy.ack_time,
            is_acked: false,
            is_over: false,
            is_replaced: false,
        });
        self.handed_out += 1;
        Ok(())
    }

    fn subject_of(&mut self, environment: &EnvironmentId, work: &WorkId) -> Option<&mut Subject> {
        let id = self.works.get(work)?;
        self.subjects.get_mut(id).filter(|subject| subject.environment == *environment)
    }

    /// An ack or a heartbeat: it works for the current lease and for no other.
    pub(super) fn renewed(
        &mut self,
        environment: &EnvironmentId,
        work: &WorkId,
        fence: u64,
        answer: &Result<Answer, StoreError>,
    ) -> Check {
        let until = self.now + self.policy.lease_time;
        let subject = self.subject_of(environment, work);
        let holder = subject.filter(|own| !own.is_ended && own.holds(work, fence).is_some());
        let holder = holder.filter(|own| own.current.as_ref().is_some_and(|c| !c.is_replaced));
        let Some(subject) = holder else {
            return ensure(answer.is_err(), || {
                "leases: renewed by somebody who does not hold it".into()
            });
        };
        let is_stopping = subject.is_stopping;
        ensure(*answer == Ok(Answer::Renewed { is_stopping }), || {
            format!("leases: its holder could not renew it: {answer:?}")
        })?;
        if subject.queued.as_ref() == Some(work) {
            subject.queued = None;
        }
        if let Some(current) = &mut subject.current {
            current.until = until;
            (current.is_acked, current.is_over) = (true, false);
        }
        Ok(())
    }

    /// A stop: only the holder of the current lease can send it; repeating it is fine.
    pub(super) fn stopped(
        &mut self,
        environment: &EnvironmentId,
        work: &WorkId,
        fence: u64,
        note: Option<&WorktreeNote>,
        answer: &Result<Answer, StoreError>,
    ) -> Check {
        let holder = self.subject_of(environment, work);
        let holder = holder.filter(|subject| {
            let fence = if fence == 0 { subject.fence } else { fence };
            subject.holds(work, fence).is_some()
        });
        let is_holder = holder.is_some();
        ensure(answer.is_ok() == is_holder, || {
            format!("leases: stopped by its holder: {is_holder}, but the answer was {answer:?}")
        })?;
        if is_holder {
            self.worktree_answered(environment, work, note);
        }
        let known = self.environments.get_mut(environment);
        if let Some(known) = known.filter(|known| known.healthcheck.as_ref() == Some(work))
            && is_holder
        {
            known.is_healthcheck_open = false;
            if let Some(subject) = self.subjects.get_mut(work.as_str()) {
                subject.end();
            }
        }
        Ok(())
    }

    pub(super) fn returned(&mut self, work: &WorkId, fence: u64) {
        let Some(id) = self.works.get(work) else { return };
        let Some(subject) = self.subjects.get_mut(id).filter(|subject| !subject.is_ended) else {
            return;
        };
        let newest = subject.newest == *work;
        let current = subject.current.as_mut();
        let current = current.filter(|c| c.work == *work && c.fence == fence && !c.is_over);
        if let Some(current) = current.filter(|current| !current.is_acked) {
            current.is_over = true;
            current.is_replaced = !newest;
            if newest {
                subject.queued = Some(work.clone());
            }
        }
    }

    pub(super) fn redispatched(&mut self, session: &str, work: &WorkId) {
        let Some(subject) = self.subjects.get_mut(session) else { return };
        if subject.queued.is_none() {
            subject.queued = Some(work.clone());
            subject.newest = work.clone();
            self.works.insert(work.clone(), session.into());
        }
    }

    /// Ends expired leases: their items are queued again, unless a newer one exists.
    pub(super) fn lapsed(&mut self) {
        for subject in self.subjects.values_mut() {
            let now = self.now;
            if subject.until().is_none_or(|until| until > now) {
                continue;
            }
            let Some(current) = &mut subject.current else { continue };
            current.is_over = true;
            if subject.newest == current.work {
                subject.queued = Some(current.work.clone());
            } else {
                current.is_replaced = true;
            }
        }
    }

    /// How many items are queued in an environment.
    pub(super) fn queued_in(&self, environment: &EnvironmentId) -> usize {
        let own = self.subjects.values().filter(|subject| subject.environment == *environment);
        own.filter(|subject| subject.queued.is_some()).count()
    }
}
