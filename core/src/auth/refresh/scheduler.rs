//! The rules of the schedule.

use alloc::collections::BTreeMap;
use core::time::Duration;

use super::expiry::{Expiry, Moment};
use super::policy::RefreshPolicy;
use crate::base::limits::{MAX_REFRESH_SCHEDULES, MIN_REFRESH_RETRY, REFRESH_CLOCK_LOOK_EVERY};
use crate::base::secret::Secret;
use crate::base::time::{Instant, Now};

/// Names one schedule of one token. None is ever used again, so an answer that was meant for an
/// earlier one is known as such (T-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u64);

/// A refresh that is to be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due<K> {
    /// Of which token.
    pub key: K,
    /// To be given back with what came of it.
    pub generation: Generation,
}

/// What is known of a token that was just obtained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewToken {
    /// The token, which says itself when it runs out.
    Readable(Secret),
    /// It is valid for so long.
    ExpiresIn(Duration),
}

/// What came of a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// There is a new token.
    Refreshed(NewToken),
    /// Nothing that could have refreshed it has answered, or it has no time now. That says nothing
    /// against the token, and counts as a failure only once it has run out.
    Unreachable {
        /// How long the issuer wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The answer was of no use.
    Failed,
    /// It will not be refreshed, however often it is tried.
    Refused,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Nothing: it was for a schedule that is over.
    Outdated,
    /// The new token has its schedule.
    Scheduled,
    /// It is tried again after this pause.
    RetryIn(Duration),
    /// Only a person can help: by a log-in, or by asking for another try.
    NeedsLogIn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting { due: Moment },
    Refreshing,
    NeedsLogIn,
}

#[derive(Clone, Copy, Debug)]
struct Schedule {
    generation: Generation,
    state: State,
    /// When the token runs out, if that can be read.
    ends: Option<Moment>,
    /// In a row.
    failures: u32,
}

/// Which tokens are to be refreshed, and when. `K` names a token: a session, a log-in.
///
/// Only one refresh of a token is under way at a time. One that a newer token has overtaken still
/// counts as such until it is [`settled`](Self::settle), and what comes of it is dropped.
#[derive(Debug)]
pub struct RefreshScheduler<K> {
    policy: RefreshPolicy,
    generations: u64,
    schedules: BTreeMap<K, Schedule>,
    /// Refreshes whose outcome is not known.
    under_way: BTreeMap<K, Generation>,
}

impl<K: Ord + Clone> RefreshScheduler<K> {
    /// Without any token.
    pub const fn new(policy: RefreshPolicy) -> Self {
        Self { policy, generations: 0, schedules: BTreeMap::new(), under_way: BTreeMap::new() }
    }

    /// Takes up a token that was found somewhere: kept, inherited, or written by somebody else. It
    /// replaces the one that was known. Returns whether it has a schedule: of too many tokens, no
    /// further one has.
    pub fn schedule(&mut self, now: Now, key: K, token: &Secret) -> bool {
        self.plan(now, key, Expiry::of_known(token, now))
    }

    /// Takes up a token that was just issued for so long. Returns as above.
    pub fn schedule_expires_in(&mut self, now: Now, key: K, life: Duration) -> bool {
        self.plan(now, key, Expiry::of_life(life))
    }

    /// Forgets a token. What comes of a refresh under way is dropped.
    pub fn cancel(&mut self, key: &K) {
        self.schedules.remove(key);
    }

    /// Forgets all of them.
    pub fn cancel_all(&mut self) {
        self.schedules.clear();
    }

    /// Somebody has refused a token, or the way to the issuer is open again: it is refreshed as soon
    /// as possible, with all its tries, whatever came of the earlier ones. Returns whether there is
    /// such a token.
    pub fn refresh_now(&mut self, now: Now, key: &K) -> bool {
        let Some(schedule) = self.schedules.get_mut(key) else { return false };
        if schedule.state != State::Refreshing {
            schedule.state = State::Waiting { due: Moment::after(now, Duration::ZERO) };
        }
        schedule.failures = 0;
        true
    }

