//! Stage 4: one running session: its agent, its link, and the way between them (W-6, M-1, M-2).
//!
//! A session ends in this order: its agent's process is over, its last lines are safe with the
//! relay, its result is reported.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use bytes::Bytes;

use super::agent_command::mcp_config_path;
use super::config::WorkerConfig;
use super::conversation::{Origin, Report};
use super::dispatch::Lease;
use super::process::{Process, ProcessEvent};
use super::worktree::Done;
use super::{Purpose, Timer, Worker, WorkerNotice};
use crate::base::id::SessionId;
use crate::base::limits::MAX_RECENT_UUIDS;
use crate::base::secret::Secret;
use crate::base::time::Instant;
use crate::contract::action::{Action, ProcessSpec};
use crate::contract::event::{Event, ExitStatus};
use crate::engine::effects::Effects;
use crate::transport::dedupe::Recent;
use crate::transport::v1::{Link, LinkEvent};
use crate::wire::session::{ResultStatus, SessionResult};
use crate::wire::work_secret::WorkSecret;

/// Why a session's end was begun from outside its agent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum EndReason {
    TimedOut,
    /// A person, or the worker's shutdown.
    Interrupted(String),
    /// The relay could not be reached for as long as is allowed.
    Failed(String),
    /// The relay has given it to another, or does not know it any more: nothing is to be reported.
    NotOurs(String),
}

/// How a session's worktree stands, in the mode that has them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Worktree {
    /// There is none, or nothing more is to be done about it.
    None,
    Making,
    Ready,
    Cleaning,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) lease: Lease,
    pub(super) link: Link,
    pub(super) process: Process,
    command: Result<ProcessSpec, String>,
    end: Option<EndReason>,
    /// Whether the relay has promised another lease, which has to be polled for.
    pub(super) awaits_lease: bool,
    /// Whether another lease can be asked for only with a new secret of the environment.
    pub(super) awaits_secret: bool,
    worktree: Worktree,
    /// To be in a file before the agent starts, and that file's path once it may be there.
    mcp_config: Option<Secret>,
    mcp_file: Option<String>,
    /// What came of it, once its process is over.
    result: Option<SessionResult>,
    /// Its last lines need not be waited for beyond this.
    pub(super) flush_until: Option<Instant>,
    limit: Duration,
    /// Questions of the agent that nobody has answered.
    pub(super) questions: BTreeSet<String>,
    pub(super) delivered: Recent,
    /// For each line of the relay that is not safe yet: whether it waits for the agent's pipe.
    pub(super) unsafe_lines: VecDeque<bool>,
    /// What the agent's pipe has been given and not taken yet.
    pub(super) in_pipe: VecDeque<Origin>,
}

impl Session {
    pub(super) fn new(
        id: SessionId,
        lease: Lease,
        url: String,
        command: Result<ProcessSpec, String>,
        agent_run: String,
        config: &WorkerConfig,
    ) -> Self {
        Self {
            command,
            link: Link::new(url, lease.token.clone(), agent_run, config.backoff),
            process: Process::new(config.shutdown_grace, config.max_line_bytes),
            id,
            lease,
            end: None,
            awaits_lease: false,
            awaits_secret: false,
            worktree: Worktree::None,
            mcp_config: None,
            mcp_file: None,
            result: None,
            flush_until: None,
            limit: config.session_limit,
            questions: BTreeSet::new(),
            delivered: Recent::new(MAX_RECENT_UUIDS),
            unsafe_lines: VecDeque::new(),
            in_pipe: VecDeque::new(),
        }
    }

    /// Whether it counts towards `max_sessions`: until its process is over.
    pub(super) const fn takes_room(&self) -> bool {
        !self.process.is_over()
    }

    /// Goes on under a new lease (W-4, W-8).
    pub(super) fn renew(
        &mut self,
        fx: &mut Effects<Purpose, WorkerNotice>,
        lease: Lease,
        url: String,
    ) {
        let token = lease.token.clone();
        self.lease = lease;
        self.link.renew(fx, Purpose::Link(self.id.clone()), url, token);
    }

