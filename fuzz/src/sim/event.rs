//! What can happen in a world.

use std::time::Duration;

use footbridge_core::contract::action::{Head, Response};
use footbridge_core::contract::event::{Event, ExitStatus, IoErrorKind};

use crate::faults::FaultKind;
use crate::ids::{Address, ConnId, End, HostId, PartyId, ProcessId};
use crate::nodes::node::Order;
use crate::sim::network::conn::Parcel;

/// What can happen.
#[derive(Debug)]
pub(crate) enum SimEvent {
    Deliver(Address, Event),
    Wake { party: PartyId, turn: u64 },
    Arrive { conn: ConnId, end: End, arrival: Arrival },
    TimeLimit { conn: ConnId },
    ShortLimit { conn: ConnId },
    HangUp { conn: ConnId },
    Unacknowledged { conn: ConnId },
    CloseLimit(Address),
    WriteLimit { conn: ConnId, sent: u64 },
    IdleLimit { conn: ConnId, received: u64 },
    Commit { life: u32 },
    File { host: HostId, number: u64 },
    CrashAtWrite { party: PartyId, life: u32 },
    Process(ProcessId, ProcessEvent),
    Repository(RepositoryEvent),
    Order(PartyId, Order),
    Restart(PartyId),
    WakeUp(HostId),
    Fault(FaultKind),
    Calm,
    Census,
}

/// What arrives at an end of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Arrival {
    Request,
    Response(Response),
    Head(Head),
    Upgraded(Option<String>),
    Parcel(Parcel),
    /// The other side has acknowledged the close.
    CloseAck(u16),
    /// The other side closed it, or something along the way broke it.
    Reset(IoErrorKind),
}

/// What happens to a process.
#[derive(Clone, Debug)]
pub(crate) enum ProcessEvent {
    Begin,
    Read,
    Drain,
    Alarm(u64),
    /// It is finally killed.
    Killed,
    /// Nothing holds its stdout any more.
    Closed,
    Gone(ExitStatus),
}

/// What happens to a repository.
#[derive(Clone, Debug)]
pub(crate) enum RepositoryEvent {
    /// A worker's command takes effect.
    Effect { from: Address, args: Vec<String>, is_cut_short: bool, answer_in: Duration },
    /// An agent does something where it works.
    Agent { host: HostId, path: String },
    /// A person does something somewhere.
    Person(HostId),
    /// A program releases its lock files.
    Unlock(HostId),
}
