//! The other side of a process that is a machine: the shell agent's own stdio.

use std::time::Duration;

use footbridge_core::contract::action::Message;
use footbridge_core::contract::event::{Event, ExitStatus};

use super::{Moment, ProcessId, Who};
use crate::fact::Fact;
use crate::scenario::cast;
use crate::sim::party::{Address, Op, PartyId};
use crate::sim::world::{SimEvent, World};

impl World {
    pub(crate) fn open_stdio(&mut self, from: Address) {
        if let crate::sim::party::Role::Shell(process) = self.parties[from.party].role {
            self.parties[from.party].ops.insert(from.op, Op::Stdio(process));
            self.tell(from, Event::Opened { op: from.op });
            self.later(Duration::from_micros(50), SimEvent::Process(process, Moment::Read));
        }
    }

    pub(super) fn stdio_of(&self, party: PartyId) -> Option<Address> {
        let found = &self.parties[party];
        let (op, _) = found.ops.iter().find(|(_, op)| matches!(op, Op::Stdio(_)))?;
        Some(Address { party, life: found.life, op: *op })
    }

    pub(crate) fn print_bytes(&mut self, id: ProcessId, message: Message) {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => text.into_bytes(),
        };
        let Some(process) = self.processes.all.get_mut(&id) else { return };
        process.unsent.push_back(bytes.len());
        let session = process.session.clone();
        for line in String::from_utf8_lossy(&bytes).lines() {
            let (session, line) = (session.clone(), line.to_owned());
            let is_message = line.len() <= cast::MAX_LINE_BYTES;
            self.fact(Fact::Printed { process: id, session, line, is_message });
        }
        self.print(id, bytes);
        self.told_room(id);
    }

    pub(crate) fn pause_input(&mut self, id: ProcessId, is_paused: bool) {
        let Some(process) = self.processes.all.get_mut(&id) else { return };
        process.is_reading = !is_paused;
        if !is_paused {
            self.later(Duration::from_micros(50), SimEvent::Process(id, Moment::Read));
        }
    }

    pub(crate) fn close_stdout_in_order(&mut self, id: ProcessId) {
        self.end_stdout(id);
        self.stdio_is_over(id);
    }

    /// The agent was told that nobody reads it.
    pub(crate) fn stdio_closed(&mut self, id: ProcessId) {
        self.end_stdout(id);
    }

    fn stdio_is_over(&mut self, id: ProcessId) {
        let Some(process) = self.processes.all.get(&id) else { return };
        if let Who::Shell(party) = process.program
            && let Some(to) = self.stdio_of(party)
        {
            self.tell(to, Event::Closed { op: to.op, code: None, failure: None });
        }
    }

    /// The shell agent has ended by itself.
    pub(crate) fn shell_finished(&mut self, id: ProcessId) {
        self.exit(id, ExitStatus::Code(0));
    }
}
