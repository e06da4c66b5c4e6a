//! Future events, ordered by virtual time, then by the order in which they were scheduled.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::sim::clock::Time;

/// All future events.
#[derive(Debug)]
pub(crate) struct EventQueue<H> {
    /// The order, with the place of each event. Events are large: they stay where they are.
    order: BinaryHeap<Reverse<(Time, u64, usize)>>,
    events: Vec<Option<H>>,
    free: Vec<usize>,
    noted: u64,
}

impl<H> EventQueue<H> {
    pub(crate) const fn new() -> Self {
        Self { order: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), noted: 0 }
    }

    pub(crate) fn note(&mut self, at: Time, what: H) {
        self.noted += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(what);
        self.order.push(Reverse((at, self.noted, place)));
    }

    /// Removes the next event.
    pub(crate) fn pop(&mut self) -> Option<(Time, H)> {
        let Reverse((at, _, place)) = self.order.pop()?;
        self.free.push(place);
        self.events[place].take().map(|what| (at, what))
    }

    /// When the next event happens.
    pub(crate) fn next(&self) -> Option<Time> {
        self.order.peek().map(|Reverse((at, ..))| *at)
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
