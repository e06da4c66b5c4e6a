//! What a store keeps, row by row.
//!
//! A row is all that is kept under one key, and is written as a whole. What grows without end (a
//! log, the lines for an agent) has a row for each line and its counters in the session's row, so
//! that no operation reads more than it needs.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::clock::{StoreClock, StoreTime};
use super::record::{AccountId, Entry, Environment, Question, Session};
use crate::base::id::{EnvironmentId, WorkId};
use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::wire::worker_api::work::WorkData;

/// What there is one of in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaRow {
    /// The store's own time.
    pub clock: StoreClock,
    /// Sessions that were ever made.
    pub sessions_made: u64,
    /// Sessions that have ever ended.
    pub sessions_ended: u64,
}

/// One environment, by its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentRow {
    /// What others see of it.
    pub environment: Environment,
    /// When it was heard of last.
    pub last_seen: StoreTime,
    /// Under which time it stands in the due index.
    pub watched_at: StoreTime,
    /// Its items that wait.
    pub queue: QueueEnds,
    /// Claims under a key that it ever made.
    pub claims_made: u64,
    /// The item of the last healthcheck.
    pub healthcheck: Option<WorkId>,
    /// The last requests for a healthcheck that had a key, the newest last.
    pub healthcheck_keys: Vec<String>,
}

/// The ends of a queue. Positions grow towards the back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEnds {
    /// The position that was given last at the front; 0 before there was one.
    pub front: i64,
    /// The position that was given last at the back; 0 before there was one.
    pub back: i64,
    /// Items that wait.
    pub len: usize,
}

/// The last lease that was claimed under a key, by environment and key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRow {
    /// Who claimed.
    pub environment: EnvironmentId,
    /// The key.
    pub key: String,
    /// Which of the environment's claims under a key it is.
    pub number: u64,
    /// What it got.
    pub work: WorkId,
    /// Under which fence.
    pub fence: u64,
}

/// One work item, by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkRow {
    /// Its name.
    pub id: WorkId,
    /// Whose work it is.
    pub environment: EnvironmentId,
    /// What it asks for.
    pub data: WorkData,
    /// Where it stands.
    pub state: WorkState,
    /// The last lease that was given of it; 0 before there was one.
    pub fence: u64,
    /// When it was queued first.
    pub created_at: UnixTime,
    /// Under which time it stands in the due index, if it does.
    pub watched_at: Option<StoreTime>,
}

/// Where a work item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkState {
    /// It waits in its environment's queue.
    Queued {
        /// Where in the queue.
        position: i64,
    },
    /// It was handed out.
    Leased {
        /// By when it has to be acked.
        until: StoreTime,
    },
    /// Its worker has it.
    Acked {
        /// By when the lease has to be renewed.
        until: StoreTime,
    },
    /// Nobody works on it any more.
    Stopped,
}

/// One session, by its id; also found by its owner and key, by its environment, by its ordinal, and
/// by `ended`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRow {
    /// What others see of it.
    pub session: Session,
    /// Names the request that made it, among those of its owner.
    pub key: Option<String>,
    /// Its items, the newest last.
    pub works: Vec<WorkId>,
    /// Which of all sessions that have ended it is, once it has.
    pub ended: Option<u64>,
    /// What its log counts for, in bytes.
    pub log_bytes: u64,
    /// Messages with a uuid that it ever got.
    pub messages: u64,
    /// Bytes of the inputs that its open questions ask about.
    pub question_bytes: usize,
    /// Requests of viewers that its agent has not answered.
    pub open_requests: usize,
    /// The lines for its agent.
    pub inbound: InboundCounts,
    /// Lines of the worker that are stored, or lost.
    pub received: u64,
    /// Which run of the agent the lines are for.
    pub agent_run: Option<String>,
    /// The last line that had been taken when a run was named for the first time. Another run may
    /// have had it: an earlier relay did not name runs.
    pub taken_unnamed: u64,
    /// The lease that counts.
    pub fence: u64,
    /// The lease under which a link was up last; 0 before there ever was one.
    pub ran_under: u64,
    /// The link that counts.
    pub link: u64,
}

/// How far the lines for an agent have got. Those after `acked` are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundCounts {
    /// The number of the last one.
    pub until: u64,
    /// The bytes of all that there ever were.
    pub end: u64,
    /// The number of the last one that needs no sending any more.
    pub acked: u64,
    /// The bytes of all up to that one.
    pub acked_end: u64,
    /// The number of the last one that was read to be handed to the agent.
    pub handed_out: u64,
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
    /// Its number among all that there ever were, from 1.
    pub number: u64,
    /// The bytes of all up to this one.
    pub end: u64,
    /// The line.
    pub line: Text,
}

/// A message that must not be stored twice, by session and uuid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    /// Its uuid.
    pub uuid: String,
    /// Its event.
    pub seq: u64,
    /// Which of the session's messages with a uuid it is.
    pub number: u64,
}

/// A permission question, by session and `request_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionRow {
    /// The question.
    pub question: Question,
    /// Where it stands.
    pub standing: Standing,
}

/// Where a permission question stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It waits for an answer.
    Open {
        /// What the tool is to run with: a part of the agent's line, byte for byte. A copy, so that
        /// a question does not hold its whole line's memory.
        input: Text,
    },
    /// It was answered.
    Answered {
        /// The event that did.
        seq: u64,
        /// The `control_response` that went to the agent.
        line: Text,
        /// Whether that is *allow*, with the input that was asked for.
        is_as_asked: bool,
    },
    /// Nobody can answer it any more.
    Withdrawn {
        /// The event that says so.
        seq: u64,
    },
}

impl Standing {
    /// The event that closed the question, if one did.
    pub const fn closed_at(&self) -> Option<u64> {
        match self {
            Self::Open { .. } => None,
            Self::Answered { seq, .. } | Self::Withdrawn { seq } => Some(*seq),
        }
    }
}

/// What a viewer asked of the agent, and it has not answered yet; by session and number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRow {
    /// The number of its line for the agent.
    pub number: u64,
    /// What the agent's answer will name.
    pub request_id: String,
}

/// Something to be looked at when its time comes; the whole row is its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DueRow {
    /// When.
    pub at: StoreTime,
    /// What.
    pub what: Due,
}

/// What may lapse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// An environment, by its silence.
    Environment(EnvironmentId),
    /// A work item, with its lease.
    Work(WorkId),
}

/// Sessions to be listed, the newest first.
#[derive(Clone, Copy, Debug)]
pub struct SessionFilter<'a> {
    /// Whose.
    pub owner: &'a AccountId,
    /// Only those of this environment.
    pub environment: Option<&'a EnvironmentId>,
    /// Only those with an ordinal below this one.
    pub before: u64,
    /// At most so many.
    pub limit: usize,
}
