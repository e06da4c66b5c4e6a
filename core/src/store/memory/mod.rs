//! Rows in memory, gone with the process.
//!
//! It remembers what each write of the open transaction replaced, and restores it on rollback. So
//! it obeys the same contract as a database, at the price of one more entry per write.

mod rows;
mod tables;

use alloc::vec::Vec;
use core::mem::take;

use self::rows::{Rows, Undo};
use super::committed::Committed;
use super::rule_store::{RuleStore, Store};
use super::transaction::Transaction;

/// Rows in memory.
#[derive(Debug, Default)]
pub struct MemoryTables {
    rows: Rows,
    /// What the open transaction has replaced, oldest first.
    undo: Vec<Undo>,
    is_open: bool,
}

impl MemoryTables {
    /// Empty tables.
    pub const fn new() -> Self {
        Self { rows: Rows::new(), undo: Vec::new(), is_open: false }
    }

    /// Records what a write has replaced.
    fn note(&mut self, undo: Undo) {
        debug_assert!(self.is_open, "a write outside a transaction");
        self.undo.push(undo);
    }

    fn roll_back(&mut self) {
        for undo in take(&mut self.undo).into_iter().rev() {
            self.rows.restore(undo);
        }
    }
}

/// A store that lasts as long as its process: the fastest, and the reference for all others.
pub type MemoryStore = RuleStore<MemoryTables>;

impl MemoryStore {
    /// An empty store.
    pub const fn new() -> Self {
        Self::over(MemoryTables::new())
    }

    /// Carries out one operation. Memory does not fail.
    pub fn apply(&mut self, transaction: Transaction) -> Committed {
        match self.commit(&[transaction]).pop() {
            Some(Ok(committed)) => committed,
            Some(Err(error)) => unreachable!("a store in memory failed: {error}"),
            None => unreachable!("one outcome for one operation"),
        }
    }
}
