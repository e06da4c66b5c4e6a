//! What a store is asked to do.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::clock::RelayTime;
use super::policy::StorePolicy;
use super::record::{AccountId, Origin};
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::base::text::Text;
use crate::wire::session::SessionResult;
use crate::wire::worker_api::environment::Registration;

/// One atomic operation: when, by which rules, and what. `Debug` names it and shows none of its
/// contents.
///
/// It can be written down and read back. No credential is part of one, so none is ever stored
/// (T-5): the relay's own are signed, not kept, and a person goes by the name of their account.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Transaction {
    /// The time that it is carried out at.
    pub at: RelayTime,
    /// The rules that it is decided by.
    #[serde(with = "shared")]
    pub policy: Arc<StorePolicy>,
    /// What to do.
    pub op: Box<StoreOp>,
}

/// A value behind an `Arc`, written as the value itself.
mod shared {
    use alloc::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &Arc<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        T::serialize(value, serializer)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(deserializer).map(Arc::new)
    }
}

/// What an operation does. Unless it says otherwise it is denied where a thing that it names is
/// unknown; a thing of another person is unknown too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StoreOp {
    /// Makes an environment, or takes a known one of the same person up again (E-1).
    /// Answer: `Environment`.
    RegisterEnvironment {
        /// Whose it is.
        owner: AccountId,
        /// Its name, if it is new.
        id: EnvironmentId,
        /// What it says of itself.
        registration: Box<Registration>,
    },
    /// Removes an environment; its sessions end as failed (E-7). Answer: `Done`.
    RemoveEnvironment {
        /// The environment.
        id: EnvironmentId,
    },
    /// Looks for things without touching them. Answer: `Done`.
    Find {
        /// An environment.
        environment: Option<EnvironmentId>,
        /// A session.
        session: Option<SessionId>,
    },
    /// Reads one environment. Answer: `Environment`.
    GetEnvironment {
        /// Whose it is.
        owner: AccountId,
        /// The environment.
        id: EnvironmentId,
    },
    /// Queues a question whether the worker is there, ahead of everything else (W-11). While one is
    /// open, and for the same key again, nothing is queued. Answer: `Environment`.
    AskHealthcheck {
        /// Whose it is.
        owner: AccountId,
        /// The environment.
        id: EnvironmentId,
        /// The name of its item.
        work: WorkId,
        /// Names the request.
        key: Option<String>,
    },
    /// Reads the environments and the newest sessions of a person. Answer: `Overview`.
    List {
        /// The person.
        owner: AccountId,
    },

    /// Hands out the oldest waiting item, and raises its fence, which the items of one session share
    /// (E-2, E-3). The same key
    /// again, within the lease, gives the same item. It shows that the environment is there.
    /// Answer: `Leased`.
    LeaseWork {
        /// Whose work.
        environment: EnvironmentId,
        /// Names the claim.
        key: Option<String>,
    },
    /// Gives an item back whose claim never arrived. Answer: `Done`, whatever became of it.
    ReturnWork {
        /// The item.
        work: WorkId,
        /// Which lease.
        fence: u64,
    },
    /// The worker has taken an item (E-4). Answer: `Renewed`.
    AckWork {
        /// Whose work.
        environment: EnvironmentId,
        /// The item.
        work: WorkId,
        /// Which lease.
        fence: u64,
    },
    /// The worker still works on an item (E-5). Answer: `Renewed`.
    RenewLease {
        /// Whose work.
        environment: EnvironmentId,
        /// The item.
        work: WorkId,
        /// Which lease.
        fence: u64,
    },
    /// An item, and with it its session, has ended (E-6), or a healthcheck is answered (W-11); the
    /// same again is fine. Answer: `Done`.
    StopWork {
        /// Whose work.
        environment: EnvironmentId,
        /// The item.
        work: WorkId,
        /// Which lease; 0: the one in force (E-4).
        fence: u64,
        /// What came of the session.
        result: Box<SessionResult>,
    },
    /// Queues a session that has not ended once more, unless it waits already (W-8). Answer: `Done`.
    Redispatch {
        /// Whose session.
        environment: EnvironmentId,
        /// The session.
        session: SessionId,
        /// The name of the new item.
        work: WorkId,
    },
    /// Hands out again what was not acked or not renewed in time, and removes environments that
    /// were silent for too long. Answer: `Done`.
    Lapse,

    /// Makes a session and queues it. The same key again gives the same session. Answer: `Session`.
    CreateSession {
        /// Whose it is.
        owner: AccountId,
        /// Where it is to run.
        environment: EnvironmentId,
        /// Its name.
        id: SessionId,
        /// The name of its item.
        work: WorkId,
        /// What a person calls it.
        title: Option<String>,
        /// Names the request.
        key: Option<String>,
    },
    /// Reads sessions of a person, the newest first; of an environment that is gone, too. Denied
    /// where `before` is unknown. Answer: `Sessions`.
    ListSessions {
        /// Whose they are.
        owner: AccountId,
        /// Only those of this environment.
        environment: Option<EnvironmentId>,
        /// Only those that were made before this one.
        before: Option<SessionId>,
        /// At most so many.
        limit: usize,
    },
    /// Reads one session. Answer: `Session`.
    GetSession {
        /// Whose it is.
        owner: AccountId,
        /// The session.
        id: SessionId,
    },
    /// Asks for a session's end: at once while it waits, else by its worker. Answer: `Session`.
    RequestStop {
        /// Whose it is.
        owner: AccountId,
        /// The session.
        id: SessionId,
    },
    /// Reads a page of a session's log; one event always fits. Answer: `Page`.
    ReadLog {
        /// Whose it is.
        owner: AccountId,
        /// The session.
        session: SessionId,
        /// From the event after this one on.
        after: u64,
        /// At most so many events.
        max_events: usize,
        /// At most so many bytes.
        max_bytes: usize,
    },
    /// Stores what a viewer says, for the log and for the agent: all of it or nothing. A session
    /// without a title gets one from its first user message with text. Answer: `Posted`.
    Post {
        /// Whose session.
        owner: AccountId,
        /// The session.
        session: SessionId,
        /// The messages.
        messages: Vec<NewMessage>,
    },
    /// Answers a question of the agent. The first one counts (M-2). Answer: `Answered`.
    AnswerPermission {
        /// Whose session.
        owner: AccountId,
        /// The session.
        session: SessionId,
        /// The question.
        request_id: String,
        /// The answer.
        reply: PermissionReply,
    },

    /// Opens a link of a session, in place of the one that there may be. Lines that were handed to
    /// another run of its agent and not confirmed are noted as indeterminate, and not handed out
    /// again; what that run was asked and did not answer is noted as unanswered. Answer:
    /// `Attached`.
    AttachLink {
        /// The session.
        session: SessionId,
        /// Under which lease.
        fence: u64,
        /// The run of the agent that it is for; `None` where the worker does not say.
        agent_run: Option<String>,
    },
    /// The worker has said where it stands: the session runs. Lines that it no longer holds and
    /// that never arrived are noted as lost. Answer: `Resumed`.
    ResumeLink {
        /// The session.
        session: SessionId,
        /// Which link.
        link: u64,
        /// Lines for the agent that the worker has.
        received: u64,
        /// Lines of the worker that it no longer holds.
        from: u64,
    },
    /// Stores what came by a link. Lines that are there already are left out.
    /// Answer: `Appended`.
    Append {
        /// The session.
        session: SessionId,
        /// Which link.
        link: u64,
        /// The number of the first line, among all that ever came from the worker.
        first: u64,
        /// The lines.
        lines: Vec<Line>,
    },
    /// Lines for the agent up to this one have reached it. Answer: `Done`.
    AckInbound {
        /// The session.
        session: SessionId,
        /// Which link.
        link: u64,
        /// The number of the last one.
        received: u64,
    },
    /// Reads lines for the agent that were not acknowledged; one line always fits.
    /// Answer: `Inbound`.
    ReadInbound {
        /// The session.
        session: SessionId,
        /// From the line after this one on.
        after: u64,
        /// At most so many lines.
        max_lines: usize,
        /// At most so many bytes.
        max_bytes: usize,
    },
}

