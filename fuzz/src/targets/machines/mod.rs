//! Feeds machines any events in any order that a runtime allows: they never panic, never loop
//! without waiting, never reuse an id, request nothing impossible, stay within their limits, and do
//! the same again for the same events.
//!
//! | file | idea |
//! | --- | --- |
//! | `bench` | a machine alone, and what must hold for everything it requests |
//! | `answers` | how a runtime may respond to an operation |
//! | `worker`, `relay`, `agent`, `check` | one machine each, with what it talks to |
//! | `worker_reads`, `relay_reads` | the same machines, with arbitrary bytes for one of their inputs |

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
