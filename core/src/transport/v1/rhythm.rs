//! How long a link may be silent before it pings.
//!
//! Proxies end a connection on which nothing has come for as long as they allow. Where a link is
//! cut after a steady silence, it pings sooner than that. Where it is cut at a steady age
//! whatever it does, pings are of no use, and reconnecting has to do.

use core::time::Duration;

use crate::base::limits::{LINK_PING_AFTER, MIN_LINK_PING_AFTER};
use crate::base::time::is_near;

/// Sooner than this, a connection has broken rather than been cut for its silence.
const MIN_SILENCE: Duration = Duration::from_secs(1);

/// What is known about how long a link may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rhythm {
    ping_after: Duration,
    /// The last connection, if it ended after a silence.
    last: Option<Cut>,
    /// Pings are of no use: connections end at this age.
    age_limit: Option<Duration>,
}

/// A connection that ended after a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    age: Duration,
    silence: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self::new()
    }
}

impl Rhythm {
    pub(crate) const fn new() -> Self {
        Self { ping_after: LINK_PING_AFTER, last: None, age_limit: None }
    }

    /// How long to be silent before a ping.
    pub(super) const fn ping_after(self) -> Duration {
        self.ping_after
    }

    /// How often the other side has to be asked to say something, in seconds; `None` for as often as it
    /// does by itself.
    pub(crate) fn alive_every(self) -> Option<u64> {
        (self.ping_after < LINK_PING_AFTER).then(|| self.ping_after.as_secs().max(1))
    }

    /// A connection of this age ended after a silence.
    pub(crate) fn broke(&mut self, age: Duration, silence: Duration) {
        if silence < MIN_SILENCE {
            self.last = None;
            return;
        }
        let last = self.last.replace(Cut { age, silence });
        let Some(last) = last else { return };
        if self.age_limit.is_some_and(|limit| is_near(limit, age)) {
            return;
        }
        self.age_limit = None;
        if self.ping_after < LINK_PING_AFTER && is_near(last.age, age) {
            self.ping_after = LINK_PING_AFTER;
            self.age_limit = Some(age);
        } else if is_near(last.silence, silence) {
            let sooner = (silence / 2).max(MIN_LINK_PING_AFTER);
            self.ping_after = self.ping_after.min(sooner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn after_two_cuts_of_the_same_silence_it_pings_sooner() {
        let mut rhythm = Rhythm::new();
        rhythm.broke(secs(5), secs(5));
        assert_eq!(rhythm.ping_after(), LINK_PING_AFTER);
        rhythm.broke(secs(25), secs(5));
        assert_eq!(rhythm.ping_after(), Duration::from_millis(2500));
    }

    #[test]
    fn where_pings_do_not_help_it_leaves_them() {
        let mut rhythm = Rhythm::new();
        for _ in 0..2 {
            rhythm.broke(secs(30), secs(14));
        }
        assert_eq!(rhythm.ping_after(), secs(7));
        for _ in 0..10 {
            rhythm.broke(secs(30), secs(2));
            assert_eq!(rhythm.ping_after(), LINK_PING_AFTER);
        }
    }

    #[test]
    fn breaks_amid_traffic_or_of_different_silence_change_nothing() {
        let mut rhythm = Rhythm::new();
        let fast = Duration::from_millis(200);
        for (age, silence) in [(5, secs(5)), (9, fast), (5, secs(5)), (30, secs(12)), (5, secs(3))]
        {
            rhythm.broke(secs(age), silence);
            assert_eq!(rhythm.ping_after(), LINK_PING_AFTER);
        }
    }

    #[test]
    fn it_never_pings_more_often_than_once_a_second() {
        let mut rhythm = Rhythm::new();
        for age in [10, 20, 40] {
            rhythm.broke(secs(age), secs(1));
        }
        assert_eq!(rhythm.ping_after(), MIN_LINK_PING_AFTER);
    }
}
