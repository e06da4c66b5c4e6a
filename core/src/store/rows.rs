//! What a store keeps, row by row.
//!
//! A row is everything kept under one key, and is always written whole. What grows without end (a
//! log, the lines for an agent) has one row per line and its counters in the session's row, so no
//! operation reads more than it needs.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::clock::{StoreClock, StoreTime};
use super::record::{AccountId, Device, Entry, Environment, Question, Session};
use crate::base::id::{DeviceId, EnvironmentId, SessionId, WorkId};
use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::wire::callback::Callback;
use crate::wire::viewer::FailedReceipts;
use crate::wire::work_secret::AgentOptions;
use crate::wire::worker_api::work::WorkData;
use crate::wire::worktree::WorktreeRequest;

/// What a store has exactly one of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaRow {
    /// The store's own time.
    pub clock: StoreClock,
    /// Sessions ever created.
    pub sessions_made: u64,
    /// Sessions that ever ended.
    pub sessions_ended: u64,
    /// The accounts that may use the relay, as far as that was ever said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<BTreeSet<AccountId>>,
}

/// One device, by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRow {
    /// What others see of it.
    pub device: Device,
    /// Access tokens of an earlier one no longer count.
    pub epoch: u64,
    /// The number of its refresh token in use: each is used once, and followed by the next (T-6).
    pub generation: u64,
    /// The key of the request that was given the one in use, so that it can be repeated.
    pub refreshed_by: Option<String>,
}

/// One environment, by its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentRow {
    /// What others see of it.
    pub environment: Environment,
    /// When it was last heard from.
    pub last_seen: StoreTime,
    /// Its time in the due index.
    pub watched_at: StoreTime,
    /// Its queued items.
    pub queue: QueueEnds,
    /// Claims it ever made under a key.
    pub claims_made: u64,
    /// The item of the last healthcheck.
    pub healthcheck: Option<WorkId>,
    /// The keys of the last requests for a healthcheck, newest last.
    pub healthcheck_keys: Vec<String>,
    /// The device that registered it, if one did.
    #[serde(default)]
    pub device: Option<DeviceId>,
    /// The session that it was made for, and goes with (C-1).
    #[serde(default)]
    pub made_for: Option<SessionId>,
}

/// The ends of a queue. Positions grow towards the back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEnds {
    /// The last position assigned at the front; 0 before the first.
    pub front: i64,
    /// The last position assigned at the back; 0 before the first.
    pub back: i64,
    /// Queued items.
    pub len: usize,
}

/// The last lease claimed under a key, by environment and key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRow {
    /// Who claimed.
    pub environment: EnvironmentId,
    /// The key.
    pub key: String,
    /// Its number among the environment's claims under a key.
    pub number: u64,
    /// The item it got.
    pub work: WorkId,
    /// The fence of its lease.
    pub fence: u64,
}

/// One work item, by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkRow {
    /// Its name.
    pub id: WorkId,
    /// Whose work it is.
    pub environment: EnvironmentId,
    /// What work it is.
    pub data: WorkData,
    /// What a person wants done with a worktree, if it is about that.
    #[serde(default)]
    pub worktree: Option<WorktreeRequest>,
    /// Its state.
    pub state: WorkState,
    /// The number of its latest lease; 0 before the first.
    pub fence: u64,
    /// When it was first queued.
    pub created_at: UnixTime,
    /// Its time in the due index, if it is there.
    pub watched_at: Option<StoreTime>,
}

/// The state of a work item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkState {
    /// It is in its environment's queue.
    Queued {
        /// Its position in the queue.
        position: i64,
    },
    /// It was handed out.
    Leased {
        /// When it must have been acked.
        until: StoreTime,
    },
    /// Its worker has it.
    Acked {
        /// When the lease must have been renewed.
        until: StoreTime,
    },
    /// Nobody is working on it any more.
    Stopped,
}

