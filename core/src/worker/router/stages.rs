//! From the directory to a running session, and from its end to the report: what each stage passes
//! to the next.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::Parts;
use crate::base::id::{EnvironmentId, OpId, SessionId, WorkId};
use crate::base::limits::{OWN_SESSION_LOOK, SUPERSEDED_LEASE_GRACE};
use crate::client::{RequestError, answer};
use crate::contract::event::Event;
use crate::transport::Version;
use crate::wire::url::BaseUrl;
use crate::wire::work_secret::WorkSecret;
use crate::wire::worker_api::work::{StateAnswer, WorkData, WorkItem};
use crate::worker::config::{TransportChoice, WorkerConfig};
use crate::worker::continuity::Beginning;
use crate::worker::cx::{Cx, GitQuestion};
use crate::worker::dispatch::{Acked, Claim};
use crate::worker::lease::Lease;
use crate::worker::notice::WorkerNotice;
use crate::worker::own_session::Made;
use crate::worker::poll::{self, Polled};
use crate::worker::register::{Answered, Refusal, SecretSearch};
use crate::worker::result::{Delivery, Finished, SecretHope};
use crate::worker::session::{Outcome, Session, Way};
use crate::worker::survey::Progress;

impl Parts {
    pub(super) fn git_answered(&mut self, cx: &mut Cx<'_>, question: GitQuestion, event: &Event) {
        match self.survey.answered(cx, question, event) {
            Progress::Asking => {}
            Progress::Done(mut directory) => {
                let prefix = core::mem::take(&mut directory.prefix);
                let may_return = |session: &SessionId| self.continuity.has(session);
                let (worktrees, branches) = (&directory.worktrees, &directory.branches);
                self.worktrees.take_up(cx, prefix, worktrees, branches, may_return);
                self.registration.start(cx, directory, &self.continuity);
                if self.registration.relay_proves() {
                    self.gate.doubt();
                }
            }
            Progress::Failed(error) => self.shut_down(cx, Err(error)),
        }
    }

    pub(super) fn register_answered(&mut self, cx: &mut Cx<'_>, event: Event) {
        let is_again = self.registration.environment().is_some();
        let (environment, live) =
            match self.registration.answered(cx, event, self.gate.is_unproved()) {
                Answered::Pending => return,
                Answered::Registered(environment, live) => (environment, live),
                Answered::Failed(error) => return self.shut_down(cx, Err(error)),
            };
        let is_refused = cx.config.take_up.as_ref().is_some_and(|wanted| *wanted != environment.id);
        if is_refused
            && !is_again
            && let Some(foreign) = self.pointer.reject()
        {
            self.removals.remove(cx, foreign);
            if let Some(wanted) = cx.config.take_up.clone() {
                cx.notify(WorkerNotice::NotTakenUp { environment: wanted });
            }
        }
        self.polling.offered(self.registration.offers_work_stream());
        let sessions = &self.sessions;
        let proves = self.registration.relay_proves();
        self.continuity.registered(cx, &environment, proves, |session| {
            live.contains(session) || sessions.contains(session)
        });
        self.worktrees.clean_kept(cx, |session| self.continuity.has(session));
        let continuing = if is_again { 0 } else { live.len() };
        // Everything in progress for the environment continues with its new secret.
        self.sessions.renew_secret(&environment);
        self.claims.renew_secret(&environment);
        self.offers.renew_secret(&environment);
        self.reports.renew_secret(cx, &environment, self.registration.count());
        if !self.registration.serve() {
            return;
        }
        cx.notify(WorkerNotice::Registered { environment: environment.id, is_again, continuing });
        for id in self.sessions.take_awaiting_secret() {
            self.redispatch(cx, &id);
        }
        self.look_for_own_session(cx, &live);
        self.reports.look_for_earlier(cx);
        self.draining.registered();
        self.tell_of_worktrees(cx);
        self.polling.relay_answers(cx);
        self.poll_if_there_is_room(cx);
    }

    /// The one session of an embedded bridge: the last run's, if that has not ended.
    fn look_for_own_session(&mut self, cx: &mut Cx<'_>, live: &[SessionId]) {
        let Some(environment) = self.registration.environment() else { return };
        let left = self.continuity.sessions().find(|id| live.contains(id)).cloned();
        let run = self.run_name();
        let token = (self.registration.credential(), run.as_str());
        let sessions = &self.sessions;
        let has = |id: &SessionId| live.contains(id) || sessions.contains(id);
        self.own.registered(cx, environment, token, left, has);
        self.take_kept(cx);
    }

