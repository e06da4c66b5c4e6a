//! The context in which one operation is decided.

use alloc::vec::Vec;

use crate::base::time::UnixTime;
use crate::store::clock::StoreTime;
use crate::store::committed::{Answer, Changes, StoreError};
use crate::store::policy::StorePolicy;
use crate::store::rows::MetaRow;
use crate::store::tables::TableError;
use crate::wire::audit::AuditAction;

/// The context in which one operation is decided.
pub(super) struct Cx<'a, T> {
    pub(super) tables: &'a mut T,
    pub(super) meta: &'a mut MetaRow,
    pub(super) policy: &'a StorePolicy,
    /// The time that people are shown.
    pub(super) wall: UnixTime,
    /// The time that leases are measured in.
    pub(super) now: StoreTime,
    pub(super) changes: Changes,
    /// What has changed that nobody has to be told of, or more exactly than `changes` says: as the
    /// audit log names it.
    pub(super) done: Vec<AuditAction>,
}

/// Why an operation stops.
pub(super) enum Halt {
    /// A rule denies it.
    Denied(StoreError),
    /// A row cannot be read or written.
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
