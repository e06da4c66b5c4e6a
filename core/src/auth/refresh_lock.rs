//! One refresh of a log-in at a time among all processes that share its file (T-6).
//!
//! ```text
//!   Free ──▶ Waiting ──Locked──▶ Held: the file is read, and refreshed if nobody else has
//!    ▲          │                  │
//!    └──────────┴── it took too long, or the refresh is over ◀┘
//! ```
//!
//! Whoever comes second reads the file once the first has written it, and asks the relay for nothing.
//! A process that dies lets go of it. Where there is no lock to be had in time, the refresh is made
//! without one: it has the same key as everybody else's with the same file, so the relay answers all
//! of them alike.

use alloc::format;

use crate::base::id::OpId;
use crate::base::limits::REFRESH_LOCK_PATIENCE;
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::engine::effects::Effects;

/// The lock beside the file of a log-in.
#[derive(Debug, Default)]
pub(crate) enum RefreshLock {
    #[default]
    Free,
    Waiting(OpId),
    Held(OpId),
}

impl RefreshLock {
    /// Whether a refresh is under way here.
    pub(crate) const fn is_taken(&self) -> bool {
        !matches!(self, Self::Free)
    }

    /// Asks for it, unless that was done.
    pub(crate) fn take<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P, file: &str) {
        if self.is_taken() {
            return;
        }
        let (path, patience) = (format!("{file}.lock"), REFRESH_LOCK_PATIENCE);
        *self = Self::Waiting(fx.start(purpose, |op| Action::Lock { op, path, patience }));
    }

    /// It is held, or cannot be: what it was for goes on in either case.
    pub(crate) fn answered<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        purpose: P,
        event: &Event,
    ) {
        *self = match event {
            Event::Locked { op } => {
                fx.keep(*op, purpose);
                Self::Held(*op)
            }
            _ => Self::Free,
        };
    }

    /// The refresh is over.
    pub(crate) fn release<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) {
        if let Self::Waiting(op) | Self::Held(op) = core::mem::take(self) {
            fx.cancel(op);
        }
    }
}
