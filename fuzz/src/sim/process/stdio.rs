//! The other side of a process that is a machine: the shell agent's own stdio.

use std::time::Duration;

use footbridge_core::contract::action::Message;
use footbridge_core::contract::event::Event;

use super::{Processes, Upshot, Who};
use crate::fact::Fact;
use crate::ids::{Address, Op, PartyId, ProcessId, Role};
use crate::names::MAX_LINE_BYTES;
use crate::sim::cx::Cx;
use crate::sim::event::{ProcessEvent, SimEvent};

impl Processes {
    /// The agent in a process prints.
    pub(crate) fn print_message(
        &mut self,
        cx: &mut Cx,
        id: ProcessId,
        message: Message,
    ) -> Option<Upshot> {
        let bytes = message.into_bytes();
        let process = self.all.get_mut(&id)?;
        process.unsent.push_back(bytes.len());
        let session = process.session.clone();
        for line in String::from_utf8_lossy(&bytes).lines() {
            let (session, line) = (session.clone(), line.to_owned());
            let is_message = line.len() <= MAX_LINE_BYTES;
            cx.fact(Fact::Printed { process: id, session, line, is_message });
        }
        self.print(cx, id, bytes);
        self.told_room(cx, id)
    }

    pub(crate) fn pause_input(&mut self, cx: &mut Cx, id: ProcessId, is_paused: bool) {
        let Some(process) = self.all.get_mut(&id) else { return };
        process.is_reading = !is_paused;
        if !is_paused {
            cx.later(Duration::from_micros(50), SimEvent::Process(id, ProcessEvent::Read));
        }
    }

    pub(crate) fn close_stdout_in_order(&mut self, cx: &mut Cx, id: ProcessId) {
        self.end_stdout(cx, id);
        let Some(process) = self.all.get(&id) else { return };
        if let Who::Shell(party) = process.program
            && let Some(to) = stdio_of(cx, party)
        {
            cx.tell(to, Event::Closed { op: to.op, code: None, failure: None });
        }
    }
}

/// Where a party's stdio leads, if it has opened it.
pub(super) fn stdio_of(cx: &Cx, party: PartyId) -> Option<Address> {
    let found = &cx.parties[party];
    let (op, _) = found.ops.iter().find(|(_, op)| matches!(op, Op::Stdio(_)))?;
    Some(Address { party, life: found.life, op: *op })
}

/// The agent in a process opens its stdio.
pub(crate) fn open_stdio(cx: &mut Cx, from: Address) {
    if let Role::Shell(process) = cx.parties[from.party].role {
        cx.parties[from.party].ops.insert(from.op, Op::Stdio(process));
        cx.tell(from, Event::Opened { op: from.op });
        cx.later(Duration::from_micros(50), SimEvent::Process(process, ProcessEvent::Read));
    }
}
