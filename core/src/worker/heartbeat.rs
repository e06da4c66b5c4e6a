//! Stage 5: keep the leases of running sessions (E-5, W-8).

use alloc::string::{String, ToString};
use core::time::Duration;

use super::api::{self, RequestError};
use super::session::EndReason;
use super::{Purpose, Stage, Timer, Worker};
use crate::base::id::SessionId;
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::wire::work::{Heartbeat, LeaseState};

/// Heartbeats for each length of a lease: two may be lost.
const PER_LEASE: u32 = 3;

impl Worker {
    /// The first one comes at a random point of the interval, so that sessions that were started
    /// together do not beat together.
    pub(super) fn first_heartbeat(&mut self, id: &SessionId) {
        let Some(session) = self.sessions.get(id) else { return };
        let interval = session.lease.length / PER_LEASE;
        let micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
        let first = Duration::from_micros(self.rng.u64(micros / 2..=micros));
        self.timers.set(Timer::Heartbeat(id.clone()), self.fx.now().mono + first);
    }

    pub(super) fn heartbeat(&mut self, id: &SessionId) {
        let Some(session) = self.sessions.get(id) else { return };
        let lease = &session.lease;
        let request = api::heartbeat(&self.config.relay, lease);
        let purpose = Purpose::Heartbeat(id.clone(), lease.fence);
        self.fx.start(purpose, |op| Action::Request { op, request });
        let next = self.fx.now().mono + lease.length / PER_LEASE;
        self.timers.set(Timer::Heartbeat(id.clone()), next);
    }

    pub(super) fn heartbeat_answered(&mut self, id: &SessionId, fence: u64, event: Event) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        // An answer about an older lease of the session says nothing of this one.
        if session.lease.fence != fence {
            return;
        }
        match api::answer::<Heartbeat>(event) {
            Ok(Heartbeat { lease_extended: false, .. }) => {
                self.lose_session(id, String::from("its lease was given to another worker"));
            }
            Ok(Heartbeat { state: LeaseState::Stopping, .. }) => {
                if !session.is_ending() {
                    self.end_session(id, EndReason::Interrupted("a person ended it".into()));
                }
            }
            // After a refusal of the link that no new lease followed: the relay may have had a
            // passing reason, such as a clock that was wrong.
            Ok(_) => session.link.retry_refused(&mut self.fx, Purpose::Link(id.clone())),
            // The next one is due in time to keep the lease.
            Err(trouble) if trouble.track().is_some() => {}
            Err(RequestError::Refused(refusal)) if refusal.status == 401 => self.ask_redispatch(id),
            Err(trouble) => self.lose_session(id, trouble.to_string()),
        }
    }

    /// The session's token is no longer good: asks the relay to dispatch it again with a fresh one.
    /// The session goes on meanwhile; the new item comes by poll.
    pub(super) fn ask_redispatch(&mut self, id: &SessionId) {
        let Some(session) = self.sessions.get(id) else { return };
        let request = api::redispatch(&self.config.relay, &session.lease.environment, id);
        let purpose = Purpose::Redispatch(id.clone(), self.registering.count);
        self.fx.start(purpose, |op| Action::Request { op, request });
    }

    pub(super) fn redispatch_answered(&mut self, id: &SessionId, registration: u32, event: Event) {
        let answer = api::answer::<serde::de::IgnoredAny>(event);
        self.secret_answered(answer.as_ref().err());
        match answer {
            Ok(_) => {
                if let Some(session) = self.sessions.get_mut(id) {
                    session.awaits_lease = true;
                }
                self.poll_if_there_is_room();
            }
            // The next heartbeat meets the same refusal and asks again, or else tries the link again.
            Err(trouble) if trouble.track().is_some() => {}
            Err(trouble) if self.may_be_secret(id, &trouble, registration) => {}
            Err(trouble) => self.lose_session(id, trouble.to_string()),
        }
    }

    /// A relay that came up with other keys refuses the environment's secret as well; it is asked
    /// again as soon as there is a new one.
    fn may_be_secret(&mut self, id: &SessionId, trouble: &RequestError, registration: u32) -> bool {
        let environment = self.sessions.get(id).map(|session| session.lease.environment.id.clone());
        let is_refused = trouble.refusal().is_some_and(|refusal| refusal.status == 401);
        // Nobody looks for another one any more, and the agent has its time to end all the same.
        let is_ending = self.stage == Stage::ShuttingDown && is_refused;
        let may_be = is_ending
            || environment.is_some_and(|environment| {
                self.secret_refused(&environment, trouble, registration)
            });
        if may_be && registration != self.registering.count {
            self.ask_redispatch(id);
        } else if may_be && let Some(session) = self.sessions.get_mut(id) {
            session.awaits_secret = true;
        }
        may_be
    }
}
