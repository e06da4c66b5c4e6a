//! The pipes between a process and its parent: what fits goes in, and comes out split anywhere.

use std::time::Duration;

use bytes::Bytes;
use footbridge_core::contract::action::Message;
use footbridge_core::contract::event::{Event, Output};

use super::stdio::stdio_of;
use super::{PIPE, Processes, Upshot, Who};
use crate::fact::{Fact, Way};
use crate::ids::{ProcessId, Role};
use crate::sim::cx::Cx;
use crate::sim::event::{ProcessEvent, SimEvent};

impl Processes {
    pub(super) fn print(&mut self, cx: &mut Cx, id: ProcessId, bytes: Bytes) {
        let Some(process) = self.all.get_mut(&id) else { return };
        if !process.is_stdout_open || process.parent.is_none() {
            return;
        }
        process.stdout_bytes += bytes.len();
        process.stdout.push_back(bytes);
        self.note_drain(cx, id);
    }

    fn note_drain(&mut self, cx: &mut Cx, id: ProcessId) {
        let Some(process) = self.all.get_mut(&id) else { return };
        if !process.is_drain_noted && !process.is_paused && !process.stdout.is_empty() {
            process.is_drain_noted = true;
            let wait = Duration::from_micros(cx.rng.u64(30..900));
            cx.later(wait, SimEvent::Process(id, ProcessEvent::Drain));
        }
    }

    /// The parent reads what is there, split wherever it happens to be.
    pub(super) fn drain(&mut self, cx: &mut Cx, id: ProcessId) -> Option<Upshot> {
        let process = self.all.get_mut(&id)?;
        process.is_drain_noted = false;
        if process.is_paused {
            return None;
        }
        let mut chunk = Vec::new();
        while let Some(bytes) = process.stdout.pop_front() {
            let cut = if cx.rng.u8(..) < 40 { cx.rng.usize(..=bytes.len()) } else { bytes.len() };
            let cut = cut.min(PIPE - chunk.len().min(PIPE));
            chunk.extend_from_slice(&bytes.slice(..cut));
            if cut < bytes.len() {
                process.stdout.push_front(bytes.slice(cut..));
                break;
            }
        }
        process.stdout_bytes -= chunk.len();
        let (parent, is_done) = (process.parent, process.stdout.is_empty());
        let has_ended = is_done && !process.is_stdout_open;
        if let Some(parent) = parent.filter(|_| !chunk.is_empty()) {
            cx.tell(parent, Event::Stdout { op: parent.op, data: Bytes::from(chunk) });
        }
        if has_ended && let Some(parent) = parent {
            let output = Output::Stdout;
            cx.tell(parent, Event::OutputEnded { op: parent.op, output });
        }
        self.note_drain(cx, id);
        self.told_room(cx, id)
    }

    pub(super) fn told_room(&mut self, cx: &mut Cx, id: ProcessId) -> Option<Upshot> {
        let process = self.all.get_mut(&id)?;
        match process.program {
            Who::Shell(party) => {
                let mut messages = 0;
                let mut room = PIPE.saturating_sub(process.stdout_bytes);
                while let Some(bytes) = process.unsent.front().copied() {
                    if bytes > room && process.stdout_bytes > 0 {
                        break;
                    }
                    process.unsent.pop_front();
                    room = room.saturating_sub(bytes);
                    messages += 1;
                }
                if messages > 0
                    && let Some(to) = stdio_of(cx, party)
                {
                    cx.tell(to, Event::Sent { op: to.op, messages });
                }
                None
            }
            Who::Script(_) => self.with_program(cx, id, |program, sys| program.has_room(sys)),
        }
    }

    /// A parent writes to a process.
    pub(crate) fn write(&mut self, cx: &mut Cx, id: ProcessId, data: Bytes, by: Role) {
        let Some(process) = self.all.get_mut(&id) else { return };
        if process.is_over || process.is_stdin_ended {
            return;
        }
        process.writes.push_back(data);
        let bytes = process.writes.iter().map(Bytes::len).sum();
        cx.fact(Fact::Outstanding { role: by, bytes, way: Way::Pipe });
        self.fill_stdin(cx, id);
    }

