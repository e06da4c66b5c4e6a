//! What all machine targets do with the next byte: let time pass, or pick an operation.

use std::fmt::Debug;
use std::time::Duration;

use footbridge_core::base::id::OpId;
use footbridge_core::contract::check::Operation;
use footbridge_core::contract::machine::Machine;

use super::bench::{Bench, Open};
use crate::targets::input::Input;

pub(super) const TOKEN: &str = "somebody-with-a-long-token";

/// Whether an input is run a second time, to check that the same happens again: every fourth is.
pub(super) const fn is_checked_twice(data: &[u8]) -> bool {
    data.len().is_multiple_of(4)
}

/// Lets time pass for some values of `what`: until the deadline, or by any step; the wall clock may
/// be set in the meantime.
pub(super) fn passes_time<M: Machine>(bench: &mut Bench<M>, what: u8, input: &mut Input<'_>) -> bool
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

/// One of the operations that can still produce events; now and then a cancelled one.
pub(super) fn pick<M: Machine>(
    bench: &Bench<M>,
    what: u8,
    input: &mut Input<'_>,
) -> Option<(OpId, Open)>
where
    M::Notice: Debug,
{
    if what == 30 && !bench.late.is_empty() {
        let at = usize::from(input.byte().unwrap_or(0)) % bench.late.len();
        return bench.late.get(at).cloned();
    }
    let is_answered = |open: &Open| {
        !matches!(open.state, Operation::Accept | Operation::Exchange | Operation::Reading)
    };
    let open: Vec<_> = bench.open.iter().filter(|(_, open)| is_answered(open)).collect();
    let at = usize::from(what) % open.len().max(1);
    open.get(at).map(|(op, open)| (**op, (*open).clone()))
}
