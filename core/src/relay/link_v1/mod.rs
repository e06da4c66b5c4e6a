//! A session's link: lines of the agent in, lines for the agent out, each exactly once (S-2, M-4).
//!
//! ```text
//!   attach ──▶ opening ──▶ greeted ──▶ up ──▶ closed
//!   (store)    Upgrade     resume out   resume in
//! ```
//!
//! Lines are numbered in the store. What comes in is acknowledged once it is stored there; what goes
//! out is read from there, as far as the window allows.

mod inward;
mod outward;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use self::inward::Inward;
use self::outward::Outward;
use crate::base::id::{EnvironmentId, OpId, SessionId};
use crate::base::limits::{
    LINK_BACKLOG_BYTES, LINK_DEAD_AFTER, LINK_PING_AFTER, MAX_REQUEST_BYTES,
};
use crate::base::time::Instant;
use crate::contract::action::Message;
use crate::contract::event::IncomingRequest;
use crate::relay::exchange::{Pending, wants_websocket};
use crate::relay::http::authority::offered;
use crate::relay::http::response::ApiError;
use crate::relay::streams::Outgoing;
use crate::relay::tokens::Claims;
use crate::relay::{CLOSE_TIMEOUT, Purpose, Relay, RelayNotice, Timer, close};
use crate::store::{AccountId, Answer, Origin, StoreError, StoreOp};
use crate::wire::link::{self, CLOSE_LEASE_LOST, CLOSE_REPLACED, ControlFrame};

/// The links that are open, one for a session.
#[derive(Default)]
pub(in crate::relay) struct Links {
    by_op: BTreeMap<OpId, Link>,
    by_session: BTreeMap<SessionId, OpId>,
}

impl Links {
    pub(in crate::relay) fn ops(&self) -> Vec<OpId> {
        self.by_op.keys().copied().collect()
    }

    pub(in crate::relay) fn of_environment(&self, environment: &EnvironmentId) -> Vec<OpId> {
        let links = self.by_op.iter().filter(|(_, link)| link.environment == *environment);
        links.map(|(op, _)| *op).collect()
    }

    pub(in crate::relay) fn of(&self, session: &SessionId) -> Option<OpId> {
        self.by_session.get(session).copied()
    }
}

/// A link that the store is asked for.
#[derive(Clone, Debug)]
pub(in crate::relay) struct Attaching {
    session: SessionId,
    environment: EnvironmentId,
    fence: u64,
}

struct Link {
    session: SessionId,
    environment: EnvironmentId,
    /// Of the lease that opened it.
    fence: u64,
    owner: AccountId,
    /// Its number in the store.
    number: u64,
    is_up: bool,
    heard_at: Instant,
    outgoing: Outgoing,
    inward: Inward,
    outward: Outward,
    was_told_to_stop: bool,
}

impl Relay {
    pub(in crate::relay) fn attach(
        &mut self,
        op: OpId,
        asked: &IncomingRequest,
        session: SessionId,
        claims: &Claims,
    ) -> Result<(), ApiError> {
        wants_websocket(asked)?;
        if !offered(asked).any(|protocol| protocol == link::PROTOCOL) {
            let message = "the worker must offer the subprotocol footbridge.link.v1: update it";
            return Err(ApiError::invalid(message));
        }
        let agent_run = asked.header(link::AGENT_RUN_HEADER).map(alloc::string::String::from);
        if agent_run.as_ref().is_some_and(|run| run.len() > crate::base::limits::MAX_ID_BYTES) {
            return Err(ApiError::invalid("the name of the agent's run is too long"));
        }
        let (session_id, fence) = (session.clone(), claims.fence);
        let call = StoreOp::AttachLink { session: session_id, fence, agent_run };
        let attaching = Attaching { session, environment: claims.environment.clone(), fence };
        self.store(Pending::Attach { op, attaching }, call);
        Ok(())
    }

