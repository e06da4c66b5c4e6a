//! What nobody can have read of a log, because it was dropped before.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// The events of one session that viewers have read, and those that some of them found dropped.
#[derive(Default)]
pub(super) struct Unread {
    read: BTreeSet<u64>,
    dropped: Vec<RangeInclusive<u64>>,
}

impl Unread {
    /// A viewer has read this event.
    pub(super) fn read(&mut self, seq: u64) {
        self.read.insert(seq);
    }

    /// A viewer was told that the events after the first up to the second are no longer kept.
    pub(super) fn dropped(&mut self, from: u64, until: u64) {
        self.dropped.push(from + 1..=until);
    }

    pub(super) fn has_gap(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// Whether an event after this one was dropped before anybody had read it: it may have said
    /// how that one ended.
    pub(super) fn is_any_after(&self, seq: u64) -> bool {
        let mut dropped = self.dropped.iter().cloned().flatten();
        dropped.any(|dropped| dropped > seq && !self.read.contains(&dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_dropped_before_anybody_had_read_it_is_unread() {
        let mut log = Unread::default();
        (1..=4).for_each(|seq| log.read(seq));
        assert!(!log.has_gap() && !log.is_any_after(0), "the rest may still come");
        log.dropped(0, 4);
        assert!(log.has_gap() && !log.is_any_after(0), "somebody else has read these");
        log.dropped(2, 6);
        assert!(log.is_any_after(3) && log.is_any_after(5));
        assert!(!log.is_any_after(6), "nothing after it was dropped");
        log.read(5);
        log.read(6);
        assert!(!log.is_any_after(3));
    }
}
