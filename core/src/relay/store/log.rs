//! The ordered log of one session, bounded by bytes (Y-2).

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use super::record::Entry;
use crate::limits::{EVENT_OVERHEAD_BYTES, MAX_OUTLIVED_UUIDS};

/// A contiguous run of events: the end of everything that was ever logged.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    kept: VecDeque<Kept>,
    bytes: usize,
    last_seq: u64,
    by_uuid: BTreeMap<String, u64>,
    /// Uuids of events that are no longer kept, the oldest first.
    outlived: VecDeque<String>,
}

#[derive(Clone, Debug)]
struct Kept {
    entry: Entry,
    uuid: Option<String>,
}

impl Kept {
    fn bytes(&self) -> usize {
        self.entry.line.len() + self.uuid.as_ref().map_or(0, String::len) + EVENT_OVERHEAD_BYTES
    }
}

impl Log {
    pub(super) const fn last_seq(&self) -> u64 {
        self.last_seq
    }

    pub(super) fn first_seq(&self) -> u64 {
        self.kept.front().map_or(self.last_seq + 1, |kept| kept.entry.seq)
    }

    /// Adds the next event, whose number is `last_seq` + 1, and lets the oldest go beyond `limit`
    /// bytes; the newest always stays.
    pub(super) fn push(&mut self, entry: Entry, uuid: Option<String>, limit: usize) {
        self.last_seq = entry.seq;
        if let Some(uuid) = &uuid {
            self.by_uuid.insert(uuid.clone(), entry.seq);
        }
        let kept = Kept { entry, uuid };
        self.bytes += kept.bytes();
        self.kept.push_back(kept);
        while self.bytes > limit && self.kept.len() > 1 {
            let Some(gone) = self.kept.pop_front() else { break };
            self.bytes -= gone.bytes();
            self.outlived.extend(gone.uuid);
        }
        while self.outlived.len() > MAX_OUTLIVED_UUIDS {
            if let Some(uuid) = self.outlived.pop_front() {
                self.by_uuid.remove(&uuid);
            }
        }
    }

    /// The number of the event with this uuid: while it is kept, and some time longer. Whoever asks
    /// again after a lost answer may come after a flood of other events.
    pub(super) fn seq_of(&self, uuid: &str) -> Option<u64> {
        self.by_uuid.get(uuid).copied()
    }

    /// The events after `after`; at least one, if there is one.
    pub(super) fn page(&self, after: u64, max_events: usize, max_bytes: usize) -> Vec<Entry> {
        let skip = after.saturating_add(1).saturating_sub(self.first_seq());
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(self.kept.len());
        let mut bytes = 0;
        let fits = |kept: &&Kept| {
            let is_first = bytes == 0;
            bytes += kept.bytes();
            is_first || bytes <= max_bytes
        };
        let page = self.kept.range(skip..).take(max_events.max(1)).take_while(fits);
        page.map(|kept| kept.entry.clone()).collect()
    }
}
