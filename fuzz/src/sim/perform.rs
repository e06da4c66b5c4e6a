//! Carrying out what a machine asks for, as a runtime would; and seeing to it that it asks for
//! nothing that a runtime could not do.

use std::time::Duration;

use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Action, Signal, Target};
use footbridge_core::contract::event::{Event, ExitStatus, IoErrorKind};

use crate::fact::Fact;
use crate::sim::party::{Address, End, Op, PartyId};
use crate::sim::world::{SimEvent, World, failure};

/// How long a runtime waits for the other side's part in the end of a stream.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

impl World {
    pub(crate) fn perform(&mut self, id: PartyId, action: Action) {
        let at = self.at;
        self.trace.say(at, &self.parties[id].name, || {
            format!("-> {}", crate::trace::action_words(&action))
        });
        if let Err(why) = self.check(id, &action) {
            let words = format!("{} asks for {action:?}: {why}", self.parties[id].name);
            return self.break_promise("contract", words);
        }
        self.note_status(id, &action);
        let from = |op| Address { party: id, life: self.parties[id].life, op };
        match action {
            Action::Request { op, request } => {
                let from = from(op);
                self.request(from, &request);
            }
            Action::Open { op, target: Target::Stdio } => {
                let from = from(op);
                self.open_stdio(from);
            }
            Action::Open { op, target } => {
                let from = from(op);
                self.open(from, target);
            }
            Action::Send { op, message } => self.send(id, op, message),
            Action::Close { op, code } => {
                let from = from(op);
                self.close(from, code);
            }
            Action::Pause { op } => self.set_paused(id, op, true),
            Action::Resume { op } => self.set_paused(id, op, false),
            Action::Spawn { op, command } => {
                let from = from(op);
                self.spawn(from, &command);
            }
            Action::Write { op, data } => self.write(id, op, data),
            Action::CloseInput { op } => self.close_input(id, op),
            Action::Signal { op, signal } => {
                if signal == Signal::Kill {
                    self.note_kill(id, op);
                }
                self.signal(id, op, signal);
            }
            Action::Run { op, command, timeout, .. } => {
                let from = from(op);
                if self.git.serves(id) {
                    self.run_git(from, &command, timeout);
                } else {
                    self.run(from, &command.args);
                }
            }
            Action::Save { op, .. }
            | Action::Load { op, .. }
            | Action::Remove { op, .. }
            | Action::List { op, .. } => {
                let from = from(op);
                self.touch_disk(from, action);
            }
            Action::Listen { op, address } => {
                let from = from(op);
                self.parties[id].ops.insert(op, Op::Listener);
                self.parties[id].listener = Some(op);
                self.tell(from, Event::Listening { op, address });
            }
            Action::Accept { op, max_body, .. } => {
                self.parties[id].ops.insert(op, Op::Accept);
                self.parties[id].accepts.push_back((op, max_body));
                self.take_backlog(id);
            }
            Action::Reply { op, response } => self.reply(id, op, response),
            Action::Upgrade { op, protocol, max_message } => {
                self.upgrade(id, op, protocol, max_message);
            }
            Action::Store { op, transaction } => {
                let from = from(op);
                self.parties[id].ops.insert(op, Op::Single);
                self.ask_store(from, transaction);
            }
            Action::Cancel { op } => self.cancel(id, op),
        }
    }

