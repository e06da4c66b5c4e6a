//! The limits that a store enforces.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::limits;

/// Time limits and bounds of a store's contents (Y-2, Y-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorePolicy {
    /// An item that is not acked within this time is handed out again.
    pub ack_time: Duration,
    /// How long a lease lasts without a heartbeat.
    pub lease_time: Duration,
    /// An environment that has been silent for this long counts as offline.
    pub offline_after: Duration,
    /// An environment without live sessions that has been silent for this long is removed.
    pub lapse_after: Duration,
    /// One with live sessions that has been silent for this long is removed, and they are lost.
    #[serde(default = "lost_after")]
    pub lost_after: Duration,
    /// Environments in all.
    pub max_environments: usize,
    /// Environments of one account.
    pub environments_per_person: usize,
    /// Sessions of one environment that have not ended.
    pub max_sessions: usize,
    /// Queued items of one environment; beyond that, new sessions are refused.
    pub max_queued: usize,
    /// Bytes of one session's log; beyond that, the oldest events are dropped, a sixteenth of the log
    /// at a time.
    pub log_bytes: usize,
    /// Ended sessions kept for one account; beyond that, the oldest are dropped.
    pub ended_sessions: usize,
    /// An ended session goes after this time.
    pub ended_for: Duration,
    /// Bytes that the store may take on its disk, or in memory for logs; beyond them the sessions that
    /// ended first go, and if there are none, a log grows no more.
    pub store_bytes: u64,
    /// Lines of one session that its worker has not acknowledged.
    pub inbound_lines: usize,
    /// Bytes of those lines.
    pub inbound_bytes: usize,
    /// Sessions in one list, newest first.
    pub listed_sessions: usize,
    /// Entries of one account's audit log (Y-9).
    #[serde(default = "audit_entries")]
    pub audit_entries: usize,
}

const fn lost_after() -> Duration {
    limits::SESSIONS_LOST_AFTER
}

const fn audit_entries() -> usize {
    limits::MAX_AUDIT_ENTRIES
}

impl StorePolicy {
    /// How long an environment with so many live sessions may be silent before it is removed.
    pub const fn silence(&self, live_sessions: usize) -> Duration {
        if live_sessions > 0 { self.lost_after } else { self.lapse_after }
    }
}

impl Default for StorePolicy {
    fn default() -> Self {
        Self {
            ack_time: limits::ACK_TIME,
            lease_time: limits::LEASE_TIME,
            offline_after: limits::ENVIRONMENT_OFFLINE_AFTER,
            lapse_after: limits::ENVIRONMENT_LAPSES_AFTER,
            lost_after: lost_after(),
            max_environments: limits::MAX_ENVIRONMENTS,
            environments_per_person: limits::MAX_ENVIRONMENTS_PER_PERSON,
            max_sessions: limits::MAX_SESSIONS_PER_ENVIRONMENT,
            max_queued: limits::MAX_QUEUED_WORK,
            log_bytes: limits::SESSION_LOG_BYTES,
            ended_sessions: limits::MAX_ENDED_SESSIONS,
            ended_for: limits::ENDED_SESSION_KEPT_FOR,
            store_bytes: limits::STORE_BYTES,
            inbound_lines: limits::MAX_INBOUND_LINES,
            inbound_bytes: limits::MAX_INBOUND_BYTES,
            listed_sessions: limits::MAX_LISTED_SESSIONS,
            audit_entries: audit_entries(),
        }
    }
}