    pub(in crate::relay) fn attached(
        &mut self,
        op: OpId,
        attaching: Attaching,
        answer: Result<Answer, StoreError>,
    ) {
        let (number, received, from, owner) = match answer {
            Ok(Answer::Attached { link, received, from, owner }) => (link, received, from, owner),
            Ok(_) => return self.refuse(op, &ApiError::unavailable()),
            Err(denied) => return self.refuse(op, &denied.into()),
        };
        let Attaching { session, environment, fence } = attaching;
        if let Some(older) = self.links.of(&session) {
            let has_newer_lease =
                self.links.by_op.get(&older).is_some_and(|link| link.fence < fence);
            let code = if has_newer_lease { CLOSE_LEASE_LOST } else { CLOSE_REPLACED };
            self.close_stream(older, code);
        }
        if !self.upgrade(op, Purpose::Link, Some(link::PROTOCOL), MAX_REQUEST_BYTES) {
            return;
        }
        let link = Link {
            session: session.clone(),
            environment,
            fence,
            owner,
            number,
            is_up: false,
            heard_at: self.fx.now().mono,
            outgoing: Outgoing::default(),
            inward: Inward::after(received),
            outward: Outward::after(from),
            was_told_to_stop: false,
        };
        self.links.by_op.insert(op, link);
        self.links.by_session.insert(session, op);
    }

    pub(in crate::relay) fn link_opened(&mut self, op: OpId) {
        let Some(link) = self.links.by_op.get_mut(&op) else { return };
        link.heard_at = self.fx.now().mono;
        let (received, from) = (link.inward.stored, link.outward.sent);
        self.timers.set(Timer::LinkIdle(op), self.fx.now().mono + LINK_PING_AFTER);
        self.say(op, &ControlFrame::Resume { received, from });
    }

    /// Says a word of the link.
    fn say(&mut self, op: OpId, word: &ControlFrame) {
        self.send_on_link(op, Message::Binary(word.to_bytes()));
    }

    fn send_on_link(&mut self, op: OpId, message: Message) {
        let Some(link) = self.links.by_op.get_mut(&op) else { return };
        link.outgoing.add(&message);
        if link.outgoing.bytes() > LINK_BACKLOG_BYTES {
            // It asks and asks and reads no answer.
            return self.cut_stream(op);
        }
        self.send(op, message);
    }

    pub(in crate::relay) fn link_sent(&mut self, op: OpId, messages: usize) {
        if let Some(link) = self.links.by_op.get_mut(&op) {
            link.outgoing.sent(messages);
        }
    }

    pub(in crate::relay) fn link_received(&mut self, op: OpId, message: Message) {
        let now = self.fx.now().mono;
        let Some(link) = self.links.by_op.get_mut(&op) else { return };
        link.heard_at = now;
        self.timers.set(Timer::LinkIdle(op), now + LINK_PING_AFTER);
        let heard = match message {
            Message::Text(text) => self.take_lines(op, &text),
            Message::Binary(bytes) => match ControlFrame::parse(&bytes) {
                Ok(word) => self.take_word(op, word),
                Err(_) => Err(close::PROTOCOL),
            },
        };
        if let Err(code) = heard {
            self.close_link(op, code);
        }
    }

    fn take_word(&mut self, op: OpId, word: ControlFrame) -> Result<(), u16> {
        match word {
            ControlFrame::Resume { received, from } => self.take_resume(op, received, from),
            ControlFrame::Ack { received } => self.take_ack(op, received),
            ControlFrame::Report { message } => {
                let line = crate::relay::viewer_api::sessions::one_line(&message);
                self.take_batch(op, alloc::vec![inward::checked(Origin::Worker, line)?])
            }
            ControlFrame::Ping => {
                self.say(op, &ControlFrame::Pong);
                Ok(())
            }
            ControlFrame::Pong | ControlFrame::Stop | ControlFrame::Unknown => Ok(()),
        }
    }