    fn take_kept(&mut self, cx: &mut Cx<'_>) {
        if let Some(item) = self.own.take_kept()
            && self.may_take(cx.config, &item)
        {
            self.take_work(cx, item);
        }
    }

    pub(super) fn make_own_session(&mut self, cx: &mut Cx<'_>) {
        let run = self.run_name();
        let Some(environment) = self.registration.serving() else { return };
        self.own.make(cx, environment, self.registration.credential(), &run);
    }

    fn run_name(&self) -> String {
        format!("{}-{}", self.continuity.worker_id(), self.continuity.run())
    }

    pub(super) fn own_session_answered(&mut self, cx: &mut Cx<'_>, event: Event) {
        match self.own.answered(cx, event) {
            Made::Pending => {}
            Made::Known => {
                self.take_kept(cx);
                self.poll_if_there_is_room(cx);
            }
            Made::Refused | Made::EnvironmentGone if self.registration.is_closed() => {}
            Made::Refused | Made::EnvironmentGone => self.register_again(cx),
            Made::Failed(error) => self.shut_down(cx, Err(error)),
        }
    }

    /// The environment's secret was refused: registers again, to get a new one.
    fn look_for_new_secret(&mut self, cx: &mut Cx<'_>, what: &'static str, error: &RequestError) {
        match self.registration.doubt_secret(cx, what, error) {
            SecretSearch::Now => {
                cx.notify_retry(what, error, Duration::ZERO);
                self.register_again(cx);
            }
            SecretSearch::After(retry_in) => {
                self.polling.drop_request(cx);
                self.registration.register_in(cx, retry_in);
                cx.notify_retry(what, error, retry_in);
            }
            SecretSearch::GiveUp(error) => self.shut_down(cx, Err(error)),
        }
    }

    /// Registers again, under the same id if the relay accepts it.
    fn register_again(&mut self, cx: &mut Cx<'_>) {
        self.polling.drop_request(cx);
        self.registration.register(cx);
    }

    /// Whether a new secret may fix a refusal; if so, starts fetching one (W-8).
    pub(super) fn may_be_secret(
        &mut self,
        cx: &mut Cx<'_>,
        environment: &EnvironmentId,
        error: &RequestError,
        registration: u32,
    ) -> bool {
        match self.registration.judge(environment, error, registration) {
            Refusal::Final => false,
            Refusal::Outdated => true,
            Refusal::Current => {
                self.look_for_new_secret(cx, "use its secret", error);
                !self.registration.is_closed()
            }
        }
    }

    /// Asks for work if there is a reason and nothing is in progress: after registering, after each
    /// answer, and in the same call in which a session ends at capacity. Even at capacity, while a
    /// running session waits for another lease, which can only come through a poll (W-8).
    pub(super) fn poll_if_there_is_room(&mut self, cx: &mut Cx<'_>) {
        let Some(environment) = self.registration.serving() else { return };
        if self.polling.is_waiting(cx) || self.reports.are_being_read() {
            return;
        }
        let room = self.room(cx.config);
        if room > 0 || self.sessions.await_lease() {
            self.polling.ask(cx, environment, room.max(1));
        }
    }

    /// How many more sessions may be taken (W-3).
    fn room(&self, config: &WorkerConfig) -> u64 {
        let taken = self.claims.len() + self.sessions.taking_room();
        let taken = u64::try_from(taken).unwrap_or(u64::MAX);
        match self.shutdown.takes_sessions() {
            true => u64::from(config.capacity()).saturating_sub(taken),
            false => 0,
        }
    }

    fn may_take(&self, config: &WorkerConfig, item: &WorkItem) -> bool {
        match &item.data {
            WorkData::Session(id) => self.sessions.contains(id) || self.room(config) > 0,
            WorkData::Healthcheck(_) => true,
        }
    }

    /// The relay is there again: what waits to try it again does so now.
    fn relay_answers(&mut self, cx: &mut Cx<'_>) {
        for id in self.sessions.ids() {
            self.session(cx, &id, |session, cx| {
                session.relay_answers(cx);
                Outcome::Nothing
            });
        }
    }

    pub(super) fn poll_answered(&mut self, cx: &mut Cx<'_>, event: Event) {
        let was_failing = self.polling.is_failing();
        let polled = self.polling.answered(cx, event);
        self.note_recovery(cx, was_failing);
        self.polled(cx, polled);
    }

