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
//! handed out last counts. A worker that comes back with its own fence before anybody else took the
//! item has it still.

use alloc::collections::BTreeSet;
use alloc::string::String;

use super::environments::ended;
use super::{Answered, Context, Due, MemoryStore};
use crate::id::{EnvironmentId, SessionId, WorkId};
use crate::relay::store::outcome::{Answer, Denied, Lease};
use crate::time::UnixTime;
use crate::wire::session::{ResultStatus, SessionResult, SessionState};

/// Items of one session that are remembered: the one that counts and the one before.
const REMEMBERED_ITEMS: usize = 2;
/// Claims of one environment that are remembered by their key.
const MAX_CLAIMS: usize = 64;

#[derive(Debug)]
pub(super) struct Work {
    pub(super) environment: EnvironmentId,
    session: SessionId,
    state: State,
    fence: u64,
    until: UnixTime,
    created_at: UnixTime,
    /// Whether it stands in the table of what may lapse.
    is_watched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
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
    ) -> Result<(), Denied> {
        let known = self.environments.get_mut(environment).ok_or(Denied::EnvironmentUnknown)?;
        if known.queue.len() >= cx.terms.max_queued {
            return Err(Denied::Limit { what: "sessions waiting for this worker" });
        }
        known.queue.push_back(work.clone());
        cx.changes.work_for.push(environment.clone());
        if let Some(conversation) = self.sessions.get_mut(session) {
            conversation.works.push(work.clone());
            if conversation.works.len() > REMEMBERED_ITEMS {
                let oldest = conversation.works.remove(0);
                self.work.remove(&oldest);
            }
        }
        let item = Work {
            environment: environment.clone(),
            session: session.clone(),
            state: State::Queued,
            fence: 0,
            until: cx.at.steady,
            created_at: cx.at.wall,
            is_watched: false,
        };
        self.work.insert(work, item);
        Ok(())
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
        let known = self.environments.get_mut(environment).ok_or(Denied::EnvironmentUnknown)?;
        let next = known.queue.pop_front();
        let next = next.and_then(|id| Some((self.work.get_mut(&id)?, id)));
        let Some((work, id)) = next else { return Ok(Answer::Leased(None)) };
        let Some(conversation) = self.sessions.get_mut(&work.session) else {
            return Ok(Answer::Leased(None));
        };
        conversation.fence += 1;
        work.fence = conversation.fence;
        work.state = State::Leased;
        work.until = cx.at.steady + cx.terms.ack_time;
        watch(&mut self.due, &id, work);
        if let Some(key) = key {
            known.claims.push_back((key, id.clone()));
            while known.claims.len() > MAX_CLAIMS {
                known.claims.pop_front();
            }
        }
        Ok(Answer::Leased(Some(work.lease(id))))
    }

    /// The item that was handed out under this key, while that lease lasts.
    fn leased_by(&self, environment: &EnvironmentId, key: &str) -> Option<Lease> {
        let claims = &self.environments.get(environment)?.claims;
        let (_, id) = claims.iter().rev().find(|(claimed, _)| claimed == key)?;
        let work = self.work.get(id)?;
        let is_leased = matches!(work.state, State::Leased | State::Acked);
        let fence = self.sessions.get(&work.session)?.fence;
        (is_leased && fence == work.fence).then(|| work.lease(id.clone()))
    }

    pub(super) fn give_back(&mut self, cx: &mut Context, id: &WorkId, fence: u64) -> Answer {
        let leased = self.work.get_mut(id);
        let leased = leased.filter(|work| work.state == State::Leased && work.fence == fence);
        if let Some(work) = leased {
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
        let work = work.ok_or(Denied::WorkUnknown)?;
        let conversation = self.sessions.get_mut(&work.session).ok_or(Denied::WorkUnknown)?;
        if work.state == State::Stopped {
            return Err(Denied::SessionEnded);
        }
        if fence == 0 || work.fence != fence || conversation.fence != fence {
            return Err(Denied::LeaseLost);
        }
        if work.state == State::Queued
            && let Some(known) = self.environments.get_mut(environment)
        {
            known.queue.retain(|queued| queued != id);
        }
        work.state = State::Acked;
        work.until = cx.at.steady + cx.terms.lease_time;
        watch(&mut self.due, id, work);
        conversation.enter(cx, SessionState::Queued, SessionState::Starting);
        Ok(Answer::Renewed { is_stopping: conversation.session.is_stopping })
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
        let work = work.ok_or(Denied::WorkUnknown)?;
        let conversation = self.sessions.get(&work.session).ok_or(Denied::WorkUnknown)?;
        if work.fence != fence || conversation.fence != fence {
            return Err(Denied::LeaseLost);
        }
        let session = work.session.clone();
        self.end_session(cx, &session, result);
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
        let conversation = conversation.ok_or(Denied::SessionUnknown)?;
        if conversation.session.result.is_some() {
            return Err(Denied::SessionEnded);
        }
        let is_queued = |id| self.work.get(id).is_some_and(|work| work.state == State::Queued);
        if !conversation.works.iter().any(is_queued) {
            self.queue(cx, environment, session, work)?;
        }
        Ok(Answer::Done)
    }

    pub(super) fn lapse(&mut self, cx: &mut Context) -> Answer {
        while let Some((at, due)) = self.due.pop_first() {
            if at > cx.at.steady {
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
        work.is_watched = false;
        if !matches!(work.state, State::Leased | State::Acked) {
            return;
        }
        if work.until > cx.at.steady {
            watch(&mut self.due, &id, work);
            return;
        }
        let Some(conversation) = self.sessions.get_mut(&work.session) else { return };
        if conversation.fence != work.fence {
            // A newer item of the session has been handed out; this one is done with.
            work.state = State::Stopped;
            return;
        }
        if conversation.session.is_stopping {
            let session = work.session.clone();
            let message = "its worker did not confirm the stop before its lease ran out";
            self.end_session(cx, &session, ended(ResultStatus::Lost, message));
            return;
        }
        let is_replaced = conversation.works.last() != Some(&id);
        work.state = if is_replaced { State::Stopped } else { State::Queued };
        conversation.enter(cx, SessionState::Starting, SessionState::Queued);
        if is_replaced {
            return;
        }
        if let Some(known) = self.environments.get_mut(&work.environment) {
            known.queue.push_back(id);
            cx.changes.work_for.push(work.environment.clone());
        }
    }
}

fn watch(due: &mut BTreeSet<(UnixTime, Due)>, id: &WorkId, work: &mut Work) {
    if !work.is_watched {
        work.is_watched = true;
        due.insert((work.until, Due::Work(id.clone())));
    }
}

impl Work {
    fn lease(&self, work: WorkId) -> Lease {
        let Self { session, fence, created_at, .. } = self;
        Lease { work, session: session.clone(), fence: *fence, created_at: *created_at }
    }
}
