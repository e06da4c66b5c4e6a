//! What a stream of version 2 needs besides its lines (C-2).

use alloc::collections::VecDeque;

use crate::base::limits::LINK_WINDOW_LINES;

/// Which of the messages on their way are lines. A worker that sends no acks resumes after the last
/// line that it has seen, so a line that has left is kept until half a window of others has left too.
#[derive(Debug, Default)]
pub(super) struct Unacknowledged {
    on_the_way: VecDeque<bool>,
    /// Lines that have left and are still kept.
    left: usize,
}

/// How many lines that have left are kept.
const KEPT_LINES: usize = LINK_WINDOW_LINES / 2;

impl Unacknowledged {
    pub(super) fn sending(&mut self, is_line: bool) {
        self.on_the_way.push_back(is_line);
    }

    /// So many messages have left. Returns how many of them were lines.
    pub(super) fn left(&mut self, messages: usize) -> usize {
        let gone = self.on_the_way.drain(..messages.min(self.on_the_way.len()));
        let lines = gone.filter(|is_line| *is_line).count();
        self.left += lines;
        lines
    }

    /// How many of the lines that were sent are no longer kept.
    pub(super) fn surplus(&mut self, in_flight: usize) -> usize {
        let surplus = in_flight.saturating_sub(KEPT_LINES).min(self.left);
        self.left -= surplus;
        surplus
    }
}
