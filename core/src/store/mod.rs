//! Store operations as data.
//!
//! The relay keeps nothing itself that has to outlive a connection: it asks its runtime for an
//! [`Operation`] and goes on with the [`Outcome`]. Each operation is atomic and self-contained: it
//! carries the time, every new id and the [`Terms`] that it is decided by, and what it *means* is
//! decided inside it. So a database can carry it out in one transaction, and several relays can
//! share that database.
//!
//! Leases and lapses hang on the store's own time, which a [`StoreClock`] counts from the times that
//! come with the operations: it goes on over a relay's restarts, whatever becomes of wall clocks.
//!
//! [`MemoryStore`] is the reference: any other store gives the same outcomes for the same
//! operations in the same order, and keeps the promises of [`conformance`].

mod clock;
pub mod conformance;
mod log;
mod memory;
mod operation;
mod outcome;
mod question;
mod record;
mod request;
mod title;

pub use self::clock::{RelayRun, StoreClock, StoreTime};
pub use self::memory::MemoryStore;
pub(super) use self::memory::ended;
pub use self::operation::{Call, Line, Moment, NewMessage, Operation, PermissionReply, Terms};
pub use self::outcome::{Accepted, Answer, Changes, Denied, Lease, Outcome, Page};
pub use self::record::{Entry, Environment, Healthcheck, Origin, Person, Question, Session};
