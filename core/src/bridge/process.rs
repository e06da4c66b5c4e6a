//! The program in the place of an agent's process.
//!
//! A worker runs a session's agent as a process. To the worker of a bridge, the program is that process:
//! what would be written to its stdin is what viewers say, what it would print is what the program
//! publishes. So everything that holds for a worker's session, holds for a bridge's.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::base::id::OpId;
use crate::base::text::Text;
use crate::contract::action::Action;
use crate::contract::event::{Event, ExitStatus, Output};

/// What the worker wants of the process.
#[derive(Debug, PartialEq)]
pub(super) enum Wanted {
    /// It begins.
    Start,
    /// It gets this line.
    Line(Text),
    /// It is to publish nothing for now, or again.
    Pause(bool),
    /// It is over: the session has ended here.
    End,
}

#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    op: Option<OpId>,
    is_running: bool,
    /// Lines that were given to the program, and whether each is in safe hands.
    given: VecDeque<bool>,
    events: VecDeque<Event>,
    /// The operation of another process of the worker is passed on; these are not.
    trees: Vec<OpId>,
}

impl Process {
    pub(super) const fn new(pid: u32) -> Self {
        Self {
            pid,
            op: None,
            is_running: false,
            given: VecDeque::new(),
            events: VecDeque::new(),
            trees: Vec::new(),
        }
    }

    pub(super) const fn is_running(&self) -> bool {
        self.is_running
    }

    /// Whether something has happened to it that the worker does not know.
    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// What happened to it, for the worker.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether an action is about it; any other one is for the runtime.
    pub(super) fn concerns(&self, action: &Action) -> bool {
        match action {
            Action::Spawn { .. } => true,
            Action::EndTree { process, .. } => self.op == Some(*process),
            Action::Cancel { op } if self.trees.contains(op) => true,
            action => self.op == Some(action.op()),
        }
    }

    /// Takes an action that is about it.
    pub(super) fn take(&mut self, action: &Action) -> Option<Wanted> {
        match action {
            Action::Spawn { op, .. } => {
                self.op = Some(*op);
                self.is_running = true;
                self.given.clear();
                self.events.push_back(Event::Spawned { op: *op, pid: self.pid });
                Some(Wanted::Start)
            }
            Action::EndTree { op, .. } => {
                self.events.push_back(Event::TreeEnded { op: *op, survivors: Vec::new() });
                self.trees.push(*op);
                None
            }
            Action::Write { data, .. } => self.written(data),
            Action::Pause { .. } => Some(Wanted::Pause(true)),
            Action::Resume { .. } => Some(Wanted::Pause(false)),
            Action::Signal { .. } => self.end(ExitStatus::Code(0)).then_some(Wanted::End),
            Action::Cancel { op } => {
                self.events.retain(|event| event.op() != Some(*op));
                if let Some(at) = self.trees.iter().position(|tree| tree == op) {
                    self.trees.swap_remove(at);
                    return None;
                }
                self.op = None;
                core::mem::take(&mut self.is_running).then_some(Wanted::End)
            }
            _ => None,
        }
    }

    fn written(&mut self, data: &Bytes) -> Option<Wanted> {
        self.given.push_back(false);
        let end = data.len() - usize::from(data.ends_with(b"\n"));
        match Text::from_utf8(data.slice(..end)) {
            Ok(line) => Some(Wanted::Line(line)),
            Err(_) => {
                self.taken_last();
                None
            }
        }
    }

    /// The last line is done with without the program.
    pub(super) fn taken_last(&mut self) {
        if let Some(last) = self.given.back_mut() {
            *last = true;
        }
        self.confirm();
    }

    /// The program has so many more lines, counted from the oldest that it did not have.
    pub(super) fn taken(&mut self, lines: usize) {
        for line in self.given.iter_mut().filter(|is_taken| !**is_taken).take(lines) {
            *line = true;
        }
        self.confirm();
    }

    fn confirm(&mut self) {
        let writes = self.given.iter().take_while(|is_taken| **is_taken).count();
        if let Some(op) = self.op.filter(|_| writes > 0) {
            self.given.drain(..writes);
            self.events.push_back(Event::Written { op, writes });
        }
    }

    /// The program says something.
    pub(super) fn print(&mut self, line: &Text) {
        let Some(op) = self.op.filter(|_| self.is_running) else { return };
        let mut data = Vec::with_capacity(line.len() + 1);
        data.extend_from_slice(line.as_bytes());
        data.push(b'\n');
        self.events.push_back(Event::Stdout { op, data: Bytes::from(data) });
    }

    /// It takes nothing (B-3).
    pub(super) fn close_input(&mut self) {
        if let Some(op) = self.op {
            self.events.push_back(Event::InputClosed { op });
        }
    }

    /// It is over, like this; `false` if it was.
    pub(super) fn end(&mut self, status: ExitStatus) -> bool {
        let Some(op) = self.op.filter(|_| self.is_running) else { return false };
        self.is_running = false;
        self.events.extend([
            Event::OutputEnded { op, output: Output::Stdout },
            Event::OutputEnded { op, output: Output::Stderr },
            Event::Exited { op, status },
        ]);
        true
    }
}
