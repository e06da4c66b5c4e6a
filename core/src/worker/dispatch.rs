//! Stage 3: from a work item to a running session (E-3, E-4, W-4, W-11).

use alloc::format;
use alloc::string::{String, ToString};

use super::agent_command::agent_command;
use super::api::{self, Environment};
use super::session::{EndReason, Session};
use super::{Purpose, Timer, Worker, WorkerNotice};
use crate::base::id::WorkId;
use crate::base::limits::MAX_IDLE_LEASE;
use crate::base::secret::Secret;
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::engine::backoff::{Backoff, Verdict};
use crate::wire::session::{ResultStatus, SessionResult};
use crate::wire::url::BaseUrl;
use crate::wire::work::{WorkData, WorkItem};
use crate::wire::work_secret::WorkSecret;
use core::time::Duration;
use serde::de::IgnoredAny;

/// One item's lease, as every call about it has to name it.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) work: WorkId,
    /// The environment that the item was given to; a new registration does not change it.
    pub(super) environment: Environment,
    pub(super) token: Secret,
    pub(super) fence: u64,
    pub(super) length: Duration,
}

/// An item that was taken and is not acked yet.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) lease: Lease,
    data: WorkData,
    secret: WorkSecret,
    backoff: Backoff,
}

/// How long a lease lasts where the relay does not say.
const DEFAULT_LEASE: Duration = Duration::from_secs(60);

impl Worker {
    pub(super) fn take_work(&mut self, item: WorkItem) {
        let Some(environment) = self.registering.environment.clone() else { return };
        if self.claims.contains_key(&item.id) {
            return;
        }
        let secret = match WorkSecret::decode(item.secret.reveal()) {
            Ok(secret) => secret,
            Err(error) => return self.refuse_work(&environment, &item, &error.to_string()),
        };
        if secret.use_code_sessions {
            let reason = "the session asks for version 2, which this worker does not speak";
            return self.refuse_work(&environment, &item, reason);
        }
        let length = item.lease_seconds.map_or(DEFAULT_LEASE, Duration::from_secs);
        let lease = Lease {
            work: item.id.clone(),
            environment,
            token: secret.session_ingress_token.clone(),
            fence: item.fence,
            length: length.clamp(Duration::from_secs(1), MAX_IDLE_LEASE),
        };
        let backoff = Backoff::new(self.config.backoff);
        self.claims.insert(item.id.clone(), Claim { lease, data: item.data, secret, backoff });
        self.ack(&item.id);
    }

    /// Work that cannot be run is told to the relay, so that whoever asked for it sees why.
    fn refuse_work(&mut self, environment: &Environment, item: &WorkItem, reason: &str) {
        self.fx.notify(WorkerNotice::BadWork { work: item.id.clone(), reason: reason.to_string() });
        let result = matches!(item.data, WorkData::Session(_)).then(|| SessionResult {
            status: ResultStatus::Failed,
            exit_code: None,
            signal: None,
            message: format!("the worker could not run it: {reason}"),
            stderr: String::new(),
        });
        self.report(environment.clone(), &item.id, item.fence, true, result);
    }

    pub(super) fn ack(&mut self, work: &WorkId) {
        let Some(claim) = self.claims.get(work) else { return };
        let request = api::ack(&self.config.relay, &claim.lease);
        self.fx.start(Purpose::Ack(work.clone()), |op| Action::Request { op, request });
    }

    pub(super) fn ack_answered(&mut self, work: &WorkId, event: Event) {
        let trouble = match api::answer::<IgnoredAny>(event) {
            Ok(_) => return self.acked(work),
            Err(trouble) => trouble,
        };
        let now = self.fx.now().mono;
        let Some(claim) = self.claims.get_mut(work) else { return };
        let pause = trouble.retry_after(self.fx.now().wall);
        let verdict =
            trouble.track().map(|track| claim.backoff.fail(now, track, pause, &mut self.rng));
        if let Some(Verdict::RetryAfter(retry_in)) = verdict {
            self.timers.set(Timer::Ack(work.clone()), now + retry_in);
        } else {
            // Not ours (any more), or it cannot be reached: the relay hands it out again.
            self.claims.remove(work);
            let reason = format!("it could not be acknowledged: {trouble}");
            self.fx.notify(WorkerNotice::BadWork { work: work.clone(), reason });
            self.poll_if_there_is_room();
        }
    }

    fn acked(&mut self, work: &WorkId) {
        let Some(claim) = self.claims.remove(work) else { return };
        let Claim { lease, data, secret, .. } = claim;
        match data {
            // It ran to its end here already; its result is told again (W-4).
            _ if self.completed.contains(work.as_str()) => {
                self.report_again(lease.environment, &lease.work, lease.fence);
            }
            WorkData::Healthcheck(_) => {
                self.completed.insert(work.as_str());
                self.report(lease.environment, &lease.work, lease.fence, false, None);
            }
            WorkData::Session(id) => {
                let url = match self.session_base(&secret) {
                    Ok(base) => base.session_ingress(&id),
                    Err(reason) => {
                        let result = Some(SessionResult {
                            status: ResultStatus::Failed,
                            exit_code: None,
                            signal: None,
                            message: reason,
                            stderr: String::new(),
                        });
                        return self.report(
                            lease.environment,
                            &lease.work,
                            lease.fence,
                            true,
                            result,
                        );
                    }
                };
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.renew(&mut self.fx, lease, url);
                    self.schedule_session(&id);
                } else {
                    let directory = self.session_directory(&id);
                    let command = agent_command(&self.config, &id, &url, &secret, directory);
                    let run = format!("{:032x}", self.rng.u128(..));
                    let session = Session::new(id.clone(), lease, url, command, run, &self.config);
                    self.sessions.insert(id.clone(), session);
                    self.start_session(&id, secret);
                }
            }
        }
        self.poll_if_there_is_room();
    }

    /// Where the session's link leads: where its secret says, or else where the work came from.
    fn session_base(&self, secret: &WorkSecret) -> Result<BaseUrl, String> {
        match secret.api_base_url.as_deref() {
            None | Some("") => Ok(self.config.relay.clone()),
            Some(url) => BaseUrl::parse(url)
                .map_err(|error| format!("the work secret's api_base_url cannot be used: {error}")),
        }
    }

    /// The relay no longer lets this worker have a session: its copy here ends at once.
    pub(super) fn lose_session(&mut self, id: &crate::base::id::SessionId, reason: String) {
        self.end_session(id, EndReason::NotOurs(reason));
    }
}
