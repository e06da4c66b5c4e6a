//! What is known of a store from outside.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::session::SessionModel;
use super::subject::Subject;
use super::{Check, ensure};
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::base::time::UnixTime;
use crate::store::{
    AccountId, Changes, Committed, RelayTime, Session, StoreError, StoreOp, StorePolicy, StoreTime,
};
use crate::wire::session::{ResultStatus, SessionState};

pub(super) struct Model {
    /// What the store's clock should show.
    pub(super) now: StoreTime,
    /// What the relay's clocks show.
    pub(super) at: RelayTime,
    pub(super) policy: Arc<StorePolicy>,
    pub(super) environments: BTreeMap<EnvironmentId, EnvironmentModel>,
    /// The last environments that are no more.
    pub(super) gone: VecDeque<EnvironmentId>,
    pub(super) sessions: BTreeMap<SessionId, SessionModel>,
    /// What items are about, by the id in their data.
    pub(super) subjects: BTreeMap<String, Subject>,
    /// The subject of each item that was ever named.
    pub(super) works: BTreeMap<WorkId, String>,
    /// What a key of a person has made.
    pub(super) made_by: BTreeMap<(AccountId, String), SessionId>,
    /// Leases that were given, repetitions not counted.
    pub(super) handed_out: u64,
    pub(super) sessions_made: u64,
}

pub(super) struct EnvironmentModel {
    pub(super) owner: AccountId,
    pub(super) heard: StoreTime,
    pub(super) created_at: UnixTime,
    /// Leases that were given under a key.
    pub(super) named_claims: usize,
    /// The item of the last healthcheck.
    pub(super) healthcheck: Option<WorkId>,
    pub(super) is_healthcheck_open: bool,
}

/// Environments that are remembered to be gone, so that they are asked for still.
const REMEMBERED: usize = 4;

impl Model {
    pub(super) fn new(policy: StorePolicy) -> Self {
        Self {
            now: StoreTime::BEGINNING,
            at: RelayTime::default(),
            policy: Arc::new(policy),
            environments: BTreeMap::new(),
            gone: VecDeque::new(),
            sessions: BTreeMap::new(),
            subjects: BTreeMap::new(),
            works: BTreeMap::new(),
            made_by: BTreeMap::new(),
            handed_out: 0,
            sessions_made: 0,
        }
    }

    /// Takes note of an outcome, and says which promise it breaks.
    pub(super) fn observe(&mut self, call: &StoreOp, outcome: &Committed) -> Check {
        let changes = &*outcome.changes;
        if let Err(denied) = &outcome.answer {
            self.check_denied(call, denied, changes)?;
        }
        self.hear(call, outcome.answer.is_ok());
        // What the call itself does is judged by what was so before it; what it leads to by what
        // is so after it.
        self.before(call, outcome)?;
        self.apply(call, changes)?;
        self.after(call, outcome)?;
        self.check_limits()?;
        self.check_due(changes)
    }

    fn check_denied(&self, call: &StoreOp, denied: &StoreError, changes: &Changes) -> Check {
        let Changes { environments_gone, sessions, states, sessions_gone, entries, .. } = changes;
        let is_nothing = environments_gone.is_empty()
            && sessions.is_empty()
            && states.is_empty()
            && sessions_gone.is_empty()
            && entries.is_empty()
            && changes.work_for.is_empty()
            && changes.inbound.is_empty();
        ensure(is_nothing, || format!("denied: {denied:?}, and yet {changes:?}"))?;
        // Only what cannot be denied otherwise is looked at here.
        ensure(
            !matches!(call, StoreOp::Lapse | StoreOp::List { .. } | StoreOp::ReturnWork { .. }),
            || format!("denied: {denied:?} where nothing can be denied"),
        )
    }

