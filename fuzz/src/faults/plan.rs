//! What goes wrong in one run: a different selection each time, more or less often.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;

use crate::faults::kind::{FAULT_KINDS, FaultKind};
use crate::git::STREAM;

/// The random stream of the time limits of proxies.
const SHORT_LIMITS: u64 = 0x6c69_6d69_7473;

/// What can go wrong in this run, and how often.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultPlan {
    /// The usual time between two faults of a kind.
    pub(crate) every: BTreeMap<FaultKind, Duration>,
    /// In percent.
    pub(crate) loss: u32,
    pub(crate) slow_store: u32,
    /// In thousandths.
    pub(crate) failing_store: u32,
    pub(crate) lost_answer: u32,
    pub(crate) duplicate: u32,
    pub(crate) proxy: u32,
    pub(crate) hang_up: u32,
    /// How long a proxy waits for the relay.
    pub(crate) short_limit: Option<Duration>,
}

impl FaultPlan {
    pub(crate) fn draw(
        rng: &mut Rng,
        seed: u64,
        wanted: Option<&BTreeSet<FaultKind>>,
        has_repositories: bool,
    ) -> Self {
        let mut plan = Self::default();
        // Some runs are quiet, some are terrible.
        let share = rng.u32(..70);
        for kind in FAULT_KINDS {
            // These have their own random stream.
            if matches!(kind, FaultKind::GitLock | FaultKind::GitTrouble) {
                continue;
            }
            let mut own = kind.stream().map(|stream| Rng::with_seed(seed ^ stream));
            let rng = own.as_mut().unwrap_or(&mut *rng);
            // Versions may differ even without other faults.
            let share = if *kind == FaultKind::Versions { 31 } else { share };
            let is_drawn = rng.u32(..100) < share;
            let is_rare = matches!(
                kind,
                FaultKind::RelayLost | FaultKind::StoreError | FaultKind::WorkerRestart
            );
            // From once a second to once in a quarter of an hour, log-uniformly.
            let every =
                Duration::from_secs(1 << rng.u32(..10)) + Duration::from_millis(rng.u64(..1_000));
            let every = every * if is_rare { 3 } else { 1 };
            let is_drawn = is_drawn && !(is_rare && rng.bool());
            let is_wanted = wanted.is_none_or(|wanted| wanted.contains(kind));
            if is_drawn && is_wanted {
                plan.every.insert(*kind, every);
            }
        }
        plan.every.extend(of_git(seed, wanted, has_repositories));
        let mut own = Rng::with_seed(seed ^ SHORT_LIMITS);
        let limit = Duration::from_secs(own.u64(4..50));
        plan.short_limit = plan.has(FaultKind::ShortLimit).then_some(limit);
        let has = |kind| plan.every.contains_key(&kind);
        let mut rate = |kind, most: u32| if has(kind) { rng.u32(1..=most) } else { 0 };
        let loss = rate(FaultKind::Loss, 15);
        let slow_store = rate(FaultKind::SlowStore, 30);
        let failing_store = rate(FaultKind::StoreError, 10);
        let lost_answer = rate(FaultKind::LostAnswer, 20);
        let duplicate = rate(FaultKind::Duplicate, 20);
        let proxy = rate(FaultKind::Proxy, 15);
        let hang_up = rate(FaultKind::HangUp, 20);
        Self { loss, slow_store, failing_store, lost_answer, duplicate, proxy, hang_up, ..plan }
    }

    pub(crate) fn has(&self, kind: FaultKind) -> bool {
        self.every.contains_key(&kind)
    }

    pub(crate) fn kinds(&self) -> BTreeSet<FaultKind> {
        self.every.keys().copied().collect()
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.every.keys().map(|kind| kind.name()).collect()
    }
}

/// What goes wrong with git in a run, and how often.
fn of_git(
    seed: u64,
    wanted: Option<&BTreeSet<FaultKind>>,
    has_repositories: bool,
) -> Vec<(FaultKind, Duration)> {
    let mut rng = Rng::with_seed(seed ^ STREAM ^ 1);
    let kinds = [FaultKind::GitLock, FaultKind::GitTrouble];
    let drawn = kinds.map(|kind| (kind, rng.bool(), Duration::from_secs(rng.u64(5..200))));
    let is_wanted = |kind: &FaultKind| wanted.is_none_or(|wanted| wanted.contains(kind));
    let drawn = drawn.into_iter().filter(|(kind, is_drawn, _)| *is_drawn && is_wanted(kind));
    drawn.filter(|_| has_repositories).map(|(kind, _, every)| (kind, every)).collect()
}
