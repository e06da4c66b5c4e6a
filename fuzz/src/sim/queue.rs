//! Future events, ordered by virtual time, then by the order in which they were scheduled.

use std::collections::BTreeMap;

use crate::sim::clock::Time;

/// All future events.
#[derive(Debug)]
pub(crate) struct EventQueue<H> {
    entries: BTreeMap<(Time, u64), H>,
    noted: u64,
}

impl<H> EventQueue<H> {
    pub(crate) const fn new() -> Self {
        Self { entries: BTreeMap::new(), noted: 0 }
    }

    pub(crate) fn note(&mut self, at: Time, what: H) {
        self.noted += 1;
        self.entries.insert((at, self.noted), what);
    }

    /// Removes the next event.
    pub(crate) fn pop(&mut self) -> Option<(Time, H)> {
        self.entries.pop_first().map(|((at, _), what)| (at, what))
    }

    /// When the next event happens.
    pub(crate) fn next(&self) -> Option<Time> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn events_of_the_same_time_happen_in_the_order_in_which_they_were_scheduled() {
        let mut agenda = EventQueue::new();
        for (at, what) in [(2, "c"), (1, "a"), (2, "d"), (1, "b")] {
            agenda.note(Duration::from_secs(at), what);
        }
        let order: String = std::iter::from_fn(|| agenda.pop()).map(|(_, what)| what).collect();
        assert_eq!(order, "abcd");
    }
}
