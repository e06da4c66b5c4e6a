//! What arrives on a link: the end of the handshake, lines, control frames, the close.

use alloc::string::{String, ToString};

use fastrand::Rng;

use super::{CLOSE_PROTOCOL, Connection, Link, State, send};
use crate::base::id::OpId;
use crate::base::limits::{HELD_LINE_AFTER, NO_UPGRADE_GIVE_UP};
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::client::RequestError;
use crate::contract::action::{Action, Message, Response};
use crate::contract::event::Event;
use crate::engine::backoff::FailureTrack;
use crate::engine::effects::Effects;
use crate::transport::event::LinkEvent;
use crate::transport::meeting::Place;
use crate::transport::outbox::SetBack;
use crate::wire::link_v1::{self, ControlFrame};

impl Link {
    /// Handles an event of its own operation. What it means is passed to `each`, in order.
    pub(crate) fn handle<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        rng: &mut Rng,
        event: Event,
        mut each: impl FnMut(LinkEvent),
    ) {
        let now = fx.now().mono;
        match event {
            Event::Opened { op } => {
                let acked = self.inbox.delivered();
                self.state = State::Greeting { op, last_heard: now, acked };
                let from = self.outbox.dropped();
                send(fx, op, &ControlFrame::Resume { received: acked, from, window: None });
            }
            Event::Received { op, message } => {
                self.note_heard(fx);
                let outcome = match message {
                    Message::Text(text) => self.take_lines(fx, text, &mut each),
                    Message::Binary(frame) => self.take_frame(fx, op, &frame, &mut each),
                };
                if let Err(reason) = outcome {
                    fx.act(op, |op| Action::Close { op, code: CLOSE_PROTOCOL });
                    fx.forget(op);
                    each(self.fail(now, FailureTrack::General, reason.into(), rng));
                }
            }
            Event::Refused { op, response } => {
                fx.finish(op);
                each(self.refused(fx, &response, rng));
            }
            Event::Failed { op, failure } => {
                fx.finish(op);
                each(self.fail(now, FailureTrack::Connection, failure.to_string(), rng));
            }
            Event::Closed { op, code, failure } => {
                fx.finish(op);
                if code == Some(link_v1::CLOSE_LEASE_LOST) {
                    self.state = State::Over;
                    return each(LinkEvent::LeaseLost);
                }
                if code == Some(link_v1::CLOSE_SET_BACK) && self.inbox.set_back() {
                    self.meeting.tell_set_back(SetBack::default(), &mut each);
                    return each(self.fail(now, FailureTrack::General, WAS_SET_BACK.into(), rng));
                }
                if failure.is_some() || code.is_none() {
                    self.cut(now);
                }
                let reason = failure.map_or_else(
                    || alloc::format!("closed with code {}", code.unwrap_or(1005)),
                    |failure| failure.to_string(),
                );
                each(self.fail(now, FailureTrack::Connection, reason, rng));
            }
            // `Sent` says less than the relay's acknowledgement will.
            _ => {}
        }
    }

    const fn note_heard<P: Clone, N>(&mut self, fx: &Effects<P, N>) {
        match &mut self.state {
            State::Greeting { last_heard, .. } => *last_heard = fx.now().mono,
            State::Up(up) => {
                up.last_heard = fx.now().mono;
                up.answer_due = None;
            }
            State::Idle | State::Pausing { .. } | State::Opening(_) | State::Over => {}
        }
    }

    /// The handshake was answered with an ordinary HTTP response, by the relay or in its place.
    fn refused<P: Clone, N>(
        &mut self,
        fx: &Effects<P, N>,
        response: &Response,
        rng: &mut Rng,
    ) -> LinkEvent {
        let now = fx.now();
        let error = RequestError::of(response);
        let reason = match response.status {
            101 => NO_SUBPROTOCOL.to_string(),
            426 => NO_UPGRADE.to_string(),
            _ => error.in_words(now.wall),
        };
        match &error {
            RequestError::Refused(refusal) if refusal.status == 426 => {
                self.not_upgraded(now.mono, reason, rng)
            }
            RequestError::Refused(refusal) if !refusal.is_retryable() => {
                // A new credential may still be found for it; nothing else helps.
                self.state = if refusal.is_unauthorized() { State::Idle } else { State::Over };
                self.outbox.disconnect();
                LinkEvent::Refused(refusal.clone())
            }
            _ => {
                let pause = error.retry_after(now.wall);
                self.retry(now.mono, FailureTrack::General, pause, reason, rng)
            }
        }
    }

    /// The relay got the handshake as an ordinary request: something on the way lets no WebSocket
    /// through. As long as none ever has come through, that is how the network is built, and it
    /// is better said soon.
    fn not_upgraded(&mut self, now: Instant, reason: String, rng: &mut Rng) -> LinkEvent {
        let since = *self.not_upgraded_since.get_or_insert(now);
        let failing_for = now.saturating_since(since);
        if self.is_resumed_once || failing_for < NO_UPGRADE_GIVE_UP {
            return self.fail(now, FailureTrack::General, reason, rng);
        }
        self.outbox.disconnect();
        self.state = State::Over;
        LinkEvent::GaveUp { reason, failing_for }
    }

    fn take_lines<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        text: Text,
        each: &mut impl FnMut(LinkEvent),
    ) -> Result<(), &'static str> {
        let State::Up(up) = &mut self.state else { return Err(NO_RESUME) };
        for line in text.lines() {
            // Only a relay that claims to have skipped almost 2^64 lines gets here.
            let next = up.received_on_connection.checked_add(1);
            let next = next.ok_or("the relay's line count overflowed")?;
            up.received_on_connection = next;
            if self.inbox.arrived(next, &line) {
                each(LinkEvent::Line { number: next, line });
            }
        }
        up.held_due.get_or_insert(fx.now().mono + HELD_LINE_AFTER);
        self.acknowledge(fx);
        Ok(())
    }

    fn take_frame<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        op: OpId,
        frame: &[u8],
        each: &mut impl FnMut(LinkEvent),
    ) -> Result<(), &'static str> {
        let out_of_range = |_| "the relay acknowledged lines that were never sent";
        let frame = ControlFrame::parse(frame).map_err(|_| "the relay sent a malformed frame")?;
        match (frame, self.state) {
            (ControlFrame::Ping, _) => send(fx, op, &ControlFrame::Pong),
            (ControlFrame::Pong | ControlFrame::Unknown, _) => {}
            (
                ControlFrame::Resume { received, from, window },
                State::Greeting { last_heard, acked, .. },
            ) => {
                let place = Place { received, from, window };
                let both = (&mut self.outbox, &mut self.inbox);
                if !self.meeting.meet(both, place, self.is_resumed_once, each) {
                    return Ok(());
                }
                let start = acked.max(from);
                self.state = State::Up(Connection {
                    op,
                    since: last_heard,
                    last_heard,
                    answer_due: None,
                    is_paused: false,
                    received_on_connection: start,
                    acked: start,
                    held_due: None,
                });
                self.is_resumed_once = true;
                self.not_upgraded_since = None;
                self.backoff.reset();
                each(LinkEvent::Up);
                self.pump(fx);
            }
            (_, State::Greeting { .. }) => return Err(NO_RESUME),
            (ControlFrame::Ack { received }, _) => {
                self.outbox.ack(received).map_err(out_of_range)?;
                self.pump(fx);
            }
            (ControlFrame::Stop, _) => each(LinkEvent::Stop),
            (ControlFrame::Declared { message }, _) => {
                // What is not on one line would be two for an agent.
                let line = message.get().replace(['\n', '\r'], " ");
                each(LinkEvent::Declared(Text::from(line)));
            }
            (ControlFrame::Resume { .. }, _) => return Err("the relay sent a second resume"),
            (ControlFrame::Report { .. } | ControlFrame::Held { .. }, _) => {
                return Err("the relay sent a worker's frame");
            }
        }
        Ok(())
    }
}

/// Why a connection ends after which both sides go on from where the relay is.
pub(crate) const WAS_SET_BACK: &str = "the relay was set back to an earlier state";

/// Also how a check puts it.
pub(crate) const NO_UPGRADE: &str = "no WebSocket gets through to the relay: a proxy on the way must \
     use HTTP/1.1 and pass on the headers Upgrade and Connection";

const NO_SUBPROTOCOL: &str = "the WebSocket opens without its subprotocol footbridge.link.v1: a proxy \
     on the way removes Sec-WebSocket-Protocol, or the relay is of another version";

const NO_RESUME: &str = "the relay sent data before its resume";
