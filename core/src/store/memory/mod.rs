//! The reference store: everything in memory, gone with the process.

mod conversation;
mod environments;
mod healthcheck;
mod links;
mod sessions;
mod work;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;

use self::conversation::Conversation;
pub(crate) use self::environments::ended;
use self::work::Work;
use super::clock::{StoreClock, StoreTime};
use super::committed::{Answer, Changes, Committed, StoreError};
use super::policy::StorePolicy;
use super::record::{AccountId, Environment};
use super::transaction::{StoreOp, Transaction};
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::base::time::UnixTime;

/// A store that lasts as long as its process, and the reference for every other one.
#[derive(Debug, Default)]
pub struct MemoryStore {
    clock: StoreClock,
    environments: BTreeMap<EnvironmentId, Known>,
    sessions: BTreeMap<SessionId, Conversation>,
    work: BTreeMap<WorkId, Work>,
    /// By the key of the request that made the session.
    made_by: BTreeMap<(AccountId, String), SessionId>,
    /// Everybody's sessions that have ended, the oldest end first.
    ended: BTreeMap<AccountId, VecDeque<SessionId>>,
    /// What may lapse, at the time that was true when it was noted; it is looked at again then.
    due: BTreeSet<(StoreTime, Due)>,
    sessions_made: u64,
}

#[derive(Debug)]
struct Known {
    environment: Environment,
    last_seen: StoreTime,
    /// Where it stands in the table of what may lapse.
    watched_at: StoreTime,
    /// Items that wait, the oldest first.
    queue: VecDeque<WorkId>,
    /// The last claims that were named, and the lease that each got.
    claims: VecDeque<(String, WorkId, u64)>,
    /// The item of the last healthcheck.
    healthcheck: Option<WorkId>,
    /// The last requests for one that were named.
    healthcheck_keys: VecDeque<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Environment(EnvironmentId),
    Work(WorkId),
}

/// What one operation is carried out with.
struct Context {
    /// For people.
    wall: UnixTime,
    /// For leases.
    now: StoreTime,
    policy: Arc<StorePolicy>,
    changes: Changes,
}

type Answered = Result<Answer, StoreError>;

impl MemoryStore {
    /// An empty store.
    pub const fn new() -> Self {
        Self {
            clock: StoreClock::new(),
            environments: BTreeMap::new(),
            sessions: BTreeMap::new(),
            work: BTreeMap::new(),
            made_by: BTreeMap::new(),
            ended: BTreeMap::new(),
            due: BTreeSet::new(),
            sessions_made: 0,
        }
    }

    /// Carries out one operation.
    pub fn apply(&mut self, transaction: Transaction) -> Committed {
        let Transaction { at, policy, op: call } = transaction;
        let now = self.clock.advance(&at);
        let mut context = Context { wall: at.wall, now, policy, changes: Changes::default() };
        let answer = self.call(&mut context, *call);
        let mut changes = Box::new(context.changes);
        for session in &mut changes.sessions {
            // More may have been logged since it was noted.
            if let Some(conversation) = self.sessions.get(&session.id) {
                session.clone_from(&conversation.session);
            }
        }
        changes.due = self.due.first().map(|(at, _)| at.saturating_since(now));
        Committed { answer, changes }
    }

    fn call(&mut self, cx: &mut Context, call: StoreOp) -> Answered {
        match call {
            StoreOp::RegisterEnvironment { owner, id, registration } => {
                self.register(cx, owner, id, *registration)
            }
            StoreOp::RemoveEnvironment { id } => self.remove_environment(cx, &id),
            StoreOp::Find { environment, session } => {
                self.find(environment.as_ref(), session.as_ref())
            }
            StoreOp::GetEnvironment { owner, id } => self.get_environment(&owner, &id),
            StoreOp::AskHealthcheck { owner, id, work, key } => {
                self.ask_healthcheck(cx, &owner, &id, work, key)
            }
            StoreOp::List { owner } => Ok(self.list(cx, &owner)),
            StoreOp::LeaseWork { environment, key } => self.lease(cx, &environment, key),
            StoreOp::ReturnWork { work, fence } => Ok(self.give_back(cx, &work, fence)),
            StoreOp::AckWork { environment, work, fence }
            | StoreOp::RenewLease { environment, work, fence } => {
                self.renew(cx, &environment, &work, fence)
            }
            StoreOp::StopWork { environment, work, fence, result } => {
                self.stop_work(cx, &environment, &work, fence, *result)
            }
            StoreOp::Redispatch { environment, session, work } => {
                self.redispatch(cx, &environment, &session, work)
            }
            StoreOp::Lapse => Ok(self.lapse(cx)),
            StoreOp::CreateSession { owner, environment, id, work, title, key } => {
                let new = sessions::NewSession { owner, environment, id, work, title, key };
                self.create_session(cx, new)
            }
            StoreOp::ListSessions { owner, environment, before, limit } => {
                let limit = limit.min(cx.policy.listed_sessions);
                self.list_sessions(&owner, environment.as_ref(), before.as_ref(), limit)
            }
            StoreOp::GetSession { owner, id } => {
                let session = &self.conversation(&owner, &id)?.session;
                Ok(Answer::Session(Box::new(session.clone())))
            }
            StoreOp::RequestStop { owner, id } => self.request_stop(cx, &owner, &id),
            StoreOp::ReadLog { owner, session, after, max_events, max_bytes } => {
                let conversation = self.conversation(&owner, &session)?;
                let page = conversation.page(after, max_events, max_bytes);
                Ok(Answer::Page(Box::new(page)))
            }
            StoreOp::Post { owner, session, messages } => {
                self.conversation_mut(&owner, &session)?.post(cx, messages)
            }
            StoreOp::AnswerPermission { owner, session, request_id, reply } => {
                self.conversation_mut(&owner, &session)?.answer(cx, &request_id, &reply)
            }
            StoreOp::AttachLink { session, fence, agent_run } => {
                self.attach_link(cx, &session, fence, agent_run)
            }
            StoreOp::ResumeLink { session, link, received, from } => {
                self.linked(&session, link)?.resume(cx, received, from)
            }
            StoreOp::Append { session, link, first, lines } => {
                Ok(self.linked(&session, link)?.append(cx, first, lines))
            }
            StoreOp::AckInbound { session, link, received } => {
                self.linked(&session, link)?.ack_inbound(received)
            }
            StoreOp::ReadInbound { session, after, max_lines, max_bytes } => {
                let conversation =
                    self.sessions.get_mut(&session).ok_or(StoreError::SessionUnknown)?;
                Ok(conversation.read_inbound(after, max_lines, max_bytes))
            }
        }
    }

    fn conversation(&self, owner: &AccountId, id: &SessionId) -> Result<&Conversation, StoreError> {
        let found = self.sessions.get(id).filter(|found| found.session.owner == *owner);
        found.ok_or(StoreError::SessionUnknown)
    }

    fn conversation_mut(
        &mut self,
        owner: &AccountId,
        id: &SessionId,
    ) -> Result<&mut Conversation, StoreError> {
        let found = self.sessions.get_mut(id).filter(|found| found.session.owner == *owner);
        found.ok_or(StoreError::SessionUnknown)
    }
}
