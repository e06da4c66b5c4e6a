//! The worker: registers an environment, takes work, runs sessions, reports what came of them (W).
//!
//! ```text
//!  register ──▶ poll ──▶ dispatch ──▶ session ──▶ result
//!     ▲           │   (decode, ack)     │ ▲
//!     └───────────┘                     │ └── heartbeat
//!   the relay has forgotten us          ▼
//!                                   shutdown ──▶ deregister
//! ```
//!
//! [`Check`] is a machine of its own: it tries what a worker needs, and registers nothing.
//!
//! One file for each stage; [`Worker`] itself only routes: an event to the stage that its operation
//! belongs to, a timer to the stage that set it.

mod agent_command;
mod api;
mod check;
mod config;
mod conversation;
mod dispatch;
mod git;
mod heartbeat;
mod notice;
mod poll;
mod process;
mod register;
mod result;
mod session;
mod shutdown;
mod spool;
#[cfg(test)]
mod tests;
mod worktree;

use alloc::collections::{BTreeMap, VecDeque};

use fastrand::Rng;

pub use check::{Check, CheckConfig, Checked, Finding};
pub use config::{AgentProgram, SpawnMode, WorkerConfig};
pub use notice::{WorkerCommand, WorkerNotice};

use crate::base::id::{OpId, SessionId, WorkId};
use crate::base::limits::{MAX_COMPLETED_WORK, SLEEP_GAP};
use crate::base::time::{Duration, Instant, Now};
use crate::contract::event::Event;
use crate::contract::machine::{Machine, Step};
use crate::engine::backoff::Backoff;
use crate::engine::effects::Effects;
use crate::transport::dedupe::Recent;
use crate::wire::work::StopWork;
use dispatch::Claim;
use poll::Polling;
use register::{GitQuestion, Registering};
use result::Report;
use session::Session;
use shutdown::Shutdown;
use worktree::Worktrees;

/// What an operation of the worker was started for.
#[derive(Clone, Debug, PartialEq)]
enum Purpose {
    Git(GitQuestion),
    Worktree,
    LifeSign(SessionId),
    Register,
    Token,
    Poll,
    Ack(WorkId),
    Heartbeat(SessionId, u64),
    /// With the registration whose secret it was sent with.
    Redispatch(SessionId, u32),
    Spool(WorkId),
    Remove,
    McpConfig(SessionId),
    ListSpool,
    LoadSpool(WorkId),
    /// With the fence that it was sent under.
    Report(WorkId, u64),
    Deregister,
    Agent(SessionId),
    Link(SessionId),
}

/// What the worker waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Register,
    Poll,
    Ack(WorkId),
    Heartbeat(SessionId),
    Report(WorkId),
    /// Whatever the session's link and process wait for.
    Session(SessionId),
    /// The session's time limit.
    Limit(SessionId),
    /// A git command that met a lock.
    Git,
    /// The end of a shutdown, come what may.
    Shutdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Registering,
    Serving,
    ShuttingDown,
}

/// The worker machine (W-1 to W-11).
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    fx: Effects<Purpose, WorkerNotice>,
    timers: Timers,
    rng: Rng,
    stage: Stage,
    registering: Registering,
    polling: Polling,
    claims: BTreeMap<WorkId, Claim>,
    sessions: BTreeMap<SessionId, Session>,
    reports: BTreeMap<WorkId, Report>,
    /// What was reported under a lease that was over.
    stale: VecDeque<(WorkId, StopWork)>,
    completed: Recent,
    worktrees: Worktrees,
    is_spool_read: bool,
    /// Files that are being removed.
    removals: usize,
    shutdown: Option<Shutdown>,
    last_call: Option<Now>,
}

type Timers = crate::engine::timer::Timers<Timer>;

impl Worker {
    /// A worker that begins to register with its first step.
    pub fn new(config: WorkerConfig) -> Self {
        let backoff = Backoff::new(config.backoff);
        let mut worker = Self {
            fx: Effects::new(),
            timers: Timers::new(),
            rng: Rng::with_seed(config.seed),
            stage: Stage::Registering,
            registering: Registering::new(backoff.clone()),
            polling: Polling::new(backoff),
            claims: BTreeMap::new(),
            sessions: BTreeMap::new(),
            reports: BTreeMap::new(),
            stale: VecDeque::new(),
            completed: Recent::new(MAX_COMPLETED_WORK),
            worktrees: Worktrees::default(),
            is_spool_read: false,
            removals: 0,
            shutdown: None,
            last_call: None,
            config,
        };
        worker.ask_git(GitQuestion::Branch);
        worker
    }

