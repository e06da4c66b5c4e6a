//! The program's side: lines in, lines out, and how far behind it is in reading them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::Engine;
use crate::base::id::OpId;
use crate::base::limits::{
    HOST_FLUSH, HOST_HIGH_WATER_BYTES, HOST_LOW_WATER_BYTES, MAX_LINE_BYTES,
};
use crate::base::text::Text;
use crate::contract::action::{Action, Message, Target};
use crate::remote::cx::{Purpose, Timer};
use crate::wire::ndjson::{Line, Splitter};

/// Both standard streams, which the contract treats as one stream.
#[derive(Debug)]
pub(super) struct Stdio {
    op: OpId,
    lines: Splitter,
    /// The sizes of what was sent and has not left yet.
    waiting: VecDeque<usize>,
    bytes: usize,
    is_input_paused: bool,
    is_behind: bool,
}

impl Stdio {
    pub(super) fn open(engine: &mut Engine) -> Self {
        let op = engine.fx.start(Purpose::Stdio, |op| Action::Open { op, target: Target::Stdio });
        Self {
            op,
            lines: Splitter::new(MAX_LINE_BYTES),
            waiting: VecDeque::new(),
            bytes: 0,
            is_input_paused: false,
            is_behind: false,
        }
    }

    /// The lines that a chunk of input completes; an empty chunk is its end.
    pub(super) fn split(&mut self, chunk: &Bytes) -> Vec<Line> {
        let mut lines = Vec::new();
        if chunk.is_empty() {
            self.lines.finish(|line| lines.push(line));
        } else {
            self.lines.push(chunk.clone(), |line| lines.push(line));
        }
        lines
    }

    pub(super) fn print(&mut self, engine: &mut Engine, line: &Text) {
        let mut bytes = BytesMut::with_capacity(line.len() + 1);
        bytes.put_slice(line.as_bytes());
        bytes.put_u8(b'\n');
        self.waiting.push_back(bytes.len());
        self.bytes += bytes.len();
        let message = Message::Binary(bytes.freeze());
        engine.fx.act(self.op, |op| Action::Send { op, message });
    }

    pub(super) fn sent(&mut self, messages: usize) {
        for _ in 0..messages {
            self.bytes -= self.waiting.pop_front().unwrap_or(0);
        }
    }

    /// Whether the program is so far behind that the session should not be read.
    pub(super) const fn is_behind(&mut self) -> bool {
        self.is_behind = match self.is_behind {
            false => self.bytes >= HOST_HIGH_WATER_BYTES,
            true => self.bytes > HOST_LOW_WATER_BYTES,
        };
        self.is_behind
    }

    /// Reads the program's input, or does not.
    pub(super) fn pause_input(&mut self, engine: &mut Engine, is_paused: bool) {
        if self.is_input_paused != is_paused {
            self.is_input_paused = is_paused;
            engine.fx.act(self.op, |op| match is_paused {
                true => Action::Pause { op },
                false => Action::Resume { op },
            });
        }
    }

    /// Closes its output once everything was read, or after a time. Returns whether that is to be
    /// waited for.
    pub(super) fn close(&self, engine: &mut Engine) -> bool {
        if engine.fx.purpose(self.op).is_none() {
            return false;
        }
        engine.fx.act(self.op, |op| Action::Close { op, code: 1000 });
        engine.set_timer(Timer::Flush, HOST_FLUSH);
        true
    }
}
