//! Stage 2: asking for work, as long as there is room for it (E-2, W-3).

use alloc::format;
use core::time::Duration;

use super::config::WorkerConfig;
use super::cx::{Cx, Purpose, Timer};
use super::hold::Hold;
use super::lease::Environment;
use super::notice::WorkerNotice;
use crate::base::id::OpId;
use crate::base::time::Instant;
use crate::client::{RequestError, answer, worker_api};
use crate::contract::event::Event;
use crate::contract::machine::MachineError;
use crate::engine::backoff::{Backoff, FailureTrack, Verdict};
use crate::wire::worker_api::work::WorkItem;

/// What the worker calls it in messages.
pub(super) const WHAT: &str = "ask for work";

/// A relay that does not hold polls is polled no more often than this.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// The one poll in progress, or the pause before the next one.
#[derive(Debug)]
pub(super) struct Polling {
    in_flight: Option<OpId>,
    asked_at: Instant,
    /// Identifies the claim, so that a lost answer is sent again.
    key: Option<u128>,
    hold: Hold,
    backoff: Backoff,
    has_failed: bool,
    /// The pause before the next one was asked for by whoever answered the last one.
    is_pause_asked: bool,
}

/// The result of a poll.
pub(super) enum Polled {
    Work(WorkItem),
    Nothing,
    /// It failed, and is retried after this pause.
    Retrying(Duration),
    /// The environment's secret was refused.
    SecretRefused(RequestError),
    /// The relay no longer knows the environment.
    EnvironmentGone(RequestError),
    Failed(MachineError),
}

impl Polling {
    pub(super) const fn new(config: &WorkerConfig) -> Self {
        Self {
            in_flight: None,
            asked_at: Instant::ORIGIN,
            key: None,
            hold: Hold::new(),
            backoff: Backoff::new(config.backoff),
            has_failed: false,
            is_pause_asked: false,
        }
    }

    /// Whether a poll is in progress, or its pause is not over.
    pub(super) fn is_waiting(&self, cx: &Cx<'_>) -> bool {
        self.in_flight.is_some() || cx.timers.is_set(&Timer::Poll)
    }

    pub(super) fn poll(&mut self, cx: &mut Cx<'_>, environment: &Environment) {
        let rng = &mut *cx.rng;
        let key = *self.key.get_or_insert_with(|| rng.u128(..));
        let wait = self.hold.wait(cx.fx.now().mono);
        let request = worker_api::poll(&cx.config.relay, environment.key(), key, wait);
        self.asked_at = cx.now();
        self.in_flight = Some(cx.request(Purpose::Poll, request));
    }

    /// The poll in progress has been sent under this id.
    pub(super) const fn restarted(&mut self, op: OpId) {
        self.in_flight = Some(op);
    }

    /// Drops the poll in progress and the pause before the next one.
    pub(super) fn cancel(&mut self, cx: &mut Cx<'_>) {
        cx.timers.clear(&Timer::Poll);
        self.drop_request(cx);
    }

    /// Drops the poll in progress; a pause before the next one stays.
    pub(super) fn drop_request(&mut self, cx: &mut Cx<'_>) {
        if let Some(op) = self.in_flight.take() {
            cx.fx.cancel(op);
        }
    }

    /// Whether the last ones have found no relay.
    pub(super) const fn is_failing(&self) -> bool {
        self.has_failed
    }

    /// The relay answers elsewhere: a pause that it has not asked for is over, and so is what has
    /// been failing until now.
    pub(super) fn relay_answers(&mut self, cx: &mut Cx<'_>) {
        self.backoff.reset();
        if self.has_failed && !self.is_pause_asked {
            cx.timers.clear(&Timer::Poll);
        }
    }

    /// The computer slept: the connection of a held poll is most likely dead (W-2). The key stays,
    /// so that anything the poll may have claimed is sent again.
    pub(super) fn wake(&mut self, cx: &mut Cx<'_>) {
        self.backoff.reset();
        self.hold.forget();
        self.cancel(cx);
    }

    pub(super) fn answered(&mut self, cx: &mut Cx<'_>, event: Event) -> Polled {
        self.in_flight = None;
        let age = cx.now().saturating_since(self.asked_at);
        let item = match answer::<Option<WorkItem>>(event) {
            Ok(item) => item,
            Err(error) => return self.failed(cx, error, age),
        };
        self.hold.answered(age);
        self.key = None;
        self.backoff.reset();
        if core::mem::take(&mut self.has_failed) {
            cx.notify(WorkerNotice::Recovered);
        }
        item.map_or(Polled::Nothing, Polled::Work)
    }

    /// Nothing was taken: a relay that does not hold polls is polled again a little later.
    pub(super) fn pace(&self, cx: &mut Cx<'_>) {
        let earliest = self.asked_at + MIN_INTERVAL;
        if cx.now() < earliest {
            cx.timers.set(Timer::Poll, earliest);
        }
    }

    fn failed(&mut self, cx: &mut Cx<'_>, error: RequestError, age: Duration) -> Polled {
        if let Some(refusal) = error.refusal() {
            if refusal.is_unauthorized() {
                self.key = None;
                return Polled::SecretRefused(error);
            }
            if refusal.is_environment_unknown() || refusal.status == 410 {
                self.key = None;
                return Polled::EnvironmentGone(error);
            }
        }
        let Some(mut track) = error.track() else {
            return Polled::Failed(error.fault(WHAT, &cx.config.relay));
        };
        let shorter = self.hold.failed(cx.now(), age, &error);
        if shorter.is_some() {
            // That was to be expected, and will not happen again.
            self.backoff.reset();
            track = FailureTrack::General;
        }
        self.has_failed = true;
        let pause = cx.retry_after(&error);
        self.is_pause_asked = pause.is_some();
        match self.backoff.fail(cx.now(), track, pause, cx.rng) {
            Verdict::RetryAfter(retry_in) => {
                cx.set_timer(Timer::Poll, retry_in);
                let mut reason = error.in_words(cx.fx.now().wall);
                if let Some(wait) = shorter {
                    let (age, wait) = (age.as_secs(), wait.as_secs());
                    reason += &format!(
                        "; something on the way ends requests after {age} s without an answer, so the relay is asked to answer within {wait} s"
                    );
                }
                cx.notify(WorkerNotice::Retrying { what: WHAT, reason, retry_in });
                Polled::Retrying(retry_in)
            }
            Verdict::GiveUp { failing_for } => {
                Polled::Failed(cx.gave_up(WHAT, &error, failing_for))
            }
        }
    }
}
