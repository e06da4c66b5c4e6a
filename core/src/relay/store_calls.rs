//! The operations that the store is carrying out, the time they are decided by, the sweep for
//! anything that has expired, and which failures to report.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::notice::RelayNotice;
use super::pending::Pending;
use super::purpose::{Engine, Purpose, Timer};
use crate::base::io_error::IoError;
use crate::base::limits::{
    MAX_STORE_FAILURES_REPORTED, STORE_FAILURES_REPORTED_EVERY, STORE_PROOF_BYTES,
    STORE_PROVED_EVERY,
};
use crate::base::time::{Instant, Now};
use crate::contract::action::Action;
use crate::store::{RelayRun, RelayTime, StoreOp, StorePolicy, Transaction};
use crate::wire::audit::Actor;

/// What the store is doing for this relay.
#[derive(Debug)]
pub(super) struct StoreCalls {
    policy: Arc<StorePolicy>,
    run: RelayRun,
    /// The time of the first call, from which the running time counts.
    started: Option<Instant>,
    /// How much of the time since then does not count.
    slept: Duration,
    under_way: usize,
    sweep: Sweep,
    writes: Writes,
    /// The failures that were reported last.
    reported: Vec<Reported>,
}

/// A failure that was reported.
#[derive(Debug)]
struct Reported {
    detail: String,
    at: Instant,
    /// How many times it has come back since.
    unreported: u64,
}

#[derive(Debug)]
enum Sweep {
    /// Due when its timer goes off.
    Scheduled,
    /// The store is sweeping.
    UnderWay,
}

/// Whether what is written stays. A full disk still has room for something small, and what was
/// removed can still be read.
#[derive(Debug)]
enum Writes {
    Untried,
    /// It last did so then.
    Kept(Instant),
    Failing {
        why: IoError,
        /// As much has to be written before it counts as mended.
        bytes: usize,
        /// When that was tried last.
        tried: Option<Instant>,
    },
}

impl StoreCalls {
    pub(super) fn new(policy: StorePolicy, run: RelayRun) -> Self {
        let policy = Arc::new(policy);
        Self {
            policy,
            run,
            started: None,
            slept: Duration::ZERO,
            under_way: 0,
            sweep: Sweep::Scheduled,
            writes: Writes::Untried,
            reported: Vec::new(),
        }
    }

    /// A call of the relay begins; the first one starts its clock.
    pub(super) fn observe(&mut self, now: Now) {
        self.started.get_or_insert(now.mono);
    }

    /// The process was stopped for this long while its clock went on: nobody could have renewed a
    /// lease, so none runs out because of it.
    pub(super) fn slept(&mut self, time: Duration) {
        self.slept += time;
    }

    /// The time as the store needs it.
    fn time(&self, now: Now) -> RelayTime {
        let running = now.mono.saturating_since(self.started.unwrap_or(now.mono));
        let running = running.saturating_sub(self.slept);
        let millis = u64::try_from(running.as_millis()).unwrap_or(u64::MAX);
        RelayTime { wall: now.wall, run: self.run, running: Duration::from_millis(millis) }
    }

    pub(super) fn start(
        &mut self,
        engine: &mut Engine,
        pending: Pending,
        op: StoreOp,
        by: Option<Box<Actor>>,
    ) {
        let at = self.time(engine.fx.now());
        let writes = op.writes();
        let transaction = Transaction { at, policy: self.policy.clone(), op: Box::new(op), by };
        self.under_way += 1;
        if matches!(pending, Pending::Sweep) {
            self.sweep = Sweep::UnderWay;
        }
        let purpose = Purpose::Store(Box::new(pending), writes);
        engine.fx.start(purpose, |op| Action::Store { op, transaction });
    }

    /// An operation was carried out, or failed.
    pub(super) fn over(&mut self, pending: &Pending) {
        debug_assert!(self.under_way > 0, "more ended than began");
        self.under_way = self.under_way.saturating_sub(1);
        if matches!(pending, Pending::Sweep) {
            self.sweep = Sweep::Scheduled;
        }
    }

    /// What shows whether the store can write; or why it cannot, if that was just tried.
    pub(super) fn proof(&mut self, now: Instant) -> Result<StoreOp, IoError> {
        let is_recent = |at: Instant| now.saturating_since(at) < STORE_PROVED_EVERY;
        match &mut self.writes {
            Writes::Kept(at) if is_recent(*at) => {
                Ok(StoreOp::Find { environment: None, session: None })
            }
            Writes::Untried | Writes::Kept(_) => Ok(StoreOp::Prove { bytes: STORE_PROOF_BYTES }),
            Writes::Failing { why, tried: Some(at), .. } if is_recent(*at) => Err(why.clone()),
            Writes::Failing { bytes, tried, .. } => {
                *tried = Some(now);
                Ok(StoreOp::Prove { bytes: (*bytes).max(STORE_PROOF_BYTES) })
            }
        }
    }

    /// An operation that writes so much was carried out.
    pub(super) fn kept(&mut self, now: Instant, writes: Option<usize>) {
        let Some(written) = writes else { return };
        match &self.writes {
            Writes::Failing { bytes, .. } if written < *bytes => {}
            _ => self.writes = Writes::Kept(now),
        }
    }

    /// An operation that would have written so much has failed. Returns whether to report it now: a
    /// full disk refuses every request alike.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        failure: &IoError,
        writes: Option<usize>,
    ) -> Option<RelayNotice> {
        if let Some(written) = writes {
            let (most, tried) = match &self.writes {
                Writes::Failing { bytes, tried, .. } => (written.max(*bytes), *tried),
                Writes::Untried | Writes::Kept(_) => (written, None),
            };
            self.writes = Writes::Failing { why: failure.clone(), bytes: most, tried };
        }
        let detail = failure.detail.clone();
        let is_due =
            |last: &Reported| now.saturating_since(last.at) >= STORE_FAILURES_REPORTED_EVERY;
        let known = self.reported.iter().position(|last| last.detail == detail);
        let times = if let Some(at) = known {
            let last = self.reported.get_mut(at)?;
            last.unreported += 1;
            if !is_due(last) {
                return None;
            }
            self.reported.remove(at).unreported
        } else {
            self.reported.retain(|last| !is_due(last));
            if self.reported.len() >= MAX_STORE_FAILURES_REPORTED {
                return None;
            }
            1
        };
        self.reported.push(Reported { detail: detail.clone(), at: now, unreported: 0 });
        Some(RelayNotice::StoreFailed { detail, times })
    }

    pub(super) const fn under_way(&self) -> usize {
        self.under_way
    }

    /// Schedules a sweep for when the next thing may lapse, which is in `due`. One that is under
    /// way will say so itself.
    pub(super) fn schedule_sweep(&self, engine: &mut Engine, due: Option<Duration>) {
        match (&self.sweep, due) {
            (Sweep::UnderWay, _) => {}
            (Sweep::Scheduled, Some(due)) => {
                engine.set_timer(Timer::Sweep, due.max(Duration::from_millis(1)));
            }
            (Sweep::Scheduled, None) => engine.timers.clear(&Timer::Sweep),
        }
    }
}
