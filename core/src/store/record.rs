//! What a store keeps, as the relay sees it.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::base::id::{EnvironmentId, SessionId};
use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::wire::session::{SessionResult, SessionState};
use crate::wire::worker_api::environment::Registration;

pub use crate::wire::viewer::{Origin, Question};

/// A person, by the name that goes with an access token. Everybody sees only their own (Y-4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub String);

/// One registered worker (E-1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Its name.
    pub id: EnvironmentId,
    /// Whose it is.
    pub owner: AccountId,
    /// What it said of itself.
    pub registration: Registration,
    /// How many of its sessions have not ended.
    pub active_sessions: usize,
    /// Whether it has been heard of lately.
    pub is_online: bool,
    /// When it registered first.
    pub created_at: UnixTime,
    /// When it was heard of last.
    pub last_seen_at: UnixTime,
    /// The last time that a person asked whether its worker is there (W-11).
    pub last_healthcheck: Option<Healthcheck>,
}

/// A person's question whether a worker is there (W-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthcheck {
    /// When it was asked.
    pub asked_at: UnixTime,
    /// When the worker answered, if it has.
    pub answered_at: Option<UnixTime>,
}

/// One conversation with one agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// Whose it is.
    pub owner: AccountId,
    /// Where it runs.
    pub environment: EnvironmentId,
    /// What a person called it.
    pub title: Option<String>,
    /// Where it stands.
    pub state: SessionState,
    /// Whether a person asked for its end.
    pub is_stopping: bool,
    /// The agent's questions that wait for an answer, the oldest first (M-2).
    pub pending: Vec<Question>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When its log grew last.
    pub updated_at: UnixTime,
    /// The first event that is kept; `last_seq` + 1 if none is.
    pub first_seq: u64,
    /// The last event.
    pub last_seq: u64,
    /// What came of it, once it has ended.
    pub result: Option<SessionResult>,
    /// Grows from one session to the next, in the order in which they were made.
    pub ordinal: u64,
}

/// One event of a session's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was stored.
    pub at: UnixTime,
    /// Who said it.
    pub origin: Origin,
    /// The message, byte for byte as it came.
    pub line: Text,
}
