//! What came of a store operation.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::{AccountId, Entry, Environment, Session};
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::wire::session::SessionState;
use crate::wire::worker_api::work::WorkData;

/// What came of one operation: its answer, and what is different since. `Debug` shows neither's
/// contents (T-5).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// What was asked for, or why not.
    pub answer: Result<Answer, StoreError>,
    /// What others have to hear of.
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

/// The answer to one operation; [`super::StoreOp`] says which one gets which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Answer {
    Done,
    Environment(Box<Environment>),
    Session(Box<Session>),
    /// Environments by id, sessions with the newest first.
    Overview {
        environments: Vec<Environment>,
        sessions: Vec<Session>,
    },
    /// Sessions, the newest first.
    Sessions(Vec<Session>),
    /// An item, or none that waits.
    Leased(Option<Lease>),
    /// The lease goes on.
    Renewed {
        /// Whether a person asked for the end of the session.
        is_stopping: bool,
    },
    Page(Box<Page>),
    /// What became of each message, in order.
    Posted(Vec<Accepted>),
    /// The answer to a question, or the same one that was given before.
    Answered {
        seq: u64,
    },
    /// A link is open under this number.
    Attached {
        link: u64,
        /// Lines of the worker that are stored.
        received: u64,
        /// Lines for the agent that are no longer held.
        from: u64,
        /// Whose session it is.
        owner: AccountId,
    },
    /// A link goes on.
    Resumed {
        /// Lines of the worker that are stored, or lost.
        received: u64,
        /// The last line for the agent that needs no sending.
        from: u64,
        /// The last line for the agent that there is.
        until: u64,
        /// Whether a person asked for the end of the session.
        is_stopping: bool,
    },
    /// Lines up to this one are stored.
    Appended {
        received: u64,
    },
    /// Lines for the agent and their numbers.
    Inbound(Vec<(u64, Text)>),
}

/// A work item in a worker's hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The item.
    pub work: WorkId,
    /// What it asks for.
    pub data: WorkData,
    /// Which lease it is.
    pub fence: u64,
    /// When the item was queued first.
    pub created_at: UnixTime,
}

/// A page of a session's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The session.
    pub session: Session,
    /// The events, in order and without a gap.
    pub entries: Vec<Entry>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its number in the log, new or old.
    pub seq: u64,
}

/// Why an operation was not carried out. Nothing has changed, but that a worker who asked has been
/// heard of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum StoreError {
    EnvironmentUnknown,
    SessionUnknown,
    WorkUnknown,
    PermissionUnknown,
    /// The item was handed to somebody else since.
    LeaseLost,
    /// A newer link of the session is open.
    LinkReplaced,
    /// A worker says that it has lines which were never sent to it.
    NeverSent,
    SessionEnded,
    /// Somebody answered the question differently before.
    PermissionConflict {
        /// The `control_response` that counts.
        line: Text,
    },
    PermissionWithdrawn,
    /// A count is at its limit.
    Limit(Limit),
}

/// What there can be too many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Environments in all.
    Environments,
    /// Environments of one person.
    EnvironmentsOfPerson,
    /// Sessions of one environment that have not ended.
    LiveSessions,
    /// Sessions of one environment that wait for their worker.
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

/// What is different since an operation, for everybody whom it concerns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// Environments as they are now.
    pub environments: Vec<Environment>,
    /// Environments that are no more.
    pub environments_gone: Vec<(AccountId, EnvironmentId)>,
    /// Sessions as they are now, where more has changed than the length of their log.
    pub sessions: Vec<Session>,
    /// Sessions that have come to another state.
    pub states: Vec<(SessionId, SessionState)>,
    /// Sessions that are no longer kept.
    pub sessions_gone: Vec<(AccountId, SessionId)>,
    /// What was added to the log of one session.
    pub entries: Vec<(SessionId, Entry)>,
    /// Environments that have work now.
    pub work_for: Vec<EnvironmentId>,
    /// Sessions with new lines for their agent, and the number of the last one.
    pub inbound: Vec<(SessionId, u64)>,
    /// How long it is from this operation until something may lapse, by the store's own time.
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
    /// What to tell a person: what happened, and what to try.
    pub fn message(&self) -> String {
        match self {
            Self::EnvironmentUnknown => {
                "this relay does not know the environment (any more): register it again".into()
            }
            Self::SessionUnknown => "this relay does not know the session (any more)".into(),
            Self::WorkUnknown => "this relay does not know the work item (any more)".into(),
            Self::PermissionUnknown => {
                "the agent has not asked this question, or it is no longer kept".into()
            }
            Self::LeaseLost => "the item was handed out again since: take it by a new poll".into(),
            Self::LinkReplaced => "a newer connection of the same session has taken over".into(),
            Self::NeverSent => "the worker acknowledges lines that were never sent to it".into(),
            Self::SessionEnded => "the session has ended".into(),
            Self::PermissionConflict { .. } => {
                "somebody answered this question differently before".into()
            }
            Self::PermissionWithdrawn => {
                "the agent took its question back, or can no longer be answered".into()
            }
            Self::Limit(what) => alloc::format!("there are too many {what}: try again later"),
        }
    }
}
