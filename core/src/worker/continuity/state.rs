//! The content of the state file.

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::base::limits::MAX_ID_BYTES;
use crate::hosting::conversation::is_conversation_id;
use crate::worker::config::SpawnMode;

/// What a worker knows about itself over all its runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Drawn once. Empty before that.
    pub(super) worker_id: String,
    /// Its runs so far, counting the one that wrote this.
    #[serde(default)]
    pub(super) run: u64,
    /// What the relay calls it.
    #[serde(default)]
    pub(super) environment_id: Option<EnvironmentId>,
    /// Whether that relay can prove that it is the same one, and so has to.
    #[serde(default)]
    pub(super) relay_proves: bool,
    /// What people call it, and where its sessions run: whoever continues them runs as it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) identity: Option<Identity>,
    /// Its sessions that have not ended, as far as it knows.
    #[serde(default)]
    pub(super) sessions: BTreeMap<SessionId, KeptSession>,
}

/// What a worker ran as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name for people.
    pub machine_name: String,
    /// The directory that it served.
    pub directory: String,
    /// Where its sessions ran.
    pub places: Places,
}

/// Where a worker's sessions run (W-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Places {
    /// One session at a time, in the worker's directory.
    SingleSession,
    /// All of them in the worker's directory.
    SameDir,
    /// Each in a worktree of its own.
    Worktree,
}

impl From<&SpawnMode> for Places {
    fn from(mode: &SpawnMode) -> Self {
        match mode {
            SpawnMode::SingleSession => Self::SingleSession,
            SpawnMode::SameDir => Self::SameDir,
            SpawnMode::Worktree { .. } => Self::Worktree,
        }
    }
}

/// A session that the next run would continue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptSession {
    /// The item that it ran under last.
    pub(super) work: WorkId,
    /// What its agent calls its conversation.
    #[serde(default)]
    pub(super) conversation: Option<String>,
}

impl State {
    /// Reads a file, which may have been damaged, or edited by a person.
    pub(super) fn parse(data: &[u8]) -> Result<Self, serde_json::Error> {
        let mut state: Self = serde_json::from_slice(data)?;
        if state.worker_id.len() > MAX_ID_BYTES {
            state.worker_id = String::new();
        }
        for kept in state.sessions.values_mut() {
            kept.conversation.take_if(|conversation| !is_conversation_id(conversation));
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_an_error_and_an_edited_one_names_no_options() {
        for bad in ["", "{", "[]", "{}", r#"{"worker_id":7}"#] {
            assert!(State::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let edited =
            r#"{"worker_id":"w","sessions":{"session_1":{"work":"work_1","conversation":"--x"}}}"#;
        let state = State::parse(edited.as_bytes()).expect("a state");
        assert!(state.sessions.values().all(|kept| kept.conversation.is_none()));
    }
}