    pub(super) const fn is_ending(&self) -> bool {
        self.end.is_some()
    }

    /// What came of it, now that its process is over.
    fn result_of(&self, over: Result<Option<ExitStatus>, String>) -> SessionResult {
        let (exit_code, signal) = match over {
            Ok(Some(ExitStatus::Code(code))) => (Some(code), None),
            Ok(Some(ExitStatus::Signal(signal))) => (None, Some(signal)),
            Ok(None) | Err(_) => (None, None),
        };
        let (status, message) = match (&self.end, over) {
            (Some(EndReason::TimedOut), _) => {
                let limit = shown(self.limit);
                (ResultStatus::TimedOut, format!("it reached its time limit of {limit}"))
            }
            (Some(EndReason::Interrupted(why) | EndReason::NotOurs(why)), _) => {
                (ResultStatus::Interrupted, why.clone())
            }
            (Some(EndReason::Failed(why)), _) => (ResultStatus::Failed, why.clone()),
            (None, Ok(Some(ExitStatus::Code(0)))) => {
                (ResultStatus::Completed, String::from("the agent ended"))
            }
            (None, Ok(Some(status))) => {
                (ResultStatus::Failed, format!("the agent ended with {status}"))
            }
            (None, Ok(None)) => {
                (ResultStatus::Failed, String::from("the agent could not be ended"))
            }
            (None, Err(why)) => {
                (ResultStatus::Failed, format!("the agent could not be started: {why}"))
            }
        };
        SessionResult { status, exit_code, signal, message, stderr: self.process.stderr_tail() }
    }
}

/// A length of time in the largest unit that leaves nothing over.
fn shown(length: Duration) -> String {
    let secs = length.as_secs();
    match secs {
        0 => format!("{} ms", length.as_millis()),
        _ if secs.is_multiple_of(3600) => format!("{} h", secs / 3600),
        _ if secs.is_multiple_of(60) => format!("{} min", secs / 60),
        _ => format!("{secs} s"),
    }
}

impl Worker {
    /// Starts a session: its link at once, and its agent as soon as there is a place for it.
    pub(super) fn start_session(&mut self, id: &SessionId, secret: WorkSecret) {
        let reference = secret.git_reference();
        let has_worktree = self.worktree_path(id).is_some();
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.mcp_config = secret.mcp_config;
        session.link.connect(&mut self.fx, Purpose::Link(id.clone()));
        self.timers.set(Timer::Limit(id.clone()), self.fx.now().mono + session.limit);
        if has_worktree && session.command.is_ok() {
            session.worktree = Worktree::Making;
            self.make_worktree(id, reference);
        } else {
            self.start_agent(id);
        }
        self.first_heartbeat(id);
        self.schedule_session(id);
    }

    fn start_agent(&mut self, id: &SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if let Some(mcp_config) = session.mcp_config.take()
            && let Ok(path) = mcp_config_path(&self.config, id)
        {
            session.mcp_file = Some(path.clone());
            let data = Bytes::copy_from_slice(mcp_config.reveal().as_bytes());
            let purpose = Purpose::McpConfig(id.clone());
            self.fx.start(purpose, |op| Action::Save { op, path, data });
            return;
        }
        match session.command.clone() {
            Ok(command) => {
                session.process.start(&mut self.fx, Purpose::Agent(id.clone()), command);
            }
            Err(reason) => self.process_over(id, Err(reason)),
        }
    }

    pub(super) fn mcp_config_saved(&mut self, id: &SessionId, event: &Event) {
        let Some(session) = self.sessions.get(id) else { return };
        if session.process.is_over() {
            return;
        }
        match event {
            Event::Failed { failure, .. } => {
                let reason = format!("its MCP configuration could not be written: {failure}");
                self.process_over(id, Err(reason));
            }
            _ => self.start_agent(id),
        }
        self.schedule_session(id);
    }

