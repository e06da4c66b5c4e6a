//! What a machine of the simulator's own wants, in order.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::Duration;

use footbridge_core::base::id::OpId;
use footbridge_core::base::time::{Instant, Now};
use footbridge_core::contract::action::Action;
use footbridge_core::contract::machine::Step;

/// The steps that a machine has not been asked for yet, and the ids of its operations.
#[derive(Debug)]
pub(crate) struct Steps<N> {
    last_op: u64,
    queue: VecDeque<Step<N>>,
}

impl<N> Steps<N> {
    pub(crate) const fn new() -> Self {
        Self { last_op: 0, queue: VecDeque::new() }
    }

    /// A fresh id.
    pub(crate) fn op(&mut self) -> OpId {
        self.last_op += 1;
        OpId::new(NonZeroU64::new(self.last_op).unwrap_or(NonZeroU64::MIN))
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.queue.push_back(Step::Do(action));
    }

    pub(crate) fn tell(&mut self, notice: N) {
        self.queue.push_back(Step::Tell(notice));
    }

    /// The next step. When there is none, the machine waits until `wake_at`, or until something
    /// happens.
    pub(crate) fn next(&mut self, now: Now, wake_at: Option<Instant>) -> Step<N> {
        let wake_at = wake_at.map(|at| at.max(now.mono + Duration::from_nanos(1)));
        self.queue.pop_front().unwrap_or(Step::Wait(wake_at))
    }
}
