//! Everything sent or waiting to be sent that the relay has not acknowledged yet.

use alloc::collections::VecDeque;

use bytes::Bytes;

use crate::base::limits::{
    LINK_TAIL_BYTES, LINK_TAIL_LINES, LINK_WINDOW_BYTES, LINK_WINDOW_LINES,
    LINK_WINDOW_LINES_TO_RELAY,
};
use crate::base::text::Text;
use crate::contract::action::Message;

/// One numbered item.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// A line from the agent, unchanged.
    Line(Text),
    /// A report of this side itself: in version 1 the whole frame, in version 2 its message.
    Report(Bytes),
}

impl Item {
    const fn len(&self) -> usize {
        match self {
            Self::Line(line) => line.len(),
            Self::Report(frame) => frame.len(),
        }
    }

    fn message(&self) -> Message {
        match self {
            Self::Line(line) => Message::Text(line.clone()),
            Self::Report(frame) => Message::Binary(frame.clone()),
        }
    }
}

/// However little something on the way takes at a time.
const MIN_WINDOW_BYTES: usize = 16 << 10;

/// How many lines the other side had acknowledged and lacks now, because it was set back to an earlier
/// state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SetBack {
    /// These are sent again.
    pub(crate) again: u64,
    /// These are not held any more.
    pub(crate) lost: u64,
}

/// The other side acknowledged more than was ever sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AckOutOfRange;

/// Numbered items in order: acknowledged ones are gone, some are in flight, the rest wait.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Numbers up to this one are acknowledged.
    acked: u64,
    /// The last of those, in case the other side is set back to a state in which it lacks them.
    tail: VecDeque<Item>,
    tail_bytes: usize,
    items: VecDeque<Item>,
    bytes: usize,
    /// How many of `items`, from the front, were sent on this connection.
    in_flight: usize,
    in_flight_bytes: usize,
    /// How many of `items` were sent on any connection.
    ever_sent: usize,
    /// How many may be in flight.
    window: usize,
    /// How many bytes of them.
    window_bytes: usize,
    /// Whether both sides agree where the numbering starts.
    is_settled: bool,
    /// The number before the first item here, once they do.
    base: u64,
}