/// One session, by its id; also found by its owner and key, by its environment, by its ordinal, and
/// by `ended`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRow {
    /// What others see of it.
    pub session: Session,
    /// The idempotency key of the request that created it, among its owner's.
    pub key: Option<String>,
    /// Whether that request gave it its title.
    #[serde(default)]
    pub is_titled: bool,
    /// What its agent is to be started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<AgentOptions>,
    /// Whether a person has given it another one since.
    #[serde(default)]
    pub is_renamed: bool,
    /// Its items, newest last.
    pub works: Vec<WorkId>,
    /// Its number among all ended sessions, once it has ended.
    pub ended: Option<u64>,
    /// The time it is listed under in the due index, once it has ended.
    #[serde(default)]
    pub kept_until: Option<StoreTime>,
    /// The size of its log, in bytes.
    pub log_bytes: u64,
    /// Messages with a uuid that it ever received.
    pub messages: u64,
    /// Bytes of the tool inputs of its open questions.
    pub question_bytes: usize,
    /// Viewers' requests that its agent has not answered.
    pub open_requests: usize,
    /// What a client has declared to its agent (M-6).
    #[serde(default)]
    pub declared: Declared,
    /// The lines for its agent.
    pub inbound: InboundCounts,
    /// The last few things from viewers that did not end well, oldest first (M-7).
    #[serde(default)]
    pub failed: Vec<FailedRun>,
    /// What its agent is doing.
    #[serde(default)]
    pub turn: Turn,
    /// Lines from the worker that are stored, or lost.
    pub received: u64,
    /// The run of the agent that the lines are for.
    pub agent_run: Option<String>,
    /// The last line taken under an earlier lease, or before a run was first named. Another run may
    /// have had it: earlier relays did not name runs.
    pub taken_unnamed: u64,
    /// The current lease.
    pub fence: u64,
    /// The lease under which a link was last up; 0 before the first.
    pub ran_under: u64,
    /// The current link.
    pub link: u64,
    /// The item of the open request about its worktree.
    #[serde(default)]
    pub worktree_request: Option<WorkId>,
}

impl SessionRow {
    /// Whether it was made without a worker that takes items (C-1).
    pub fn is_code(&self) -> bool {
        self.works.is_empty()
    }

    /// The bytes that it takes up, apart from what every session does: its log, and the lines that
    /// are kept for its agent.
    pub fn held(&self) -> u64 {
        let InboundCounts { end, acked_end, settled_end, .. } = self.inbound;
        self.log_bytes + end.saturating_sub(acked_end.min(settled_end)) + self.question_bytes as u64
    }
}

impl SessionRow {
    /// Whether it is known that this event of a viewer did not end well.
    pub fn has_failed(&self, seq: u64) -> bool {
        self.failed.iter().any(|failed| failed.receipts.holds(seq))
    }
}

/// The hooks and MCP servers of a client that an agent was told of, or will be (M-6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Declared {
    /// The hooks: JSON.
    pub hooks: Option<Text>,
    /// The MCP servers: JSON.
    pub servers: Option<Text>,
    /// The event that declared them last.
    pub seq: u64,
    /// The number of the first line for the agent that ever declared any; 0 before it.
    pub number: u64,
    /// An earlier run of the agent was told, and this one has to be told again, before anything else.
    pub is_for_earlier_run: bool,
}

impl Declared {
    /// Whether there is anything that a run of the agent has to be told.
    pub const fn has_any(&self) -> bool {
        self.hooks.is_some() || self.servers.is_some()
    }
}

/// Lines for an agent that follow each other and did not end well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRun {
    /// What viewers see of them.
    pub receipts: FailedReceipts,
    /// The number of the last one.
    pub last_number: u64,
}

/// What an agent is doing, as its lines show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Nothing: it waits for a message.
    #[default]
    Idle,
    /// It has said who it is, which some do before each turn and some whenever they start, and nothing
    /// shows yet that there is anything to do.
    Announced,
    /// It is in a turn, and it is not known which message began it.
    Unexplained,
    /// It is in a turn that a message began.
    Explained,
}

/// How far the lines for an agent have come. A line is kept until it no longer needs to be sent and
/// its receipt is settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InboundCounts {
    /// The number of the last one.
    pub until: u64,
    /// The bytes of all lines there ever were.
    pub end: u64,
    /// The number of the last one that no longer needs to be sent.
    pub acked: u64,
    /// The bytes of all lines up to that one.
    pub acked_end: u64,
    /// The number of the last one read for delivery to the agent.
    pub handed_out: u64,
    /// The number of the last one that the worker has.
    pub with_worker: u64,
    /// The number of the last one that is in the agent's stdin.
    pub delivered: u64,
    /// The number of the last one whose receipt is settled: it was seen, or did not end well.
    pub settled: u64,
    /// The bytes of all lines up to that one.
    pub settled_end: u64,
    /// The number of the last answer to a question.
    pub last_answer: u64,
    /// The last line that the agent was given, once that run of it has ended.
    pub run_ended_at: Option<u64>,
}

