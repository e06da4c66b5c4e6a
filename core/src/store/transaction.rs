//! What a store can be asked to do.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::clock::RelayTime;
use super::policy::StorePolicy;
use super::record::{AccountId, Origin, PushSubscription};
use super::rows::AnswerLinkRow;
use crate::base::id::{DeviceId, EnvironmentId, PushId, SessionId, WorkId};
use crate::base::text::Text;
use crate::wire::audit::Actor;
use crate::wire::device::Scopes;
use crate::wire::last_line::LastLine;
use crate::wire::session::SessionResult;
use crate::wire::work_secret::AgentOptions;
use crate::wire::worker_api::environment::Registration;
use crate::wire::worktree::{WorktreeNote, WorktreePost};

/// One atomic operation: its time, its policy, and what to do. `Debug` names it and shows none of
/// its contents.
///
/// It can be written to a file and read back. It never contains a credential, so none is ever
/// stored (T-5): the relay's own are signed, not kept, and a person is known by their account.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Transaction {
    /// The time at which it is carried out.
    pub at: RelayTime,
    /// The limits that apply.
    #[serde(with = "shared")]
    pub policy: Arc<StorePolicy>,
    /// What to do.
    pub op: Box<StoreOp>,
    /// Which person or device asks for it, if one does: what it changes is written down (Y-9).
    #[serde(default)]
    pub by: Option<Box<Actor>>,
}

/// A value behind an `Arc`, serialized as the value itself.
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

