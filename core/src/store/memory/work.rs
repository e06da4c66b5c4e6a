//! Work items: queued, leased, acked, renewed, handed out again (Y-2).
//!
//! ```text
//!             lease (fence + 1)         ack
//!   Queued ───────────────────▶ Leased ─────▶ Acked ──▶ Stopped
//!     ▲                           │             │
//!     └── not acked, not renewed ─┴─────────────┘
//! ```
//!
//! The fence belongs to the session, so that of two items of one session only the one that was
//! handed out last counts; an item without a session has its own. A worker that comes back with its
//! own fence before anybody else took the item has it still.

use alloc::collections::BTreeSet;
use alloc::string::String;

use super::environments::ended;
use super::{Answered, Context, Due, MemoryStore};
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::base::limits::MAX_NAMED_CLAIMS;
use crate::base::time::UnixTime;
use crate::store::clock::StoreTime;
use crate::store::committed::{Answer, Lease, StoreError};
use crate::wire::session::{ResultStatus, SessionResult};
use crate::wire::work::WorkData;

/// Items of one session that are remembered: the one that counts and the one before.
const REMEMBERED_ITEMS: usize = 2;

#[derive(Debug)]
pub(super) struct Work {
    pub(super) environment: EnvironmentId,
    pub(super) data: WorkData,
    pub(super) state: State,
    pub(super) fence: u64,
    until: StoreTime,
    created_at: UnixTime,
    /// Where it stands in the table of what may lapse.
    watched_at: Option<StoreTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Queued,
    Leased,
    Acked,
    Stopped,
}

impl MemoryStore {
    /// Queues a new item of a session.
    pub(super) fn queue(
        &mut self,
        cx: &mut Context,
        environment: &EnvironmentId,
        session: &SessionId,
        work: WorkId,
    ) -> Result<(), StoreError> {
        let known = self.environments.get_mut(environment).ok_or(StoreError::EnvironmentUnknown)?;
        known.queue.push_back(work.clone());
        cx.changes.work_for.push(environment.clone());
        if let Some(conversation) = self.sessions.get_mut(session) {
            conversation.works.push(work.clone());
            if conversation.works.len() > REMEMBERED_ITEMS {
                let oldest = conversation.works.remove(0);
                self.forget_work(&oldest);
            }
        }
        let data = WorkData::Session(session.clone());
        self.work.insert(work, Work::queued(cx, environment, data));
        Ok(())
    }

    /// Keeps an item no longer.
    pub(super) fn forget_work(&mut self, id: &WorkId) {
        let gone = self.work.remove(id);
        if let Some(at) = gone.and_then(|work| work.watched_at) {
            self.due.remove(&(at, Due::Work(id.clone())));
        }
    }

    pub(super) fn lease(
        &mut self,
        cx: &mut Context,
        environment: &EnvironmentId,
        key: Option<String>,
    ) -> Answered {
        self.see(cx, environment)?;
        if let Some(lease) = key.as_deref().and_then(|key| self.leased_by(environment, key)) {
            return Ok(Answer::Leased(Some(lease)));
        }
        let known = self.environments.get_mut(environment).ok_or(StoreError::EnvironmentUnknown)?;
        let next = known.queue.pop_front();
        let next = next.and_then(|id| Some((self.work.get_mut(&id)?, id)));
        let Some((work, id)) = next else { return Ok(Answer::Leased(None)) };
        work.fence += 1;
        if let WorkData::Session(session) = &work.data {
            let Some(conversation) = self.sessions.get_mut(session) else {
                return Ok(Answer::Leased(None));
            };
            conversation.fence += 1;
            work.fence = conversation.fence;
        }
        work.state = State::Leased;
        work.until = cx.now + cx.policy.ack_time;
        watch(&mut self.due, &id, work);
        if let Some(key) = key {
            known.claims.push_back((key, id.clone(), work.fence));
            while known.claims.len() > MAX_NAMED_CLAIMS {
                known.claims.pop_front();
            }
        }
        Ok(Answer::Leased(Some(work.lease(id))))
    }

