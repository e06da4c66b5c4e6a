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
mod worker;
mod worker_reads;

use std::fmt::Debug;
use std::time::Duration;

use footbridge_core::base::id::OpId;
use footbridge_core::contract::machine::Machine;

pub use agent::shell_agent;
use bench::{Bench, Kind, Open};
pub use check::self_check;
pub use relay::{relay_requests, relay_store_order};
pub use relay_reads::{relay_bodies, relay_paths, relay_tokens};
pub use worker::{worker_answers, worker_token_file, worker_worktrees};
pub use worker_reads::{api_answers, git_outputs, spool_files};

use super::Input;

const TOKEN: &str = "somebody-with-a-long-token";

/// Whether an input is run a second time, to see the same happen again: every fourth is.
const fn is_checked_twice(data: &[u8]) -> bool {
    data.len().is_multiple_of(4)
}

/// Lets time pass for some values of `what`: until the deadline, or by any step; the wall clock may
/// be set meanwhile.
fn passes_time<M: Machine>(bench: &mut Bench<M>, what: u8, input: &mut Input<'_>) -> bool
where
    M::Notice: Debug,
{
    match what {
        0..=15 => bench.pass_to_deadline(),
        16..=19 => bench.pass(Duration::from_millis(1 << (what % 4 * 4))),
        20 => {
            let time = Duration::from_millis(1 << (input.byte().unwrap_or(0) % 28));
            bench.pass(time);
        }
        21 => {
            let time = Duration::from_secs(1 << (input.byte().unwrap_or(0) % 24));
            bench.now.wall = bench.now.wall + time;
        }
        _ => return false,
    }
    true
}

/// One of the operations that something can come of; now and then one that was stopped before.
fn pick<M: Machine>(bench: &Bench<M>, what: u8, input: &mut Input<'_>) -> Option<(OpId, Open)>
where
    M::Notice: Debug,
{
    if what == 30 && !bench.late.is_empty() {
        let at = usize::from(input.byte().unwrap_or(0)) % bench.late.len();
        return bench.late.get(at).cloned();
    }
    let is_answered = |open: &Open| !matches!(open.kind, Kind::Accept | Kind::Exchange);
    let open: Vec<_> = bench.open.iter().filter(|(_, open)| is_answered(open)).collect();
    let at = usize::from(what) % open.len().max(1);
    open.get(at).map(|(op, open)| (**op, (*open).clone()))
}
