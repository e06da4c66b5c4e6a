//! Sessions as viewers see them.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::base::id::{EnvironmentId, SessionId};
use crate::base::time::UnixTime;
use crate::wire::rfc3339;
use crate::wire::session::{SessionResult, SessionState};

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView<'a> {
    /// Its name.
    pub id: Cow<'a, SessionId>,
    /// Where it runs.
    pub environment_id: Cow<'a, EnvironmentId>,
    /// What a person called it, or the beginning of its first message.
    pub title: Option<Cow<'a, str>>,
    /// Where it stands.
    pub state: SessionState,
    /// Whether the worker's link is up.
    #[serde(default)]
    pub connected: bool,
    /// Whether a person asked for its end.
    #[serde(default)]
    pub stopping: bool,
    /// The agent's questions that wait for an answer, the oldest first (M-2).
    #[serde(default)]
    pub pending_permissions: Cow<'a, [Question]>,
    /// When it was made.
    #[serde(with = "rfc3339")]
    pub created_at: UnixTime,
    /// When its log grew last.
    #[serde(with = "rfc3339")]
    pub updated_at: UnixTime,
    /// The first event that is kept; `last_seq` + 1 if none is.
    pub first_seq: u64,
    /// The last event.
    pub last_seq: u64,
    /// What came of it, once it has ended.
    pub result: Option<Cow<'a, SessionResult>>,
}

/// A permission question that waits for an answer (M-2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The agent's name for it.
    #[serde(default)]
    pub request_id: String,
    /// The tool that it is about.
    #[serde(default)]
    pub tool_name: String,
    /// The event that asked it.
    pub seq: u64,
}

/// The answer to `GET /v1/sessions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionList<'a> {
    /// The newest first.
    #[serde(default)]
    pub sessions: Vec<SessionView<'a>>,
}
