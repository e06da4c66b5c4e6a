//! What work items are for, and who holds it.

use alloc::string::String;

use crate::base::id::{EnvironmentId, WorkId};
use crate::store::StoreTime;

/// What work items are for: a session or a healthcheck.
pub(super) struct Subject {
    pub(super) environment: EnvironmentId,
    /// The fence in force: the highest one handed out, unless its lease was taken over since.
    pub(super) fence: u64,
    /// The newest lease, whether or not it is over.
    pub(super) current: Option<Claimed>,
    /// The item that is queued.
    pub(super) queued: Option<WorkId>,
    /// The item that was created last.
    pub(super) newest: WorkId,
    pub(super) is_ended: bool,
    pub(super) is_stopping: bool,
}

pub(super) struct Claimed {
    pub(super) work: WorkId,
    pub(super) fence: u64,
    pub(super) key: Option<String>,
    /// How many keyed claims its environment had made, this one included.
    pub(super) claim: usize,
    pub(super) until: StoreTime,
    pub(super) is_acked: bool,
    /// Whether it was returned or has expired.
    pub(super) is_over: bool,
    /// Whether a newer item existed when it ended: then nobody can hold it again.
    pub(super) is_replaced: bool,
}

impl Subject {
    pub(super) fn queued(environment: EnvironmentId, work: WorkId) -> Self {
        Self {
            environment,
            fence: 0,
            current: None,
            queued: Some(work.clone()),
            newest: work,
            is_ended: false,
            is_stopping: false,
        }
    }

    pub(super) fn end(&mut self) {
        self.is_ended = true;
        self.queued = None;
    }

    /// When the current lease expires, if there is one in force.
    pub(super) fn until(&self) -> Option<StoreTime> {
        let current = self.current.as_ref().filter(|current| !current.is_over);
        current.filter(|_| !self.is_ended).map(|current| current.until)
    }

    pub(super) fn holds(&self, work: &WorkId, fence: u64) -> Option<&Claimed> {
        let current = self.current.as_ref();
        current.filter(|current| current.work == *work && current.fence == fence)
    }
}