/// What an operation does. Unless it says otherwise, it is denied if anything it names is unknown;
/// what belongs to another account is unknown too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StoreOp {
    /// Registers an environment, or registers one of the same account again (E-1). Another run of
    /// its worker ends all leases of the one before (W-13). Answer: `Registered`.
    RegisterEnvironment {
        /// Whose it is.
        owner: AccountId,
        /// Its name, if it is new.
        id: EnvironmentId,
        /// How it describes itself.
        registration: Box<Registration>,
        /// The device that registers it, if one does: with the device, it goes.
        #[serde(default)]
        device: Option<DeviceId>,
    },
    /// Removes an environment; its sessions end as failed (E-7). Answer: `Done`.
    RemoveEnvironment {
        /// The environment.
        id: EnvironmentId,
    },
    /// Its worker takes no more sessions, until it registers again; it is told again in vain (W-9).
    /// Answer: `Done`.
    DrainEnvironment {
        /// The environment.
        id: EnvironmentId,
    },
    /// Checks that things exist, and touches nothing. Answer: `Done`.
    Find {
        /// An environment.
        environment: Option<EnvironmentId>,
        /// A session.
        session: Option<SessionId>,
    },
    /// Shows that the store can write, and changes nothing. Answer: `Done`.
    Prove {
        /// This much.
        bytes: usize,
    },
    /// Reads one environment. Answer: `Environment`.
    GetEnvironment {
        /// Whose it is.
        owner: AccountId,
        /// The environment.
        id: EnvironmentId,
    },
    /// Queues a healthcheck of the worker, ahead of everything else (W-11). Nothing is queued while
    /// one is open, or for a repeated key. Answer: `Environment`.
    AskHealthcheck {
        /// Whose it is.
        owner: AccountId,
        /// The environment.
        id: EnvironmentId,
        /// The id of its item.
        work: WorkId,
        /// The request's idempotency key.
        key: Option<String>,
    },
    /// Reads an account's environments and newest sessions. Answer: `Overview`.
    List {
        /// The account.
        owner: AccountId,
    },

    /// Hands out the oldest queued item and raises its fence, which the items of one session share
    /// (E-2, E-3). Repeating the key within the lease returns the same item. It shows that the
    /// environment is online. Answer: `Leased`.
    LeaseWork {
        /// Whose work.
        environment: EnvironmentId,
        /// The claim's idempotency key.
        key: Option<String>,
    },
    /// Gives back an item whose claim never arrived. Answer: `Done`, whatever happened to it.
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
    /// The worker is still working on an item (E-5). Answer: `Renewed`.
    RenewLease {
        /// Whose work.
        environment: EnvironmentId,
        /// The item.
        work: WorkId,
        /// Which lease.
        fence: u64,
    },
    /// An item, and with it its session, has ended (E-6), or a healthcheck is answered (W-11);
    /// repeating it is fine. Answer: `Done`.
    StopWork {
        /// Whose work.
        environment: EnvironmentId,
        /// The item.
        work: WorkId,
        /// Which lease; 0: the one in force (E-4).
        fence: u64,
        /// The session's result.
        result: Box<SessionResult>,
        /// What became of a request about a worktree, if the item was one.
        #[serde(default)]
        worktree: Option<Box<WorktreeNote>>,
    },
    /// A worker says what has become of the worktree of a session of the same account that has
    /// ended. Answer: `Done`.
    NoteWorktree {
        /// Whose worker.
        environment: EnvironmentId,
        /// What it says.
        note: Box<WorktreeNote>,
    },
    /// Queues a session again that has not ended, unless it is queued already (W-8). Answer:
    /// `Done`.
    Redispatch {
        /// Whose session.
        environment: EnvironmentId,
        /// The session.
        session: SessionId,
        /// The id of the new item.
        work: WorkId,
    },
    /// Queues again what was not acked or renewed in time, and removes environments that were
    /// silent for too long. Answer: `Done`.
    Lapse,

    /// Adds a device that somebody has approved (T-6). Repeating it is fine. Answer: `Granted`.
    AddDevice {
        /// For whom it acts.
        owner: AccountId,
        /// Its name in the interface.
        id: DeviceId,
        /// What it calls itself.
        name: String,
        /// What it may do.
        scopes: Scopes,
        /// Where it is.
        address: String,
    },
    /// Gives a device its next refresh token for the one in use. One that was used before ends the
    /// device, unless the request is the same one again. Answer: `Granted`, or `RefreshReused`.
    RefreshDevice {
        /// The device.
        id: DeviceId,
        /// The number of the refresh token that it has shown.
        generation: u64,
        /// The request's idempotency key.
        key: Option<String>,
        /// Where it is.
        address: String,
    },
    /// Enrols a device as a trusted one, if it has logged in just before (D-3). Answer: `Granted`.
    TrustDevice {
        /// Whose it is.
        owner: AccountId,
        /// The device.
        id: DeviceId,
        /// What people see as its name from now on.
        name: String,
    },
    /// Reads whether a device is still there. Answer: `Checked`.
    CheckDevice {
        /// The device.
        id: DeviceId,
        /// The epoch of the access token that it has shown.
        epoch: u64,
    },
    /// Reads an account's devices. Answer: `Devices`.
    ListDevices {
        /// Whose they are.
        owner: AccountId,
    },
    /// Ends a device, and with it the environments that it has registered (Y-9). Answer: `Done`.
    RevokeDevice {
        /// Whose it is.
        owner: AccountId,
        /// The device.
        id: DeviceId,
    },

    /// These accounts may use the relay, and no others: who has come and gone since that was last said is
    /// written down for the first of them. Answer: `Done`.
    NotePeople {
        /// Whom the relay runs for.
        owner: AccountId,
        /// All of them.
        people: Vec<AccountId>,
    },
    /// Ends all that an account has that can do something: its environments, devices and browsers. Its
    /// sessions end with their environments, and are kept as long as others. Answer: `Done`.
    EndAccount {
        /// The account.
        owner: AccountId,
    },

    /// Keeps a browser that is to be sent notifications, or replaces it (Y-7). Answer: `Push`.
    AddPush {
        /// The browser.
        subscription: Box<PushSubscription>,
    },
    /// Reads an account's browsers that are sent notifications. Answer: `Pushes`.
    ListPushes {
        /// Whose they are.
        owner: AccountId,
    },
    /// Forgets one of them. Answer: `Done`.
    RemovePush {
        /// Whose it is.
        owner: AccountId,
        /// The browser.
        id: PushId,
    },
    /// Reads what is needed to tell a person of a session. Answer: `PushTargets`.
    ReadPushTargets {
        /// Whose session.
        owner: AccountId,
        /// The session.
        session: SessionId,
        /// The question that it waits with, if any.
        request_id: Option<String>,
    },

    /// Writes something down that changes nothing else in the store (Y-9). Answer: `Done`.
    Note {
        /// Whose account it is about.
        owner: AccountId,
        /// What was done.
        noted: Noted,
    },
    /// Reads an account's audit log. Answer: `Audit`.
    ReadAudit {
        /// The account.
        owner: AccountId,
        /// Starting after this entry.
        after: u64,
        /// At most this many.
        limit: usize,
    },

    /// Creates a session and queues it. Repeating the key returns the same session. Answer:
    /// `Session`.
    CreateSession {
        /// Whose it is.
        owner: AccountId,
        /// Where it is to run.
        environment: EnvironmentId,
        /// Its name.
        id: SessionId,
        /// The id of its item.
        work: WorkId,
        /// The title a person gave it.
        title: Option<String>,
        /// The request's idempotency key.
        key: Option<String>,
        /// What its agent is to be started with.
        options: Option<Box<AgentOptions>>,
    },
    /// Creates a session of version 2 with an environment of its own, which nothing is queued for and
    /// which goes with it (C-1). Repeating the key returns the same session. Answer: `Session`.
    CreateCodeSession {
        /// Whose it is.
        owner: AccountId,
        /// The name of its environment.
        environment: EnvironmentId,
        /// Its name.
        id: SessionId,
        /// The title a person gave it.
        title: Option<String>,
        /// The request's idempotency key.
        key: Option<String>,
        /// How the program that will run it describes itself.
        registration: Box<Registration>,
        /// The device that creates it, if one does: with the device, it ends.
        device: Option<DeviceId>,
    },
    /// Takes up a session that was created like that: a link of a higher number, which is the epoch.
    /// What a device has created, another one does not find. Answer: `Attached`.
    Bridge {
        /// Whose it is.
        owner: AccountId,
        /// The device that asks, if one does.
        device: Option<DeviceId>,
        /// The session.
        session: SessionId,
        /// The run of the agent that it is for; `None` if the worker does not say.
        agent_run: Option<String>,
    },
    /// Reads an account's sessions, newest first, including those of an environment that is gone.
    /// Denied if `before` is unknown. Answer: `Sessions`.
    ListSessions {
        /// Whose they are.
        owner: AccountId,
        /// Only those of this environment.
        environment: Option<EnvironmentId>,
        /// Only those created before this one.
        before: Option<SessionId>,
        /// At most this many.
        limit: usize,
    },
    /// Reads one session. Answer: `Session`.
    GetSession {
        /// Whose it is.
        owner: AccountId,
        /// The session.
        id: SessionId,
    },
    /// Asks for a session to end: immediately while it is queued, otherwise through its worker.
    /// Answer: `Session`.
    RequestStop {
        /// Whose it is.
        owner: AccountId,
        /// The session.
        id: SessionId,
    },
    /// Names a session, or puts it away or back (U-5). Answer: `Session`.
    ChangeSession {
        /// Whose it is.
        owner: AccountId,
        /// The session.
        id: SessionId,
        /// Its title; empty for none, `None` for the one that it has.
        title: Option<String>,
        /// Whether it is put away.
        archived: Option<bool>,
    },
    /// Deletes a session that has ended, with its log (U-5). Answer: `Done`.
    DeleteSession {
        /// Whose it is.
        owner: AccountId,
        /// The session.
        id: SessionId,
    },
    /// Asks the worker to do something about a worktree that was kept, or notes that it stays. Asking
    /// again for what is not done yet changes nothing. Answer: `Session`.
    AskWorktree {
        /// Whose it is.
        owner: AccountId,
        /// The session.
        session: SessionId,
        /// The id of the item.
        work: WorkId,
        /// What to do.
        post: WorktreePost,
    },
    /// Reads a page of a session's log; one event always fits. Answer: `Page`.
    ReadLog {
        /// Whose it is.
        owner: AccountId,
        /// The session.
        session: SessionId,
        /// Starting after this event.
        after: u64,
        /// At most this many events.
        max_events: usize,
        /// At most this many bytes.
        max_bytes: usize,
    },
    /// Reads the receipts of a session that are open, or did not end well (M-7). Answer: `Receipts`.
    ReadReceipts {
        /// Whose it is.
        owner: AccountId,
        /// The session.
        session: SessionId,
    },
    /// Reads the receipt of one event of a viewer. Answer: `Receipt`.
    ReadReceipt {
        /// Whose it is.
        owner: AccountId,
        /// The session.
        session: SessionId,
        /// The event.
        seq: u64,
    },
    /// Stores a viewer's messages for the log and for the agent: all of them or none. An untitled
    /// session takes its title from its first user message with text. Answer: `Posted`.
    Post {
        /// Whose session.
        owner: AccountId,
        /// The session.
        session: SessionId,
        /// The messages.
        messages: Vec<NewMessage>,
        /// Who sends them, if they say so. Only somebody who is connected may declare hooks or MCP
        /// servers, and not while another client that has is connected (M-6).
        #[serde(default)]
        sender: Option<Sender>,
    },
    /// Answers an agent's question. The first answer counts (M-2). Answer: `Answered`.
    AnswerPermission {
        /// Whose session.
        owner: AccountId,
        /// The session.
        session: SessionId,
        /// The question.
        request_id: String,
        /// The event that asked it, if the answer says so: the same id may have been used again.
        seq: Option<u64>,
        /// The answer.
        reply: PermissionReply,
    },
    /// Makes a link that answers a question that is open, once (Y-9). Of too many, the oldest stops
    /// working. Answer: `Done`.
    MakeAnswerLink {
        /// Whose session.
        owner: AccountId,
        /// The session.
        session: SessionId,
        /// The question.
        request_id: String,
        /// The event that asked it, if whoever makes the link says so.
        seq: Option<u64>,
        /// The link.
        link: Box<AnswerLinkRow>,
    },
    /// Reads what a link is about, and uses nothing up. Answer: `LinkedQuestion`.
    ReadAnswerLink {
        /// The session.
        session: SessionId,
        /// The digest of the link.
        digest: String,
    },
    /// Answers a question by a link, which has worked then. Answer: `Answered`.
    AnswerByLink {
        /// The session.
        session: SessionId,
        /// The digest of the link.
        digest: String,
        /// The answer.
        reply: PermissionReply,
    },

    /// Answers what the agent asks of the client that has declared hooks or MCP servers (M-6).
    /// Answer: `Answered`.
    AnswerCallback {
        /// Whose session.
        owner: AccountId,
        /// The session.
        session: SessionId,
        /// Who answers.
        client: String,
        /// The question.
        request_id: String,
        /// The event that asked it.
        seq: u64,
        /// The answer.
        reply: CallbackReply,
    },

    /// Opens a link of a session, replacing any other. Lines that were given to another run of its
    /// agent and not confirmed are logged as indeterminate and not sent again; requests that that
    /// run did not answer are logged as unanswered. Answer: `Attached`.
    AttachLink {
        /// The session.
        session: SessionId,
        /// The fence of the lease.
        fence: u64,
        /// The run of the agent that it is for; `None` if the worker does not say.
        agent_run: Option<String>,
    },
    /// The worker has sent its `resume`: the session is running. Lines that it no longer has and
    /// that never arrived are logged as lost. Answer: `Resumed`.
    ResumeLink {
        /// The session.
        session: SessionId,
        /// The number of the link.
        link: u64,
        /// Lines for the agent that the worker has.
        received: u64,
        /// Lines from the worker that it no longer has.
        from: u64,
        /// One of those that the worker has, as it was.
        last: Option<LastLine>,
    },
    /// A worker of version 2 takes up the lines for its agent; as `ResumeLink`. Answer:
    /// `StreamOpened`.
    OpenStream {
        /// The session.
        session: SessionId,
        /// The number of the link.
        link: u64,
        /// Lines for the agent that the worker has; `None`: those that the store knows of.
        received: Option<u64>,
        /// Lines from the worker that it no longer has.
        from: u64,
        /// One of those that the worker has, as it was.
        last: Option<LastLine>,
    },
    /// A worker of version 2 is there, and maybe says what it does: the session is running, or has
    /// ended. Answer: `Renewed`, or `Done` once it has ended.
    NoteWorker {
        /// The session.
        session: SessionId,
        /// The number of the link.
        link: u64,
        /// Whether its agent is in a turn, if it says so.
        is_working: Option<bool>,
        /// How it has ended, if it has.
        result: Option<Box<SessionResult>>,
    },
    /// Stores lines that arrived on a link, except those already stored. Answer: `Appended`.
    Append {
        /// The session.
        session: SessionId,
        /// The number of the link.
        link: u64,
        /// The number of the first line, among all lines ever sent by the worker; 0: that after the
        /// last one stored.
        first: u64,
        /// The lines.
        lines: Vec<Line>,
    },
    /// Lines for the agent have come further. Answer: `Done`.
    AckInbound {
        /// The session.
        session: SessionId,
        /// The number of the link.
        link: u64,
        /// The last one that no longer needs to be sent.
        received: u64,
        /// The last one that is known to be in the agent's stdin.
        delivered: u64,
        /// The last one that the worker has.
        with_worker: u64,
        /// One of them, as it was, if the worker says so.
        last: Option<LastLine>,
    },
    /// Reads unacknowledged lines for the agent; one line always fits. Answer: `Inbound`.
    ReadInbound {
        /// The session.
        session: SessionId,
        /// Starting after this line.
        after: u64,
        /// At most this many lines.
        max_lines: usize,
        /// At most this many bytes.
        max_bytes: usize,
    },
}

