//! What can be observed from outside the machines. Promises are judged by facts alone.

use std::time::Duration;

use bytes::Bytes;
use footbridge_core::contract::machine::Outcome;

use crate::git::{Commit, Touched};
use crate::ids::{ConnId, HostId, PartyId, ProcessId, Role};
use crate::nodes::machine_notice::MachineNotice;
use crate::nodes::viewer::notice::ViewerNotice;

/// One thing that happened, seen from outside.
#[derive(Debug)]
pub(crate) enum Fact {
    /// The relay has given a worker the credentials of an epoch.
    Bridged {
        session: String,
        epoch: u64,
    },
    /// It has accepted what a worker said under this epoch.
    AcceptedUnder {
        session: String,
        epoch: u64,
    },
    /// A worker has started an agent for a session.
    AgentStarted {
        process: ProcessId,
        session: String,
    },
    /// Its worker is gone, or has released it.
    AgentOrphaned {
        process: ProcessId,
    },
    AgentEnded {
        process: ProcessId,
    },
    /// An agent's pipe has accepted a line: the hand-off.
    HandedOff {
        process: ProcessId,
        session: String,
        line: String,
    },
    /// An agent has printed a line.
    Printed {
        process: ProcessId,
        session: String,
        line: String,
        is_message: bool,
    },
    /// A program has signed a message to another session.
    Signed {
        from: String,
    },
    /// An agent is not reading its input.
    IsDeaf {
        session: String,
    },
    /// A viewer has seen or done something.
    Viewed {
        viewer: PartyId,
        notice: ViewerNotice,
    },
    /// A machine that was logged in has seen something.
    Machine(MachineNotice),
    /// A party has started.
    Started {
        party: PartyId,
        role: Role,
    },
    /// A party was killed.
    Crashed {
        party: PartyId,
    },
    /// A party has ended on its own.
    Finished {
        party: PartyId,
        role: Role,
        outcome: Outcome,
        was_ordered: bool,
    },
    /// The relay's store is gone, with everything in it.
    StoreLost,
    /// The relay has responded that it created a session; the response may still get lost.
    Made {
        session: String,
    },
    /// The relay keeps few ended sessions.
    KeepsLittle,
    /// How many viewers may watch one session at once.
    Places {
        of_session: usize,
    },
    /// A worker sends a request.
    IncomingRequest {
        party: PartyId,
        what: &'static str,
        mono: Duration,
    },
    /// A worker takes its environment from the relay.
    Deregistering {
        party: PartyId,
    },
    /// A worker's request was answered.
    Answered {
        party: PartyId,
        what: &'static str,
        status: u16,
        /// Whether the relay has answered, and nobody in its place.
        is_relays: bool,
        retry_after: Option<u64>,
        mono: Duration,
    },
    /// A worker's request failed.
    Failed {
        party: PartyId,
        what: &'static str,
        mono: Duration,
    },
    /// A worker has learned that one of its files is durable.
    FileKept {
        party: PartyId,
        path: String,
        data: Bytes,
    },
    /// One of a worker's files is gone for good.
    FileGone {
        party: PartyId,
        path: String,
    },
    /// A party's disk has failed.
    DiskFailed {
        party: PartyId,
    },
    /// A worker was given a session.
    Leased {
        work: String,
        session: String,
    },
    /// A worker reports a result to the relay.
    Reporting {
        party: PartyId,
        work: String,
    },
    /// The relay has responded to that.
    Reported {
        party: PartyId,
        work: String,
        status: u16,
    },
    /// A worker was registered under this name.
    Registered {
        party: PartyId,
        environment: String,
    },
    /// The relay accepts this access token from now on, and no other.
    TokenGood {
        token: String,
    },
    /// The workers' token files contain this access token from now on.
    TokenWritten {
        token: String,
    },
    /// A worker reads its token file.
    TokenAsked {
        party: PartyId,
    },
    /// What it found there, if it could be read.
    TokenRead {
        party: PartyId,
        token: Option<String>,
    },
    /// A worker registers with an access token.
    Presented {
        party: PartyId,
        token: String,
    },
    /// The relay refused a worker's secret when it requested a new token for a session.
    Denied {
        party: PartyId,
        session: String,
    },
    /// The relay refused a worker's link, or a new token for one: it does not know the session, or no
    /// longer does.
    Unlinked {
        party: PartyId,
    },
    /// A worker kills an agent.
    Killed {
        party: PartyId,
        session: String,
        /// All that it was told just before is an answer that no relay gives.
        is_misled: bool,
    },
    /// A party's host slept, or its clocks did something odd.
    Slept {
        party: PartyId,
    },
    /// It continues after that.
    Woke {
        party: PartyId,
    },
    /// Something sent by a worker has reached the relay on the session's link.
    LinkHeard {
        session: String,
    },
    /// The relay reports whether a session is connected, in a response or on a stream.
    SaidConnected {
        stream: Option<ConnId>,
        session: String,
        is_connected: bool,
    },
    /// The relay sends a keepalive: nothing else is waiting to be sent on that stream.
    SaidAlive {
        stream: ConnId,
    },
    /// The bytes that a party has put on one stream and that nobody has read.
    Outstanding {
        role: Role,
        bytes: usize,
        way: Way,
    },
    /// The operations that a party has open.
    Open {
        role: Role,
        operations: usize,
    },
    /// How many connections to the relay strangers have.
    Strangers {
        connections: usize,
    },
    /// The relay reads the body of a stranger's request.
    StrangersBody {
        what: String,
    },
    /// A connection to the relay was closed to make room for a stranger's.
    ShownOut {
        role: Role,
        /// How long after it had arrived.
        after: Duration,
    },
    /// A request has waited that long for the relay to take it.
    Heard {
        role: Role,
        waited: Duration,
    },
    /// The answer to a request took that long.
    Served {
        role: Role,
        took: Duration,
    },
    /// A worker has checked which commits only a session's worktree has.
    LookedInto {
        repository: HostId,
        session: String,
    },
    /// An agent or a person has done something in a repository.
    RepositoryTouched {
        repository: HostId,
        session: String,
        touched: Touched,
    },
    /// What a worker's git command has deleted, if anything.
    GitDeleted {
        repository: HostId,
        session: String,
        command: String,
        /// Changes that were not committed.
        files: Vec<String>,
        /// Commits that are no longer reachable.
        commits: Vec<Commit>,
        /// The worktree is gone while an agent is working in it.
        is_in_use: bool,
    },
    /// At the end: a worktree still exists, although it contains no work.
    WorktreeLeft {
        worker: PartyId,
        session: String,
        path: String,
    },
    /// A link is opened that does not name the run of its agent.
    NoAgentRun {
        session: String,
    },
    /// A party that follows the interface is refused.
    Refused {
        what: String,
        status: u16,
        why: String,
    },
    /// A stream between such parties is closed with this code.
    Misunderstood {
        what: String,
        code: u16,
    },
    /// At the end, someone still holds something whose other side has long been gone.
    Leaked {
        holder: String,
        what: String,
    },
    /// No more faults from here on.
    Calm,
}

/// Where bytes are outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Pipe,
    Link,
    Viewer,
}
