//! The two clocks of a host, which run on virtual time and can be made to lie.

use std::time::Duration;

use footbridge_core::base::time::{Instant, Now, UnixTime};

/// Virtual time: how long the world has existed. Every event happens at one such time.
pub(crate) type Time = Duration;

/// The wall clock of an honest host at the beginning of the world: 2026-01-01T00:00:00Z.
const EPOCH_MILLIS: i64 = 1_767_225_600_000;

/// One host's clocks.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// What its monotonic clock showed when the world began.
    origin: Duration,
    /// How much time its monotonic clock has missed while standing still during suspensions.
    missed: Duration,
    /// By how much its wall clock is wrong, in milliseconds.
    skew: i64,
}

impl Clock {
    pub(crate) const fn new(origin: Duration, skew: i64) -> Self {
        Self { origin, missed: Duration::ZERO, skew }
    }

    /// What both clocks show.
    pub(crate) fn now(&self, at: Time) -> Now {
        let mono = (self.origin + at).saturating_sub(self.missed);
        let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        let wall = EPOCH_MILLIS.saturating_add(millis).saturating_add(self.skew).max(0);
        Now {
            mono: Instant::from_origin(mono),
            wall: UnixTime::from_millis(u64::try_from(wall).unwrap_or_default()),
        }
    }

    /// When the monotonic clock will show `mono`, if it never stands still from now on.
    pub(crate) fn when(&self, mono: Instant) -> Time {
        (mono.since_origin() + self.missed).saturating_sub(self.origin)
    }

    /// The monotonic clock stood still for this long.
    pub(crate) fn miss(&mut self, time: Duration) {
        self.missed += time;
    }

    /// It stood still for less time than assumed.
    pub(crate) fn miss_less(&mut self, time: Duration) {
        self.missed = self.missed.saturating_sub(time);
    }

    /// The wall clock is set.
    pub(crate) const fn step(&mut self, millis: i64) {
        self.skew = self.skew.saturating_add(millis);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_comes_later_by_what_the_monotonic_clock_has_missed() {
        let mut clock = Clock::new(Duration::from_secs(100), 0);
        let deadline = clock.now(Duration::from_secs(5)).mono;
        assert_eq!(clock.when(deadline), Duration::from_secs(5));
        clock.miss(Duration::from_secs(60));
        assert_eq!(clock.when(deadline), Duration::from_secs(65));
        assert_eq!(clock.now(Duration::from_secs(65)).mono, deadline);
    }

    #[test]
    fn the_wall_clock_advances_while_the_monotonic_one_stands_still() {
        let mut clock = Clock::new(Duration::ZERO, 0);
        let before = clock.now(Duration::from_secs(1)).wall;
        clock.miss(Duration::from_secs(3600));
        let after = clock.now(Duration::from_secs(3601)).wall;
        assert_eq!(after.saturating_since(before), Duration::from_secs(3600));
    }
}
