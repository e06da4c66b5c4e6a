//! Promise 9, as far as it is implemented: one check for a newer access token at a time, at most
//! one retry per refusal, never a token known to be replaced; no worker is ended by a refusal while
//! its file contains a valid token, and no session by a revocation (E-10, W-8).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use footbridge_core::contract::machine::MachineErrorKind;

use super::Promise;
use crate::fact::Fact;
use crate::ids::{PartyId, Role};
use crate::sim::clock::Time;

/// A pause is at least half of the first one (W-2).
const LEAST_PAUSE: Duration = Duration::from_millis(250);

/// The proof that a relay knows what a worker registers with.
const OWN_PROOF: &str = "prove to its owner";
/// The proof that it knows its environment's secret.
const SECRET_PROOF: &str = "prove";

/// A worker finds out in this time whether it was the relay that has answered.
const UNLINKED_WITHIN: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct FreshTokens {
    /// What the relay accepts, and since when.
    good: (String, Time),
    /// What the workers' files hold, and since when.
    written: Option<(String, Time)>,
    workers: BTreeMap<PartyId, Worker>,
    failed: BTreeSet<PartyId>,
}

/// A worker's current life.
#[derive(Default)]
struct Worker {
    is_reading: bool,
    current: Option<String>,
    replaced: BTreeSet<String>,
    /// Its token was valid once: it may keep trying, with pauses.
    was_good: bool,
    /// Its clocks did something that a sleep looks like, since it last registered: a pause that was
    /// under way may be cut short, once (W-2).
    has_slept: bool,
    /// Refusals in a row, when the first refused request was sent, and the last of them.
    refused: u32,
    /// How often the relay did not know it without being shown it.
    unproved: u32,
    /// It waits for a proof that the last refusal was the relay's.
    is_unconfirmed: bool,
    asked_at: Time,
    refused_at: Time,
    /// When a session's request was last refused.
    denied: BTreeMap<String, Time>,
    /// When it was last told that a session is not known. It may act on that only once it knows that
    /// it was the relay, together with what else it was told.
    unlinked_at: Option<Time>,
    /// The same, as long as no proof was given since.
    denied_by_somebody: BTreeSet<String>,
}

impl Promise for FreshTokens {
    fn name(&self) -> &'static str {
        "fresh tokens"
    }

    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::TokenGood { token } if *token != self.good.0 => {
                self.good = (token.clone(), at);
            }
            Fact::TokenWritten { token } => self.written = Some((token.clone(), at)),
            Fact::DiskFailed { party } => {
                self.failed.insert(*party);
            }
            Fact::Started { party, role: Role::Worker } => {
                self.workers.insert(*party, Worker::default());
            }
            Fact::Slept { party } => {
                if let Some(worker) = self.workers.get_mut(party) {
                    worker.has_slept = true;
                }
            }
            Fact::TokenAsked { party } => return self.worker(*party).reads(),
            Fact::TokenRead { party, token } => self.worker(*party).read(token.as_ref()),
            Fact::IncomingRequest { party, what: OWN_PROOF, .. } => self.worker(*party).asks(at),
            Fact::Answered { party, what: OWN_PROOF, status: 401, is_relays: true, .. } => {
                let worker = self.worker(*party);
                (worker.unproved, worker.is_unconfirmed) = (worker.unproved + 1, false);
            }
            Fact::Answered {
                party,
                what: OWN_PROOF | SECRET_PROOF,
                status: 200,
                is_relays: true,
                ..
            } => {
                let worker = self.worker(*party);
                worker.is_unconfirmed = false;
                // It knows only now that it was the relay that denied it.
                let denied = std::mem::take(&mut worker.denied_by_somebody);
                worker.denied.extend(denied.into_iter().map(|session| (session, at)));
            }
            // It asks for another proof.
            Fact::Answered { what: SECRET_PROOF, status: 401, is_relays: true, .. } => {}
            Fact::Answered { party, what: OWN_PROOF | SECRET_PROOF, .. }
            | Fact::Failed { party, what: OWN_PROOF | SECRET_PROOF, .. } => {
                self.worker(*party).takes_back();
            }
            Fact::Presented { party, token } => return self.worker(*party).presents(at, token),
            Fact::Answered { party, what: "register", status, is_relays: true, .. } => {
                let worker = self.worker(*party);
                match status {
                    200..=299 => {
                        (worker.refused, worker.unproved, worker.was_good) = (0, 0, true);
                    }
                    401 => {
                        (worker.refused, worker.refused_at) = (worker.refused + 1, at);
                        worker.is_unconfirmed = true;
                    }
                    _ => {}
                }
            }
            Fact::Denied { party, session } => {
                let worker = self.worker(*party);
                worker.denied.insert(session.clone(), at);
                worker.denied_by_somebody.insert(session.clone());
            }
            Fact::Unlinked { party } => self.worker(*party).unlinked_at = Some(at),
            Fact::Killed { party, session, .. } => return self.worker(*party).kills(at, session),
            Fact::Finished { party, role: Role::Worker, outcome: Err(fault), .. }
                if fault.kind == MachineErrorKind::Unauthorized =>
            {
                return self.ended(*party);
            }
            _ => {}
        }
        Ok(())
    }
}

impl FreshTokens {
    fn worker(&mut self, party: PartyId) -> &mut Worker {
        self.workers.entry(party).or_default()
    }