    /// The item that was handed out under this key, while that lease lasts.
    fn leased_by(&self, environment: &EnvironmentId, key: &str) -> Option<Lease> {
        let claims = &self.environments.get(environment)?.claims;
        let (_, id, fence) = claims.iter().rev().find(|(claimed, ..)| claimed == key)?;
        let work = self.work.get(id).filter(|work| work.fence == *fence)?;
        let is_leased = matches!(work.state, State::Leased | State::Acked);
        let counts = self.fence_of(work)? == work.fence;
        (is_leased && counts).then(|| work.lease(id.clone()))
    }

    /// The fence that counts for an item.
    fn fence_of(&self, work: &Work) -> Option<u64> {
        match &work.data {
            WorkData::Session(id) => self.sessions.get(id).map(|conversation| conversation.fence),
            WorkData::Healthcheck(_) => Some(work.fence),
        }
    }

    pub(super) fn give_back(&mut self, cx: &mut Context, id: &WorkId, fence: u64) -> Answer {
        let leased = self.work.get_mut(id);
        let leased = leased.filter(|work| work.state == State::Leased && work.fence == fence);
        if let Some(work) = leased {
            let conversation = match &work.data {
                WorkData::Session(session) => self.sessions.get(session),
                WorkData::Healthcheck(_) => None,
            };
            if conversation.is_some_and(|conversation| conversation.works.last() != Some(id)) {
                // A newer item waits already; of both, one is to be handed out.
                work.state = State::Stopped;
                return Answer::Done;
            }
            work.state = State::Queued;
            if let Some(known) = self.environments.get_mut(&work.environment) {
                known.queue.push_front(id.clone());
                cx.changes.work_for.push(work.environment.clone());
            }
        }
        Answer::Done
    }

    pub(super) fn renew(
        &mut self,
        cx: &mut Context,
        environment: &EnvironmentId,
        id: &WorkId,
        fence: u64,
    ) -> Answered {
        self.see(cx, environment)?;
        let work = self.work.get_mut(id).filter(|work| work.environment == *environment);
        let work = work.ok_or(StoreError::WorkUnknown)?;
        let mut conversation = match &work.data {
            WorkData::Session(id) => {
                Some(self.sessions.get_mut(id).ok_or(StoreError::WorkUnknown)?)
            }
            WorkData::Healthcheck(_) => None,
        };
        if work.state == State::Stopped {
            return Err(match conversation {
                Some(conversation) if conversation.session.result.is_some() => {
                    StoreError::SessionEnded
                }
                // It ran out when a newer item was waiting already.
                Some(_) => StoreError::LeaseLost,
                None => StoreError::WorkUnknown,
            });
        }
        let counts = conversation.as_ref().map_or(work.fence, |conversation| conversation.fence);
        if fence == 0 || work.fence != fence || counts != fence {
            return Err(StoreError::LeaseLost);
        }
        if work.state == State::Queued
            && let Some(known) = self.environments.get_mut(environment)
        {
            known.queue.retain(|queued| queued != id);
        }
        work.state = State::Acked;
        work.until = cx.now + cx.policy.lease_time;
        watch(&mut self.due, id, work);
        if let Some(conversation) = &mut conversation {
            conversation.go_on(cx);
        }
        let is_stopping = conversation.is_some_and(|conversation| conversation.session.is_stopping);
        Ok(Answer::Renewed { is_stopping })
    }

    pub(super) fn stop_work(
        &mut self,
        cx: &mut Context,
        environment: &EnvironmentId,
        id: &WorkId,
        fence: u64,
        result: SessionResult,
    ) -> Answered {
        self.see(cx, environment)?;
        let work = self.work.get(id).filter(|work| work.environment == *environment);
        let work = work.ok_or(StoreError::WorkUnknown)?;
        let in_force = self.fence_of(work).ok_or(StoreError::WorkUnknown)?;
        let means_in_force = fence == 0 || fence == in_force;
        if in_force == 0 || work.fence != in_force || !means_in_force {
            return Err(StoreError::LeaseLost);
        }
        match work.data.clone() {
            WorkData::Session(session) => self.end_session(cx, &session, result),
            WorkData::Healthcheck(_) => self.healthcheck_answered(cx, environment, id),
        }
        Ok(Answer::Done)
    }

