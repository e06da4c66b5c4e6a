//! Who gets what: each event goes to the part that its operation belongs to, each timer to the part
//! that set it, and what a part returns to those whom it concerns.

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use fastrand::Rng;
use serde::de::IgnoredAny;

use super::config::WorkerConfig;
use super::cx::{Cx, GitQuestion, Purpose, Timer};
use super::dispatch::{Acked, Claim, Claims};
use super::heartbeat;
use super::lease::Lease;
use super::notice::{WorkerCommand, WorkerNotice};
use super::poll::{self, Polled, Polling};
use super::register::{Answered, Refusal, Registration, SecretSearch};
use super::removal::Removals;
use super::result::{Delivery, Finished, Reports, SecretHope};
use super::session::{EndReason, Ended, Outcome, Renewal, Session};
use super::sessions::Sessions;
use super::shutdown::{Remaining, Shutdown};
use super::survey::{Progress, Survey};
use super::worktree::{self, Done, JobDone, Worktrees};
use crate::base::id::{EnvironmentId, OpId, SessionId, WorkId};
use crate::base::limits::SHUTDOWN_FLUSH;
use crate::client::{RequestError, answer, worker_api};
use crate::contract::event::Event;
use crate::contract::machine;
use crate::engine::runner::{CxOf, Role};
use crate::wire::url::BaseUrl;
use crate::wire::work_secret::WorkSecret;
use crate::wire::worker_api::work::{WorkData, WorkItem};

/// The worker without the loop around it.
#[derive(Debug)]
pub(super) struct Router {
    config: WorkerConfig,
    rng: Rng,
    parts: Parts,
}

/// The parts of a worker. Each owns its state; none knows of another.
#[derive(Debug)]
pub(super) struct Parts {
    survey: Survey,
    registration: Registration,
    polling: Polling,
    claims: Claims,
    pub(super) sessions: Sessions,
    pub(super) reports: Reports,
    worktrees: Worktrees,
    removals: Removals,
    shutdown: Shutdown,
}

impl Router {
    pub(super) fn new(config: WorkerConfig, engine: &mut CxOf<Self>) -> Self {
        let mut router = Self {
            rng: Rng::with_seed(config.seed),
            parts: Parts {
                survey: Survey::default(),
                registration: Registration::new(&config),
                polling: Polling::new(&config),
                claims: Claims::default(),
                sessions: Sessions::default(),
                reports: Reports::new(&config),
                worktrees: Worktrees::new(),
                removals: Removals::default(),
                shutdown: Shutdown::NotBegun,
            },
            config,
        };
        router.with(engine, |_, cx| Survey::start(cx));
        router
    }

    pub(super) const fn parts(&self) -> &Parts {
        &self.parts
    }

    fn with(&mut self, engine: &mut CxOf<Self>, act: impl FnOnce(&mut Parts, &mut Cx<'_>)) {
        let Self { config, rng, parts } = self;
        let mut cx = Cx { fx: &mut engine.fx, timers: &mut engine.timers, rng, config };
        act(parts, &mut cx);
    }
}

impl Role for Router {
    type Command = WorkerCommand;
    type Notice = WorkerNotice;
    type Purpose = Purpose;
    type Timer = Timer;

    fn on_command(&mut self, engine: &mut CxOf<Self>, command: WorkerCommand) {
        self.with(engine, |parts, cx| match command {
            WorkerCommand::Shutdown => parts.shut_down(cx, Ok(())),
            WorkerCommand::ShutdownNow => parts.shut_down_now(cx),
        });
    }

    fn on_event(&mut self, engine: &mut CxOf<Self>, event: Event) {
        if let Some(op) = event.op() {
            self.with(engine, |parts, cx| parts.answered(cx, op, event));
        }
    }

    fn on_timer(&mut self, engine: &mut CxOf<Self>, timer: Timer) {
        self.with(engine, |parts, cx| match timer {
            Timer::Register => parts.registration.register(cx),
            Timer::Poll => parts.poll_if_there_is_room(cx),
            Timer::Ack(work) => parts.claims.ack(cx, &work),
            Timer::Heartbeat(session) => parts.sessions.heartbeat(cx, &session),
            Timer::Report(work) => parts.reports.send(cx, &work),
            Timer::Session(session) => {
                parts.session(cx, &session, Session::process_due);
                parts.session(cx, &session, Session::link_due);
            }
            Timer::Limit(session) => {
                parts.session(cx, &session, |session, cx| session.end(cx, EndReason::TimedOut));
            }
            Timer::Git => parts.worktrees.resume(cx),
            Timer::Shutdown => parts.shutdown.finish(cx),
        });
    }

