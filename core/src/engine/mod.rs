//! What every machine is built on: the loop, the step queue, the timers, the backoff;
//! who may be connected to a listener, and how connections go out.

pub mod admission;
pub mod backoff;
pub mod dial;
pub(crate) mod effects;
pub mod proxies;
pub(crate) mod runner;
pub(crate) mod timer;
pub(crate) mod uuid;
