//! Stage 7: end everything, tell the relay, and exit (W-9, E-7).
//!
//! ```text
//!   sessions end (TERM, grace, KILL) ──▶ results are reported ──▶ deregister ──▶ Finished
//! ```
//!
//! Each step has a limit of its own, so that a relay that is away holds nothing up.

use super::cx::{Cx, Purpose, Timer};
use super::lease::Environment;
use crate::base::limits::SHUTDOWN_REPORT;
use crate::client::worker_api;
use crate::contract::machine::Outcome;

/// How far a shutdown has come.
#[derive(Debug)]
pub(super) enum Shutdown {
    NotBegun,
    /// Sessions end and results are reported.
    Ending(Outcome),
    Deregistering(Outcome),
}

/// What a shutdown still waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remaining {
    Sessions,
    /// Results that are not reported, or files that are not removed.
    Reports,
    Nothing,
}

impl Shutdown {
    /// Begins it; `false` if it has begun before. The first outcome stands.
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

    /// Deregistered, or refused, or out of time: the relay lets the environment lapse by itself.
    pub(super) fn finish(&self, cx: &mut Cx<'_>) {
        match self {
            Self::NotBegun => {}
            Self::Ending(outcome) | Self::Deregistering(outcome) => cx.fx.end(outcome.clone()),
        }
    }
}
