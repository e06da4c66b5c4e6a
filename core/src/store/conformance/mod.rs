//! A conformance suite that every store has to pass.
//!
//! [`check`] runs a random sequence of operations against a store and checks the outcomes from the
//! outside: a deliberately simple model tracks what was promised and knows nothing about how it is
//! stored. [`compare`] runs a store beside [`MemoryStore`] and reports any difference. A store has
//! to pass both; a durable one should also be closed and reopened between operations:
//!
//! ```
//! use footbridge_core::store::{MemoryStore, conformance};
//!
//! let mut store = MemoryStore::new();
//! conformance::check(7, 500, |operation| store.apply(operation))?;
//!
//! let mut store = MemoryStore::new();
//! conformance::compare(7, 500, |operation| store.apply(operation))?;
//! # Ok::<(), conformance::Violation>(())
//! ```
//!
//! The promises, by the names that a [`Violation`] uses:
//!
//! | promise | what is checked |
//! | --- | --- |
//! | leases | an item is handed out only while it is queued; fences only grow; within a lease, the same key returns the same item; only the newest lease can be acked, renewed or ended; a queued item is always found; another run of a worker ends all its leases, and queues them again |
//! | log | sequence numbers have no gaps, pages hold exactly what was logged, retention drops neither too little nor too much |
//! | link | lines from the worker are stored once and in order, until the session ends; lines for the agent are delivered until acknowledged, and to one run of the agent only |
//! | epochs | a session without a worker of its own has an environment that goes with it and takes no work; each bridge is a newer link |
//! | answers | the first answer to a question counts; repeating it is fine, a different one conflicts; what the agent asks because of a client's hooks, that client answers, and the next run of the agent is told of them |
//! | requests | the agent answers a request, or the log gives it up once the agent or the session has ended, and not before |
//! | receipts | every line for the agent is settled once: it was seen by an agent that printed something since, or the log says how it ended instead |
//! | worktrees | what a person wants done with one is one item, until its worker has answered it or is gone |
//! | once | a known uuid stores nothing, and a known key creates nothing |
//! | limits | no count exceeds its limit |
//! | lapse | a silent environment is removed on time and not early, and its sessions are lost |
//! | owners | what belongs to another account is unknown |
//! | room | of a store that takes up all that it may, ended sessions go first of whoever takes up the most |
//! | denied | a denied operation changes nothing |
//! | due | nothing lapses before the announced time |
//!
//! All of this is measured in the store's own time, which keeps going while relays start, stop,
//! sleep and overlap, whatever their wall clocks show.

mod answer_links;
mod audit;
#[cfg(test)]
mod bytes;
mod callbacks;
mod calls;
mod code_sessions;
mod devices;
mod environments;
mod kept_worktree;
mod leases;
mod model;
mod questions;
mod receipts;
mod requests;
#[cfg(test)]
mod retention;
mod room;
#[cfg(test)]
mod seam;
mod session;
mod subject;
#[cfg(test)]
mod tests;
mod walk;
mod worktrees;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

pub use self::answer_links::check_answer_links;
pub use self::audit::check_audit;
pub use self::devices::check_devices;
use self::model::Model;
pub use self::room::check_room;
use self::walk::Walk;
use super::{Committed, MemoryStore, StoreOp, StorePolicy, Transaction};
use crate::base::id::EnvironmentId;

/// A promise that a store broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}, operation {step} ({operation}): {broken}")]
pub struct Violation {
    /// The seed that reproduces the run.
    pub seed: u64,
    /// The operation's position in the run, from 0.
    pub step: usize,
    /// The operation.
    pub operation: String,
    /// The promise, and what happened instead.
    pub broken: String,
}

/// The result of a check: nothing, or the promise that was broken.
type Check = Result<(), String>;

/// Fails with a message unless a promise holds.
fn ensure(holds: bool, promise: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(promise()) }
}

/// Runs a number of random operations against a store and checks its promises.
pub fn check(
    seed: u64,
    operations: usize,
    mut store: impl FnMut(Transaction) -> Committed,
) -> Result<(), Violation> {
    Run::new(seed, |transaction| Ok(store(transaction))).run(operations)
}

/// Runs the same random operations against a store and the reference: each has to have the same
/// outcome in both.
pub fn compare(
    seed: u64,
    operations: usize,
    mut store: impl FnMut(Transaction) -> Committed,
) -> Result<(), Violation> {
    let mut reference = MemoryStore::new();
    let both = |transaction: Transaction| {
        let expected = reference.apply(transaction.clone());
        let outcome = store(transaction);
        if outcome == expected {
            return Ok(outcome);
        }
        let shown =
            |outcome: &Committed| format!("{:?} with {:?}", outcome.answer, outcome.changes);
        Err(format!("got {}, but the reference has {}", shown(&outcome), shown(&expected)))
    };
    Run::new(seed, both).run(operations)
}

/// Limits low enough for a short run to reach all of them.
fn policy() -> StorePolicy {
    StorePolicy {
        max_environments: 6,
        environments_per_person: 4,
        max_sessions: 4,
        max_queued: 3,
        log_bytes: 4000,
        ended_sessions: 3,
        inbound_lines: 6,
        inbound_bytes: 600,
        listed_sessions: 5,
        ..StorePolicy::default()
    }
}

struct Run<S> {
    seed: u64,
    step: usize,
    model: Model,
    store: S,
}

impl<S: FnMut(Transaction) -> Result<Committed, String>> Run<S> {
    fn new(seed: u64, store: S) -> Self {
        Self { seed, step: 0, model: Model::new(policy()), store }
    }

    fn run(mut self, operations: usize) -> Result<(), Violation> {
        let mut walk = Walk::new(self.seed);
        for _ in 0..operations {
            (self.model.now, self.model.at) = walk.time(self.model.now);
            let op = walk.op(&self.model);
            self.run_one(&op)?;
        }
        self.drain_queues(&mut walk)
    }

    fn run_one(&mut self, op: &StoreOp) -> Result<(), Violation> {
        let (at, policy) = (self.model.at, self.model.policy.clone());
        let transaction = Transaction { at, policy, op: Box::new(op.clone()), by: None };
        let seen = (self.store)(transaction);
        let seen = seen.and_then(|outcome| self.model.observe(op, &outcome));
        let (seed, step) = (self.seed, self.step);
        self.step += 1;
        seen.map_err(|broken| Violation { seed, step, operation: format!("{op:?}"), broken })
    }

    /// Checks that nothing is stuck: once every lease has expired, each live session can be leased.
    fn drain_queues(mut self, walk: &mut Walk) -> Result<(), Violation> {
        let environments: Vec<_> = self.model.environments.keys().cloned().collect();
        let lease = |id: &EnvironmentId| StoreOp::LeaseWork { environment: id.clone(), key: None };
        for id in &environments {
            self.run_one(&lease(id))?;
        }
        let wait = self.model.policy.ack_time.max(self.model.policy.lease_time);
        (self.model.now, self.model.at) = walk.later(self.model.now, wait + Duration::from_secs(1));
        self.run_one(&StoreOp::Lapse)?;
        for id in environments {
            let mut handed_out = None;
            while handed_out != Some(self.model.handed_out) {
                handed_out = Some(self.model.handed_out);
                self.run_one(&lease(&id))?;
            }
        }
        let Some(stuck) = self.model.stuck() else { return Ok(()) };
        Err(Violation {
            seed: self.seed,
            step: self.step,
            operation: "every queued item is leased".into(),
            broken: format!("leases: {stuck} can never be leased"),
        })
    }
}
