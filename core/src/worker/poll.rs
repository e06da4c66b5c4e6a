//! Stage 2: ask for work, as long as there is room for it (E-2, W-3).

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use super::api::{self, RequestError};
use super::{Purpose, Stage, Timer, Worker, WorkerNotice};
use crate::base::id::OpId;
use crate::base::time::Instant;
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::engine::backoff::{Backoff, FailureTrack, Verdict};
use crate::wire::work::{WorkData, WorkItem};

/// A relay that does not hold polls is not asked more often than this.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// How the asking stands.
#[derive(Debug)]
pub(super) struct Polling {
    in_flight: Option<OpId>,
    asked_at: Instant,
    /// Names the claim, so that an answer that was lost comes again.
    key: Option<String>,
    backoff: Backoff,
    has_failed: bool,
    /// The environment's secret was refused, and nothing has spoken for it since.
    is_secret_in_doubt: bool,
    /// Paces the search for a new one.
    secrets: Backoff,
}

impl Polling {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            secrets: backoff.clone(),
            in_flight: None,
            asked_at: Instant::ORIGIN,
            key: None,
            backoff,
            has_failed: false,
            is_secret_in_doubt: false,
        }
    }
}

impl Polling {
    pub(super) fn reset_secrets(&mut self) {
        self.secrets.reset();
    }
}

impl Worker {
    /// Asks for work if it should and does not already: after registering, after each answer, and
    /// in the same step in which a session ends at capacity. At capacity too, while a running
    /// session waits for another lease, which comes by no other way (W-8).
    pub(super) fn poll_if_there_is_room(&mut self) {
        let is_waiting = self.polling.in_flight.is_some() || self.timers.is_set(&Timer::Poll);
        let awaits_lease = self.sessions.values().any(|session| session.awaits_lease);
        let has_reason = self.has_room() || awaits_lease;
        if self.stage == Stage::Serving && !is_waiting && has_reason {
            self.poll();
        }
    }

    /// Whether another session may be taken.
    pub(super) fn has_room(&self) -> bool {
        let taken = self.claims.len() + self.sessions.values().filter(|s| s.takes_room()).count();
        taken < usize::try_from(self.config.capacity()).unwrap_or(usize::MAX)
    }

    pub(super) fn poll(&mut self) {
        let Some(environment) = &self.registering.environment else { return };
        let rng = &mut self.rng;
        let key = self.polling.key.get_or_insert_with(|| format!("{:032x}", rng.u128(..)));
        let request = api::poll(&self.config.relay, environment, key);
        self.polling.asked_at = self.fx.now().mono;
        let op = self.fx.start(Purpose::Poll, |op| Action::Request { op, request });
        self.polling.in_flight = Some(op);
    }

    pub(super) fn cancel_poll(&mut self) {
        self.timers.clear(&Timer::Poll);
        self.drop_poll();
    }

    /// Lets go of a poll that is under way; a pause before the next one stays.
    pub(super) fn drop_poll(&mut self) {
        if let Some(op) = self.polling.in_flight.take() {
            self.fx.cancel(op);
        }
    }

    /// The machine slept: the connection of a held poll is most likely dead (W-2). The key stays,
    /// so that what it may have claimed comes again.
    pub(super) fn poll_afresh(&mut self) {
        self.polling.backoff.reset();
        self.cancel_poll();
        self.poll_if_there_is_room();
    }

    pub(super) fn poll_answered(&mut self, event: Event) {
        self.polling.in_flight = None;
        let item = match api::answer::<Option<WorkItem>>(event) {
            Ok(item) => item,
            Err(trouble) => return self.poll_failed(&trouble),
        };
        self.polling.key = None;
        self.polling.backoff.reset();
        self.secret_answered(None);
        if core::mem::take(&mut self.polling.has_failed) {
            self.fx.notify(WorkerNotice::Recovered);
        }
        match item {
            Some(item) if self.may_take(&item) => {
                if let WorkData::Session(id) = &item.data
                    && let Some(session) = self.sessions.get_mut(id)
                {
                    session.awaits_lease = false;
                }
                self.take_work(item);
            }
            // What there is no room for is not acked, so that the relay hands it out again.
            Some(_) | None => {
                let earliest = self.polling.asked_at + MIN_INTERVAL;
                if self.fx.now().mono < earliest {
                    self.timers.set(Timer::Poll, earliest);
                }
            }
        }
        self.poll_if_there_is_room();
    }

    /// Anything but a refusal speaks for the secret: the relay that refused it may be gone, so that it
    /// is not refused twice in a row any more.
    pub(super) fn secret_answered(&mut self, trouble: Option<&RequestError>) {
        let refusal = trouble.and_then(RequestError::refusal);
        if refusal.is_none_or(|refusal| refusal.status != 401) {
            self.polling.is_secret_in_doubt = false;
            self.polling.secrets.reset();
        }
    }

    /// Registers anew, because the environment's secret was refused: a relay that came up with other
    /// keys refuses all that it gave before. At once the first time; refused again and again, with
    /// pauses, and not for ever (W-2).
    pub(super) fn look_for_new_secret(&mut self, what: &'static str, trouble: &RequestError) {
        let reason = trouble.to_string();
        if !core::mem::replace(&mut self.polling.is_secret_in_doubt, true) {
            let retry_in = Duration::ZERO;
            self.fx.notify(WorkerNotice::Retrying { what, reason, retry_in });
            return self.register_again();
        }
        let now = self.fx.now().mono;
        let pause = trouble.retry_after(self.fx.now().wall);
        match self.polling.secrets.fail(now, FailureTrack::General, pause, &mut self.rng) {
            Verdict::RetryAfter(retry_in) => {
                self.drop_poll();
                self.stage = Stage::Registering;
                self.timers.set(Timer::Register, now + retry_in);
                self.fx.notify(WorkerNotice::Retrying { what, reason, retry_in });
            }
            Verdict::GiveUp { .. } => {
                self.shut_down_because(trouble.fault(what, &self.config.relay));
            }
        }
    }

    fn may_take(&self, item: &WorkItem) -> bool {
        match &item.data {
            WorkData::Session(id) => self.sessions.contains_key(id) || self.has_room(),
            WorkData::Healthcheck(_) => true,
        }
    }

    fn poll_failed(&mut self, trouble: &RequestError) {
        const WHAT: &str = "ask for work";
        if let Some(refusal) = trouble.refusal() {
            if refusal.status == 401 {
                self.polling.key = None;
                return self.look_for_new_secret(WHAT, trouble);
            }
            if refusal.is_environment_unknown() || refusal.status == 410 {
                self.secret_answered(Some(trouble));
                self.polling.key = None;
                self.fx.notify(WorkerNotice::Retrying {
                    what: "ask for work; registering anew",
                    reason: trouble.to_string(),
                    retry_in: Duration::ZERO,
                });
                return self.register_again();
            }
        }
        let Some(track) = trouble.track() else {
            return self.shut_down_because(trouble.fault(WHAT, &self.config.relay));
        };
        self.polling.has_failed = true;
        self.secret_answered(Some(trouble));
        let now = self.fx.now().mono;
        let pause = trouble.retry_after(self.fx.now().wall);
        match self.polling.backoff.fail(now, track, pause, &mut self.rng) {
            Verdict::RetryAfter(retry_in) => {
                self.timers.set(Timer::Poll, now + retry_in);
                let reason = trouble.to_string();
                self.fx.notify(WorkerNotice::Retrying { what: WHAT, reason, retry_in });
            }
            Verdict::GiveUp { failing_for } => self.give_up(WHAT, trouble, failing_for),
        }
    }
}
