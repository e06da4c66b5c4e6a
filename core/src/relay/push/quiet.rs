//! What waited while a browser's quiet hours were on: it is told once they are over, in one message, as far
//! as it still waits.
//!
//! ```text
//!   held ──(hours over)──▶ asked: is it still subscribed? ─▶ told ─▶ taken back once nothing of it waits
//! ```

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::base::id::PushId;
use crate::base::limits::{MAX_QUEUED_PUSHES, MAX_WATCHED_NEEDS};
use crate::base::time::Instant;
use crate::relay::subject::Need;
use crate::store::{AccountId, PushSubscription};

/// What a message about it is known by: a browser has one at most.
pub(super) const TAG: &str = "quiet";

/// What browsers were not told when it began to wait.
#[derive(Default)]
pub(super) struct Quiet {
    held: BTreeMap<PushId, Held>,
    told: BTreeMap<PushId, Told>,
}

struct Held {
    owner: AccountId,
    needs: BTreeSet<Need>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its quiet hours are over then.
    Until(Instant),
    /// The store was asked whether it still is to be told.
    Asking,
}

/// A message that has been sent, and what of it still waits.
struct Told {
    to: Arc<PushSubscription>,
    needs: BTreeSet<Need>,
}

impl Quiet {
    /// A browser is not told of these before then.
    pub(super) fn hold(
        &mut self,
        to: &PushSubscription,
        needs: impl IntoIterator<Item = Need>,
        until: Instant,
    ) {
        if self.held.len() >= MAX_QUEUED_PUSHES && !self.held.contains_key(&to.id) {
            return;
        }
        let held = self.held.entry(to.id.clone()).or_insert_with(|| Held {
            owner: to.owner.clone(),
            needs: BTreeSet::new(),
            stage: Stage::Until(until),
        });
        // Its hours may have been changed.
        held.stage = Stage::Until(until);
        for need in needs {
            if held.needs.len() < MAX_WATCHED_NEEDS {
                held.needs.insert(need);
            }
        }
    }

    pub(super) fn holds(&self, need: &Need) -> bool {
        self.held.values().any(|held| held.needs.contains(need))
    }

    /// When quiet hours are over next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = self.held.values().filter_map(|held| match held.stage {
            Stage::Until(until) => Some(until),
            Stage::Asking => None,
        });
        due.min()
    }

    /// Whose browsers have quiet hours that are over: the caller asks the store about them.
    pub(super) fn due(&mut self, now: Instant) -> BTreeSet<AccountId> {
        let is_due = |held: &&mut Held| matches!(held.stage, Stage::Until(until) if until <= now);
        let due = self.held.values_mut().filter(is_due).map(|held| {
            held.stage = Stage::Asking;
            held.owner.clone()
        });
        due.collect()
    }

    /// The store has answered: what was held for the browsers that it was asked about.
    pub(super) fn take(&mut self, owner: &AccountId) -> Vec<(PushId, BTreeSet<Need>)> {
        let is_asked = |held: &Held| held.stage == Stage::Asking && held.owner == *owner;
        let asked = self.held.extract_if(.., |_, held| is_asked(held));
        asked.map(|(id, held)| (id, held.needs)).collect()
    }

    /// The store could not answer: it is asked again.
    pub(super) fn ask_again(&mut self, owner: &AccountId, at: Instant) {
        for held in self.held.values_mut().filter(|held| held.owner == *owner) {
            if held.stage == Stage::Asking {
                held.stage = Stage::Until(at);
            }
        }
    }

    pub(super) fn told(&mut self, to: Arc<PushSubscription>, needs: BTreeSet<Need>) {
        if self.told.len() >= MAX_QUEUED_PUSHES {
            self.told.pop_first();
        }
        self.told.insert(to.id.clone(), Told { to, needs });
    }

    /// Something no longer waits. Returns whose message says nothing any more.
    pub(super) fn over(&mut self, need: &Need) -> Vec<Arc<PushSubscription>> {
        self.held.retain(|_, held| {
            held.needs.remove(need);
            !held.needs.is_empty()
        });
        let is_over = |told: &mut Told| told.needs.remove(need) && told.needs.is_empty();
        let over = self.told.extract_if(.., |_, told| is_over(told));
        over.map(|(_, told)| told.to).collect()
    }
}
