//! What is kept of ended sessions, and that damage stays where it is.

use alloc::format;
use alloc::vec;
use core::time::Duration;

use super::bytes::BytesTables;
use super::*;
use crate::base::id::{SessionId, WorkId};
use crate::base::limits::DAMAGED_RETRY_AFTER;
use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::store::{
    AccountId, Answer, Committed, NewMessage, RelayRun, RelayTime, RuleStore, Store, StoreError,
    Tables,
};
use crate::wire::worker_api::environment::{Metadata, Registration};

struct World {
    store: RuleStore<BytesTables>,
    policy: StorePolicy,
    running: Duration,
}

fn owner() -> AccountId {
    AccountId("alice".into())
}

fn session(n: u32) -> SessionId {
    SessionId::new(&format!("session_{n}")).expect("an id")
}

impl World {
    fn new(policy: StorePolicy) -> Self {
        let store = RuleStore::over(BytesTables::default());
        let mut world = Self { store, policy, running: Duration::ZERO };
        world.register("env_1");
        world
    }

    fn apply(&mut self, op: StoreOp) -> Committed {
        let (run, running) = (RelayRun(1), self.running);
        let at = RelayTime { wall: UnixTime::from_millis(1), run, running };
        let op = Box::new(op);
        let transaction = Transaction { at, policy: self.policy.into(), op, by: None };
        self.store.commit(&[transaction]).pop().expect("an outcome").expect("no failure")
    }

    fn register(&mut self, id: &str) {
        let id = EnvironmentId::new(id).expect("an id");
        let registration = Registration {
            machine_name: "m".into(),
            directory: "/".into(),
            branch: None,
            git_repo_url: None,
            max_sessions: 1,
            metadata: Metadata::default(),
            environment_id: None,
            worker_id: None,
            worker_run: None,
        };
        let registration = Box::new(registration);
        let op = StoreOp::RegisterEnvironment { owner: owner(), id, registration, device: None };
        assert!(self.apply(op).answer.is_ok());
    }

    fn create(&mut self, n: u32, environment: &str) {
        let made = self.apply(StoreOp::CreateSession {
            owner: owner(),
            environment: EnvironmentId::new(environment).expect("an id"),
            id: session(n),
            work: WorkId::new(&format!("work_{n}")).expect("an id"),
            title: None,
            key: None,
            options: None,
        });
        assert!(made.answer.is_ok(), "{:?}", made.answer);
    }

    fn post(&mut self, n: u32) {
        let line = format!(r#"{{"type":"user","pad":"{}"}}"#, "x".repeat(200));
        let messages = vec![NewMessage { uuid: None, request_id: None, line: Text::from(line) }];
        let posted = self.apply(StoreOp::Post {
            owner: owner(),
            session: session(n),
            messages,
            sender: None,
        });
        assert!(posted.answer.is_ok(), "{:?}", posted.answer);
    }

    fn stop(&mut self, n: u32) {
        let stopped = self.apply(StoreOp::RequestStop { owner: owner(), id: session(n) });
        assert!(stopped.answer.is_ok());
    }

    fn is_there(&mut self, n: u32) -> bool {
        let found = self.apply(StoreOp::GetSession { owner: owner(), id: session(n) });
        found.answer != Err(StoreError::SessionUnknown)
    }

    fn lapse(&mut self, after: Duration) -> Committed {
        self.running += after;
        self.apply(StoreOp::Lapse)
    }
}

#[test]
fn an_ended_session_is_kept_for_its_time_and_no_longer() {
    let ended_for = Duration::from_secs(100);
    let mut world = World::new(StorePolicy { ended_for, ..StorePolicy::default() });
    (1..4).for_each(|n| world.create(n, "env_1"));
    world.stop(1);
    world.lapse(Duration::from_secs(60));
    world.stop(2);
    let lapsed = world.lapse(Duration::from_secs(39));
    assert_eq!(lapsed.changes.due, Some(Duration::from_secs(1)));
    assert!(world.is_there(1));
    let lapsed = world.lapse(Duration::from_secs(1));
    assert_eq!(lapsed.changes.sessions_gone, [(owner(), session(1))]);
    assert_eq!([1, 2, 3].map(|n| world.is_there(n)), [false, true, true]);
}

#[test]
fn a_full_disk_takes_what_ended_first_and_then_no_log_grows() {
    let mut world = World::new(StorePolicy::default());
    (1..5).for_each(|n| world.create(n, "env_1"));
    (1..5).for_each(|n| (0..4).for_each(|_| world.post(n)));
    (1..3).for_each(|n| world.stop(n));
    world.policy.store_bytes = world.store.tables().bytes().expect("no failure") - 1;
    world.post(3);
    assert_eq!([1, 2].map(|n| world.is_there(n)), [false, true], "one was enough");
    (0..8).for_each(|_| world.post(3));
    assert!(!world.is_there(2));
    // Nothing is left that has ended.
    (0..20).for_each(|_| world.post(4));
    let full = world.apply(StoreOp::GetSession { owner: owner(), id: session(4) }).answer;
    let Ok(Answer::Session(before)) = full else { panic!("{full:?}") };
    world.post(4);
    let full = world.apply(StoreOp::GetSession { owner: owner(), id: session(4) }).answer;
    let Ok(Answer::Session(after)) = full else { panic!("{full:?}") };
    assert_eq!(after.last_seq, before.last_seq + 1);
    assert!(after.first_seq > before.first_seq, "the oldest makes room for the newest");
}

#[test]
fn a_damaged_session_keeps_no_other_from_making_room() {
    let mut world = World::new(StorePolicy::default());
    (1..4).for_each(|n| world.create(n, "env_1"));
    (1..4).for_each(|n| (0..4).for_each(|_| world.post(n)));
    (1..3).for_each(|n| world.stop(n));
    world.store.tables().damage("session", "session_1");
    world.policy.store_bytes = world.store.tables().bytes().expect("no failure") - 1;
    world.post(3);
    assert!(!world.is_there(2));
}

#[test]
fn a_damaged_row_holds_up_only_itself() {
    let mut world = World::new(StorePolicy::default());
    world.register("env_2");
    let lapse_after = world.policy.lost_after;
    world.create(2, "env_2");
    world.store.tables().damage("environment", "env_1");
    let lapsed = world.lapse(lapse_after);
    let gone: Vec<_> = lapsed.changes.environments_gone.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(gone, ["env_2"]);
    assert_eq!(lapsed.changes.due, Some(DAMAGED_RETRY_AFTER));
}
