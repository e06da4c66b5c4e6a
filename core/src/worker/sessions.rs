//! The sessions of a worker.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::cx::{Cx, Timer};
use super::heartbeat;
use super::lease::Environment;
use super::session::{Ended, Renewal, Session};
use crate::base::id::{EnvironmentId, SessionId};
use crate::base::time::Instant;
use crate::transport::v1::Rhythm;
use crate::worker::notice::WorkerNotice;

/// Running sessions, and those whose last lines are still on their way.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: BTreeMap<SessionId, Session>,
    /// What the links of earlier ones have learned about the network.
    rhythm: Rhythm,
    /// Version 2 does not get through.
    is_v2_obstructed: bool,
}

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn contains(&self, id: &SessionId) -> bool {
        self.all.contains_key(id)
    }

    pub(super) fn get(&self, id: &SessionId) -> Option<&Session> {
        self.all.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &SessionId) -> Option<&mut Session> {
        self.all.get_mut(id)
    }

    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.all.keys().cloned().collect()
    }

    /// One that runs, and its environment.
    pub(super) fn any_other(&self) -> Option<(SessionId, EnvironmentId)> {
        let mut running = self.all.iter().filter(|(_, session)| session.takes_room());
        running
            .next_back()
            .map(|(id, session)| (id.clone(), session.lease().environment.id.clone()))
    }

    /// What a new link begins with.
    pub(super) const fn rhythm(&self) -> Rhythm {
        self.rhythm
    }

    /// Whether version 2 is worth a try.
    pub(super) const fn may_speak_v2(&self) -> bool {
        !self.is_v2_obstructed
    }

    /// One of them may have learned that it is not. Returns why, the first time.
    pub(super) fn note_fallback(&mut self, id: &SessionId) -> Option<WorkerNotice> {
        if self.is_v2_obstructed {
            return None;
        }
        let session = self.all.get(id)?;
        let reason = String::from(session.fell_back()?);
        self.is_v2_obstructed = true;
        let (session, work) = (id.clone(), session.lease().work.clone());
        Some(WorkerNotice::FellBack { session, work, reason })
    }

    /// One of them may have learned something about the network.
    pub(super) fn note_rhythm(&mut self, id: &SessionId) {
        if let Some(session) = self.all.get(id) {
            self.rhythm = session.rhythm();
        }
    }

    pub(super) fn insert(&mut self, id: SessionId, session: Session) {
        self.all.insert(id, session);
    }

    /// How many of them count towards `max_sessions`.
    pub(super) fn taking_room(&self) -> usize {
        self.all.values().filter(|session| session.takes_room()).count()
    }

    /// Whether one of them was promised another lease, or may have been given it already, which can
    /// only come through a poll.
    pub(super) fn await_lease(&self) -> bool {
        let awaits =
            |renewal: &_| matches!(renewal, Renewal::AwaitsLease | Renewal::Superseded { .. });
        self.all.values().any(|session| awaits(&session.renewal))
    }

    /// Polls are failing, so a newer lease can come only later: those that wait for one wait until
    /// then.
    pub(super) fn await_leases_until(&mut self, cx: &mut Cx<'_>, at: Instant) {
        for id in self.ids() {
            if let Some(session) = self.get_mut(&id)
                && let Renewal::Superseded { until, .. } = &mut session.renewal
            {
                *until = at.max(*until);
                if let Some(at) = session.deadline() {
                    cx.timers.set(Timer::Session(id), at);
                }
            }
        }
    }

    /// A work item has arrived for the session.
    pub(super) fn item_came(&mut self, id: &SessionId) {
        if let Some(session) = self.get_mut(id)
            && session.renewal == Renewal::AwaitsLease
        {
            session.renewal = Renewal::NotNeeded;
        }
    }

    /// The environment has a new secret.
    pub(super) fn renew_secret(&mut self, environment: &Environment) {
        for session in self.all.values_mut() {
            session.lease_mut().environment.renew(environment);
        }
    }

    /// Sessions that needed a new secret to ask for another lease, and can now.
    pub(super) fn take_awaiting_secret(&mut self) -> Vec<SessionId> {
        let waiting = self.all.iter_mut();
        let waiting = waiting.filter(|(_, session)| session.renewal == Renewal::AwaitsSecret);
        let ids = waiting.map(|(id, session)| {
            session.renewal = Renewal::NotNeeded;
            id.clone()
        });
        ids.collect()
    }

    pub(super) fn start_heartbeat(&self, cx: &mut Cx<'_>, id: &SessionId) {
        if let Some(session) = self.get(id) {
            heartbeat::start(cx, id, session.lease());
        }
    }

    pub(super) fn heartbeat(&self, cx: &mut Cx<'_>, id: &SessionId) {
        if let Some(session) = self.get(id) {
            heartbeat::beat(cx, id, session.lease());
        }
    }

    /// Called after every event of a session: removes it if it is finished, or else sets its one
    /// timer to whatever its parts wait for next.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>, id: &SessionId) -> Option<Ended> {
        let timer = Timer::Session(id.clone());
        let session = self.get(id)?;
        if session.is_settled(cx.now()) {
            return self.all.remove(id).map(|session| session.settle(cx));
        }
        match session.deadline() {
            Some(at) => cx.timers.set(timer, at),
            None => cx.timers.clear(&timer),
        }
        None
    }
}
