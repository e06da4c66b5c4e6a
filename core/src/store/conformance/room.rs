//! Who makes room where a store takes up all that it may: whoever takes up the most of it.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use core::ops::Range;
use core::time::Duration;

use super::ensure;
use crate::base::id::{EnvironmentId, IdError, SessionId, WorkId};
use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::store::{
    AccountId, Answer, Committed, NewMessage, RelayRun, RelayTime, StoreError, StoreOp,
    StorePolicy, Transaction,
};
use crate::wire::worker_api::environment::{Metadata, Registration};

/// What the store may take up, of which an empty one takes a part.
const STORE_BYTES: u64 = 3 << 20;
/// What a session's log holds, about.
const SESSION_BYTES: usize = 300 << 10;
/// How many such sessions are more than the store may take up.
const TOO_MANY: u32 = 14;

/// A store that is filled by two people.
struct Filled<S> {
    store: S,
    policy: Arc<StorePolicy>,
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn bad(error: IdError) -> String {
    format!("{error}")
}

impl<S: FnMut(Transaction) -> Committed> Filled<S> {
    fn apply(&mut self, op: StoreOp) -> Result<Answer, StoreError> {
        let (run, running) = (RelayRun(1), Duration::ZERO);
        let at = RelayTime { wall: UnixTime::from_millis(1), run, running };
        let (policy, op) = (self.policy.clone(), Box::new(op));
        (self.store)(Transaction { at, policy, op, by: None }).answer
    }

    fn done(&mut self, op: StoreOp) -> Result<(), String> {
        self.apply(op).map(drop).map_err(|denied| format!("denied: {}", denied.message()))
    }

    fn register(&mut self, person: &str) -> Result<(), String> {
        let registration = Registration {
            machine_name: "a machine".to_owned(),
            directory: "/".to_owned(),
            branch: None,
            git_repo_url: None,
            max_sessions: 1,
            metadata: Metadata::default(),
            environment_id: None,
            worker_id: None,
            worker_run: None,
        };
        let id = EnvironmentId::new(&format!("env_{person}")).map_err(bad)?;
        let (owner, registration) = (AccountId(person.to_owned()), Box::new(registration));
        self.done(StoreOp::RegisterEnvironment { owner, id, registration, device: None })
    }

    /// Makes a session, and fills its log.
    fn write(&mut self, person: &str, n: u32, bytes: usize) -> Result<(), String> {
        let (owner, id) = (AccountId(person.to_owned()), session(person, n)?);
        self.done(StoreOp::CreateSession {
            owner: owner.clone(),
            environment: EnvironmentId::new(&format!("env_{person}")).map_err(bad)?,
            id: id.clone(),
            work: WorkId::new(&format!("work_{person}{n}")).map_err(bad)?,
            title: None,
            key: None,
            options: None,
        })?;
        for _ in 0..3 {
            let line = format!(r#"{{"type":"user","pad":"{}"}}"#, "x".repeat(bytes / 3));
            let message = NewMessage { uuid: None, request_id: None, line: Text::from(line) };
            let (owner, session, messages) = (owner.clone(), id.clone(), vec![message]);
            self.done(StoreOp::Post { owner, session, messages, sender: None })?;
        }
        Ok(())
    }

    fn write_and_end(&mut self, person: &str, n: u32, bytes: usize) -> Result<(), String> {
        self.write(person, n, bytes)?;
        let (owner, id) = (AccountId(person.to_owned()), session(person, n)?);
        self.done(StoreOp::RequestStop { owner, id })
    }

    /// How many of these are kept. They have to be the last ones.
    fn kept(&mut self, person: &str, ended: Range<u32>) -> Result<u32, String> {
        let mut kept = 0;
        for n in ended {
            let (owner, id) = (AccountId(person.to_owned()), session(person, n)?);
            let is_kept = self.apply(StoreOp::GetSession { owner, id }).is_ok();
            ensure(is_kept || kept == 0, || format!("room: {person}'s {n} was not the oldest"))?;
            kept += u32::from(is_kept);
        }
        Ok(kept)
    }
}

fn session(person: &str, n: u32) -> Result<SessionId, String> {
    SessionId::new(&format!("session_{person}{n}")).map_err(bad)
}

/// Fills a store with sessions of two people until it takes up all that it may, and more. Returns
/// what is wrong, if anything is.
///
/// # Errors
///
/// Whose sessions were removed, and should not have been.
pub fn check_room(store: impl FnMut(Transaction) -> Committed) -> Result<(), String> {
    let policy = StorePolicy { store_bytes: STORE_BYTES, ..StorePolicy::default() };
    let mut filled = Filled { store, policy: policy.into() };
    for person in ["alice", "bob"] {
        filled.register(person)?;
    }
    filled.write_and_end("alice", 0, SESSION_BYTES / 3)?;
    for n in 0..TOO_MANY {
        filled.write_and_end("bob", n, SESSION_BYTES)?;
    }
    let kept = filled.kept("alice", 0..1)?;
    ensure(kept == 1, || "room: one who had little made room for another".to_owned())?;
    let kept = filled.kept("bob", 0..TOO_MANY)?;
    ensure(kept > 3 && kept < TOO_MANY, || format!("room: {kept} of bob's are kept"))?;

    // Once both have more than there is room for, each has about as much.
    for n in 1..TOO_MANY {
        filled.write_and_end("alice", n, SESSION_BYTES)?;
    }
    let (hers, his) = (filled.kept("alice", 1..TOO_MANY)?, filled.kept("bob", 0..TOO_MANY)?);
    ensure(hers.abs_diff(his) <= 1 && his > 1, || format!("room: {hers} are kept, and {his}"))?;

    // What has not ended is not removed; what it takes up counts all the same.
    for n in TOO_MANY..2 * TOO_MANY {
        filled.write("bob", n, SESSION_BYTES)?;
    }
    let (hers, his) = (filled.kept("alice", 1..TOO_MANY)?, filled.kept("bob", 0..TOO_MANY)?);
    ensure(hers > 1 && his == 0, || format!("room: beside live ones {hers} are kept, and {his}"))
}
