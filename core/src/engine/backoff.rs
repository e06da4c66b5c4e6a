//! How long to wait before trying again: two tracks that never mix (W-2).

use core::time::Duration;

use fastrand::Rng;

use crate::base::time::Instant;

/// One track: the first pause, the longest, and when to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track {
    /// The first pause; each later one is twice as long as the one before.
    pub initial: Duration,
    /// The longest pause.
    pub cap: Duration,
    /// Give up after failing continuously for this long; `None` retries at the cap forever.
    pub give_up: Option<Duration>,
}

/// Both tracks of W-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffConfig {
    /// The relay could not be reached.
    pub connection: Track,
    /// It was reached, and the request failed.
    pub general: Track,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        let give_up = Some(Duration::from_secs(600));
        Self {
            connection: Track {
                initial: Duration::from_secs(2),
                cap: Duration::from_secs(120),
                give_up,
            },
            general: Track {
                initial: Duration::from_millis(500),
                cap: Duration::from_secs(30),
                give_up,
            },
        }
    }
}

/// Which track a failure belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureTrack {
    /// The relay could not be reached.
    Connection,
    /// It was reached, and the request failed.
    General,
}

/// What a failure leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after this pause.
    RetryAfter(Duration),
    /// It has failed for as long as is allowed.
    GiveUp {
        /// How long it has failed without a break.
        failing_for: Duration,
    },
}

#[derive(Clone, Copy, Debug)]
struct Run {
    track: FailureTrack,
    since: Instant,
    failures: u32,
}

/// The state of both tracks for one activity. A success ends a run of failures; so does a failure
/// of the other kind, which starts its own run.
#[derive(Clone, Debug)]
pub struct Backoff {
    config: BackoffConfig,
    run: Option<Run>,
}

impl Backoff {
    /// What it follows.
    pub const fn config(&self) -> &BackoffConfig {
        &self.config
    }

    /// A fresh state: nothing has failed yet.
    pub const fn new(config: BackoffConfig) -> Self {
        Self { config, run: None }
    }

    /// Forgets all failures: after a success, or after the machine slept (W-2).
    pub fn reset(&mut self) {
        self.run = None;
    }

    /// It came to something, though not to a success: giving up is counted from here, and pauses go on
    /// as they were.
    pub const fn achieved(&mut self, now: Instant) {
        if let Some(run) = &mut self.run {
            run.since = now;
        }
    }

    /// Records a failure. The pause is drawn between half and all of the track's current pause, so
    /// that many workers do not come back at the same instant; a longer `retry_after` from the
    /// relay is honoured, with some upward jitter as well.
    pub fn fail(
        &mut self,
        now: Instant,
        track: FailureTrack,
        retry_after: Option<Duration>,
        rng: &mut Rng,
    ) -> Verdict {
        let config = match track {
            FailureTrack::Connection => self.config.connection,
            FailureTrack::General => self.config.general,
        };
        let run = match self.run {
            Some(run) if run.track == track => Run { failures: run.failures + 1, ..run },
            _ => Run { track, since: now, failures: 0 },
        };
        self.run = Some(run);
        let failing_for = now.saturating_since(run.since);
        if config.give_up.is_some_and(|limit| failing_for >= limit) {
            return Verdict::GiveUp { failing_for };
        }
        let factor = 1u32.checked_shl(run.failures).unwrap_or(u32::MAX);
        let full = config.initial.saturating_mul(factor).min(config.cap);
        let mut pause = jittered(full, rng);
        if let Some(asked) = retry_after {
            pause = pause.max(asked + jittered(asked.min(config.cap), rng) / 8);
        }
        Verdict::RetryAfter(pause)
    }
}

/// A random duration between half of `full` and `full`.
fn jittered(full: Duration, rng: &mut Rng) -> Duration {
    let half = full / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
    half + Duration::from_micros(rng.u64(0..=spread))
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureTrack::{Connection, General};

    fn at(secs: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(secs))
    }

    fn pause(verdict: Verdict) -> Duration {
        match verdict {
            Verdict::RetryAfter(pause) => pause,
            Verdict::GiveUp { .. } => panic!("gave up"),
        }
    }

    #[test]
    fn pauses_double_up_to_the_cap_with_jitter_below() {
        let mut rng = Rng::with_seed(7);
        for (track, initial_ms, cap_ms) in [(Connection, 2_000, 120_000), (General, 500, 30_000)] {
            let mut backoff = Backoff::new(BackoffConfig::default());
            for n in 0..40 {
                let full = (initial_ms << n.min(20)).min(cap_ms);
                let pause = pause(backoff.fail(at(0), track, None, &mut rng));
                assert!(pause >= Duration::from_millis(full / 2), "{n}: {pause:?}");
                assert!(pause <= Duration::from_millis(full), "{n}: {pause:?}");
            }
        }
    }

    #[test]
    fn a_failure_of_the_other_kind_starts_its_own_track() {
        let mut rng = Rng::with_seed(7);
        let mut backoff = Backoff::new(BackoffConfig::default());
        for n in 0..10 {
            backoff.fail(at(n), General, None, &mut rng);
        }
        let first = pause(backoff.fail(at(599), Connection, None, &mut rng));
        assert!(first <= Duration::from_secs(2));
        // Nor does time spent failing on the other track count towards giving up.
        assert_eq!(
            backoff.fail(at(599 + 600), Connection, None, &mut rng),
            Verdict::GiveUp { failing_for: Duration::from_secs(600) }
        );
    }

    #[test]
    fn it_gives_up_only_after_continuous_failure() {
        let mut rng = Rng::with_seed(7);
        let mut backoff = Backoff::new(BackoffConfig::default());
        pause(backoff.fail(at(0), General, None, &mut rng));
        pause(backoff.fail(at(599), General, None, &mut rng));
        backoff.reset();
        pause(backoff.fail(at(601), General, None, &mut rng));
        assert!(matches!(backoff.fail(at(1201), General, None, &mut rng), Verdict::GiveUp { .. }));
    }

    #[test]
    fn what_comes_to_something_puts_off_giving_up_and_keeps_the_pause() {
        let mut rng = Rng::with_seed(7);
        let mut backoff = Backoff::new(BackoffConfig::default());
        for n in 0..20 {
            let pause = pause(backoff.fail(at(n * 300), General, None, &mut rng));
            assert!(n < 10 || pause >= Duration::from_secs(15), "{n}: {pause:?}");
            backoff.achieved(at(n * 300 + 1));
        }
        let end = at(19 * 300 + 1 + 600);
        assert!(matches!(backoff.fail(end, General, None, &mut rng), Verdict::GiveUp { .. }));
    }

    #[test]
    fn a_longer_retry_after_is_honoured() {
        let mut rng = Rng::with_seed(7);
        let mut backoff = Backoff::new(BackoffConfig::default());
        let asked = Duration::from_secs(17);
        let pause = pause(backoff.fail(at(0), General, Some(asked), &mut rng));
        assert!(pause >= asked && pause < asked * 2);
    }

    #[test]
    fn without_a_give_up_time_it_keeps_retrying_at_the_cap() {
        let mut rng = Rng::with_seed(7);
        let mut config = BackoffConfig::default();
        config.connection.give_up = None;
        let mut backoff = Backoff::new(config);
        for n in 0..1000 {
            let pause = pause(backoff.fail(at(n * 120), Connection, None, &mut rng));
            assert!(pause <= Duration::from_secs(120));
        }
    }
}
