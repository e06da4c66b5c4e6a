//! When a token runs out, and when to refresh it before that.

use core::time::Duration;

use super::policy::RefreshPolicy;
use crate::base::limits::MIN_REFRESH_PAUSE;
use crate::base::secret::Secret;
use crate::base::time::{Instant, Now, UnixTime};
use crate::wire::jwt::JwtTimes;

/// A moment on both clocks; it has come once it has on either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    mono: Instant,
    wall: UnixTime,
}

impl Moment {
    pub(super) fn after(now: Now, delay: Duration) -> Self {
        Self { mono: now.mono + delay, wall: now.wall + delay }
    }

    /// How long until it has come.
    pub(super) fn left(self, now: Now) -> Duration {
        let by_mono = self.mono.saturating_since(now.mono);
        by_mono.min(self.wall.saturating_since(now.wall))
    }

    pub(super) fn has_come(self, now: Now) -> bool {
        self.left(now).is_zero()
    }
}

/// What is known of how long a token is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expiry {
    /// From now on; `None` if nobody can read it.
    left: Option<Duration>,
    /// In all.
    life: Option<Duration>,
    /// It was issued a moment ago.
    is_fresh: bool,
}

impl Expiry {
    /// Of a token that was found somewhere.
    pub(super) fn of_known(token: &Secret, now: Now) -> Self {
        let times = JwtTimes::of(token.reveal()).unwrap_or_default();
        let (left, life) = (times.expires_at.map(|at| at.saturating_since(now.wall)), times.life());
        Self {
            left: left.map(|left| life.map_or(left, |life| left.min(life))),
            life,
            is_fresh: false,
        }
    }

    /// Of a token that was issued a moment ago. It tells how far this computer's clock is from the
    /// issuer's: where the two disagree by much, the token's whole life counts from now on.
    pub(super) fn of_fresh(token: &Secret, now: Now) -> Self {
        let known = Self::of_known(token, now);
        let left = match (known.left, known.life) {
            (Some(left), Some(life)) if left < life / 2 => Some(life),
            // Nobody issues a token that has run out: this computer's clock is wrong.
            (Some(left), None) if left.is_zero() => None,
            (left, _) => left,
        };
        Self { left, is_fresh: true, ..known }
    }

    /// Of a token that was issued a moment ago, for so long.
    pub(super) const fn of_life(life: Duration) -> Self {
        Self { left: Some(life), life: Some(life), is_fresh: true }
    }

    /// When it runs out.
    pub(super) fn ends(&self, now: Now) -> Option<Moment> {
        self.left.map(|left| Moment::after(now, left))
    }

    /// How long from now on it is to be refreshed. A token that is short-lived beside the lead is
    /// refreshed at half of its life: a refresh that is due at once each time would never end.
    pub(super) fn refresh_in(&self, policy: &RefreshPolicy) -> Duration {
        let Some(left) = self.left else { return policy.unreadable_every };
        let lead = self.life.map_or(policy.lead, |life| policy.lead.min(life / 2));
        let delay = left.saturating_sub(lead);
        if self.is_fresh { delay.max(left / 2).max(MIN_REFRESH_PAUSE) } else { delay }
    }
}
