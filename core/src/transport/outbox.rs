//! What this side has said and the other is not yet known to have safe.

use alloc::collections::VecDeque;

use bytes::Bytes;

use crate::base::limits::{LINK_WINDOW_BYTES, LINK_WINDOW_LINES};
use crate::base::text::Text;
use crate::contract::action::Message;

/// One numbered thing to say.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// A line of the agent, as it was.
    Line(Text),
    /// A `report` word of this side itself.
    Report(Bytes),
}

impl Item {
    const fn len(&self) -> usize {
        match self {
            Self::Line(line) => line.len(),
            Self::Report(word) => word.len(),
        }
    }

    fn message(&self) -> Message {
        match self {
            Self::Line(line) => Message::Text(line.clone()),
            Self::Report(word) => Message::Binary(word.clone()),
        }
    }
}

/// The other side counts more lines than were ever sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AckOutOfRange;

/// Numbered items in order: the safe ones are gone, some are on their way, the rest waits.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Numbers up to this one are safe and no longer held.
    safe: u64,
    items: VecDeque<Item>,
    bytes: usize,
    /// How many of `items`, from the front, have gone out on this connection.
    in_flight: usize,
    in_flight_bytes: usize,
    /// How many of `items` have gone out on any connection.
    ever_sent: usize,
    /// Whether the numbering is settled with the other side.
    is_settled: bool,
}

impl Outbox {
    pub(crate) const fn new() -> Self {
        Self {
            safe: 0,
            items: VecDeque::new(),
            bytes: 0,
            in_flight: 0,
            in_flight_bytes: 0,
            ever_sent: 0,
            is_settled: false,
        }
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.bytes += item.len();
        self.items.push_back(item);
    }

    /// Bytes held.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Own lines that are no longer held: what `resume` says as `from`.
    pub(crate) const fn safe(&self) -> u64 {
        self.safe
    }

    /// A connection is new: nothing is on its way on it.
    pub(crate) const fn disconnect(&mut self) {
        self.in_flight = 0;
        self.in_flight_bytes = 0;
    }

    /// The other side says what it has, on a new connection. A session that was run elsewhere
    /// before has lines there already: the numbering begins after those.
    pub(crate) fn resume(&mut self, received: u64) -> Result<(), AckOutOfRange> {
        self.disconnect();
        if !self.is_settled {
            self.is_settled = true;
            self.safe = received;
            return Ok(());
        }
        // Lines below `safe` that the other side has lost cannot be said again.
        self.drop_safe(received)
    }

    /// The other side has all numbers up to `received` safe.
    pub(crate) fn ack(&mut self, received: u64) -> Result<(), AckOutOfRange> {
        self.drop_safe(received)
    }

    fn drop_safe(&mut self, received: u64) -> Result<(), AckOutOfRange> {
        let count = usize::try_from(received.saturating_sub(self.safe)).unwrap_or(usize::MAX);
        if count > self.ever_sent {
            return Err(AckOutOfRange);
        }
        for item in self.items.drain(..count) {
            self.bytes -= item.len();
            if self.in_flight > 0 {
                self.in_flight -= 1;
                self.in_flight_bytes -= item.len();
            }
            self.ever_sent -= 1;
            self.safe += 1;
        }
        Ok(())
    }

    /// The next message to put on this connection, if the window has room for it.
    pub(crate) fn next_to_send(&mut self) -> Option<Message> {
        let item = self.items.get(self.in_flight)?;
        let has_room = self.in_flight < LINK_WINDOW_LINES
            && self.in_flight_bytes + item.len() <= LINK_WINDOW_BYTES;
        if !has_room && self.in_flight > 0 {
            return None;
        }
        self.in_flight += 1;
        self.in_flight_bytes += item.len();
        self.ever_sent = self.ever_sent.max(self.in_flight);
        Some(item.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    fn with_lines(count: usize) -> Outbox {
        let mut outbox = Outbox::new();
        for n in 1..=count {
            outbox.push(Item::Line(Text::from(n.to_string())));
        }
        outbox
    }

    fn send_all(outbox: &mut Outbox) -> Vec<usize> {
        core::iter::from_fn(|| outbox.next_to_send())
            .map(|message| match message {
                Message::Text(text) => text.as_str().parse().expect("a number"),
                Message::Binary(_) => panic!("no report"),
            })
            .collect()
    }

    #[test]
    fn after_a_break_exactly_what_the_other_side_lacks_is_said_again() {
        let mut outbox = with_lines(5);
        outbox.resume(0).expect("fresh");
        assert_eq!(send_all(&mut outbox), [1, 2, 3, 4, 5]);
        outbox.ack(2).expect("counted");
        outbox.resume(3).expect("counted");
        assert_eq!(send_all(&mut outbox), [4, 5]);
        outbox.ack(5).expect("counted");
        assert!(outbox.is_empty());
        assert_eq!((outbox.bytes(), outbox.safe()), (0, 5));
    }

    #[test]
    fn the_numbering_begins_after_what_the_other_side_has_from_before() {
        let mut outbox = with_lines(2);
        outbox.resume(40).expect("fresh");
        assert_eq!(send_all(&mut outbox), [1, 2]);
        outbox.ack(42).expect("counted");
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_peer_that_counts_what_was_never_sent_is_found_out() {
        let mut outbox = with_lines(2);
        outbox.resume(0).expect("fresh");
        assert_eq!(outbox.ack(1), Err(AckOutOfRange));
        assert_eq!(send_all(&mut outbox), [1, 2]);
        assert_eq!(outbox.ack(3), Err(AckOutOfRange));
        assert_eq!(outbox.resume(u64::MAX), Err(AckOutOfRange));
    }

    #[test]
    fn a_peer_that_lost_safe_lines_gets_the_next_one_that_is_held() {
        let mut outbox = with_lines(3);
        outbox.resume(0).expect("fresh");
        send_all(&mut outbox);
        outbox.ack(2).expect("counted");
        outbox.resume(0).expect("counted");
        assert_eq!(send_all(&mut outbox), [3]);
    }

    #[test]
    fn the_window_holds_back_but_one_line_always_fits() {
        let mut outbox = with_lines(LINK_WINDOW_LINES + 1);
        outbox.resume(0).expect("fresh");
        assert_eq!(send_all(&mut outbox).len(), LINK_WINDOW_LINES);
        outbox.ack(1).expect("counted");
        assert_eq!(send_all(&mut outbox).len(), 1);

        let mut outbox = Outbox::new();
        let big = "x".repeat(LINK_WINDOW_BYTES + 1);
        outbox.push(Item::Line(Text::from(big.clone())));
        outbox.push(Item::Line(Text::from(big)));
        outbox.resume(0).expect("fresh");
        assert!(outbox.next_to_send().is_some());
        assert!(outbox.next_to_send().is_none());
    }
}
