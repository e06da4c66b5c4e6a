//! A session's link: lines of the agent in, lines for the agent out, each exactly once (S-2, M-4).
//!
//! ```text
//!   attach ──▶ opening ──▶ greeted ──▶ up ──▶ closed
//!   (store)    Upgrade     resume out   resume in
//! ```
//!
//! Lines are numbered in the store. What comes in is acknowledged once it is stored there; what goes
//! out is read from there, as far as the window allows.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::Serialize;

use super::authority::offered;
use super::exchange::{Pending, wants_websocket};
use super::reply::Refusal;
use super::store::{Answer, Call, Denied, Line, Origin, Person};
use super::stream::Outgoing;
use super::tokens::Claims;
use super::{Purpose, Relay, RelayNotice, Timer, close};
use crate::action::{Action, Message};
use crate::event::Asked;
use crate::id::{OpId, SessionId};
use crate::limits::{
    LINK_BACKLOG_BYTES, LINK_DEAD_AFTER, LINK_HIGH_WATER_BYTES, LINK_LOW_WATER_BYTES,
    LINK_PING_AFTER, LINK_WINDOW_BYTES, LINK_WINDOW_LINES, MAX_LINE_BYTES, MAX_REQUEST_BYTES,
};
use crate::time::Instant;
use crate::wire::link::{self, CLOSE_REPLACED, Word};
use crate::wire::message::Head;
use crate::wire::text::Text;
use crate::wire::to_json;

/// The links that are open, one for a session.
#[derive(Default)]
pub(super) struct Links {
    by_op: BTreeMap<OpId, Link>,
    by_session: BTreeMap<SessionId, OpId>,
}

impl Links {
    pub(super) fn ops(&self) -> Vec<OpId> {
        self.by_op.keys().copied().collect()
    }

    pub(super) fn of(&self, session: &SessionId) -> Option<OpId> {
        self.by_session.get(session).copied()
    }
}

/// A link that the store is asked for.
#[derive(Clone, Debug)]
pub(super) struct Attaching {
    session: SessionId,
}

struct Link {
    session: SessionId,
    owner: Person,
    /// Its number in the store.
    number: u64,
    is_up: bool,
    heard_at: Instant,
    outgoing: Outgoing,
    inward: Inward,
    outward: Outward,
    was_told_to_stop: bool,
}

/// Lines from the worker.
struct Inward {
    /// The number of the next one.
    next: u64,
    stored: u64,
    acked: u64,
    /// Batches that the store has not confirmed, and their bytes.
    batches: usize,
    bytes: usize,
    is_paused: bool,
}

/// Lines for the agent.
#[derive(Default)]
struct Outward {
    /// The last one that was sent.
    sent: u64,
    /// The last one that there is.
    until: u64,
    /// What was sent and not acknowledged: number and bytes.
    in_flight: VecDeque<(u64, usize)>,
    bytes: usize,
    is_reading: bool,
}

impl Outward {
    fn acknowledge(&mut self, received: u64) {
        while let Some((number, bytes)) = self.in_flight.front().copied() {
            if number > received {
                return;
            }
            self.in_flight.pop_front();
            self.bytes -= bytes;
        }
    }
}

/// Lines after which an ack is sent although more are on their way to the store.
const ACK_EVERY_LINES: u64 = 64;

impl Relay {
    pub(super) fn attach(
        &mut self,
        op: OpId,
        asked: &Asked,
        session: SessionId,
        claims: &Claims,
    ) -> Result<(), Refusal> {
        wants_websocket(asked)?;
        if !offered(asked).any(|protocol| protocol == link::PROTOCOL) {
            let message = "the worker must offer the subprotocol footbridge.link.v1: update it";
            return Err(Refusal::invalid(message));
        }
        let call = Call::AttachLink { session: session.clone(), fence: claims.fence };
        self.store(Pending::Attach { op, attaching: Attaching { session } }, call);
        Ok(())
    }

