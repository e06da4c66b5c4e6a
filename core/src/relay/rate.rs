//! So many at once, and one more every so often.

use core::time::Duration;

use crate::base::time::Instant;

/// What has been taken, and is coming back.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    taken: u32,
    /// Up to when what was taken has come back.
    settled: Instant,
}

impl Allowance {
    /// Takes one, if there is one left.
    pub(super) fn take(&mut self, now: Instant, burst: u32, every: Duration) -> bool {
        while self.taken > 0 && now.saturating_since(self.settled) >= every {
            self.taken -= 1;
            self.settled = self.settled + every;
        }
        if self.taken == 0 {
            self.settled = now;
        }
        let is_left = self.taken < burst;
        self.taken += u32::from(is_left);
        is_left
    }
}
