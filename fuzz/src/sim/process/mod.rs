//! Processes: bounded pipes, a program at the other end, signals, and exiting.

mod pipes;
pub(crate) mod stdio;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::contract::action::{ProcessSpec, Signal};
use footbridge_core::contract::event::{Event, ExitStatus, IoErrorKind, Output};

use crate::fact::Fact;
use crate::ids::ProcessId;
use crate::ids::{Address, HostId, Op, PartyId, Role};
use crate::nodes::agents::{self, Kind, Program, Syscalls};
use crate::nodes::commands;
use crate::nodes::node::Order;
use crate::nodes::shell::shell;
use crate::sim::cx::{Cx, failure};
use crate::sim::event::{ProcessEvent, SimEvent};
use crate::sim::party::Party;

/// Bytes that a pipe holds.
const PIPE: usize = 64 << 10;
/// No process has this number: whatever a worker does to one that could not be started has no
/// effect.
const NEVER_STARTED: ProcessId = 0;

/// All processes there ever were.
pub(crate) struct Processes {
    all: BTreeMap<ProcessId, Process>,
    next: ProcessId,
    /// The kind of all agents, if it is not random.
    kind: Option<Kind>,
}

/// Effects of a process beyond itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upshot {
    /// The party that runs in it takes its steps.
    Step(PartyId),
    /// The party that runs in it is told to do something.
    Order(PartyId, Order),
    /// It ends, and with it the party that runs in it.
    Exit(ProcessId, ExitStatus),
    /// It has ended.
    Over(ProcessId),
}

/// One process.
pub(crate) struct Process {
    pub(crate) session: String,
    pub(crate) host: HostId,
    parent: Option<Address>,
    program: Who,
    /// Writes that do not fit into the pipe yet.
    writes: VecDeque<Bytes>,
    stdin: VecDeque<Bytes>,
    stdin_bytes: usize,
    is_stdin_ended: bool,
    /// The beginning of an incomplete line in the pipe, for the promises.
    partial: Vec<u8>,
    is_reading: bool,
    stdout: VecDeque<Bytes>,
    stdout_bytes: usize,
    is_stdout_open: bool,
    /// By something it has left behind.
    is_stdout_held: bool,
    is_drain_noted: bool,
    is_paused: bool,
    alarm: u64,
    is_over: bool,
    /// Messages from the shell agent that its reader has not read: their bytes.
    unsent: VecDeque<usize>,
}

enum Who {
    Script(Box<dyn Program>),
    Shell(PartyId),
}

impl Processes {
    pub(crate) const fn new(kind: Option<Kind>) -> Self {
        Self { all: BTreeMap::new(), next: 0, kind }
    }

