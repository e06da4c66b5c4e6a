//! What can be known about a store from the outside.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::session::SessionModel;
use super::subject::Subject;
use super::{Check, ensure};
use crate::base::id::{DeviceId, EnvironmentId, SessionId, WorkId};
use crate::base::time::UnixTime;
use crate::store::{
    AccountId, Changes, Committed, Origin, Receipts, RelayTime, Session, StoreError, StoreOp,
    StorePolicy, StoreTime,
};
use crate::wire::session::{ResultStatus, SessionState};

pub(super) struct Model {
    /// What the store's clock should show.
    pub(super) now: StoreTime,
    /// What the relay's clocks show.
    pub(super) at: RelayTime,
    pub(super) policy: Arc<StorePolicy>,
    pub(super) environments: BTreeMap<EnvironmentId, EnvironmentModel>,
    /// The environments that the operation at hand may remove because they are silent.
    pub(super) lapsing: BTreeSet<EnvironmentId>,
    /// The environments that were removed last.
    pub(super) gone: VecDeque<EnvironmentId>,
    pub(super) sessions: BTreeMap<SessionId, SessionModel>,
    /// What work items are for, by the id in their data.
    pub(super) subjects: BTreeMap<String, Subject>,
    /// The subject of every item that ever existed.
    pub(super) works: BTreeMap<WorkId, String>,
    /// The items that are requests about the worktree of a session.
    pub(super) requests: BTreeMap<WorkId, SessionId>,
    /// The session that an account's key created.
    pub(super) made_by: BTreeMap<(AccountId, String), SessionId>,
    /// Leases handed out, repeats not counted.
    pub(super) handed_out: u64,
    pub(super) sessions_made: u64,
}

pub(super) struct EnvironmentModel {
    pub(super) owner: AccountId,
    pub(super) worker_id: Option<String>,
    pub(super) worker_run: Option<u64>,
    pub(super) heard: StoreTime,
    pub(super) created_at: UnixTime,
    pub(super) is_draining: bool,
    /// Leases handed out under a key.
    pub(super) named_claims: usize,
    /// The item of the last healthcheck.
    pub(super) healthcheck: Option<WorkId>,
    pub(super) is_healthcheck_open: bool,
    /// The session that it goes with, and the device that made both.
    pub(super) made_for: Option<(SessionId, Option<DeviceId>)>,
}

/// Whether an operation may end this session, by what it says.
fn ends_session(op: &StoreOp, session: &SessionId) -> bool {
    match op {
        StoreOp::NoteWorker { session: noted, result: Some(_), .. } => noted == session,
        StoreOp::RequestStop { id, .. } => id == session,
        _ => false,
    }
}

/// What an operation says about receipts.
fn all_receipts(changes: &Changes) -> impl Iterator<Item = (&SessionId, Receipts)> {
    let sessions = changes.sessions.iter().map(|session| (&session.id, session.receipts));
    sessions.chain(changes.receipts.iter().map(|(id, receipts)| (id, *receipts)))
}

/// How many removed environments are remembered, so that operations keep naming them.
const MAX_GONE: usize = 4;

impl Model {
    pub(super) fn new(policy: StorePolicy) -> Self {
        Self {
            now: StoreTime::BEGINNING,
            at: RelayTime::default(),
            policy: Arc::new(policy),
            environments: BTreeMap::new(),
            lapsing: BTreeSet::new(),
            gone: VecDeque::new(),
            sessions: BTreeMap::new(),
            subjects: BTreeMap::new(),
            works: BTreeMap::new(),
            requests: BTreeMap::new(),
            made_by: BTreeMap::new(),
            handed_out: 0,
            sessions_made: 0,
        }
    }

    /// Records an outcome, and says which promise it breaks.
    pub(super) fn observe(&mut self, op: &StoreOp, outcome: &Committed) -> Check {
        let changes = &*outcome.changes;
        if let Err(error) = &outcome.answer {
            self.check_denied(op, error, changes)?;
        }
        self.mark_seen(op, outcome.answer.is_ok());
        // The answer is judged by the state before the operation, its consequences by the state
        // after it.
        self.check_before(op, outcome)?;
        self.apply(op, changes)?;
        self.check_after(op, outcome)?;
        self.check_limits()?;
        self.check_due(changes)
    }

    fn check_denied(&self, op: &StoreOp, error: &StoreError, changes: &Changes) -> Check {
        let Changes { environments_gone, sessions, states, sessions_gone, entries, .. } = changes;
        let is_nothing = environments_gone.is_empty()
            && sessions.is_empty()
            && states.is_empty()
            && sessions_gone.is_empty()
            && entries.is_empty()
            && changes.work_for.is_empty()
            && changes.inbound.is_empty()
            && changes.callbacks.is_empty()
            && changes.receipts.is_empty();
        ensure(is_nothing, || format!("denied: {error:?} was returned, but it made {changes:?}"))?;
        // Everything else that must not be denied is checked elsewhere.
        ensure(
            !matches!(op, StoreOp::Lapse | StoreOp::List { .. } | StoreOp::ReturnWork { .. }),
            || format!("denied: {error:?} from an operation that cannot be denied"),
        )
    }

