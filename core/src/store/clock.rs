//! A store's own time, in which leases are measured.
//!
//! A wall clock can be set, and a relay's monotonic clock starts over with each run. So a store
//! keeps its own time, driven by how long the relays that use it have been running. When a relay
//! restarts, it continues from the last moment that it knows, and it never goes back; while no
//! relay is running it stands still, so that nobody loses a lease because the relay was down.

use alloc::collections::VecDeque;
use core::fmt;
use core::ops::Add;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::limits::{MAX_RELAY_RUNS, RELAY_RUN_LAG};
use crate::base::time::UnixTime;

/// A moment of a store's own clock, in milliseconds of use since the store was created. Arithmetic
/// saturates.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct StoreTime(u64);

impl StoreTime {
    /// When the store was created.
    pub const BEGINNING: Self = Self(0);

    /// In milliseconds since the store was created.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for StoreTime {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(millis(rhs)))
    }
}

/// One run of a relay, from start to end: its running time is counted from its start. Drawn at
/// random.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RelayRun(pub u64);

impl fmt::Debug for RelayRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelayRun({:016x})", self.0)
    }
}

/// A relay's time, as a store needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(u64, RelayRun, u64)", from = "(u64, RelayRun, u64)")]
pub struct RelayTime {
    /// For people: it may step in either direction.
    pub wall: UnixTime,
    /// Which run of a relay this is.
    pub run: RelayRun,
    /// How long that run has lasted, in whole milliseconds. It never decreases.
    pub running: Duration,
}

