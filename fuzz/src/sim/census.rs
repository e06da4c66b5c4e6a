//! Who holds what at the end: an operation whose other side has been gone for longer than anything
//! in the protocol may take to notice is a leak.

use std::collections::BTreeMap;
use std::time::Duration;

use footbridge_core::base::id::OpId;

use crate::fact::Fact;
use crate::ids::{Address, End, Op, PartyId, Role};
use crate::sim::cx::Cx;
use crate::sim::network::Network;
use crate::sim::process::Processes;

/// The time between the two counts; the first is after everything in the protocol that may take
/// long: a dead link is noticed within 45 s, a viewer that reads nothing within 60 s, a held poll
/// ends within 60 s, and the system gives up a connection without acknowledgements within 15 min.
pub(crate) const BETWEEN: Duration = Duration::from_secs(3 * 60);

/// An operation whose other side is gone, and what it is.
pub(crate) type Census = BTreeMap<(PartyId, u32, OpId), String>;

/// What had no other side at the first count, and still has none.
pub(crate) fn judge(cx: &mut Cx, network: &Network, processes: &Processes, before: Census) {
    let now = one_sided(cx, network, processes);
    for (key, what) in before {
        if now.contains_key(&key) {
            let holder = cx.parties[key.0].name.clone();
            cx.fact(Fact::Leaked { holder, what });
        }
    }
}

/// The operations of relay and workers whose other side is not alive.
pub(crate) fn one_sided(cx: &Cx, network: &Network, processes: &Processes) -> Census {
    let is_judged = |role: Role| role == Role::Relay || role.runs_agents();
    let parties = cx.parties.iter().enumerate().filter(|(_, p)| is_judged(p.role));
    let ops = parties.flat_map(|(id, party)| {
        party.ops.iter().map(move |(op, kind)| ((id, party.life, *op), *kind))
    });
    ops.filter_map(|(key, kind)| Some((key, lacks(cx, network, processes, kind)?))).collect()
}

/// What the missing other side of an operation is, if it has none.
fn lacks(cx: &Cx, network: &Network, processes: &Processes, op: Op) -> Option<String> {
    let (conn, other) = match op {
        Op::Stream(conn, End::Server) | Op::Exchange(conn) => (conn, End::Client),
        Op::Stream(conn, End::Client) | Op::Request(conn) => (conn, End::Server),
        Op::Process(process) => {
            let is_there = processes.is_running(process);
            return (!is_there).then(|| format!("the process {process}"));
        }
        Op::Single => return Some(String::from("something that is never answered")),
        Op::Listener | Op::Accept | Op::Stdio(_) => return None,
    };
    let Some(found) = network.conns.get(&conn) else {
        return Some(format!("the connection {conn}, which is gone"));
    };
    let is_held = |to: Address| cx.is_alive(to) && cx.parties[to.party].ops.contains_key(&to.op);
    let is_there = found.end(other).is_some_and(is_held);
    (!is_there).then(|| format!("{} without its {other:?}", found.label))
}