    /// Signs of life, which count even where the rest is denied.
    fn hear(&mut self, call: &StoreOp, is_done: bool) {
        let environment = match call {
            StoreOp::LeaseWork { environment, .. }
            | StoreOp::AckWork { environment, .. }
            | StoreOp::RenewLease { environment, .. }
            | StoreOp::StopWork { environment, .. }
            | StoreOp::Redispatch { environment, .. } => Some(environment.clone()),
            StoreOp::AttachLink { session, .. } if is_done => {
                self.sessions.get(session).map(|known| known.environment.clone())
            }
            _ => None,
        };
        if let Some(known) = environment.and_then(|id| self.environments.get_mut(&id)) {
            known.heard = self.now;
        }
    }

    fn apply(&mut self, call: &StoreOp, changes: &Changes) -> Check {
        self.meet_new_session(call, changes);
        for (id, entry) in &changes.entries {
            let known = self.sessions.get_mut(id);
            let known = known.ok_or_else(|| format!("log: an event of {id}, which is unknown"))?;
            known.take(entry, self.at.wall, self.policy.log_bytes)?;
        }
        for (id, state) in &changes.states {
            let known = self.sessions.get_mut(id);
            let known = known.ok_or_else(|| format!("log: {id} is unknown"))?;
            ensure(known.state != SessionState::Ended, || format!("log: {id} ended twice"))?;
            known.enter(*state)?;
            if *state == SessionState::Ended
                && let Some(subject) = self.subjects.get_mut(id.as_str())
            {
                subject.end();
            }
        }
        for session in &changes.sessions {
            self.check_session(session)?;
        }
        for (owner, id) in &changes.environments_gone {
            self.environment_gone(call, owner, id, changes)?;
        }
        for (owner, id) in &changes.sessions_gone {
            self.session_gone(owner, id)?;
        }
        Ok(())
    }

    /// A session is new by the call that makes it; its first event comes with it.
    fn meet_new_session(&mut self, call: &StoreOp, changes: &Changes) {
        let StoreOp::CreateSession { owner, environment, id, work, title, .. } = call else {
            return;
        };
        if changes.states.iter().any(|(made, _)| made == id) {
            self.sessions_made += 1;
            let (ordinal, title) = (self.sessions_made, title.clone());
            let session = SessionModel::new(owner.clone(), environment.clone(), title, ordinal);
            self.sessions.insert(id.clone(), session);
            let subject = Subject::waiting(environment.clone(), work.clone());
            self.subjects.insert(id.as_str().into(), subject);
            self.works.insert(work.clone(), id.as_str().into());
        }
    }

    /// Whether a record of a session says what is known of it.
    pub(super) fn check_session(&mut self, session: &Session) -> Check {
        let id = &session.id;
        let known = self.sessions.get_mut(id);
        let known = known.ok_or_else(|| format!("owners: {id} is shown and unknown"))?;
        ensure(known.owner == session.owner, || format!("owners: {id} is another one's"))?;
        known.check_record(session)
    }

    fn environment_gone(
        &mut self,
        call: &StoreOp,
        owner: &AccountId,
        id: &EnvironmentId,
        changes: &Changes,
    ) -> Check {
        let known = self.environments.remove(id);
        let known = known.ok_or_else(|| format!("lapse: {id} goes and is unknown"))?;
        ensure(known.owner == *owner, || format!("owners: {id} is another one's"))?;
        let is_silent = known.heard + self.policy.lapse_after <= self.now;
        let status = match call {
            StoreOp::RemoveEnvironment { id: removed } if removed == id => ResultStatus::Failed,
            StoreOp::Lapse if is_silent => ResultStatus::Lost,
            _ => return Err(format!("lapse: {id} goes before its time")),
        };
        for (session, found) in &self.sessions {
            let is_there = found.environment == *id;
            ensure(!is_there || found.state == SessionState::Ended, || {
                format!("lapse: {session} goes on without its environment")
            })?;
        }
        for session in changes.sessions.iter().filter(|session| session.environment == *id) {
            // The lease of a session that was to stop may have run out in the same sweep.
            let result = session.result.as_ref().map(|result| result.status);
            ensure(result == Some(status), || {
                format!("lapse: {} ended as {result:?}", session.id)
            })?;
        }
        self.subjects.retain(|_, subject| subject.environment != *id);
        self.gone.push_back(id.clone());
        self.gone.drain(..self.gone.len().saturating_sub(REMEMBERED));
        Ok(())
    }

