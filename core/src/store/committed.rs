//! The outcome of a store operation.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::{
    AccountId, Device, Entry, Environment, OpenCallback, PushSubscription, PushTargets, Receipts,
    Session,
};
use crate::base::id::{DeviceId, EnvironmentId, SessionId, WorkId};
use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::wire::audit::AuditPage;
use crate::wire::session::SessionState;
use crate::wire::viewer::{FailedReceipts, Receipt};
use crate::wire::work_secret::AgentOptions;
use crate::wire::worker_api::work::{Interrupted, WorkData};
use crate::wire::worktree::WorktreeRequest;

/// The outcome of one operation: its answer, and what it changed. `Debug` shows the contents of
/// neither (T-5).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// The answer, or why the operation was denied.
    pub answer: Result<Answer, StoreError>,
    /// What others have to be notified of.
    pub changes: Box<Changes>,
}

impl fmt::Debug for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.answer {
            Ok(_) => write!(f, "done, {} events", self.changes.entries.len()),
            Err(denied) => write!(f, "denied: {}", denied.message()),
        }
    }
}

/// The answer to one operation; [`super::StoreOp`] says which operation gets which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Answer {
    Done,
    Environment(Box<Environment>),
    /// An environment that was registered, and its sessions that have not ended.
    Registered {
        environment: Box<Environment>,
        sessions: Vec<SessionId>,
    },
    Session(Box<Session>),
    /// Environments by id, sessions newest first.
    Overview {
        environments: Vec<Environment>,
        sessions: Vec<Session>,
    },
    /// Sessions, newest first.
    Sessions(Vec<Session>),
    /// An item; `None` if none is queued.
    Leased(Option<Lease>),
    /// The lease was renewed.
    Renewed {
        /// Whether a person asked for the session to end.
        is_stopping: bool,
    },
    Page(Box<Page>),
    /// What happened to each message, in order.
    Posted(Vec<Accepted>),
    /// The answer to a question, or a repeat of the one given before.
    Answered {
        seq: u64,
    },
    /// What a link is about that answers one question.
    LinkedQuestion(Box<LinkedQuestion>),
    /// A link is open under this number.
    Attached {
        link: u64,
        /// Lines from the worker that are stored.
        received: u64,
        /// Lines for the agent that are no longer kept.
        from: u64,
        /// Whose session it is.
        owner: AccountId,
        /// What its agent has to be told before anything else (M-6): a line that is not numbered.
        declared: Option<Text>,
    },
    /// A link has resumed.
    Resumed {
        /// Lines from the worker that are stored, or lost.
        received: u64,
        /// The last line for the agent that does not need to be sent.
        from: u64,
        /// The last line for the agent.
        until: u64,
        /// Whether a person asked for the session to end.
        is_stopping: bool,
    },
    /// A stream of version 2 is open.
    StreamOpened {
        /// Lines from the worker that are stored, or lost.
        received: u64,
        /// The last line for the agent that does not need to be sent.
        from: u64,
        /// The last line for the agent.
        until: u64,
        /// Whether a person asked for the session to end.
        is_stopping: bool,
        /// The lease that the session runs under; 0 if none.
        fence: u64,
        owner: AccountId,
        environment: EnvironmentId,
        /// What its agent has to be told before anything else (M-6).
        declared: Option<Text>,
    },
    /// Lines up to this one are stored.
    Appended {
        received: u64,
    },
    /// The receipts of a session that are open, or did not end well.
    Receipts(Box<ReceiptPage>),
    /// One receipt.
    Receipt(Box<Receipt<'static>>),
    /// Lines for the agent and their numbers.
    Inbound(Vec<(u64, Text)>),
    /// A device is there.
    Checked {
        /// The number of its enrolment as a trusted one, if it is.
        trust: Option<u64>,
    },
    /// What a device is given tokens for.
    Granted(Box<DeviceGrant>),
    /// A refresh token was used that had been used before: whoever has either of the two, the device
    /// is no longer there.
    RefreshReused,
    /// Devices, by id.
    Devices(Vec<Device>),
    /// Entries of the audit log.
    Audit(AuditPage),
    /// A browser that is sent notifications.
    Push(Box<PushSubscription>),
    /// Browsers that are, by id.
    Pushes(Vec<PushSubscription>),
    PushTargets(Box<PushTargets>),
}

/// What a link is about that answers one question (Y-9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedQuestion {
    /// Whose agent asks.
    pub session: SessionId,
    /// The session's title.
    pub title: Option<String>,
    /// The tool that it asks about.
    pub tool_name: String,
    /// The tool's input.
    pub input: Text,
    /// When the link stops working.
    pub expires_at: UnixTime,
}

/// A device, and the numbers of its tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceGrant {
    /// The device.
    pub device: Device,
    /// For access tokens.
    pub epoch: u64,
    /// For the refresh token.
    pub generation: u64,
}

