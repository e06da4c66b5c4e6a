//! Rows that many operations of one transaction touch, read and written once.

use std::collections::BTreeMap;

/// Rows kept between transactions. Beyond that all are forgotten: those in use come back soon.
const MAX_ROWS: usize = 256;

/// Rows of one table, as the open transaction sees them.
#[derive(Debug)]
pub(crate) struct Cached<K, R> {
    rows: BTreeMap<K, Slot<R>>,
}

#[derive(Debug)]
struct Slot<R> {
    /// `None` if it is known that there is no such row.
    row: Option<R>,
    /// Whether the table does not have it yet.
    is_new: bool,
}

impl<K, R> Default for Cached<K, R> {
    fn default() -> Self {
        Self { rows: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, R> Cached<K, R> {
    /// The row, as far as it is known here.
    pub(crate) fn get(&self, key: &K) -> Option<Option<&R>> {
        self.rows.get(key).map(|slot| slot.row.as_ref())
    }

    /// Takes note of what the table has.
    pub(crate) fn note(&mut self, key: K, row: Option<R>) {
        self.rows.insert(key, Slot { row, is_new: false });
    }

    /// Takes a row to be written.
    pub(crate) fn put(&mut self, key: K, row: R) {
        self.rows.insert(key, Slot { row: Some(row), is_new: true });
    }

    /// Hands out what has to be written, which the table has then.
    pub(crate) fn write<E>(&mut self, mut write: impl FnMut(&R) -> Result<(), E>) -> Result<(), E> {
        for slot in self.rows.values_mut().filter(|slot| slot.is_new) {
            if let Some(row) = &slot.row {
                write(row)?;
            }
            slot.is_new = false;
        }
        Ok(())
    }

    pub(crate) fn forget(&mut self) {
        self.rows.clear();
    }

    /// Forgets rows if there are too many. None may be new.
    pub(crate) fn bound(&mut self) {
        debug_assert!(self.rows.values().all(|slot| !slot.is_new), "all is written");
        if self.rows.len() > MAX_ROWS {
            self.rows.clear();
        }
    }
}
