//! An agent that follows another in its session, after the worker has restarted (W-13).
//!
//! ```text
//!   the last one's conversation is known,       it answers, or is silent too long
//!   and this kind of agent can resume one ──▶ Trying ─────────────────────────────▶ Settled
//!                                                │ it ends
//!                                                ▼
//!   otherwise ─────────────────────────────▶ Restarting ──── it starts ───────────▶ Settled
//! ```
//!
//! An agent that cannot resume says so by ending. Until it has shown that it is alive, it is given
//! no message, so that none is lost with it: another one starts instead, without the conversation.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Session;
use super::agent_command::Opening;
use crate::base::limits::RESUME_TRIAL;
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::contract::action::ProcessSpec;
use crate::hosting::process::Process;
use crate::wire::control;
use crate::wire::log_message::LogMessage;
use crate::wire::worker_api::work::Interrupted;
use crate::worker::config::WorkerConfig;
use crate::worker::continuity::Beginning;
use crate::worker::cx::{Cx, Purpose};
use crate::worker::notice::WorkerNotice;

/// How a session's agent stands to the one before.
#[derive(Debug)]
pub(super) enum Succession {
    /// There was none before, or it has been said what became of its conversation.
    Settled,
    /// There was none before in this session, and it is to continue a conversation of another one.
    Continuing { conversation: String },
    /// It is being found out whether it can resume the conversation.
    Trying {
        conversation: String,
        /// What it was at when it was cut off.
        interrupted: Interrupted,
        /// What to start if it cannot.
        instead: ProcessSpec,
        /// Messages for it, in order, by number.
        held: Vec<(u64, Text)>,
        /// Once it has started.
        until: Option<Instant>,
    },
    /// It knows nothing of the conversation; why.
    Restarting { reason: String },
}

impl Succession {
    /// The command of a session's first agent in this run of the worker, and how that one stands to
    /// the one before. `asked` is the conversation that the session was made to continue; `command` makes
    /// the command.
    pub(super) fn begin(
        config: &WorkerConfig,
        (beginning, interrupted): (Beginning, Interrupted),
        asked: Option<&str>,
        command: impl Fn(Opening<'_>) -> Result<ProcessSpec, String>,
    ) -> (Result<ProcessSpec, String>, Self) {
        let fresh = command(Opening::New);
        let restarting = |reason: &str| Self::Restarting { reason: reason.into() };
        let conversation = match beginning {
            Beginning::First => {
                let continuing = |asked: &str| Self::Continuing { conversation: asked.into() };
                return (command(Opening::Asked), asked.map_or(Self::Settled, continuing));
            }
            Beginning::Forgotten => {
                return (fresh, restarting("what its worker knew of the conversation is gone"));
            }
            Beginning::Again { conversation } => conversation,
        };
        match (conversation, &config.agent_resume, fresh) {
            (Some(conversation), Some(_), Ok(instead)) => {
                let resuming = command(Opening::In(&conversation, interrupted));
                let held = Vec::new();
                let trying = Self::Trying { conversation, interrupted, instead, held, until: None };
                (resuming, trying)
            }
            (None, Some(_), fresh) => {
                (fresh, restarting("the one before had not named its conversation yet"))
            }
            (_, _, fresh) => (fresh, restarting("this agent cannot resume a conversation")),
        }
    }

    /// How many lines wait for the end of the trial, and their bytes.
    pub(super) fn held(&self) -> (usize, usize) {
        match self {
            Self::Trying { held, .. } => {
                (held.len(), held.iter().map(|(_, line)| line.len()).sum())
            }
            Self::Settled | Self::Continuing { .. } | Self::Restarting { .. } => (0, 0),
        }
    }

    /// When the trial is over, whatever the agent says.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Trying { until, .. } => *until,
            Self::Settled | Self::Continuing { .. } | Self::Restarting { .. } => None,
        }
    }
}

