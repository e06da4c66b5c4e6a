//! What every machine is built on: its queue of steps, its timers, its patience.

pub mod backoff;
pub(crate) mod effects;
pub(crate) mod timer;
