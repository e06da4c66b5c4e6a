//! Promise 8: What can be retried never ends a worker early, and `Retry-After` is honored. What
//! somebody else than the relay answers is always such, and ends no agent either.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use footbridge_core::contract::machine::MachineErrorKind;

use super::Promise;
use crate::fact::Fact;
use crate::ids::{PartyId, Role};
use crate::sim::clock::Time;

/// The longest pause that a worker keeps because it is asked to.
const LONGEST_PAUSE: u64 = 120;

/// How long a worker keeps trying (W-2).
const GIVE_UP: Duration = Duration::from_secs(600);

/// What fails first may be a stream of work, whose end is not seen here. The request after it is made
/// within the first pause, and fails within its own time.
const UNSEEN: Duration = Duration::from_secs(2 + 30);

#[derive(Default)]
pub(crate) struct Patience {
    /// When each activity first failed since it last succeeded, on the worker's monotonic clock.
    failing: BTreeMap<(PartyId, &'static str), Duration>,
    /// The time before which it must not be retried.
    not_before: BTreeMap<(PartyId, &'static str), Duration>,
    /// A refusal that is final.
    refused: BTreeMap<PartyId, u16>,
    mono: BTreeMap<PartyId, Duration>,
    /// Those whose clocks did something that looks like a sleep since their last request.
    dozed: BTreeSet<PartyId>,
}

impl Promise for Patience {
    fn name(&self) -> &'static str {
        "patience"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::IncomingRequest { party, what, mono } => {
                self.mono.insert(*party, *mono);
                // After a sleep, everything is retried immediately.
                if self.dozed.remove(party) {
                    self.not_before.retain(|(of, _), _| of != party);
                }
                let not_before = self.not_before.remove(&(*party, *what));
                if not_before.is_some_and(|at| *mono < at) {
                    return Err(format!("a worker did {what} before Retry-After was over"));
                }
            }
            Fact::Answered { party, what, status, is_relays, retry_after, mono } => {
                self.mono.insert(*party, *mono);
                let is_proof = what.starts_with("prove");
                let until = |secs: u64| *mono + Duration::from_secs(secs.min(LONGEST_PAUSE));
                match status {
                    _ if !is_relays => {
                        self.failing.entry((*party, *what)).or_insert(*mono);
                        if let Some(secs) = retry_after.filter(|_| !is_proof) {
                            self.not_before.insert((*party, *what), until(secs));
                        }
                    }
                    // Whatever it was asked for has still to succeed.
                    200..=299 if is_proof => {}
                    200..=299 => {
                        self.failing
                            .retain(|(of, what), _| of != party || !what.starts_with("prove"));
                        self.failing.remove(&(*party, *what));
                    }
                    429 | 500..=599 => {
                        self.failing.entry((*party, *what)).or_insert(*mono);
                        // The next one may be asked for something else.
                        if let (Some(secs), 429 | 503, false) = (retry_after, status, is_proof) {
                            self.not_before.insert((*party, *what), until(*secs));
                        }
                    }
                    _ if is_proof => {
                        self.failing.entry((*party, *what)).or_insert(*mono);
                    }
                    _ => {
                        self.refused.insert(*party, *status);
                    }
                }
            }
            Fact::Failed { party, what, mono } => {
                self.mono.insert(*party, *mono);
                self.failing.entry((*party, *what)).or_insert(*mono);
            }
            Fact::Killed { session, is_misled: true, .. } => {
                let words = "was ended by an answer that is not the relay's";
                return Err(format!("the agent of {session} {words}"));
            }
            Fact::Slept { party } => {
                self.dozed.insert(*party);
            }
            Fact::Crashed { party, .. } => self.forget(*party),
            Fact::Finished { party, role: Role::Worker, outcome, was_ordered } => {
                let verdict = self.ended(*party, outcome, *was_ordered);
                self.forget(*party);
                return verdict;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Patience {
    fn forget(&mut self, party: PartyId) {
        self.failing.retain(|(of, _), _| *of != party);
        self.not_before.retain(|(of, _), _| *of != party);
        self.refused.remove(&party);
    }

    fn ended(
        &self,
        party: PartyId,
        outcome: &footbridge_core::contract::machine::Outcome,
        was_ordered: bool,
    ) -> Result<(), String> {
        let Err(fault) = outcome else {
            let words = String::from("a worker ended without being told to");
            return if was_ordered { Ok(()) } else { Err(words) };
        };
        match fault.kind {
            MachineErrorKind::GaveUp => {
                let now = self.mono.get(&party).copied().unwrap_or_default();
                let of_party = self.failing.iter().filter(|((of, _), _)| *of == party);
                let longest = of_party.map(|(_, since)| now.saturating_sub(*since)).max();
                if longest.is_some_and(|longest| longest >= GIVE_UP - UNSEEN) {
                    return Ok(());
                }
                Err(format!("a worker gave up after {longest:?}: {}", fault.message))
            }
            // Judged along with the tokens.
            MachineErrorKind::Unauthorized => Ok(()),
            _ => Err(format!("a worker ended although its relay works: {}", fault.message)),
        }
    }
}
