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
pub mod conformance;
mod log;
mod memory;
mod policy;
mod question;
mod record;
mod request;
mod title;
mod transaction;

pub use self::clock::{RelayRun, RelayTime, StoreClock, StoreTime};
pub use self::committed::{Accepted, Answer, Changes, Committed, Lease, Limit, Page, StoreError};
pub use self::memory::MemoryStore;
pub(super) use self::memory::ended;
pub use self::policy::StorePolicy;
pub use self::record::{AccountId, Entry, Environment, Healthcheck, Origin, Question, Session};
pub use self::transaction::{Line, NewMessage, PermissionReply, StoreOp, Transaction};