impl Outbox {
    pub(crate) const fn new() -> Self {
        Self {
            acked: 0,
            tail: VecDeque::new(),
            tail_bytes: 0,
            items: VecDeque::new(),
            bytes: 0,
            in_flight: 0,
            in_flight_bytes: 0,
            ever_sent: 0,
            window: LINK_WINDOW_LINES,
            window_bytes: LINK_WINDOW_BYTES,
            is_settled: false,
            base: 0,
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

    /// The last number that is acknowledged.
    pub(crate) const fn acked(&self) -> u64 {
        self.acked
    }

    /// The last number no longer held: `from` in our `resume`.
    pub(crate) fn dropped(&self) -> u64 {
        self.acked - self.tail.len() as u64
    }

    /// The number of the last item, once both sides agree where the numbering starts.
    pub(crate) fn last(&self) -> u64 {
        self.acked.saturating_add(u64::try_from(self.items.len()).unwrap_or(u64::MAX))
    }

    /// The number before the first item that was ever pushed, once both sides agree on it; 0 until
    /// then.
    pub(crate) const fn base(&self) -> u64 {
        self.base
    }

    /// The connection is gone, along with everything in flight on it.
    pub(crate) const fn disconnect(&mut self) {
        self.in_flight = 0;
        self.in_flight_bytes = 0;
    }

    /// On a new connection the other side says what it has, and how much more it takes at a time. A
    /// session that ran elsewhere before has lines there already, and the numbering starts after
    /// those.
    pub(crate) fn resume(
        &mut self,
        received: u64,
        window: Option<u64>,
    ) -> Result<SetBack, AckOutOfRange> {
        self.disconnect();
        let window = window.map(|lines| lines.min(LINK_WINDOW_LINES_TO_RELAY));
        let window = window.and_then(|lines| usize::try_from(lines).ok());
        self.window = window.unwrap_or(LINK_WINDOW_LINES);
        if !self.is_settled {
            self.is_settled = true;
            (self.acked, self.base) = (received, received);
            return Ok(SetBack::default());
        }
        self.drop_acked(received)?;
        Ok(self.go_back(received))
    }

    /// What the other side had acknowledged and lacks now is sent again, as far as it is held.
    fn go_back(&mut self, received: u64) -> SetBack {
        let (from, lacks) = (self.dropped(), self.acked.saturating_sub(received));
        while self.acked > received
            && let Some(item) = self.tail.pop_back()
        {
            self.tail_bytes -= item.len();
            self.bytes += item.len();
            self.ever_sent += 1;
            self.acked -= 1;
            self.items.push_front(item);
        }
        // Its own log may be older than what this side has ever sent on this way.
        let lost = from.saturating_sub(received);
        SetBack { again: lacks - lost, lost }
    }

    fn keep(&mut self, item: Item) {
        self.tail_bytes += item.len();
        self.tail.push_back(item);
        while self.tail_bytes > LINK_TAIL_BYTES || self.tail.len() > LINK_TAIL_LINES {
            let Some(oldest) = self.tail.pop_front() else { break };
            self.tail_bytes -= oldest.len();
        }
    }

    /// The other side has all numbers up to `received`.
    pub(crate) fn ack(&mut self, received: u64) -> Result<(), AckOutOfRange> {
        self.drop_acked(received)
    }

    fn drop_acked(&mut self, received: u64) -> Result<(), AckOutOfRange> {
        let count = usize::try_from(received.saturating_sub(self.acked)).unwrap_or(usize::MAX);
        if count > self.ever_sent {
            return Err(AckOutOfRange);
        }
        for _ in 0..count {
            let Some(item) = self.items.pop_front() else { break };
            self.bytes -= item.len();
            if self.in_flight > 0 {
                self.in_flight -= 1;
                self.in_flight_bytes -= item.len();
            }
            self.ever_sent -= 1;
            self.acked += 1;
            self.keep(item);
        }
        Ok(())
    }

    /// Something on the way takes less at a time than the other side: from now on it is half as much.
    pub(crate) fn narrow(&mut self) {
        self.window_bytes = (self.window_bytes / 2).max(MIN_WINDOW_BYTES);
    }

    /// The same, with each report written for another version.
    pub(crate) fn rewritten(mut self, rewrite: impl Fn(&Bytes) -> Bytes) -> Self {
        self.disconnect();
        for item in self.items.iter_mut().chain(&mut self.tail) {
            if let Item::Report(report) = item {
                *report = rewrite(report);
            }
        }
        self.bytes = self.items.iter().map(Item::len).sum();
        self.tail_bytes = self.tail.iter().map(Item::len).sum();
        self.window_bytes = LINK_WINDOW_BYTES;
        self
    }

    /// The next message to send on this connection, if the window has room for it.
    pub(crate) fn next_to_send(&mut self) -> Option<Message> {
        let item = self.items.get(self.in_flight)?;
        let has_room =
            self.in_flight < self.window && self.in_flight_bytes + item.len() <= self.window_bytes;
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
    fn after_a_break_exactly_what_the_other_side_lacks_is_sent_again() {
        let mut outbox = with_lines(5);
        outbox.resume(0, None).expect("fresh");
        assert_eq!(send_all(&mut outbox), [1, 2, 3, 4, 5]);
        outbox.ack(2).expect("counted");
        outbox.resume(3, None).expect("counted");
        assert_eq!(send_all(&mut outbox), [4, 5]);
        outbox.ack(5).expect("counted");
        assert!(outbox.is_empty());
        assert_eq!((outbox.bytes(), outbox.acked()), (0, 5));
    }

    #[test]
    fn the_numbering_starts_after_what_the_other_side_has_from_before() {
        let mut outbox = with_lines(2);
        outbox.resume(40, None).expect("fresh");
        assert_eq!(send_all(&mut outbox), [1, 2]);
        outbox.ack(42).expect("counted");
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_peer_that_acknowledges_items_never_sent_is_caught() {
        let mut outbox = with_lines(2);
        outbox.resume(0, None).expect("fresh");
        assert_eq!(outbox.ack(1), Err(AckOutOfRange));
        assert_eq!(send_all(&mut outbox), [1, 2]);
        assert_eq!(outbox.ack(3), Err(AckOutOfRange));
        assert_eq!(outbox.resume(u64::MAX, None), Err(AckOutOfRange));
    }

    #[test]
    fn a_peer_that_lost_acknowledged_lines_gets_those_that_are_still_held() {
        let mut outbox = with_lines(4);
        outbox.resume(0, None).expect("fresh");
        send_all(&mut outbox);
        outbox.ack(3).expect("counted");
        assert_eq!((outbox.acked(), outbox.dropped()), (3, 0));
        assert_eq!(outbox.resume(1, None), Ok(SetBack { again: 2, lost: 0 }));
        assert_eq!(send_all(&mut outbox), [2, 3, 4]);
        outbox.ack(4).expect("counted");
        assert_eq!((outbox.is_empty(), outbox.bytes(), outbox.last()), (true, 0, 4));

        let mut outbox = with_lines(LINK_TAIL_LINES + 3);
        outbox.resume(5, None).expect("fresh");
        while !outbox.is_empty() {
            let sent = send_all(&mut outbox).len() as u64;
            outbox.ack(outbox.acked() + sent).expect("counted");
        }
        assert_eq!(outbox.dropped(), 8);
        let held = LINK_TAIL_LINES as u64;
        assert_eq!(outbox.resume(2, None), Ok(SetBack { again: held, lost: 6 }));
        assert_eq!(outbox.acked(), 8, "the other side says what is missing before");
        assert_eq!(send_all(&mut outbox).first(), Some(&4));
    }

    #[test]
    fn what_is_held_of_acknowledged_lines_is_bounded() {
        let mut outbox = Outbox::new();
        for _ in 0..4 {
            outbox.push(Item::Line(Text::from("x".repeat(LINK_TAIL_BYTES / 2))));
        }
        outbox.push(Item::Line(Text::from("x".repeat(LINK_TAIL_BYTES + 1))));
        outbox.resume(0, None).expect("fresh");
        for (acked, dropped) in [(1, 0), (2, 0), (3, 1), (4, 2), (5, 5)] {
            while outbox.next_to_send().is_some() {}
            outbox.ack(acked).expect("counted");
            assert_eq!(outbox.dropped(), dropped);
        }
    }

    #[test]
    fn the_other_side_says_how_large_the_window_is_within_a_limit() {
        let most = LINK_WINDOW_LINES_TO_RELAY as usize;
        let cases =
            [(None, LINK_WINDOW_LINES), (Some(0), 1), (Some(300), 300), (Some(u64::MAX), most)];
        for (window, sent) in cases {
            let mut outbox = with_lines(most + 1);
            outbox.resume(0, window).expect("fresh");
            assert_eq!(send_all(&mut outbox).len(), sent, "{window:?}");
        }
    }

    #[test]
    fn the_window_holds_back_but_one_line_always_fits() {
        let mut outbox = with_lines(LINK_WINDOW_LINES + 1);
        outbox.resume(0, None).expect("fresh");
        assert_eq!(send_all(&mut outbox).len(), LINK_WINDOW_LINES);
        outbox.ack(1).expect("counted");
        assert_eq!(send_all(&mut outbox).len(), 1);

        let mut outbox = Outbox::new();
        let big = "x".repeat(LINK_WINDOW_BYTES + 1);
        outbox.push(Item::Line(Text::from(big.clone())));
        outbox.push(Item::Line(Text::from(big)));
        outbox.resume(0, None).expect("fresh");
        assert!(outbox.next_to_send().is_some());
        assert!(outbox.next_to_send().is_none());
    }
}
