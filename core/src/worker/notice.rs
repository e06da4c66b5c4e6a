//! What a worker can be asked for, and what it tells.

use alloc::string::String;
use core::time::Duration;

use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::wire::session::SessionResult;

/// What the program asks of its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerCommand {
    /// End all sessions and deregister (W-9).
    Shutdown,
    /// The same, without waiting for anybody: the second signal.
    ShutdownNow,
}

/// What a worker tells its program, for people and logs. Never a secret.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerNotice {
    /// The environment is registered, and work is asked for.
    Registered {
        /// Its name.
        environment: EnvironmentId,
        /// Whether it was registered before and the relay had forgotten it.
        is_again: bool,
    },
    /// A request failed and is tried again.
    Retrying {
        /// What was tried: `register`, `ask for work`, …
        what: &'static str,
        /// Why it failed.
        reason: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The relay answers again after failures.
    Recovered,
    /// The machine slept; everything is tried at once.
    Woke {
        /// For about how long.
        slept: Duration,
    },
    /// Work came that cannot be run.
    BadWork {
        /// The work item.
        work: WorkId,
        /// Why.
        reason: String,
    },
    /// A session's agent runs.
    SessionStarted {
        /// The session.
        session: SessionId,
        /// The work item that it runs under.
        work: WorkId,
        /// The agent's process id.
        pid: u32,
    },
    /// A session's link to the relay broke, and is tried again.
    SessionDisconnected {
        /// The session.
        session: SessionId,
        /// The work item that it runs under.
        work: WorkId,
        /// Why.
        reason: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// A session's link is up.
    SessionConnected {
        /// The session.
        session: SessionId,
        /// The work item that it runs under.
        work: WorkId,
    },
    /// The agent printed something that is no message; it was skipped (M-1).
    AgentOutputError {
        /// The session.
        session: SessionId,
        /// The work item that it runs under.
        work: WorkId,
        /// What was wrong with it.
        reason: String,
    },
    /// An agent asks for permission.
    PermissionAsked {
        /// The session.
        session: SessionId,
        /// The work item that it runs under.
        work: WorkId,
        /// For which tool.
        tool: String,
    },
    /// A session's agent has ended.
    SessionEnded {
        /// The session.
        session: SessionId,
        /// The work item that it runs under.
        work: WorkId,
        /// What came of it; `None` if it was not this worker's any more.
        result: Option<SessionResult>,
    },
    /// A session's result is not safe from a crash of this worker until it is reported.
    ReportAtRisk {
        /// The session's work item.
        work: WorkId,
        /// Why.
        reason: String,
    },
    /// A session's result could not be reported, and is given up in this run.
    ReportLost {
        /// The session's work item.
        work: WorkId,
        /// Why.
        reason: String,
    },
    /// A worktree of an earlier run was looked through.
    LeftoverWorktree {
        /// Where it is, or was.
        path: String,
        /// Why it was kept; `None` if it was removed.
        kept: Option<String>,
    },
    /// Sessions are being ended.
    ShuttingDown {
        /// How many are left.
        sessions: usize,
    },
}
