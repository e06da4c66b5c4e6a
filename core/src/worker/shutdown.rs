//! Stage 7: ending everything, deregistering, and exiting (W-9, E-7).
//!
//! ```text
//!   sessions end (TERM, grace, KILL) ──▶ results are reported ──▶ deregister ──▶ Finished
//! ```
//!
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
    /// Sessions are ending and results are being reported.
    Ending(Outcome),
    Deregistering(Outcome),
}

/// What a shutdown still waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remaining {
    Sessions,
    /// Unreported results, or files not removed yet.
    Reports,
    Nothing,
}

impl Shutdown {
    /// Starts it; `false` if it had already started. The first outcome counts.
    pub(super) fn begin(&mut self, outcome: Outcome) -> bool {
        let is_first = matches!(self, Self::NotBegun);
        if is_first {
            *self = Self::Ending(outcome);
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
        let Self::Ending(outcome) = self else { return };
        if remaining == Remaining::Sessions {
            return;
        }
        if !cx.timers.is_set(&Timer::Shutdown) {
            cx.set_timer(Timer::Shutdown, SHUTDOWN_REPORT);
        }
        if remaining == Remaining::Reports {
            return;
        }
        *self = Self::Deregistering(outcome.clone());
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
            Self::NotBegun => {}
            Self::Ending(outcome) | Self::Deregistering(outcome) => cx.fx.end(outcome.clone()),
        }
    }
}
