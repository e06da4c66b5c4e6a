//! Environments as viewers see them.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::base::id::EnvironmentId;
use crate::base::time::UnixTime;
use crate::wire::rfc3339;
use crate::wire::worker_api::environment::takes_sessions;

/// One environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentView<'a> {
    /// Its id.
    pub id: Cow<'a, EnvironmentId>,
    /// The machine's name, for people.
    #[serde(default)]
    pub machine_name: Cow<'a, str>,
    /// The directory that sessions work in.
    #[serde(default)]
    pub directory: Cow<'a, str>,
    /// The branch that is checked out there.
    pub branch: Option<Cow<'a, str>>,
    /// The URL of the repository's remote.
    pub git_repo_url: Option<Cow<'a, str>>,
    /// Which program the worker is.
    #[serde(default)]
    pub worker_type: Cow<'a, str>,
    /// How many sessions it takes at once.
    pub max_sessions: u32,
    /// How many of its sessions have not ended.
    pub active_sessions: usize,
    /// Whether its worker has been heard from recently.
    #[serde(default)]
    pub online: bool,
    /// Whether its worker takes no more sessions (W-9).
    #[serde(default)]
    pub draining: bool,
    /// When it first registered.
    #[serde(with = "rfc3339")]
    pub created_at: UnixTime,
    /// When its worker was last heard from.
    #[serde(with = "rfc3339")]
    pub last_seen_at: UnixTime,
    /// The last healthcheck that was requested (W-11).
    pub last_healthcheck: Option<HealthcheckView>,
}

impl EnvironmentView<'_> {
    /// Whether a session that is asked for there is ever run: a program that is its own session takes no
    /// other (B-1).
    pub fn takes_sessions(&self) -> bool {
        takes_sessions(&self.worker_type)
    }
}

/// A person's check on whether a worker responds (W-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthcheckView {
    /// When it was requested.
    #[serde(with = "rfc3339")]
    pub asked_at: UnixTime,
    /// When the worker answered, if it has.
    #[serde(with = "rfc3339::optional", default)]
    pub answered_at: Option<UnixTime>,
}

/// The answer to `GET /v1/environments`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentList<'a> {
    /// All environments of that person, by id.
    #[serde(default)]
    pub environments: Vec<EnvironmentView<'a>>,
}
