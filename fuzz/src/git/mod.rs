//! Git, as far as a worker uses it: a model that responds to every command a worker runs as git
//! does, refusals included, and what agents and people do in a repository besides it.
//!
//! ```text
//!   worker ── Action::Run ──▶ host: it takes time, fails, meets locks, is cut short
//!                               │
//!                               ▼
//!   agents, people ─ actions ─▶ Repository: commits, references, worktrees, lock files
//!                               │
//!                               ▼ facts: what a worker's command has deleted
//!                             promises/worktrees.rs
//! ```
//!
//! `against_git.rs` shows that the model responds like the real git. What it leaves out: ignored files
//! that can be made again, files that git was told to overlook, the contents of submodules, and the
//! reflogs of what is no branch, such as the stash.

pub(crate) mod action;
#[cfg(test)]
mod against_git;
pub(crate) mod command;
mod misuse;
pub(crate) mod model;

pub(crate) use action::Touched;
pub(crate) use misuse::misuse;
pub(crate) use model::Commit;

/// Separates the random draws for repositories from the world's.
pub(crate) const STREAM: u64 = 0x6769_7400_0000_0006;