    pub(super) fn attached(
        &mut self,
        op: OpId,
        attaching: Attaching,
        answer: Result<Answer, Denied>,
    ) {
        let (number, received, from, owner) = match answer {
            Ok(Answer::Attached { link, received, from, owner }) => (link, received, from, owner),
            Ok(_) => return self.refuse(op, &Refusal::unavailable()),
            Err(denied) => return self.refuse(op, &denied.into()),
        };
        let Attaching { session } = attaching;
        if let Some(older) = self.links.of(&session) {
            self.close_stream(older, CLOSE_REPLACED);
        }
        if !self.upgrade(op, Purpose::Link, Some(link::PROTOCOL), MAX_REQUEST_BYTES) {
            return;
        }
        let link = Link {
            session: session.clone(),
            owner,
            number,
            is_up: false,
            heard_at: self.fx.now().mono,
            outgoing: Outgoing::default(),
            inward: Inward {
                next: received + 1,
                stored: received,
                acked: received,
                batches: 0,
                bytes: 0,
                is_paused: false,
            },
            outward: Outward { sent: from, until: from, ..Outward::default() },
            was_told_to_stop: false,
        };
        self.links.by_op.insert(op, link);
        self.links.by_session.insert(session, op);
    }

    pub(super) fn link_opened(&mut self, op: OpId) {
        let Some(link) = self.links.by_op.get_mut(&op) else { return };
        link.heard_at = self.fx.now().mono;
        let (received, from) = (link.inward.stored, link.outward.sent);
        self.timers.set(Timer::Quiet(op), self.fx.now().mono + LINK_PING_AFTER);
        self.say(op, &Word::Resume { received, from });
    }