    /// Whether it takes a log-in to have this token refreshed.
    pub fn needs_log_in(&self, key: &K) -> bool {
        self.schedules.get(key).is_some_and(|known| known.state == State::NeedsLogIn)
    }

    /// The next refresh that is due. It is under way from now on, until it is settled.
    pub fn next_due(&mut self, now: Now) -> Option<Due<K>> {
        let is_due = |(key, schedule): &(&K, &mut Schedule)| match schedule.state {
            State::Waiting { due } => due.has_come(now) && !self.under_way.contains_key(*key),
            State::Refreshing | State::NeedsLogIn => false,
        };
        let (key, schedule) = self.schedules.iter_mut().find(is_due)?;
        schedule.state = State::Refreshing;
        let due = Due { key: key.clone(), generation: schedule.generation };
        self.under_way.insert(due.key.clone(), due.generation);
        Some(due)
    }

    /// When to look again, if nothing else happens: later than now, once nothing is due.
    pub fn deadline(&self, now: Now) -> Option<Instant> {
        let waiting = self.schedules.iter().filter(|(key, _)| !self.under_way.contains_key(key));
        let left = waiting.filter_map(|(_, schedule)| match schedule.state {
            State::Waiting { due } => Some(due.left(now)),
            State::Refreshing | State::NeedsLogIn => None,
        });
        left.min().map(|left| now.mono + left.min(REFRESH_CLOCK_LOOK_EVERY))
    }

    /// A refresh is over.
    pub fn settle(
        &mut self,
        now: Now,
        key: &K,
        generation: Generation,
        outcome: RefreshOutcome,
    ) -> Settled {
        if self.under_way.get(key) == Some(&generation) {
            self.under_way.remove(key);
        }
        let schedule = self.schedules.get_mut(key);
        let Some(schedule) = schedule.filter(|known| known.generation == generation) else {
            return Settled::Outdated;
        };
        let expiry = match outcome {
            RefreshOutcome::Refreshed(NewToken::Readable(token)) => Expiry::of_fresh(&token, now),
            RefreshOutcome::Refreshed(NewToken::ExpiresIn(life)) => Expiry::of_life(life),
            RefreshOutcome::Unreachable { retry_after } => {
                let is_valid = schedule.ends.is_some_and(|ends| !ends.has_come(now));
                let counts = u32::from(!is_valid);
                return schedule.fail(now, &self.policy, counts, retry_after);
            }
            RefreshOutcome::Failed => return schedule.fail(now, &self.policy, 1, None),
            RefreshOutcome::Refused => {
                schedule.state = State::NeedsLogIn;
                return Settled::NeedsLogIn;
            }
        };
        self.plan(now, key.clone(), expiry);
        Settled::Scheduled
    }

    fn plan(&mut self, now: Now, key: K, expiry: Expiry) -> bool {
        if self.schedules.len() >= MAX_REFRESH_SCHEDULES && !self.schedules.contains_key(&key) {
            return false;
        }
        self.generations += 1;
        let due = Moment::after(now, expiry.refresh_in(&self.policy));
        let schedule = Schedule {
            generation: Generation(self.generations),
            state: State::Waiting { due },
            ends: expiry.ends(now),
            failures: 0,
        };
        self.schedules.insert(key, schedule);
        true
    }
}

impl Schedule {
    fn fail(
        &mut self,
        now: Now,
        policy: &RefreshPolicy,
        counts: u32,
        retry_after: Option<Duration>,
    ) -> Settled {
        self.failures += counts;
        if self.failures >= policy.max_failures {
            self.state = State::NeedsLogIn;
            return Settled::NeedsLogIn;
        }
        // All tries are to fit in before the token runs out.
        let left = self.ends.map(|ends| ends.left(now)).filter(|left| !left.is_zero());
        let pause = left.map_or(policy.retry_after, |left| policy.retry_after.min(left / 4));
        let pause = pause.max(MIN_REFRESH_RETRY).max(retry_after.unwrap_or_default());
        self.state = State::Waiting { due: Moment::after(now, pause) };
        Settled::RetryIn(pause)
    }
}
