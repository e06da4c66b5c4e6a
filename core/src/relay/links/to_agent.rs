//! Lines for the agent: read from the store, as far as the window allows.

use alloc::collections::VecDeque;

use crate::base::limits::{LINK_WINDOW_BYTES, LINK_WINDOW_LINES};
use crate::relay::close;

/// How far the lines for the agent have come.
#[derive(Debug, Default)]
pub(super) struct ToAgent {
    /// The last line sent.
    sent: u64,
    /// The last line that exists.
    until: u64,
    /// Lines sent and not acknowledged: number and bytes.
    in_flight: VecDeque<(u64, usize)>,
    bytes: usize,
    read: StoreStep,
    /// The last line the worker has acknowledged.
    acked: u64,
    /// The last line the worker has, acknowledged or not.
    with_worker: u64,
    /// What the store knows of these two.
    noted: Note,
    /// Notes that the store has not confirmed.
    notes: usize,
}

/// How far the lines for the agent have come, for the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) acked: u64,
    pub(super) with_worker: u64,
}

/// Whether the store is working on something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum StoreStep {
    #[default]
    Idle,
    UnderWay,
}

/// Lines to read from the store.
pub(super) struct Wanted {
    pub(super) after: u64,
    pub(super) max_lines: usize,
    pub(super) max_bytes: usize,
}

impl ToAgent {
    /// For a new link, whose worker has this many lines.
    pub(super) fn after(sent: u64) -> Self {
        let noted = Note { acked: sent, with_worker: sent };
        Self { sent, until: sent, acked: sent, with_worker: sent, noted, ..Self::default() }
    }

    /// How many lines were sent and not acknowledged.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// The worker says that it has these lines; whether they exist is for the store to say. A
    /// worker of an earlier version says so of lines that it acknowledges only later.
    pub(super) fn resume(&mut self, received: u64) {
        self.sent = self.sent.max(received);
    }

    /// The worker has the lines up to `from`, as the store knows; there are lines up to `until`.
    pub(super) fn resumed(&mut self, from: u64, until: u64) {
        self.sent = self.sent.max(from);
        self.acked = self.acked.max(from);
        self.with_worker = self.with_worker.max(from);
        self.noted.acked = self.noted.acked.max(from);
        self.noted.with_worker = self.noted.with_worker.max(from);
        self.grow(until);
    }

    /// The worker is done with the lines up to this one, whether or not they came on this stream: they
    /// need not be sent on it any more.
    pub(super) fn on_done(&mut self, received: u64) {
        let received = received.min(self.until);
        self.sent = self.sent.max(received);
        while self.in_flight.front().is_some_and(|(number, _)| *number <= received) {
            self.bytes -= self.in_flight.pop_front().map_or(0, |(_, bytes)| bytes);
        }
        self.acked = self.acked.max(received);
    }

    /// Lines exist up to this one.
    pub(super) fn grow(&mut self, until: u64) {
        self.until = self.until.max(until);
    }

    /// The worker has the lines up to this one; fails with a close code.
    pub(super) fn on_ack(&mut self, received: u64) -> Result<(), u16> {
        if received > self.sent {
            return Err(close::PROTOCOL);
        }
        while let Some((number, bytes)) = self.in_flight.front().copied() {
            if number > received {
                break;
            }
            self.in_flight.pop_front();
            self.bytes -= bytes;
        }
        self.acked = self.acked.max(received);
        Ok(())
    }

    /// The worker has the lines up to this one, but not all of them are with the agent; fails with a
    /// close code.
    pub(super) fn on_held(&mut self, received: u64) -> Result<(), u16> {
        if received > self.sent {
            return Err(close::PROTOCOL);
        }
        self.with_worker = self.with_worker.max(received);
        Ok(())
    }

    /// This many lines have left for a worker that sends no acks.
    pub(super) fn on_left(&mut self, lines: usize) {
        for (number, bytes) in self.in_flight.drain(..lines.min(self.in_flight.len())) {
            self.bytes -= bytes;
            self.acked = self.acked.max(number);
        }
    }

    /// What to store next: one at a time, because however many arrive meanwhile, the last one
    /// covers them all.
    pub(super) fn next_note(&mut self) -> Option<Note> {
        if self.notes > 0 { None } else { self.note_at_once() }
    }

    /// The same, whatever is under way: for the store, an agent's line must not come before the ack
    /// of what it reacts to.
    pub(super) fn note_at_once(&mut self) -> Option<Note> {
        let note = Note { acked: self.acked, with_worker: self.with_worker.max(self.acked) };
        let is_new = note.acked > self.noted.acked || note.with_worker > self.noted.with_worker;
        if !is_new {
            return None;
        }
        self.notes += 1;
        self.noted = note;
        Some(self.noted)
    }

    pub(super) fn on_noted(&mut self) {
        self.notes = self.notes.saturating_sub(1);
    }

    /// What to read next: as many lines as the window has room for.
    pub(super) fn next_read(&mut self) -> Option<Wanted> {
        let max_lines = LINK_WINDOW_LINES.saturating_sub(self.in_flight.len());
        let max_bytes = LINK_WINDOW_BYTES.saturating_sub(self.bytes);
        let has_more = self.read == StoreStep::Idle && self.sent < self.until;
        // One line always fits, so the next one is read when nothing is in flight or a byte is
        // free.
        if !has_more || max_lines == 0 || max_bytes == 0 {
            return None;
        }
        self.read = StoreStep::UnderWay;
        Some(Wanted { after: self.sent, max_lines, max_bytes })
    }

    pub(super) fn on_read(&mut self, lines: usize) {
        self.read = StoreStep::Idle;
        if lines == 0 {
            // The lines were dropped when the session ended.
            self.until = self.sent;
        }
    }

    /// Counts a line as sent; says whether the window has room for it. A line larger than the
    /// window has to wait until it is alone.
    pub(super) fn admit(&mut self, number: u64, bytes: usize) -> bool {
        if self.bytes + bytes > LINK_WINDOW_BYTES && !self.in_flight.is_empty() {
            return false;
        }
        self.sent = number;
        self.bytes += bytes;
        self.in_flight.push_back((number, bytes));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_finishes_while_it_is_read_again_does_not_fill_the_window() {
        let mut lines = ToAgent::after(0);
        let many = LINK_WINDOW_LINES as u64;
        lines.grow(many);
        let wanted = lines.next_read().map(|wanted| wanted.after);
        assert_eq!(wanted, Some(0));
        // It had them from the stream before.
        lines.on_done(many);
        lines.on_read(LINK_WINDOW_LINES);
        assert_eq!(lines.sent(), many, "none of them has to be sent");
        assert_eq!(lines.in_flight(), 0);
        lines.grow(many + 1);
        assert!(lines.next_read().is_some_and(|wanted| wanted.after == many));
    }

    #[test]
    fn lines_that_do_not_exist_are_nobodys() {
        let mut lines = ToAgent::after(3);
        lines.grow(5);
        lines.on_done(900);
        assert_eq!((lines.sent(), lines.in_flight()), (5, 0));
    }
}
