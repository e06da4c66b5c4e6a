//! What every machine is built on: the loop, the queue of steps, the timers, the patience.

pub mod backoff;
pub(crate) mod effects;
pub(crate) mod runner;
pub(crate) mod timer;
