//! How far the reader of the agent's stdout is behind.

use alloc::collections::VecDeque;

use crate::base::limits::{
    AGENT_COMMAND_HIGH_WATER_BYTES, AGENT_INPUT_HIGH_WATER_BYTES, AGENT_LOW_WATER_BYTES,
};

/// The messages that were sent and have not left yet.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl Backlog {
    pub(super) fn push(&mut self, bytes: usize) {
        self.sizes.push_back(bytes);
        self.bytes += bytes;
    }

    pub(super) fn sent(&mut self, messages: usize) {
        for _ in 0..messages {
            self.bytes -= self.sizes.pop_front().unwrap_or(0);
        }
    }

    /// Whether a command that is paused, or not, is to be paused or resumed; `None`: neither.
    pub(super) const fn command_should_pause(&self, is_paused: bool) -> Option<bool> {
        self.should_pause(is_paused, AGENT_COMMAND_HIGH_WATER_BYTES)
    }

    /// The same for the agent's own input.
    pub(super) const fn input_should_pause(&self, is_paused: bool) -> Option<bool> {
        self.should_pause(is_paused, AGENT_INPUT_HIGH_WATER_BYTES)
    }

    const fn should_pause(&self, is_paused: bool, high_water: usize) -> Option<bool> {
        match is_paused {
            false if self.bytes >= high_water => Some(true),
            true if self.bytes <= AGENT_LOW_WATER_BYTES => Some(false),
            _ => None,
        }
    }
}
