//! The relay's store, which outlives the relay: operations become durable in the order in which
//! they were requested; of the unanswered ones, a crash keeps the first few, or none.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use footbridge_core::contract::event::{Event, IoErrorKind};
use footbridge_core::store::{MemoryStore, Store, Transaction};

use crate::ids::Address;
use crate::names::RELAY;
use crate::sim::cx::{Cx, failure};
use crate::sim::event::SimEvent;

/// The store and its pending operations.
pub(crate) struct SimStore {
    pub(crate) store: MemoryStore,
    waiting: VecDeque<(Address, Transaction)>,
    is_committing: bool,
}

impl SimStore {
    pub(crate) const fn new() -> Self {
        Self { store: MemoryStore::new(), waiting: VecDeque::new(), is_committing: false }
    }

    /// The relay died: some of what it had requested is durable, and it will never know.
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

    pub(crate) fn ask(&mut self, cx: &mut Cx, from: Address, transaction: Transaction) {
        self.waiting.push_back((from, transaction));
        if !self.is_committing {
            self.is_committing = true;
            let wait = self.commit_time(cx);
            cx.later(wait, SimEvent::Commit { life: from.life });
        }
    }

    fn commit_time(&mut self, cx: &mut Cx) -> Duration {
        let slow = cx.plan.slow_store;
        let usual = Duration::from_micros(cx.rng.u64(50..3_000));
        if slow > 0 && cx.rng.u32(..100) < slow { usual * 300 } else { usual }
    }

    /// A group of operations becomes durable, and is answered.
    pub(crate) fn commit(&mut self, cx: &mut Cx, life: u32) {
        if cx.parties[RELAY].life != life {
            return;
        }
        let count = cx.rng.usize(1..=8).min(self.waiting.len());
        let (mut asked, mut batch) = (Vec::new(), Vec::new());
        for (from, transaction) in self.waiting.drain(..count) {
            let fails = cx.plan.failing_store > 0
                && !cx.is_calm
                && cx.rng.u32(..1000) < cx.plan.failing_store;
            asked.push((from, fails));
            if !fails {
                batch.push(transaction);
            }
        }
        let mut committed = self.store.commit(&batch).into_iter();
        for (from, fails) in asked {
            let outcome = if fails { None } else { committed.next() };
            let op = from.op;
            cx.tell(
                from,
                match outcome.unwrap_or_else(|| Err(failure(IoErrorKind::Full))) {
                    Ok(committed) => Event::Stored { op, committed },
                    Err(failure) => Event::Failed { op, failure },
                },
            );
        }
        if self.waiting.is_empty() {
            self.is_committing = false;
        } else {
            let wait = self.commit_time(cx);
            cx.later(wait, SimEvent::Commit { life });
        }
    }
}