    /// What failed before the computer slept says nothing about now; and connections that were open
    /// are most likely dead without knowing it (W-2).
    fn on_wake(&mut self, engine: &mut CxOf<Self>, slept: Duration) {
        self.with(engine, |parts, cx| {
            cx.notify(WorkerNotice::Woke { slept });
            parts.registration.wake(cx);
            parts.polling.wake(cx);
            parts.poll_if_there_is_room(cx);
            for id in parts.sessions.ids() {
                parts.session(cx, &id, |session, cx| {
                    session.wake(cx);
                    Outcome::Nothing
                });
            }
        });
    }
}

impl Parts {
    fn answered(&mut self, cx: &mut Cx<'_>, op: OpId, event: Event) {
        let is_lasting = matches!(cx.fx.purpose(op), Some(Purpose::Agent(_) | Purpose::Link(_)));
        let purpose = if is_lasting { cx.fx.purpose(op) } else { cx.fx.finish(op) };
        // A late answer is nobody's.
        let Some(purpose) = purpose else { return };
        match purpose {
            Purpose::Agent(id) => self.session(cx, &id, |it, cx| it.agent_event(cx, event)),
            Purpose::Link(id) => self.session(cx, &id, |it, cx| it.link_event(cx, event)),
            Purpose::McpConfig(id) => {
                self.session(cx, &id, |session, cx| session.mcp_config_saved(cx, &event));
            }
            Purpose::Heartbeat(id, fence) => {
                let pulse = heartbeat::read(event);
                self.session(cx, &id, |it, cx| it.heartbeat_answered(cx, fence, pulse));
            }
            Purpose::Redispatch(id, registration) => {
                self.redispatch_answered(cx, &id, registration, event);
            }
            Purpose::Git(question) => self.git_answered(cx, question, &event),
            Purpose::Worktree => self.worktree_answered(cx, &event),
            Purpose::LifeSign(session) => {
                if worktree::is_gone(&event) {
                    self.clean_leftover(cx, &session);
                }
            }
            Purpose::Register => self.register_answered(cx, event),
            Purpose::Token => self.registration.token_loaded(cx, &event),
            Purpose::Poll => self.poll_answered(cx, event),
            Purpose::Ack(work) => self.ack_answered(cx, &work, event),
            Purpose::Spool(work) => self.reports.saved(cx, &work, &event),
            Purpose::ListSpool => self.reports.listed(cx, &event),
            Purpose::LoadSpool(work) => {
                if let Some(broken) = self.reports.loaded(cx, &work, &event) {
                    self.removals.remove(cx, broken);
                }
            }
            Purpose::Report(work, fence) => self.report_answered(cx, &work, fence, event),
            Purpose::Remove => {
                self.removals.removed();
                self.advance_shutdown(cx);
            }
            Purpose::Deregister => self.shutdown.finish(cx),
        }
    }

    fn git_answered(&mut self, cx: &mut Cx<'_>, question: GitQuestion, event: &Event) {
        match self.survey.answered(cx, question, event) {
            Progress::Asking => {}
            Progress::Done(mut directory) => {
                let prefix = core::mem::take(&mut directory.prefix);
                self.worktrees.take_up(cx, prefix, &directory.worktrees);
                self.registration.start(cx, directory);
            }
            Progress::Failed(error) => self.shut_down(cx, Err(error)),
        }
    }

    fn register_answered(&mut self, cx: &mut Cx<'_>, event: Event) {
        let is_again = self.registration.environment().is_some();
        let environment = match self.registration.answered(cx, event) {
            Answered::Pending => return,
            Answered::Registered(environment) => environment,
            Answered::Failed(error) => return self.shut_down(cx, Err(error)),
        };
        // What is under way under the environment's name continues with its new secret.
        self.sessions.renew_secret(&environment);
        self.claims.renew_secret(&environment);
        self.reports.renew_secret(cx, &environment, self.registration.count());
        if !self.registration.serve() {
            return;
        }
        cx.notify(WorkerNotice::Registered { environment: environment.id, is_again });
        for id in self.sessions.take_awaiting_secret() {
            self.redispatch(cx, &id);
        }
        self.reports.look_for_earlier(cx);
        self.poll_if_there_is_room(cx);
    }

