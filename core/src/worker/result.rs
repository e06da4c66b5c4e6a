//! Stage 6: reporting to the relay how each item ended (E-6, W-7).

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::config::WorkerConfig;
use super::cx::{Cx, Purpose, Timer};
use super::lease::{Environment, Lease};
use super::notice::WorkerNotice;
use super::spool::{Spool, SpoolFile};
use crate::base::id::{EnvironmentId, WorkId};
use crate::base::limits::{MAX_COMPLETED_WORK, MAX_STALE_RESULTS};
use crate::base::time::Instant;
use crate::client::{RequestError, worker_api};
use crate::contract::event::Event;
use crate::transport::dedupe::Recent;
use crate::wire::session::{ResultStatus, SessionResult};
use crate::wire::worker_api::work::StopWork;
use crate::wire::worktree::WorktreeNote;

/// A finished item, and how it ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) environment: Environment,
    pub(super) work: WorkId,
    pub(super) fence: u64,
    /// Whether it was ended from outside rather than on its own.
    pub(super) force: bool,
    /// `None` for an item without a session.
    pub(super) result: Option<SessionResult>,
    /// What became of a request about a worktree.
    pub(super) worktree: Option<WorktreeNote>,
}

impl Finished {
    /// A session that could not be started.
    pub(super) const fn unstarted(
        environment: Environment,
        work: WorkId,
        fence: u64,
        message: String,
    ) -> Self {
        let result = SessionResult {
            status: ResultStatus::Failed,
            exit_code: None,
            signal: None,
            message,
            stderr: String::new(),
        };
        Self { environment, work, fence, force: true, result: Some(result), worktree: None }
    }
}

/// A result that the relay does not have yet.
#[derive(Debug)]
struct Report {
    environment: Environment,
    body: StopWork,
    is_spooled: bool,
    /// The registration whose secret it was sent with.
    registration: u32,
    since: Instant,
    failures: u32,
}

impl Report {
    const fn new(environment: Environment, body: StopWork, since: Instant) -> Self {
        Self { environment, body, is_spooled: false, registration: 0, since, failures: 0 }
    }
}

/// Whether a refused report may still be accepted with another secret of its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecretHope {
    None,
    /// A new secret is on its way.
    Soon,
    /// This run no longer tries to get a new secret; the next run will have one.
    NextRun,
}

/// The reports still to be delivered, and what is remembered about those that were.
#[derive(Debug)]
pub(super) struct Reports {
    open: BTreeMap<WorkId, Report>,
    /// Results whose lease was over when they were reported, or that were given up on before the
    /// relay had them. Their item may come again.
    stale: VecDeque<(WorkId, StopWork)>,
    /// Work that ended here.
    completed: Recent,
    /// The registration whose secret is in use.
    registration: u32,
    spool: Spool,
}

