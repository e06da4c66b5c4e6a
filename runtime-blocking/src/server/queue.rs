//! Requests that wait for an `Accept`, and `Accept`s that wait for a request, in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::Response;
use footbridge_core::contract::clients::{Pace, Standing};

use crate::inbox::{Inbox, lock};
use crate::socket::Order;

/// Permission to pass one request to the machine.
pub(crate) struct AcceptSlot {
    pub(crate) op: OpId,
    pub(crate) answers: Arc<Inbox<Answer>>,
}

/// What the machine says to a request. The last two end it.
pub(crate) enum Answer {
    Vouch(Standing),
    ReadBody {
        max_body: usize,
        pace: Pace,
    },
    Reply(Response),
    Upgrade {
        protocol: Option<String>,
        max_message: usize,
        /// Orders for the stream.
        orders: Arc<Inbox<Order>>,
    },
}

/// One of the two is always empty.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    slots: VecDeque<AcceptSlot>,
    connections: VecDeque<Arc<Inbox<AcceptSlot>>>,
}

impl Queue {
    pub(super) fn offer(&self, slot: AcceptSlot) {
        let mut waiting = lock(&self.waiting);
        match waiting.connections.pop_front() {
            Some(connection) => connection.push(slot),
            None => waiting.slots.push_back(slot),
        }
    }

    /// A slot whose operation is still open; without one, the connection is given the next.
    pub(super) fn take(&self, connection: &Arc<Inbox<AcceptSlot>>) -> Option<AcceptSlot> {
        let mut waiting = lock(&self.waiting);
        while let Some(slot) = waiting.slots.pop_front() {
            if !slot.answers.is_cancelled() {
                return Some(slot);
            }
        }
        waiting.connections.push_back(Arc::clone(connection));
        None
    }

    /// The connection no longer needs one.
    pub(super) fn leave(&self, connection: &Arc<Inbox<AcceptSlot>>) {
        let given = {
            let mut waiting = lock(&self.waiting);
            waiting.connections.retain(|other| !Arc::ptr_eq(other, connection));
            connection.take()
        };
        given.into_iter().for_each(|slot| self.offer(slot));
    }
}
