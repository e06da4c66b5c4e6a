//! What one operation is decided with.

use crate::base::time::UnixTime;
use crate::store::clock::StoreTime;
use crate::store::committed::{Answer, Changes, StoreError};
use crate::store::policy::StorePolicy;
use crate::store::rows::MetaRow;
use crate::store::tables::TableError;

/// What one operation is decided with.
pub(super) struct Cx<'a, T> {
    pub(super) tables: &'a mut T,
    pub(super) meta: &'a mut MetaRow,
    pub(super) policy: &'a StorePolicy,
    /// For people.
    pub(super) wall: UnixTime,
    /// For leases.
    pub(super) now: StoreTime,
    pub(super) changes: Changes,
}

/// Why an operation goes no further.
pub(super) enum Halt {
    /// The rules deny it.
    Denied(StoreError),
    /// The rows cannot be read or written.
    Failed(TableError),
}

impl From<StoreError> for Halt {
    fn from(denied: StoreError) -> Self {
        Self::Denied(denied)
    }
}

impl From<TableError> for Halt {
    fn from(error: TableError) -> Self {
        Self::Failed(error)
    }
}

pub(super) type Answered = Result<Answer, Halt>;