/// A work item in a worker's hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The item.
    pub work: WorkId,
    /// What work it is.
    pub data: WorkData,
    /// What a person wants done with a worktree, if it is about that.
    #[serde(default)]
    pub worktree: Option<WorktreeRequest>,
    /// What the session's agent is to be started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Box<AgentOptions>>,
    /// What the session's agent was at under the lease before.
    #[serde(default)]
    pub interrupted: Interrupted,
    /// The number of its lease.
    pub fence: u64,
    /// When the item was first queued.
    pub created_at: UnixTime,
}

/// The receipts of a session (M-7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptPage {
    /// How far everything has come that did not fail.
    pub receipts: Receipts,
    /// What may still change, oldest first.
    pub open: Vec<Receipt<'static>>,
    /// What did not end well, oldest first.
    pub failed: Vec<FailedReceipts>,
}

/// A page of a session's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The session.
    pub session: Session,
    /// The events, in order and without gaps.
    pub entries: Vec<Entry>,
}

/// What happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its number in the log, new or existing.
    pub seq: u64,
}

/// Why an operation was denied. Nothing has changed, except that the worker that sent it counts as
/// online.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum StoreError {
    EnvironmentUnknown,
    SessionUnknown,
    WorkUnknown,
    PermissionUnknown,
    /// The event is not a viewer's, or is no longer kept.
    ReceiptUnknown,
    /// The item has been handed to someone else since.
    LeaseLost,
    /// A later run of the same worker has registered.
    WorkerReplaced,
    /// A newer link of the session is open.
    LinkReplaced {
        /// The run of the agent that it is for, if its worker has said so.
        #[serde(default)]
        run: Option<String>,
    },
    /// A worker claims to have lines that were never sent to it.
    NeverSent,
    SessionEnded,
    /// The session has not ended.
    SessionRuns,
    /// The session has a worktree that nobody has decided about.
    WorktreeKept,
    /// The question has already been answered, differently.
    PermissionConflict {
        /// The `control_response` that counts.
        line: Text,
    },
    PermissionWithdrawn,
    /// The link was used, has run out, or its question is not open any more.
    AnswerLinkOver,
    /// The question takes more than *allow* or *deny*.
    AnswerLinkUnfit,
    /// The device has logged in too long ago to be enrolled as a trusted one.
    TrustTooLate,
    /// The session has no worktree that was kept.
    WorktreeUnknown,
    /// Something else has been asked for, and is not done yet.
    WorktreeBusy,
    /// Something else is in it than what the person was shown.
    WorktreeChanged,
    /// The worker that has it is not registered any more.
    WorktreeUnreachable,
    /// The environment is a program that is itself its one session (B-1).
    OneSession,
    /// The idempotency key is that of another request.
    KeyReused,
    /// The agent has used the id for several questions, and the answer does not say for which it is.
    PermissionAmbiguous {
        /// The event of the one that is open.
        open: Option<u64>,
    },
    /// A client that is not connected declares hooks or MCP servers.
    CallbacksUnanswerable,
    /// Another client that is connected has declared some.
    CallbacksTaken,
    CallbackUnknown,
    /// It asks another client.
    CallbackNotYours,
    CallbackWithdrawn,
    /// The question has already been answered, differently.
    CallbackConflict {
        /// The `control_response` that counts.
        line: Text,
    },
    /// The agent could not read the answer.
    CallbackUnclear {
        /// What is wrong with it.
        why: String,
    },
    /// It was never there, or was revoked.
    DeviceUnknown,
    /// There is no such browser any more.
    PushUnknown,
    /// A count is at its limit.
    Limit(Limit),
}

/// What there can be too many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Environments in all.
    Environments,
    /// Environments of one account.
    EnvironmentsOfPerson,
    /// Sessions of one environment that have not ended.
    LiveSessions,
    /// Sessions of one environment that are waiting for their worker.
    QueuedSessions,
    /// Lines of one session that its worker has not acknowledged.
    InboundLines,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environments => "environments",
            Self::EnvironmentsOfPerson => "environments of this person",
            Self::LiveSessions => "sessions of this worker",
            Self::QueuedSessions => "sessions waiting for this worker",
            Self::InboundLines => "messages waiting for this agent",
        })
    }
}

/// What an operation changed, for everyone it concerns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// Environments as they are now.
    pub environments: Vec<Environment>,
    /// Environments that were removed.
    pub environments_gone: Vec<(AccountId, EnvironmentId)>,
    /// Sessions as they are now, if more than the length of their log has changed.
    pub sessions: Vec<Session>,
    /// Sessions that have changed state.
    pub states: Vec<(SessionId, SessionState)>,
    /// Sessions that are no longer kept.
    pub sessions_gone: Vec<(AccountId, SessionId)>,
    /// Those of them that had to make room, because the store takes up all that it may.
    #[serde(default)]
    pub removed_for_room: Vec<SessionId>,
    /// What was added to the log of one session.
    pub entries: Vec<(SessionId, Entry)>,
    /// Devices that were revoked, or have logged out.
    #[serde(default)]
    pub devices_gone: Vec<DeviceId>,
    /// Environments that have work now.
    pub work_for: Vec<EnvironmentId>,
    /// Sessions with new lines for their agent, and the number of the last one.
    pub inbound: Vec<(SessionId, u64)>,
    /// What agents ask of which clients (M-6).
    #[serde(default)]
    pub callbacks: Vec<(SessionId, String, OpenCallback)>,
    /// How far what viewers sent has come, where it has come further and `sessions` does not say so.
    pub receipts: Vec<(SessionId, Receipts)>,
    /// How long after this operation something may lapse, in the store's own time.
    pub due: Option<Duration>,
}

