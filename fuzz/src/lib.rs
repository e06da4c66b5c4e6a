//! Footbridge's simulator.
#![forbid(unsafe_code)]

mod agenda;
mod agents;
mod cast;
mod clock;
mod disk;
mod fact;
mod faults;
mod host;
mod liar;
mod mallory;
mod mutants;
mod network;
mod options;
mod party;
mod perform;
mod process;
mod promises;
mod run;
mod storeroom;
mod trace;
mod viewer;
mod wire;
mod world;

pub use agents::{KINDS, Kind};
pub use faults::{FAULT_KINDS, FaultKind};
pub use mutants::Mutant;
pub use options::Options;
pub use run::{Report, run};
pub use world::Broken;
