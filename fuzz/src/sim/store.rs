//! The relay's store, which outlives the relay: operations become durable in the order in which they
//! were asked; of those that are not answered yet a crash keeps a beginning, or none.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use footbridge_core::contract::event::{Event, IoErrorKind};
use footbridge_core::store::{MemoryStore, Transaction};

use crate::scenario::cast::RELAY;
use crate::sim::party::Address;
use crate::sim::world::{SimEvent, World, failure};

/// The store and what it has to do.
pub(crate) struct SimStore {
    pub(crate) store: MemoryStore,
    waiting: VecDeque<(Address, Transaction)>,
    is_committing: bool,
}

impl SimStore {
    pub(crate) const fn new() -> Self {
        Self { store: MemoryStore::new(), waiting: VecDeque::new(), is_committing: false }
    }

    /// The relay died: some of what it had asked for is durable, and it will never know.
    pub(crate) fn lose_uncommitted(&mut self, rng: &mut Rng) {
        let kept = rng.usize(..=self.waiting.len());
        for (_, transaction) in self.waiting.drain(..kept) {
            self.store.apply(transaction);
        }
        self.waiting.clear();
        self.is_committing = false;
    }

    /// The disk was wiped.
    pub(crate) fn wipe(&mut self) {
        self.store = MemoryStore::new();
    }
}

impl World {
    pub(crate) fn ask_store(&mut self, from: Address, transaction: Transaction) {
        self.storeroom.waiting.push_back((from, transaction));
        if !self.storeroom.is_committing {
            self.storeroom.is_committing = true;
            let wait = self.commit_time();
            self.later(wait, SimEvent::Commit { life: from.life });
        }
    }

    fn commit_time(&mut self) -> Duration {
        let slow = self.weather.slow_store;
        let usual = Duration::from_micros(self.rng.u64(50..3_000));
        if slow > 0 && self.rng.u32(..100) < slow { usual * 300 } else { usual }
    }

    /// A group of operations becomes durable, and is answered.
    pub(crate) fn commit(&mut self, life: u32) {
        if self.parties[RELAY].life != life {
            return;
        }
        let count = self.rng.usize(1..=8).min(self.storeroom.waiting.len());
        for _ in 0..count {
            let Some((from, transaction)) = self.storeroom.waiting.pop_front() else { break };
            let fails = self.weather.failing_store > 0
                && !self.is_calm
                && self.rng.u32(..1000) < self.weather.failing_store;
            let event = if fails {
                Event::Failed { op: from.op, failure: failure(IoErrorKind::Full) }
            } else {
                let outcome = self.storeroom.store.apply(transaction);
                Event::Stored { op: from.op, committed: outcome }
            };
            self.tell(from, event);
        }
        if self.storeroom.waiting.is_empty() {
            self.storeroom.is_committing = false;
        } else {
            let wait = self.commit_time();
            self.later(wait, SimEvent::Commit { life });
        }
    }
}
