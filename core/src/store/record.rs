//! What a store keeps, as the relay sees it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::base::id::{DeviceId, EnvironmentId, PushId, SessionId};
use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::wire::device::Scopes;
use crate::wire::push::{PushKeys, PushPreferences};
use crate::wire::session::{SessionResult, SessionState};
use crate::wire::worker_api::environment::Registration;
use crate::wire::worktree::KeptWorktree;

pub use crate::wire::viewer::{Activity, Origin, Question, Receipts};

/// An account, named by the person whose access token it is. Each sees only what is its own (Y-4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub String);

impl AccountId {
    /// The name of whose it is, without what tells them apart from others of that name.
    pub fn name(&self) -> &str {
        self.0.split_once('.').map_or(&*self.0, |(name, _)| name)
    }
}

/// One registered worker (E-1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Its name.
    pub id: EnvironmentId,
    /// Whose it is.
    pub owner: AccountId,
    /// How it described itself.
    pub registration: Registration,
    /// How many of its sessions have not ended.
    pub active_sessions: usize,
    /// Whether it has been heard from recently.
    pub is_online: bool,
    /// Whether its worker takes no more sessions, until it registers again (W-9).
    #[serde(default)]
    pub is_draining: bool,
    /// When it first registered.
    pub created_at: UnixTime,
    /// When it was last heard from.
    pub last_seen_at: UnixTime,
    /// The latest healthcheck of its worker (W-11).
    pub last_healthcheck: Option<Healthcheck>,
}

/// A person's check whether a worker responds (W-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthcheck {
    /// When it was requested.
    pub asked_at: UnixTime,
    /// When the worker answered, if it has.
    pub answered_at: Option<UnixTime>,
}

/// One log-in (Y-9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its name in the interface.
    pub id: DeviceId,
    /// For whom it acts.
    pub owner: AccountId,
    /// What it calls itself.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// When it logged in.
    pub created_at: UnixTime,
    /// When it last had its token refreshed.
    pub last_used_at: UnixTime,
    /// Where it did so from.
    pub address: String,
    /// If it is a trusted one (D).
    #[serde(default)]
    pub trust: Option<Trust>,
}

/// That a device is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// Which of its enrolments it was: what an earlier one was given no longer counts.
    pub number: u64,
    /// When it was enrolled.
    pub at: UnixTime,
}

/// One browser that is sent notifications (Y-7). `Debug` shows nothing that sends.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushSubscription {
    /// Its name in the interface.
    pub id: PushId,
    /// Whose it is.
    pub owner: AccountId,
    /// The sign-in that made it, and with which it ends.
    pub sign_in: PushSignIn,
    /// What it calls itself.
    pub name: String,
    /// Where its push service takes messages.
    pub endpoint: String,
    /// What messages to it are encrypted with.
    pub keys: PushKeys,
    /// What it is told.
    pub preferences: PushPreferences,
    /// When it was made.
    pub created_at: UnixTime,
}

impl fmt::Debug for PushSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PushSubscription({})", self.id)
    }
}

/// Which sign-in made a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushSignIn {
    /// That of a device.
    Device(DeviceId),
    /// That of a browser, or of somebody with the access token.
    Person {
        /// Signed with a key that comes from the access token.
        mark: String,
        /// When it ends by itself.
        until: Option<UnixTime>,
    },
}

/// What is needed to tell a person of one session (Y-7).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushTargets {
    /// Their browsers, by id.
    pub subscriptions: Vec<PushSubscription>,
    /// The name of the machine that it runs on, if that is still there.
    pub machine: Option<String>,
    /// The session.
    pub session: Session,
    /// The input of the tool that it asks about: JSON. Not if it is large.
    pub input: Option<Text>,
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
    /// The title a person gave it.
    pub title: Option<String>,
    /// Its state.
    pub state: SessionState,
    /// Whether a person asked for it to end.
    pub is_stopping: bool,
    /// Whether its worker takes no more sessions: what is queued stays so (W-9).
    #[serde(default)]
    pub is_worker_draining: bool,
    /// Whether its person has put it away (U-5).
    #[serde(default)]
    pub is_archived: bool,
    /// The agent's open questions, oldest first (M-2).
    pub pending: Vec<Question>,
    /// What its agent asks of the client that has declared hooks or MCP servers (M-6).
    #[serde(default)]
    pub callbacks: Callbacks,
    /// How far what viewers sent has come (M-7).
    #[serde(default)]
    pub receipts: Receipts,
    /// What the agent has done last, newest last (W-10).
    #[serde(default)]
    pub activities: Vec<Activity>,
    /// Whether the agent is working on something (U-4).
    #[serde(default)]
    pub is_working: bool,
    /// When it was created.
    pub created_at: UnixTime,
    /// When its log last grew.
    pub updated_at: UnixTime,
    /// The first event still kept; `last_seq` + 1 if none is.
    pub first_seq: u64,
    /// The last event.
    pub last_seq: u64,
    /// Its result, once it has ended.
    pub result: Option<SessionResult>,
    /// Its worktree, if that was kept (W-5).
    #[serde(default)]
    pub worktree: Option<KeptWorktree>,
    /// Grows from one session to the next, in the order they were created.
    pub ordinal: u64,
}

/// Who answers what a session's agent asks because of hooks or MCP servers (M-6). Other viewers are
/// not told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Callbacks {
    /// The client that has declared them, if any are declared.
    pub answerer: Option<String>,
    /// What the agent asks it and waits for, oldest first.
    pub open: Vec<OpenCallback>,
}

/// A question that waits for a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCallback {
    /// The agent's id for it.
    pub request_id: String,
    /// The event that asks.
    pub seq: u64,
}

/// One event of a session's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was stored.
    pub at: UnixTime,
    /// Who sent it.
    pub origin: Origin,
    /// The message, byte for byte as it arrived.
    pub line: Text,
}
