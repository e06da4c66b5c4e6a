//! When tokens are refreshed, so that none lapses (T-3, T-4).
//!
//! ```text
//!                            due                       new token
//!   schedule ──▶ Waiting ──────────▶ Refreshing ─────────────────────▶ Waiting
//!                   ▲                    │ failed: again after a pause
//!                   │                    ▼ three in a row, or refused
//!                   └── schedule, ── NeedsLogIn
//!                       refresh now
//! ```
//!
//! [`RefreshScheduler`] holds the rules, for a machine that has tokens, such as the worker with its
//! log-in; [`TokenRefresh`] is the same as
//! a machine of its own. Neither sends anything: they say when a token is to be refreshed, and are
//! told what came of it.
//!
//! # Clocks
//!
//! A moment is due as soon as either clock says so. The wall clock may be set back, and then the
//! monotonic one is right; the monotonic one may stand still while the computer sleeps, and then the
//! wall clock is. One refresh too early costs a request; one too late, a session. Because a computer
//! that sleeps wakes nobody, the wall clock is looked at every [`CLOCK_LOOK_EVERY`].
//!
//! [`CLOCK_LOOK_EVERY`]: crate::base::limits::REFRESH_CLOCK_LOOK_EVERY

mod expiry;
mod machine;
mod policy;
mod scheduler;
#[cfg(test)]
mod tests;

pub use machine::{RefreshCommand, RefreshNotice, TokenRefresh};
pub use policy::RefreshPolicy;
pub use scheduler::{Due, Generation, NewToken, RefreshOutcome, RefreshScheduler, Settled};
