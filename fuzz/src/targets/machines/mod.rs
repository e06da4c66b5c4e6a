//! Any events in any order that a runtime keeps, into the machines: they never panic, never loop
//! without waiting, never reuse a name, ask for nothing that cannot be done, stay within their
//! limits, and do the same again for the same events.
//!
//! | file | idea |
//! | --- | --- |
//! | `bench` | a machine alone, and what must hold of all that it asks for |
//! | `answers` | what a runtime may answer to an operation |
//! | `worker`, `relay`, `agent`, `check` | one machine each, with what it talks to |
//! | `worker_reads`, `relay_reads` | the same machines, where one thing that they read is any bytes |

mod agent;
mod answers;
mod bench;
mod check;
#[cfg(test)]
mod judged;
mod relay;
mod relay_reads;
mod steps;
mod worker;
mod worker_reads;

pub use agent::shell_agent;
pub use check::self_check;
pub use relay::{relay_requests, relay_store_order};
pub use relay_reads::{relay_bodies, relay_paths, relay_tokens};
pub use worker::{worker_answers, worker_token_file, worker_worktrees};
pub use worker_reads::{api_answers, git_outputs, spool_files};
