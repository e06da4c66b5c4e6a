//! Credentials that this relay does not know, counted by the address they come from.
//!
//! After a few, an address is told to wait, and its connections are closed: what it tries costs it a
//! connection each. A credential that is right is never refused for that, because others may share
//! the address. What keeps guesses from succeeding is the length of the credentials; this keeps them
//! cheap for everyone else, and visible.

use alloc::collections::BTreeMap;
use core::net::IpAddr;

use crate::base::limits::{
    GUESS_ALLOWED_EVERY, GUESS_ALLOWED_EVERY_IN_ALL, GUESS_REPORTS_ALLOWED, GUESSES_ALLOWED,
    GUESSES_ALLOWED_IN_ALL, GUESSES_REPORTED_EVERY, MAX_TRACKED_ADDRESSES,
};
use crate::base::time::Instant;
use crate::engine::admission::counted_address;
use crate::relay::notice::RelayNotice;
use crate::relay::rate::Allowance;

/// Wrong credentials, by address.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    by_address: BTreeMap<IpAddr, Guesser>,
    in_all: Allowance,
    reports: Allowance,
}

#[derive(Debug)]
struct Guesser {
    allowance: Allowance,
    last: Instant,
    reported: Option<Instant>,
    unreported: u64,
}

/// What became of a wrong credential.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Guess {
    /// Its address has to wait.
    pub(super) is_slowed: bool,
    pub(super) report: Option<RelayNotice>,
}

impl Guesses {
    /// An address has shown a credential that this relay does not know.
    pub(super) fn wrong(&mut self, now: Instant, client: IpAddr) -> Guess {
        // Whoever has an address of version 6 has a network full of them.
        let counted = counted_address(client);
        if !self.by_address.contains_key(&counted) && self.by_address.len() >= MAX_TRACKED_ADDRESSES
        {
            self.forget_oldest();
        }
        let guesser = self.by_address.entry(counted).or_insert_with(|| Guesser {
            allowance: Allowance::default(),
            last: now,
            reported: None,
            unreported: 0,
        });
        guesser.last = now;
        guesser.unreported += 1;
        let own = guesser.allowance.take(now, GUESSES_ALLOWED, GUESS_ALLOWED_EVERY);
        let shared = self.in_all.take(now, GUESSES_ALLOWED_IN_ALL, GUESS_ALLOWED_EVERY_IN_ALL);
        let is_due =
            guesser.reported.is_none_or(|at| now.saturating_since(at) >= GUESSES_REPORTED_EVERY);
        let may_report =
            is_due && self.reports.take(now, GUESS_REPORTS_ALLOWED, GUESSES_REPORTED_EVERY);
        let report = may_report.then(|| {
            guesser.reported = Some(now);
            RelayNotice::CredentialsRefused {
                client,
                count: core::mem::take(&mut guesser.unreported),
            }
        });
        Guess { is_slowed: !(own && shared), report }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.by_address.iter().min_by_key(|(_, guesser)| guesser.last);
        if let Some(address) = oldest.map(|(address, _)| *address) {
            self.by_address.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_network_of_addresses_guesses_no_oftener_and_is_shown_by_each() {
        let mut guesses = Guesses::default();
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let client = |n: u32| address(&alloc::format!("2001:db8:1:2::{n:x}"));
        let now = Instant::ORIGIN;
        let first = guesses.wrong(now, client(0xabc)).report;
        let named = |report: &Option<RelayNotice>, client: IpAddr| matches!(report, Some(RelayNotice::CredentialsRefused { client: named, .. }) if *named == client);
        assert!(named(&first, client(0xabc)), "{first:?}");
        let slowed = (0..1000).position(|n| guesses.wrong(now, client(n)).is_slowed);
        assert!(slowed.is_some_and(|n| n < 100), "{slowed:?}");
        assert!(!guesses.wrong(now, address("2001:db8:1:3::1")).is_slowed, "a neighbour");
    }
}
