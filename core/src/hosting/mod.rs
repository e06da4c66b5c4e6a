//! What everything that runs an agent shares: its process, what it prints, what it asks.

pub(crate) mod output;
pub(crate) mod process;
pub(crate) mod questions;
