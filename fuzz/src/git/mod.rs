//! Git, as far as a worker uses it: a model that answers every command that a worker runs as git
//! does, refusals included, and what agents and people do in a repository beside it.
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
//! `against_git.rs` shows that the model answers as the real git does. What it leaves out: files that
//! git was told to ignore (they are nobody's work), content in submodules beyond their being there,
//! reflogs (what only a reflog leads to counts as deleted already).

pub(crate) mod action;
#[cfg(test)]
mod against_git;
pub(crate) mod command;
mod misuse;
pub(crate) mod model;

pub(crate) use action::Touched;
pub(crate) use misuse::misuse;
pub(crate) use model::Commit;

/// Sets what is drawn for repositories apart from what the world draws.
pub(crate) const STREAM: u64 = 0x6769_7400_0000_0006;
