//! The world and its mechanics: network, disks, clocks, processes, repositories and the relay's
//! store, on virtual time.

pub(crate) mod census;
pub(crate) mod clock;
pub(crate) mod cx;
pub(crate) mod disk;
pub(crate) mod event;
pub(crate) mod files;
pub(crate) mod host;
#[cfg(test)]
mod mirror;
pub(crate) mod network;
pub(crate) mod observe;
pub(crate) mod party;
pub(crate) mod perform;
pub(crate) mod process;
pub(crate) mod queue;
pub(crate) mod repositories;
pub(crate) mod skew;
pub(crate) mod store;
pub(crate) mod tokens;
pub(crate) mod world;