    /// The environment's secret was refused: registers again, to get a new one.
    fn look_for_new_secret(&mut self, cx: &mut Cx<'_>, what: &'static str, trouble: &RequestError) {
        match self.registration.doubt_secret(cx, what, trouble) {
            SecretSearch::Now => {
                cx.notify_retry(what, trouble, Duration::ZERO);
                self.register_again(cx);
            }
            SecretSearch::After(retry_in) => {
                self.polling.drop_request(cx);
                self.registration.register_in(cx, retry_in);
                cx.notify_retry(what, trouble, retry_in);
            }
            SecretSearch::GiveUp(error) => self.shut_down(cx, Err(error)),
        }
    }

    /// Registers again, under the same name if the relay will have it.
    fn register_again(&mut self, cx: &mut Cx<'_>) {
        self.polling.drop_request(cx);
        self.registration.register(cx);
    }

    /// Whether a new secret, which is then looked for, may mend a refusal (W-8).
    fn may_be_secret(
        &mut self,
        cx: &mut Cx<'_>,
        environment: &EnvironmentId,
        trouble: &RequestError,
        registration: u32,
    ) -> bool {
        match self.registration.judge(environment, trouble, registration) {
            Refusal::Final => false,
            Refusal::Outdated => true,
            Refusal::Current => {
                self.look_for_new_secret(cx, "use its secret", trouble);
                !self.registration.is_closed()
            }
        }
    }

    /// Asks for work if there is a reason and no poll is under way: after registering, after each
    /// answer, and in the same call in which a session ends at capacity. At capacity too, while a
    /// running session waits for another lease, which comes by no other way (W-8).
    fn poll_if_there_is_room(&mut self, cx: &mut Cx<'_>) {
        let Some(environment) = self.registration.serving() else { return };
        if self.polling.is_waiting(cx) {
            return;
        }
        if self.has_room(cx.config) || self.sessions.await_lease() {
            self.polling.poll(cx, environment);
        }
    }

    /// Whether another session may be taken (W-3).
    fn has_room(&self, config: &WorkerConfig) -> bool {
        let taken = self.claims.len() + self.sessions.taking_room();
        taken < usize::try_from(config.capacity()).unwrap_or(usize::MAX)
    }

    fn may_take(&self, config: &WorkerConfig, item: &WorkItem) -> bool {
        match &item.data {
            WorkData::Session(id) => self.sessions.contains(id) || self.has_room(config),
            WorkData::Healthcheck(_) => true,
        }
    }

