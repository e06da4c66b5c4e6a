//! What every part of the world may use: the time, chance, the queue of what is to happen, hosts
//! and parties, and what can be seen. The parts themselves (network, processes, store, ...) own
//! their state and are handed this.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};

use crate::fact::Fact;
use crate::faults::FaultPlan;
use crate::ids::{Address, PartyId};
use crate::mutants::Mutant;
use crate::sim::clock::Time;
use crate::sim::event::SimEvent;
use crate::sim::host::Host;
use crate::sim::party::Party;
use crate::sim::queue::EventQueue;
use crate::trace::Trace;

pub(crate) struct Cx {
    pub(crate) at: Time,
    pub(crate) rng: Rng,
    pub(crate) queue: EventQueue<SimEvent>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) parties: Vec<Party>,
    pub(crate) plan: FaultPlan,
    /// Nothing goes wrong any more.
    pub(crate) is_calm: bool,
    pub(crate) mutant: Option<Mutant>,
    /// What a broken party has in mind: the last question of each agent.
    pub(crate) questions: BTreeMap<(PartyId, OpId), String>,
    pub(crate) trace: Trace,
    /// Facts that have not been judged yet.
    pub(crate) facts: Vec<Fact>,
    pub(crate) violation: Option<Violation>,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub promise: &'static str,
    /// What was seen.
    pub words: String,
    /// When, in virtual time.
    pub at: Duration,
}

impl Cx {
    pub(crate) fn fact(&mut self, fact: Fact) {
        self.facts.push(fact);
    }

    /// Whether something can be seen of what happens right now.
    pub(crate) fn is_seen(&self, what: impl Fn(&Fact) -> bool) -> bool {
        self.facts.iter().any(what)
    }

    pub(crate) fn break_promise(&mut self, promise: &'static str, words: String) {
        let at = self.at;
        self.trace.record(at, "world", || format!("BROKEN {promise}: {words}"));
        self.violation.get_or_insert(Violation { promise, words, at });
    }

    pub(crate) fn later(&mut self, wait: Duration, what: SimEvent) {
        self.queue.note(self.at + wait, what);
    }

    /// A random time between half and one and a half times this one.
    pub(crate) fn about(&mut self, time: Duration) -> Duration {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.rng.u64(micros / 2..=micros + micros / 2))
    }

    /// How long a killed party stays down.
    pub(crate) fn down_time(&mut self) -> Duration {
        match self.rng.u8(..10) {
            0 => Duration::from_secs(self.rng.u64(60..1200)),
            1..4 => Duration::from_secs(self.rng.u64(5..60)),
            _ => Duration::from_millis(self.rng.u64(10..5_000)),
        }
    }

    /// Tells a party, almost immediately, something that its own runtime knows.
    pub(crate) fn tell(&mut self, to: Address, event: Event) {
        self.later(Duration::from_micros(20), SimEvent::Deliver(to, event));
    }

    /// Adds a party's line to the trace.
    pub(crate) fn record(&mut self, party: PartyId, words: impl FnOnce() -> String) {
        self.trace.record(self.at, &self.parties[party].name, words);
    }

    pub(crate) fn is_alive(&self, to: Address) -> bool {
        self.parties.get(to.party).is_some_and(|party| party.is_up() && party.life == to.life)
    }
}

pub(crate) fn failure(kind: IoErrorKind) -> IoError {
    IoError { kind, detail: String::from("simulated") }
}
