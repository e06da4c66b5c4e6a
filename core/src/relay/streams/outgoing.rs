//! What is on its way to the other side of a WebSocket.

use alloc::collections::VecDeque;

use crate::contract::action::Message;

/// Messages that have been sent and have not left yet.
#[derive(Debug, Default)]
pub(in crate::relay) struct Outgoing {
    messages: VecDeque<usize>,
    bytes: usize,
}

/// What a message counts for in addition to its content.
const MESSAGE_OVERHEAD: usize = 64;

impl Outgoing {
    pub(in crate::relay) fn add(&mut self, message: &Message) {
        self.messages.push_back(message.len() + MESSAGE_OVERHEAD);
        self.bytes += message.len() + MESSAGE_OVERHEAD;
    }

    pub(in crate::relay) fn sent(&mut self, messages: usize) {
        for _ in 0..messages {
            let Some(bytes) = self.messages.pop_front() else { return };
            self.bytes -= bytes;
        }
    }

    pub(in crate::relay) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(in crate::relay) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}