    /// Something has come of a stream of work.
    pub(super) fn work_streamed(&mut self, cx: &mut Cx<'_>, op: OpId, event: Event) {
        let was_failing = self.polling.is_failing();
        let all = self.polling.streamed(cx, op, event);
        self.note_recovery(cx, was_failing);
        for polled in all {
            self.polled(cx, polled);
        }
        self.polling.settled();
        self.poll_if_there_is_room(cx);
    }

    fn note_recovery(&mut self, cx: &mut Cx<'_>, was_failing: bool) {
        if was_failing && !self.polling.is_failing() {
            self.relay_answers(cx);
        }
    }

    /// A poll was answered, or something has come of a stream.
    pub(super) fn polled(&mut self, cx: &mut Cx<'_>, polled: Polled) {
        if !matches!(polled, Polled::SecretRefused(_)) {
            self.registration.trust_secret();
        }
        match polled {
            // The relay may hand it out before it answers who made it.
            Polled::Work(item)
                if !self.own.is_known() && matches!(item.data, WorkData::Session(_)) =>
            {
                self.own.keep(item);
                self.polling.pace(cx);
                self.poll_if_there_is_room(cx);
            }
            Polled::Work(item) if self.may_take(cx.config, &item) => {
                self.take_work(cx, item);
                self.poll_if_there_is_room(cx);
            }
            // Without room for it, it is not acknowledged, so that the relay hands it out again.
            Polled::Work(_) => {
                self.polling.pace(cx);
                self.poll_if_there_is_room(cx);
            }
            Polled::Nothing => {
                self.clean_kept(cx);
                self.polling.pace(cx);
                let (sessions, claims) = (&self.sessions, &self.claims);
                let runs = |id: &SessionId| sessions.contains(id) || claims.have_session(id);
                if self.own.awaits_work(runs) {
                    // It may be over by now: an earlier run's result may have ended it, or a viewer.
                    // Then nobody hands out its work, and the answer does not name it.
                    self.polling.drop_request(cx);
                    self.registration.register_in(cx, OWN_SESSION_LOOK);
                } else {
                    self.poll_if_there_is_room(cx);
                }
            }
            Polled::Over => self.poll_if_there_is_room(cx),
            Polled::Retrying(retry_in) => {
                let until = cx.now() + retry_in + SUPERSEDED_LEASE_GRACE;
                self.sessions.await_leases_until(cx, until);
            }
            Polled::SecretRefused(error) => self.look_for_new_secret(cx, poll::WHAT, &error),
            Polled::EnvironmentGone(error) => {
                let what = "ask for work; registering again";
                cx.notify_retry(what, &error, Duration::ZERO);
                self.register_again(cx);
            }
            Polled::Failed(error) => self.shut_down(cx, Err(error)),
        }
    }

    /// The relay has no session for this worker: those of the earlier run that have not returned by
    /// now are over. Should one return after all, it gets a worktree again.
    fn clean_kept(&mut self, cx: &mut Cx<'_>) {
        let (sessions, claims) = (&self.sessions, &self.claims);
        self.worktrees.clean_kept(cx, |id| sessions.contains(id) || claims.have_session(id));
    }

    fn take_work(&mut self, cx: &mut Cx<'_>, item: WorkItem) {
        if let WorkData::Session(id) = &item.data {
            self.sessions.item_came(id);
        }
        let Some(environment) = self.registration.environment() else { return };
        if let Some(finished) = self.claims.take(cx, environment, item) {
            self.reports.add(cx, finished);
        }
    }

    pub(super) fn ack_answered(&mut self, cx: &mut Cx<'_>, work: &WorkId, event: Event) {
        match self.claims.answered(cx, work, event) {
            Acked::Pending => return,
            Acked::Lost => {}
            Acked::Taken(claim) => self.run(cx, *claim),
        }
        self.poll_if_there_is_room(cx);
    }

