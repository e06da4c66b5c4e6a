//! What leaves: batches of lines, with how far the relay's lines have come; one at a time, so that they
//! arrive in order (M-5). A worker that has nothing to say shows now and then that it is there.

use fastrand::Rng;

use super::{Channel, State};
use crate::base::id::OpId;
use crate::base::limits::WORKER_HEARTBEAT_EVERY;
use crate::base::time::Instant;
use crate::client::{RequestError, answer, code_session};
use crate::contract::action::{Action, Message, Request};
use crate::contract::event::Event;
use crate::engine::backoff::{Backoff, BackoffConfig, FailureTrack, Verdict};
use crate::engine::effects::Effects;
use crate::transport::event::LinkEvent;
use crate::wire::code_session::{BatchStored, BatchWriter, WorkerPulse, WorkerUpdate};

/// What a proxy says that takes less than this sends.
const TOO_LARGE: u16 = 413;

#[derive(Debug)]
pub(super) struct Egress {
    post: Post,
    backoff: Backoff,
    /// What the relay was told last, and when.
    told: Progress,
    told_at: Instant,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Post {
    Idle,
    /// The last one failed.
    Pausing {
        until: Instant,
    },
    UnderWay {
        op: OpId,
        what: What,
        telling: Progress,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// With this many lines.
    Batch {
        lines: usize,
    },
    Heartbeat,
}

/// How far lines for the agent have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    delivered: u64,
    with_worker: u64,
}

impl Egress {
    pub(super) const fn new(backoff: BackoffConfig) -> Self {
        Self {
            post: Post::Idle,
            backoff: Backoff::new(backoff),
            told: Progress { delivered: 0, with_worker: 0 },
            told_at: Instant::ORIGIN,
        }
    }

    /// A stream has begun, by which the relay was told so much.
    pub(super) fn begin(&mut self, now: Instant, delivered: u64) {
        self.told = Progress { delivered, with_worker: delivered };
        self.told_at = now;
    }

    pub(super) fn wake(&mut self) {
        self.backoff.reset();
    }

    /// Returns what is under way, which is no longer waited for.
    pub(super) fn drop_post(&mut self) -> Option<OpId> {
        match core::mem::replace(&mut self.post, Post::Idle) {
            Post::UnderWay { op, .. } => Some(op),
            Post::Idle | Post::Pausing { .. } => None,
        }
    }

    pub(super) fn is_post(&self, op: OpId) -> bool {
        matches!(self.post, Post::UnderWay { op: own, .. } if own == op)
    }

    pub(super) fn restarted(&mut self, old: OpId, new: OpId) {
        if let Post::UnderWay { op, .. } = &mut self.post
            && *op == old
        {
            *op = new;
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.post {
            Post::Idle => Some(self.told_at + WORKER_HEARTBEAT_EVERY),
            Post::Pausing { until } => Some(until),
            Post::UnderWay { .. } => None,
        }
    }

    pub(super) fn on_time(&mut self, now: Instant) {
        if matches!(self.post, Post::Pausing { until } if until <= now) {
            self.post = Post::Idle;
        }
    }
}

impl Channel {
    /// Sends what there is, unless something is under way.
    pub(super) fn pump<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        let State::Up(up) = &mut self.state else { return };
        if !matches!(self.egress.post, Post::Idle) {
            return;
        }
        let now = fx.now().mono;
        let (delivered, with_worker) = (self.inbox.delivered(), self.inbox.received());
        let progress = Progress { delivered, with_worker };
        let told = self.egress.told;
        let has_news = progress.delivered > told.delivered
            || (up.is_held() && progress.with_worker > told.with_worker);
        let mut lines = 0;
        let first = self.outbox.acked() + 1;
        let Progress { delivered, with_worker } = progress;
        let mut batch = BatchWriter::new(self.credentials.epoch(), first, delivered, with_worker);
        while let Some(message) = self.outbox.next_to_send() {
            match &message {
                Message::Text(line) => batch.line(line.as_str()),
                // It was text when it was pushed.
                Message::Binary(report) => {
                    batch.report(core::str::from_utf8(report).unwrap_or("null"));
                }
            }
            lines += 1;
        }
        let request = if lines > 0 || has_news {
            let jwt = self.credentials.jwt();
            jwt.map(|jwt| code_session::send_batch(&self.url, jwt, batch.finish()))
        } else if self.egress.told_at + WORKER_HEARTBEAT_EVERY <= now {
            self.pulse_request()
        } else {
            return;
        };
        let Some(request) = request else { return };
        if let State::Up(up) = &mut self.state {
            up.told();
        }
        let is_batch = lines > 0 || has_news;
        let what = if is_batch { What::Batch { lines } } else { What::Heartbeat };
        let op = fx.start(purpose, |op| Action::Request { op, request });
        self.egress.post = Post::UnderWay { op, what, telling: progress };
    }