    fn session_gone(&mut self, owner: &AccountId, id: &SessionId) -> Check {
        let ended = self.sessions.values();
        let ended =
            ended.filter(|known| known.owner == *owner && known.state == SessionState::Ended);
        let is_surplus = ended.count() > self.policy.ended_sessions;
        let known = self.sessions.remove(id);
        let known = known.ok_or_else(|| format!("limits: {id} goes and is unknown"))?;
        self.subjects.remove(id.as_str());
        let may_go = known.state == SessionState::Ended && known.owner == *owner && is_surplus;
        ensure(may_go, || format!("limits: {id} goes before its time"))
    }

    fn check_limits(&self) -> Check {
        let policy = &self.policy;
        let environments = self.environments.len();
        ensure(environments <= policy.max_environments, || {
            format!("limits: {environments} environments")
        })?;
        for owner in self.environments.values().map(|known| &known.owner) {
            let own = self.environments.values().filter(|known| known.owner == *owner).count();
            ensure(own <= policy.environments_per_person, || {
                format!("limits: {own} environments of {owner:?}")
            })?;
        }
        for id in self.environments.keys() {
            let active = self.active(id);
            ensure(active <= policy.max_sessions, || format!("limits: {active} sessions of {id}"))?;
        }
        for (id, known) in &self.sessions {
            let waiting = known.inbound.len() - usize::try_from(known.acked).unwrap_or_default();
            ensure(waiting <= policy.inbound_lines, || {
                format!("limits: {waiting} lines for the agent of {id}")
            })?;
            let ended = self
                .sessions
                .values()
                .filter(|other| other.owner == known.owner && other.state == SessionState::Ended);
            let ended = ended.count();
            ensure(ended <= policy.ended_sessions, || format!("limits: {ended} ended sessions"))?;
        }
        Ok(())
    }

    /// Sessions of an environment that have not ended.
    pub(super) fn active(&self, environment: &EnvironmentId) -> usize {
        let sessions = self.sessions.values();
        let active = sessions.filter(|known| {
            known.environment == *environment && known.state != SessionState::Ended
        });
        active.count()
    }

    fn check_due(&self, changes: &Changes) -> Check {
        let silent = self.environments.values().map(|known| known.heard + self.policy.lapse_after);
        let leases = self.subjects.values().filter_map(Subject::until);
        let Some(earliest) = silent.chain(leases).min() else { return Ok(()) };
        let earliest = earliest.saturating_since(self.now);
        ensure(changes.due.is_some_and(|due| due <= earliest), || {
            format!("due: {:?}, but something lapses in {earliest:?}", changes.due)
        })
    }

    /// A session that has not ended, and that nobody holds, once everything was handed out.
    pub(super) fn stuck(&self) -> Option<&SessionId> {
        let live = self.sessions.iter().filter(|(_, known)| known.state != SessionState::Ended);
        let mut live = live.map(|(id, _)| id);
        live.find(|id| {
            let subject = self.subjects.get(id.as_str());
            let until = subject.and_then(Subject::until);
            until.is_none_or(|until| until <= self.now)
        })
    }

    pub(super) fn kept_of(&self, owner: &AccountId) -> Vec<(&SessionId, &SessionModel)> {
        let mut kept: Vec<_> = self.sessions.iter().filter(|(_, s)| s.owner == *owner).collect();
        kept.sort_by_key(|(_, session)| core::cmp::Reverse(session.ordinal));
        kept
    }
}
