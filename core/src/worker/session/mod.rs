//! Stage 4: one running session: its agent, its link, and what passes between them (W-6, M-1, M-2).
//!
//! ```text
//!   Preparing ──────▶ Running ──────▶ Over { is_cleaning: true } ──▶ Over ──▶ settled
//!     worktree,          │ no worktree                                ▲
//!     MCP configuration  └────────────────────────────────────────────┘
//! ```
//!
//! A session ends in this order: its agent's process is over, its worktree is checked, the relay
//! has acknowledged its last lines, its result is reported. What other parts have to do about it
//! (git, polls, reports) is returned as an [`Outcome`].

mod agent_command;
mod callbacks;
mod conversation;
mod end;
mod launch;
mod lines;
mod stderr;
mod succession;
mod uplink;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::value::RawValue;

use self::agent_command::{Opening, agent_command};
use self::conversation::Conversation;
pub(super) use self::end::EndReason;
use self::launch::{Launch, Life};
use self::stderr::Stderr;
use self::succession::Succession;
use super::continuity::Beginning;
use super::cx::{Cx, Purpose, Timer};
use super::lease::Lease;
use super::notice::WorkerNotice;
use crate::base::few::Few;
use crate::base::id::{SessionId, WorkId};
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::contract::event::{Event, ExitStatus};
use crate::hosting::output::Strays;
use crate::hosting::process::{Process, ProcessEvent};
use crate::transport::v1::Rhythm;
use crate::transport::{Start, Transport, Version};
use crate::wire::log_message::LogMessage;
use crate::wire::session::SessionResult;
use crate::wire::work_secret::WorkSecret;

/// How a session travels, and where.
pub(super) struct Way {
    pub(super) version: Version,
    pub(super) url: String,
    /// Where version 1 is spoken, if that may take the place of version 2.
    pub(super) fallback: Option<String>,
}

/// What the worker has to do for a session now.
#[derive(Debug, PartialEq)]
#[must_use]
pub(super) enum Outcome {
    Nothing,
    /// Create its worktree, at this reference if there is one.
    MakeWorktree(Option<String>),
    /// Its agent's process is over: there is room for another session, and its worktree has to be
    /// checked.
    CleanWorktree,
    /// Its agent's process is over: there is room for another session.
    RoomFreed,
    /// Its token is no longer valid: ask for another lease.
    Redispatch,
    /// A newer lease may be on its way, which only a poll brings.
    AwaitLease,
}

impl Outcome {
    /// An event of a session has at most one outcome, however many messages it carries.
    fn or(self, other: Self) -> Self {
        if other == Self::Nothing { self } else { other }
    }
}

/// Whether a session needs a new lease to replace the one it runs under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    NotNeeded,
    /// The relay has promised one, which has to be polled for.
    AwaitsLease,
    /// It can be requested only with a new environment secret.
    AwaitsSecret,
    /// The relay has handed out a newer one. If that does not arrive here until then, the session
    /// was given to another worker.
    Superseded {
        until: Instant,
        reason: String,
    },
}

impl Renewal {
    const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Superseded { until, .. } => Some(*until),
            Self::NotNeeded | Self::AwaitsLease | Self::AwaitsSecret => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Session {
    id: SessionId,
    lease: Lease,
    pub(super) renewal: Renewal,
    link: Transport,
    process: Process,
    conversation: Conversation,
    /// What its agent has to be told before anything else: an `initialize`.
    declared: Option<Text>,
    stderr: Stderr,
    strays: Strays,
    succession: Succession,
    /// The conversation that its agent has come to since this was last taken.
    kept_conversation: Option<Option<String>>,
    /// How many open questions were told of last.
    told_questions: usize,
    /// Its link has come up since this was last taken.
    is_newly_up: bool,
    /// Why it has gone on by version 1, if it has.
    fell_back: Option<String>,
    life: Life,
    end: Option<EndReason>,
    /// What its agent started and could not be ended, by id and name (W-12).
    survivors: Vec<String>,
    /// A file that may exist and has to be removed with the session.
    mcp_file: Option<String>,
    /// Its last lines are not waited for beyond this instant.
    flush_deadline: Option<Instant>,
    limit: Duration,
}

/// A finished session.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) lease: Lease,
    /// `None` if it is not this worker's to report.
    pub(super) result: Option<SessionResult>,
    /// Whether the next run of the worker continues it.
    pub(super) is_handed_over: bool,
    /// Whether it was ended from outside rather than on its own.
    pub(super) is_forced: bool,
    pub(super) mcp_file: Option<String>,
}

