//! What a session's link and its lease's heartbeats lead to.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};

use super::{EndReason, Outcome, Renewal, Session};
use crate::base::few::Few;
use crate::base::id::OpId;
use crate::base::limits::SUPERSEDED_LEASE_GRACE;
use crate::contract::event::Event;
use crate::transport::Version;
use crate::transport::event::LinkEvent;
use crate::transport::outbox::SetBack;
use crate::wire::log_message::LogMessage;
use crate::worker::cx::{Cx, Purpose};
use crate::worker::heartbeat::Pulse;
use crate::worker::lease::Lease;
use crate::worker::notice::WorkerNotice;

/// Why an agent starts over.
const SET_BACK_TOO_FAR: &str = "the relay was set back to an earlier state, so far that nobody can say what \
     this session's agent has been told: it starts over";

/// Why a session cannot go on whose token was in other hands.
const OVERTAKEN: &str =
    "something else has spoken in this session's name, with its token: it starts over";

impl Session {
    pub(in crate::worker) fn link_event(&mut self, cx: &mut Cx<'_>, event: Event) -> Outcome {
        let mut events = Few::new();
        let purpose = Purpose::Link(self.id.clone());
        self.link.handle(cx.fx, cx.rng, purpose, event, |event| events.push(event));
        let mut outcome = Outcome::Nothing;
        for event in events {
            outcome = outcome.or(self.on_link(cx, event));
        }
        self.conversation.reports_stored(self.link.acked());
        self.confirm(cx);
        self.balance(cx);
        outcome
    }

    /// What its link had asked for as `old` is being started as `new`.
    pub(in crate::worker) fn link_restarted(&mut self, old: OpId, new: OpId) {
        self.link.restarted(old, new);
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
            LinkEvent::FellBack { reason } => self.fell_back = Some(reason),
            LinkEvent::Declared(line) => self.declare(cx, line),
            LinkEvent::Stop => return self.stop(cx),
            LinkEvent::LeaseLost => {
                return self.superseded(cx, String::from("another worker has taken it over"));
            }
            LinkEvent::SetBack(lacks) => self.set_back(cx, lacks),
            LinkEvent::SetBackTooFar => {
                let message = Cow::Borrowed(SET_BACK_TOO_FAR);
                self.log(cx, &LogMessage::RelaySetBack { message });
                return self.lose(cx, String::from(SET_BACK_TOO_FAR));
            }
            LinkEvent::Overtaken => return self.lose(cx, String::from(OVERTAKEN)),
            LinkEvent::Refused(error) if error.is_unauthorized() => return Outcome::Redispatch,
            LinkEvent::Refused(error) if error.is_conflict() => {
                return self.superseded(cx, error.to_string());
            }
            LinkEvent::Refused(error) => return self.lose(cx, error.to_string()),
            LinkEvent::GaveUp { reason, failing_for } => {
                let secs = failing_for.as_secs();
                let why = format!("the relay could not be reached for {secs} s: {reason}");
                return self.end(cx, EndReason::Failed(why));
            }
        }
        Outcome::Nothing
    }

    /// The relay was set back: what it lacks is sent again, as far as it is still held here. What the
    /// agent was told since, it keeps; its question that nobody sees any more may come again with that.
    fn set_back(&mut self, cx: &mut Cx<'_>, SetBack { again, lost }: SetBack) {
        let (session, work) = self.names();
        cx.notify(WorkerNotice::RelaySetBack { session, work, again, lost });
        let message = format!(
            "The relay was set back to an earlier state, and the agent goes on. Of its lines that the \
             relay no longer had, {again} were sent again, and {lost} are lost. What it was told since \
             then is missing above."
        );
        self.log(cx, &LogMessage::RelaySetBack { message: Cow::Owned(message) });
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
            Pulse::Superseded(reason) => self.superseded(cx, reason),
            Pulse::Lost(reason) => self.lose(cx, reason),
        }
    }

    /// A newer lease is in force. Most likely it is on its way to this worker: a session stays with
    /// its environment, and its lease lapses while the computer sleeps. So its agent goes on until
    /// it is certain that somebody else has that lease.
    fn superseded(&mut self, cx: &Cx<'_>, reason: String) -> Outcome {
        if !matches!(self.renewal, Renewal::Superseded { .. }) {
            let until = cx.now() + SUPERSEDED_LEASE_GRACE;
            self.renewal = Renewal::Superseded { until, reason };
        }
        Outcome::AwaitLease
    }

    /// The time in which a newer lease had to arrive may be over.
    pub(in crate::worker) fn renewal_due(&mut self, cx: &mut Cx<'_>) -> Outcome {
        match &mut self.renewal {
            Renewal::Superseded { until, reason } if *until <= cx.now() => {
                let reason = core::mem::take(reason);
                self.lose(cx, reason)
            }
            _ => Outcome::Nothing,
        }
    }

    /// Continues under a new lease (W-4, W-8).
    pub(in crate::worker) fn renew(&mut self, cx: &mut Cx<'_>, lease: Lease, url: String) {
        let token = lease.token.clone();
        self.lease = lease;
        self.renewal = Renewal::NotNeeded;
        self.link.renew(cx.fx, Purpose::Link(self.id.clone()), url, token);
    }

    /// Which version its link speaks.
    pub(in crate::worker) const fn version(&self) -> Version {
        self.link.version()
    }

    /// The relay answers elsewhere.
    pub(in crate::worker) fn relay_answers(&mut self, cx: &mut Cx<'_>) {
        self.link.relay_answers(cx.fx, Purpose::Link(self.id.clone()));
    }

    /// The computer slept.
    pub(in crate::worker) fn wake(&mut self, cx: &mut Cx<'_>) {
        self.link.wake(cx.fx, Purpose::Link(self.id.clone()));
    }
}
