//! The hot paths, each as one thing to do again and again: what is measured in time (`cargo bench`) and
//! counted in instructions (`instructions`) is the same.

use bytes::Bytes;
use footbridge_core::contract::action::Action;
use serde::Deserialize;
use serde_json::Value;

use crate::worker::{ByHand, IDLE_CYCLES, Running, item};

/// An agent's line of about this many bytes.
pub fn line(bytes: usize) -> String {
    let text = "All work and no play. ".repeat(bytes.saturating_sub(170) / 22);
    format!(
        r#"{{"type":"assistant","message":{{"id":"msg_1","type":"message","role":"assistant","content":[{{"type":"text","text":"{text}"}}]}},"parent_tool_use_id":null,"session_id":"S","uuid":"00000000-0000-4000-8000-000000000001"}}"#
    )
}

/// What a program reads of such a line that works with it.
#[derive(Debug, Deserialize)]
#[allow(dead_code, missing_docs, reason = "only reading it is measured")]
pub struct Typed {
    r#type: String,
    message: TypedMessage,
    parent_tool_use_id: Option<String>,
    session_id: String,
    uuid: String,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only reading it is measured")]
struct TypedMessage {
    id: String,
    r#type: String,
    role: String,
    content: Vec<Block>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only reading it is measured")]
struct Block {
    r#type: String,
    text: String,
}

/// Looks only for the end of the line, as the least that anything can do that passes lines on.
pub fn memchr_line(line: &[u8]) -> usize {
    memchr::memchr(b'\n', line).unwrap_or(line.len())
}

/// Reads a line into its type.
pub fn typed(line: &str) -> Option<Typed> {
    serde_json::from_str(line).ok()
}

/// Reads a line into a tree of values.
pub fn value(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}

/// A worker with sessions, and what is done with one of them.
#[derive(Debug)]
pub struct Routes {
    worker: ByHand,
    running: Vec<Running>,
    actions: Vec<Action>,
    chunk: Bytes,
    said: u64,
    cycles: u64,
}

impl Routes {
    /// With so many sessions, and lines of so many bytes.
    pub fn new(sessions: u32, bytes: usize) -> Self {
        let mut worker = ByHand::with_room(sessions + 1);
        let start = |work| {
            let mut session = worker.dispatch(&item(work), work);
            worker.bring_up(&mut session);
            session
        };
        let running = (0..sessions).map(start).collect();
        let chunk = Bytes::from(line(bytes) + "\n");
        Self { worker, running, actions: Vec::with_capacity(64), chunk, said: 0, cycles: 0 }
    }

    /// A line of the agent goes to the relay, which acknowledges it.
    pub fn from_agent(&mut self) -> usize {
        let at = self.running.len() / 2;
        let Some(session) = self.running.get_mut(at) else { return 0 };
        let printed = self.worker.printed(session, self.chunk.clone());
        self.worker.apply(printed, &mut self.actions);
        let acknowledged = self.worker.acknowledged(session, 1);
        self.worker.apply(acknowledged, &mut self.actions);
        self.done()
    }

    /// A message goes to the agent, whose pipe takes it.
    pub fn to_agent(&mut self) -> usize {
        let Some(session) = self.running.get(self.running.len() / 2) else { return 0 };
        self.said += 1;
        let text = "All work and no play. ".repeat(self.chunk.len().saturating_sub(110) / 22);
        let line = format!(
            r#"{{"type":"user","message":{{"role":"user","content":"{text}"}},"uuid":"00000000-0000-4000-8000-{:012}"}}"#,
            self.said
        );
        let received = self.worker.from_viewer(session, &line);
        self.worker.apply(received, &mut self.actions);
        let written = self.worker.written(session);
        self.worker.apply(written, &mut self.actions);
        self.done()
    }

    /// A poll brings nothing, and the next is asked. Only so often, before other things are due.
    pub fn idle(&mut self) -> usize {
        assert!(self.cycles < IDLE_CYCLES, "nothing else may be due");
        self.cycles += 1;
        let nothing = self.worker.nothing_to_do();
        self.worker.apply(nothing, &mut self.actions);
        self.done()
    }

    fn done(&mut self) -> usize {
        let count = self.actions.len();
        self.actions.clear();
        count
    }
}
