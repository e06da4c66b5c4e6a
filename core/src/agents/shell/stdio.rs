//! The agent's stdin and stdout: lines in, lines out, and how far behind the reader is.

use alloc::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use super::cx::{Cx, Purpose, Timer};
use crate::base::id::OpId;
use crate::base::limits::{
    AGENT_COMMAND_HIGH_WATER_BYTES, AGENT_FLUSH_TIMEOUT, AGENT_INPUT_HIGH_WATER_BYTES,
    AGENT_LOW_WATER_BYTES, MAX_LINE_BYTES,
};
use crate::contract::action::{Action, Message, Target};
use crate::wire::ndjson::{Line, Splitter};

/// Both standard streams, which the contract treats as one stream.
#[derive(Debug)]
pub(super) struct Stdio {
    op: OpId,
    lines: Splitter,
    backlog: Backlog,
    is_input_paused: bool,
}

impl Stdio {
    pub(super) fn open(cx: &mut Cx) -> Self {
        let op = cx.fx.start(Purpose::Stdio, |op| Action::Open { op, target: Target::Stdio });
        let lines = Splitter::new(MAX_LINE_BYTES);
        Self { op, lines, backlog: Backlog::default(), is_input_paused: false }
    }

    #[cfg(test)]
    pub(super) const fn op(&self) -> OpId {
        self.op
    }

    /// The lines that a chunk of input completes. An empty chunk means end of input.
    pub(super) fn split(&mut self, chunk: &Bytes) -> VecDeque<Line> {
        let mut lines = VecDeque::new();
        if chunk.is_empty() {
            self.lines.finish(|line| lines.push_back(line));
        } else {
            self.lines.push(chunk.clone(), |line| lines.push_back(line));
        }
        lines
    }

    /// Writes a line, unless the last one has been written.
    pub(super) fn write(&mut self, cx: &mut Cx, line: &Bytes) {
        if !self.is_open(cx) || self.is_closing(cx) {
            return;
        }
        let mut bytes = BytesMut::with_capacity(line.len() + 1);
        bytes.put_slice(line);
        bytes.put_u8(b'\n');
        self.backlog.push(bytes.len());
        let message = Message::Binary(bytes.freeze());
        cx.fx.act(self.op, |op| Action::Send { op, message });
    }

    pub(super) fn sent(&mut self, messages: usize) {
        self.backlog.sent(messages);
    }

    pub(super) fn is_open(&self, cx: &Cx) -> bool {
        cx.fx.purpose(self.op).is_some()
    }

    /// Whether the last line has been written.
    pub(super) fn is_closing(&self, cx: &Cx) -> bool {
        cx.timers.is_set(&Timer::Flush)
    }

    /// Closes stdout once everything has been read, or after a time.
    pub(super) fn close(&self, cx: &mut Cx) {
        cx.fx.act(self.op, |op| Action::Close { op, code: 1000 });
        cx.set_timer(Timer::Flush, AGENT_FLUSH_TIMEOUT);
    }

    /// Nobody is reading any more.
    pub(super) fn closed(&self, cx: &mut Cx) {
        cx.fx.finish(self.op);
        cx.timers.clear(&Timer::Flush);
    }

    pub(super) fn cancel(&self, cx: &mut Cx) {
        cx.fx.cancel(self.op);
    }

    /// Stops reading from the host while the host is far behind in reading.
    pub(super) fn balance(&mut self, cx: &mut Cx) {
        if let Some(pause) = self.backlog.input_should_pause(self.is_input_paused) {
            self.is_input_paused = pause;
            cx.fx.act(
                self.op,
                |op| {
                    if pause { Action::Pause { op } } else { Action::Resume { op } }
                },
            );
        }
    }

    /// Whether to pause or resume a command, given whether it is paused now; `None`: neither.
    pub(super) const fn command_should_pause(&self, is_paused: bool) -> Option<bool> {
        self.backlog.command_should_pause(is_paused)
    }
}

/// The messages that were sent and have not left yet.
#[derive(Debug, Default)]
struct Backlog {
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl Backlog {
    fn push(&mut self, bytes: usize) {
        self.sizes.push_back(bytes);
        self.bytes += bytes;
    }

    fn sent(&mut self, messages: usize) {
        for _ in 0..messages {
            self.bytes -= self.sizes.pop_front().unwrap_or(0);
        }
    }

    /// Whether to pause or resume a command, given whether it is paused now; `None`: neither.
    const fn command_should_pause(&self, is_paused: bool) -> Option<bool> {
        self.should_pause(is_paused, AGENT_COMMAND_HIGH_WATER_BYTES)
    }

    /// The same for the agent's own input.
    const fn input_should_pause(&self, is_paused: bool) -> Option<bool> {
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