    /// A request that says no more than that it is there.
    pub(super) fn pulse_request(&self) -> Option<Request> {
        let update = WorkerUpdate {
            worker_epoch: self.credentials.epoch(),
            delivered: Some(self.inbox.delivered()),
            with_worker: Some(self.inbox.received()),
            ..WorkerUpdate::default()
        };
        let jwt = self.credentials.jwt()?;
        Some(code_session::heartbeat(&self.url, jwt, &update, self.inbox.last_line()))
    }

    pub(super) fn read_pulse(event: Event) -> Result<WorkerPulse, RequestError> {
        answer(event)
    }

    /// What came of a batch or a heartbeat.
    pub(super) fn posted<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        rng: &mut Rng,
        purpose: P,
        event: Event,
        each: &mut dyn FnMut(LinkEvent),
    ) {
        let Post::UnderWay { what, telling, .. } = self.egress.post else { return };
        self.egress.post = Post::Idle;
        self.outbox.disconnect();
        let outcome = match what {
            What::Heartbeat => Self::read_pulse(event).map(|pulse| {
                if pulse.is_stopping() {
                    each(LinkEvent::Stop);
                }
                self.egress.backoff.reset();
            }),
            What::Batch { lines } => match answer::<BatchStored>(event) {
                Ok(stored) => match self.stored(stored, lines) {
                    Ok(()) => Ok(()),
                    Err(reason) => {
                        let reason = reason.into();
                        return each(self.fail(fx, FailureTrack::General, reason, rng));
                    }
                },
                Err(error) => Err(error),
            },
        };
        match outcome {
            Ok(()) => {
                self.credentials.accepted();
                if let State::Up(up) = &mut self.state {
                    up.answered(fx.now().mono);
                }
                self.egress.told = telling;
                self.egress.told_at = fx.now().mono;
                self.pump(fx, purpose);
            }
            Err(RequestError::Refused(refusal)) if !refusal.is_retryable() => {
                self.refused_worker(fx, rng, purpose, &refusal, each);
            }
            Err(error) => {
                if matches!(&error, RequestError::Foreign(answer) if answer.status() == TOO_LARGE) {
                    self.outbox.narrow();
                }
                let (now, pause) = (fx.now().mono, error.retry_after(fx.now().wall));
                let track = error.track().unwrap_or(FailureTrack::General);
                match self.egress.backoff.fail(now, track, pause, rng) {
                    Verdict::RetryAfter(pause) => {
                        self.egress.post = Post::Pausing { until: now + pause };
                    }
                    Verdict::GiveUp { failing_for } => {
                        self.end(fx);
                        let reason = error.in_words(fx.now().wall);
                        each(LinkEvent::GaveUp { reason, failing_for });
                    }
                }
            }
        }
    }

    fn stored(&mut self, stored: BatchStored, lines: usize) -> Result<(), &'static str> {
        let before = self.outbox.acked();
        let out_of_range = |_| "the relay acknowledged lines that were never sent";
        self.outbox.ack(stored.received).map_err(out_of_range)?;
        if lines > 0 && self.outbox.acked() == before {
            // It has fewer than it had said: it is told from where on they are still held.
            return Err("the relay has not stored lines that it was sent");
        }
        self.egress.backoff.reset();
        Ok(())
    }
}
