//! Store operations as data.
//!
//! The relay keeps nothing itself that has to outlive a connection: it asks its runtime for an
//! [`Transaction`] and goes on with the [`Committed`]. Each operation is atomic and self-contained: it
//! carries the time, every new id and the [`StorePolicy`] that it is decided by, and what it *means* is
//! decided inside it. So a database can carry it out in one transaction, and several relays can
//! share that database.
//!
//! Leases and lapses hang on the store's own time, which a [`StoreClock`] counts from the times that
//! come with the operations: it goes on over a relay's restarts, whatever becomes of wall clocks.
//!
//! [`MemoryStore`] is the reference: any other store gives the same outcomes for the same
//! operations in the same order, and keeps the promises of [`conformance`].

mod clock;
mod committed;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod memory;
mod policy;
mod record;
mod rows;
mod rule_store;
mod rules;
mod tables;
mod transaction;

pub use self::clock::{RelayRun, RelayTime, StoreClock, StoreTime};
pub use self::committed::{Accepted, Answer, Changes, Committed, Lease, Limit, Page, StoreError};
pub use self::memory::{MemoryStore, MemoryTables};
pub use self::policy::StorePolicy;
pub use self::record::{AccountId, Entry, Environment, Healthcheck, Origin, Question, Session};
pub use self::rows::{
    ClaimRow, Due, DueRow, EnvironmentRow, InboundCounts, InboundRow, LogRow, MessageRow, MetaRow,
    QuestionRow, QueueEnds, RequestRow, SessionFilter, SessionRow, Standing, WorkRow, WorkState,
};
pub use self::rule_store::{RuleStore, Store};
pub(crate) use self::rules::ended;
pub use self::tables::{TableError, Tables};
pub use self::transaction::{Line, NewMessage, PermissionReply, StoreOp, Transaction};
