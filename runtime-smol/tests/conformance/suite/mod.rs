//! What every runtime has to do, shown with real sockets, processes, files and git.
//!
//! The scenarios stand here once. Each runtime's test brings a module `runtime` that says how it
//! runs a machine, and what its program is called; nothing else in here knows one from the other.
//! The relay is always the same: the real machine, on smol, in a thread of its own.

mod agents;
mod answers;
mod clocks;
mod command_line;
mod disk;
mod links;
mod restarts;
mod secrets;
mod sessions;
pub(crate) mod stage;
mod worktrees;
