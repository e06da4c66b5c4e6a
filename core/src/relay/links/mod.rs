//! The links of sessions: lines of the agent in, lines for the agent out, each exactly once
//! (S-2, M-4).
//!
//! ```text
//!   attach ──▶ opening ──▶ greeting ──▶ up ──▶ closed
//!   (store)    Upgrade     resume out   resume in
//! ```
//!
//! Lines are numbered in the store. What comes in is acknowledged once it is stored there; what
//! goes out is read from there, as far as the window allows. A worker that offers no subprotocol
//! has only the lines: it is up as soon as it is open, its lines follow those that are stored, and
//! what has left for it counts as acknowledged.

mod events;
mod from_agent;
mod link;
pub(in crate::relay) mod refusal;
mod to_agent;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

pub(in crate::relay) use self::from_agent::checked;
use self::link::{Attached, Link, LinkEnd, Opened};
use crate::base::id::{EnvironmentId, OpId, SessionId};
use crate::base::limits::{MAX_ID_BYTES, MAX_REQUEST_BYTES};
use crate::contract::action::{Head, Message};
use crate::contract::event::IncomingRequest;
use crate::relay::close;
use crate::relay::cx::{CLOSE_TIMEOUT, Cx};
use crate::relay::http::error::ApiError;
use crate::relay::http::event_stream;
use crate::relay::http::request::{offered_protocols, require_websocket};
use crate::relay::http::response::owned;
use crate::relay::notice::RelayNotice;
use crate::relay::pending::{Attaching, Framing, LinkStep, Opening, Pending};
use crate::relay::purpose::{StreamKind, Timer};
use crate::relay::tokens::Claims;
use crate::store::{Answer, StoreError, StoreOp};
use crate::wire::last_line::{LAST_LINE_HEADER, LastLine};
use crate::wire::link_v1::{
    AGENT_RUN_HEADER, CLOSE_LEASE_LOST, CLOSE_REPLACED, CLOSE_SET_BACK, PROTOCOL,
};

/// The open links, at most one per session.
#[derive(Default)]
pub(in crate::relay) struct Links {
    by_op: BTreeMap<OpId, Link>,
    by_session: BTreeMap<SessionId, OpId>,
}

/// A worker asks for a link.
pub(in crate::relay) fn attach(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    session: SessionId,
    claims: &Claims,
) -> Result<(), ApiError> {
    require_websocket(request)?;
    let framing = framing_of(request)?;
    let agent_run = request.header(AGENT_RUN_HEADER).map(String::from);
    if agent_run.as_ref().is_some_and(|run| run.len() > MAX_ID_BYTES) {
        return Err(ApiError::invalid("the name of the agent's run is too long"));
    }
    let (fence, last) = (claims.fence, last_line(request)?);
    let attach = StoreOp::AttachLink { session: session.clone(), fence, agent_run };
    let environment = claims.environment.clone();
    let attaching = Attaching { session, environment, fence, framing, last };
    cx.store(Pending::Attach { op, attaching }, attach);
    Ok(())
}

/// The last line that a worker's agent was given, if it says so.
pub(in crate::relay) fn last_line(request: &IncomingRequest) -> Result<Option<LastLine>, ApiError> {
    let Some(given) = request.header(LAST_LINE_HEADER) else { return Ok(None) };
    let bad = || ApiError::invalid("x-footbridge-last-line must be a line's number and its mark");
    LastLine::parse(given).map(Some).ok_or_else(bad)
}

/// How a worker wants to speak: plainly, if it offers no subprotocol (S-2).
fn framing_of(request: &IncomingRequest) -> Result<Framing, ApiError> {
    let mut offered = offered_protocols(request).peekable();
    if offered.peek().is_none() {
        return Ok(Framing::Ndjson);
    }
    if offered.any(|protocol| protocol == PROTOCOL) {
        return Ok(Framing::LinkV1);
    }
    let message = "the worker must offer the subprotocol footbridge.link.v1, or none: update it";
    Err(ApiError::invalid(message))
}

