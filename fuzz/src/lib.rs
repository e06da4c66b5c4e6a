//! Footbridge's simulator: relay, workers, agents, viewers, network, disks and clocks in one
//! process on virtual time, replayed from a seed.
//!
//! ```text
//!   scenario ──▶ nodes: the core's own machines, stepped the way every runtime steps them
//!                  │ actions                                   ▲ events
//!                  ▼                                           │
//!       world ──▶ network, processes, disks, repositories, store ──▶ event queue
//!                  │                      ▲
//!                  │ facts                │ faults
//!                  ▼                      │
//!               promises              fault plan
//! ```
//!
//! Promises are judged by `Fact`s alone: what can be observed from outside the machines. None takes
//! a machine's own word for anything, and the protocol is not implemented a second time here: a
//! viewer is a client that records what it sees.
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
