//! Stage 3: from a work item to a claim acknowledged by the relay (E-3, E-4, W-4, W-11).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use super::cx::{Cx, Purpose, Timer};
use super::lease::{Environment, Lease};
use super::notice::WorkerNotice;
use super::result::Finished;
use crate::base::id::{SessionId, WorkId};
use crate::base::limits::MAX_IDLE_LEASE;
use crate::client::{answer, worker_api};
use crate::contract::event::Event;
use crate::engine::backoff::{Backoff, Verdict};
use crate::wire::work_secret::WorkSecret;
use crate::wire::worker_api::work::{StateAnswer, WorkData, WorkItem};
use crate::wire::worktree::WorktreeRequest;

/// How long a lease lasts if the relay does not say.
const DEFAULT_LEASE: Duration = Duration::from_secs(60);

/// A taken item.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) lease: Lease,
    pub(super) data: WorkData,
    pub(super) secret: WorkSecret,
    /// What a person wants done with a worktree, with a healthcheck.
    pub(super) worktree: Option<WorktreeRequest>,
}

/// Taken items that are not acknowledged yet, each with its failures so far.
#[derive(Debug, Default)]
pub(super) struct Claims {
    open: BTreeMap<WorkId, (Claim, Backoff)>,
}

/// What an answer to an ack leads to.
pub(super) enum Acked {
    /// It is retried, or the claim is no longer open.
    Pending,
    Taken(Box<Claim>),
    /// It is not, or no longer, ours, or the relay cannot be reached: the relay will hand it
    /// out again.
    Lost,
}

impl Claims {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether one of them is for this session.
    pub(super) fn have_session(&self, session: &SessionId) -> bool {
        let is_it = |data: &WorkData| matches!(data, WorkData::Session(id) if id == session);
        self.open.values().any(|(claim, _)| is_it(&claim.data))
    }

    /// Takes an item. Returns what to report if it cannot be run.
    pub(super) fn take(
        &mut self,
        cx: &mut Cx<'_>,
        environment: &Environment,
        item: WorkItem,
    ) -> Option<Finished> {
        if self.open.contains_key(&item.id) {
            return None;
        }
        let secret = match WorkSecret::decode(item.secret.reveal()) {
            Ok(secret) => secret,
            Err(error) => return Some(refuse(cx, environment, &item, &error.to_string())),
        };
        let length = item.lease_seconds.map_or(DEFAULT_LEASE, Duration::from_secs);
        let lease = Lease {
            work: item.id.clone(),
            environment: environment.clone(),
            token: secret.session_ingress_token.clone(),
            fence: item.fence,
            length: length.clamp(Duration::from_secs(1), MAX_IDLE_LEASE),
            interrupted: item.interrupted,
        };
        let claim = Claim { lease, data: item.data, secret, worktree: item.worktree };
        self.open.insert(item.id.clone(), (claim, Backoff::new(cx.config.backoff)));
        self.ack(cx, &item.id);
        None
    }

    pub(super) fn ack(&self, cx: &mut Cx<'_>, work: &WorkId) {
        let Some((claim, _)) = self.open.get(work) else { return };
        let request = worker_api::ack(&cx.config.relay, claim.lease.key());
        cx.request(Purpose::Ack(work.clone()), request);
    }

    pub(super) fn answered(&mut self, cx: &mut Cx<'_>, work: &WorkId, event: Event) -> Acked {
        let error = match answer::<StateAnswer>(event) {
            Ok(_) => {
                let claim = self.open.remove(work);
                return claim.map_or(Acked::Pending, |(claim, _)| Acked::Taken(Box::new(claim)));
            }
            Err(error) => error,
        };
        let Some((_, backoff)) = self.open.get_mut(work) else { return Acked::Pending };
        let (now, pause) = (cx.now(), cx.retry_after(&error));
        let verdict = error.track().map(|track| backoff.fail(now, track, pause, cx.rng));
        if let Some(Verdict::RetryAfter(retry_in)) = verdict {
            cx.set_timer(Timer::Ack(work.clone()), retry_in);
            return Acked::Pending;
        }
        self.open.remove(work);
        let reason = format!("it could not be acknowledged: {error}");
        cx.notify(WorkerNotice::BadWork { work: work.clone(), reason });
        Acked::Lost
    }

    /// The computer slept: earlier failures no longer count (W-2).
    pub(super) fn wake(&mut self, cx: &mut Cx<'_>) {
        let waits = |work: &WorkId| cx.timers.is_set(&Timer::Ack(work.clone()));
        let waiting: Vec<_> = self.open.keys().filter(|work| waits(work)).cloned().collect();
        for work in waiting {
            cx.timers.clear(&Timer::Ack(work.clone()));
            if let Some((_, backoff)) = self.open.get_mut(&work) {
                backoff.reset();
            }
            self.ack(cx, &work);
        }
    }

    /// The environment has a new secret.
    pub(super) fn renew_secret(&mut self, environment: &Environment) {
        for (claim, _) in self.open.values_mut() {
            claim.lease.environment.renew(environment);
        }
    }

    /// The worker is shutting down: the relay will hand these out again.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}

/// What to report about work that cannot be run, so that whoever requested it sees why.
fn refuse(cx: &mut Cx<'_>, environment: &Environment, item: &WorkItem, reason: &str) -> Finished {
    cx.notify(WorkerNotice::BadWork { work: item.id.clone(), reason: reason.to_string() });
    let (work, environment) = (item.id.clone(), environment.clone());
    match item.data {
        WorkData::Session(_) => {
            let message = format!("the worker could not run it: {reason}");
            Finished::unstarted(environment, work, item.fence, message)
        }
        WorkData::Healthcheck(_) => {
            let fence = item.fence;
            Finished { environment, work, fence, force: true, result: None, worktree: None }
        }
    }
}
