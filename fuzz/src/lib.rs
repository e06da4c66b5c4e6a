//! Footbridge's simulator: relay, workers, agents, viewers, network, disks and clocks in one process
//! on virtual time, replayed from a seed.
//!
//! ```text
//!   cast ──▶ parties: the core's own machines, stepped as every runtime steps them
//!              │ actions                                     ▲ events
//!              ▼                                             │
//!            perform ──▶ wire & network, process & agents, disk, storeroom ──▶ agenda
//!              │                      ▲
//!              │ facts                │ faults
//!              ▼                      │
//!           promises               weather
//! ```
//!
//! Everything that is judged is a `Fact`: what could be seen from outside of every machine. No
//! promise is judged by a machine's own word, and there is no second implementation of the protocol
//! here: a viewer is a client that writes down what it sees.
//!
//! ```
//! use footbridge_fuzz::{Options, run};
//!
//! let report = run(&Options { minutes: Some(1), ..Options::new(7) });
//! assert_eq!(report.violation, None);
//! ```
#![forbid(unsafe_code)]

mod fact;
mod faults;
mod git;
mod ids;
mod mutants;
mod names;
mod nodes;
mod promises;
mod scenario;
mod sim;
pub mod targets;
mod trace;

pub use faults::{FAULT_KINDS, FaultKind};
pub use mutants::{MUTANTS, Mutant};
pub use nodes::agents::{KINDS, Kind};
pub use scenario::options::Options;
pub use scenario::run::{Report, run};
pub use scenario::shrink::shrink;
pub use sim::cx::Violation;
