//! Stage 1: registering the environment, and keeping its secret valid (W-1, E-1).
//!
//! ```text
//!                 answered                  forgotten, or its secret refused
//!   Registering ───────────▶ Serving ──────────────────────────────▶ Registering
//!        └────────────────────┴──▶ Closed: the worker is shutting down
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::config::WorkerConfig;
use super::continuity::Continuity;
use super::cx::{Cx, Purpose, Timer};
use super::lease::Environment;
use super::notice::WorkerNotice;
use super::survey::Directory;
use crate::auth::refresh::{
    Generation, NewToken, RefreshOutcome, RefreshPolicy, RefreshScheduler, Settled,
};
use crate::auth::{Credential, MAX_TOKEN_FILE_BYTES, RefreshLock};
use crate::base::id::{EnvironmentId, SessionId};
use crate::base::secret::Secret;
use crate::client::{RequestError, TokenError, TokenRetry, answer, device, worker_api};
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::contract::machine::MachineError;
use crate::engine::backoff::{Backoff, FailureTrack, Verdict};
use crate::wire::worker_api::environment::{self, Metadata, Registered};

const WHAT: &str = "register";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Registering,
    Serving,
    /// No more registrations.
    Closed,
}

/// The environment's registration.
#[derive(Debug)]
pub(super) struct Registration {
    stage: Stage,
    directory: Directory,
    token: Credential,
    token_retry: TokenRetry,
    /// When its log-in is to be refreshed.
    refreshes: RefreshScheduler<()>,
    /// The refresh that is under way because it was due.
    refreshing: Option<Generation>,
    /// Among the processes that share its log-in.
    lock: RefreshLock,
    backoff: Backoff,
    /// How many registrations there were. Identifies the secret a request was sent with.
    count: u32,
    /// The environment as the last registration returned it.
    environment: Option<Environment>,
    secret: SecretTrust,
    /// Whether the relay that it has registered with can prove that it is the same one.
    relay_proves: bool,
    /// Whether it has streams of work.
    offers_work_stream: bool,
    worker_id: String,
    /// Which run of the worker this is.
    run: u64,
    /// The environment of an earlier run.
    previous: Option<EnvironmentId>,
}

/// Whether the environment's secret is known to work.
#[derive(Debug)]
enum SecretTrust {
    Good,
    /// It was refused, and nothing has been accepted since. Paces the attempts to get another one.
    InDoubt(Backoff),
}

/// What an answer to a registration leads to.
pub(super) enum Answered {
    /// It is retried, or no longer needed.
    Pending,
    /// With its sessions that have not ended.
    Registered(Environment, Vec<SessionId>),
    Failed(MachineError),
}

/// What can still be done about a refused secret.
pub(super) enum Refusal {
    /// Nothing: it is not about the secret, or no other secret is being fetched.
    Final,
    /// The request was sent with a secret that is being replaced, or already has been.
    Outdated,
    /// The secret in use was refused.
    Current,
}

/// When to register again, after the secret was refused.
pub(super) enum SecretSearch {
    Now,
    After(Duration),
    GiveUp(MachineError),
}