    /// The pipe accepts what fits.
    fn fill_stdin(&mut self, cx: &mut Cx, id: ProcessId) {
        let Some(process) = self.all.get_mut(&id) else { return };
        let (mut writes, mut lines) = (0, Vec::new());
        while let Some(data) = process.writes.front() {
            if process.stdin_bytes > 0 && process.stdin_bytes + data.len() > PIPE {
                break;
            }
            let Some(data) = process.writes.pop_front() else { break };
            process.stdin_bytes += data.len();
            process.partial.extend_from_slice(&data);
            while let Some(at) = process.partial.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = process.partial.drain(..=at).collect();
                lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            process.stdin.push_back(data);
            writes += 1;
        }
        let (session, parent, is_reading) =
            (process.session.clone(), process.parent, process.is_reading);
        for line in lines.into_iter().filter(|_| !session.is_empty()) {
            cx.fact(Fact::HandedOff { process: id, session: session.clone(), line });
        }
        if writes > 0 {
            if let Some(parent) = parent {
                cx.tell(parent, Event::Written { op: parent.op, writes });
            }
            if is_reading {
                let wait = Duration::from_micros(cx.rng.u64(50..2_000));
                cx.later(wait, SimEvent::Process(id, ProcessEvent::Read));
            }
        }
    }

    pub(super) fn read(&mut self, cx: &mut Cx, id: ProcessId) -> Option<Upshot> {
        let process = self.all.get_mut(&id)?;
        if !process.is_reading || process.is_over {
            return None;
        }
        // What arrives before a program has started waits for it in the pipe.
        if let Who::Shell(party) = process.program
            && stdio_of(cx, party).is_none()
        {
            return None;
        }
        let process = self.all.get_mut(&id)?;
        let chunks = std::mem::take(&mut process.stdin);
        process.stdin_bytes = 0;
        let has_ended = process.is_stdin_ended && process.writes.is_empty();
        let mut upshot = None;
        match process.program {
            Who::Shell(party) => {
                if let Some(to) = stdio_of(cx, party) {
                    let end = has_ended.then(Bytes::new);
                    for data in chunks.into_iter().chain(end) {
                        let message = Message::Binary(data);
                        cx.tell(to, Event::Received { op: to.op, message });
                    }
                }
            }
            Who::Script(_) => {
                for data in chunks {
                    let led_to =
                        self.with_program(cx, id, |program, sys| program.input(&data, sys));
                    upshot = upshot.or(led_to);
                }
                if has_ended {
                    let led_to = self.with_program(cx, id, |program, sys| program.input_ended(sys));
                    upshot = upshot.or(led_to);
                }
            }
        }
        self.fill_stdin(cx, id);
        upshot
    }

    pub(crate) fn end_stdin(&mut self, cx: &mut Cx, id: ProcessId) {
        let Some(process) = self.all.get_mut(&id) else { return };
        if !process.is_stdin_ended {
            process.is_stdin_ended = true;
            let wait = Duration::from_micros(cx.rng.u64(50..2_000));
            cx.later(wait, SimEvent::Process(id, ProcessEvent::Read));
        }
    }

    pub(crate) fn end_stdout(&mut self, cx: &mut Cx, id: ProcessId) {
        let Some(process) = self.all.get_mut(&id) else { return };
        if std::mem::replace(&mut process.is_stdout_open, false) && !process.is_drain_noted {
            process.is_drain_noted = true;
            cx.later(Duration::from_micros(200), SimEvent::Process(id, ProcessEvent::Drain));
        }
    }

    pub(crate) fn pause_output(&mut self, cx: &mut Cx, id: ProcessId, is_paused: bool) {
        let Some(process) = self.all.get_mut(&id) else { return };
        process.is_paused = is_paused;
        if !is_paused && (!process.stdout.is_empty() || !process.is_stdout_open) {
            process.is_drain_noted = true;
            cx.later(Duration::from_micros(50), SimEvent::Process(id, ProcessEvent::Drain));
        }
    }
}
