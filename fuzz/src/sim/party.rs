//! Whoever takes part in the world: a machine of the core (or a client or liar of the simulator's
//! own), driven through the one interface that every runtime uses.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::time::Now;
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::{Machine, Step};

use crate::nodes::viewer::ViewerNotice;
use crate::sim::host::HostId;
use crate::sim::network::conn::ConnId;
use crate::sim::process::ProcessId;

pub(crate) type PartyId = usize;

/// Where an event goes: to one operation of one life of a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) party: PartyId,
    pub(crate) life: u32,
    pub(crate) op: OpId,
}

/// What a party is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Relay,
    Worker,
    Viewer,
    /// The built-in agent, which runs as a process.
    Shell(ProcessId),
    /// A client with a good access token and bad manners.
    Mallory,
    /// A relay that says anything.
    Liar,
    /// A worker that was lured to the liar. Nothing is promised to it but that it stays sane.
    Victim,
}

/// What the world asks of a party from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The first signal.
    Shutdown,
    /// The second signal.
    ShutdownNow,
    /// Begin nothing new; see to it that what is there comes to rest.
    Settle,
}

/// What a party tells its program.
#[derive(Debug)]
pub(crate) enum Told {
    /// For the trace alone: no promise is judged by a core machine's own word.
    Words(String),
    /// What a viewer has seen; viewers are the simulator's own eyes.
    Seen(ViewerNotice),
}

/// A machine of any kind.
pub(crate) trait Part {
    fn handle(&mut self, now: Now, event: Event);
    fn step(&mut self) -> Step<Told>;
    fn order(&mut self, now: Now, order: Order);
}

/// A machine as a [`Part`].
pub(crate) struct Driven<M: Machine> {
    pub(crate) machine: M,
    pub(crate) command: fn(Order) -> Option<M::Command>,
    pub(crate) is_traced: bool,
}

impl<M: Machine> Part for Driven<M>
where
    M::Notice: Debug,
{
    fn handle(&mut self, now: Now, event: Event) {
        self.machine.handle(now, event);
    }

    fn step(&mut self) -> Step<Told> {
        match self.machine.step() {
            Step::Do(action) => Step::Do(action),
            Step::Tell(notice) if self.is_traced => Step::Tell(Told::Words(format!("{notice:?}"))),
            Step::Tell(_) => Step::Tell(Told::Words(String::new())),
            Step::Wait(at) => Step::Wait(at),
            Step::Finished(outcome) => Step::Finished(outcome),
        }
    }

    fn order(&mut self, now: Now, order: Order) {
        if let Some(command) = (self.command)(order) {
            self.machine.command(now, command);
        }
    }
}

/// What an operation of a party is, as far as the world has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Request(ConnId),
    /// A stream that it opened, or that was upgraded; whether it is the client's end.
    Stream(ConnId, End),
    Listener,
    Accept,
    Exchange(ConnId),
    Process(ProcessId),
    Stdio(ProcessId),
    /// A file, a command, a store operation: it ends with its answer.
    Single,
}

/// The ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Client,
    Server,
}

/// One party.
pub(crate) struct Party {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) host: HostId,
    /// Grows with every restart.
    pub(crate) life: u32,
    /// None while it is down, and after it has finished.
    pub(crate) machine: Option<Box<dyn Part>>,
    pub(crate) ops: BTreeMap<OpId, Op>,
    /// What some of its requests are for.
    pub(crate) activities: BTreeMap<OpId, &'static str>,
    /// The method and the path of a worker's requests that are not answered yet.
    pub(crate) asked: BTreeMap<OpId, String>,
    /// What it asks of its disk, and has not heard of: the path, and what it is to hold.
    pub(crate) writes: BTreeMap<OpId, (String, Option<Bytes>)>,
    pub(crate) newest_op: u64,
    /// Names the deadline that counts; an older one is no longer waited for.
    pub(crate) turn: u64,
    pub(crate) listener: Option<OpId>,
    /// Those that wait for a request, and the largest body that each takes.
    pub(crate) accepts: VecDeque<(OpId, usize)>,
    /// Connections that no `Accept` has taken yet.
    pub(crate) backlog: VecDeque<ConnId>,
    /// It makes a restart when this is over.
    pub(crate) has_finished: bool,
}

impl Party {
    pub(crate) fn new(name: String, role: Role, host: HostId) -> Self {
        Self {
            name,
            role,
            host,
            life: 0,
            machine: None,
            ops: BTreeMap::new(),
            activities: BTreeMap::new(),
            asked: BTreeMap::new(),
            writes: BTreeMap::new(),
            newest_op: 0,
            turn: 0,
            listener: None,
            accepts: VecDeque::new(),
            backlog: VecDeque::new(),
            has_finished: false,
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.machine.is_some()
    }

    /// Forgets everything that a process forgets when it dies.
    pub(crate) fn die(&mut self) -> BTreeMap<OpId, Op> {
        self.machine = None;
        self.life += 1;
        self.activities.clear();
        self.asked.clear();
        self.writes.clear();
        self.newest_op = 0;
        self.turn += 1;
        self.listener = None;
        self.accepts.clear();
        self.backlog.clear();
        std::mem::take(&mut self.ops)
    }
}