    /// Records a sign of life, which counts even if the rest is denied.
    fn mark_seen(&mut self, op: &StoreOp, is_done: bool) {
        let environment = match op {
            StoreOp::LeaseWork { environment, .. }
            | StoreOp::AckWork { environment, .. }
            | StoreOp::RenewLease { environment, .. }
            | StoreOp::StopWork { environment, .. }
            | StoreOp::NoteWorktree { environment, .. }
            | StoreOp::DrainEnvironment { id: environment }
            | StoreOp::Redispatch { environment, .. } => Some(environment.clone()),
            StoreOp::AttachLink { session, .. } | StoreOp::Bridge { session, .. } if is_done => {
                self.sessions.get(session).map(|known| known.environment.clone())
            }
            StoreOp::OpenStream { session, link, .. }
            | StoreOp::NoteWorker { session, link, .. } => {
                let known = self.sessions.get(session).filter(|known| known.has_link(*link));
                known.map(|known| known.environment.clone())
            }
            // Only an environment of the session's own is known by nothing else to be there.
            StoreOp::Append { session, link, .. } | StoreOp::AckInbound { session, link, .. } => {
                let known = self.sessions.get(session).filter(|known| known.has_link(*link));
                known.filter(|known| known.is_code).map(|known| known.environment.clone())
            }
            _ => None,
        };
        if let Some(known) = environment.and_then(|id| self.environments.get_mut(&id)) {
            known.heard = self.now;
        }
    }

