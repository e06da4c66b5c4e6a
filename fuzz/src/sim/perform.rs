//! Carries out a machine's actions as a runtime would, if the contract allows them.

use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Action, Message, ProcessSpec, Signal, Target};
use footbridge_core::contract::event::{Event, ExitStatus, IoError, IoErrorKind};

use crate::fact::Fact;
use crate::ids::{Address, End, Op, PartyId, ProcessId};
use crate::sim::cx::{Cx, failure};
use crate::sim::event::SimEvent;
use crate::sim::process::stdio::open_stdio;
use crate::sim::world::World;
use crate::sim::{files, observe};
use crate::trace;

/// How long a runtime waits for the other side to take part in closing a stream.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

impl World {
    pub(crate) fn perform(&mut self, id: PartyId, action: Action) {
        self.cx.record(id, || format!("-> {}", trace::action_words(&action)));
        if let Err(why) = self.cx.parties[id].checker.action(&action) {
            let words = format!("{} asks for {action:?}: {why}", self.cx.parties[id].name);
            return self.cx.break_promise("contract", words);
        }
        observe::relay_action(&mut self.cx, id, &action);
        let life = self.cx.parties[id].life;
        let from = |op| Address { party: id, life, op };
        let cx = &mut self.cx;
        match action {
            Action::Request { op, request } => self.network.request(cx, from(op), &request),
            Action::Open { op, target: Target::Local { path, .. } } => {
                let failure = IoError { kind: IoErrorKind::NotFound, detail: path };
                cx.tell(from(op), Event::Failed { op, failure });
            }
            Action::Open { op, target: Target::Stdio } => open_stdio(cx, from(op)),
            Action::Open { op, target } => self.network.open(cx, from(op), target),
            Action::Send { op, message } => self.send(id, op, message),
            Action::Close { op, code } => self.close(from(op), code),
            Action::Pause { op } => self.set_paused(id, op, true),
            Action::Resume { op } => self.set_paused(id, op, false),
            Action::Spawn { op, command } => self.spawn(from(op), &command),
            Action::Write { op, data } => self.write(id, op, data),
            Action::CloseInput { op } => {
                if let Some(Op::Process(process)) = cx.parties[id].op(op) {
                    self.processes.end_stdin(cx, process);
                }
            }
            Action::Signal { op, signal } => self.signal(id, op, signal),
            Action::EndTree { op, process } => self.end_tree(from(op), process),
            Action::Run { op, command, timeout, .. } => {
                if self.git.serves(id) {
                    self.git.run(cx, from(op), &command, timeout);
                } else {
                    run(cx, from(op), &command.args);
                }
            }
            Action::Save { op, .. }
            | Action::Load { op, .. }
            | Action::Append { op, .. }
            | Action::LoadEnd { op, .. }
            | Action::Remove { op, .. }
            | Action::List { op, .. } => files::touch(cx, from(op), action),
            Action::Lock { op, path, patience } => files::lock(cx, from(op), path, patience),
            Action::Listen { op, address, limits } => {
                self.network.open_door(id, limits);
                cx.parties[id].ops.insert(op, Op::Listener);
                cx.parties[id].listener = Some(op);
                cx.tell(from(op), Event::Listening { op, address });
            }
            Action::Accept { op, .. } => {
                cx.parties[id].ops.insert(op, Op::Accept);
                cx.parties[id].accepts.push_back(op);
                self.network.take_backlog(cx, id);
            }
            Action::Vouch { op, standing } => self.network.vouch(cx, id, op, standing),
            Action::ReadBody { op, max_body, .. } => self.network.read_body(cx, id, op, max_body),
            Action::Reply { op, response } => self.network.reply(cx, id, op, response),
            Action::ReplyStream { op, head, write_timeout } => {
                self.network.reply_stream(cx, id, op, head, write_timeout);
            }
            Action::Upgrade { op, protocol, max_message } => {
                self.network.upgrade(cx, id, op, protocol, max_message);
            }
            Action::Store { op, transaction } => {
                cx.parties[id].ops.insert(op, Op::Single);
                self.store.ask(cx, from(op), transaction);
            }
            Action::Cancel { op } => self.cancel(id, op),
        }
    }

    fn send(&mut self, id: PartyId, op: OpId, message: Message) {
        let role = self.cx.parties[id].role;
        match self.cx.parties[id].op(op) {
            Some(Op::Stream(conn, end)) => {
                self.network.send(&mut self.cx, conn, end, message, role);
            }
            Some(Op::Stdio(process)) => {
                let upshot = self.processes.print_message(&mut self.cx, process, message);
                self.follow(upshot);
            }
            _ => {}
        }
    }

    fn set_paused(&mut self, id: PartyId, op: OpId, is_paused: bool) {
        let cx = &mut self.cx;
        match cx.parties[id].op(op) {
            Some(Op::Stream(conn, end)) => self.network.set_paused(cx, conn, end, is_paused),
            Some(Op::Process(process)) => self.processes.pause_output(cx, process, is_paused),
            Some(Op::Stdio(process)) => self.processes.pause_input(cx, process, is_paused),
            _ => {}
        }
    }

