//! Who takes part besides the core's own machines: viewers, agents and the commands they run, a
//! client with bad manners, and a relay that sends anything.

pub(crate) mod agents;
pub(crate) mod commands;
pub(crate) mod embedded;
pub(crate) mod knock;
pub(crate) mod liar;
pub(crate) mod machine_notice;
pub(crate) mod machines;
pub(crate) mod mallory;
pub(crate) mod node;
mod renumbered;
pub(crate) mod shell;
mod steps;
pub(crate) mod stranger;
pub(crate) mod viewer;
