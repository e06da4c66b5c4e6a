//! What the relay stores, as operations and their outcomes.
//!
//! ```text
//!   Transaction ──▶ Store::commit ──▶ rules ──▶ Tables ──▶ memory, a database …
//!   Committed  ◀──  (RuleStore)   ◀── decide ◀── rows
//! ```
//!
//! The relay itself keeps nothing that has to outlive a connection: it asks its runtime for a
//! [`Transaction`] and continues with the [`Committed`]. An operation is atomic and self-contained:
//! it carries the time, every new id and the [`StorePolicy`] that applies. So it can be recorded,
//! sent elsewhere, and carried out in one transaction of a database that several relays share.
//!
//! What an operation means is decided in one place, over rows: anything that implements [`Tables`]
//! becomes a [`Store`] through [`RuleStore`], and no two stores can disagree. [`MemoryStore`] keeps
//! its rows in memory.
//!
//! Leases are measured in the store's own time, which a [`StoreClock`] derives from the times in
//! the operations: it keeps counting across a relay's restarts, however wall clocks are set.
//!
//! The feature `conformance` adds a test suite for any store.

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
mod writes;

pub use self::clock::{RelayRun, RelayTime, StoreClock, StoreTime};
pub use self::committed::{
    Accepted, Answer, Changes, Committed, DeviceGrant, Lease, Limit, LinkedQuestion, Page,
    ReceiptPage, StoreError,
};
pub use self::memory::{MemoryStore, MemoryTables};
pub use self::policy::StorePolicy;
pub use self::record::{
    AccountId, Activity, Callbacks, Device, Entry, Environment, Healthcheck, OpenCallback, Origin,
    PushSignIn, PushSubscription, PushTargets, Question, Receipts, Session, Trust,
};
pub use self::rows::{
    ANSWER_LINK_NAME, AnswerLinkRow, ClaimRow, Declared, DeviceRow, Due, DueRow, EnvironmentRow,
    FailedRun, InboundCounts, InboundKind, InboundRow, LogRow, MessageRow, MetaRow, QuestionRow,
    QueueEnds, RequestRow, SessionFilter, SessionRow, Standing, Turn, WorkRow, WorkState,
};
pub use self::rule_store::{RuleStore, Store};
pub(crate) use self::rules::ended;
pub use self::tables::{TableError, Tables};
pub use self::transaction::{
    CallbackReply, Line, NewMessage, Noted, PermissionReply, Sender, StoreOp, Transaction,
};