impl Links {
    pub(in crate::relay) fn on_attached(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        attaching: Attaching,
        answer: Result<Answer, StoreError>,
    ) {
        let attached = match answer {
            Ok(Answer::Attached { link, received, from, owner, declared }) => {
                Attached { number: link, received, from, owner, declared }
            }
            Ok(_) => return cx.refuse(op, &ApiError::unavailable()),
            Err(error) => return cx.refuse(op, &error.into()),
        };
        if let Some(older) = self.of(&attaching.session) {
            let is_leased_anew =
                self.by_op.get(&older).is_some_and(|link| link.fence < attaching.fence);
            let code = if is_leased_anew { CLOSE_LEASE_LOST } else { CLOSE_REPLACED };
            self.close(cx, older, code);
        }
        let protocol = (attaching.framing == Framing::LinkV1).then_some(PROTOCOL);
        if cx.upgrade(op, StreamKind::Link, protocol, MAX_REQUEST_BYTES) {
            self.by_session.insert(attaching.session.clone(), op);
            self.by_op.insert(op, Link::new(cx, op, attaching, attached));
        }
    }

    /// A stream of version 2 can begin, or not.
    pub(in crate::relay) fn on_stream(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        opening: Opening,
        answer: Result<Answer, StoreError>,
    ) {
        let (opened, is_stopping) = match answer {
            Ok(Answer::StreamOpened {
                received,
                from,
                until,
                is_stopping,
                fence,
                owner,
                environment,
                declared,
            }) => {
                let opened = Opened { received, from, until, fence, owner, environment, declared };
                (opened, is_stopping)
            }
            Ok(_) => return cx.refuse(op, &ApiError::unavailable()),
            Err(error) => {
                if error == StoreError::NeverSent {
                    cx.notify(RelayNotice::WorkerAhead { session: opening.session.clone() });
                }
                let refusal = refusal::refusal(error, opening.run.as_deref());
                return cx.refuse(op, &refusal);
            }
        };
        if let Some(older) = self.of(&opening.session) {
            // Of two streams of one epoch, one was asked for late, or twice.
            let code = self.by_op.get(&older).map_or(CLOSE_REPLACED, |link| {
                if link.number() == opening.epoch { close::DONE } else { CLOSE_REPLACED }
            });
            self.close(cx, older, code);
        }
        let head = Head { status: 200, headers: owned(&event_stream::HEAD) };
        if cx.reply_stream(op, StreamKind::Link, head) {
            let session = opening.session.clone();
            self.by_session.insert(session, op);
            self.by_op.insert(op, Link::of_stream(cx, op, opening, &opened));
            self.drive(cx, op, |link, cx| link.begin_stream(cx, is_stopping));
        }
    }

    /// The session has a newer link than those with a smaller number, here or at another relay.
    pub(in crate::relay) fn superseded(
        &mut self,
        cx: &mut Cx,
        session: &SessionId,
        number: u64,
        run: Option<&str>,
    ) {
        let Some(op) = self.of(session) else { return };
        let older = self.by_op.get(&op).filter(|link| link.number() < number);
        if let Some(code) = older.map(|link| link.code_for(run)) {
            self.close(cx, op, code);
        }
    }

    /// The worker of this link has sent a request.
    pub(in crate::relay) fn heard(&mut self, cx: &Cx, session: &SessionId, number: u64) {
        let Some(op) = self.of(session) else { return };
        if let Some(link) = self.by_op.get_mut(&op).filter(|link| link.number() == number) {
            link.heard(cx);
        }
    }

    /// It has said how far the lines for its agent have come. Returns whether that has to be stored.
    pub(in crate::relay) fn progressed(
        &mut self,
        cx: &mut Cx,
        session: &SessionId,
        number: u64,
        delivered: u64,
        with_worker: u64,
    ) -> bool {
        let Some(op) = self.of(session) else { return true };
        let link = self.by_op.get_mut(&op).filter(|link| link.number() == number);
        link.is_none_or(|link| link.progressed(cx, delivered, with_worker))
    }

    /// The store has not kept how far the lines for an agent have come, and its worker may not say so
    /// again: on another stream, both say where they are.
    pub(in crate::relay) fn doubt(&mut self, cx: &mut Cx, session: &SessionId, number: u64) {
        let Some(op) = self.of(session) else { return };
        if self.by_op.get(&op).is_some_and(|link| link.number() == number) {
            self.close(cx, op, close::FAILED);
        }
    }

    pub(in crate::relay) fn on_opened(&mut self, cx: &mut Cx, op: OpId) {
        self.drive(cx, op, Link::on_opened);
    }

