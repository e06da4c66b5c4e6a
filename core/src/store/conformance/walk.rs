//! Random operations that are likely to succeed, because they name things that the model knows.

mod clients;
mod code_sessions;
mod links;
mod worktrees;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::model::Model;
use crate::base::id::{EnvironmentId, IdError, SessionId, WorkId};
use crate::base::limits::RELAY_RUN_LAG;
use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::store::{
    AccountId, NewMessage, PermissionReply, RelayRun, RelayTime, StoreOp, StoreTime, ended,
};
use crate::wire::session::{ResultStatus, SessionState};
use crate::wire::worker_api::environment::{Metadata, Registration};

pub(super) struct Walk {
    rng: fastrand::Rng,
    ids_made: u32,
    /// The running relays, each with its uptime at some moment of store time.
    relays: Vec<RelayModel>,
}

#[derive(Clone, Copy)]
struct RelayModel {
    run: RelayRun,
    at: StoreTime,
    running: Duration,
}

/// How many relays use the store at once.
const MAX_RELAYS: usize = 3;

/// How far time advances between operations, in milliseconds: now and then far enough for something
/// to lapse.
const STEPS: [u64; 12] = [0, 0, 0, 1, 1, 10, 1000, 5000, 15_000, 31_000, 61_000, 601_000];
/// The earliest time that a wall clock shows, in milliseconds.
const WALL: u64 = 1_767_225_600_000;
/// How far it usually advances.
const SMALL_STEPS: [u64; 3] = [0, 0, 3000];

/// Unwraps an id that is made here.
fn id<T>(made: Result<T, IdError>) -> T {
    match made {
        Ok(id) => id,
        Err(bad) => unreachable!("it is made of plain characters: {bad}"),
    }
}