    fn take_resume(&mut self, op: OpId, received: u64, from: u64) -> Result<(), u16> {
        let link = self.links.by_op.get_mut(&op).ok_or(close::PROTOCOL)?;
        if link.is_up || from == u64::MAX {
            return Err(close::PROTOCOL);
        }
        link.is_up = true;
        // The worker goes on after what is stored, or after what it no longer holds.
        link.inward.acked = link.inward.stored.max(from);
        link.inward.next = link.inward.acked + 1;
        // Whether there are as many is for the store to say. A worker of an earlier version says so of
        // lines that it acknowledges only afterwards.
        link.outward.sent = link.outward.sent.max(received);
        let (session, link) = (link.session.clone(), link.number);
        self.fx.notify(RelayNotice::WorkerConnected { session: session.clone() });
        self.store(Pending::Resume { op }, StoreOp::ResumeLink { session, link, received, from });
        Ok(())
    }

    pub(in crate::relay) fn link_resumed(&mut self, op: OpId, answer: Result<Answer, StoreError>) {
        let (received, from, until, is_stopping) = match answer {
            Ok(Answer::Resumed { received, from, until, is_stopping }) => {
                (received, from, until, is_stopping)
            }
            Ok(_) => return,
            Err(denied) => return self.link_denied(op, &denied),
        };
        let Some(link) = self.links.by_op.get_mut(&op) else { return };
        link.inward.stored = link.inward.stored.max(received);
        link.inward.acked = link.inward.acked.max(received);
        link.outward.skip_to(from);
        link.outward.until = link.outward.until.max(until);
        let session = link.session.clone();
        if is_stopping {
            self.tell_link_to_stop(&session);
        }
        self.refresh_session(op);
        self.feed_link(op);
    }

    /// Has the session read anew, because its link has come or gone.
    fn refresh_session(&mut self, op: OpId) {
        let Some(Link { session, owner, .. }) = self.links.by_op.get(&op) else { return };
        self.read_anew(owner.clone(), session.clone());
    }

    fn link_denied(&mut self, op: OpId, denied: &StoreError) {
        let code = match denied {
            StoreError::LinkReplaced => CLOSE_REPLACED,
            StoreError::LeaseLost => CLOSE_LEASE_LOST,
            StoreError::NeverSent => close::PROTOCOL,
            _ => close::GONE,
        };
        self.close_link(op, code);
    }

    pub(in crate::relay) fn tell_link_to_stop(&mut self, session: &SessionId) {
        let Some(op) = self.links.of(session) else { return };
        let Some(link) = self.links.by_op.get_mut(&op) else { return };
        if link.is_up && !link.was_told_to_stop {
            link.was_told_to_stop = true;
            self.say(op, &ControlFrame::Stop);
        }
    }

    /// The session has ended: its worker closes the link, or else the relay does.
    pub(in crate::relay) fn let_link_linger(&mut self, session: &SessionId) {
        if let Some(op) = self.links.of(session) {
            self.timers.set(Timer::LinkDrain(op), self.fx.now().mono + CLOSE_TIMEOUT);
        }
    }

    pub(in crate::relay) fn link_is_quiet(&mut self, op: OpId) {
        let now = self.fx.now().mono;
        let Some(link) = self.links.by_op.get(&op) else { return };
        if now >= link.heard_at + LINK_DEAD_AFTER {
            return self.cut_stream(op);
        }
        let dead_at = link.heard_at + LINK_DEAD_AFTER;
        self.timers.set(Timer::LinkIdle(op), dead_at.min(now + LINK_PING_AFTER));
        self.say(op, &ControlFrame::Ping);
    }

    pub(in crate::relay) fn close_link(&mut self, op: OpId, code: u16) {
        self.close_stream(op, code);
    }

    /// Whether a session's worker is there (promise 7: a silent link is cut, and so is not).
    pub(in crate::relay) fn is_connected(&self, session: &SessionId) -> bool {
        let link = self.links.of(session).and_then(|op| self.links.by_op.get(&op));
        link.is_some_and(|link| link.is_up)
    }

    pub(in crate::relay) fn forget_link(&mut self, op: OpId) {
        let Some(Link { session, owner, is_up, .. }) = self.links.by_op.remove(&op) else { return };
        if self.links.of(&session) == Some(op) {
            self.links.by_session.remove(&session);
        }
        if is_up {
            self.fx.notify(RelayNotice::WorkerDisconnected { session: session.clone() });
            self.read_anew(owner, session);
        }
    }
}
