//! What every machine is built on: the loop, the step queue, the timers, the backoff;
//! and who may be connected to a listener.

pub mod admission;
pub mod backoff;
pub(crate) mod effects;
pub(crate) mod runner;
pub(crate) mod timer;
