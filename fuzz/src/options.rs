//! What a run is made from: a seed, and what is fixed beside it.

use std::collections::BTreeSet;
use std::fmt;

use crate::agents::Kind;
use crate::faults::FaultKind;

/// A run. Everything that is `None` is drawn from the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where all chance comes from.
    pub seed: u64,
    /// Events after which the run ends, come what may.
    pub steps: u64,
    /// How many minutes of virtual time things go wrong.
    pub minutes: Option<u64>,
    /// How many workers there are.
    pub workers: Option<u32>,
    /// How many viewers there are.
    pub viewers: Option<u32>,
    /// What all agents are.
    pub agent: Option<Kind>,
    /// What may go wrong.
    pub faults: Option<BTreeSet<FaultKind>>,
    /// What is broken on purpose.
    pub mutant: Option<crate::mutants::Mutant>,
    /// Whether to keep a trace.
    pub trace: bool,
}

impl Options {
    /// A run from a seed alone.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            steps: 400_000,
            minutes: None,
            workers: None,
            viewers: None,
            agent: None,
            faults: None,
            mutant: None,
            trace: false,
        }
    }

    /// The same without anything that goes wrong.
    pub fn without_faults(mut self) -> Self {
        self.faults = Some(BTreeSet::new());
        self
    }
}

impl fmt::Display for Options {
    /// The arguments that replay it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--seed {} --steps {}", self.seed, self.steps)?;
        let numbers = [
            ("minutes", self.minutes),
            ("workers", self.workers.map(u64::from)),
            ("viewers", self.viewers.map(u64::from)),
        ];
        for (name, value) in numbers {
            if let Some(value) = value {
                write!(f, " --{name} {value}")?;
            }
        }
        if let Some(agent) = self.agent {
            write!(f, " --agent {}", format!("{agent:?}").to_lowercase())?;
        }
        if let Some(faults) = &self.faults {
            let names: Vec<_> = faults.iter().map(|fault| fault.name()).collect();
            let names = if names.is_empty() { String::from("none") } else { names.join(",") };
            write!(f, " --faults {names}")?;
        }
        if let Some(mutant) = self.mutant {
            write!(f, " --mutant {}", mutant.name())?;
        }
        Ok(())
    }
}