    /// Git is done with a session's worktree: it can begin, or its result can be told.
    pub(super) fn worktree_done(&mut self, id: &SessionId, run: Option<&str>, done: Done) {
        let path = self.worktree_path(id).unwrap_or_default();
        let session = self.sessions.get_mut(id);
        let session = session.filter(|session| run == Some(session.link.agent_run()));
        let Some(session) = session else { return self.leftover_done(id, done) };
        match done {
            Done::Made if session.process.is_over() => {
                session.worktree = Worktree::Cleaning;
                self.clean_worktree(id);
            }
            Done::Made => {
                session.worktree = Worktree::Ready;
                self.start_agent(id);
            }
            Done::NotMade(reason) => {
                session.worktree = Worktree::None;
                let reason = format!("its worktree could not be made: {reason}");
                self.process_over(id, Err(reason));
            }
            Done::Removed => session.worktree = Worktree::None,
            Done::Kept(reason) => {
                session.worktree = Worktree::None;
                if let Some(result) = &mut session.result {
                    let words = format!("; its worktree {path} was kept: {reason}");
                    result.message.push_str(&words);
                }
            }
        }
        self.settle_session(id);
        self.schedule_session(id);
    }

    pub(super) fn agent_event(&mut self, id: &SessionId, event: Event) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let mut told = VecDeque::new();
        session.process.handle(&mut self.fx, event, |event| told.push_back(event));
        self.process_told(id, told);
    }

    fn process_told(&mut self, id: &SessionId, told: VecDeque<ProcessEvent>) {
        for event in told {
            let Some(session) = self.sessions.get_mut(id) else { return };
            match event {
                ProcessEvent::Started { pid } => {
                    session.report(
                        &mut self.fx,
                        &Report { pid: Some(pid), ..Report::of("agent_started") },
                    );
                    let (session, work) = (id.clone(), session.lease.work.clone());
                    self.fx.notify(WorkerNotice::SessionStarted { session, work, pid });
                }
                ProcessEvent::Line(line) => session.take_output(&mut self.fx, line),
                ProcessEvent::Written { writes } => session.written(&mut self.fx, writes),
                ProcessEvent::Over(over) => self.process_over(id, over),
            }
        }
        if let Some(session) = self.sessions.get_mut(id) {
            session.process.balance(&mut self.fx, session.link.unacked_bytes());
        }
        self.schedule_session(id);
    }

    fn process_over(&mut self, id: &SessionId, over: Result<Option<ExitStatus>, String>) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let result = session.result_of(over);
        session.questions.clear();
        session.report(
            &mut self.fx,
            &Report {
                exit_code: result.exit_code,
                signal: result.signal,
                message: Some(&result.message),
                ..Report::of("agent_exited")
            },
        );
        session.result = Some(result);
        session.process.give_up();
        self.timers.clear(&Timer::Limit(id.clone()));
        if session.worktree == Worktree::Ready {
            session.worktree = Worktree::Cleaning;
            self.clean_worktree(id);
        }
        self.settle_session(id);
        self.poll_if_there_is_room();
    }

    pub(super) fn link_event(&mut self, id: &SessionId, event: Event) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let mut told = VecDeque::new();
        session.link.handle(&mut self.fx, &mut self.rng, event, |event| told.push_back(event));
        for event in told {
            self.link_told(id, event);
        }
        self.after_link(id);
    }

    fn after_link(&mut self, id: &SessionId) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.process.balance(&mut self.fx, session.link.unacked_bytes());
        }
        self.settle_session(id);
        self.schedule_session(id);
    }

    fn link_told(&mut self, id: &SessionId, event: LinkEvent) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        match event {
            LinkEvent::Up => {
                let (session, work) = (id.clone(), session.lease.work.clone());
                self.fx.notify(WorkerNotice::SessionConnected { session, work });
            }
            LinkEvent::Down { reason, retry_in } => {
                let (session, work) = (id.clone(), session.lease.work.clone());
                self.fx.notify(WorkerNotice::SessionDisconnected {
                    session,
                    work,
                    reason,
                    retry_in,
                });
            }
            LinkEvent::Line(line) => session.take_input(&mut self.fx, &line),
            LinkEvent::Gap { lines } => {
                let words = format!("{lines} messages to the agent were lost at the relay");
                session.report(
                    &mut self.fx,
                    &Report { message: Some(&words), ..Report::of("messages_lost") },
                );
            }
            LinkEvent::Stop => {
                self.end_session(id, EndReason::Interrupted(String::from("a person ended it")));
            }
            LinkEvent::LeaseLost => {
                self.lose_session(id, String::from("another worker has taken it over"));
            }
            LinkEvent::Refused(refusal) if refusal.status == 401 => self.ask_redispatch(id),
            LinkEvent::Refused(refusal) => self.lose_session(id, refusal.to_string()),
            LinkEvent::GaveUp { reason, failing_for } => {
                let secs = failing_for.as_secs();
                let why = format!("the relay could not be reached for {secs} s: {reason}");
                self.end_session(id, EndReason::Failed(why));
            }
        }
    }

    /// Begins a session's end. The first reason stands, but that it is not ours any more.
    pub(super) fn end_session(&mut self, id: &SessionId, reason: EndReason) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let is_lost = matches!(reason, EndReason::NotOurs(_));
        if session.end.is_none() || is_lost {
            session.end = Some(reason);
        }
        if is_lost {
            session.link.close(&mut self.fx);
        }
        match session.process.is_begun() {
            true if is_lost => session.process.kill(&mut self.fx),
            true => session.process.terminate(&mut self.fx),
            // Its place is still being made; the agent will not be started there.
            false => {
                session.worktree = Worktree::None;
                self.process_over(id, Err(String::from("its end came first")));
            }
        }
        self.settle_session(id);
        self.schedule_session(id);
    }

    /// Reports and forgets a session whose process is over and whose last lines are safe, or need
    /// not be waited for.
    pub(super) fn settle_session(&mut self, id: &SessionId) {
        let now = self.fx.now().mono;
        let Some(session) = self.sessions.get(id) else { return };
        if !session.process.is_over() || session.result.is_none() {
            return;
        }
        let is_late = session.flush_until.is_some_and(|at| at <= now);
        let is_flushed = session.link.is_flushed() || session.link.is_over();
        let is_settled = is_flushed && session.worktree == Worktree::None;
        if !is_settled && !is_late {
            return;
        }
        let Some(mut session) = self.sessions.remove(id) else { return };
        session.link.close(&mut self.fx);
        for timer in [Timer::Limit, Timer::Heartbeat, Timer::Session] {
            self.timers.clear(&timer(id.clone()));
        }
        if let Some(path) = session.mcp_file.take() {
            self.remove_file(path);
        }
        let is_ours = !matches!(session.end, Some(EndReason::NotOurs(_)));
        let result = session.result.filter(|_| is_ours);
        self.completed.insert(session.lease.work.as_str());
        let Lease { work, environment, fence, .. } = session.lease;
        self.fx.notify(WorkerNotice::SessionEnded {
            session: id.clone(),
            work: work.clone(),
            result: result.clone(),
        });
        if result.is_some() {
            self.report(environment, &work, fence, session.end.is_some(), result);
        }
        self.poll_if_there_is_room();
        self.shut_down_further();
    }

    /// One timer for whatever the session's parts wait for next.
    pub(super) fn schedule_session(&mut self, id: &SessionId) {
        let timer = Timer::Session(id.clone());
        let Some(session) = self.sessions.get(id) else { return self.timers.clear(&timer) };
        let flush = session.flush_until.filter(|_| session.process.is_over());
        let deadlines = [session.link.deadline(), session.process.deadline(), flush];
        match deadlines.into_iter().flatten().min() {
            Some(at) => self.timers.set(timer, at),
            None => self.timers.clear(&timer),
        }
    }

    pub(super) fn session_due(&mut self, id: &SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let mut told = VecDeque::new();
        session.process.on_time(&mut self.fx, |event| told.push_back(event));
        let purpose = Purpose::Link(id.clone());
        let link_told = session.link.on_time(&mut self.fx, &mut self.rng, purpose);
        self.process_told(id, told);
        if let Some(event) = link_told {
            self.link_told(id, event);
        }
        self.after_link(id);
    }

    pub(super) fn session_timed_out(&mut self, id: &SessionId) {
        self.end_session(id, EndReason::TimedOut);
    }
}
