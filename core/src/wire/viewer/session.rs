//! Sessions as viewers see them.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::receipt::Receipts;
use crate::base::id::{EnvironmentId, SessionId};
use crate::base::time::UnixTime;
use crate::wire::rfc3339;
use crate::wire::session::{SessionResult, SessionState};
use crate::wire::worktree::KeptWorktree;

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView<'a> {
    /// Its id.
    pub id: Cow<'a, SessionId>,
    /// Where it runs.
    pub environment_id: Cow<'a, EnvironmentId>,
    /// The title a person gave it, or the beginning of its first message.
    pub title: Option<Cow<'a, str>>,
    /// Its state.
    pub state: SessionState,
    /// Whether the worker's link is up.
    #[serde(default)]
    pub connected: bool,
    /// Whether a person asked for it to end.
    #[serde(default)]
    pub stopping: bool,
    /// Whether it is queued for a worker that takes no more sessions (W-9).
    #[serde(default)]
    pub worker_draining: bool,
    /// Whether its person has put it away (U-5).
    #[serde(default)]
    pub archived: bool,
    /// The agent's open questions, oldest first (M-2).
    #[serde(default)]
    pub pending_permissions: Cow<'a, [Question]>,
    /// How far what viewers sent has come (M-7).
    #[serde(default)]
    pub receipts: Receipts,
    /// What the agent has done last, newest last (W-10).
    #[serde(default)]
    pub activities: Cow<'a, [Activity]>,
    /// Whether the agent is working on something, or waits for an answer in the middle of it (U-4).
    #[serde(default)]
    pub working: bool,
    /// When it was created.
    #[serde(with = "rfc3339")]
    pub created_at: UnixTime,
    /// When its log last grew.
    #[serde(with = "rfc3339")]
    pub updated_at: UnixTime,
    /// The first event still kept; `last_seq` + 1 if none is.
    pub first_seq: u64,
    /// The last event.
    pub last_seq: u64,
    /// Its result, once it has ended.
    pub result: Option<Cow<'a, SessionResult>>,
    /// Its worktree, if that was kept when it ended (W-5).
    #[serde(default)]
    pub worktree: Option<Cow<'a, KeptWorktree>>,
}

/// An open permission question (M-2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The agent's id for it.
    #[serde(default)]
    pub request_id: String,
    /// The tool it is about.
    #[serde(default)]
    pub tool_name: String,
    /// The event that asked the question.
    pub seq: u64,
    /// The turn that asked it has ended without an answer. One still reaches the agent, which may no
    /// longer be waiting for it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub turn_ended: bool,
}

/// Something that an agent has done (W-10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// When it was told.
    #[serde(with = "rfc3339")]
    pub at: UnixTime,
    /// The event that tells it.
    pub seq: u64,
    /// In a few words: a tool, and what it is used for.
    #[serde(default)]
    pub what: String,
}

/// The answer to `GET /v1/sessions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionList<'a> {
    /// Newest first.
    #[serde(default)]
    pub sessions: Vec<SessionView<'a>>,
}