    fn run(&mut self, cx: &mut Cx<'_>, claim: Claim) {
        let Claim { lease, data, secret, worktree } = claim;
        match data {
            // It already ended here; its result is repeated (W-4).
            _ if self.reports.is_completed(&lease.work) => self.reports.repeat(cx, lease),
            WorkData::Healthcheck(_) => {
                if let Some(request) = worktree {
                    return self.ask_of_worktree(cx, lease, request);
                }
                self.reports.complete(&lease.work);
                let Lease { work, environment, fence, .. } = lease;
                let (force, result, worktree) = (false, None, None);
                let finished = Finished { environment, work, fence, force, result, worktree };
                self.reports.add(cx, finished);
            }
            WorkData::Session(id) if !self.own.allows(&id) => {
                let reason = String::from("this environment is for one program's own session");
                let Lease { work, environment, fence, .. } = lease;
                let finished = Finished::unstarted(environment, work, fence, reason);
                self.reports.add(cx, finished);
            }
            WorkData::Session(id) => match cx
                .config
                .allowance
                .session_base(&cx.config.relay, secret.api_base_url.as_deref())
            {
                Ok(base) => {
                    let way = self.way(cx, &base, &id, &secret);
                    self.run_session(cx, &id, lease, way, secret);
                }
                Err(reason) => {
                    let Lease { work, environment, fence, .. } = lease;
                    let finished = Finished::unstarted(environment, work, fence, reason);
                    self.reports.add(cx, finished);
                }
            },
        }
    }

    /// Which version the session speaks, and where (C-4). One that runs goes on as it began.
    fn way(&self, cx: &Cx<'_>, base: &BaseUrl, id: &SessionId, secret: &WorkSecret) -> Way {
        let running = self.sessions.get(id).map(Session::version);
        let version = running.unwrap_or(match cx.config.transport {
            TransportChoice::V1 => Version::V1,
            TransportChoice::V2 => Version::V2,
            TransportChoice::Auto if secret.use_code_sessions && self.sessions.may_speak_v2() => {
                Version::V2
            }
            TransportChoice::Auto => Version::V1,
        });
        let url = match version {
            Version::V1 => base.session_ingress(id),
            Version::V2 => base.code_session(id),
        };
        let may_fall_back = cx.config.transport == TransportChoice::Auto;
        let fallback = may_fall_back.then(|| base.session_ingress(id));
        Way { version, url, fallback }
    }

    fn run_session(
        &mut self,
        cx: &mut Cx<'_>,
        id: &SessionId,
        lease: Lease,
        way: Way,
        secret: WorkSecret,
    ) {
        if self.sessions.contains(id) {
            self.continuity.renew(cx, id, &lease.work);
            return self.session(cx, id, |session, cx| {
                session.renew(cx, lease, way.url);
                Outcome::Nothing
            });
        }
        let reference = secret.git_reference();
        let directory = self.worktrees.session_directory(cx.config, id);
        let sessions = &self.sessions;
        let is_running = |id: &SessionId| sessions.contains(id);
        let begun = self.continuity.begin(cx, id, &lease.work, is_running);
        // Of an environment that is not this worker's, only the relay knows which sessions have run.
        let is_taken_up = cx.config.take_up.as_ref() == Some(&lease.environment.id);
        let beginning = match begun {
            Beginning::First if is_taken_up && lease.fence > 1 => Beginning::Forgotten,
            begun => begun,
        };
        let begun = (beginning, self.sessions.rhythm());
        let session = Session::new(cx, id.clone(), lease, way, secret, &directory, begun);
        self.sessions.insert(id.clone(), session);
        self.session(cx, id, |session, cx| session.start(cx, reference));
        self.sessions.start_heartbeat(cx, id);
    }

    pub(super) fn report_answered(
        &mut self,
        cx: &mut Cx<'_>,
        work: &WorkId,
        fence: u64,
        event: Event,
    ) {
        let Some((environment, registration)) = self.reports.sent(work, fence) else { return };
        let answer = answer::<StateAnswer>(event);
        let error = answer.as_ref().err();
        self.registration.note_answer(error);
        let may_be_secret =
            error.is_some_and(|error| self.may_be_secret(cx, &environment, error, registration));
        // Also of an environment of before: nobody knows yet whether it is the relay that refuses.
        let is_nobodys =
            self.gate.is_unproved() && error.is_some_and(RequestError::is_unauthorized);
        let hope = match () {
            () if may_be_secret || is_nobodys && !self.registration.is_closed() => SecretHope::Soon,
            () if self.registration.is_closed() => SecretHope::NextRun,
            () => SecretHope::None,
        };
        match self.reports.answered(cx, work, answer, hope) {
            Delivery::Open => return,
            Delivery::Postponed => {
                self.offers.reported(work);
            }
            Delivery::Settled { file } => {
                self.continuity.end(cx, work);
                if let Some((session, reason)) = self.offers.reported(work) {
                    self.offer(cx, &session, reason);
                }
                if let Some(path) = file {
                    self.removals.remove(cx, path);
                }
            }
        }
        self.advance_shutdown(cx);
    }
}
