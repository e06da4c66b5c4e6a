//! The audit log: who did what (Y-9).

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::base::id::{DeviceId, EnvironmentId, SessionId};
use crate::base::time::UnixTime;
use crate::wire::rfc3339;

/// What somebody has shown who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// The access token of the person.
    AccessToken,
    /// The token of one of their browsers.
    Browser,
    /// A token of one of their devices.
    Device,
    /// The credential of one of their workers.
    Worker,
    /// A code that signs in.
    SignInCode,
    /// A link that answers one question.
    AnswerLink,
    /// The word of a provider, who calls them so.
    Oidc,
    /// The program of the relay itself, as whoever runs it uses it.
    Program,
    /// Of a later version.
    #[serde(other)]
    Other,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What they have shown.
    pub kind: ActorKind,
    /// Which browser, device or link it was.
    #[serde(default)]
    pub id: Option<String>,
    /// The address that it came from.
    pub address: String,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// Somebody may use the relay from now on.
    PersonAdded,
    /// Somebody may not use it any more.
    PersonRemoved,
    /// A browser has signed in.
    SignedIn,
    /// A code was made that signs a browser in.
    SignInCodeMade,
    /// The log-in of a device was approved.
    LogInApproved,
    /// It was refused.
    LogInDenied,
    /// A device has its first tokens.
    LoggedIn,
    /// A device has given its tokens back.
    LoggedOut,
    /// A device was enrolled as a trusted one.
    DeviceTrusted,
    /// A device was ended by a person.
    DeviceRevoked,
    /// A refresh token came a second time, which ends its device.
    RefreshTokenReused,
    /// A worker has registered.
    EnvironmentRegistered,
    /// A session was created.
    SessionCreated,
    /// A session was given a title, or none.
    SessionRenamed,
    /// A session was put away.
    SessionArchived,
    /// A session was taken back.
    SessionUnarchived,
    /// A session that had ended was deleted, with its log.
    SessionDeleted,
    /// A worker was asked whether it is there.
    HealthcheckAsked,
    /// A browser is sent notifications from now on.
    PushAdded,
    /// A browser is sent none any more.
    PushRemoved,
    /// A session is to end.
    SessionStopped,
    /// An agent was interrupted.
    Interrupted,
    /// Messages were sent to an agent.
    MessagesSent,
    /// Control requests were sent to an agent: its model or its mode was set, or the like.
    ControlSent,
    /// A link was made that answers one question.
    AnswerLinkMade,
    /// A question of an agent was answered.
    PermissionAnswered,
    /// What an agent asked because of a client's hooks or MCP servers was answered.
    CallbackAnswered,
    /// It was decided what becomes of a worktree that was kept.
    WorktreeAsked,
    /// Of a later version.
    #[serde(other)]
    Other,
}

/// One thing that was done. It has nothing in it that anybody wrote to an agent, and no credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number, from 1, among those of its account.
    pub seq: u64,
    /// When.
    #[serde(with = "rfc3339")]
    pub at: UnixTime,
    /// By whom.
    pub by: Actor,
    /// What.
    pub action: AuditAction,
    /// The device that it was about.
    #[serde(default)]
    pub device_id: Option<DeviceId>,
    /// The environment.
    #[serde(default)]
    pub environment_id: Option<EnvironmentId>,
    /// The session.
    #[serde(default)]
    pub session_id: Option<SessionId>,
    /// The event in the session's log, if there is one.
    #[serde(default)]
    pub event: Option<u64>,
    /// The agent's question.
    #[serde(default)]
    pub request_id: Option<String>,
    /// How, or of which browser: `allow`, `deny`, the subtypes of control requests, what becomes of a worktree, scopes, a
    /// number of messages.
    #[serde(default)]
    pub detail: Option<String>,
}

/// Entries, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// They are those after the one that was named.
    pub entries: Vec<AuditEntry>,
    /// The number of the last entry that there is; 0 if there is none.
    pub last_seq: u64,
}
