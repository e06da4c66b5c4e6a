//! How far what viewers sent has come (M-7).
//!
//! The lines for an agent are delivered in order, so a few numbers tell the stage of each: an event
//! up to `seen` was seen, one after `seen` and up to `delivered` is in the agent's hands, and so on.
//! What did not end well is the exception, and is named one by one.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// How far a session's messages, answers and requests have come, as numbers of their events. Each
/// number is at most the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Receipts {
    /// The last one that is stored.
    pub stored: u64,
    /// Up to here they were sent to the worker.
    pub sent: u64,
    /// Up to here the worker has them.
    pub with_worker: u64,
    /// Up to here they are in the agent's stdin.
    pub delivered: u64,
    /// Up to here the agent has shown that it has read them.
    pub seen: u64,
}

impl Receipts {
    /// Whether anything has come further than that it is stored or sent.
    pub fn has_moved_since(&self, before: &Self) -> bool {
        let moves = |receipts: &Self| (receipts.with_worker, receipts.delivered, receipts.seen);
        moves(self) != moves(before)
    }

    /// The stage of an event, unless it has ended badly.
    pub const fn stage(&self, seq: u64) -> Stage {
        if seq <= self.seen {
            Stage::Seen
        } else if seq <= self.delivered {
            Stage::Delivered
        } else if seq <= self.with_worker {
            Stage::WithWorker
        } else if seq <= self.sent {
            Stage::Sent
        } else {
            Stage::Stored
        }
    }
}

/// How far one message, answer or request has come, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is stored.
    Stored,
    /// It was sent to the worker.
    Sent,
    /// The worker has it.
    WithWorker,
    /// It is in the agent's stdin.
    Delivered,
    /// The agent has shown that it has read it.
    Seen,
    /// It was on its way to an agent that has ended, and nobody can know whether it was read.
    Indeterminate,
    /// It never reached an agent, and never will.
    Undelivered,
    /// The same, because its worker was gone for too long.
    Expired,
    /// One from a later version.
    #[serde(other)]
    Unknown,
}

/// One message, answer or request: the answer to `GET /v1/sessions/{id}/receipts/{seq}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt<'a> {
    /// Its event.
    pub seq: u64,
    /// Its `uuid`, if it is a message that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Cow<'a, str>>,
    /// Its `request_id`, if it is a request or the answer to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Cow<'a, str>>,
    /// How far it has come, or how it ended.
    pub stage: Stage,
    /// Why it ended that way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
}

/// Messages, answers and requests that did not end well: those from one event to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedReceipts {
    /// The event of the first one.
    pub first_seq: u64,
    /// The event of the last one.
    pub last_seq: u64,
    /// How they ended.
    pub stage: Stage,
    /// Why.
    pub reason: String,
}

impl FailedReceipts {
    /// Whether this event is one of them, if it is a viewer's at all.
    pub fn holds(&self, seq: u64) -> bool {
        (self.first_seq..=self.last_seq).contains(&seq)
    }
}

/// The answer to `GET /v1/sessions/{id}/receipts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptList<'a> {
    /// How far everything has come that is not in `failed`.
    pub receipts: Receipts,
    /// What may still change, oldest first.
    #[serde(default)]
    pub open: Vec<Receipt<'a>>,
    /// What did not end well, oldest first.
    #[serde(default)]
    pub failed: Cow<'a, [FailedReceipts]>,
}
