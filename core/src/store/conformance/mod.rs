//! What every store has to keep, as a suite that any of them can be put through.
//!
//! [`check`] drives a store by a random sequence of operations and looks at its outcomes from
//! outside: a deliberately simple model remembers what was promised, and knows nothing of how it is
//! kept. [`compare`] drives a store beside [`MemoryStore`] and takes any difference for a fault. A
//! store has to pass both; one that lasts is closed and opened again between operations as well:
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
//! The promises, each in the words that a [`Violation`] uses:
//!
//! | promise | what is looked at |
//! | --- | --- |
//! | leases | an item is handed out only while it waits; a fence only grows; the same key gives the same item within its lease; only the newest lease can be acked, renewed or ended; what waits is found |
//! | log | numbers without a hole, pages that are what was logged, retention that drops neither too little nor too much |
//! | link | lines of the worker are stored once and in order; lines for the agent are read until they are acknowledged, and for one run of the agent only |
//! | answers | the first answer to a question counts; the same again is fine, another one conflicts |
//! | requests | what the agent was asked is answered by it or given up in the log: when it, or the session, has ended, and not before |
//! | once | a uuid or a key that is known stores and makes nothing |
//! | limits | no count goes beyond its term |
//! | lapse | a silent environment goes in time and not before, and its sessions are lost |
//! | owners | a thing of another person is unknown |
//! | denied | what is denied changes nothing |
//! | due | nothing lapses before the time that was told |
//!
//! All of it by the store's own time, which goes on while relays start, end, sleep, run beside each
//! other, and have any wall clock.

#[cfg(test)]
mod bytes;
mod calls;
mod leases;
mod model;
mod requests;
#[cfg(test)]
mod seam;
mod session;
mod subject;
#[cfg(test)]
mod tests;
mod walk;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use self::model::Model;
use self::walk::Walk;
use super::{Committed, MemoryStore, StoreOp, StorePolicy, Transaction};
use crate::base::id::EnvironmentId;

/// A promise that a store did not keep.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}, operation {step} ({operation}): {broken}")]
pub struct Violation {
    /// The seed of the run, which brings it about again.
    pub seed: u64,
    /// Which operation of the run it was, from 0.
    pub step: usize,
    /// The operation.
    pub operation: String,
    /// The promise, and what was seen instead.
    pub broken: String,
}

/// What a check comes to: nothing, or the promise that was broken.
type Check = Result<(), String>;

/// Whether a promise holds.
fn ensure(holds: bool, promise: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(promise()) }
}

/// Drives a store through so many random operations and checks what it promises.
pub fn check(
    seed: u64,
    operations: usize,
    mut store: impl FnMut(Transaction) -> Committed,
) -> Result<(), Violation> {
    Run::new(seed, |transaction| Ok(store(transaction))).go(operations)
}

/// Drives a store and the reference through the same random operations: each has to come to the
/// same outcome in both.
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
        Err(format!("{} where the reference has {}", shown(&outcome), shown(&expected)))
    };
    Run::new(seed, both).go(operations)
}

/// Limits that a short run meets all of.
fn policy() -> StorePolicy {
    StorePolicy {
        max_environments: 4,
        environments_per_person: 3,
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

    fn go(mut self, operations: usize) -> Result<(), Violation> {
        let mut walk = Walk::new(self.seed);
        for _ in 0..operations {
            (self.model.now, self.model.at) = walk.time(self.model.now);
            let call = walk.call(&self.model);
            self.carry_out(&call)?;
        }
        self.find_all_that_waits(&mut walk)
    }

    fn carry_out(&mut self, call: &StoreOp) -> Result<(), Violation> {
        let (at, policy) = (self.model.at, self.model.policy.clone());
        let transaction = Transaction { at, policy, op: Box::new(call.clone()) };
        let seen = (self.store)(transaction);
        let seen = seen.and_then(|outcome| self.model.observe(call, &outcome));
        let (seed, step) = (self.seed, self.step);
        self.step += 1;
        seen.map_err(|broken| Violation { seed, step, operation: format!("{call:?}"), broken })
    }

    /// Nothing is stuck: once every lease has run out, each session that has not ended can be taken.
    fn find_all_that_waits(mut self, walk: &mut Walk) -> Result<(), Violation> {
        let environments: Vec<_> = self.model.environments.keys().cloned().collect();
        let lease = |id: &EnvironmentId| StoreOp::LeaseWork { environment: id.clone(), key: None };
        for id in &environments {
            self.carry_out(&lease(id))?;
        }
        let wait = self.model.policy.ack_time.max(self.model.policy.lease_time);
        (self.model.now, self.model.at) = walk.later(self.model.now, wait + Duration::from_secs(1));
        self.carry_out(&StoreOp::Lapse)?;
        for id in environments {
            let mut handed_out = None;
            while handed_out != Some(self.model.handed_out) {
                handed_out = Some(self.model.handed_out);
                self.carry_out(&lease(&id))?;
            }
        }
        let Some(stuck) = self.model.stuck() else { return Ok(()) };
        Err(Violation {
            seed: self.seed,
            step: self.step,
            operation: "everything that waits is taken".into(),
            broken: format!("leases: {stuck} can never be taken"),
        })
    }
}
