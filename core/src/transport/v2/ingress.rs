//! What arrives on the stream: its head, lines, what the relay says besides, its end.

use alloc::string::String;

use fastrand::Rng;

use super::{Channel, Doubt, State, broken};
use crate::base::id::OpId;
use crate::base::limits::{
    HELD_LINE_AFTER, LINK_WINDOW_BYTES, LINK_WINDOW_LINES, LINK_WINDOW_LINES_TO_RELAY,
    MAX_LINE_BYTES, STREAM_ALIVE_EVERY, STREAM_DEAD_AFTER, STREAM_GREETING,
};
use crate::base::time::Instant;
use crate::client::RequestError;
use crate::contract::action::Action;
use crate::contract::event::{Event, Head, IoErrorKind};
use crate::engine::backoff::FailureTrack;
use crate::engine::effects::Effects;
use crate::transport::event::LinkEvent;
use crate::transport::meeting::Place;
use crate::wire::code_session::{StreamEvent, StreamResume};
use crate::wire::link_v1::{CLOSE_LEASE_LOST, CLOSE_REPLACED};

/// A stream on which both sides have said where they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) op: OpId,
    since: Instant,
    last_heard: Instant,
    /// When a request was answered last.
    answered: Instant,
    /// Reading is paused, because the agent is too far behind.
    is_paused: bool,
    held: Held,
}

/// Whether lines that have arrived wait for the agent for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Not,
    /// They do from then on.
    At(Instant),
    /// The relay has to be told.
    Due,
}

impl Stream {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let silent_at = (!self.is_paused).then(|| self.last_heard + STREAM_DEAD_AFTER);
        let held_at = match self.held {
            Held::At(at) => Some(at),
            Held::Not | Held::Due => None,
        };
        silent_at.into_iter().chain(held_at).min()
    }

    pub(super) fn is_silent(&self, now: Instant) -> bool {
        !self.is_paused && self.last_heard + STREAM_DEAD_AFTER <= now
    }

    /// Whether something has come on it a while after it began: nothing holds it back.
    pub(super) fn is_proved(&self) -> bool {
        self.last_heard >= self.since + STREAM_ALIVE_EVERY / 2
    }

    /// A request was answered meanwhile.
    pub(super) const fn answered(&mut self, now: Instant) {
        self.answered = now;
    }

    /// Whether it has been silent from its beginning, while the relay was there.
    pub(super) fn is_held_back(&self) -> bool {
        !self.is_proved() && self.answered >= self.last_heard + STREAM_ALIVE_EVERY
    }

    pub(super) fn on_time(&mut self, now: Instant) {
        if matches!(self.held, Held::At(at) if at <= now) {
            self.held = Held::Due;
        }
    }

    pub(super) const fn is_held(&self) -> bool {
        matches!(self.held, Held::Due)
    }

    /// The relay is being told how far lines have come.
    pub(super) const fn told(&mut self) {
        self.held = Held::Not;
    }
}

/// Whether an operation ended because nothing came in time.
fn is_timeout(event: &Event) -> bool {
    matches!(event, Event::Failed { failure, .. } if failure.kind == IoErrorKind::TimedOut)
}

