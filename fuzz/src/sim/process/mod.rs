//! Processes: pipes of a bounded size, a program at the other end, signals, and the end.

mod pipes;
mod stdio;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{ProcessSpec, Signal};
use footbridge_core::contract::event::{Event, ExitStatus, IoErrorKind, Output};

use pipes::PIPE;

use crate::fact::Fact;
use crate::nodes::agents::{self, Doing, Program};
use crate::nodes::commands;
use crate::scenario::cast;
use crate::sim::host::HostId;
use crate::sim::party::{Address, Op, Order, PartyId};
use crate::sim::world::{SimEvent, World, failure};

pub(crate) type ProcessId = usize;

/// No process has this number: what a worker asks of one that could not be started goes nowhere.
const NEVER_STARTED: ProcessId = 0;

/// All processes that ever were.
#[derive(Default)]
pub(crate) struct Processes {
    pub(crate) all: BTreeMap<ProcessId, Process>,
    next: ProcessId,
}

/// What happens to a process.
#[derive(Clone, Debug)]
pub(crate) enum Moment {
    Begin,
    Read,
    Drain,
    Alarm(u64),
    /// It is killed, at last.
    Killed,
    /// Nothing holds its stdout any more.
    Closed,
    Gone(ExitStatus),
}

/// One process.
pub(crate) struct Process {
    pub(crate) session: String,
    pub(crate) host: HostId,
    parent: Option<Address>,
    program: Who,
    /// Writes that have no room in the pipe yet.
    writes: VecDeque<Bytes>,
    stdin: VecDeque<Bytes>,
    stdin_bytes: usize,
    is_stdin_ended: bool,
    /// What is left of a line in the pipe, for the promises.
    partial: Vec<u8>,
    is_reading: bool,
    stdout: VecDeque<Bytes>,
    stdout_bytes: usize,
    is_stdout_open: bool,
    /// By something that it leaves behind.
    is_stdout_held: bool,
    is_drain_noted: bool,
    is_paused: bool,
    alarm: u64,
    is_over: bool,
    /// Messages of the shell agent that its reader has not taken: their bytes.
    unsent: VecDeque<usize>,
}

impl Process {
    pub(crate) const fn is_over(&self) -> bool {
        self.is_over
    }
}

enum Who {
    Script(Box<dyn Program>),
    Shell(PartyId),
}

impl World {
    pub(crate) fn spawn(&mut self, from: Address, command: &ProcessSpec) {
        self.parties[from.party].ops.insert(from.op, Op::Process(NEVER_STARTED));
        let host = self.parties[from.party].host;
        let op = from.op;
        if self.rng.u8(..) < 3 && !self.is_calm {
            let failure = failure(IoErrorKind::NotFound);
            return self.tell(from, Event::Failed { op, failure });
        }
        let session = command.env.iter().find(|(name, _)| name == "FOOTBRIDGE_SESSION_ID");
        let session = session.map(|(_, value)| value.reveal().to_owned()).unwrap_or_default();
        // Nothing is promised of the sessions that the liar invents.
        let is_victim = self.parties[from.party].role == crate::sim::party::Role::Victim;
        let session = if is_victim { String::new() } else { session };
        self.processes.next += 1;
        let id = self.processes.next;
        let program = if command.program == "/bin/sh" {
            Who::Script(commands::command(command, self.rng.u64(..)))
        } else {
            let kind = self.options.agent.unwrap_or_else(|| agents::Kind::draw(&mut self.rng));
            let seed = self.rng.u64(..);
            self.trace.say(self.at, "world", || format!("agent {id} of {session} is {kind:?}"));
            if kind.is_deaf() {
                self.fact(Fact::IsDeaf { session: session.clone() });
            }
            match kind {
                agents::Kind::Shell => Who::Shell(cast::shell(self, host, id, seed)),
                kind => Who::Script(agents::script(kind, &session, id, seed)),
            }
        };
        self.parties[from.party].ops.insert(op, Op::Process(id));
        let process = Process {
            session: session.clone(),
            host,
            parent: Some(from),
            program,
            writes: VecDeque::new(),
            stdin: VecDeque::new(),
            stdin_bytes: 0,
            is_stdin_ended: false,
            partial: Vec::new(),
            is_reading: true,
            stdout: VecDeque::new(),
            stdout_bytes: 0,
            is_stdout_open: true,
            is_stdout_held: false,
            is_drain_noted: false,
            is_paused: false,
            alarm: 0,
            is_over: false,
            unsent: VecDeque::new(),
        };
        self.processes.all.insert(id, process);
        self.agent_starts(host, command.directory.as_deref(), id);
        if !session.is_empty() {
            self.fact(Fact::AgentStarted { process: id, session });
        }
        let wait = self.about(Duration::from_millis(8));
        self.later(wait, SimEvent::Process(id, Moment::Begin));
    }

    pub(crate) fn process_moment(&mut self, id: ProcessId, moment: Moment) {
        let Some(process) = self.processes.all.get_mut(&id) else { return };
        if self.hosts[process.host].is_suspended(self.at) {
            let host = process.host;
            return self.hosts[host].put_off.push(SimEvent::Process(id, moment));
        }
        match moment {
            Moment::Begin => self.begin(id),
            Moment::Read => self.read(id),
            Moment::Drain => self.drain(id),
            Moment::Alarm(number) if process.alarm == number && !process.is_over => {
                self.with_program(id, |program, doing| program.alarm(doing));
            }
            Moment::Alarm(_) => {}
            Moment::Killed => self.exit(id, ExitStatus::Signal(9)),
            Moment::Closed => self.end_stdout(id),
            Moment::Gone(status) => self.gone(id, status),
        }
    }

