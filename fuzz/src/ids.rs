//! The simulator's identifiers: hosts, parties, their operations, connections and processes.

use footbridge_core::base::id::OpId;

pub(crate) type HostId = usize;
pub(crate) type PartyId = usize;
pub(crate) type ConnId = u64;
pub(crate) type ProcessId = usize;

/// Where an event goes: to one operation in one life of a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) party: PartyId,
    pub(crate) life: u32,
    pub(crate) op: OpId,
}

/// What a party is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Relay,
    Worker,
    Viewer,
    /// A program that exposes its own session.
    Embedded,
    /// The built-in agent, which runs as a process.
    Shell(ProcessId),
    /// A client with a good access token and bad manners.
    Mallory,
    /// Somebody who logs machines in and ends them.
    Machines,
    /// Somebody without a credential.
    Stranger,
    /// A relay that says anything.
    Liar,
    /// A worker that connects to the liar. All that is expected of it is to stay sane.
    Victim,
}

impl Role {
    /// Whether it runs agents, and reaches the relay as a worker does.
    pub(crate) const fn runs_agents(self) -> bool {
        matches!(self, Self::Worker | Self::Embedded)
    }

    /// Whether it follows the relay's interface, and is to be served whatever others do.
    pub(crate) const fn is_welcome(self) -> bool {
        matches!(self, Self::Worker | Self::Embedded | Self::Viewer)
    }
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Client,
    Server,
}

impl End {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What kind of operation a party has open, as far as the world needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Request(ConnId),
    /// A stream that it opened or accepted, and which end of it is the party's.
    Stream(ConnId, End),
    Listener,
    Accept,
    Exchange(ConnId),
    Process(ProcessId),
    Stdio(ProcessId),
    /// A file, a command or a store transaction, which ends with its answer.
    Single,
}