impl Channel {
    pub(super) fn on_stream<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        rng: &mut Rng,
        purpose: P,
        op: OpId,
        event: Event,
        each: &mut dyn FnMut(LinkEvent),
    ) {
        match event {
            Event::Head { head, .. } => self.on_head(fx, purpose, op, &head),
            Event::Received { message, .. } => {
                let mut bytes = message.into_bytes();
                if let State::Up(up) = &mut self.state {
                    up.last_heard = fx.now().mono;
                    if up.is_proved() {
                        self.unobstructed();
                    }
                }
                while self.state.op() == Some(op) {
                    let Some(next) = self.events.next(&mut bytes) else { return };
                    let taken =
                        next.and_then(|next| self.take_event(fx, purpose.clone(), op, next, each));
                    if let Err(reason) = taken {
                        let reason = String::from(reason);
                        each(self.fail(fx, FailureTrack::General, reason, rng));
                    }
                }
            }
            // It was held back, and whatever is at the relay's address has not proved to be the relay.
            Event::Response { response, .. } => match RequestError::of(&response) {
                RequestError::Refused(refusal) if !refusal.is_retryable() => {
                    self.refused_worker(fx, rng, purpose, &refusal, each);
                }
                error => self.refused(fx, rng, &error, each),
            },
            Event::Failed { .. } | Event::Closed { .. } => {
                if self.await_refresh(fx) {
                    return;
                }
                if matches!(self.state, State::Opening(_)) && is_timeout(&event) {
                    return self.ask_why(fx, purpose, Doubt::Unanswered);
                }
                each(self.fail(fx, FailureTrack::Connection, broken(&event), rng));
            }
            _ => {}
        }
    }

    fn on_head<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P, op: OpId, head: &Head) {
        let kind = head.header("content-type").unwrap_or_default();
        if head.status == 200 && kind.starts_with("text/event-stream") {
            self.events = super::Events::new();
            self.state = State::Greeting { op, until: fx.now().mono + STREAM_GREETING };
            return;
        }
        fx.cancel(op);
        self.ask_why(fx, purpose, Doubt::Refused(head.status));
    }

    /// The stream came to nothing, and the relay may know why.
    fn ask_why<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P, doubt: Doubt) {
        let asked = self
            .pulse_request()
            .map(|request| fx.start(purpose, |op| Action::Request { op, request }));
        self.state = asked.map_or(State::Idle, |op| State::Asking { op, doubt });
    }

    fn take_event<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        purpose: P,
        op: OpId,
        event: StreamEvent,
        each: &mut dyn FnMut(LinkEvent),
    ) -> Result<(), &'static str> {
        match (event, &mut self.state) {
            (StreamEvent::Unknown, _) => {}
            (StreamEvent::Resume(resume), State::Greeting { .. }) => {
                self.resume(fx, op, resume, each);
                self.pump(fx, purpose);
            }
            (StreamEvent::Resume(_), _) => return Err("the relay sent a second resume"),
            (StreamEvent::Close(close), _) => match close.code {
                CLOSE_REPLACED => self.superseded(fx, each),
                1000 if self.await_refresh(fx) => {}
                CLOSE_LEASE_LOST => {
                    self.end(fx);
                    each(LinkEvent::LeaseLost);
                }
                1001 => return Err("the relay is stopping"),
                _ => return Err("the relay closed the stream"),
            },
            (StreamEvent::Stop, _) => each(LinkEvent::Stop),
            (StreamEvent::Declared(line), _) => each(LinkEvent::Declared(line)),
            (StreamEvent::Line { number, line }, State::Up(up)) => {
                if number > self.inbox.received().saturating_add(1) {
                    return Err("the relay left out a line");
                }
                if self.inbox.arrived(number, &line) {
                    if up.held == Held::Not {
                        up.held = Held::At(fx.now().mono + HELD_LINE_AFTER);
                    }
                    each(LinkEvent::Line { number, line });
                }
            }
            (StreamEvent::Line { .. }, _) => return Err("the relay sent a line before its resume"),
        }
        Ok(())
    }

    fn resume<P: Clone, N>(
        &mut self,
        fx: &Effects<P, N>,
        op: OpId,
        StreamResume { received, from }: StreamResume,
        each: &mut dyn FnMut(LinkEvent),
    ) {
        let place = Place { received, from, window: Some(LINK_WINDOW_LINES_TO_RELAY) };
        let both = (&mut self.outbox, &mut self.inbox);
        if !self.meeting.meet(both, place, self.is_resumed_once, each) {
            return;
        }
        let now = fx.now().mono;
        self.state = State::Up(Stream {
            op,
            since: now,
            last_heard: now,
            answered: now,
            is_paused: false,
            held: Held::Not,
        });
        self.egress.begin(now, self.inbox.delivered());
        self.is_resumed_once = true;
        self.credentials.accepted();
        self.backoff.reset();
        if !core::mem::replace(&mut self.is_told_up, true) {
            each(LinkEvent::Up);
        }
    }

    pub(crate) fn confirm_delivered<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        purpose: P,
        pending: usize,
        pending_bytes: usize,
    ) {
        self.inbox.confirm(pending);
        let State::Up(up) = &mut self.state else { return };
        if pending == 0 {
            up.held = Held::Not;
        }
        // A relay keeps to its window. One that does not is not read until the agent has caught up.
        let is_too_far_ahead =
            pending > 2 * LINK_WINDOW_LINES || pending_bytes > LINK_WINDOW_BYTES + MAX_LINE_BYTES;
        if is_too_far_ahead != up.is_paused {
            up.is_paused = is_too_far_ahead;
            up.last_heard = fx.now().mono;
            fx.act(up.op, |op| match is_too_far_ahead {
                true => Action::Pause { op },
                false => Action::Resume { op },
            });
        }
        self.pump(fx, purpose);
    }
}