    fn spawn(&mut self, from: Address, command: &ProcessSpec) {
        let cx = &mut self.cx;
        if let Some(process) = self.processes.spawn(cx, from, command) {
            let host = cx.parties[from.party].host;
            self.git.agent_starts(cx, host, command.directory.as_deref(), process);
            self.processes.begin_soon(cx, process);
        }
    }

    fn write(&mut self, id: PartyId, op: OpId, data: Bytes) {
        let party = &self.cx.parties[id];
        if let (Some(Op::Process(process)), role) = (party.op(op), party.role) {
            self.processes.write(&mut self.cx, process, data, role);
        }
    }

    fn signal(&mut self, id: PartyId, op: OpId, signal: Signal) {
        let party = &self.cx.parties[id];
        let Some(Op::Process(process)) = party.op(op) else { return };
        if signal == Signal::Kill {
            self.note_kill(id, process);
        }
        let upshot = self.processes.signal(&mut self.cx, process, signal);
        self.follow(upshot);
    }

    /// A worker is done with an agent, of its own accord.
    fn note_kill(&mut self, id: PartyId, process: ProcessId) {
        if !self.cx.parties[id].is_ordered_down
            && let Some(session) = self.processes.session_of(process)
        {
            let session = session.to_owned();
            // One that has exited on its own is only tidied up after.
            let is_misled = self.cx.parties[id].is_misled && self.processes.is_running(process);
            self.cx.fact(Fact::Killed { party: id, session, is_misled });
        }
    }

    /// Everything that a process has started is killed with it. That takes a moment.
    fn end_tree(&mut self, from: Address, process: OpId) {
        self.cx.parties[from.party].ops.insert(from.op, Op::Single);
        if let Some(Op::Process(process)) = self.cx.parties[from.party].op(process) {
            self.note_kill(from.party, process);
            let upshot = self.processes.signal(&mut self.cx, process, Signal::Kill);
            self.follow(upshot);
            self.processes.end_stdout(&mut self.cx, process);
        }
        let wait = self.cx.about(Duration::from_millis(3));
        let survives = !self.cx.is_calm && self.cx.rng.u8(..) < 4;
        let survivors = if survives { vec!["7 (stuck)".to_owned()] } else { Vec::new() };
        let event = Event::TreeEnded { op: from.op, survivors };
        self.cx.later(wait, SimEvent::Deliver(from, event));
    }

    fn cancel(&mut self, id: PartyId, op: OpId) {
        let cx = &mut self.cx;
        let party = &mut cx.parties[id];
        match party.ops.remove(&op) {
            Some(Op::Request(conn) | Op::Stream(conn, End::Client)) => {
                self.network.abandon(cx, conn, End::Client, false);
            }
            Some(Op::Exchange(conn) | Op::Stream(conn, End::Server)) => {
                self.network.abandon(cx, conn, End::Server, false);
            }
            Some(Op::Process(process)) => self.processes.orphan(cx, process),
            Some(Op::Listener) => {
                party.listener = None;
                party.accepts.clear();
                self.network.refuse_backlog(cx, id);
            }
            Some(Op::Accept) => party.accepts.retain(|accept| *accept != op),
            Some(Op::Stdio(process)) => self.processes.end_stdout(cx, process),
            Some(Op::Single) | None => {}
        }
    }

    fn close(&mut self, from: Address, code: u16) {
        let cx = &mut self.cx;
        match cx.parties[from.party].op(from.op) {
            Some(Op::Stream(conn, end)) => {
                self.network.close_lane(cx, conn, end, code);
                // The body of a response has its own limit.
                if self.network.conns.get(&conn).is_none_or(|conn| conn.body.is_none()) {
                    cx.later(CLOSE_LIMIT, SimEvent::CloseLimit(from));
                }
            }
            Some(Op::Stdio(process)) => self.processes.close_stdout_in_order(cx, process),
            _ => {}
        }
    }

    /// The other side did not take part in closing a stream.
    pub(crate) fn close_limit(&mut self, from: Address) {
        if !self.cx.is_alive(from) {
            return;
        }
        if let Some(Op::Stream(conn, end)) = self.cx.parties[from.party].ops.get(&from.op).copied()
        {
            self.network.abandon(&mut self.cx, conn, end, false);
            let failure = Some(failure(IoErrorKind::TimedOut));
            self.cx.tell(from, Event::Closed { op: from.op, code: None, failure });
        }
    }
}

fn run(cx: &mut Cx, from: Address, args: &[String]) {
    cx.parties[from.party].ops.insert(from.op, Op::Single);
    let is_branch = args.iter().any(|arg| arg == "symbolic-ref");
    let fails = cx.rng.u8(..) < 8;
    let wait = cx.about(Duration::from_millis(4));
    let op = from.op;
    let event = if fails {
        Event::Failed { op, failure: failure(IoErrorKind::TimedOut) }
    } else {
        let (code, stdout) = if is_branch { (0, "main\n") } else { (1, "") };
        Event::Ran {
            op,
            status: ExitStatus::Code(code),
            stdout: Bytes::from_static(stdout.as_bytes()),
            stderr: Bytes::new(),
        }
    };
    cx.later(wait, SimEvent::Deliver(from, event));
}
