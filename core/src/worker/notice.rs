//! What a worker accepts as commands, and what it reports.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::wire::session::SessionResult;

/// What the program can tell its worker to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerCommand {
    /// End all sessions and deregister (W-9).
    Shutdown,
    /// Do so immediately, without waiting for anything: the second signal.
    ShutdownNow,
    /// Take no more sessions, and end like this once the last one has ended.
    Drain {
        /// Leave the environment, and what waits for it, to the next run.
        hand_over: bool,
    },
    /// End all agents, and leave the sessions and the environment to the next run (W-13).
    HandOver,
}

/// What a worker reports to its program, for people and logs. Never a secret.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerNotice {
    /// The environment is registered, and polling for work begins.
    Registered {
        /// Its id.
        environment: EnvironmentId,
        /// Whether this run had registered before.
        is_again: bool,
        /// How many sessions of an earlier run continue.
        continuing: usize,
    },
    /// The one session of this worker, once it is known (B-1). It may be another one than before (I-2).
    OwnSession {
        /// Its id.
        session: SessionId,
        /// Whether it was made in this run, rather than left by the last one.
        is_new: bool,
    },
    /// The state file cannot be read now. The worker registers once it can be, and tries again.
    StateUnreadable {
        /// Why.
        reason: String,
    },
    /// The state file could not be used: sessions of an earlier run do not continue.
    StateLost {
        /// Why.
        reason: String,
    },
    /// What the next run would need to continue could not be written. It is tried again.
    StateNotSaved {
        /// Why.
        reason: String,
    },
    /// It has been written after all.
    StateSaved,
    /// A request failed and will be retried.
    Retrying {
        /// What was attempted: `register`, `ask for work`, …
        what: &'static str,
        /// Why it failed.
        reason: String,
        /// When it will be retried.
        retry_in: Duration,
    },
    /// The relay responds again after failures.
    Recovered,
    /// Its log-in cannot be refreshed any more: work that is under way goes on, but once the relay asks
    /// who it is, it takes a new log-in.
    NeedsLogIn,
    /// The computer slept; everything is retried immediately.
    Woke {
        /// For roughly how long.
        slept: Duration,
    },
    /// A work item arrived that cannot be run.
    BadWork {
        /// The work item.
        work: WorkId,
        /// Why.
        reason: String,
    },
    /// A session's agent is running.
    SessionStarted {
        /// The session.
        session: SessionId,
        /// The work item it runs under.
        work: WorkId,
        /// The agent's process id.
        pid: u32,
    },
    /// A session's agent has resumed the conversation of the one before.
    AgentResumed {
        /// The session.
        session: SessionId,
        /// The work item it runs under.
        work: WorkId,
    },
    /// Sessions of the last run, which continue, ran elsewhere: its spawn mode was another one.
    PlacesChanged {
        /// Whether they ran in worktrees, and not in the worker's directory.
        had_worktrees: bool,
    },
    /// The environment that was to be taken up is over, or never was its owner's.
    NotTakenUp {
        /// Which one.
        environment: EnvironmentId,
    },
    /// A session's agent has started over, without the conversation of the one before.
    AgentRestarted {
        /// The session.
        session: SessionId,
        /// The work item it runs under.
        work: WorkId,
        /// Why.
        reason: String,
    },
    /// A session's link to the relay broke and will be reconnected.
    SessionDisconnected {
        /// The session.
        session: SessionId,
        /// The work item it runs under.
        work: WorkId,
        /// Why.
        reason: String,
        /// When it will be retried.
        retry_in: Duration,
    },
    /// The relay was set back to an earlier state, and the session goes on from there.
    RelaySetBack {
        /// The session.
        session: SessionId,
        /// The work item it runs under.
        work: WorkId,
        /// So many lines of its agent the relay gets again.
        again: u64,
        /// So many are lost.
        lost: u64,
    },
    /// Version 2 does not get through to the relay: this session, and later ones that may travel either
    /// way, travel as version 1. Said once.
    FellBack {
        /// The session.
        session: SessionId,
        /// The work item it runs under.
        work: WorkId,
        /// What is in the way.
        reason: String,
    },
    /// Streams of work do not get through to the relay. Until one is tried again, work comes by polls.
    WorkByPolls {
        /// What is in the way.
        reason: String,
        /// When a stream is tried again.
        for_now: Duration,
    },
    /// A session's link is up.
    SessionConnected {
        /// The session.
        session: SessionId,
        /// The work item it runs under.
        work: WorkId,
    },
    /// An agent leaves its stdin unread, and its pipe is full.
    AgentNotReading {
        /// The session.
        session: SessionId,
        /// The work item it runs under.
        work: WorkId,
    },
    /// The agent printed something that is not a message; it was skipped (M-1).
    AgentOutputError {
        /// The session.
        session: SessionId,
        /// The work item it runs under.
        work: WorkId,
        /// What was wrong with it.
        reason: String,
    },
    /// An agent asks for permission.
    PermissionAsked {
        /// The session.
        session: SessionId,
        /// The work item it runs under.
        work: WorkId,
        /// For which tool.
        tool: String,
    },
    /// So many questions of a session's agent wait for a person: the number has changed.
    PermissionsOpen {
        /// The session.
        session: SessionId,
        /// How many.
        open: usize,
    },
    /// A session has ended, and some of what its agent started could not be ended (W-12).
    ProcessesLeft {
        /// The session.
        session: SessionId,
        /// The work item it runs under.
        work: WorkId,
        /// By their ids and names.
        processes: Vec<String>,
    },
    /// A session's agent has ended.
    SessionEnded {
        /// The session.
        session: SessionId,
        /// The work item it runs under.
        work: WorkId,
        /// How it ended; `None` if it no longer belonged to this worker.
        result: Option<SessionResult>,
    },
    /// A session's agent has ended, and the next run of this worker continues the session.
    SessionHandedOver {
        /// The session.
        session: SessionId,
        /// The work item it ran under.
        work: WorkId,
    },
    /// A session's result would be lost if this worker crashed before reporting it.
    ReportAtRisk {
        /// The session's work item.
        work: WorkId,
        /// Why.
        reason: String,
    },
    /// A session's result could not be reported; this run no longer tries.
    ReportLost {
        /// The session's work item.
        work: WorkId,
        /// Why.
        reason: String,
    },
    /// A worktree is gone. What only its `HEAD` or its reflogs had has got a name.
    CommitKept {
        /// The session.
        session: SessionId,
        /// The commit.
        commit: String,
        /// Its name.
        reference: String,
    },
    /// A person has asked for something about a worktree that was kept, and this came of it.
    WorktreeAsked {
        /// The session whose worktree it was.
        session: SessionId,
        /// What came of it.
        outcome: String,
    },
    /// A worktree left by an earlier run was checked.
    LeftoverWorktree {
        /// Where it is, or was.
        path: String,
        /// Why it was kept; `None` if it was removed.
        kept: Option<String>,
    },
    /// No more sessions are taken, and it shuts down once the last one has ended.
    Draining {
        /// How many there are.
        sessions: usize,
    },
    /// Sessions are being ended.
    ShuttingDown {
        /// How many are left.
        sessions: usize,
    },
}
