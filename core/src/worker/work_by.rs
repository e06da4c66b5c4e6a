//! By what work is asked for: a stream where the relay offers one and it gets through, or else polls
//! (E-2).
//!
//! ```text
//!            it comes to nothing            a poll is answered all the same
//!   Stream ──────────────────────▶ Doubted ────────────────────────────────▶ Polls
//!     ▲                         │ nor is a poll                                │
//!     ├─────────────────────────┘                                              │
//!     └──────────────── after a minute, then two, four …; another network ─────┘
//! ```

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::config::WorkBy;
use crate::base::limits::{MAX_WORK_POLLED_FOR, STREAM_GREETING, WORK_POLLED_FOR};
use crate::base::time::Instant;

/// So often in a row a stream ends soon after its beginning before that is no accident.
const CUT_EARLY: u32 = 2;

/// What is known about the ways that work can come.
#[derive(Debug)]
pub(super) struct Ways {
    choice: WorkBy,
    /// The relay has said that it has streams.
    is_offered: bool,
    state: State,
    /// So often in a row streams came to nothing.
    times: u32,
}

#[derive(Debug)]
enum State {
    Stream {
        /// So many in a row ended before anything had shown that they get through.
        cut_early: u32,
    },
    /// One came to nothing. If a poll is answered, that is not because the relay is away.
    Doubted { reason: String },
    /// Until then.
    Polls { until: Instant },
}

/// What to ask with next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stream,
    Poll,
    /// With a poll that is answered at once.
    Question,
}

/// What a poll that was answered says about streams.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Work comes by polls for so long.
    Polls { reason: String, for_now: Duration },
    /// Nothing but a stream will do.
    StreamOnly { reason: String },
}

impl Ways {
    pub(super) const fn new(choice: WorkBy) -> Self {
        Self { choice, is_offered: false, state: State::Stream { cut_early: 0 }, times: 0 }
    }

    /// Whether the relay that it has registered with has streams.
    pub(super) const fn offered(&mut self, is_offered: bool) {
        self.is_offered = is_offered;
    }

    pub(super) fn next(&mut self, now: Instant) -> Next {
        match (self.choice, &self.state) {
            (WorkBy::Poll, _) => return Next::Poll,
            (WorkBy::Auto, _) if !self.is_offered => return Next::Poll,
            (_, State::Doubted { .. }) => return Next::Question,
            (_, State::Polls { until }) if now < *until => return Next::Poll,
            (_, State::Polls { .. }) => self.state = State::Stream { cut_early: 0 },
            (_, State::Stream { .. }) => {}
        }
        Next::Stream
    }

    /// A stream has come to nothing, maybe because the relay is away.
    pub(super) fn doubt(&mut self, reason: String) {
        self.state = State::Doubted { reason };
    }

    /// Nothing came on a stream that had opened.
    pub(super) fn doubt_held_back(&mut self) {
        self.doubt(format!(
            "the stream of work has opened, and nothing came on it for {} s: a proxy on the way holds it \
             back, and must not buffer what is of type text/event-stream",
            STREAM_GREETING.as_secs()
        ));
    }

    /// A stream broke off before anything had shown that they get through.
    pub(super) fn cut_early(&mut self) {
        if let State::Stream { cut_early } = &mut self.state {
            *cut_early += 1;
            if *cut_early >= CUT_EARLY {
                self.doubt(String::from(
                    "streams of work are refused, or break off soon after they have begun",
                ));
            }
        }
    }

    /// A stream does what it should.
    pub(super) fn proved(&mut self) {
        self.times = 0;
        self.state = State::Stream { cut_early: 0 };
    }

    /// The network may be another one.
    pub(super) fn forget(&mut self) {
        self.proved();
    }

    /// Nor was a poll answered as it should be: that says nothing about streams.
    pub(super) fn poll_failed(&mut self) {
        if matches!(self.state, State::Doubted { .. }) {
            self.state = State::Stream { cut_early: 0 };
        }
    }

    /// A poll was answered.
    pub(super) fn poll_answered(&mut self, now: Instant) -> Option<Finding> {
        let State::Doubted { reason } = &mut self.state else { return None };
        let reason = core::mem::take(reason);
        if self.choice == WorkBy::Stream {
            self.state = State::Stream { cut_early: 0 };
            return Some(Finding::StreamOnly { reason });
        }
        let factor = 1u32.checked_shl(self.times).unwrap_or(u32::MAX);
        let for_now = WORK_POLLED_FOR.saturating_mul(factor).min(MAX_WORK_POLLED_FOR);
        self.times = self.times.saturating_add(1);
        self.state = State::Polls { until: now + for_now };
        Some(Finding::Polls { reason, for_now })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(secs))
    }

    fn ways(choice: WorkBy, is_offered: bool) -> Ways {
        let mut ways = Ways::new(choice);
        ways.offered(is_offered);
        ways
    }

    #[test]
    fn a_stream_is_used_where_it_is_offered_or_wanted() {
        let next = |choice, is_offered| ways(choice, is_offered).next(at(0));
        assert_eq!(next(WorkBy::Auto, true), Next::Stream);
        assert_eq!(next(WorkBy::Auto, false), Next::Poll);
        assert_eq!(next(WorkBy::Stream, false), Next::Stream);
        assert_eq!(next(WorkBy::Poll, true), Next::Poll);
    }

    #[test]
    fn where_streams_come_to_nothing_it_polls_for_longer_each_time_and_then_tries_again() {
        let mut ways = ways(WorkBy::Auto, true);
        let mut now = at(0);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(ways.next(now), Next::Stream);
            ways.doubt(String::from("why"));
            assert_eq!(ways.next(now), Next::Question);
            let for_now = Duration::from_secs(minutes * 60);
            let reason = String::from("why");
            assert_eq!(ways.poll_answered(now), Some(Finding::Polls { reason, for_now }));
            assert_eq!(ways.poll_answered(now), None, "it is known by now");
            assert_eq!(ways.next(now + (for_now - Duration::from_secs(1))), Next::Poll);
            now = now + for_now;
        }
        assert_eq!(ways.next(now), Next::Stream);
        ways.proved();
        ways.doubt(String::from("why"));
        let Some(Finding::Polls { for_now, .. }) = ways.poll_answered(now) else { panic!("polls") };
        assert_eq!(for_now, WORK_POLLED_FOR, "one has got through since");
        ways.forget();
        assert_eq!(ways.next(now), Next::Stream, "the network may be another one");
    }

    #[test]
    fn one_that_breaks_off_early_is_an_accident_and_two_in_a_row_are_none() {
        let mut ways = ways(WorkBy::Auto, true);
        ways.cut_early();
        ways.proved();
        ways.cut_early();
        assert_eq!(ways.next(at(0)), Next::Stream);
        ways.cut_early();
        assert_eq!(ways.next(at(0)), Next::Question);
    }

    #[test]
    fn whoever_wants_streams_alone_never_gets_polls() {
        let mut ways = ways(WorkBy::Stream, true);
        ways.doubt_held_back();
        assert_eq!(ways.next(at(0)), Next::Question);
        assert!(matches!(ways.poll_answered(at(0)), Some(Finding::StreamOnly { .. })));
        assert_eq!(ways.next(at(0)), Next::Stream);
    }
}