    fn apply(&mut self, op: &StoreOp, changes: &Changes) -> Check {
        self.add_new_session(op, changes);
        if let StoreOp::AttachLink { session, .. } | StoreOp::Bridge { session, .. } = op
            && let Some(known) = self.sessions.get_mut(session)
        {
            known.before_link();
        }
        for (id, receipts) in all_receipts(changes) {
            if let Some(known) = self.sessions.get_mut(id) {
                known.receipts.announce(receipts);
            }
        }
        for (id, entry) in &changes.entries {
            let known = self.sessions.get_mut(id);
            let known = known
                .ok_or_else(|| format!("log: an event was added to {id}, which is unknown"))?;
            known.add_event(entry, self.at.wall, self.policy.log_bytes)?;
        }
        let asked = self.sessions.iter_mut().flat_map(|(id, known)| {
            let asked = known.callbacks.take_asked().into_iter();
            asked.map(|(client, open)| (id.clone(), client, open))
        });
        let asked: Vec<_> = asked.collect();
        ensure(asked == changes.callbacks, || {
            format!("answers: {:?} are asked, expected {asked:?}", changes.callbacks)
        })?;
        for (id, state) in &changes.states {
            let known = self.sessions.get_mut(id);
            let known = known
                .ok_or_else(|| format!("log: the state of {id} changed, but it is unknown"))?;
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
        let has_agent_lines = matches!(op, StoreOp::Append { lines, .. }
            if lines.iter().any(|line| line.origin == Origin::Agent));
        for (id, _) in all_receipts(changes) {
            if let Some(known) = self.sessions.get_mut(id) {
                known.receipts.check(has_agent_lines)?;
            }
        }
        for session in changes.sessions.iter().filter(|known| known.state == SessionState::Ended) {
            if let Some(known) = self.sessions.get(&session.id) {
                known.receipts.check_end()?;
            }
        }
        for (owner, id) in &changes.environments_gone {
            self.environment_gone(op, owner, id, changes)?;
        }
        for (owner, id) in &changes.sessions_gone {
            let is_wanted = matches!(op, StoreOp::DeleteSession { id: wanted, .. } if wanted == id);
            self.session_gone(owner, id, is_wanted)?;
        }
        Ok(())
    }

    /// Adds the session that an operation created; its first event comes with it.
    fn add_new_session(&mut self, op: &StoreOp, changes: &Changes) {
        let (owner, environment, id, work, title) = match op {
            StoreOp::CreateSession { owner, environment, id, work, title, .. } => {
                (owner, environment, id, Some(work), title)
            }
            StoreOp::CreateCodeSession { owner, environment, id, title, .. } => {
                (owner, environment, id, None, title)
            }
            _ => return,
        };
        if changes.states.iter().any(|(made, _)| made == id) {
            self.sessions_made += 1;
            let (ordinal, title) = (self.sessions_made, title.clone());
            let mut session = SessionModel::new(owner.clone(), environment.clone(), title, ordinal);
            session.is_code = work.is_none();
            self.sessions.insert(id.clone(), session);
            let Some(work) = work else { return };
            let subject = Subject::queued(environment.clone(), work.clone());
            self.subjects.insert(id.as_str().into(), subject);
            self.works.insert(work.clone(), id.as_str().into());
        }
    }

    /// Checks a session's record against what is known about it.
    pub(super) fn check_session(&mut self, session: &Session) -> Check {
        let id = &session.id;
        let known = self.sessions.get_mut(id);
        let known = known.ok_or_else(|| format!("owners: {id} was returned, but is unknown"))?;
        ensure(known.owner == session.owner, || {
            format!("owners: {id} belongs to another account")
        })?;
        known.check_record(session)
    }

    fn environment_gone(
        &mut self,
        op: &StoreOp,
        owner: &AccountId,
        id: &EnvironmentId,
        changes: &Changes,
    ) -> Check {
        let known = self.environments.remove(id);
        let known = known.ok_or_else(|| format!("lapse: {id} was removed, but is unknown"))?;
        ensure(known.owner == *owner, || format!("owners: {id} belongs to another account"))?;
        let is_silent = self.lapsing.contains(id);
        let status = match op {
            StoreOp::RemoveEnvironment { id: removed } if removed == id => {
                Some(ResultStatus::Failed)
            }
            StoreOp::Lapse if is_silent => Some(ResultStatus::Lost),
            // That its session has ended is checked below.
            _ if known.made_for.is_some_and(|(session, _)| ends_session(op, &session)) => None,
            _ => return Err(format!("lapse: {id} was removed too early")),
        };
        for (session, found) in &self.sessions {
            let is_there = found.environment == *id;
            ensure(!is_there || found.state == SessionState::Ended, || {
                format!("lapse: {session} is live, but its environment is gone")
            })?;
        }
        // Sessions that ended before may have a worktree there, which nobody is asked about any more.
        let ends_now =
            |session: &&Session| changes.states.iter().any(|(ended, _)| *ended == session.id);
        let own = changes.sessions.iter().filter(|session| session.environment == *id);
        for session in own.filter(ends_now) {
            // A stopping session's lease may have expired in the same sweep.
            let result = session.result.as_ref().map(|result| result.status);
            ensure(status.is_none() || result == status, || {
                format!("lapse: {} ended with {result:?}", session.id)
            })?;
        }
        self.worktrees_unreachable(id);
        self.subjects.retain(|_, subject| subject.environment != *id);
        self.gone.push_back(id.clone());
        self.gone.drain(..self.gone.len().saturating_sub(MAX_GONE));
        Ok(())
    }

    fn session_gone(&mut self, owner: &AccountId, id: &SessionId, is_wanted: bool) -> Check {
        let ended = self.sessions.values();
        let ended =
            ended.filter(|known| known.owner == *owner && known.state == SessionState::Ended);
        let is_surplus = ended.count() > self.policy.ended_sessions;
        let known = self.sessions.remove(id);
        let known = known.ok_or_else(|| format!("limits: {id} was removed, but is unknown"))?;
        self.subjects.remove(id.as_str());
        let may_go = known.state == SessionState::Ended
            && known.owner == *owner
            && (is_surplus || is_wanted);
        ensure(may_go, || format!("limits: {id} was removed too early"))
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
        for (id, known) in &self.environments {
            let active = self.active(id);
            ensure(known.made_for.is_none() || active == 1, || {
                format!("epochs: {id} was made for one session, and has {active}")
            })?;
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

    /// How many live sessions an environment has.
    pub(super) fn active(&self, environment: &EnvironmentId) -> usize {
        let sessions = self.sessions.values();
        let active = sessions.filter(|known| {
            known.environment == *environment && known.state != SessionState::Ended
        });
        active.count()
    }

    /// When an environment lapses unless it is heard from.
    pub(super) fn lapses_at(&self, id: &EnvironmentId) -> StoreTime {
        let heard = self.environments.get(id).map_or(self.now, |known| known.heard);
        heard + self.policy.silence(self.active(id))
    }

    /// The same if what is stopping ends before that, with its lease.
    pub(super) fn may_lapse_at(&self, id: &EnvironmentId) -> StoreTime {
        let heard = self.environments.get(id).map_or(self.now, |known| known.heard);
        let stays = |known: &&SessionModel| {
            known.environment == *id && known.state != SessionState::Ended && !known.is_stopping
        };
        heard + self.policy.silence(self.sessions.values().filter(stays).count())
    }

    fn check_due(&self, changes: &Changes) -> Check {
        let silent = self.environments.keys().map(|id| self.lapses_at(id));
        let leases = self.subjects.values().filter_map(Subject::until);
        let Some(earliest) = silent.chain(leases).min() else { return Ok(()) };
        let earliest = earliest.saturating_since(self.now);
        ensure(changes.due.is_some_and(|due| due <= earliest), || {
            format!("due: {:?} was announced, but something lapses in {earliest:?}", changes.due)
        })
    }

    /// A live session that nobody holds, once everything has been handed out.
    pub(super) fn stuck(&self) -> Option<&SessionId> {
        let live = self.sessions.iter().filter(|(_, known)| known.state != SessionState::Ended);
        let live = live.filter(|(_, known)| !known.is_code);
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
