//! Work items, and the calls about them (E-3 to E-6).

use alloc::borrow::Cow;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::base::secret::{self, Secret};
use crate::wire::session::SessionResult;
use crate::wire::worktree::{WorktreeNote, WorktreeRequest};

/// A work item as a poll returns it (E-3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkItem {
    /// Its id.
    pub id: WorkId,
    /// Always `work`.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The environment whose work it is.
    pub environment_id: EnvironmentId,
    /// Its state: `leased`.
    #[serde(default)]
    pub state: Cow<'static, str>,
    /// What it asks the worker to do.
    pub data: WorkData,
    /// The work secret, still encoded (S-1).
    #[serde(serialize_with = "secret::reveal")]
    pub secret: Secret,
    /// When it was first queued, for people.
    #[serde(default)]
    pub created_at: String,
    /// Which lease of the item this is. Every later call about it repeats the number. A relay
    /// that knows no fences omits it, which counts as 0.
    #[serde(default)]
    pub fence: u64,
    /// How long the lease lasts without a heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u64>,
    /// What the session's agent was at under the lease before, as far as its relay knows.
    #[serde(default, skip_serializing_if = "Interrupted::is_nothing")]
    pub interrupted: Interrupted,
    /// What a person wants done with a worktree; only with a healthcheck, which it is to a worker
    /// that does not know this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<WorktreeRequest>,
}

/// What a work item asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
pub enum WorkData {
    /// Run this session.
    Session(SessionId),
    /// Confirm that the worker is alive (W-11).
    Healthcheck(String),
}

/// The body of `ack` and `heartbeat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// Which lease it is about.
    #[serde(default)]
    pub fence: u64,
}

/// The answer to a heartbeat (E-5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Whether the lease is still this worker's.
    pub lease_extended: bool,
    /// Whether the session should continue.
    pub state: LeaseState,
    /// How long it lasts from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u64>,
}

/// What a relay wants of a session whose lease it extends (E-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// The session continues.
    Running,
    /// A person asked for it to end.
    Stopping,
    /// Anything else, which changes nothing.
    #[serde(other)]
    Other,
}

/// The answer to a call that changes the state of an item or an environment: `acked`, `queued` or
/// `stopped`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateAnswer {
    /// Its state now.
    #[serde(default)]
    pub state: Cow<'static, str>,
}

/// The body of `stop` (E-6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopWork {
    /// Which lease it is about.
    #[serde(default)]
    pub fence: u64,
    /// Whether the session was ended from outside rather than on its own.
    #[serde(default)]
    pub force: bool,
    /// The session's result; none for an item without a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<SessionResult>,
    /// What became of a request about a worktree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<WorktreeNote>,
}

/// What an agent was at when it was cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interrupted {
    /// A turn, in which something may have taken effect.
    Turn,
    /// A turn in which it waited for an answer.
    Question,
    /// There was none, it waited for a message, or the relay does not say.
    #[default]
    #[serde(other)]
    Nothing,
}

impl Interrupted {
    const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_item_is_read_as_the_specification_shows_it() {
        let json = r#"{"id":"work_1","type":"work","environment_id":"env_1","state":"leased",
            "data":{"type":"session","id":"session_1"},"secret":"e30","created_at":"x"}"#;
        let item: WorkItem = serde_json::from_str(json).expect("an item");
        let session = SessionId::new("session_1").expect("valid");
        assert_eq!(item.data, WorkData::Session(session));
        assert_eq!((item.fence, item.lease_seconds), (0, None));
    }

    #[test]
    fn an_item_whose_id_could_leave_its_place_in_a_url_is_refused_by_name() {
        let json = r#"{"id":"../../admin","type":"work","environment_id":"env_1",
            "data":{"type":"session","id":"s"},"secret":""}"#;
        let error = serde_json::from_str::<WorkItem>(json).expect_err("refused");
        assert!(alloc::format!("{error}").contains("work id"), "{error}");
    }
}