    fn poll_answered(&mut self, cx: &mut Cx<'_>, event: Event) {
        let polled = self.polling.answered(cx, event);
        if !matches!(polled, Polled::SecretRefused(_)) {
            self.registration.trust_secret();
        }
        match polled {
            Polled::Work(item) if self.may_take(cx.config, &item) => {
                self.take_work(cx, item);
                self.poll_if_there_is_room(cx);
            }
            // What there is no room for is not acknowledged, so that the relay hands it out again.
            Polled::Work(_) | Polled::Nothing => {
                self.polling.pace(cx);
                self.poll_if_there_is_room(cx);
            }
            Polled::Retrying => {}
            Polled::SecretRefused(trouble) => self.look_for_new_secret(cx, poll::WHAT, &trouble),
            Polled::EnvironmentGone(trouble) => {
                let what = "ask for work; registering again";
                cx.notify_retry(what, &trouble, Duration::ZERO);
                self.register_again(cx);
            }
            Polled::Failed(error) => self.shut_down(cx, Err(error)),
        }
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

    fn ack_answered(&mut self, cx: &mut Cx<'_>, work: &WorkId, event: Event) {
        match self.claims.answered(cx, work, event) {
            Acked::Pending => return,
            Acked::Lost => {}
            Acked::Taken(claim) => self.run(cx, *claim),
        }
        self.poll_if_there_is_room(cx);
    }

    fn run(&mut self, cx: &mut Cx<'_>, claim: Claim) {
        let Claim { lease, data, secret } = claim;
        match data {
            // It ended here before; its result is repeated (W-4).
            _ if self.reports.is_completed(&lease.work) => self.reports.repeat(cx, lease),
            WorkData::Healthcheck(_) => {
                self.reports.complete(&lease.work);
                let Lease { work, environment, fence, .. } = lease;
                let finished = Finished { environment, work, fence, force: false, result: None };
                self.reports.add(cx, finished);
            }
            WorkData::Session(id) => match session_base(cx.config, &secret) {
                Ok(base) => {
                    let url = base.session_ingress(&id);
                    self.run_session(cx, &id, lease, url, secret);
                }
                Err(reason) => {
                    let Lease { work, environment, fence, .. } = lease;
                    let finished = Finished::unstarted(environment, work, fence, reason);
                    self.reports.add(cx, finished);
                }
            },
        }
    }

    fn run_session(
        &mut self,
        cx: &mut Cx<'_>,
        id: &SessionId,
        lease: Lease,
        url: String,
        secret: WorkSecret,
    ) {
        if self.sessions.contains(id) {
            return self.session(cx, id, |session, cx| {
                session.renew(cx, lease, url);
                Outcome::Nothing
            });
        }
        let reference = secret.git_reference();
        let directory = self.worktrees.session_directory(cx.config, id);
        let session = Session::new(cx, id.clone(), lease, url, secret, directory);
        self.sessions.insert(id.clone(), session);
        self.session(cx, id, |session, cx| session.start(cx, reference));
        self.sessions.start_heartbeat(cx, id);
    }

    /// Hands something to a session, if there is one, and does what that leads to.
    fn session(
        &mut self,
        cx: &mut Cx<'_>,
        id: &SessionId,
        act: impl FnOnce(&mut Session, &mut Cx<'_>) -> Outcome,
    ) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let outcome = act(session, cx);
        let frees_room = matches!(outcome, Outcome::CleanWorktree | Outcome::RoomFreed);
        match outcome {
            Outcome::Nothing | Outcome::RoomFreed => {}
            Outcome::MakeWorktree(reference) => {
                let run = Some(session.agent_run().to_string());
                self.worktrees.make(cx, id, run, reference);
            }
            Outcome::CleanWorktree => {
                let run = Some(session.agent_run().to_string());
                self.worktrees.clean(cx, id, run);
            }
            Outcome::Redispatch => self.redispatch(cx, id),
        }
        if let Some(ended) = self.sessions.settle(cx, id) {
            self.session_ended(cx, id, ended);
        }
        if frees_room {
            self.poll_if_there_is_room(cx);
        }
    }

    fn session_ended(&mut self, cx: &mut Cx<'_>, id: &SessionId, ended: Ended) {
        let Ended { lease, result, is_forced, mcp_file } = ended;
        if let Some(path) = mcp_file {
            self.removals.remove(cx, path);
        }
        self.reports.complete(&lease.work);
        let Lease { work, environment, fence, .. } = lease;
        cx.notify(WorkerNotice::SessionEnded {
            session: id.clone(),
            work: work.clone(),
            result: result.clone(),
        });
        if result.is_some() {
            let finished = Finished { environment, work, fence, force: is_forced, result };
            self.reports.add(cx, finished);
        }
        self.poll_if_there_is_room(cx);
        self.advance_shutdown(cx);
    }

    /// A session's token is no longer good: asks the relay to dispatch it again with a fresh one.
    /// The session continues meanwhile; the new item comes by poll (W-8).
    fn redispatch(&self, cx: &mut Cx<'_>, id: &SessionId) {
        let Some(session) = self.sessions.get(id) else { return };
        let request =
            worker_api::redispatch(&cx.config.relay, session.lease().environment.key(), id);
        cx.request(Purpose::Redispatch(id.clone(), self.registration.count()), request);
    }

    fn redispatch_answered(
        &mut self,
        cx: &mut Cx<'_>,
        id: &SessionId,
        registration: u32,
        event: Event,
    ) {
        let answer = answer::<IgnoredAny>(event);
        self.registration.note_answer(answer.as_ref().err());
        let Some(session) = self.sessions.get_mut(id) else { return };
        let trouble = match answer {
            Ok(_) => {
                session.renewal = Renewal::AwaitsLease;
                return self.poll_if_there_is_room(cx);
            }
            Err(trouble) => trouble,
        };
        // The next heartbeat meets the same refusal and asks again, or else tries the link again.
        if trouble.track().is_some() {
            return;
        }
        // A relay that restarted with other keys refuses the environment's secret as well. In a
        // shutdown nobody looks for another one, and the agent has its time to end all the same.
        let environment = session.lease().environment.id.clone();
        let is_ending = trouble.is_unauthorized() && self.registration.is_closed();
        if !is_ending && !self.may_be_secret(cx, &environment, &trouble, registration) {
            let reason = trouble.to_string();
            self.session(cx, id, |session, cx| session.lose(cx, reason));
        } else if registration != self.registration.count() {
            self.redispatch(cx, id);
        } else if let Some(session) = self.sessions.get_mut(id) {
            session.renewal = Renewal::AwaitsSecret;
        }
    }

    fn worktree_answered(&mut self, cx: &mut Cx<'_>, event: &Event) {
        if let Some(JobDone { session: id, run, done }) = self.worktrees.answered(cx, event) {
            let session = self.sessions.get(&id);
            // A session may have come again while git worked for its run before.
            if session.is_some_and(|session| run.as_deref() == Some(session.agent_run())) {
                self.session(cx, &id, |session, cx| session.worktree_done(cx, done));
            } else {
                self.leftover_done(cx, &id, done);
            }
        }
        self.worktrees.run_next(cx);
    }

    fn leftover_done(&mut self, cx: &mut Cx<'_>, id: &SessionId, done: Done) {
        if worktree::leftover_done(cx, id, done) {
            self.clean_leftover(cx, id);
        }
    }

    /// Cleans what an earlier run left, unless the session is here again and works in it.
    fn clean_leftover(&mut self, cx: &mut Cx<'_>, session: &SessionId) {
        if !self.sessions.contains(session) {
            self.worktrees.clean(cx, session, None);
        }
    }

    fn report_answered(&mut self, cx: &mut Cx<'_>, work: &WorkId, fence: u64, event: Event) {
        let Some((environment, registration)) = self.reports.sent(work, fence) else { return };
        let answer = answer::<IgnoredAny>(event);
        let trouble = answer.as_ref().err();
        self.registration.note_answer(trouble);
        let may_be_secret = trouble
            .is_some_and(|trouble| self.may_be_secret(cx, &environment, trouble, registration));
        let hope = match () {
            () if may_be_secret => SecretHope::Soon,
            () if self.registration.is_closed() => SecretHope::NextRun,
            () => SecretHope::None,
        };
        if let Delivery::Closed { file } = self.reports.answered(cx, work, answer, hope) {
            if let Some(path) = file {
                self.removals.remove(cx, path);
            }
            self.advance_shutdown(cx);
        }
    }

    /// The first signal: everything ends in its own time (W-9).
    fn shut_down(&mut self, cx: &mut Cx<'_>, outcome: machine::Outcome) {
        if !self.shutdown.begin(outcome) {
            return;
        }
        self.polling.cancel(cx);
        self.registration.close(cx);
        self.claims.clear();
        cx.notify(WorkerNotice::ShuttingDown { sessions: self.sessions.len() });
        let flush_deadline = cx.now() + cx.config.shutdown_grace + SHUTDOWN_FLUSH;
        for id in self.sessions.ids() {
            self.session(cx, &id, |session, cx| {
                session.limit_flush(flush_deadline);
                let why = String::from("the worker was shut down");
                session.end(cx, EndReason::Interrupted(why))
            });
        }
        self.advance_shutdown(cx);
    }

    /// The second signal: nobody is waited for.
    fn shut_down_now(&mut self, cx: &mut Cx<'_>) {
        self.shut_down(cx, Ok(()));
        for id in self.sessions.ids() {
            self.session(cx, &id, |session, cx| {
                session.kill(cx);
                Outcome::Nothing
            });
        }
    }

    fn advance_shutdown(&mut self, cx: &mut Cx<'_>) {
        let remaining = if self.sessions.len() > 0 {
            Remaining::Sessions
        } else if self.reports.is_empty() && self.removals.is_empty() {
            Remaining::Nothing
        } else {
            Remaining::Reports
        };
        self.shutdown.advance(cx, remaining, self.registration.environment());
    }
}

/// Where a session's link leads: where its secret says, or else where the work came from.
fn session_base(config: &WorkerConfig, secret: &WorkSecret) -> Result<BaseUrl, String> {
    match secret.api_base_url.as_deref() {
        None | Some("") => Ok(config.relay.clone()),
        Some(url) => BaseUrl::parse(url)
            .map_err(|error| format!("the work secret's api_base_url cannot be used: {error}")),
    }
}