impl From<RelayTime> for (u64, RelayRun, u64) {
    fn from(RelayTime { wall, run, running }: RelayTime) -> Self {
        (wall.as_millis(), run, u64::try_from(running.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<(u64, RelayRun, u64)> for RelayTime {
    fn from((wall, run, running): (u64, RelayRun, u64)) -> Self {
        Self { wall: UnixTime::from_millis(wall), run, running: Duration::from_millis(running) }
    }
}

/// The clock of a store. It is part of the store's contents: a durable store keeps it too.
///
/// ```
/// use core::time::Duration;
/// use footbridge_core::store::{RelayTime, RelayRun, StoreClock};
///
/// let at = |run, secs| RelayTime {
///     run: RelayRun(run),
///     running: Duration::from_secs(secs),
///     ..RelayTime::default()
/// };
/// let mut clock = StoreClock::default();
/// let first = clock.advance(&at(1, 5));
/// assert_eq!(clock.advance(&at(1, 65)).saturating_since(first), Duration::from_secs(60));
/// // A relay that has just started continues where the previous one stopped.
/// assert_eq!(clock.advance(&at(2, 0)).saturating_since(first), Duration::from_secs(60));
/// assert_eq!(clock.advance(&at(2, 1)).saturating_since(first), Duration::from_secs(61));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreClock {
    now: StoreTime,
    /// The last runs, newest last.
    runs: VecDeque<Anchor>,
}

/// What a run's running time was at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Anchor {
    run: RelayRun,
    at: StoreTime,
    /// In milliseconds.
    running: u64,
}

impl StoreClock {
    /// A new clock.
    pub const fn new() -> Self {
        Self { now: StoreTime::BEGINNING, runs: VecDeque::new() }
    }

    /// The last moment that it knows.
    pub const fn now(&self) -> StoreTime {
        self.now
    }

    /// Records a relay's time, and returns its own.
    ///
    /// A new run starts at the last known moment; from there on the clock advances with the run, or
    /// with the furthest of several. A run that has fallen behind by [`RELAY_RUN_LAG`] counts as
    /// new: its computer slept, and it may be the only one left.
    pub fn advance(&mut self, at: &RelayTime) -> StoreTime {
        let (now, running) = (self.now, millis(at.running));
        if let Some(anchor) = self.runs.iter_mut().find(|anchor| anchor.run == at.run) {
            let own = anchor.at + Duration::from_millis(running.saturating_sub(anchor.running));
            if own + RELAY_RUN_LAG < now {
                (anchor.at, anchor.running) = (now, running);
            }
            self.now = now.max(own);
        } else {
            self.runs.push_back(Anchor { run: at.run, at: now, running });
            let surplus = self.runs.len().saturating_sub(MAX_RELAY_RUNS);
            self.runs.drain(..surplus);
        }
        self.now
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(run: u64, secs: u64) -> RelayTime {
        // The wall clock has no influence.
        let wall = UnixTime::from_millis((run * 7919 + secs * 104_729) % 1_000_003);
        RelayTime { wall, run: RelayRun(run), running: Duration::from_secs(secs) }
    }

    fn secs(secs: u64) -> StoreTime {
        StoreTime::BEGINNING + Duration::from_secs(secs)
    }

    /// What a clock shows after each of some runs and their running times.
    fn shown(moments: &[(u64, u64)], expected: &[u64]) {
        let mut clock = StoreClock::new();
        let times: alloc::vec::Vec<_> =
            moments.iter().map(|(run, secs)| clock.advance(&at(*run, *secs))).collect();
        let expected: alloc::vec::Vec<_> = expected.iter().map(|s| secs(*s)).collect();
        assert_eq!(times, expected, "{moments:?}");
    }

    #[test]
    fn time_advances_while_a_relay_runs_and_continues_after_a_restart() {
        shown(&[(1, 0), (1, 5), (1, 5), (1, 70)], &[0, 5, 5, 70]);
        // The store is first used late in a run, and the next run starts from zero.
        shown(&[(1, 1000), (1, 1010), (2, 0), (2, 7)], &[0, 10, 10, 17]);
        shown(&[(1, 3), (1, 63), (2, 2), (2, 62), (3, 1), (3, 61)], &[0, 60, 60, 120, 120, 180]);
    }

    #[test]
    fn several_concurrent_runs_make_it_neither_faster_nor_go_back() {
        shown(
            &[(1, 100), (2, 0), (1, 110), (2, 10), (2, 12), (1, 112), (1, 111), (2, 15)],
            &[0, 0, 10, 10, 12, 12, 12, 15],
        );
        // One ends, the other continues.
        shown(&[(1, 0), (2, 0), (1, 50), (2, 51), (2, 60)], &[0, 0, 50, 51, 60]);
    }

    #[test]
    fn a_run_that_slept_drives_the_time_again_once_it_is_the_last_one() {
        let lag = RELAY_RUN_LAG.as_secs();
        // Run 1 slept while run 2 continued, and then run 2 ended.
        let asleep = [(1, 10), (2, 0), (2, 3600), (1, 11), (1, 71)];
        shown(&asleep, &[0, 0, 3600, 3600, 3660]);
        // What is late by less than that was only delayed.
        let late = [(1, 0), (2, 0), (2, 60), (1, 60 - lag), (1, 60)];
        shown(&late, &[0, 0, 60, 60, 60]);
    }

    #[test]
    fn a_forgotten_run_continues_from_the_last_known_moment() {
        let mut clock = StoreClock::new();
        clock.advance(&at(0, 0));
        clock.advance(&at(0, 100));
        for run in 1..=MAX_RELAY_RUNS as u64 {
            assert_eq!(clock.advance(&at(run, 5)), secs(100));
        }
        assert_eq!(clock.runs.len(), MAX_RELAY_RUNS);
        assert_eq!(clock.advance(&at(0, 900)), secs(100));
        assert_eq!(clock.advance(&at(0, 960)), secs(160));
        assert_eq!(clock.runs.len(), MAX_RELAY_RUNS);
    }

    #[test]
    fn the_clock_saturates_at_the_end_of_time() {
        let mut clock = StoreClock::new();
        clock.advance(&RelayTime::default());
        let end = RelayTime { running: Duration::MAX, ..RelayTime::default() };
        assert_eq!(clock.advance(&end), StoreTime(u64::MAX));
        assert_eq!(clock.advance(&at(1, 5)), StoreTime(u64::MAX));
    }
}
