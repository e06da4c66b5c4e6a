//! The options of a run: a seed, and anything that is fixed.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::faults::{FAULT_KINDS, FaultKind};
use crate::mutants::{MUTANTS, Mutant};
use crate::nodes::agents::{KINDS, Kind};

/// A run. Everything that is `None` is drawn from the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The source of all randomness.
    pub seed: u64,
    /// Events after which the run ends in any case.
    pub steps: u64,
    /// For how many minutes of virtual time things go wrong.
    pub minutes: Option<u64>,
    /// The number of workers.
    pub workers: Option<u32>,
    /// The number of viewers.
    pub viewers: Option<u32>,
    /// The kind of all agents.
    pub agent: Option<Kind>,
    /// What may go wrong.
    pub faults: Option<BTreeSet<FaultKind>>,
    /// Whether somebody without a credential takes part.
    pub strangers: Option<bool>,
    /// Whether a program exposes its own session.
    pub embedded: Option<bool>,
    /// Whether sessions of some workers travel as version 2.
    pub code_sessions: Option<bool>,
    /// Whether somebody logs machines in and ends them.
    pub machines: Option<bool>,
    /// Whether the work of some workers comes by a stream.
    pub work_streams: Option<bool>,
    /// The deliberately broken part.
    pub mutant: Option<Mutant>,
    /// Whether to keep a trace.
    pub trace: bool,
}

impl Options {
    /// A run from just a seed.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            steps: 400_000,
            minutes: None,
            workers: None,
            viewers: None,
            agent: None,
            faults: None,
            strangers: None,
            embedded: None,
            code_sessions: None,
            machines: None,
            work_streams: None,
            mutant: None,
            trace: false,
        }
    }

    /// Sets one of the arguments that [`Display`](fmt::Display) writes, without its dashes; `None`
    /// if there is no such argument.
    pub fn set(&mut self, name: &str, value: &str) -> Option<Result<(), String>> {
        let number = || value.parse::<u64>().map_err(|error| format!("--{name} {value}: {error}"));
        let few = || value.parse::<u32>().map_err(|error| format!("--{name} {value}: {error}"));
        Some(match name {
            "seed" => number().map(|seed| self.seed = seed),
            "steps" => number().map(|steps| self.steps = steps),
            "minutes" => number().map(|minutes| self.minutes = Some(minutes)),
            "workers" => few().map(|workers| self.workers = Some(workers)),
            "viewers" => few().map(|viewers| self.viewers = Some(viewers)),
            "agent" => agent_of(value).map(|agent| self.agent = Some(agent)),
            "faults" => faults_of(value).map(|faults| self.faults = Some(faults)),
            "code-sessions" => yes_or_no(value).map(|has| self.code_sessions = Some(has)),
            "work-streams" => yes_or_no(value).map(|has| self.work_streams = Some(has)),
            "embedded" => yes_or_no(value).map(|is_there| self.embedded = Some(is_there)),
            "strangers" => yes_or_no(value).map(|are_there| self.strangers = Some(are_there)),
            "machines" => yes_or_no(value).map(|has| self.machines = Some(has)),
            "mutant" => mutant_of(value).map(|mutant| self.mutant = Some(mutant)),
            _ => return None,
        })
    }

    /// The same without any faults.
    pub fn without_faults(mut self) -> Self {
        self.faults = Some(BTreeSet::new());
        self
    }
}

fn unknown(what: &str, name: &str) -> String {
    format!("there is no {what} {name:?} (see --list)")
}

fn agent_of(name: &str) -> Result<Kind, String> {
    let kind = KINDS.iter().find(|kind| format!("{kind:?}").eq_ignore_ascii_case(name));
    kind.copied().ok_or_else(|| unknown("kind of agent", name))
}

fn faults_of(names: &str) -> Result<BTreeSet<FaultKind>, String> {
    let names = names.split(',').filter(|name| *name != "none");
    let fault = |name| {
        let kind = FAULT_KINDS.iter().find(|kind| kind.name() == name);
        kind.copied().ok_or_else(|| unknown("fault", name))
    };
    names.map(fault).collect()
}

fn yes_or_no(value: &str) -> Result<bool, String> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("{value:?} is neither yes nor no")),
    }
}

fn mutant_of(name: &str) -> Result<Mutant, String> {
    let mutant = MUTANTS.iter().find(|mutant| mutant.name() == name);
    mutant.copied().ok_or_else(|| unknown("mutant", name))
}

impl FromStr for Options {
    type Err = String;

    /// From the arguments that replay it, separated by spaces.
    fn from_str(arguments: &str) -> Result<Self, String> {
        let mut options = Self::new(0);
        let mut words = arguments.split_whitespace();
        while let Some(word) = words.next() {
            let value = words.next().unwrap_or_default();
            let name = word.strip_prefix("--").unwrap_or_default();
            options
                .set(name, value)
                .ok_or_else(|| format!("{word} is not an option of a run"))??;
        }
        Ok(options)
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
        if let Some(are_there) = self.strangers {
            write!(f, " --strangers {}", if are_there { "yes" } else { "no" })?;
        }
        if let Some(is_there) = self.embedded {
            write!(f, " --embedded {}", if is_there { "yes" } else { "no" })?;
        }
        if let Some(has) = self.code_sessions {
            write!(f, " --code-sessions {}", if has { "yes" } else { "no" })?;
        }
        if let Some(has) = self.machines {
            write!(f, " --machines {}", if has { "yes" } else { "no" })?;
        }
        if let Some(has) = self.work_streams {
            write!(f, " --work-streams {}", if has { "yes" } else { "no" })?;
        }
        if let Some(mutant) = self.mutant {
            write!(f, " --mutant {}", mutant.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_that_replay_a_run_are_read_as_written() {
        let all = "--seed 7 --steps 1500 --minutes 2 --workers 1 --viewers 3 --agent askingmany \
                   --faults cut,versions --strangers no --embedded yes --code-sessions yes \
                   --machines no --work-streams no --mutant lost-write";
        for arguments in ["--seed 9 --steps 400000", "--seed 9 --steps 1 --faults none", all] {
            let options: Options = arguments.parse().expect("valid arguments");
            assert_eq!(options.to_string(), arguments);
        }
    }

    #[test]
    fn an_error_names_what_is_not_an_option() {
        for (arguments, named) in [
            ("--sed 7", "--sed"),
            ("seed 7", "seed"),
            ("--seed", "--seed"),
            ("--seed x", "--seed x"),
            ("--agent nobody", "nobody"),
            ("--faults cut,rain", "rain"),
            ("--strangers some", "some"),
            ("--mutant none", "none"),
        ] {
            let error = arguments.parse::<Options>().expect_err("an error");
            assert!(error.contains(named), "{error}");
        }
    }
}
