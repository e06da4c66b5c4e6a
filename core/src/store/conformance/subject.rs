//! What work items are about, and the lease that counts for it.

use alloc::string::String;

use crate::base::id::{EnvironmentId, WorkId};
use crate::store::StoreTime;

/// What items are about: a session, or a healthcheck.
pub(super) struct Subject {
    pub(super) environment: EnvironmentId,
    /// The highest fence that was given.
    pub(super) fence: u64,
    /// The lease that counts, until it is over or another one is given.
    pub(super) current: Option<Claimed>,
    /// The item that can be taken.
    pub(super) waiting: Option<WorkId>,
    /// The item that was queued last.
    pub(super) newest: WorkId,
    pub(super) is_ended: bool,
    pub(super) is_stopping: bool,
}

pub(super) struct Claimed {
    pub(super) work: WorkId,
    pub(super) fence: u64,
    pub(super) key: Option<String>,
    /// How many were claimed by a key in its environment before it.
    pub(super) claim: usize,
    pub(super) until: StoreTime,
    pub(super) is_acked: bool,
    /// Whether it was given back, or ran out.
    pub(super) is_over: bool,
    /// Whether it ran out when a newer item was there: nobody can have it any more.
    pub(super) is_replaced: bool,
}

impl Subject {
    pub(super) fn waiting(environment: EnvironmentId, work: WorkId) -> Self {
        Self {
            environment,
            fence: 0,
            current: None,
            waiting: Some(work.clone()),
            newest: work,
            is_ended: false,
            is_stopping: false,
        }
    }

    pub(super) fn end(&mut self) {
        self.is_ended = true;
        self.waiting = None;
    }

    /// When the lease that counts runs out, if it goes on.
    pub(super) fn until(&self) -> Option<StoreTime> {
        let current = self.current.as_ref().filter(|current| !current.is_over);
        current.filter(|_| !self.is_ended).map(|current| current.until)
    }

    pub(super) fn holds(&self, work: &WorkId, fence: u64) -> Option<&Claimed> {
        let current = self.current.as_ref();
        current.filter(|current| current.work == *work && current.fence == fence)
    }
}