    /// Whether an action is one that its machine may ask for now.
    fn check(&mut self, id: PartyId, action: &Action) -> Result<(), &'static str> {
        let party = &mut self.parties[id];
        if action.is_start() {
            let op = action.op();
            if op.get() <= party.newest_op {
                return Err("the operation's name was used before");
            }
            party.newest_op = op.get();
            return Ok(());
        }
        let (op, is_right): (OpId, fn(Op) -> bool) = match action {
            Action::Send { op, .. } | Action::Close { op, .. } => {
                (*op, |op| matches!(op, Op::Stream(..) | Op::Stdio(_)))
            }
            Action::Pause { op } | Action::Resume { op } => {
                (*op, |op| matches!(op, Op::Stream(..) | Op::Stdio(_) | Op::Process(_)))
            }
            Action::Write { op, .. } | Action::CloseInput { op } | Action::Signal { op, .. } => {
                (*op, |op| matches!(op, Op::Process(_)))
            }
            Action::Reply { op, .. } | Action::Upgrade { op, .. } => {
                (*op, |op| matches!(op, Op::Exchange(_)))
            }
            _ => return Ok(()),
        };
        if op.get() > party.newest_op {
            return Err("there never was such an operation");
        }
        // What is over may have ended while the machine did not know it yet.
        match party.ops.get(&op) {
            Some(found) if !is_right(*found) => Err("the operation is of another kind"),
            _ => Ok(()),
        }
    }

    fn cancel(&mut self, id: PartyId, op: OpId) {
        let party = &mut self.parties[id];
        match party.ops.remove(&op) {
            Some(Op::Request(conn) | Op::Stream(conn, End::Client)) => {
                self.abandon(conn, End::Client, false);
            }
            Some(Op::Exchange(conn) | Op::Stream(conn, End::Server)) => {
                self.abandon(conn, End::Server, false);
            }
            Some(Op::Process(process)) => self.orphan(process),
            Some(Op::Listener) => {
                party.listener = None;
                party.accepts.clear();
                self.refuse_backlog(id);
            }
            Some(Op::Accept) => party.accepts.retain(|(accept, _)| *accept != op),
            Some(Op::Stdio(process)) => self.stdio_closed(process),
            Some(Op::Single) | None => {}
        }
    }

    fn close(&mut self, from: Address, code: u16) {
        match self.parties[from.party].ops.get(&from.op).copied() {
            Some(Op::Stream(conn, end)) => {
                self.close_lane(conn, end, code);
                self.later(CLOSE_LIMIT, SimEvent::CloseLimit(from));
            }
            Some(Op::Stdio(process)) => self.close_stdout_in_order(process),
            _ => {}
        }
    }

    /// The other side did not take part in the end of a stream.
    pub(crate) fn close_limit(&mut self, from: Address) {
        if !self.is_alive(from) {
            return;
        }
        if let Some(Op::Stream(conn, end)) = self.parties[from.party].ops.get(&from.op).copied() {
            self.abandon(conn, end, false);
            let failure = Some(failure(IoErrorKind::TimedOut));
            self.tell(from, Event::Closed { op: from.op, code: None, failure });
        }
    }

    fn run(&mut self, from: Address, args: &[String]) {
        self.parties[from.party].ops.insert(from.op, Op::Single);
        let is_branch = args.iter().any(|arg| arg == "symbolic-ref");
        let fails = self.rng.u8(..) < 8;
        let wait = self.about(Duration::from_millis(4));
        let op = from.op;
        let event = if fails {
            Event::Failed { op, failure: failure(IoErrorKind::TimedOut) }
        } else {
            let (code, stdout) = if is_branch { (0, "main\n") } else { (1, "") };
            Event::Ran {
                op,
                status: ExitStatus::Code(code),
                stdout: bytes::Bytes::from_static(stdout.as_bytes()),
                stderr: bytes::Bytes::new(),
            }
        };
        self.later(wait, SimEvent::Deliver(from, event));
    }

    /// What a worker's requests come to, for the promises about patience.
    pub(crate) fn note_answer(&mut self, to: Address, op: Op, event: &Event) {
        if !matches!(op, Op::Request(_)) {
            return;
        }
        if let Some(asked) = self.parties[to.party].asked.remove(&to.op) {
            self.note_report(to.party, &asked, event);
        }
        let party = &mut self.parties[to.party];
        let Some(what) = party.activities.remove(&to.op) else { return };
        let mono = self.hosts[party.host].clock.now(self.at).mono.since_origin();
        let fact = match event {
            Event::Response { response, .. } => Fact::Answered {
                party: to.party,
                what,
                status: response.status,
                retry_after: response.header("retry-after").and_then(|text| text.parse().ok()),
                mono,
            },
            Event::Failed { .. } => Fact::Failed { party: to.party, what, mono },
            _ => return,
        };
        self.fact(fact);
    }
}

/// Which of a worker's activities a request belongs to.
pub(crate) fn request_kind(label: &str) -> Option<&'static str> {
    if label.ends_with("/environments/bridge") {
        Some("register")
    } else if label.ends_with("/work/poll") {
        Some("poll")
    } else {
        None
    }
}
