//! Faults: their kinds, which of them a run has, and how each one strikes.

mod kind;
mod plan;
pub(crate) mod strike;

pub use kind::{FAULT_KINDS, FaultKind};
pub(crate) use plan::FaultPlan;
