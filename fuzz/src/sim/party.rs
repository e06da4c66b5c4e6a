//! A party: a node on a host, in one of its lives, with its open operations.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::time::Instant;
use footbridge_core::contract::check::Checker;

use crate::ids::{ConnId, HostId, Op, Role};
use crate::nodes::node::Node;
use crate::sim::clock::Time;

/// One party.
pub(crate) struct Party {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) host: HostId,
    /// Grows with every restart.
    pub(crate) life: u32,
    /// None while it is down, and after it has finished.
    pub(crate) machine: Option<Box<dyn Node>>,
    pub(crate) ops: BTreeMap<OpId, Op>,
    /// What some of its requests are for.
    pub(crate) activities: BTreeMap<OpId, &'static str>,
    /// The method and the path of a worker's unanswered requests.
    pub(crate) asked: BTreeMap<OpId, String>,
    /// Its unanswered disk operations: the path, and the contents to write.
    pub(crate) writes: BTreeMap<OpId, (String, Option<Bytes>)>,
    /// Checks its actions against the contract.
    pub(crate) checker: Checker,
    /// Identifies the current deadline; older ones no longer count.
    pub(crate) turn: u64,
    pub(crate) listener: Option<OpId>,
    /// The `Accept`s waiting for a request.
    pub(crate) accepts: VecDeque<OpId>,
    /// Connections that no `Accept` has taken yet.
    pub(crate) backlog: VecDeque<ConnId>,
    /// It restarts when this is over.
    pub(crate) has_finished: bool,
    /// When it last crashed or finished.
    pub(crate) died_at: Time,
    /// What it waits for, besides events.
    pub(crate) deadline: Option<Instant>,
    /// What it was told last, with nothing else to do, is an answer that no relay gives.
    pub(crate) is_misled: bool,
    /// It has been told to end since it last started.
    pub(crate) is_ordered_down: bool,
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
            checker: Checker::default(),
            turn: 0,
            listener: None,
            accepts: VecDeque::new(),
            backlog: VecDeque::new(),
            has_finished: false,
            died_at: Time::ZERO,
            deadline: None,
            is_misled: false,
            is_ordered_down: false,
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.machine.is_some()
    }

    /// Forgets everything that a process forgets when it dies.
    pub(crate) fn die(&mut self, at: Time) -> BTreeMap<OpId, Op> {
        self.machine = None;
        self.died_at = at;
        self.life += 1;
        self.activities.clear();
        self.asked.clear();
        self.writes.clear();
        self.checker = Checker::default();
        self.turn += 1;
        self.listener = None;
        self.accepts.clear();
        self.backlog.clear();
        std::mem::take(&mut self.ops)
    }

    /// What kind of operation this is, if it is open.
    pub(crate) fn op(&self, op: OpId) -> Option<Op> {
        self.ops.get(&op).copied()
    }
}
