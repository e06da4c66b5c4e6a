//! What every machine is built on: the loop, the step queue, the timers, the backoff.

pub mod backoff;
pub(crate) mod effects;
pub(crate) mod runner;
pub(crate) mod timer;
