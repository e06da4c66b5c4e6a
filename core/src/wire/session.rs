//! A session's state and result, as exchanged between workers, viewers and the relay.

use alloc::string::String;

use serde::{Deserialize, Serialize};

/// The state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Waiting for its worker.
    Queued,
    /// Taken by a worker.
    Starting,
    /// Its worker's link has been up.
    Running,
    /// Over; its result says how.
    Ended,
}

/// How a session ended (W-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultStatus {
    /// The agent exited on its own, successfully.
    Completed,
    /// The agent could not be started, failed, or was killed.
    Failed,
    /// The session reached its time limit.
    TimedOut,
    /// A person, or the worker's shutdown, ended it.
    Interrupted,
    /// The worker vanished, or did not say how it ended. Only the relay reports this.
    Lost,
}

/// The result of a session (W-7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionResult {
    /// How it ended.
    pub status: ResultStatus,
    /// The agent's exit code, if it had one.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// The signal that ended the agent, if any.
    #[serde(default)]
    pub signal: Option<i32>,
    /// What happened, for a person.
    #[serde(default)]
    pub message: String,
    /// The tail of the agent's stderr.
    #[serde(default)]
    pub stderr: String,
}
