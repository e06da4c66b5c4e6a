//! Agents that are machines of this crate.

pub mod shell;