    /// Lets the items of a session rest, once it has ended.
    pub(super) fn stop_items(&mut self, environment: &EnvironmentId, session: &SessionId) {
        let Some(conversation) = self.sessions.get(session) else { return };
        for id in &conversation.works {
            if let Some(work) = self.work.get_mut(id) {
                work.state = State::Stopped;
            }
        }
        if let Some(known) = self.environments.get_mut(environment) {
            known.queue.retain(|queued| !conversation.works.contains(queued));
        }
    }

    pub(super) fn redispatch(
        &mut self,
        cx: &mut Context,
        environment: &EnvironmentId,
        session: &SessionId,
        work: WorkId,
    ) -> Answered {
        self.see(cx, environment)?;
        let conversation = self.sessions.get(session);
        let conversation = conversation.filter(|found| found.session.environment == *environment);
        let conversation = conversation.ok_or(StoreError::SessionUnknown)?;
        if conversation.session.result.is_some() {
            return Err(StoreError::SessionEnded);
        }
        let is_queued = |id| self.work.get(id).is_some_and(|work| work.state == State::Queued);
        if !conversation.works.iter().any(is_queued) {
            self.queue(cx, environment, session, work)?;
            // It comes first: its worker may have no room for anything else.
            if let Some(known) = self.environments.get_mut(environment)
                && let Some(item) = known.queue.pop_back()
            {
                known.queue.push_front(item);
            }
        }
        Ok(Answer::Done)
    }

    pub(super) fn lapse(&mut self, cx: &mut Context) -> Answer {
        while let Some((at, due)) = self.due.pop_first() {
            if at > cx.now {
                self.due.insert((at, due));
                break;
            }
            match due {
                Due::Environment(id) => self.lapse_environment(cx, id),
                Due::Work(id) => self.lapse_work(cx, id),
            }
        }
        Answer::Done
    }

    fn lapse_work(&mut self, cx: &mut Context, id: WorkId) {
        let Some(work) = self.work.get_mut(&id) else { return };
        work.watched_at = None;
        if !matches!(work.state, State::Leased | State::Acked) {
            return;
        }
        if work.until > cx.now {
            watch(&mut self.due, &id, work);
            return;
        }
        let WorkData::Session(session) = work.data.clone() else {
            return self.requeue_healthcheck(cx, &id);
        };
        let Some(conversation) = self.sessions.get_mut(&session) else { return };
        if conversation.fence != work.fence {
            // A newer item of the session has been handed out; this one is done with.
            work.state = State::Stopped;
            return;
        }
        if conversation.session.is_stopping {
            let message = "its worker did not confirm the stop before its lease ran out";
            self.end_session(cx, &session, ended(ResultStatus::Lost, message));
            return;
        }
        let is_replaced = conversation.works.last() != Some(&id);
        work.state = if is_replaced { State::Stopped } else { State::Queued };
        conversation.wait_for_worker(cx);
        if is_replaced {
            return;
        }
        if let Some(known) = self.environments.get_mut(&work.environment) {
            known.queue.push_back(id);
            cx.changes.work_for.push(work.environment.clone());
        }
    }
}

fn watch(due: &mut BTreeSet<(StoreTime, Due)>, id: &WorkId, work: &mut Work) {
    if work.watched_at.is_none() {
        work.watched_at = Some(work.until);
        due.insert((work.until, Due::Work(id.clone())));
    }
}

impl Work {
    pub(super) fn queued(cx: &Context, environment: &EnvironmentId, data: WorkData) -> Self {
        Self {
            environment: environment.clone(),
            data,
            state: State::Queued,
            fence: 0,
            until: cx.now,
            created_at: cx.wall,
            watched_at: None,
        }
    }

    fn lease(&self, work: WorkId) -> Lease {
        let Self { data, fence, created_at, .. } = self;
        Lease { work, data: data.clone(), fence: *fence, created_at: *created_at }
    }
}