    pub(crate) fn spawn(
        &mut self,
        cx: &mut Cx,
        from: Address,
        command: &ProcessSpec,
    ) -> Option<ProcessId> {
        cx.parties[from.party].ops.insert(from.op, Op::Process(NEVER_STARTED));
        let host = cx.parties[from.party].host;
        let op = from.op;
        if cx.rng.u8(..) < 3 && !cx.is_calm {
            let failure = failure(IoErrorKind::NotFound);
            cx.tell(from, Event::Failed { op, failure });
            return None;
        }
        let session = command.env.iter().find(|(name, _)| name == "FOOTBRIDGE_SESSION_ID");
        let session = session.map(|(_, value)| value.reveal().to_owned()).unwrap_or_default();
        // Nothing is promised for the sessions that the liar invents.
        let is_victim = cx.parties[from.party].role == Role::Victim;
        let session = if is_victim { String::new() } else { session };
        self.next += 1;
        let id = self.next;
        let program = if command.program == "/bin/sh" {
            Who::Script(commands::command(command, cx.rng.u64(..)))
        } else {
            let kind = self.kind.unwrap_or_else(|| Kind::draw(&mut cx.rng));
            let seed = cx.rng.u64(..);
            cx.trace.record(cx.at, "world", || format!("agent {id} of {session} is {kind:?}"));
            if kind.is_deaf() {
                cx.fact(Fact::IsDeaf { session: session.clone() });
            }
            match kind {
                Kind::Shell => Who::Shell(run_shell(cx, host, id, seed)),
                kind => Who::Script(agents::script(kind, &session, id, seed)),
            }
        };
        cx.parties[from.party].ops.insert(op, Op::Process(id));
        let process = Process {
            session,
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
        self.all.insert(id, process);
        Some(id)
    }

    /// A new process starts running a little later.
    pub(crate) fn begin_soon(&self, cx: &mut Cx, id: ProcessId) {
        let Some(process) = self.all.get(&id) else { return };
        if !process.session.is_empty() {
            cx.fact(Fact::AgentStarted { process: id, session: process.session.clone() });
        }
        let wait = cx.about(Duration::from_millis(8));
        cx.later(wait, SimEvent::Process(id, ProcessEvent::Begin));
    }

    pub(crate) fn event(
        &mut self,
        cx: &mut Cx,
        id: ProcessId,
        event: ProcessEvent,
    ) -> Option<Upshot> {
        let process = self.all.get_mut(&id)?;
        if cx.hosts[process.host].is_suspended(cx.at) {
            cx.hosts[process.host].put_off.push(SimEvent::Process(id, event));
            return None;
        }
        match event {
            ProcessEvent::Begin => self.begin(cx, id),
            ProcessEvent::Read => self.read(cx, id),
            ProcessEvent::Drain => self.drain(cx, id),
            ProcessEvent::Alarm(number) if process.alarm == number && !process.is_over => {
                self.with_program(cx, id, |program, sys| program.alarm(sys))
            }
            ProcessEvent::Alarm(_) => None,
            ProcessEvent::Killed => Some(Upshot::Exit(id, ExitStatus::Signal(9))),
            ProcessEvent::Closed => {
                self.end_stdout(cx, id);
                None
            }
            ProcessEvent::Gone(status) => {
                self.gone(cx, id, status);
                None
            }
        }
    }

    fn begin(&mut self, cx: &mut Cx, id: ProcessId) -> Option<Upshot> {
        let process = self.all.get(&id)?;
        if let Some(parent) = process.parent {
            let pid = u32::try_from(id).unwrap_or(1);
            cx.tell(parent, Event::Spawned { op: parent.op, pid });
        }
        match process.program {
            Who::Shell(party) => Some(Upshot::Step(party)),
            Who::Script(_) => self.with_program(cx, id, |program, sys| program.started(sys)),
        }
    }

    /// Lets a program do something, and carries out its system calls.
    fn with_program(
        &mut self,
        cx: &mut Cx,
        id: ProcessId,
        go: impl FnOnce(&mut dyn Program, &mut Syscalls),
    ) -> Option<Upshot> {
        let process = self.all.get_mut(&id)?;
        if process.is_over {
            return None;
        }
        let Who::Script(program) = &mut process.program else { return None };
        let mut sys = Syscalls::new(PIPE.saturating_sub(process.stdout_bytes));
        go(program.as_mut(), &mut sys);
        let session = process.session.clone();
        if let Some(wait) = sys.alarm {
            process.alarm += 1;
            let number = process.alarm;
            cx.later(wait, SimEvent::Process(id, ProcessEvent::Alarm(number)));
        }
        if sys.stops_reading
            && let Some(process) = self.all.get_mut(&id)
        {
            process.is_reading = false;
        }
        for printed in sys.printed {
            if !session.is_empty() && printed.is_line {
                let line = String::from_utf8_lossy(&printed.bytes).trim_end().to_owned();
                let (session, is_message) = (session.clone(), printed.is_message);
                cx.fact(Fact::Printed { process: id, session, line, is_message });
            }
            self.print(cx, id, printed.bytes);
        }
        if let Some(words) = sys.stderr
            && let Some(parent) = self.parent_of(id)
        {
            cx.tell(parent, Event::Stderr { op: parent.op, data: words });
        }
        if sys.closes_stdout {
            self.end_stdout(cx, id);
        }
        if let Some(wait) = sys.leaves_behind
            && let Some(process) = self.all.get_mut(&id)
        {
            process.is_stdout_held = true;
            cx.later(wait, SimEvent::Process(id, ProcessEvent::Closed));
        }
        let status = sys.exit?;
        if !self.end(id) {
            return None;
        }
        self.bury(cx, id, status);
        Some(Upshot::Over(id))
    }

    fn parent_of(&self, id: ProcessId) -> Option<Address> {
        self.all.get(&id).and_then(|process| process.parent)
    }

    pub(crate) fn signal(&mut self, cx: &mut Cx, id: ProcessId, signal: Signal) -> Option<Upshot> {
        let process = self.all.get(&id).filter(|process| !process.is_over)?;
        match (&process.program, signal) {
            (Who::Script(program), Signal::Kill) if !program.dying().is_zero() => {
                let wait = program.dying();
                cx.later(wait, SimEvent::Process(id, ProcessEvent::Killed));
                None
            }
            (_, Signal::Kill) => Some(Upshot::Exit(id, ExitStatus::Signal(9))),
            (Who::Shell(party), _) => Some(Upshot::Order(*party, Order::Shutdown)),
            (Who::Script(_), _) => {
                self.with_program(cx, id, |program, sys| program.signal(signal, sys))
            }
        }
    }

    pub(crate) fn session_of(&self, id: ProcessId) -> Option<&str> {
        self.all.get(&id).map(|process| process.session.as_str())
    }

    /// The party that runs in a process, if it is one of the world's.
    pub(crate) fn shell_of(&self, id: ProcessId) -> Option<PartyId> {
        match self.all.get(&id)?.program {
            Who::Shell(party) => Some(party),
            Who::Script(_) => None,
        }
    }

    /// Stops a process. Returns whether it was still running.
    pub(crate) fn end(&mut self, id: ProcessId) -> bool {
        let Some(process) = self.all.get_mut(&id) else { return false };
        if std::mem::replace(&mut process.is_over, true) {
            return false;
        }
        process.writes.clear();
        true
    }

    /// The parent of a process that has exited learns of it a little later.
    pub(crate) fn bury(&mut self, cx: &mut Cx, id: ProcessId, status: ExitStatus) {
        if self.all.get(&id).is_some_and(|process| !process.is_stdout_held) {
            self.end_stdout(cx, id);
        }
        let wait = cx.about(Duration::from_millis(2));
        cx.later(wait, SimEvent::Process(id, ProcessEvent::Gone(status)));
        cx.fact(Fact::AgentEnded { process: id });
    }

    pub(crate) fn is_running(&self, id: ProcessId) -> bool {
        self.all.get(&id).is_some_and(|process| !process.is_over)
    }

    /// Whether its worker still has it.
    pub(crate) fn is_led(&self, cx: &Cx, id: ProcessId) -> bool {
        self.parent_of(id).is_some_and(|parent| cx.is_alive(parent))
    }

    fn gone(&mut self, cx: &mut Cx, id: ProcessId, status: ExitStatus) {
        let Some(parent) = self.parent_of(id) else { return };
        let op = parent.op;
        cx.tell(parent, Event::InputClosed { op });
        cx.tell(parent, Event::OutputEnded { op, output: Output::Stderr });
        cx.tell(parent, Event::Exited { op, status });
    }

    /// Its parent is gone, or has closed its pipes: it sees the end of its input, and nobody reads
    /// its output.
    pub(crate) fn orphan(&mut self, cx: &mut Cx, id: ProcessId) {
        let Some(process) = self.all.get_mut(&id) else { return };
        process.parent = None;
        process.stdout.clear();
        process.stdout_bytes = 0;
        self.end_stdin(cx, id);
        cx.fact(Fact::AgentOrphaned { process: id });
    }
}

/// A party for the built-in agent, which a process runs.
fn run_shell(cx: &mut Cx, host: HostId, process: ProcessId, seed: u64) -> PartyId {
    let mut party = Party::new(format!("shell{process}"), Role::Shell(process), host);
    party.machine = Some(shell(seed, cx.trace.is_on()));
    cx.parties.push(party);
    cx.parties.len() - 1
}
