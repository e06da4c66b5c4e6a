//! The timers of one machine: private to it, and visible outside only as the next deadline.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::base::time::Instant;

/// At most one deadline per key, taken in time order.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    at: BTreeMap<K, Instant>,
    queue: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Clone> Timers<K> {
    pub(crate) const fn new() -> Self {
        Self { at: BTreeMap::new(), queue: BTreeSet::new() }
    }

    /// Sets the deadline of `key`, replacing any earlier one.
    pub(crate) fn set(&mut self, key: K, at: Instant) {
        if self.at.get(&key) == Some(&at) {
            return;
        }
        self.clear(&key);
        self.queue.insert((at, key.clone()));
        self.at.insert(key, at);
    }

    pub(crate) fn clear(&mut self, key: &K) {
        if let Some(at) = self.at.remove(key) {
            self.queue.remove(&(at, key.clone()));
        }
    }

    pub(crate) fn is_set(&self, key: &K) -> bool {
        self.at.contains_key(key)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes the earliest timer that is due, if any.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(K, Instant)> {
        if self.next()? > now {
            return None;
        }
        let (at, key) = self.queue.pop_first()?;
        self.at.remove(&key);
        Some((key, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn at(secs: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(secs))
    }

    #[test]
    fn timers_come_due_once_and_in_time_order() {
        let mut timers = Timers::new();
        timers.set("late", at(3));
        timers.set("early", at(1));
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.pop_due(at(2)), Some(("early", at(1))));
        assert_eq!(timers.pop_due(at(2)), None);
        assert_eq!(timers.pop_due(at(3)), Some(("late", at(3))));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn setting_a_timer_again_replaces_its_deadline() {
        let mut timers = Timers::new();
        timers.set("one", at(1));
        timers.set("one", at(5));
        assert_eq!(timers.pop_due(at(4)), None);
        timers.clear(&"one");
        assert!(!timers.is_set(&"one"));
        assert_eq!(timers.next(), None);
    }
}
