//! What a runtime carries out store operations with.

use alloc::vec::Vec;
use core::slice;

use super::committed::Committed;
use super::rules;
use super::tables::{TableError, Tables};
use super::transaction::Transaction;
use crate::base::io_error::IoError;

/// A store, as a runtime sees it.
pub trait Store: Send {
    /// Carries out operations in order and makes them durable. It is given all that are waiting, so
    /// that they share one transaction. Returns an outcome for each, in the same order.
    ///
    /// A failure means that the operation has left nothing behind, and never will; unless the disk
    /// failed to sync it: then it may be there or not, which the next one finds out. Whoever asks
    /// again must do so in a way that does nothing twice.
    fn commit(&mut self, batch: &[Transaction]) -> Vec<Result<Committed, IoError>>;

    /// Whether [`commit`](Self::commit) never waits, for a disk or for anyone. A runtime calls such
    /// a store from its loop; any other gets a thread of its own.
    fn is_immediate(&self) -> bool {
        false
    }
}

/// A store made of [`Tables`]: the rules that all stores share, over rows kept anywhere.
#[derive(Debug, Default)]
pub struct RuleStore<T> {
    tables: T,
}

impl<T: Tables> RuleStore<T> {
    /// A store over these tables.
    pub const fn over(tables: T) -> Self {
        Self { tables }
    }

    /// The tables that hold its rows.
    pub const fn tables(&mut self) -> &mut T {
        &mut self.tables
    }

    /// Carries out a whole batch in one transaction, or none of it.
    fn try_commit(&mut self, batch: &[Transaction]) -> Result<Vec<Committed>, Failed> {
        if batch.iter().any(|transaction| transaction.op.adds()) {
            // What is left of a full disk is for answers, stops and deletions.
            self.tables.check_room().map_err(Failed::Operation)?;
        }
        self.tables.begin().map_err(Failed::Transaction)?;
        match self.decide(batch) {
            Ok(committed) => {
                self.tables.commit().map_err(|error| match error {
                    // Nothing was written, and alone each operation shows whether it is at fault.
                    TableError::Damaged { .. } => Failed::Operation(error),
                    TableError::Io(_) => Failed::Transaction(error),
                })?;
                Ok(committed)
            }
            Err(error) => {
                self.tables.rollback();
                Err(Failed::Operation(error))
            }
        }
    }

    fn decide(&mut self, batch: &[Transaction]) -> Result<Vec<Committed>, TableError> {
        let mut meta = self.tables.meta()?;
        let decide = |transaction| rules::decide(&mut self.tables, &mut meta, transaction);
        let committed = batch.iter().map(decide).collect::<Result<_, _>>()?;
        // The clock has gone on, but that alone is not worth waiting for a disk.
        if batch.iter().all(|transaction| transaction.op.is_read()) {
            self.tables.note_meta(meta)?;
        } else {
            self.tables.put_meta(meta)?;
        }
        Ok(committed)
    }
}

/// Where a batch failed.
enum Failed {
    /// In one of its operations; retrying one by one shows which.
    Operation(TableError),
    /// As a whole: a retry would fail again, or perhaps do it twice.
    Transaction(TableError),
}

impl From<Failed> for IoError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Operation(error) | Failed::Transaction(error) => error.into(),
        }
    }
}

impl<T: Tables + Send> Store for RuleStore<T> {
    fn is_immediate(&self) -> bool {
        T::IS_IMMEDIATE
    }

    fn commit(&mut self, batch: &[Transaction]) -> Vec<Result<Committed, IoError>> {
        match self.try_commit(batch) {
            Ok(committed) => committed.into_iter().map(Ok).collect(),
            // One by one, so that only those at fault fail.
            Err(Failed::Operation(_)) if batch.len() > 1 => {
                let alone = |one| self.try_commit(slice::from_ref(one));
                let mut committed = Vec::with_capacity(batch.len());
                for outcome in batch.iter().map(alone) {
                    committed.push(match outcome {
                        Ok(mut only) => only.pop().map_or_else(|| unreachable!("one for one"), Ok),
                        Err(failed) => Err(failed.into()),
                    });
                }
                committed
            }
            Err(failed) => {
                let error = IoError::from(failed);
                batch.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }
}