impl StoreOp {
    /// Whether it only reads, whatever it finds.
    pub const fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Find { .. }
                | Self::GetEnvironment { .. }
                | Self::List { .. }
                | Self::ListSessions { .. }
                | Self::GetSession { .. }
                | Self::ReadLog { .. }
                | Self::CheckDevice { .. }
                | Self::ListDevices { .. }
                | Self::ReadAudit { .. }
                | Self::ListPushes { .. }
                | Self::ReadPushTargets { .. }
                | Self::ReadAnswerLink { .. }
        )
    }

    /// Whether it keeps something that was not kept before, a worker's registration included. Everything
    /// else changes what is there, or makes room.
    pub const fn adds(&self) -> bool {
        matches!(
            self,
            Self::RegisterEnvironment { .. }
                | Self::CreateSession { .. }
                | Self::CreateCodeSession { .. }
                | Self::Post { .. }
                | Self::Append { .. }
                | Self::Prove { .. }
        )
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::RegisterEnvironment { .. } => "RegisterEnvironment",
            Self::RemoveEnvironment { .. } => "RemoveEnvironment",
            Self::DrainEnvironment { .. } => "DrainEnvironment",
            Self::Find { .. } => "Find",
            Self::Prove { .. } => "Prove",
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
            Self::CreateCodeSession { .. } => "CreateCodeSession",
            Self::Bridge { .. } => "Bridge",
            Self::ListSessions { .. } => "ListSessions",
            Self::GetSession { .. } => "GetSession",
            Self::RequestStop { .. } => "RequestStop",
            Self::ChangeSession { .. } => "ChangeSession",
            Self::DeleteSession { .. } => "DeleteSession",
            Self::NoteWorktree { .. } => "NoteWorktree",
            Self::AskWorktree { .. } => "AskWorktree",
            Self::ReadLog { .. } => "ReadLog",
            Self::ReadReceipts { .. } => "ReadReceipts",
            Self::ReadReceipt { .. } => "ReadReceipt",
            Self::Post { .. } => "Post",
            Self::AnswerPermission { .. } => "AnswerPermission",
            Self::MakeAnswerLink { .. } => "MakeAnswerLink",
            Self::ReadAnswerLink { .. } => "ReadAnswerLink",
            Self::AnswerByLink { .. } => "AnswerByLink",
            Self::AnswerCallback { .. } => "AnswerCallback",
            Self::AttachLink { .. } => "AttachLink",
            Self::ResumeLink { .. } => "ResumeLink",
            Self::OpenStream { .. } => "OpenStream",
            Self::NoteWorker { .. } => "NoteWorker",
            Self::Append { .. } => "Append",
            Self::AckInbound { .. } => "AckInbound",
            Self::ReadInbound { .. } => "ReadInbound",
            Self::AddDevice { .. } => "AddDevice",
            Self::RefreshDevice { .. } => "RefreshDevice",
            Self::TrustDevice { .. } => "TrustDevice",
            Self::CheckDevice { .. } => "CheckDevice",
            Self::ListDevices { .. } => "ListDevices",
            Self::RevokeDevice { .. } => "RevokeDevice",
            Self::EndAccount { .. } => "EndAccount",
            Self::NotePeople { .. } => "NotePeople",
            Self::Note { .. } => "Note",
            Self::ReadAudit { .. } => "ReadAudit",
            Self::AddPush { .. } => "AddPush",
            Self::ListPushes { .. } => "ListPushes",
            Self::RemovePush { .. } => "RemovePush",
            Self::ReadPushTargets { .. } => "ReadPushTargets",
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.name())
    }
}