impl InboundCounts {
    /// The last line that need not be kept any longer.
    pub fn droppable(&self) -> u64 {
        self.acked.min(self.settled)
    }
}

/// One event of a session's log, by session and `seq`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogRow {
    /// The event.
    pub entry: Entry,
    /// What it counts for, in bytes.
    pub size: usize,
}

/// One line for a session's agent, by session and number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundRow {
    /// Its number among all lines there ever were, from 1.
    pub number: u64,
    /// The bytes of all lines up to this one.
    pub end: u64,
    /// Its event.
    pub seq: u64,
    /// What it is.
    pub kind: InboundKind,
    /// The line.
    pub line: Text,
}

/// What a line for an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboundKind {
    /// A viewer's `user` message.
    Message,
    /// A viewer's control request, or a message of any other type.
    Request,
    /// A viewer's answer to a question.
    Answer,
    /// The relay's own refusal of a question. Nobody needs a receipt for it.
    Refusal,
}

impl InboundKind {
    /// Its name, for a store that keeps it by itself.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Request => "request",
            Self::Answer => "answer",
            Self::Refusal => "refusal",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Message, Self::Request, Self::Answer, Self::Refusal];
        all.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A message that must not be stored twice, by session and uuid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    /// Its uuid.
    pub uuid: String,
    /// Its event.
    pub seq: u64,
    /// Its number among the session's messages with a uuid.
    pub number: u64,
    /// The number of its line for the agent.
    #[serde(default)]
    pub inbound: u64,
}

/// A question of the agent, by session and `request_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionRow {
    /// The question.
    pub question: Question,
    /// What it is if a client is asked, rather than a person (M-6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
    /// Whether its id was that of another question before.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub is_reused: bool,
    /// The links that answer it, while it is open, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<AnswerLinkRow>,
    /// Its state.
    pub standing: Standing,
}

/// So many characters of a link's digest are its name, which opens nothing.
pub const ANSWER_LINK_NAME: usize = 12;

/// A link that answers a question (Y-9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerLinkRow {
    /// Of what only the link has.
    pub digest: String,
    /// When it stops working.
    pub expires_at: UnixTime,
    /// The device that has made it, if one has: with the device, it ends.
    #[serde(default)]
    pub device: Option<DeviceId>,
}

/// The state of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is waiting for an answer.
    Open {
        /// The tool's input: a part of the agent's line, byte for byte. A copy, so that a question
        /// does not keep its whole line in memory. For a client's, a digest of what is asked.
        input: Text,
        /// The number of that line, as the link counts them; 0 if an earlier version stored it.
        #[serde(default)]
        line: u64,
        /// Whether a subagent asked it, which may go on when a turn ends.
        #[serde(default)]
        is_of_subagent: bool,
    },
    /// It was answered.
    Answered {
        /// The event that answered it.
        seq: u64,
        /// The `control_response` that went to the agent.
        line: Text,
        /// Whether that is *allow* with the input unchanged.
        is_as_asked: bool,
    },
    /// It can no longer be answered.
    Withdrawn {
        /// The event that says so.
        seq: u64,
    },
}

impl Standing {
    /// The event that closed the question, if it is closed.
    pub const fn closed_at(&self) -> Option<u64> {
        match self {
            Self::Open { .. } => None,
            Self::Answered { seq, .. } | Self::Withdrawn { seq } => Some(*seq),
        }
    }
}

/// A viewer's request that the agent has not answered yet, by session and number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRow {
    /// The number of its line for the agent.
    pub number: u64,
    /// The `request_id` that the agent's answer will name.
    pub request_id: String,
}

/// Something to check when it is due; the whole row is its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DueRow {
    /// When it is due.
    pub at: StoreTime,
    /// What to check.
    pub what: Due,
}

/// What may lapse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// An environment, when it has been silent.
    Environment(EnvironmentId),
    /// A work item's lease.
    Work(WorkId),
    /// An ended session, by its age.
    Session(SessionId),
}

/// Which sessions to list, newest first.
#[derive(Clone, Copy, Debug)]
pub struct SessionFilter<'a> {
    /// Whose sessions.
    pub owner: &'a AccountId,
    /// Only those of this environment.
    pub environment: Option<&'a EnvironmentId>,
    /// Only those with an ordinal below this one.
    pub before: u64,
    /// At most this many.
    pub limit: usize,
}
