//! Stage 6: tell the relay what came of each item (E-6, W-7).

use alloc::string::ToString;
use core::time::Duration;

use serde::de::IgnoredAny;

use super::api::{self, Environment};
use super::{Purpose, Stage, Timer, Worker, WorkerNotice};
use crate::base::id::WorkId;
use crate::base::limits::MAX_STALE_RESULTS;
use crate::base::time::Instant;
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::wire::session::SessionResult;
use crate::wire::work::StopWork;

/// A result that the relay does not have yet.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) environment: Environment,
    pub(super) body: StopWork,
    pub(super) is_spooled: bool,
    /// The registration whose secret it was sent with.
    registration: u32,
    since: Instant,
    failures: u32,
}

impl Report {
    pub(super) const fn new(environment: Environment, body: StopWork, since: Instant) -> Self {
        Self { environment, body, is_spooled: false, registration: 0, since, failures: 0 }
    }
}

impl Worker {
    pub(super) fn report(
        &mut self,
        environment: Environment,
        work: &WorkId,
        fence: u64,
        force: bool,
        result: Option<SessionResult>,
    ) {
        let body = StopWork { fence, force, result };
        let since = self.fx.now().mono;
        self.reports.insert(work.clone(), Report::new(environment, body, since));
        self.spool(work);
    }

    pub(super) fn send_report(&mut self, work: &WorkId) {
        let Some(report) = self.reports.get_mut(work) else { return };
        report.registration = self.registering.count;
        let request = api::stop_work(&self.config.relay, &report.environment, work, &report.body);
        let purpose = Purpose::Report(work.clone(), report.body.fence);
        self.fx.start(purpose, |op| Action::Request { op, request });
    }

    /// An item that was done was handed out again: its lease ran out before the relay had the result,
    /// which is told again under the new one (W-4).
    pub(super) fn report_again(&mut self, environment: Environment, work: &WorkId, fence: u64) {
        let at = self.stale.iter().position(|(stale, _)| stale == work);
        let stale = at.and_then(|at| self.stale.remove(at)).map(|(_, body)| body);
        let told = self.reports.remove(work).map(|report| report.body).or(stale);
        let (force, result) = told.map_or((false, None), |body| (body.force, body.result));
        self.timers.clear(&Timer::Report(work.clone()));
        self.report(environment, work, fence, force, result);
    }

    pub(super) fn report_answered(&mut self, work: &WorkId, fence: u64, event: Event) {
        let Some(report) = self.reports.get_mut(work) else { return };
        if report.body.fence != fence {
            return;
        }
        let now = self.fx.now().mono;
        let mut is_done_with = true;
        let (environment, registration) = (report.environment.id.clone(), report.registration);
        let answer = api::answer::<IgnoredAny>(event);
        let trouble = answer.as_ref().err();
        self.secret_answered(trouble);
        let may_be_secret =
            trouble.is_some_and(|trouble| self.secret_refused(&environment, trouble, registration));
        let Some(report) = self.reports.get_mut(work) else { return };
        if let Err(trouble) = answer {
            let limit = self.config.backoff.general.give_up;
            let is_late = limit.is_some_and(|limit| now.saturating_since(report.since) >= limit);
            if (trouble.track().is_some() || may_be_secret) && !is_late {
                let pause = retry_pause(
                    self.config.stop_work_base_delay,
                    report.failures,
                    self.config.backoff.general.cap,
                );
                report.failures += 1;
                let pause = pause.max(trouble.retry_after(self.fx.now().wall).unwrap_or_default());
                return self.timers.set(Timer::Report(work.clone()), now + pause);
            }
            // A relay that could not be reached gets it from the next run, and so does one that would
            // have taken it with another secret.
            let status = trouble.refusal().map(|refusal| refusal.status);
            let is_renewable =
                status == Some(401) && (may_be_secret || self.stage == Stage::ShuttingDown);
            is_done_with = trouble.track().is_none() && !is_renewable;
            // The lease is over; the item may come again.
            if status == Some(409) {
                self.stale.push_back((work.clone(), report.body.clone()));
                self.stale.drain(..self.stale.len().saturating_sub(MAX_STALE_RESULTS));
            }
            // A relay that does not know the item, or has its result from another, needs none.
            if !matches!(status, Some(404 | 409 | 410)) {
                let reason = trouble.to_string();
                self.fx.notify(WorkerNotice::ReportLost { work: work.clone(), reason });
            }
        }
        let is_spooled = report.is_spooled;
        self.reports.remove(work);
        self.timers.clear(&Timer::Report(work.clone()));
        if is_spooled && is_done_with {
            self.unspool(work);
        }
        self.shut_down_further();
    }
}

/// `stopWorkBaseDelayMs`, doubling (W-7).
fn retry_pause(base: Duration, failures: u32, cap: Duration) -> Duration {
    base.saturating_mul(1u32.checked_shl(failures).unwrap_or(u32::MAX)).min(cap.max(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_before_a_report_is_tried_again_doubles_up_to_the_cap() {
        let secs = Duration::from_secs;
        let pauses = [0, 1, 2, 5, 40].map(|n| retry_pause(secs(1), n, secs(30)));
        assert_eq!(pauses, [secs(1), secs(2), secs(4), secs(30), secs(30)]);
    }
}
