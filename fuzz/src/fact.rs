//! What is observable from outside of every machine. Promises are judged by these alone.

use std::time::Duration;

use bytes::Bytes;
use footbridge_core::contract::machine::Outcome;

use crate::git::{Commit, Touched};
use crate::ids::{ConnId, HostId, PartyId, ProcessId, Role};
use crate::nodes::viewer::notice::ViewerNotice;

/// One thing that happened, seen from outside.
#[derive(Debug)]
pub(crate) enum Fact {
    /// A worker has started an agent for a session.
    AgentStarted {
        process: ProcessId,
        session: String,
    },
    /// Its worker is gone, or has let go of it.
    AgentOrphaned {
        process: ProcessId,
    },
    AgentEnded {
        process: ProcessId,
    },
    /// An agent's pipe has taken a line: the hand-off.
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
    /// An agent does not read its input.
    IsDeaf {
        session: String,
    },
    /// A viewer has seen or done something.
    Viewed {
        viewer: PartyId,
        notice: ViewerNotice,
    },
    /// A party has come up.
    Started {
        party: PartyId,
        role: Role,
    },
    /// A party was killed.
    Crashed {
        party: PartyId,
    },
    /// A party has ended by itself.
    Finished {
        party: PartyId,
        role: Role,
        outcome: Outcome,
        was_ordered: bool,
    },
    /// The relay's store is gone with everything in it.
    StoreLost,
    /// The relay has answered that it made a session; the answer may still get lost.
    Made {
        session: String,
    },
    /// The relay keeps few ended sessions.
    KeepsLittle,
    /// So many may watch one session at once.
    Places {
        of_session: usize,
    },
    /// A request of a worker leaves.
    IncomingRequest {
        party: PartyId,
        what: &'static str,
        mono: Duration,
    },
    /// A worker's request was answered.
    Answered {
        party: PartyId,
        what: &'static str,
        status: u16,
        retry_after: Option<u64>,
        mono: Duration,
    },
    /// A worker's request failed.
    Failed {
        party: PartyId,
        what: &'static str,
        mono: Duration,
    },
    /// A worker has learnt that a file of its own is durable.
    FileKept {
        party: PartyId,
        path: String,
        data: Bytes,
    },
    /// A file of a worker's own is gone, and stays gone.
    FileGone {
        party: PartyId,
        path: String,
    },
    /// The disk of a party has let it down.
    DiskFailed {
        party: PartyId,
    },
    /// A worker was given a session.
    Leased {
        work: String,
        session: String,
    },
    /// A worker asks the relay to take a result.
    Reporting {
        party: PartyId,
        work: String,
    },
    /// The relay has answered that.
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
    /// The relay takes this access token from now on, and no other one.
    TokenGood {
        token: String,
    },
    /// The files of the workers hold this access token from now on.
    TokenWritten {
        token: String,
    },
    /// A worker reads its token's file.
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
    /// The relay did not take a worker's secret when it asked for a session's new token.
    Denied {
        party: PartyId,
        session: String,
    },
    /// A worker kills an agent.
    Killed {
        party: PartyId,
        session: String,
    },
    /// A party's host slept, or its clocks did something odd.
    Slept {
        party: PartyId,
    },
    /// Something of a worker has reached the relay by the session's link.
    LinkHeard {
        session: String,
    },
    /// The relay says whether a session is connected, in an answer or on a stream.
    SaidConnected {
        stream: Option<ConnId>,
        session: String,
        is_connected: bool,
    },
    /// The relay says on a stream that there is nothing else to say.
    SaidAlive {
        stream: ConnId,
    },
    /// The bytes that a party has put on one stream and that nobody has taken.
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
    /// A worker has asked which commits a session's worktree alone has.
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
        /// Commits that nothing leads to any more.
        commits: Vec<Commit>,
        /// The worktree is gone, and an agent works in it.
        is_in_use: bool,
    },
    /// At the end: a worktree is still there with nothing in it.
    WorktreeLeft {
        path: String,
    },
    /// A link is opened without a name for the run of its agent.
    NoAgentRun {
        session: String,
    },
    /// One who keeps to the interface is refused.
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
    /// Somebody has something at the end whose other side is gone for long.
    Leaked {
        holder: String,
        what: String,
    },
    /// No more faults from here on.
    Calm,
}

/// What bytes are outstanding on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Pipe,
    Link,
    Viewer,
}
