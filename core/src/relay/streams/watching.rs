//! What all viewers together may take up.
//!
//! Each has a share of its own, so that one that does not read takes nothing from the others. Only
//! events that are larger than a share have to wait for each other.

use crate::base::limits::{MAX_LARGE_EVENTS, MAX_PAGE_READS, STREAM_CREDIT_IN_ALL};

/// Counts of what viewers take up.
#[derive(Debug, Default)]
pub(in crate::relay) struct Watching {
    streams: usize,
    large: usize,
    reads: usize,
}

impl Watching {
    pub(super) fn begin_stream(&mut self) {
        self.streams += 1;
    }

    pub(super) fn end_stream(&mut self) {
        debug_assert!(self.streams > 0, "more streams ended than began");
        self.streams = self.streams.saturating_sub(1);
    }

    /// How much may be on its way to each.
    pub(super) fn credit(&self, most: usize) -> usize {
        most.min(STREAM_CREDIT_IN_ALL / self.streams.max(1))
    }

    /// How many more large events may be sent.
    pub(super) const fn large_left(&self) -> usize {
        MAX_LARGE_EVENTS.saturating_sub(self.large)
    }

    pub(super) fn begin_large(&mut self) {
        self.large += 1;
    }

    pub(super) fn end_large(&mut self) {
        debug_assert!(self.large > 0, "more large events ended than began");
        self.large = self.large.saturating_sub(1);
    }

    pub(super) const fn may_read(&self) -> bool {
        self.reads < MAX_PAGE_READS
    }

    pub(super) fn begin_read(&mut self) {
        self.reads += 1;
    }

    pub(super) fn end_read(&mut self) {
        debug_assert!(self.reads > 0, "more reads ended than began");
        self.reads = self.reads.saturating_sub(1);
    }
}
