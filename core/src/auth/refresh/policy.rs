//! How early, how often and how long a token is tried to be refreshed.

use core::time::Duration;

use crate::base::limits::{
    MAX_REFRESH_FAILURES, REFRESH_LEAD, REFRESH_RETRY_AFTER, REFRESH_UNREADABLE_EVERY,
};

/// When tokens are refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// How long before it runs out.
    pub lead: Duration,
    /// How often, if nobody can read when it does.
    pub unreadable_every: Duration,
    /// The pause after a refresh that failed. It is shorter where the token would run out.
    pub retry_after: Duration,
    /// After so many failures in a row it takes a log-in.
    pub max_failures: u32,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            lead: REFRESH_LEAD,
            unreadable_every: REFRESH_UNREADABLE_EVERY,
            retry_after: REFRESH_RETRY_AFTER,
            max_failures: MAX_REFRESH_FAILURES,
        }
    }
}