    /// Says a word of the link.
    fn say(&mut self, op: OpId, word: &Word) {
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

    pub(super) fn link_sent(&mut self, op: OpId, messages: usize) {
        if let Some(link) = self.links.by_op.get_mut(&op) {
            link.outgoing.sent(messages);
        }
    }

    pub(super) fn link_received(&mut self, op: OpId, message: Message) {
        let now = self.fx.now().mono;
        let Some(link) = self.links.by_op.get_mut(&op) else { return };
        link.heard_at = now;
        self.timers.set(Timer::Quiet(op), now + LINK_PING_AFTER);
        let heard = match message {
            Message::Text(text) => self.take_lines(op, &text),
            Message::Binary(bytes) => match Word::parse(&bytes) {
                Ok(word) => self.take_word(op, word),
                Err(_) => Err(close::PROTOCOL),
            },
        };
        if let Err(code) = heard {
            self.close_link(op, code);
        }
    }

    fn take_word(&mut self, op: OpId, word: Word) -> Result<(), u16> {
        match word {
            Word::Resume { received, from } => self.take_resume(op, received, from),
            Word::Ack { received } => self.take_ack(op, received),
            Word::Report { message } => {
                let line = super::sessions::one_line(&message);
                self.take_batch(op, alloc::vec![checked(Origin::Worker, line)?])
            }
            Word::Ping => {
                self.say(op, &Word::Pong);
                Ok(())
            }
            Word::Pong | Word::Stop | Word::Unknown => Ok(()),
        }
    }

    fn take_resume(&mut self, op: OpId, received: u64, from: u64) -> Result<(), u16> {
        let link = self.links.by_op.get_mut(&op).ok_or(close::PROTOCOL)?;
        if link.is_up || from == u64::MAX {
            return Err(close::PROTOCOL);
        }
        link.is_up = true;
        // The worker goes on after what is stored, or after what it no longer holds.
        link.inward.next = link.inward.stored.max(from) + 1;
        let (session, link) = (link.session.clone(), link.number);
        self.fx.tell(RelayNotice::WorkerConnected { session: session.clone() });
        self.store(Pending::Resume { op }, Call::ResumeLink { session, link, received, from });
        Ok(())
    }

    pub(super) fn link_resumed(&mut self, op: OpId, answer: Result<Answer, Denied>) {
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
        link.outward.sent = link.outward.sent.max(from);
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
        let call = Call::GetSession { owner: owner.clone(), id: session.clone() };
        self.store(Pending::Refresh, call);
    }

    fn link_denied(&mut self, op: OpId, denied: &Denied) {
        let code = match denied {
            Denied::LinkReplaced | Denied::LeaseLost => CLOSE_REPLACED,
            Denied::NeverSent => close::PROTOCOL,
            _ => close::GONE,
        };
        self.close_link(op, code);
    }

    fn take_lines(&mut self, op: OpId, text: &Text) -> Result<(), u16> {
        let line = |line: Text| {
            // A copy of its own, so that a short line does not hold the whole message's memory.
            let own = Text::from_utf8(Bytes::copy_from_slice(line.as_bytes())).unwrap_or_default();
            checked(Origin::Agent, own)
        };
        let lines: Result<Vec<_>, u16> = text.lines().map(line).collect();
        self.take_batch(op, lines?)
    }

    fn take_batch(&mut self, op: OpId, lines: Vec<Line>) -> Result<(), u16> {
        let link = self.links.by_op.get_mut(&op).filter(|link| link.is_up);
        let link = link.ok_or(close::PROTOCOL)?;
        if lines.is_empty() {
            return Ok(());
        }
        let bytes = lines.iter().map(|line| line.line.len()).sum();
        let first = link.inward.next;
        let count = u64::try_from(lines.len()).map_err(|_| close::PROTOCOL)?;
        link.inward.next = first.checked_add(count).ok_or(close::PROTOCOL)?;
        link.inward.batches += 1;
        link.inward.bytes += bytes;
        let pauses = link.inward.bytes > LINK_HIGH_WATER_BYTES && !link.inward.is_paused;
        link.inward.is_paused |= pauses;
        let (session, link) = (link.session.clone(), link.number);
        if pauses {
            self.fx.act(op, |op| Action::Pause { op });
        }
        let call = Call::Append { session, link, first, lines };
        self.store(Pending::Append { op, bytes }, call);
        Ok(())
    }

    pub(super) fn appended(&mut self, op: OpId, bytes: usize, answer: Result<Answer, Denied>) {
        let received = match answer {
            Ok(Answer::Appended { received }) => received,
            Ok(_) => return,
            Err(denied) => return self.link_denied(op, &denied),
        };
        let Some(link) = self.links.by_op.get_mut(&op) else { return };
        let inward = &mut link.inward;
        inward.stored = received;
        inward.batches = inward.batches.saturating_sub(1);
        inward.bytes = inward.bytes.saturating_sub(bytes);
        let resumes = inward.is_paused && inward.bytes <= LINK_LOW_WATER_BYTES;
        inward.is_paused &= !resumes;
        let new = received.saturating_sub(inward.acked);
        let acks = new > 0 && (inward.batches == 0 || new >= ACK_EVERY_LINES);
        if acks {
            inward.acked = received;
            self.say(op, &Word::Ack { received });
        }
        if resumes {
            self.fx.act(op, |op| Action::Resume { op });
        }
    }

    fn take_ack(&mut self, op: OpId, received: u64) -> Result<(), u16> {
        let link = self.links.by_op.get_mut(&op).filter(|link| link.is_up);
        let link = link.ok_or(close::PROTOCOL)?;
        if received > link.outward.sent {
            return Err(close::PROTOCOL);
        }
        link.outward.acknowledge(received);
        let (session, link) = (link.session.clone(), link.number);
        self.store(Pending::AckInbound { op }, Call::AckInbound { session, link, received });
        self.feed_link(op);
        Ok(())
    }

    pub(super) fn inbound_acked(&mut self, op: OpId, answer: Result<Answer, Denied>) {
        if let Err(denied) = answer {
            self.link_denied(op, &denied);
        }
    }

    /// There are lines for the agent up to this one.
    pub(super) fn inbound_grew(&mut self, session: &SessionId, until: u64) {
        let Some(op) = self.links.of(session) else { return };
        if let Some(link) = self.links.by_op.get_mut(&op) {
            link.outward.until = link.outward.until.max(until);
        }
        self.feed_link(op);
    }

    /// Reads as many lines for the agent as the window has room for.
    fn feed_link(&mut self, op: OpId) {
        let Some(link) = self.links.by_op.get_mut(&op) else { return };
        let outward = &mut link.outward;
        let max_lines = LINK_WINDOW_LINES.saturating_sub(outward.in_flight.len());
        let max_bytes = LINK_WINDOW_BYTES.saturating_sub(outward.bytes);
        let has_work = link.is_up && !outward.is_reading && outward.sent < outward.until;
        // One line always fits, so the next one is read when none is under way or a byte is free.
        if !has_work || max_lines == 0 || max_bytes == 0 {
            return;
        }
        outward.is_reading = true;
        let (session, after) = (link.session.clone(), outward.sent);
        let call = Call::ReadInbound { session, after, max_lines, max_bytes };
        self.store(Pending::Inbound { op }, call);
    }

    pub(super) fn inbound_read(&mut self, op: OpId, answer: Result<Answer, Denied>) {
        let lines = match answer {
            Ok(Answer::Inbound(lines)) => lines,
            Ok(_) => return,
            Err(denied) => return self.link_denied(op, &denied),
        };
        let Some(link) = self.links.by_op.get_mut(&op) else { return };
        link.outward.is_reading = false;
        if lines.is_empty() {
            // What was there is gone with the end of the session.
            link.outward.until = link.outward.sent;
        }
        for (number, line) in lines {
            let Some(link) = self.links.by_op.get_mut(&op) else { return };
            let does_fit = link.outward.bytes + line.len() <= LINK_WINDOW_BYTES;
            if !does_fit && !link.outward.in_flight.is_empty() {
                // It alone may be larger than the window, and has to wait until it is alone.
                return;
            }
            link.outward.sent = number;
            link.outward.bytes += line.len();
            link.outward.in_flight.push_back((number, line.len()));
            self.send_on_link(op, Message::Text(line));
        }
        self.feed_link(op);
    }

    pub(super) fn tell_link_to_stop(&mut self, session: &SessionId) {
        let Some(op) = self.links.of(session) else { return };
        let Some(link) = self.links.by_op.get_mut(&op) else { return };
        if link.is_up && !link.was_told_to_stop {
            link.was_told_to_stop = true;
            self.say(op, &Word::Stop);
        }
    }

    /// The session has ended: its worker closes the link, or else the relay does.
    pub(super) fn let_link_linger(&mut self, session: &SessionId) {
        if let Some(op) = self.links.of(session) {
            self.timers.set(Timer::Linger(op), self.fx.now().mono + super::CLOSE_TIMEOUT);
        }
    }

    pub(super) fn link_is_quiet(&mut self, op: OpId) {
        let now = self.fx.now().mono;
        let Some(link) = self.links.by_op.get(&op) else { return };
        if now >= link.heard_at + LINK_DEAD_AFTER {
            return self.cut_stream(op);
        }
        let dead_at = link.heard_at + LINK_DEAD_AFTER;
        self.timers.set(Timer::Quiet(op), dead_at.min(now + LINK_PING_AFTER));
        self.say(op, &Word::Ping);
    }

    pub(super) fn close_link(&mut self, op: OpId, code: u16) {
        self.close_stream(op, code);
    }

    /// Whether a session's worker is there (promise 7: a silent link is cut, and so is not).
    pub(super) fn is_connected(&self, session: &SessionId) -> bool {
        let link = self.links.of(session).and_then(|op| self.links.by_op.get(&op));
        link.is_some_and(|link| link.is_up)
    }

    pub(super) fn forget_link(&mut self, op: OpId) {
        let Some(Link { session, owner, is_up, .. }) = self.links.by_op.remove(&op) else { return };
        if self.links.of(&session) == Some(op) {
            self.links.by_session.remove(&session);
        }
        if is_up {
            self.fx.tell(RelayNotice::WorkerDisconnected { session: session.clone() });
            self.store(Pending::Refresh, Call::GetSession { owner, id: session });
        }
    }
}

/// A line for the log, which can only hold messages: what is none is told about instead. It keeps
/// its number, so that both ends count the same.
fn checked(origin: Origin, line: Text) -> Result<Line, u16> {
    #[derive(Serialize)]
    struct NoMessage<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        subtype: &'static str,
        message: String,
        line: &'a str,
    }
    if line.len() > MAX_LINE_BYTES {
        return Err(close::TOO_BIG);
    }
    let Err(error) = Head::parse(&line) else { return Ok(Line { origin, line }) };
    let end = line.as_str().char_indices().map(|(at, _)| at).nth(BEGINNING_CHARS);
    let told = to_json(&NoMessage {
        kind: "footbridge",
        subtype: "agent_output_error",
        message: alloc::format!("{error}"),
        line: line.as_str().get(..end.unwrap_or(line.len())).unwrap_or_default(),
    });
    Ok(Line { origin: Origin::Relay, line: Text::from_utf8(told).unwrap_or_default() })
}

/// How much of a line that is no message is shown, in characters.
const BEGINNING_CHARS: usize = 200;