impl Walk {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), ids_made: 0, relays: Vec::new() }
    }

    /// The time of the next operation: by the store's clock, and by those of its relay.
    pub(super) fn time(&mut self, now: StoreTime) -> (StoreTime, RelayTime) {
        if self.relays.is_empty() || self.one_in(40) {
            return (now, self.restart(now));
        }
        match self.rng.u32(..20) {
            0 => (now, self.sleep(now)),
            1 => (now, self.delay(now)),
            _ => {
                let steps: &[u64] = if self.one_in(4) { &STEPS } else { &SMALL_STEPS };
                let step = steps[self.rng.usize(..steps.len())];
                self.later(now, Duration::from_millis(step))
            }
        }
    }

    /// Some relay sends an operation, this much later.
    pub(super) fn later(&mut self, now: StoreTime, by: Duration) -> (StoreTime, RelayTime) {
        if self.relays.is_empty() {
            self.restart(now);
        }
        let now = now + by;
        let relay = self.rng.usize(..self.relays.len());
        let RelayModel { at, running, .. } = self.relays[relay];
        let running = running + now.saturating_since(at);
        (now, self.clocks(relay, now, running))
    }

    /// A relay starts, instead of another one or beside it. Nobody knows how long none was running.
    fn restart(&mut self, now: StoreTime) -> RelayTime {
        if self.relays.len() >= MAX_RELAYS || (!self.relays.is_empty() && self.rng.bool()) {
            self.relays.swap_remove(self.rng.usize(..self.relays.len()));
        }
        let running = Duration::from_millis(self.rng.u64(..20_000));
        self.relays.push(RelayModel { run: RelayRun(self.rng.u64(..)), at: now, running });
        self.clocks(self.relays.len() - 1, now, running)
    }

    /// A relay whose machine was asleep sends an operation: hardly any time has passed for it.
    fn sleep(&mut self, now: StoreTime) -> RelayTime {
        let relay = self.rng.usize(..self.relays.len());
        let RelayModel { at, running, .. } = self.relays[relay];
        let passed = now.saturating_since(at);
        let awake = if passed > RELAY_RUN_LAG { Duration::ZERO } else { passed };
        self.clocks(relay, now, running + awake)
    }

    /// An operation arrives that a relay sent a while ago.
    fn delay(&mut self, now: StoreTime) -> RelayTime {
        let relay = self.rng.usize(..self.relays.len());
        let RelayModel { at, running, .. } = self.relays[relay];
        let passed = now.saturating_since(at);
        let late = Duration::from_millis(self.rng.u64(..8_000)).min(RELAY_RUN_LAG).min(passed);
        let moment = self.clocks(relay, at, running);
        RelayTime { running: running + (passed - late), ..moment }
    }

    /// The clocks of a relay at a time; its wall clock shows anything.
    fn clocks(&mut self, relay: usize, at: StoreTime, running: Duration) -> RelayTime {
        let relay = &mut self.relays[relay];
        (relay.at, relay.running) = (at, running);
        let wall = UnixTime::from_millis(WALL + self.rng.u64(..2_000_000_000));
        RelayTime { wall, run: relay.run, running }
    }

    fn fresh(&mut self, kind: &str) -> String {
        self.ids_made += 1;
        format!("{kind}_{}", self.ids_made)
    }

    fn one_of(&mut self, kind: &str, count: u32) -> String {
        format!("{kind}_{}", self.rng.u32(..count))
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(..n) == 0
    }

    fn pick<T: Clone>(&mut self, from: impl Iterator<Item = T>) -> Option<T> {
        let from: Vec<T> = from.collect();
        (!from.is_empty()).then(|| from[self.rng.usize(..from.len())].clone())
    }

    fn account(&mut self) -> AccountId {
        AccountId(["alice", "bob"][self.rng.usize(..2)].to_owned())
    }

    fn key(&mut self) -> Option<String> {
        (!self.one_in(3)).then(|| format!("key_{}", self.rng.u32(..5)))
    }

    fn environment(&mut self, model: &Model) -> EnvironmentId {
        let known = self.pick(model.environments.keys().cloned());
        let gone = self.pick(model.gone.iter().cloned());
        let unknown = || id(EnvironmentId::new("env_unknown"));
        let rare = self.one_in(15);
        known.filter(|_| !rare).or(gone).unwrap_or_else(unknown)
    }

    /// An environment and, usually, its owner.
    fn owned(&mut self, model: &Model) -> (AccountId, EnvironmentId) {
        let id = self.environment(model);
        let owner = model.environments.get(&id).map(|known| known.owner.clone());
        let rare = self.one_in(15);
        (owner.filter(|_| !rare).unwrap_or_else(|| self.account()), id)
    }

    /// A session and, usually, its owner.
    fn session(&mut self, model: &Model) -> (AccountId, SessionId) {
        let known = self.pick(model.sessions.iter().map(|(id, s)| (s.owner.clone(), id.clone())));
        let rare = self.one_in(20);
        let unknown = || (AccountId("alice".to_owned()), id(SessionId::new("session_unknown")));
        let (owner, session) = known.filter(|_| !rare).unwrap_or_else(unknown);
        if self.one_in(20) { (self.account(), session) } else { (owner, session) }
    }

    /// A session that has not ended, if there is one, and usually its owner.
    fn live(&mut self, model: &Model) -> (AccountId, SessionId) {
        let live = model.sessions.iter().filter(|(_, s)| s.state != SessionState::Ended);
        let known = self.pick(live.map(|(id, s)| (s.owner.clone(), id.clone())));
        let rare = self.one_in(15);
        known.filter(|_| !rare).unwrap_or_else(|| self.session(model))
    }

    /// A leased item, with its environment and, usually, its fence.
    fn leased(&mut self, model: &Model) -> (EnvironmentId, WorkId, u64) {
        let leased = model.subjects.values().filter_map(|subject| {
            let lease = subject.current.as_ref()?;
            Some((subject.environment.clone(), lease.work.clone(), lease.fence))
        });
        let known = self.pick(leased);
        let unknown = || (id(EnvironmentId::new("env_1")), id(WorkId::new("work_unknown")), 1);
        let (environment, work, fence) = known.unwrap_or_else(unknown);
        match self.rng.u32(..20) {
            0 => (environment, work, fence.saturating_sub(1)),
            1 => (environment, work, fence + 1),
            2 => (self.environment(model), work, fence),
            3 => {
                let other = self.pick(model.works.keys().cloned());
                (environment, other.unwrap_or(work), fence)
            }
            _ => (environment, work, fence),
        }
    }

    pub(super) fn op(&mut self, model: &Model) -> StoreOp {
        match self.rng.u32(..112) {
            100..103 => self.create_code_session(),
            103.. => self.code_session(model),
            0..5 => self.register(model),
            5 if self.one_in(2) => StoreOp::DrainEnvironment { id: self.environment(model) },
            5 => StoreOp::RemoveEnvironment { id: self.environment(model) },
            6..8 => self.lookup(model),
            8..10 => {
                let (owner, id_) = self.owned(model);
                let work = id(WorkId::new(&self.fresh("work")));
                StoreOp::AskHealthcheck { owner, id: id_, work, key: self.key() }
            }
            10..24 => StoreOp::LeaseWork { environment: self.environment(model), key: self.key() },
            24..26 => {
                let (_, work, fence) = self.leased(model);
                StoreOp::ReturnWork { work, fence }
            }
            26..32 => {
                let (environment, work, fence) = self.leased(model);
                StoreOp::AckWork { environment, work, fence }
            }
            32..38 => {
                let (environment, work, fence) = self.leased(model);
                StoreOp::RenewLease { environment, work, fence }
            }
            38..40 => {
                let (environment, work, fence) = self.leased(model);
                let result = Box::new(ended(ResultStatus::Completed, "done"));
                let asked = model.requests.get(&work).cloned();
                let worktree = asked.filter(|_| !self.one_in(4)).map(|about| self.note(about));
                StoreOp::StopWork { environment, work, fence, result, worktree }
            }
            40..43 => {
                let (_, session) = self.session(model);
                let environment = model.sessions.get(&session).map(|s| s.environment.clone());
                let environment = environment.unwrap_or_else(|| self.environment(model));
                let work = id(WorkId::new(&self.fresh("work")));
                StoreOp::Redispatch { environment, session, work }
            }
            43..48 => StoreOp::Lapse,
            48..54 => {
                let (owner, environment) = self.owned(model);
                let session = id(SessionId::new(&self.fresh("session")));
                let work = id(WorkId::new(&self.fresh("work")));
                let title = self.one_in(2).then(|| "a title".to_owned());
                StoreOp::CreateSession {
                    owner,
                    environment,
                    id: session,
                    work,
                    title,
                    key: self.key(),
                    options: None,
                }
            }
            54 => {
                let (owner, id) = self.session(model);
                match self.rng.u32(..4) {
                    0 => {
                        let title = self.one_in(2).then(|| "another title".to_owned());
                        let archived = self.one_in(2).then(|| self.rng.bool());
                        StoreOp::ChangeSession { owner, id, title, archived }
                    }
                    1 => StoreOp::DeleteSession { owner, id },
                    _ => StoreOp::RequestStop { owner, id },
                }
            }
            55 => {
                let (owner, session) = self.session(model);
                StoreOp::ReadReceipts { owner, session }
            }
            56 => {
                let (owner, session) = self.session(model);
                StoreOp::ReadReceipt { owner, session, seq: self.rng.u64(..60) }
            }
            57..60 => self.read_log(model),
            60..68 => self.post(model),
            68..72 => self.answer(model),
            72..75 => self.answer_callback(model),
            75..77 => {
                let (_, session) = self.ended(model);
                let environment = model.sessions.get(&session).map(|s| s.environment.clone());
                let environment = environment.filter(|_| !self.one_in(8));
                let environment = environment.unwrap_or_else(|| self.environment(model));
                StoreOp::NoteWorktree { environment, note: self.note(session) }
            }
            77..79 => self.ask_worktree(model),
            _ => self.link(model),
        }
    }

    fn register(&mut self, model: &Model) -> StoreOp {
        let (owner, before) = self.owned(model);
        let registration = Registration {
            machine_name: "machine".to_owned(),
            directory: "/".to_owned(),
            branch: None,
            git_repo_url: None,
            max_sessions: 1,
            metadata: Metadata::default(),
            environment_id: self.one_in(2).then_some(before),
            worker_id: self.one_in(3).then(|| self.one_of("worker", 4)),
            worker_run: self.one_in(8).then(|| self.rng.u64(1..20)),
        };
        let id = id(EnvironmentId::new(&self.fresh("env")));
        StoreOp::RegisterEnvironment {
            owner,
            id,
            registration: Box::new(registration),
            device: None,
        }
    }

    fn lookup(&mut self, model: &Model) -> StoreOp {
        match self.rng.u32(..5) {
            0 => StoreOp::List { owner: self.account() },
            1 => {
                let (owner, id) = self.owned(model);
                StoreOp::GetEnvironment { owner, id }
            }
            2 => {
                let (owner, before) = self.session(model);
                let environment = self.one_in(2).then(|| self.environment(model));
                let before = self.one_in(2).then_some(before);
                StoreOp::ListSessions { owner, environment, before, limit: self.rng.usize(1..8) }
            }
            3 => {
                let (environment, session) = (self.environment(model), self.session(model).1);
                StoreOp::Find { environment: Some(environment), session: Some(session) }
            }
            _ => {
                let (owner, id) = self.session(model);
                StoreOp::GetSession { owner, id }
            }
        }
    }

    fn read_log(&mut self, model: &Model) -> StoreOp {
        let (owner, session) = self.session(model);
        let last = model.sessions.get(&session).map_or(0, |known| known.log.len() as u64);
        let after = if self.one_in(20) { u64::MAX } else { self.rng.u64(..=last + 2) };
        let (max_events, max_bytes) = (self.rng.usize(1..30), self.rng.usize(..3000));
        StoreOp::ReadLog { owner, session, after, max_events, max_bytes }
    }

    fn post(&mut self, model: &Model) -> StoreOp {
        let declares = self.one_in(4);
        let (owner, session) = if declares { self.live(model) } else { self.session(model) };
        let message = |walk: &mut Self| {
            let uuid = walk.one_in(2).then(|| format!("uuid_{}", walk.rng.u32(..40)));
            let named = uuid.as_ref().map(|uuid| format!(r#","uuid":"{uuid}""#));
            let named = named.unwrap_or_default();
            if walk.one_in(3) {
                let id = walk.request();
                let request = r#"{"subtype":"interrupt"}"#;
                let line = format!(
                    r#"{{"type":"control_request"{named},"request_id":"{id}","request":{request}}}"#
                );
                return NewMessage { uuid, request_id: Some(id), line: Text::from(line) };
            }
            let text = walk.fresh("text");
            let line = format!(r#"{{"type":"user"{named},"message":{{"content":"{text}"}}}}"#);
            NewMessage { uuid, request_id: None, line: Text::from(line) }
        };
        let others = if declares { 0..2 } else { 1..4 };
        let mut messages: Vec<_> = (0..self.rng.usize(others)).map(|_| message(self)).collect();
        if declares {
            messages.push(self.declaration());
        }
        let sender = (!self.one_in(6)).then(|| self.sender());
        StoreOp::Post { owner, session, messages, sender }
    }

    fn request(&mut self) -> String {
        format!("request_{}", self.rng.u32(..6))
    }

    fn question(&mut self) -> String {
        format!("question_{}", self.rng.u32(..6))
    }

    /// A question that was asked, open or not, with its session's owner.
    fn asked(&mut self, model: &Model, of_clients: bool) -> Option<(AccountId, SessionId, String)> {
        let asked = model.sessions.iter().flat_map(|(id, known)| {
            let ids = known.questions.ids(of_clients);
            ids.map(|question| (known.owner.clone(), id.clone(), question.clone()))
        });
        self.pick(asked)
    }

    fn answer(&mut self, model: &Model) -> StoreOp {
        let asked = self.asked(model, false).filter(|_| !self.one_in(4));
        let (owner, session, request_id) = asked.unwrap_or_else(|| {
            let (owner, session) = self.session(model);
            (owner, session, self.question())
        });
        let mut further = BTreeMap::new();
        if self.one_in(3) {
            further.insert("updatedPermissions".to_owned(), Text::from(r#"[{"rules":[]}]"#));
        }
        let input = |json: &str| Some(Text::from(json.to_owned()));
        let reply = match self.rng.u32(..5) {
            0..2 => PermissionReply::Allow { updated_input: None, further },
            2 => PermissionReply::Allow { updated_input: input(r#"{"asked":1}"#), further },
            3 => PermissionReply::Allow { updated_input: input(r#"{"other":2}"#), further },
            _ => {
                let (message, interrupt) = ("no".to_owned(), self.one_in(2));
                PermissionReply::Deny { message, interrupt, further }
            }
        };
        let known = model.sessions.get(&session);
        let asked_at = known.and_then(|known| known.questions.asked_at(&request_id));
        let seq = match self.rng.u32(..3) {
            0 => None,
            1 => asked_at,
            _ => asked_at.map(|seq| seq.saturating_sub(self.rng.u64(..2))),
        };
        StoreOp::AnswerPermission { owner, session, request_id, seq, reply }
    }
}
