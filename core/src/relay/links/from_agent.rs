//! Lines from the agent: into the store, then acknowledged.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::base::limits::{
    LINK_HIGH_WATER_BYTES, LINK_LOW_WATER_BYTES, LINK_WINDOW_LINES, LINK_WINDOW_LINES_TO_RELAY,
    MAX_LINE_BYTES,
};
use crate::base::text::Text;
use crate::relay::close;
use crate::store::{Line, Origin};
use crate::wire::log_message::LogMessage;
use crate::wire::message::Head;

/// How far the lines from the agent have come.
#[derive(Debug)]
pub(super) struct FromAgent {
    /// The number of the next one.
    next: u64,
    stored: u64,
    acked: u64,
    /// Batches the store has not confirmed yet, and their bytes.
    batches: usize,
    bytes: usize,
    flow: Flow,
    window: Window,
}

/// How far a worker may be ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    /// [`WINDOW`] lines ahead of the acks.
    Acknowledged,
    /// As far as the relay reads: the worker gets no acks.
    Unacknowledged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Reading,
    Paused,
}

/// What to do with lines that arrived.
pub(super) struct Taken {
    /// The number of the first line.
    pub(super) first: u64,
    pub(super) bytes: usize,
    /// Whether to stop reading for now.
    pub(super) pauses: bool,
}

/// What to do once lines are stored.
pub(super) struct Stored {
    /// Acknowledge lines up to this one.
    pub(super) ack: Option<u64>,
    /// Whether to resume reading.
    pub(super) resumes: bool,
}

/// How many lines a worker may be ahead of the acks it was sent.
const WINDOW: u64 = LINK_WINDOW_LINES_TO_RELAY;
/// How many lines of a worker that gets no acks may wait for the store.
const PLAIN_WINDOW: u64 = LINK_WINDOW_LINES as u64;
/// After this many lines an ack is sent even though more are on their way to the store.
const ACK_EVERY_LINES: u64 = 64;

impl FromAgent {
    /// For a new link, with this many lines stored.
    pub(super) const fn after(stored: u64, window: Window) -> Self {
        Self {
            next: stored + 1,
            stored,
            acked: stored,
            batches: 0,
            bytes: 0,
            flow: Flow::Reading,
            window,
        }
    }

    pub(super) const fn stored(&self) -> u64 {
        self.stored
    }

    /// The worker continues after what is stored, or after `from`, up to which it holds nothing.
    pub(super) fn resume(&mut self, from: u64) {
        self.acked = self.stored.max(from);
        self.next = self.acked + 1;
    }

    /// The store has every line up to this one, or counts it as lost.
    pub(super) fn resumed(&mut self, received: u64) {
        self.stored = self.stored.max(received);
        self.acked = self.acked.max(received);
    }

    /// Lines arrived; fails with a close code.
    pub(super) fn take(&mut self, lines: &[Line]) -> Result<Taken, u16> {
        let bytes = lines.iter().map(|line| line.line.len()).sum();
        let first = self.next;
        let count = u64::try_from(lines.len()).map_err(|_| close::PROTOCOL)?;
        self.next = first.checked_add(count).ok_or(close::PROTOCOL)?;
        let is_ahead = match self.window {
            Window::Acknowledged => self.unacknowledged() > WINDOW,
            // Even a single message must not be longer.
            Window::Unacknowledged => count > PLAIN_WINDOW,
        };
        if is_ahead {
            return Err(close::PROTOCOL);
        }
        self.batches += 1;
        self.bytes += bytes;
        let is_full = self.bytes > LINK_HIGH_WATER_BYTES || self.has_many_unstored();
        let pauses = is_full && self.flow == Flow::Reading;
        if pauses {
            self.flow = Flow::Paused;
        }
        Ok(Taken { first, bytes, pauses })
    }

    /// Lines that arrived and were not acknowledged.
    const fn unacknowledged(&self) -> u64 {
        self.next.saturating_sub(self.acked.saturating_add(1))
    }

    /// Whether more lines are waiting for the store than the window allows a worker that has one.
    fn has_many_unstored(&self) -> bool {
        let unstored = self.next.saturating_sub(self.stored.saturating_add(1));
        self.window == Window::Unacknowledged && unstored > PLAIN_WINDOW
    }

    /// A batch of this many bytes is stored, and with it all lines up to `received`.
    pub(super) fn on_stored(&mut self, received: u64, bytes: usize) -> Stored {
        self.stored = received;
        self.batches = self.batches.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        let has_room = self.bytes <= LINK_LOW_WATER_BYTES && !self.has_many_unstored();
        let resumes = self.flow == Flow::Paused && has_room;
        if resumes {
            self.flow = Flow::Reading;
        }
        let new = received.saturating_sub(self.acked);
        let is_due = new > 0 && (self.batches == 0 || new >= ACK_EVERY_LINES);
        if is_due {
            self.acked = received;
        }
        Stored { ack: is_due.then_some(received), resumes }
    }
}

/// The lines of a text message, or a close code.
pub(super) fn lines_of(text: &Text) -> Result<Vec<Line>, u16> {
    let line = |line: Text| {
        // A separate copy, so that a short line does not keep the whole message in memory.
        let own = Text::from_utf8(Bytes::copy_from_slice(line.as_bytes())).unwrap_or_default();
        checked(Origin::Agent, own)
    };
    // One more than allowed is enough to see that there are too many.
    let most = usize::try_from(WINDOW).unwrap_or(usize::MAX);
    text.clone().lines().take(most.saturating_add(1)).map(line).collect()
}

/// A line for the log, which can hold only messages: in place of one that is none, the log says
/// what was wrong with it. That takes the line's number, so that both ends count the same.
pub(in crate::relay) fn checked(origin: Origin, line: Text) -> Result<Line, u16> {
    if line.len() > MAX_LINE_BYTES {
        return Err(close::TOO_BIG);
    }
    let Err(error) = Head::parse(&line) else { return Ok(Line { origin, line }) };
    let end = line.as_str().char_indices().map(|(at, _)| at).nth(SHOWN_CHARS);
    let shown = line.as_str().get(..end.unwrap_or(line.len())).unwrap_or_default();
    let error = LogMessage::AgentOutputError {
        message: format!("{error}").into(),
        line: Cow::Borrowed(shown),
        more: 0,
    };
    Ok(Line { origin: Origin::Relay, line: error.to_line() })
}

/// How much of a line that is not a message is shown, in characters.
const SHOWN_CHARS: usize = 200;