    fn begin(&mut self, id: ProcessId) {
        let Some(process) = self.processes.all.get_mut(&id) else { return };
        if let Some(parent) = process.parent {
            let pid = u32::try_from(id).unwrap_or(1);
            self.tell(parent, Event::Spawned { op: parent.op, pid });
        }
        let Some(process) = self.processes.all.get(&id) else { return };
        match process.program {
            Who::Shell(party) => self.steps(party),
            Who::Script(_) => self.with_program(id, |program, doing| program.started(doing)),
        }
    }

    /// Lets a program do something, and carries out what it wants.
    fn with_program(&mut self, id: ProcessId, go: impl FnOnce(&mut dyn Program, &mut Doing)) {
        let Some(process) = self.processes.all.get_mut(&id) else { return };
        if process.is_over {
            return;
        }
        let Who::Script(program) = &mut process.program else { return };
        let mut doing = Doing::new(PIPE.saturating_sub(process.stdout_bytes));
        go(program.as_mut(), &mut doing);
        let session = process.session.clone();
        if let Some(wait) = doing.alarm {
            process.alarm += 1;
            let number = process.alarm;
            self.later(wait, SimEvent::Process(id, Moment::Alarm(number)));
        }
        if doing.stops_reading
            && let Some(process) = self.processes.all.get_mut(&id)
        {
            process.is_reading = false;
        }
        for said in doing.said {
            if !session.is_empty() && said.is_line {
                let line = String::from_utf8_lossy(&said.bytes).trim_end().to_owned();
                let (session, is_message) = (session.clone(), said.is_message);
                self.fact(Fact::Printed { process: id, session, line, is_message });
            }
            self.print(id, said.bytes);
        }
        if let Some(words) = doing.stderr
            && let Some(parent) = self.parent_of(id)
        {
            self.tell(parent, Event::Stderr { op: parent.op, data: words });
        }
        if doing.closes_stdout {
            self.end_stdout(id);
        }
        if let Some(wait) = doing.leaves_behind
            && let Some(process) = self.processes.all.get_mut(&id)
        {
            process.is_stdout_held = true;
            self.later(wait, SimEvent::Process(id, Moment::Closed));
        }
        if let Some(status) = doing.exit {
            self.exit(id, status);
        }
    }

    fn parent_of(&self, id: ProcessId) -> Option<Address> {
        self.processes.all.get(&id).and_then(|process| process.parent)
    }

    pub(crate) fn signal(&mut self, id: PartyId, op: OpId, signal: Signal) {
        let Some(Op::Process(process)) = self.parties[id].ops.get(&op).copied() else { return };
        let Some(found) = self.processes.all.get(&process) else { return };
        if found.is_over {
            return;
        }
        match (&found.program, signal) {
            (Who::Script(program), Signal::Kill) if !program.dying().is_zero() => {
                let wait = program.dying();
                self.later(wait, SimEvent::Process(process, Moment::Killed));
            }
            (_, Signal::Kill) => self.exit(process, ExitStatus::Signal(9)),
            (Who::Shell(party), _) => {
                let party = *party;
                self.order(party, Order::Shutdown);
            }
            (Who::Script(_), _) => {
                self.with_program(process, |program, doing| program.signal(signal, doing));
            }
        }
    }

    /// What can be seen of a worker that has done with an agent, of its own accord.
    pub(crate) fn note_kill(&mut self, id: PartyId, op: OpId) {
        if !self.ordered_down.contains(&id)
            && let Some(Op::Process(process)) = self.parties[id].ops.get(&op).copied()
            && let Some(process) = self.processes.all.get(&process)
        {
            self.fact(Fact::Killed { party: id, session: process.session.clone() });
        }
    }

    /// A process ends; its parent learns it a little later.
    fn exit(&mut self, id: ProcessId, status: ExitStatus) {
        let Some(process) = self.processes.all.get_mut(&id) else { return };
        if std::mem::replace(&mut process.is_over, true) {
            return;
        }
        process.writes.clear();
        let is_stdout_held = process.is_stdout_held;
        if let Who::Shell(party) = process.program
            && self.parties[party].is_up()
        {
            self.crash(party, false);
        }
        if !is_stdout_held {
            self.end_stdout(id);
        }
        let wait = self.about(Duration::from_millis(2));
        self.later(wait, SimEvent::Process(id, Moment::Gone(status)));
        self.fact(Fact::AgentEnded { process: id });
        self.agent_is_over(id);
    }

    pub(crate) fn is_running(&self, id: ProcessId) -> bool {
        self.processes.all.get(&id).is_some_and(|process| !process.is_over)
    }

    /// Whether its worker still has it.
    pub(crate) fn is_led(&self, id: ProcessId) -> bool {
        self.parent_of(id).is_some_and(|parent| self.is_alive(parent))
    }

    fn gone(&mut self, id: ProcessId, status: ExitStatus) {
        let Some(parent) = self.parent_of(id) else { return };
        let op = parent.op;
        self.tell(parent, Event::InputClosed { op });
        self.tell(parent, Event::OutputEnded { op, output: Output::Stderr });
        self.tell(parent, Event::Exited { op, status });
    }

    /// Its parent is gone, or has let go of its pipes: it sees the end of its input, and nobody
    /// hears what it says.
    pub(crate) fn orphan(&mut self, id: ProcessId) {
        let Some(process) = self.processes.all.get_mut(&id) else { return };
        process.parent = None;
        process.stdout.clear();
        process.stdout_bytes = 0;
        self.end_stdin(id);
        self.fact(Fact::AgentOrphaned { process: id });
    }
}
