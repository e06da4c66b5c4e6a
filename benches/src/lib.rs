//! How fast Footbridge is.
//!
//! | what | how |
//! | --- | --- |
//! | the core's hot paths, one by one | `cargo bench -p footbridge-benches` |
//! | messages from an agent to a viewer, by the real program | `cargo run --release -p footbridge-benches --bin throughput` |
//!
//! [`worker`] drives the worker machine by hand: what a runtime would do takes no time there, so
//! that what is measured is the machine.

pub mod worker;