impl Reports {
    pub(super) fn new(config: &WorkerConfig) -> Self {
        Self {
            open: BTreeMap::new(),
            stale: VecDeque::new(),
            completed: Recent::new(MAX_COMPLETED_WORK),
            registration: 0,
            spool: Spool::new(config),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_completed(&self, work: &WorkId) -> bool {
        self.completed.contains(work.as_str())
    }

    /// The item ended here, and will not be run again (W-4).
    pub(super) fn complete(&mut self, work: &WorkId) {
        self.completed.insert(work.as_str());
    }

    pub(super) fn add(&mut self, cx: &mut Cx<'_>, finished: Finished) {
        let Finished { environment, work, fence, force, result, worktree } = finished;
        let report =
            Report::new(environment, StopWork { fence, force, result, worktree }, cx.now());
        self.open.insert(work.clone(), report);
        self.save(cx, &work);
    }

    /// Saves a report before sending it; with nowhere to save it, it is sent immediately.
    fn save(&mut self, cx: &mut Cx<'_>, work: &WorkId) {
        let Some(report) = self.open.get(work) else { return };
        if !self.spool.save(cx, work, &report.environment, &report.body) {
            self.send(cx, work);
        }
    }

    /// It was written to its file, or could not be.
    pub(super) fn saved(&mut self, cx: &mut Cx<'_>, work: &WorkId, event: &Event) {
        let is_saved = matches!(event, Event::Saved { .. });
        if let Event::Failed { failure, .. } = event {
            let reason = format!("it could not be written to a file in the meantime: {failure}");
            cx.notify(WorkerNotice::ReportAtRisk { work: work.clone(), reason });
        }
        if let Some(report) = self.open.get_mut(work) {
            report.is_spooled = is_saved;
        }
        self.send(cx, work);
    }

    pub(super) fn send(&mut self, cx: &mut Cx<'_>, work: &WorkId) {
        let Some(report) = self.open.get_mut(work) else { return };
        report.registration = self.registration;
        let request =
            worker_api::stop_work(&cx.config.relay, report.environment.key(), work, &report.body);
        cx.request(Purpose::Report(work.clone(), report.body.fence), request);
    }

    /// The computer slept: earlier failures no longer count (W-2).
    pub(super) fn wake(&mut self, cx: &mut Cx<'_>) {
        let waits = |work: &WorkId| cx.timers.is_set(&Timer::Report(work.clone()));
        let waiting: Vec<_> = self.open.keys().filter(|work| waits(work)).cloned().collect();
        for work in waiting {
            cx.timers.clear(&Timer::Report(work.clone()));
            if let Some(report) = self.open.get_mut(&work) {
                (report.since, report.failures) = (cx.now(), 0);
            }
            self.send(cx, &work);
        }
    }

    /// An item that ended here was handed out again: its lease expired before the relay had the
    /// result, which is repeated under the new lease (W-4).
    pub(super) fn repeat(&mut self, cx: &mut Cx<'_>, lease: Lease) {
        let Lease { work, environment, fence, .. } = lease;
        let at = self.stale.iter().position(|(stale, _)| *stale == work);
        let stale = at.and_then(|at| self.stale.remove(at)).map(|(_, body)| body);
        let body = self.open.remove(&work).map(|report| report.body).or(stale);
        let body = body.map(|body| (body.force, body.result, body.worktree));
        let (force, result, worktree) = body.unwrap_or_default();
        cx.timers.clear(&Timer::Report(work.clone()));
        self.add(cx, Finished { environment, work, fence, force, result, worktree });
    }

    /// A later registration: open reports are sent with its secret.
    pub(super) fn renew_secret(
        &mut self,
        cx: &mut Cx<'_>,
        environment: &Environment,
        registration: u32,
    ) {
        self.registration = registration;
        let reports = self.open.iter_mut();
        let renewed = reports.filter_map(|(work, report)| {
            report.environment.renew(environment).then(|| work.clone())
        });
        for work in renewed.collect::<Vec<_>>() {
            cx.timers.clear(&Timer::Report(work.clone()));
            self.save(cx, &work);
        }
    }

    /// The environment of a report that was sent under `fence`, and the registration whose secret
    /// it was sent with; `None` if it is no longer open under that fence.
    pub(super) fn sent(&self, work: &WorkId, fence: u64) -> Option<(EnvironmentId, u32)> {
        let report = self.open.get(work).filter(|report| report.body.fence == fence)?;
        Some((report.environment.id.clone(), report.registration))
    }

    /// Handles the answer to a report.
    pub(super) fn answered<T>(
        &mut self,
        cx: &mut Cx<'_>,
        work: &WorkId,
        answer: Result<T, RequestError>,
        hope: SecretHope,
    ) -> Delivery {
        let now = cx.now();
        let Some(report) = self.open.get_mut(work) else { return Delivery::Open };
        let mut is_settled = true;
        if let Err(error) = answer {
            let general = cx.config.backoff.general;
            let is_late =
                general.give_up.is_some_and(|limit| now.saturating_since(report.since) >= limit);
            let may_help = error.track().is_some() || hope == SecretHope::Soon;
            if may_help && !is_late {
                let base = cx.config.stop_work_base_delay;
                let pause = retry_pause(base, report.failures, general.cap);
                report.failures += 1;
                let pause = pause.max(cx.retry_after(&error).unwrap_or_default());
                cx.set_timer(Timer::Report(work.clone()), pause);
                return Delivery::Open;
            }
            // A relay that could not be reached gets it from the next run, and so does one that
            // would accept it with another secret.
            let status = error.refusal().map(|refusal| refusal.status);
            let is_renewable = error.is_unauthorized() && hope != SecretHope::None;
            // The item may come again: its lease is over, or will be before the relay learns that
            // it ended.
            is_settled = error.track().is_none() && !is_renewable && status != Some(409);
            if !is_settled {
                self.stale.push_back((work.clone(), report.body.clone()));
                self.stale.drain(..self.stale.len().saturating_sub(MAX_STALE_RESULTS));
            }
            // A relay that does not know the item, or has a result from another worker, needs none.
            if !matches!(status, Some(404 | 409 | 410)) {
                let reason = error.to_string();
                cx.notify(WorkerNotice::ReportLost { work: work.clone(), reason });
            }
        }
        let is_spooled = report.is_spooled;
        self.open.remove(work);
        cx.timers.clear(&Timer::Report(work.clone()));
        if !is_settled {
            return Delivery::Postponed;
        }
        Delivery::Settled { file: if is_spooled { self.spool.path(work) } else { None } }
    }

    /// Checks once, after registering, for reports that an earlier run could not deliver.
    pub(super) fn look_for_earlier(&mut self, cx: &mut Cx<'_>) {
        self.spool.list(cx);
    }

    /// Whether results of an earlier run are still being read. Until then, work that comes again
    /// cannot be told from new work.
    pub(super) const fn are_being_read(&self) -> bool {
        self.spool.is_being_read()
    }

    pub(super) fn listed(&mut self, cx: &mut Cx<'_>, event: &Event) {
        let Self { spool, open, .. } = self;
        spool.load(cx, event, |work| open.contains_key(work));
    }

    /// Picks up a report of an earlier run. Returns the path of its file if that is damaged and
    /// must go.
    pub(super) fn loaded(
        &mut self,
        cx: &mut Cx<'_>,
        work: &WorkId,
        event: &Event,
    ) -> Option<String> {
        self.spool.one_read();
        match Spool::read(cx, work, event) {
            SpoolFile::Missing | SpoolFile::Foreign => None,
            SpoolFile::Broken => {
                let reason = String::from("its file was damaged and has been removed");
                cx.notify(WorkerNotice::ReportLost { work: work.clone(), reason });
                self.spool.path(work)
            }
            SpoolFile::Result(environment, stop) => {
                self.complete(work);
                let mut report = Report::new(environment, *stop, cx.now());
                report.is_spooled = true;
                self.open.insert(work.clone(), report);
                self.send(cx, work);
                None
            }
        }
    }
}

/// What became of a report.
pub(super) enum Delivery {
    /// It is being sent again.
    Open,
    /// This run does not send it again, unless its item comes again. Its file stays.
    Postponed,
    /// It was delivered, or the relay has no use for it. A file named here is no longer needed.
    Settled { file: Option<String> },
}

/// The pause before what the relay has to be told is told again: it doubles (W-7).
pub(super) fn retry_pause(base: Duration, failures: u32, cap: Duration) -> Duration {
    base.saturating_mul(1u32.checked_shl(failures).unwrap_or(u32::MAX)).min(cap.max(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_before_retrying_a_report_doubles_up_to_the_cap() {
        let secs = Duration::from_secs;
        let pauses = [0, 1, 2, 5, 40].map(|n| retry_pause(secs(1), n, secs(30)));
        assert_eq!(pauses, [secs(1), secs(2), secs(4), secs(30), secs(30)]);
    }
}
