//! Whether the agent starts.
//!
//! ```text
//!             initialize          any answer to it              its end
//!   started ─────────────▶ asking ────────────────▶ finding ─────────────▶ done
//!                            │  silence for 10 s       │ stdin closed; then TERM, KILL
//!                            │  its end                ▼
//!                            └───────────────────▶ finding
//! ```
//!
//! Any answer to `initialize` will do, an error too: Claude Code and the built-in agent give theirs
//! immediately. An agent that cannot be started, ends or stays silent would leave everybody waiting
//! in its first session, so that is said now (W-15).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;

use super::super::config::AgentProgram;
use super::{Finding, Purpose};
use crate::base::limits::{CHECK_AGENT_ANSWER, CHECK_AGENT_END, COMMAND_GRACE, MAX_LINE_BYTES};
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::contract::action::ProcessSpec;
use crate::contract::event::{Event, ExitStatus};
use crate::engine::effects::Effects;
use crate::hosting::process::{Process, ProcessEvent};
use crate::wire::control;
use crate::wire::message::{Head, Kind};
use crate::wire::ndjson::Line;

/// The id of the only request.
const REQUEST_ID: &str = "footbridge-check";
/// How much of an agent's stderr is shown: this many characters from its end.
const SHOWN_STDERR: usize = 400;

/// An agent that was started to see whether it starts.
#[derive(Debug)]
pub(super) struct AgentCheck {
    program: String,
    process: Process,
    /// The finding to report once it has ended.
    finding: Option<Finding>,
    /// It printed something that is not a message.
    is_garbled: bool,
    /// When its time is up: first to answer, then to exit.
    until: Option<Instant>,
}

impl AgentCheck {
    pub(super) fn start<N>(
        fx: &mut Effects<Purpose, N>,
        agent: &AgentProgram,
        directory: String,
        env_remove: Vec<String>,
    ) -> Self {
        let env = agent.env.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
        let command = ProcessSpec {
            program: agent.program.clone(),
            args: agent.args.clone(),
            env: env.collect(),
            env_remove,
            directory: Some(directory),
        };
        let mut process = Process::new(COMMAND_GRACE, MAX_LINE_BYTES);
        process.start(fx, Purpose::Agent, command);
        let line = format!("{}\n", control::request(REQUEST_ID, "initialize").as_str());
        process.write(fx, Bytes::from(line));
        Self {
            program: agent.program.clone(),
            process,
            finding: None,
            is_garbled: false,
            until: Some(fx.now().mono + CHECK_AGENT_ANSWER),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.until.into_iter().chain(self.process.deadline()).min()
    }

    /// Handles an event of the process. Returns the finding once it has ended.
    pub(super) fn handle<N>(
        &mut self,
        fx: &mut Effects<Purpose, N>,
        event: Event,
    ) -> Option<Finding> {
        let mut told = Vec::new();
        self.process.handle(fx, event, |event| told.push(event));
        told.into_iter().find_map(|event| self.told(fx, event))
    }

    /// Does whatever is due. Returns the finding once it has ended.
    pub(super) fn on_time<N>(&mut self, fx: &mut Effects<Purpose, N>) -> Option<Finding> {
        if self.until.is_some_and(|at| at <= fx.now().mono) {
            if self.finding.is_none() {
                let finding = self.silent();
                self.conclude(fx, finding);
            } else {
                self.until = None;
                self.process.terminate(fx);
            }
        }
        let mut told = Vec::new();
        self.process.on_time(fx, |event| told.push(event));
        told.into_iter().find_map(|event| self.told(fx, event))
    }

    fn told<N>(&mut self, fx: &mut Effects<Purpose, N>, event: ProcessEvent) -> Option<Finding> {
        match event {
            ProcessEvent::Started { .. }
            | ProcessEvent::Stderr(_)
            | ProcessEvent::Written { .. }
            | ProcessEvent::Survived(_) => None,
            ProcessEvent::Line(line) => {
                self.line(fx, line);
                None
            }
            ProcessEvent::Over(over) => {
                self.until = None;
                Some(self.finding.take().unwrap_or_else(|| self.ended(over)))
            }
        }
    }

    fn line<N>(&mut self, fx: &mut Effects<Purpose, N>, line: Line) {
        let text = match line {
            Line::Whole(bytes) => Text::from_utf8(bytes).ok(),
            Line::TooLong { .. } => None,
        };
        match text.as_ref().and_then(|text| Head::parse(text).ok()) {
            None => self.is_garbled = true,
            Some(head)
                if self.finding.is_none()
                    && head.kind() == Kind::ControlResponse
                    && head.request_id.as_deref() == Some(REQUEST_ID) =>
            {
                self.conclude(fx, Finding::Ok(self.says("starts and answers")));
            }
            Some(_) => {}
        }
    }

    /// Everything is known except how it ends; ending its input makes it end.
    fn conclude<N>(&mut self, fx: &mut Effects<Purpose, N>, finding: Finding) {
        self.finding = Some(if self.is_garbled { self.garbled() } else { finding });
        self.process.close_input(fx);
        self.until = Some(fx.now().mono + CHECK_AGENT_END);
    }

    fn ended(&self, over: Result<Option<ExitStatus>, String>) -> Finding {
        match over {
            Err(reason) => Finding::local(format!(
                "{} cannot be started: {reason}; check its name, or give its path",
                self.program
            )),
            Ok(Some(status)) if status.is_success() && self.is_garbled => self.garbled(),
            Ok(status) => {
                let how = status.map_or_else(|| String::from("no exit code"), |s| s.to_string());
                let stderr = self.process.stderr_tail();
                let from = stderr.chars().count().saturating_sub(SHOWN_STDERR);
                let stderr: String = stderr.chars().skip(from).collect();
                let stderr = if stderr.is_empty() { "nothing on stderr" } else { &stderr };
                Finding::local(format!(
                    "{} ended with {how} before it had answered initialize: {stderr}",
                    self.program
                ))
            }
        }
    }

    fn silent(&self) -> Finding {
        Finding::local(format!(
            "{} starts, but has not answered initialize within {} s; does it speak stream-json, and does it need a flag for that?",
            self.program,
            CHECK_AGENT_ANSWER.as_secs()
        ))
    }

    fn garbled(&self) -> Finding {
        Finding::local(format!(
            "{} prints lines that are not stream-json messages; does it need a flag for that?",
            self.program
        ))
    }

    fn says(&self, words: &str) -> String {
        format!("{} {words}", self.program)
    }
}
