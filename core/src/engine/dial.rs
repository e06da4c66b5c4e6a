//! Which of a host's addresses to connect to, and when (RFC 8305, "Happy Eyeballs").
//!
//! A host may have an address that swallows whatever is sent to it, often the one of IPv6. So no
//! address is waited for alone: while one is silent, the next one is tried beside it, the two
//! families by turns. The first to connect is taken.

use alloc::collections::VecDeque;
use core::net::SocketAddr;
use core::time::Duration;

use crate::base::limits::{DIAL_INTERVAL, MAX_DIALED_ADDRESSES};

/// The attempts to connect to one host. Times are since the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    waiting: VecDeque<SocketAddr>,
    /// When the next one begins.
    next_at: Duration,
    under_way: usize,
}

impl Dial {
    /// Addresses in the system's order; the first one's family begins.
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let (mut first, mut other) = (VecDeque::new(), VecDeque::new());
        for address in addresses {
            let leads = first.front();
            let is_first =
                leads.is_none_or(|lead: &SocketAddr| lead.is_ipv4() == address.is_ipv4());
            if is_first { &mut first } else { &mut other }.push_back(address);
        }
        let mut waiting = VecDeque::new();
        while !(first.is_empty() && other.is_empty()) {
            waiting.extend(first.pop_front());
            waiting.extend(other.pop_front());
        }
        waiting.truncate(MAX_DIALED_ADDRESSES);
        Self { waiting, next_at: Duration::ZERO, under_way: 0 }
    }

    /// The address to try now, if one is due; the caller asks until there is none.
    pub fn next(&mut self, now: Duration) -> Option<SocketAddr> {
        if now < self.next_at {
            return None;
        }
        let address = self.waiting.pop_front()?;
        self.under_way += 1;
        self.next_at = now + DIAL_INTERVAL;
        Some(address)
    }

    /// When the next address is due, if there is another one.
    pub fn due(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(self.next_at)
    }

    /// An attempt has failed: the next one begins at once. Returns whether there is any hope left.
    pub fn failed(&mut self) -> bool {
        debug_assert!(self.under_way > 0, "an attempt that failed was under way");
        self.under_way = self.under_way.saturating_sub(1);
        self.next_at = Duration::ZERO;
        self.under_way > 0 || !self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_families_take_turns_and_the_first_ones_begins() {
        let all = ["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1", "10.0.0.2:1"].map(address);
        let order = |addresses: Vec<SocketAddr>| {
            let mut dial = Dial::new(addresses);
            let mut order = Vec::new();
            while let Some(due) = dial.due() {
                order.extend(dial.next(due));
            }
            order
        };
        let [six1, six2, six3, four1, four2] = all;
        assert_eq!(order(all.to_vec()), [six1, four1, six2, four2, six3]);
        assert_eq!(order(vec![four1, four2, six1]), [four1, six1, four2]);
        assert_eq!(order(vec![four1]), [four1]);
        assert_eq!(order(vec![six1; 100]).len(), MAX_DIALED_ADDRESSES);
        assert_eq!(order(vec![]), []);
    }

    #[test]
    fn while_one_is_silent_the_next_is_tried_beside_it_after_a_quarter_of_a_second() {
        let (dead, alive) = (address("[::1]:1"), address("127.0.0.1:1"));
        for (first, second) in [(dead, alive), (alive, dead)] {
            let mut dial = Dial::new([first, second]);
            assert_eq!(dial.next(ms(0)), Some(first));
            assert_eq!(dial.next(ms(0)), None);
            assert_eq!(dial.due(), Some(DIAL_INTERVAL));
            assert_eq!(dial.next(ms(250)), Some(second));
            assert_eq!((dial.due(), dial.next(ms(900))), (None, None));
            assert!(dial.failed(), "the other one is still under way");
            assert!(!dial.failed());
        }
    }

    #[test]
    fn after_a_failure_the_next_one_begins_at_once() {
        let mut dial = Dial::new([address("[::1]:1"), address("[::2]:1")]);
        dial.next(ms(0));
        assert!(dial.failed());
        assert!(dial.next(ms(3)).is_some());
        assert!(!dial.failed());
    }
}
