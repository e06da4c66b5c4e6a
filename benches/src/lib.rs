//! How fast Footbridge is.
//!
//! | what | how |
//! | --- | --- |
//! | the core's hot paths, one by one | `cargo bench -p footbridge-benches` |
//! | allocations for a message and an idle poll, with 1 to 10,000 sessions | `cargo run --release -p footbridge-benches --bin allocations` |
//! | when workers try again, and how many at once after an outage | `cargo run --release -p footbridge-benches --bin backoff` |
//! | messages from an agent to a viewer, through the real program | `cargo run --release -p footbridge-benches --bin throughput` |
//! | from *New session* to the agent's first byte, as a multiple of starting it by hand | `cargo run --release -p footbridge-benches --bin dispatch` |
//! | many sessions at once, for a while, and what each costs | `cargo run --release -p footbridge-benches --bin sessions` |
//! | version 2 of a session's way beside version 1 | `cargo run --release -p footbridge-benches --bin transports` |
//! | the durable store by itself, against a bare append and sync | `cargo run --release -p footbridge-benches --bin store` |
//!
//! [`running`] starts and drives the real program. [`worker`] drives the worker machine by hand:
//! the runtime's part takes no time there, so only the machine is measured.

pub mod counts;
pub mod paths;
pub mod relay;
pub mod running;
pub mod storm;
pub mod worker;
