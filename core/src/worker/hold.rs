//! How long the relay is asked to hold a poll (E-2).
//!
//! Proxies end a request that brings nothing for as long as they allow. Where polls are cut at a
//! steady age, the relay is asked to answer sooner than that, so that no poll is lost.
//!
//! ```text
//!          a cut           another of the same age, or a proxy's 504
//!   full ────────▶ doubt ─────────────────────────────────────────────▶ short
//!    ▲ a longer one └──▶ full        10 min, or another network          │ ▲ │ cut again: shorter
//!    └───────────────────────────────────────────────────────────────────┘ └─┘
//! ```

use core::time::Duration;

use crate::base::limits::{MIN_POLL_WAIT, POLL_SHORT_FOR, POLL_WAIT};
use crate::base::time::{Instant, is_near};
use crate::client::RequestError;
use crate::contract::event::IoErrorKind;

/// Sooner than this, a poll has failed rather than been cut.
const MIN_AGE: Duration = Duration::from_secs(1);

/// What is known about how long a poll may last.
#[derive(Debug)]
pub(super) struct Hold {
    /// The age at which the last one was cut, unless a later one lasted longer.
    cut_at: Option<Duration>,
    /// A shorter wait, and until when it is asked for.
    short: Option<(Duration, Instant)>,
}

impl Hold {
    /// Nothing is known yet.
    pub(super) const fn new() -> Self {
        Self { cut_at: None, short: None }
    }

    /// How long the relay is asked to hold the next poll.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.short.filter(|(_, until)| now < *until).map_or(POLL_WAIT, |(wait, _)| wait)
    }

    /// A poll of this age brought an answer of the relay.
    pub(super) fn answered(&mut self, age: Duration) {
        if self.cut_at.is_some_and(|cut_at| age > cut_at) {
            self.cut_at = None;
        }
    }

    /// A poll of this age failed. Returns the wait from now on if that is shorter than the one
    /// that was asked for, because something on the way ends polls of that age.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        age: Duration,
        error: &RequestError,
    ) -> Option<Duration> {
        let asked = self.wait(now);
        if age < MIN_AGE || !may_be_cut(error) {
            return None;
        }
        // What it took beyond the wait says that no answer comes at all.
        let age = age.min(asked);
        let before = self.cut_at.replace(age);
        let is_told = matches!(error, RequestError::Foreign(answer) if answer.status() == 504);
        let is_steady = before.is_some_and(|before| is_near(before, age)) || asked < POLL_WAIT;
        if !is_told && !is_steady {
            return None;
        }
        let wait = Duration::from_secs((age * 3 / 4).as_secs()).max(MIN_POLL_WAIT);
        if wait >= asked {
            return None;
        }
        self.short = Some((wait, now + POLL_SHORT_FOR));
        Some(wait)
    }

    /// The network may be another one.
    pub(super) fn forget(&mut self) {
        *self = Self::new();
    }
}

/// Whether a failure may come from something that waits for no longer: a page in the relay's
/// place, or the end of the connection.
const fn may_be_cut(error: &RequestError) -> bool {
    match error {
        RequestError::Foreign(_) => true,
        RequestError::Broken(failure) => {
            matches!(failure.kind, IoErrorKind::Disconnected | IoErrorKind::TimedOut)
        }
        RequestError::Refused(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::action::Response;
    use crate::contract::event::IoError;
    use alloc::string::String;
    use alloc::vec;
    use bytes::Bytes;

    fn at(secs: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(secs))
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn page(status: u16) -> RequestError {
        let body = Bytes::from_static(b"<html>");
        RequestError::of(&Response { status, headers: vec![], body })
    }

    fn broken(kind: IoErrorKind) -> RequestError {
        RequestError::Broken(IoError { kind, detail: String::new() })
    }

    #[test]
    fn a_gateway_timeout_says_at_once_how_long_a_poll_may_last() {
        let mut hold = Hold::new();
        assert_eq!(hold.failed(at(5), secs(5), &page(504)), Some(secs(3)));
        assert_eq!(hold.wait(at(6)), secs(3));
    }

    #[test]
    fn a_second_cut_of_the_same_age_shortens_the_wait_and_a_first_one_does_not() {
        for error in [broken(IoErrorKind::Disconnected), page(502), page(200)] {
            let mut hold = Hold::new();
            assert_eq!(hold.failed(at(30), secs(30), &error), None);
            assert_eq!(hold.failed(at(62), secs(31), &error), Some(secs(23)));
            // One that is cut all the same is shortened further.
            assert_eq!(hold.failed(at(82), secs(20), &error), Some(secs(15)));
        }
    }

    #[test]
    fn failures_of_different_ages_and_of_the_relay_itself_shorten_nothing() {
        let mut hold = Hold::new();
        let cut = broken(IoErrorKind::Disconnected);
        assert_eq!(hold.failed(at(30), secs(30), &cut), None);
        assert_eq!(hold.failed(at(40), secs(8), &cut), None);
        hold.answered(secs(20));
        assert_eq!(hold.failed(at(80), secs(8), &cut), None, "one has lasted longer since");
        for error in [broken(IoErrorKind::Refused), broken(IoErrorKind::Dns)] {
            assert_eq!(hold.failed(at(90), secs(8), &error), None);
        }
        assert_eq!(hold.failed(at(100), Duration::from_millis(20), &page(504)), None);
    }

    #[test]
    fn where_no_answer_comes_the_wait_shrinks_until_one_does() {
        let (mut hold, silence) = (Hold::new(), broken(IoErrorKind::TimedOut));
        assert_eq!(hold.failed(at(60), secs(60), &silence), None);
        assert_eq!(hold.failed(at(120), secs(60), &silence), Some(secs(37)));
        assert_eq!(hold.failed(at(170), secs(47), &silence), Some(secs(27)));
    }

    #[test]
    fn the_wait_is_never_shorter_than_the_least_and_then_a_cut_is_a_failure() {
        let mut hold = Hold::new();
        assert_eq!(hold.failed(at(1), secs(1), &page(504)), Some(MIN_POLL_WAIT));
        assert_eq!(hold.failed(at(2), secs(1), &page(504)), None);
    }

    #[test]
    fn after_a_while_a_long_wait_is_tried_again_and_one_cut_is_then_enough() {
        let mut hold = Hold::new();
        let cut = broken(IoErrorKind::Disconnected);
        hold.failed(at(5), secs(5), &cut);
        assert_eq!(hold.failed(at(10), secs(5), &cut), Some(secs(3)));
        hold.answered(secs(3));
        let later = at(10) + POLL_SHORT_FOR;
        assert_eq!(hold.wait(later), POLL_WAIT);
        assert_eq!(hold.failed(later, secs(5), &cut), Some(secs(3)));
        hold.forget();
        assert_eq!(hold.wait(later), POLL_WAIT);
    }
}