    fn ended(&mut self, party: PartyId) -> Result<(), String> {
        let (good, good_since) = self.good.clone();
        let is_written = self.written.as_ref();
        let (is_good, since) = is_written.map_or((true, good_since), |(written, since)| {
            (*written == good, good_since.max(*since))
        });
        let is_excused = self.failed.contains(&party);
        let worker = self.worker(party);
        if worker.refused + worker.unproved < 2 {
            return Err(String::from("a worker was ended by the refusal of a secret"));
        }
        if is_good && worker.asked_at > since && !is_excused {
            return Err(String::from(
                "a worker was ended although its file contains a valid token",
            ));
        }
        Ok(())
    }
}

impl Worker {
    fn reads(&mut self) -> Result<(), String> {
        let words = String::from("a worker reads its token twice at the same time");
        if std::mem::replace(&mut self.is_reading, true) { Err(words) } else { Ok(()) }
    }

    fn kills(&self, at: Time, session: &str) -> Result<(), String> {
        let is_unknown = self.unlinked_at.is_some_and(|told| at <= told + UNLINKED_WITHIN);
        if self.denied.get(session) == Some(&at) && !is_unknown {
            return Err(format!("{session} was abandoned over a token that could be renewed"));
        }
        Ok(())
    }

    fn read(&mut self, token: Option<&String>) {
        self.is_reading = false;
        let Some(token) = token.filter(|token| self.current.as_ref() != Some(token)) else {
            return;
        };
        self.replaced.remove(token);
        self.replaced.extend(self.current.replace(token.clone()));
    }

    fn asks(&mut self, at: Time) {
        if self.refused + self.unproved == 0 {
            self.asked_at = at;
        }
    }

    /// Nobody knows whether it was the relay that refused.
    fn takes_back(&mut self) {
        if std::mem::take(&mut self.is_unconfirmed) {
            self.refused = self.refused.saturating_sub(1);
        }
    }

    fn presents(&mut self, at: Time, token: &str) -> Result<(), String> {
        self.asks(at);
        self.is_unconfirmed = false;
        let is_awake_again = std::mem::take(&mut self.has_slept);
        self.current.get_or_insert_with(|| token.to_owned());
        if self.replaced.contains(token) {
            return Err(String::from("a worker presents a token that it knows to be replaced"));
        }
        // The first refusal leads to another look at the file and a retry, the second to the end,
        // or to a pause, which a sleep ends.
        let is_early = self.refused.is_multiple_of(2)
            && self.unproved == 0
            && at < self.refused_at + LEAST_PAUSE
            && !is_awake_again;
        if self.refused >= 2 && (!self.was_good || is_early) {
            return Err(String::from("a worker retries after a second refusal"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: PartyId = 2;

    /// A worker whose token was valid once and is now refused twice in a row, at 10 s.
    fn refused_twice() -> FreshTokens {
        let mut promise = FreshTokens::default();
        let started = Fact::Started { party: WORKER, role: Role::Worker };
        let facts = [started, presented(), answered(200), presented(), answered(401)];
        for fact in facts.into_iter().chain([presented(), answered(401)]) {
            promise.see(Time::from_secs(10), &fact).expect("nothing is broken yet");
        }
        promise
    }

    fn presented() -> Fact {
        Fact::Presented { party: WORKER, token: String::from("token") }
    }

    fn answered(status: u16) -> Fact {
        answered_to("register", status, true)
    }

    fn answered_to(what: &'static str, status: u16, is_relays: bool) -> Fact {
        let (retry_after, mono) = (None, Duration::ZERO);
        Fact::Answered { party: WORKER, what, status, is_relays, retry_after, mono }
    }

    #[test]
    fn a_page_of_somebody_elses_proves_no_refusal() {
        for (is_relays, may_try) in [(true, false), (false, true)] {
            let mut promise = FreshTokens::default();
            let started = Fact::Started { party: WORKER, role: Role::Worker };
            let first = [started, presented(), answered(401)];
            let proof = answered_to(OWN_PROOF, 200, is_relays);
            for fact in first.into_iter().chain([proof, presented(), answered(401)]) {
                promise.see(Time::from_secs(10), &fact).expect("nothing is broken yet");
            }
            let tries = promise.see(Time::from_secs(10), &presented());
            assert_eq!(tries.is_ok(), may_try, "{tries:?}");
        }
    }

    #[test]
    fn after_a_second_refusal_a_worker_pauses() {
        let soon = Time::from_secs(10) + LEAST_PAUSE / 2;
        assert!(refused_twice().see(soon, &presented()).is_err());
        assert!(refused_twice().see(Time::from_secs(10) + LEAST_PAUSE, &presented()).is_ok());
    }

    #[test]
    fn a_sleep_ends_one_pause_and_no_more() {
        let soon = Time::from_secs(10) + LEAST_PAUSE / 2;
        let mut promise = refused_twice();
        let facts = [Fact::Slept { party: WORKER }, presented(), answered(401), presented()];
        for fact in facts.into_iter().chain([answered(401)]) {
            assert!(promise.see(soon, &fact).is_ok(), "{fact:?}");
        }
        assert!(promise.see(soon, &presented()).is_err());
    }

    #[test]
    fn the_sleep_of_another_machine_excuses_nobody() {
        let soon = Time::from_secs(10) + LEAST_PAUSE / 2;
        let mut promise = refused_twice();
        assert!(promise.see(soon, &Fact::Slept { party: WORKER + 1 }).is_ok());
        assert!(promise.see(soon, &presented()).is_err());
    }
}
