//! Stage 7: ending everything, deregistering, and exiting (W-9, E-7).
//!
//! ```text
//!   sessions end (TERM, grace, KILL) ──▶ results are reported ──▶ deregister ──▶ Finished
//! ```
//!
//! A worker that hands over to its next run skips the last two, and its sessions have no results.
//! Each step has its own time limit, so an unreachable relay holds nothing up.

use super::cx::{Cx, Purpose, Timer};
use super::lease::Environment;
use crate::base::limits::SHUTDOWN_REPORT;
use crate::client::worker_api;
use crate::contract::machine::Outcome;

/// How far a shutdown has come.
#[derive(Debug)]
pub(super) enum Shutdown {
    NotBegun,
    /// No session is taken any more; it begins once the last one has ended.
    Draining {
        hand_over: bool,
    },
    /// Sessions are ending and results are being reported.
    Ending(Outcome),
    /// The same, but the environment stays for the next run.
    HandingOver,
    Deregistering(Outcome),
}

/// What a shutdown still waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remaining {
    Sessions,
    /// Unreported results, files not written or removed yet, or a git command under way.
    Reports,
    Nothing,
}

impl Shutdown {
    /// Has it start once there is no session left; `false` if it had already started, or was to.
    pub(super) fn drain(&mut self, hand_over: bool) -> bool {
        let is_first = matches!(self, Self::NotBegun);
        if is_first {
            *self = Self::Draining { hand_over };
        }
        is_first
    }

    /// Whether sessions are taken.
    pub(super) const fn takes_sessions(&self) -> bool {
        matches!(self, Self::NotBegun)
    }

    /// Whether it waits for the last session, and what is to happen to the environment then.
    pub(super) const fn draining(&self) -> Option<bool> {
        match self {
            Self::Draining { hand_over } => Some(*hand_over),
            _ => None,
        }
    }

    /// Starts it; `false` if it had already started. The first outcome counts.
    pub(super) fn begin(&mut self, outcome: Outcome) -> bool {
        let is_first = matches!(self, Self::NotBegun | Self::Draining { .. });
        if is_first {
            *self = Self::Ending(outcome);
        }
        is_first
    }

    /// Starts leaving everything to the next run; `false` if a shutdown had already started.
    pub(super) fn begin_hand_over(&mut self) -> bool {
        let is_first = matches!(self, Self::NotBegun | Self::Draining { .. });
        if is_first {
            *self = Self::HandingOver;
        }
        is_first
    }

    /// Moves on to the next step once the one before is done.
    pub(super) fn advance(
        &mut self,
        cx: &mut Cx<'_>,
        remaining: Remaining,
        environment: Option<&Environment>,
    ) {
        let outcome = match self {
            Self::Ending(outcome) => Some(outcome.clone()),
            Self::HandingOver => None,
            Self::NotBegun | Self::Draining { .. } | Self::Deregistering(_) => return,
        };
        if remaining == Remaining::Sessions {
            return;
        }
        if !cx.timers.is_set(&Timer::Shutdown) {
            cx.set_timer(Timer::Shutdown, SHUTDOWN_REPORT);
        }
        if remaining == Remaining::Reports {
            return;
        }
        let Some(outcome) = outcome else { return self.finish(cx) };
        *self = Self::Deregistering(outcome);
        match environment {
            Some(environment) => {
                let request = worker_api::deregister(&cx.config.relay, environment.key());
                cx.request(Purpose::Deregister, request);
            }
            None => self.finish(cx),
        }
    }

    /// Deregistered, refused, or out of time: the relay will expire the environment on its own.
    pub(super) fn finish(&self, cx: &mut Cx<'_>) {
        match self {
            Self::NotBegun | Self::Draining { .. } => {}
            Self::HandingOver => cx.fx.end(Ok(())),
            Self::Ending(outcome) | Self::Deregistering(outcome) => cx.fx.end(outcome.clone()),
        }
    }
}