    pub(in crate::relay) fn on_received(&mut self, cx: &mut Cx, op: OpId, message: Message) {
        self.drive(cx, op, |link, cx| link.on_received(cx, message));
    }

    pub(in crate::relay) fn on_sent(&mut self, cx: &mut Cx, op: OpId, messages: usize) {
        if let Some(link) = self.by_op.get_mut(&op) {
            link.on_sent(cx, messages);
        }
    }

    /// The store has carried out a link's step, or refused it.
    pub(in crate::relay) fn on_answer(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        step: LinkStep,
        answer: Result<Answer, StoreError>,
    ) {
        self.drive(cx, op, |link, cx| match (step, answer) {
            // What it was given is in no store: this one is older.
            (LinkStep::Resume, Err(StoreError::NeverSent)) => {
                let session = link.session.clone();
                cx.notify(RelayNotice::WorkerAhead { session });
                Err(CLOSE_SET_BACK.into())
            }
            (step, answer) => link.on_answer(cx, step, answer?),
        });
    }

    /// Lines for a session's agent exist up to this one.
    pub(in crate::relay) fn on_inbound(&mut self, cx: &mut Cx, session: &SessionId, until: u64) {
        let Some(op) = self.of(session) else { return };
        if let Some(link) = self.by_op.get_mut(&op) {
            link.on_grown(cx, until);
        }
    }

    /// Tells a session's worker to end it.
    pub(in crate::relay) fn stop(&mut self, cx: &mut Cx, session: &SessionId) {
        if let Some(op) = self.of(session) {
            self.drive(cx, op, Link::stop);
        }
    }

    /// A session has ended: its worker closes the link, or else the relay does.
    pub(in crate::relay) fn drain(&self, cx: &mut Cx, session: &SessionId) {
        if let Some(op) = self.of(session) {
            cx.engine.set_timer(Timer::LinkDrain(op), CLOSE_TIMEOUT);
        }
    }

    pub(in crate::relay) fn on_drained(&mut self, cx: &mut Cx, op: OpId) {
        self.close(cx, op, close::DONE);
    }

    pub(in crate::relay) fn on_idle(&mut self, cx: &mut Cx, op: OpId) {
        self.drive(cx, op, Link::on_idle);
    }

    /// Runs something on a link, and ends the link if that asks for it.
    fn drive(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        act: impl FnOnce(&mut Link, &mut Cx) -> Result<(), LinkEnd>,
    ) {
        let Some(link) = self.by_op.get_mut(&op) else { return };
        match act(link, cx) {
            Ok(()) => {}
            Err(LinkEnd::Close(code)) => self.close(cx, op, code),
            Err(LinkEnd::Cut) => {
                cx.cut_stream(op);
                self.forget(cx, op);
            }
        }
    }

    pub(in crate::relay) fn close(&mut self, cx: &mut Cx, op: OpId, code: u16) {
        if let Some(link) = self.by_op.get_mut(&op) {
            link.say_close(cx, code);
        }
        self.forget(cx, op);
        cx.close_stream(op, code);
    }

    /// The session is no longer kept.
    pub(in crate::relay) fn close_session(&mut self, cx: &mut Cx, session: &SessionId) {
        if let Some(op) = self.of(session) {
            self.close(cx, op, close::GONE);
        }
    }

    /// The environment is gone.
    pub(in crate::relay) fn close_environment(&mut self, cx: &mut Cx, environment: &EnvironmentId) {
        let links = self.by_op.iter().filter(|(_, link)| link.environment == *environment);
        for op in links.map(|(op, _)| *op).collect::<Vec<_>>() {
            self.close(cx, op, close::GONE);
        }
    }

    /// A link's stream is over, or about to be.
    pub(in crate::relay) fn forget(&mut self, cx: &mut Cx, op: OpId) {
        let Some(link) = self.by_op.remove(&op) else { return };
        debug_assert_eq!(self.of(&link.session), Some(op), "two links of one session");
        self.by_session.remove(&link.session);
        link.on_forgotten(cx);
    }

    pub(in crate::relay) fn ops(&self) -> Vec<OpId> {
        self.by_op.keys().copied().collect()
    }

    fn of(&self, session: &SessionId) -> Option<OpId> {
        self.by_session.get(session).copied()
    }
}