impl Session {
    pub(super) fn new(
        cx: &mut Cx<'_>,
        id: SessionId,
        lease: Lease,
        Way { version, url, fallback }: Way,
        secret: WorkSecret,
        directory: &str,
        (beginning, rhythm): (Beginning, Rhythm),
    ) -> Self {
        let config = cx.config;
        let asked = config.allowance.conversation(&secret).ok().flatten();
        let command = |opening: Opening<'_>| {
            agent_command(config, &id, &url, &secret, directory.into(), opening)
        };
        let (command, succession) =
            Succession::begin(config, (beginning, lease.interrupted), asked, command);
        let run = format!("{:032x}", cx.rng.u128(..));
        let start = Start {
            version,
            url,
            fallback,
            token: lease.token.clone(),
            agent_run: run,
            backoff: config.backoff,
            rhythm,
        };
        Self {
            link: Transport::new(start),
            process: Process::new(config.shutdown_grace, config.max_line_bytes),
            conversation: Conversation::new(),
            declared: None,
            stderr: Stderr::new(),
            strays: Strays::new(),
            succession,
            kept_conversation: None,
            told_questions: 0,
            is_newly_up: false,
            fell_back: None,
            life: Life::Preparing(Launch {
                command,
                mcp_config: secret.mcp_config,
                has_worktree: false,
            }),
            id,
            lease,
            renewal: Renewal::NotNeeded,
            end: None,
            survivors: Vec::new(),
            mcp_file: None,
            flush_deadline: None,
            limit: config.session_limit,
        }
    }

    /// Why version 2 does not get through, if that has shown.
    pub(super) fn fell_back(&self) -> Option<&str> {
        self.fell_back.as_deref()
    }

    pub(super) const fn lease(&self) -> &Lease {
        &self.lease
    }

    pub(super) const fn lease_mut(&mut self) -> &mut Lease {
        &mut self.lease
    }

    #[cfg(test)]
    pub(super) const fn link(&self) -> &Transport {
        &self.link
    }

    /// How many of its lines and reports were passed on, and how many of those the relay has.
    pub(super) fn lines(&self) -> (u64, u64) {
        (self.link.sent_here(), self.link.acked().saturating_sub(self.link.base()))
    }

    /// Tells how many questions of its agent are open, if that has changed.
    pub(super) fn tell_questions(&mut self, cx: &mut Cx<'_>) {
        let open = self.conversation.open_questions();
        if core::mem::replace(&mut self.told_questions, open) != open {
            cx.notify(WorkerNotice::PermissionsOpen { session: self.id.clone(), open });
        }
    }

    /// What its link knows about the network.
    pub(super) fn rhythm(&self) -> Rhythm {
        self.link.rhythm()
    }

    /// Sets the run of its agent.
    pub(super) fn agent_run(&self) -> &str {
        self.link.agent_run()
    }

    /// Whether it counts towards `max_sessions`: until its process is over.
    pub(super) const fn takes_room(&self) -> bool {
        !matches!(self.life, Life::Over { .. })
    }

    pub(super) fn agent_event(&mut self, cx: &mut Cx<'_>, event: Event) -> Outcome {
        let mut events = Few::new();
        self.process.handle(cx.fx, event, |event| events.push(event));
        self.on_process(cx, events)
    }

    /// The deadline of its process may have passed.
    pub(super) fn process_due(&mut self, cx: &mut Cx<'_>) -> Outcome {
        let mut events = Few::new();
        self.process.on_time(cx.fx, |event| events.push(event));
        self.succession_due(cx);
        self.reading_due(cx);
        self.callbacks_due(cx);
        self.on_process(cx, events)
    }

    fn on_process(&mut self, cx: &mut Cx<'_>, events: Few<ProcessEvent>) -> Outcome {
        let mut outcome = Outcome::Nothing;
        for event in events {
            match event {
                ProcessEvent::Started { pid } => {
                    self.log(cx, &LogMessage::AgentStarted { pid });
                    let (session, work) = self.names();
                    cx.notify(WorkerNotice::SessionStarted { session, work, pid });
                    self.conversation.started(cx.now());
                    self.agent_started(cx);
                }
                ProcessEvent::Line(line) => self.take_output(cx, line),
                ProcessEvent::Stderr(data) => self.stderr.push(cx.now(), &data),
                ProcessEvent::Written { writes } => {
                    self.written(cx, writes);
                }
                ProcessEvent::Survived(survivors) => self.survivors = survivors,
                ProcessEvent::Over(over) => outcome = outcome.or(self.over(cx, over)),
            }
        }
        let report = self.stderr.take(cx.now());
        self.report_stderr(cx, report);
        let reports = self.strays.take(cx.now());
        self.report_strays(cx, reports);
        self.balance(cx);
        outcome
    }

    /// Its process is over, or will never run.
    fn over(&mut self, cx: &mut Cx<'_>, over: Result<Option<ExitStatus>, String>) -> Outcome {
        if self.start_instead(cx, over.as_ref().err().map(String::as_str)) {
            return Outcome::Nothing;
        }
        let has_run = over.is_ok();
        let stderr = self.process.stderr_tail();
        let mut result = end::result(self.end.as_ref(), over, self.limit, stderr);
        if self.end.is_none() && has_run && self.process.was_ended_silent() {
            end::ended_silent(&mut result);
        }
        let survivors = core::mem::take(&mut self.survivors);
        if !survivors.is_empty() {
            result.message.push_str(&format!("; could not be ended: {}", survivors.join(", ")));
            let (session, work) = self.names();
            cx.notify(WorkerNotice::ProcessesLeft { session, work, processes: survivors });
        }
        self.conversation.close();
        let report = self.stderr.finish();
        self.report_stderr(cx, report);
        let reports = self.strays.finish();
        self.report_strays(cx, reports);
        let (delivered, attempted) = self.given(has_run);
        self.log(
            cx,
            &LogMessage::AgentExited {
                message: Cow::Borrowed(&result.message),
                exit_code: result.exit_code,
                signal: result.signal,
                delivered: Some(delivered),
                attempted: Some(attempted),
            },
        );
        self.process.give_up();
        cx.timers.clear(&Timer::Limit(self.id.clone()));
        let is_cleaning = match &self.life {
            Life::Preparing(Launch { has_worktree, .. }) | Life::Running { has_worktree } => {
                *has_worktree
            }
            Life::Over { is_cleaning, .. } => *is_cleaning,
        };
        // The agent that follows needs it.
        let is_cleaning = is_cleaning && self.end != Some(EndReason::HandedOver);
        self.life = Life::Over { result, is_cleaning };
        if is_cleaning { Outcome::CleanWorktree } else { Outcome::RoomFreed }
    }

    /// The last line of the relay that the agent was given for sure, and the last one that it may
    /// have been given.
    fn given(&mut self, has_run: bool) -> (u64, u64) {
        let received = self.link.received();
        let before = |lines: usize| received.saturating_sub(u64::try_from(lines).unwrap_or(0));
        let (held, _) = self.succession.held();
        let delivered = before(self.conversation.pending() + held);
        let attempted = before(self.conversation.unwritten() + held);
        (delivered, if has_run { attempted } else { delivered })
    }

    fn stop(&mut self, cx: &mut Cx<'_>) -> Outcome {
        self.end(cx, EndReason::Interrupted(String::from("a person ended it")))
    }

    /// It no longer belongs to this worker: the copy running here ends immediately.
    pub(super) fn lose(&mut self, cx: &mut Cx<'_>, reason: String) -> Outcome {
        self.end(cx, EndReason::NotOurs(reason))
    }

    /// Starts ending it. The first reason counts, unless a later one is that it is no longer ours.
    pub(super) fn end(&mut self, cx: &mut Cx<'_>, reason: EndReason) -> Outcome {
        let is_lost = matches!(reason, EndReason::NotOurs(_));
        if self.end.is_none() || is_lost {
            self.end = Some(reason);
        }
        if is_lost {
            self.renewal = Renewal::NotNeeded;
            self.link.close(cx.fx);
        }
        match self.life {
            Life::Preparing(_) => {
                self.over(cx, Err(String::from("the session ended before it could start")))
            }
            Life::Running { .. } => {
                if is_lost {
                    self.process.kill(cx.fx);
                } else {
                    self.process.terminate(cx.fx);
                }
                Outcome::Nothing
            }
            Life::Over { .. } => Outcome::Nothing,
        }
    }

    /// Its last lines are waited for until `deadline` at most.
    pub(super) const fn limit_flush(&mut self, deadline: Instant) {
        self.flush_deadline = Some(deadline);
    }

    /// Nothing more is waited for.
    pub(super) fn kill(&mut self, cx: &mut Cx<'_>) {
        self.flush_deadline = Some(cx.now());
        self.process.kill(cx.fx);
    }

    /// Whether it is over, and the relay either has its last lines or they need not be waited for.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        let Life::Over { is_cleaning, .. } = self.life else { return false };
        let is_late = self.flush_deadline.is_some_and(|at| at <= now);
        // A newer lease brings a link for its last lines.
        let is_cut_off = self.link.is_over() && !matches!(self.renewal, Renewal::Superseded { .. });
        is_late || (!is_cleaning && (self.link.is_flushed() || is_cut_off))
    }

    /// Closes whatever it still has open.
    pub(super) fn settle(mut self, cx: &mut Cx<'_>) -> Ended {
        self.link.close(cx.fx);
        for timer in [Timer::Limit, Timer::Heartbeat, Timer::Session] {
            cx.timers.clear(&timer(self.id.clone()));
        }
        let result = match self.life {
            Life::Over { result, .. } => Some(result),
            Life::Preparing(_) | Life::Running { .. } => None,
        };
        let is_handed_over = self.end == Some(EndReason::HandedOver);
        let is_ours = !is_handed_over && !matches!(self.end, Some(EndReason::NotOurs(_)));
        Ended {
            lease: self.lease,
            result: result.filter(|_| is_ours),
            is_handed_over,
            is_forced: self.end.is_some(),
            mcp_file: self.mcp_file,
        }
    }

    /// When one of its parts next has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let flush = self.flush_deadline.filter(|_| !self.takes_room());
        let parts = [
            self.link.deadline(),
            self.process.deadline(),
            self.stderr.deadline(),
            self.strays.deadline(),
            self.succession.deadline(),
            self.conversation.deadline(),
            self.renewal.deadline(),
        ];
        parts.into_iter().chain([flush]).flatten().min()
    }

    /// Holds the agent back while the relay is behind on its output, or while it leaves the answers
    /// that it gets here unread: it cannot ask faster than it listens.
    fn balance(&mut self, cx: &mut Cx<'_>) {
        let waiting = self.link.unacked_bytes() + self.conversation.own_bytes();
        self.process.balance(cx.fx, waiting);
    }

    fn report_stderr(&mut self, cx: &mut Cx<'_>, report: Option<stderr::Report>) {
        if let Some(stderr::Report { text, dropped }) = report {
            self.log(cx, &LogMessage::AgentStderr { text: text.into(), dropped });
        }
    }

    /// Adds a message from the worker itself to the session's log.
    fn log(&mut self, cx: &mut Cx<'_>, message: &LogMessage<'_>) {
        if let Ok(message) = RawValue::from_string(message.to_line().as_str().into()) {
            self.link.send_report(cx.fx, Purpose::Link(self.id.clone()), message);
        }
    }

    /// The conversation that its agent has come to, if that has changed.
    pub(super) const fn take_conversation(&mut self) -> Option<Option<String>> {
        self.kept_conversation.take()
    }

    /// Whether its link has come up since the last call.
    pub(super) const fn take_up(&mut self) -> bool {
        core::mem::replace(&mut self.is_newly_up, false)
    }

    fn names(&self) -> (SessionId, WorkId) {
        (self.id.clone(), self.lease.work.clone())
    }
}
