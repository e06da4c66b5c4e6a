//! Promise 13: Memory is bounded, however slow the other side is: data that a party has put on a
//! stream or into a pipe and nobody has read, and its open operations.

use footbridge_core::base::limits::{
    ACCEPT_POOL, LINK_BACKLOG_BYTES, LINK_WINDOW_BYTES, MAX_EXCHANGES, MAX_LINE_BYTES,
    MAX_PAGE_BYTES, MAX_STORE_OPERATIONS, STREAM_CREDIT_BYTES,
};

use super::Promise;
use crate::fact::{Fact, Way};
use crate::ids::Role;
use crate::sim::clock::Time;

/// A worker has its sessions, each with a link, a process and a few requests.
const MAX_OPERATIONS: usize = 1500;
/// A relay has what its clients hold open, and what a slow store has not answered yet.
const MAX_RELAY_OPERATIONS: usize = MAX_EXCHANGES + MAX_STORE_OPERATIONS + ACCEPT_POOL;

#[derive(Default)]
pub(crate) struct Bounded;

impl Promise for Bounded {
    fn name(&self) -> &'static str {
        "bounded memory"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Outstanding {
                role: role @ (Role::Relay | Role::Worker | Role::Embedded | Role::Victim),
                bytes,
                way,
            } => {
                // A line always fits, whatever the window.
                let limit = match (role, way) {
                    (Role::Relay, Way::Viewer) => STREAM_CREDIT_BYTES + MAX_PAGE_BYTES,
                    (Role::Relay, _) => LINK_BACKLOG_BYTES + MAX_LINE_BYTES,
                    _ => 2 * LINK_WINDOW_BYTES + MAX_LINE_BYTES,
                };
                if *bytes > limit {
                    return Err(format!(
                        "{bytes} bytes of a {role:?} are waiting; the limit is {limit}"
                    ));
                }
            }
            Fact::Open { role, operations } => {
                let limit =
                    if *role == Role::Relay { MAX_RELAY_OPERATIONS } else { MAX_OPERATIONS };
                if *operations > limit {
                    return Err(format!("a {role:?} has {operations} open operations"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
