//! What a session's link and its lease's heartbeats lead to.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{EndReason, Outcome, Session};
use crate::contract::event::Event;
use crate::transport::v1::LinkEvent;
use crate::wire::log_message::LogMessage;
use crate::worker::cx::{Cx, Purpose};
use crate::worker::heartbeat::Pulse;
use crate::worker::lease::Lease;
use crate::worker::notice::WorkerNotice;

impl Session {
    pub(in crate::worker) fn link_event(&mut self, cx: &mut Cx<'_>, event: Event) -> Outcome {
        let mut events = Vec::new();
        self.link.handle(cx.fx, cx.rng, event, |event| events.push(event));
        let mut outcome = Outcome::Nothing;
        for event in events {
            outcome = outcome.or(self.on_link(cx, event));
        }
        self.balance(cx);
        outcome
    }

    /// The deadline of its link may have passed.
    pub(in crate::worker) fn link_due(&mut self, cx: &mut Cx<'_>) -> Outcome {
        let purpose = Purpose::Link(self.id.clone());
        let event = self.link.on_time(cx.fx, cx.rng, purpose);
        event.map_or(Outcome::Nothing, |event| self.on_link(cx, event))
    }

    fn on_link(&mut self, cx: &mut Cx<'_>, event: LinkEvent) -> Outcome {
        match event {
            LinkEvent::Up => {
                self.is_newly_up = true;
                let (session, work) = self.names();
                cx.notify(WorkerNotice::SessionConnected { session, work });
            }
            LinkEvent::Down { reason, retry_in } => {
                let (session, work) = self.names();
                cx.notify(WorkerNotice::SessionDisconnected { session, work, reason, retry_in });
            }
            LinkEvent::Line { number, line } => self.take_input(cx, number, &line),
            LinkEvent::Gap { lines } => {
                let message = format!("{lines} messages to the agent were lost at the relay");
                self.log(cx, &LogMessage::MessagesLost { message: message.into() });
            }
            LinkEvent::Stop => return self.stop(cx),
            LinkEvent::LeaseLost => {
                return self.lose(cx, String::from("another worker has taken it over"));
            }
            LinkEvent::Refused(error) if error.is_unauthorized() => return Outcome::Redispatch,
            LinkEvent::Refused(error) => return self.lose(cx, error.to_string()),
            LinkEvent::GaveUp { reason, failing_for } => {
                let secs = failing_for.as_secs();
                let why = format!("the relay could not be reached for {secs} s: {reason}");
                return self.end(cx, EndReason::Failed(why));
            }
        }
        Outcome::Nothing
    }

    /// Its lease's heartbeat was answered; `fence` is the one it was sent under.
    pub(in crate::worker) fn heartbeat_answered(
        &mut self,
        cx: &mut Cx<'_>,
        fence: u64,
        pulse: Pulse,
    ) -> Outcome {
        // An answer about an older lease of the session says nothing about this one.
        if self.lease.fence != fence {
            return Outcome::Nothing;
        }
        match pulse {
            // The link was refused and no new lease followed: the relay may have had a temporary
            // reason, such as a wrong clock.
            Pulse::Kept => {
                self.link.retry_refused(cx.fx, Purpose::Link(self.id.clone()));
                Outcome::Nothing
            }
            Pulse::Unknown => Outcome::Nothing,
            Pulse::Stopping if self.end.is_some() => Outcome::Nothing,
            Pulse::Stopping => self.stop(cx),
            Pulse::TokenRefused => Outcome::Redispatch,
            Pulse::Lost(reason) => self.lose(cx, reason),
        }
    }

    /// Continues under a new lease (W-4, W-8).
    pub(in crate::worker) fn renew(&mut self, cx: &mut Cx<'_>, lease: Lease, url: String) {
        let token = lease.token.clone();
        self.lease = lease;
        self.link.renew(cx.fx, Purpose::Link(self.id.clone()), url, token);
    }

    /// The computer slept.
    pub(in crate::worker) fn wake(&mut self, cx: &mut Cx<'_>) {
        self.link.wake(cx.fx, Purpose::Link(self.id.clone()));
    }
}
