//! The contract between a machine and its runtime: the loop, what a machine can ask for, and what
//! can happen to it. It imports no role.
//!
//! Start with [`machine`] (the loop), then [`action`] and [`event`], which are the whole vocabulary.

pub mod action;
pub mod event;
pub mod machine;
