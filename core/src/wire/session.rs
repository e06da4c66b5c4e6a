//! A session's state and result, as workers, viewers and the relay tell them to each other.

use alloc::string::String;

use serde::{Deserialize, Serialize};

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// It waits for its worker.
    Queued,
    /// A worker has taken it.
    Starting,
    /// The worker's link has been up.
    Running,
    /// It is over; its result says how.
    Ended,
}

/// How a session ended (W-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultStatus {
    /// The agent ended by itself and well.
    Completed,
    /// The agent could not be started, failed, or was killed.
    Failed,
    /// It reached its time limit.
    TimedOut,
    /// A person or the worker's shutdown ended it.
    Interrupted,
    /// The worker vanished. Only the relay says so.
    Lost,
}

/// What came of a session (W-7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionResult {
    /// How it ended.
    pub status: ResultStatus,
    /// The agent's exit code, if it had one.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// The signal that ended the agent, if one did.
    #[serde(default)]
    pub signal: Option<i32>,
    /// What happened, for a person.
    #[serde(default)]
    pub message: String,
    /// The tail of the agent's stderr.
    #[serde(default)]
    pub stderr: String,
}