impl Registration {
    pub(super) fn new(config: &WorkerConfig) -> Self {
        Self {
            stage: Stage::Registering,
            directory: Directory::default(),
            token: config.credential.clone(),
            token_retry: TokenRetry::Unused,
            refreshes: RefreshScheduler::new(RefreshPolicy::default()),
            refreshing: None,
            lock: RefreshLock::Free,
            backoff: Backoff::new(config.backoff),
            count: 0,
            environment: None,
            secret: SecretTrust::Good,
            relay_proves: false,
            offers_work_stream: false,
            worker_id: String::new(),
            run: 0,
            previous: None,
        }
    }

    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Closed)
    }

    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// What it registers with.
    pub(super) const fn credential(&self) -> &Secret {
        self.token.secret()
    }

    /// Whether the relay can prove who it is, and so has to.
    pub(super) const fn relay_proves(&self) -> bool {
        self.relay_proves
    }

    /// Whether the relay that it has registered with has streams of work.
    pub(super) const fn offers_work_stream(&self) -> bool {
        self.offers_work_stream
    }

    /// The environment, once there is one.
    pub(super) const fn environment(&self) -> Option<&Environment> {
        self.environment.as_ref()
    }

    /// The environment, while work may be requested for it.
    pub(super) fn serving(&self) -> Option<&Environment> {
        self.environment().filter(|_| self.stage == Stage::Serving)
    }

    /// Registers for the first time in this run.
    pub(super) fn start(&mut self, cx: &mut Cx<'_>, directory: Directory, own: &Continuity) {
        self.directory = directory;
        self.worker_id = own.worker_id().into();
        self.run = own.run();
        self.relay_proves = own.relay_proves() && !cx.config.trusts_relay;
        self.previous = own.environment().or(cx.config.take_up.as_ref()).cloned();
        self.register(cx);
    }

    /// Registers, under the environment's previous id if it had one.
    pub(super) fn register(&mut self, cx: &mut Cx<'_>) {
        self.stage = Stage::Registering;
        let config = cx.config;
        let previous = self.previous.as_ref();
        let body = environment::Registration {
            machine_name: config.machine_name.clone(),
            directory: config.directory.clone(),
            branch: self.directory.branch.clone(),
            git_repo_url: self.directory.remote_url.clone(),
            max_sessions: config.capacity(),
            metadata: Metadata { worker_type: config.worker_type.clone() },
            environment_id: self.environment.as_ref().map(|own| &own.id).or(previous).cloned(),
            worker_id: Some(self.worker_id.clone()),
            worker_run: Some(self.run),
        };
        let request = worker_api::register(&config.relay, self.token.secret(), &body);
        cx.request(Purpose::Register, request);
    }

    /// Registers after a pause.
    pub(super) fn register_in(&mut self, cx: &mut Cx<'_>, pause: Duration) {
        self.stage = Stage::Registering;
        cx.set_timer(Timer::Register, pause);
    }

    /// `is_unproved` if nobody knows whether it is the relay that refuses.
    pub(super) fn answered(
        &mut self,
        cx: &mut Cx<'_>,
        event: Event,
        is_unproved: bool,
    ) -> Answered {
        let registered = match answer::<Registered>(event) {
            Ok(registered) => registered,
            Err(_) if self.is_closed() => return Answered::Pending,
            Err(error) if self.reread_token(cx, &error) => {
                return Answered::Pending;
            }
            Err(error) => return self.failed(cx, &error, is_unproved),
        };
        self.token_retry.reset();
        self.backoff.reset();
        // It works: what it takes from here on is to be refreshed in time.
        if let Some(log_in) = self.token.log_in().filter(|_| !self.is_closed()) {
            self.refreshes.schedule(cx.fx.now(), (), log_in.access_token());
            self.look_at_refreshes(cx);
        }
        self.count = self.count.wrapping_add(1);
        let environment =
            Environment { id: registered.environment_id, secret: registered.environment_secret };
        self.environment = Some(environment.clone());
        self.relay_proves |= registered.proves;
        self.offers_work_stream = registered.work_stream;
        Answered::Registered(environment, registered.sessions)
    }

    /// From now on work may be requested, unless the worker is shutting down. Returns which.
    pub(super) fn serve(&mut self) -> bool {
        if self.is_closed() {
            // The secret is only for the last reports; other workers take the work.
            return false;
        }
        self.stage = Stage::Serving;
        true
    }

    /// The worker is shutting down.
    pub(super) fn close(&mut self, cx: &mut Cx<'_>) {
        self.stage = Stage::Closed;
        self.refreshes.cancel_all();
        cx.timers.clear(&Timer::RefreshToken);
        cx.timers.clear(&Timer::Register);
    }

    /// The computer slept: earlier failures no longer count (W-2).
    pub(super) fn wake(&mut self, cx: &mut Cx<'_>) {
        self.backoff.reset();
        if let SecretTrust::InDoubt(backoff) = &mut self.secret {
            backoff.reset();
        }
        if cx.timers.is_set(&Timer::Register) {
            cx.timers.clear(&Timer::Register);
            self.register(cx);
        }
    }

    /// Refreshes the log-in if that is due (T-3): so it does not lapse however long the worker has no
    /// other use for it.
    pub(super) fn refresh_if_due(&mut self, cx: &mut Cx<'_>) {
        if let Some(due) = self.refreshes.next_due(cx.fx.now()) {
            self.refreshing = Some(due.generation);
            if let Some(path) = self.token.file() {
                self.look_for_token(cx, path);
            }
        }
        self.look_at_refreshes(cx);
    }

    fn look_at_refreshes(&self, cx: &mut Cx<'_>) {
        match self.refreshes.deadline(cx.fx.now()) {
            Some(at) => cx.timers.set(Timer::RefreshToken, at),
            None => cx.timers.clear(&Timer::RefreshToken),
        }
    }

    /// What came of a refresh, if it was made because it was due.
    fn settle_refresh(&mut self, cx: &mut Cx<'_>, outcome: RefreshOutcome) {
        let Some(generation) = self.refreshing.take() else { return };
        let settled = self.refreshes.settle(cx.fx.now(), &(), generation, outcome);
        if settled == Settled::NeedsLogIn {
            cx.notify(WorkerNotice::NeedsLogIn);
        }
        self.look_at_refreshes(cx);
    }

    fn new_token(&self) -> RefreshOutcome {
        RefreshOutcome::Refreshed(NewToken::Readable(self.token.secret().clone()))
    }

    /// Reads the credential's file again, once per run of refusals (E-10).
    fn reread_token(&mut self, cx: &mut Cx<'_>, error: &RequestError) -> bool {
        let Some(path) = self.token_retry.take(error, &self.token) else { return false };
        self.look_for_token(cx, path);
        true
    }

    /// Looks at the credential's file; at that of a log-in, while nobody else refreshes it.
    fn look_for_token(&mut self, cx: &mut Cx<'_>, path: String) {
        match self.token.log_in() {
            Some(_) => self.lock.take(cx.fx, Purpose::LockToken, &path),
            None => Self::load_token(cx, path),
        }
    }

    fn load_token(cx: &mut Cx<'_>, path: String) {
        let limit = MAX_TOKEN_FILE_BYTES;
        cx.fx.start(Purpose::Token, |op| Action::Load { op, path, limit });
    }

    pub(super) fn token_locked(&mut self, cx: &mut Cx<'_>, event: &Event) {
        self.lock.answered(cx.fx, Purpose::LockToken, event);
        if let Some(path) = self.token.file() {
            Self::load_token(cx, path);
        }
    }

    pub(super) fn token_loaded(&mut self, cx: &mut Cx<'_>, event: &Event) {
        // Even without a different token it is retried once: that refusal decides what to do.
        let is_newer = match event {
            Event::Loaded { data: Some(data), .. } => self.token.refresh(data),
            _ => false,
        };
        // A log-in that nobody else has refreshed is refreshed here (T-6).
        if let Some(log_in) = self.token.log_in().filter(|_| !is_newer && !self.is_closed()) {
            let request = device::refresh(&cx.config.relay, log_in);
            cx.request(Purpose::RefreshToken, request);
            return;
        }
        self.lock.release(cx.fx);
        self.settle_refresh(cx, self.new_token());
        self.register_if_wanted(cx);
    }

    /// The relay has answered to a request for the next tokens. They are kept before they are used:
    /// those before are of no use any more.
    pub(super) fn token_refreshed(&mut self, cx: &mut Cx<'_>, event: Event) -> Answered {
        let tokens = device::tokens(event);
        if tokens.is_err() {
            self.lock.release(cx.fx);
        }
        match tokens {
            Ok(tokens) => {
                let refreshed = self.token.log_in().map(|log_in| log_in.refreshed(tokens));
                let path = self.token.file();
                if let (Some(log_in), Some(path)) = (refreshed, path) {
                    let data = log_in.to_file();
                    self.token.adopt(log_in);
                    self.settle_refresh(cx, self.new_token());
                    cx.fx.start(Purpose::SaveToken, |op| Action::Save { op, path, data });
                }
            }
            Err(_) if self.is_closed() => {}
            Err(TokenError::Request(error)) if error.track().is_some() => {
                let retry_after = cx.retry_after(&error);
                self.settle_refresh(cx, RefreshOutcome::Unreachable { retry_after });
                // Nothing is known against the log-in: it is tried again, with patience.
                if self.stage == Stage::Registering {
                    self.token_retry.reset();
                    return self.failed(cx, &error, false);
                }
            }
            // What the relay says to the token that there is decides what to do.
            Err(error) => {
                let outcome = match error {
                    TokenError::Refused { .. } => RefreshOutcome::Refused,
                    TokenError::Request(_) => RefreshOutcome::Failed,
                };
                self.settle_refresh(cx, outcome);
                self.register_if_wanted(cx);
            }
        }
        Answered::Pending
    }

    /// The next tokens are kept, or cannot be: they are used all the same.
    pub(super) fn token_saved(&mut self, cx: &mut Cx<'_>) {
        self.lock.release(cx.fx);
        self.register_if_wanted(cx);
    }

    fn register_if_wanted(&mut self, cx: &mut Cx<'_>) {
        if self.stage == Stage::Registering {
            self.register(cx);
        }
    }

    fn failed(&mut self, cx: &mut Cx<'_>, error: &RequestError, is_unproved: bool) -> Answered {
        // The token worked before, so it may just be early: its file already has the new one, the
        // relay does not yet. Running sessions deserve some patience, and the file a fresh look
        // each time.
        let was_good = self.count > 0;
        let is_refused = error.is_unauthorized();
        let may_pass = is_unproved || self.token.file().is_some();
        let is_early = was_good && is_refused && may_pass;
        let track = error.track().or(is_early.then_some(FailureTrack::General));
        let Some(track) = track else {
            return Answered::Failed(error.fault(WHAT, &cx.config.relay));
        };
        if is_early {
            self.token_retry.reset();
        }
        let pause = cx.retry_after(error);
        match self.backoff.fail(cx.now(), track, pause, cx.rng) {
            Verdict::RetryAfter(retry_in) => {
                cx.set_timer(Timer::Register, retry_in);
                cx.notify_retry(WHAT, error, retry_in);
                Answered::Pending
            }
            Verdict::GiveUp { .. } if is_refused => {
                Answered::Failed(error.fault(WHAT, &cx.config.relay))
            }
            Verdict::GiveUp { failing_for } => {
                Answered::Failed(cx.gave_up(WHAT, error, failing_for))
            }
        }
    }

    /// A request with the environment's secret was answered with something other than a 401: the
    /// relay that refused it before may be gone.
    pub(super) fn trust_secret(&mut self) {
        self.secret = SecretTrust::Good;
    }

    /// A request with the environment's secret was answered, or failed with `error`.
    pub(super) fn note_answer(&mut self, error: Option<&RequestError>) {
        if !error.is_some_and(RequestError::is_unauthorized) {
            self.trust_secret();
        }
    }

    /// Whether a new secret may fix a request sent with the one of `registration` (W-8).
    pub(super) fn judge(
        &self,
        environment: &EnvironmentId,
        error: &RequestError,
        registration: u32,
    ) -> Refusal {
        let is_own = self.environment.as_ref().is_some_and(|own| own.id == *environment);
        if !is_own || !error.is_unauthorized() {
            return Refusal::Final;
        }
        match self.stage {
            Stage::Closed => Refusal::Final,
            Stage::Registering => Refusal::Outdated,
            Stage::Serving if registration != self.count => Refusal::Outdated,
            Stage::Serving => Refusal::Current,
        }
    }

    /// The secret was refused. A relay that restarted with other keys refuses every secret it
    /// issued before, so the first time a new one is fetched immediately; after repeated refusals,
    /// with pauses, and not forever (W-2).
    pub(super) fn doubt_secret(
        &mut self,
        cx: &mut Cx<'_>,
        what: &str,
        error: &RequestError,
    ) -> SecretSearch {
        let SecretTrust::InDoubt(backoff) = &mut self.secret else {
            self.secret = SecretTrust::InDoubt(Backoff::new(cx.config.backoff));
            return SecretSearch::Now;
        };
        let pause = cx.retry_after(error);
        match backoff.fail(cx.now(), FailureTrack::General, pause, cx.rng) {
            Verdict::RetryAfter(retry_in) => SecretSearch::After(retry_in),
            Verdict::GiveUp { .. } => SecretSearch::GiveUp(error.fault(what, &cx.config.relay)),
        }
    }
}