/// What is written down without a change to anything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Noted {
    /// A browser has signed in.
    SignedIn,
    /// A code was made that signs a browser in.
    SignInCodeMade,
    /// A device may log in, which will have this name.
    LogInApproved(DeviceId),
    /// A device may not.
    LogInDenied,
}

/// A viewer's message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewMessage {
    /// One that the session already has is not stored again.
    pub uuid: Option<String>,
    /// The `request_id` that the agent's answer will name, if it is a control request (M-3).
    pub request_id: Option<String>,
    /// The line for the agent.
    pub line: Text,
}

/// A client that sends messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// Its id.
    pub client: String,
    /// The clients that are connected to the session.
    pub connected: Vec<String>,
}

/// A client's answer to the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallbackReply {
    /// What the agent asked for: JSON.
    Response(Text),
    /// Why there is none.
    Error(String),
}

/// An answer to a permission question, before the question has been looked up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PermissionReply {
    /// The tool may run.
    Allow {
        /// With this input, a JSON object; if `None`, with the one in the question.
        updated_input: Option<Text>,
        /// Whatever else the agent is told: JSON values, by name.
        #[serde(default)]
        further: BTreeMap<String, Text>,
    },
    /// The tool may not run.
    Deny {
        /// Why, for the agent.
        message: String,
        /// Whether this also ends the turn.
        interrupt: bool,
        /// Whatever else the agent is told: JSON values, by name.
        #[serde(default)]
        further: BTreeMap<String, Text>,
    },
}

/// One line that arrived on a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Who sent it: `Agent`, `Worker`, or `Relay` in place of a line that is not a message.
    pub origin: Origin,
    /// The message.
    pub line: Text,
}