impl Changes {
    pub(super) fn session(&mut self, session: &Session) {
        self.sessions.retain(|known| known.id != session.id);
        self.sessions.push(session.clone());
    }

    pub(super) fn environment(&mut self, environment: &Environment) {
        self.environments.retain(|known| known.id != environment.id);
        self.environments.push(environment.clone());
    }
}

impl StoreError {
    /// The message for people: what happened, and what to try.
    pub fn message(&self) -> String {
        match self {
            Self::EnvironmentUnknown => {
                "this relay does not know this environment, or no longer does: register it again"
                    .into()
            }
            Self::SessionUnknown => {
                "this relay does not know this session, or no longer does".into()
            }
            Self::WorkUnknown => {
                "this relay does not know this work item, or no longer does".into()
            }
            Self::TrustTooLate => {
                "a device can be enrolled as a trusted one only within ten minutes of its log-in: log in again, with footbridge login"
                    .into()
            }
            Self::PermissionUnknown => {
                "the agent has not asked this question, or it is no longer kept".into()
            }
            Self::ReceiptUnknown => {
                "no message, answer or request has this number, or it is no longer kept".into()
            }
            Self::LeaseLost => "the item has been handed out again: poll for it again".into(),
            Self::WorkerReplaced => {
                "another run of this worker has taken over: only one may serve a directory".into()
            }
            Self::LinkReplaced { .. } => "a newer connection of the same session has taken over".into(),
            Self::NeverSent => {
                "the worker has been given what this relay never gave it: the relay was set back to an earlier state"
                    .into()
            }
            Self::SessionEnded => "the session has ended".into(),
            Self::SessionRuns => "the session has not ended: stop it first".into(),
            Self::WorktreeKept => {
                "this session has a worktree with work in it: bring it to a branch, keep it or delete it first"
                    .into()
            }
            Self::PermissionConflict { .. } => {
                "this question has already been answered differently".into()
            }
            Self::PermissionWithdrawn => {
                "the agent withdrew its question, has ended, or asks another one under this id now"
                    .into()
            }
            Self::AnswerLinkOver => {
                "this link was used, has run out, or its question is not open any more: open the session to see what became of it"
                    .into()
            }
            Self::AnswerLinkUnfit => {
                "this question takes more than yes or no, so that no link can answer it: answer it in the session"
                    .into()
            }
            Self::WorktreeUnknown => {
                "no worktree of this session was kept, or it is no longer there".into()
            }
            Self::WorktreeBusy => {
                "something else was asked for about this worktree, and is not done yet: wait for it"
                    .into()
            }
            Self::WorktreeChanged => {
                "something else is in this worktree than what was looked at: look again".into()
            }
            Self::WorktreeUnreachable => {
                "the worker that has this worktree has shut down: start it again in its directory"
                    .into()
            }
            Self::OneSession => {
                "this is a program that is itself the one session of its environment, such as footbridge chat: send a message to that session, or ask for another one in the environment of a worker (footbridge up, footbridge worker)"
                    .into()
            }
            Self::KeyReused => {
                "this Idempotency-Key was used for a session of another worker, or with another title: give each request a key of its own"
                    .into()
            }
            Self::PermissionAmbiguous { open: Some(seq) } => alloc::format!(
                "the agent has used this id for several questions: answer with \"seq\": {seq}, which is the one that is open"
            ),
            Self::PermissionAmbiguous { open: None } => {
                "the agent has used this id for several questions, and none of them is open".into()
            }
            Self::CallbacksUnanswerable => {
                "hooks and MCP servers of a client's own can be declared only by a client that the agent can reach: open the events WebSocket with client=<an id of your own> first, and name that \"client\" here".into()
            }
            Self::CallbacksTaken => {
                "another client that is connected answers this agent: leave hooks and MCP servers out, or end that client first".into()
            }
            Self::CallbackUnknown => {
                "the agent has not asked a client this, or it is no longer kept".into()
            }
            Self::CallbackNotYours => {
                "the agent asks another client, the one that has declared its hooks and MCP servers".into()
            }
            Self::CallbackWithdrawn => {
                "too late: the agent no longer waits for this answer, because the time limit has passed, it has withdrawn its question or ended, or another client has taken over".into()
            }
            Self::CallbackConflict { .. } => {
                "this question has already been answered differently".into()
            }
            Self::CallbackUnclear { why } => {
                alloc::format!("the agent could not read this answer: {why}")
            }
            Self::DeviceUnknown => {
                "this log-in is not known, or was revoked: log in again".into()
            }
            Self::PushUnknown => {
                "no browser is sent notifications under this id, or it no longer is: turn them on again there"
                    .into()
            }
            Self::Limit(what) => alloc::format!("there are too many {what}: try again later"),
        }
    }
}
