//! Lines from the worker: into the store, then acknowledged.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::Serialize;

use crate::base::id::OpId;
use crate::base::limits::{
    LINK_HIGH_WATER_BYTES, LINK_LOW_WATER_BYTES, LINK_WINDOW_LINES, MAX_LINE_BYTES,
};
use crate::base::text::Text;
use crate::contract::action::Action;
use crate::relay::exchange::Pending;
use crate::relay::{Relay, close};
use crate::store::{Answer, Line, Origin, StoreError, StoreOp};
use crate::wire::link::ControlFrame;
use crate::wire::message::Head;
use crate::wire::to_json;

/// Lines from the worker.
pub(super) struct Inward {
    /// The number of the next one.
    pub(super) next: u64,
    pub(super) stored: u64,
    pub(super) acked: u64,
    /// Batches that the store has not confirmed, and their bytes.
    batches: usize,
    bytes: usize,
    is_paused: bool,
}

impl Inward {
    pub(super) const fn after(received: u64) -> Self {
        Self {
            next: received + 1,
            stored: received,
            acked: received,
            batches: 0,
            bytes: 0,
            is_paused: false,
        }
    }

    /// Lines that came and were not acknowledged.
    const fn unacknowledged(&self) -> u64 {
        self.next.saturating_sub(self.acked.saturating_add(1))
    }
}

/// Lines that a worker may be ahead of the acks that were sent to it.
const WINDOW: u64 = LINK_WINDOW_LINES as u64;
/// Lines after which an ack is sent although more are on their way to the store.
const ACK_EVERY_LINES: u64 = 64;

impl Relay {
    pub(super) fn take_lines(&mut self, op: OpId, text: &Text) -> Result<(), u16> {
        let line = |line: Text| {
            // A copy of its own, so that a short line does not hold the whole message's memory.
            let own = Text::from_utf8(Bytes::copy_from_slice(line.as_bytes())).unwrap_or_default();
            checked(Origin::Agent, own)
        };
        // One more than is allowed is enough to see that there are too many.
        let lines: Result<Vec<_>, u16> =
            text.lines().take(LINK_WINDOW_LINES + 1).map(line).collect();
        self.take_batch(op, lines?)
    }

    pub(super) fn take_batch(&mut self, op: OpId, lines: Vec<Line>) -> Result<(), u16> {
        let link = self.links.by_op.get_mut(&op).filter(|link| link.is_up);
        let link = link.ok_or(close::PROTOCOL)?;
        if lines.is_empty() {
            return Ok(());
        }
        let bytes = lines.iter().map(|line| line.line.len()).sum();
        let first = link.inward.next;
        let count = u64::try_from(lines.len()).map_err(|_| close::PROTOCOL)?;
        link.inward.next = first.checked_add(count).ok_or(close::PROTOCOL)?;
        if link.inward.unacknowledged() > WINDOW {
            return Err(close::PROTOCOL);
        }
        link.inward.batches += 1;
        link.inward.bytes += bytes;
        let pauses = link.inward.bytes > LINK_HIGH_WATER_BYTES && !link.inward.is_paused;
        link.inward.is_paused |= pauses;
        let (session, link) = (link.session.clone(), link.number);
        if pauses {
            self.fx.act(op, |op| Action::Pause { op });
        }
        let call = StoreOp::Append { session, link, first, lines };
        self.store(Pending::Append { op, bytes }, call);
        Ok(())
    }

    pub(in crate::relay) fn appended(
        &mut self,
        op: OpId,
        bytes: usize,
        answer: Result<Answer, StoreError>,
    ) {
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
            self.say(op, &ControlFrame::Ack { received });
        }
        if resumes {
            self.fx.act(op, |op| Action::Resume { op });
        }
    }
}

/// A line for the log, which can only hold messages: what is none is told about instead. It keeps
/// its number, so that both ends count the same.
pub(super) fn checked(origin: Origin, line: Text) -> Result<Line, u16> {
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
