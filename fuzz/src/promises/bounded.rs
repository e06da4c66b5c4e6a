//! Promise 13: Memory is bounded, however slow the other side: what a party has put on a stream or into a
//! pipe and nobody has taken, and the operations that it has open.

use footbridge_core::limits::{
    LINK_BACKLOG_BYTES, LINK_WINDOW_BYTES, MAX_LINE_BYTES, MAX_PAGE_BYTES, STREAM_CREDIT_BYTES,
};

use super::Promise;
use crate::clock::Time;
use crate::fact::{Fact, Way};
use crate::party::Role;

/// A worker has its sessions, each with a link, a process and a few requests; a relay what its
/// clients hold open, and its pool of accepts.
const MAX_OPERATIONS: usize = 1500;

#[derive(Default)]
pub(crate) struct Bounded;

impl Promise for Bounded {
    fn name(&self) -> &'static str {
        "bounded memory"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Outstanding {
                role: role @ (Role::Relay | Role::Worker | Role::Victim),
                bytes,
                way,
            } => {
                // A line always fits, whatever the window says.
                let limit = match (role, way) {
                    (Role::Relay, Way::Viewer) => STREAM_CREDIT_BYTES + MAX_PAGE_BYTES,
                    (Role::Relay, _) => LINK_BACKLOG_BYTES + MAX_LINE_BYTES,
                    _ => 2 * LINK_WINDOW_BYTES + MAX_LINE_BYTES,
                };
                if *bytes > limit {
                    return Err(format!("{bytes} bytes of a {role:?} wait; {limit} may"));
                }
            }
            Fact::Open { role, operations, .. } if *operations > MAX_OPERATIONS => {
                return Err(format!("a {role:?} has {operations} operations open"));
            }
            _ => {}
        }
        Ok(())
    }
}
