//! Registration of an environment (E-1).

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::base::id::{EnvironmentId, SessionId};
use crate::base::secret::{self, Secret};
use crate::wire::versions::or_default;

/// The body of a registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The machine's name, for people.
    pub machine_name: String,
    /// The directory that sessions work in.
    pub directory: String,
    /// The branch that is checked out there.
    #[serde(default)]
    pub branch: Option<String>,
    /// The URL of the repository's remote.
    #[serde(default)]
    pub git_repo_url: Option<String>,
    /// How many sessions it takes at once (W-3).
    pub max_sessions: u32,
    /// What else is known.
    #[serde(default)]
    pub metadata: Metadata,
    /// An environment to take up again after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_id: Option<EnvironmentId>,
    /// Names the worker, the same over all its runs: a registration whose answer was lost gives the
    /// same environment again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// Which of the worker's runs this is. A later one ends the leases of those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_run: Option<u64>,
}

/// The `worker_type` of a program that is itself the one session of its environment (B-1).
pub const BRIDGE: &str = "footbridge_bridge";
/// The same of one whose session outlives it (B-4).
pub const ASSISTANT: &str = "footbridge_assistant";

/// What the idempotency keys begin with under which such a program makes its session (B-1).
pub const OWN_SESSION_KEY: &str = "own-";

/// What a worker says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Which program it is.
    #[serde(default)]
    pub worker_type: String,
}

impl Metadata {
    /// Whether a session that is asked for there is ever run: a program that is its own session takes no
    /// other (B-1).
    pub fn takes_sessions(&self) -> bool {
        takes_sessions(&self.worker_type)
    }
}

/// The same of a `worker_type`.
pub(in crate::wire) fn takes_sessions(worker_type: &str) -> bool {
    ![BRIDGE, ASSISTANT].contains(&worker_type)
}

/// The answer to a registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The environment's id from now on.
    pub environment_id: EnvironmentId,
    /// Its credential for polling, stopping and deregistering.
    #[serde(serialize_with = "secret::reveal", deserialize_with = "secret::bearer")]
    pub environment_secret: Secret,
    /// Its sessions that have not ended, which continue.
    #[serde(default, deserialize_with = "or_default")]
    pub sessions: Vec<SessionId>,
    /// Whether the relay can prove that it is the same one, and so has to from now on.
    #[serde(default)]
    pub proves: bool,
    /// Whether work can come by a stream, and not only by polls (E-2).
    #[serde(default)]
    pub work_stream: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_no_header_can_carry_is_refused_and_not_shown() {
        let answer = |secret: &str| {
            let json =
                alloc::format!(r#"{{"environment_id":"env_1","environment_secret":"{secret}"}}"#);
            serde_json::from_str::<Registered>(&json)
        };
        assert_eq!(answer("env_1.s").expect("good").environment_secret.reveal(), "env_1.s");
        for bad in ["", "hunter2\\r\\nx: y", "hunter2 "] {
            let error = alloc::format!("{}", answer(bad).expect_err(bad));
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