    /// How many sessions it runs.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    fn advance(&mut self, now: Now) {
        self.fx.advance(now);
        let now = self.fx.now();
        if let Some(before) = self.last_call.replace(now)
            && let Some(slept) = sleep_between(before, now, self.timers.next())
        {
            self.wake_up(slept);
        }
    }

    /// What failed before the machine slept says nothing about now; and connections that were
    /// open are most likely dead without knowing it (W-2).
    fn wake_up(&mut self, slept: Duration) {
        self.fx.notify(WorkerNotice::Woke { slept });
        self.registering.reset_backoff();
        self.polling.reset_secrets();
        if self.timers.is_set(&Timer::Register) {
            self.timers.clear(&Timer::Register);
            self.register();
        }
        self.poll_afresh();
        let ids: alloc::vec::Vec<_> = self.sessions.keys().cloned().collect();
        for id in ids {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.link.wake(&mut self.fx, Purpose::Link(id.clone()));
            }
            self.schedule_session(&id);
        }
    }

    fn timers_due(&mut self) {
        let now = self.fx.now().mono;
        while let Some((timer, _)) = self.timers.pop_due(now) {
            match timer {
                Timer::Register => self.register(),
                Timer::Poll => self.poll_if_there_is_room(),
                Timer::Ack(work) => self.ack(&work),
                Timer::Heartbeat(session) => self.heartbeat(&session),
                Timer::Report(work) => self.send_report(&work),
                Timer::Session(session) => self.session_due(&session),
                Timer::Limit(session) => self.session_timed_out(&session),
                Timer::Git => self.run_job(),
                Timer::Shutdown => self.finish(),
            }
        }
        debug_assert!(
            self.timers.next().is_none_or(|next| next > now),
            "a timer that was handled must not be due again at once"
        );
    }

    fn answered(&mut self, op: OpId, event: Event) {
        let is_lasting = matches!(self.fx.purpose(op), Some(Purpose::Agent(_) | Purpose::Link(_)));
        let purpose = if is_lasting { self.fx.purpose(op) } else { self.fx.finish(op) };
        match purpose {
            Some(Purpose::Git(question)) => self.git_answered(question, &event),
            Some(Purpose::Worktree) => self.job_answered(&event),
            Some(Purpose::LifeSign(session)) => self.life_sign(&session, &event),
            Some(Purpose::Register) => self.register_answered(event),
            Some(Purpose::Token) => self.token_loaded(&event),
            Some(Purpose::Poll) => self.poll_answered(event),
            Some(Purpose::Ack(work)) => self.ack_answered(&work, event),
            Some(Purpose::Heartbeat(session, fence)) => {
                self.heartbeat_answered(&session, fence, event);
            }
            Some(Purpose::Redispatch(session, registration)) => {
                self.redispatch_answered(&session, registration, event);
            }
            Some(Purpose::Spool(work)) => self.spooled(&work, &event),
            Some(Purpose::Remove) => self.file_removed(),
            Some(Purpose::McpConfig(session)) => self.mcp_config_saved(&session, &event),
            Some(Purpose::ListSpool) => self.spool_listed(&event),
            Some(Purpose::LoadSpool(work)) => self.spool_loaded(&work, &event),
            Some(Purpose::Report(work, fence)) => self.report_answered(&work, fence, event),
            Some(Purpose::Deregister) => self.finish(),
            Some(Purpose::Agent(session)) => self.agent_event(&session, event),
            Some(Purpose::Link(session)) => self.link_event(&session, event),
            None => {}
        }
    }
}

impl Machine for Worker {
    type Command = WorkerCommand;
    type Notice = WorkerNotice;

    fn command(&mut self, now: Now, command: WorkerCommand) {
        if self.fx.is_ended() {
            return;
        }
        self.advance(now);
        match command {
            WorkerCommand::Shutdown => self.shut_down(Ok(())),
            WorkerCommand::ShutdownNow => self.hurry(),
        }
        self.timers_due();
    }

    fn handle(&mut self, now: Now, event: Event) {
        if self.fx.is_ended() {
            return;
        }
        self.advance(now);
        if let Some(op) = event.op() {
            self.answered(op, event);
        }
        self.timers_due();
    }

    fn step(&mut self) -> Step<WorkerNotice> {
        self.fx.step(self.timers.next())
    }
}

/// How long the machine slept between two calls, if it did: the wall clock went on without the
/// monotonic one, or a deadline was missed by far.
fn sleep_between(before: Now, now: Now, deadline: Option<Instant>) -> Option<Duration> {
    let by_wall = now
        .wall
        .saturating_since(before.wall)
        .saturating_sub(now.mono.saturating_since(before.mono));
    let by_deadline = deadline.map_or(Duration::ZERO, |at| now.mono.saturating_since(at));
    let slept = by_wall.max(by_deadline);
    (slept >= SLEEP_GAP).then_some(slept)
}
