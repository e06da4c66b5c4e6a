//! Lines for the agent: read from the store, as far as the window allows.

use alloc::collections::VecDeque;

use crate::base::id::{OpId, SessionId};
use crate::base::limits::{LINK_WINDOW_BYTES, LINK_WINDOW_LINES};
use crate::contract::action::Message;
use crate::relay::exchange::Pending;
use crate::relay::{Relay, close};
use crate::store::{Answer, StoreError, StoreOp};

/// Lines for the agent.
#[derive(Default)]
pub(super) struct Outward {
    /// The last one that was sent.
    pub(super) sent: u64,
    /// The last one that there is.
    pub(super) until: u64,
    /// What was sent and not acknowledged: number and bytes.
    in_flight: VecDeque<(u64, usize)>,
    bytes: usize,
    is_reading: bool,
    /// The last one that the worker has acknowledged, and the last such that the store was told.
    acked: u64,
    noted: u64,
    is_noting: bool,
}

impl Outward {
    pub(super) fn after(sent: u64) -> Self {
        Self { sent, until: sent, acked: sent, noted: sent, ..Self::default() }
    }

    /// The worker has these lines, as the store knows already.
    pub(super) fn skip_to(&mut self, from: u64) {
        self.sent = self.sent.max(from);
        self.acked = self.acked.max(from);
        self.noted = self.noted.max(from);
    }

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

impl Relay {
    pub(super) fn take_ack(&mut self, op: OpId, received: u64) -> Result<(), u16> {
        let link = self.links.by_op.get_mut(&op).filter(|link| link.is_up);
        let link = link.ok_or(close::PROTOCOL)?;
        if received > link.outward.sent {
            return Err(close::PROTOCOL);
        }
        link.outward.acknowledge(received);
        link.outward.acked = link.outward.acked.max(received);
        self.note_ack(op);
        self.feed_link(op);
        Ok(())
    }

    /// Tells the store of the newest ack, one at a time: however many come meanwhile, the last one
    /// says it all.
    fn note_ack(&mut self, op: OpId) {
        let Some(link) = self.links.by_op.get_mut(&op) else { return };
        let outward = &mut link.outward;
        if outward.is_noting || outward.noted >= outward.acked {
            return;
        }
        outward.is_noting = true;
        outward.noted = outward.acked;
        let (session, link, received) = (link.session.clone(), link.number, link.outward.noted);
        self.store(Pending::AckInbound { op }, StoreOp::AckInbound { session, link, received });
    }

    pub(in crate::relay) fn inbound_acked(&mut self, op: OpId, answer: Result<Answer, StoreError>) {
        if let Err(denied) = answer {
            return self.link_denied(op, &denied);
        }
        if let Some(link) = self.links.by_op.get_mut(&op) {
            link.outward.is_noting = false;
        }
        self.note_ack(op);
    }

    /// There are lines for the agent up to this one.
    pub(in crate::relay) fn inbound_grew(&mut self, session: &SessionId, until: u64) {
        let Some(op) = self.links.of(session) else { return };
        if let Some(link) = self.links.by_op.get_mut(&op) {
            link.outward.until = link.outward.until.max(until);
        }
        self.feed_link(op);
    }

    /// Reads as many lines for the agent as the window has room for.
    pub(super) fn feed_link(&mut self, op: OpId) {
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
        let call = StoreOp::ReadInbound { session, after, max_lines, max_bytes };
        self.store(Pending::Inbound { op }, call);
    }

    pub(in crate::relay) fn inbound_read(&mut self, op: OpId, answer: Result<Answer, StoreError>) {
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
}
