//! Whole scenarios: the worker, as a machine and as a program, with agents, relays and networks
//! that misbehave. The relay is always the same: the real machine, on smol, on its own thread.

pub mod agents;
pub mod answers;
pub mod bridges;
pub mod callbacks;
pub mod clocks;
pub mod code_sessions;
pub mod command_line;
pub mod direct;
pub mod disk;
pub mod git_programs;
pub mod imposter;
pub mod kept_worktrees;
pub mod left_sessions;
pub mod links;
pub mod mirrors;
pub mod restarts;
pub mod secrets;
pub mod sessions;
pub(crate) mod stage;
pub mod stops;
pub mod trees;
pub mod viewers;
pub mod worker_restarts;
pub mod worker_storm;
pub mod worktrees;