impl Session {
    /// Its agent has started.
    pub(super) fn agent_started(&mut self, cx: &mut Cx<'_>) {
        match &mut self.succession {
            Succession::Settled => {}
            Succession::Continuing { conversation } => {
                let conversation = Cow::Owned(core::mem::take(conversation));
                self.succession = Succession::Settled;
                let message =
                    Cow::Borrowed("The agent was started to continue an earlier conversation.");
                self.log(cx, &LogMessage::AgentResumed { message, conversation });
            }
            Succession::Trying { until, .. } => {
                *until = Some(cx.now() + RESUME_TRIAL);
                // It is answered by an agent that has resumed, whoever else asks it later.
                let id = format!("worker-{}", self.link.agent_run());
                self.write_own(cx, &control::request(&id, "initialize"));
            }
            Succession::Restarting { reason } => {
                let reason = core::mem::take(reason);
                self.succession = Succession::Settled;
                self.say_restarted(cx, reason);
            }
        }
    }

    fn say_restarted(&mut self, cx: &mut Cx<'_>, reason: String) {
        let message = format!("The worker restarted, and a new agent has started: {reason}.");
        self.log(cx, &LogMessage::AgentRestarted { message: Cow::Owned(message) });
        let (session, work) = self.names();
        cx.notify(WorkerNotice::AgentRestarted { session, work, reason });
    }

    /// It has printed a line. One that cannot resume prints nothing but its `result`.
    pub(super) fn agent_spoke(&mut self, cx: &mut Cx<'_>) {
        self.has_resumed(cx);
    }

    /// The deadline of its trial may have passed.
    pub(super) fn succession_due(&mut self, cx: &mut Cx<'_>) {
        if self.succession.deadline().is_some_and(|at| at <= cx.now()) {
            self.has_resumed(cx);
        }
    }

    fn has_resumed(&mut self, cx: &mut Cx<'_>) {
        if !matches!(self.succession, Succession::Trying { .. }) {
            return;
        }
        let succession = core::mem::replace(&mut self.succession, Succession::Settled);
        let Succession::Trying { conversation, interrupted, held, .. } = succession else { return };
        let message = Cow::Borrowed(match interrupted {
            Interrupted::Turn => {
                "The worker restarted, and the agent continues. What it was doing was cut off, and may have taken effect."
            }
            Interrupted::Nothing | Interrupted::Question => {
                "The worker restarted, and the agent continues."
            }
        });
        let conversation = Cow::Owned(conversation);
        self.log(cx, &LogMessage::AgentResumed { message, conversation });
        let (session, work) = self.names();
        cx.notify(WorkerNotice::AgentResumed { session, work });
        self.release(cx, held);
    }

    fn release(&mut self, cx: &mut Cx<'_>, held: Vec<(u64, Text)>) {
        // Acknowledged only once all of them are counted.
        for (number, line) in held {
            self.give(cx, number, &line);
        }
        self.confirm(cx);
    }

    /// Keeps a line for the agent until it is known which agent that is.
    pub(super) fn hold(&mut self, number: u64, line: &Text) -> bool {
        let Succession::Trying { held, .. } = &mut self.succession else { return false };
        held.push((number, line.clone()));
        true
    }

    /// Its process is over. If that is because it could not resume, another one starts in its
    /// place.
    pub(super) fn start_instead(&mut self, cx: &mut Cx<'_>, why: Option<&str>) -> bool {
        if self.end.is_some() || !matches!(self.succession, Succession::Trying { .. }) {
            return false;
        }
        let stderr = self.process.stderr_tail();
        let last = stderr.lines().last().or(why).unwrap_or("it ended without a word");
        let reason = format!("its conversation could not be resumed ({last})");
        let succession =
            core::mem::replace(&mut self.succession, Succession::Restarting { reason });
        let Succession::Trying { instead, held, .. } = succession else { return false };
        self.process = Process::new(cx.config.shutdown_grace, cx.config.max_line_bytes);
        self.process.start(cx.fx, Purpose::Agent(self.id.clone()), instead);
        self.kept_conversation = Some(None);
        self.say_declared(cx);
        self.release(cx, held);
        true
    }
}
