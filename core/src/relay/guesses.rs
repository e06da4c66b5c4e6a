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
        if !self.by_address.contains_key(&client) && self.by_address.len() >= MAX_TRACKED_ADDRESSES
        {
            self.forget_oldest();
        }
        let guesser = self.by_address.entry(client).or_insert_with(|| Guesser {
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