impl StoreOp {
    const fn name(&self) -> &'static str {
        match self {
            Self::RegisterEnvironment { .. } => "RegisterEnvironment",
            Self::RemoveEnvironment { .. } => "RemoveEnvironment",
            Self::Find { .. } => "Find",
            Self::GetEnvironment { .. } => "GetEnvironment",
            Self::AskHealthcheck { .. } => "AskHealthcheck",
            Self::List { .. } => "List",
            Self::LeaseWork { .. } => "LeaseWork",
            Self::ReturnWork { .. } => "ReturnWork",
            Self::AckWork { .. } => "AckWork",
            Self::RenewLease { .. } => "RenewLease",
            Self::StopWork { .. } => "StopWork",
            Self::Redispatch { .. } => "Redispatch",
            Self::Lapse => "Lapse",
            Self::CreateSession { .. } => "CreateSession",
            Self::ListSessions { .. } => "ListSessions",
            Self::GetSession { .. } => "GetSession",
            Self::RequestStop { .. } => "RequestStop",
            Self::ReadLog { .. } => "ReadLog",
            Self::Post { .. } => "Post",
            Self::AnswerPermission { .. } => "AnswerPermission",
            Self::AttachLink { .. } => "AttachLink",
            Self::ResumeLink { .. } => "ResumeLink",
            Self::Append { .. } => "Append",
            Self::AckInbound { .. } => "AckInbound",
            Self::ReadInbound { .. } => "ReadInbound",
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.name())
    }
}

/// A message of a viewer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewMessage {
    /// One that the session has already is not stored again.
    pub uuid: Option<String>,
    /// What the agent's answer to it will name, if it is a control request (M-3).
    pub request_id: Option<String>,
    /// The line for the agent.
    pub line: Text,
}

/// An answer to a permission question, before it is known what was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PermissionReply {
    /// It may.
    Allow {
        /// With this input, a JSON object; `None`: with the one that it asked for.
        updated_input: Option<Text>,
    },
    /// It may not.
    Deny {
        /// Why, for the agent.
        message: String,
        /// Whether the turn ends with it.
        interrupt: bool,
    },
}

/// One line that came by a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Who said it: `Agent`, `Worker`, or `Relay` about a line that is no message.
    pub origin: Origin,
    /// The message.
    pub line: Text,
}
