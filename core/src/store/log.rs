//! The ordered log of one session, bounded by bytes (Y-2).

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use super::record::Entry;
use crate::base::limits::{EVENT_OVERHEAD_BYTES, MAX_RECENT_UUIDS};

/// A contiguous run of events: the end of everything that was ever logged.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    kept: VecDeque<Kept>,
    bytes: usize,
    last_seq: u64,
    /// The numbers of the messages that came last, kept or not: a repetition may come late.
    by_uuid: BTreeMap<String, u64>,
    uuids: VecDeque<String>,
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
            self.remember(uuid.clone(), entry.seq);
        }
        let kept = Kept { entry, uuid };
        self.bytes += kept.bytes();
        self.kept.push_back(kept);
        while self.bytes > limit && self.kept.len() > 1 {
            let Some(gone) = self.kept.pop_front() else { break };
            self.bytes -= gone.bytes();
        }
    }

    fn remember(&mut self, uuid: String, seq: u64) {
        self.by_uuid.insert(uuid.clone(), seq);
        self.uuids.push_back(uuid);
        if self.uuids.len() > MAX_RECENT_UUIDS
            && let Some(oldest) = self.uuids.pop_front()
        {
            self.by_uuid.remove(&oldest);
        }
    }

    /// The number of the event with this uuid, of the [`MAX_RECENT_UUIDS`] last ones that had one.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::Text;
    use crate::base::time::UnixTime;
    use crate::store::record::Origin;

    fn push(log: &mut Log, uuid: Option<String>) {
        let (seq, at) = (log.last_seq() + 1, UnixTime::from_millis(0));
        let entry = Entry { seq, at, origin: Origin::Viewer, line: Text::from("{}") };
        log.push(entry, uuid, 1);
    }

    #[test]
    fn a_message_is_known_after_its_event_is_gone_until_too_many_came_since() {
        let mut log = Log::default();
        push(&mut log, Some(String::from("a")));
        push(&mut log, None);
        assert_eq!((log.first_seq(), log.seq_of("a")), (2, Some(1)));
        for n in 0..MAX_RECENT_UUIDS {
            assert_eq!(log.seq_of("a"), Some(1), "after {n} others");
            push(&mut log, Some(alloc::format!("{n}")));
        }
        assert_eq!(log.seq_of("a"), None);
    }
}
