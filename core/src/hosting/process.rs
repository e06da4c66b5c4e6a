//! One agent's process, from its start to its last byte (W-6).
//!
//! ```text
//!  Starting ──▶ Running ──▶ Terminating ──▶ Killing ──▶ Over
//!                  │   TERM        │   KILL     │   never reaped
//!                  ▼               ▼            ▼ (given up on: Clearing)
//!               Draining ────────────────▶ Clearing ──▶ Over
//!            (reaped; a child of its own      (everything that it started is killed)
//!             may hold stdout)
//! ```
//!
//! Whatever happens, once it has begun to end it is over within a bounded time. It is not over
//! before everything that it started has been killed, in whatever session or group (W-12).

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::base::id::OpId;
use crate::base::limits::{
    AGENT_DRAIN, AGENT_OUTPUT_CLOSED_GRACE, AGENT_REAP_LIMIT, AGENT_TREE_LIMIT,
    OUTBOX_HIGH_WATER_BYTES, OUTBOX_LOW_WATER_BYTES, STDERR_TAIL_BYTES,
};
use crate::base::time::Instant;
use crate::contract::action::{Action, ProcessSpec, Signal};
use crate::contract::event::{Event, ExitStatus, Output};
use crate::engine::effects::Effects;
use crate::wire::ndjson::{Line, Splitter};

/// What a process reports to its session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ProcessEvent {
    Started {
        pid: u32,
    },
    Line(Line),
    /// It wrote to stderr.
    Stderr(Bytes),
    /// The pipe has accepted these writes.
    Written {
        writes: usize,
    },
    /// What could not be ended of everything that it started. It is over next.
    Survived(Vec<String>),
    /// It is over. `Err` says why it never ran.
    Over(Result<Option<ExitStatus>, String>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Starting,
    Running,
    /// It has closed its stdout; SIGTERM follows at this instant.
    Silent(Instant),
    /// SIGTERM was sent; SIGKILL follows at this instant.
    Terminating(Instant),
    /// SIGKILL was sent; at this instant it is given up on.
    Killing(Instant),
    /// It was reaped; its output is still read until this instant.
    Draining(Instant),
    /// Everything that it started is being killed; at this instant that is given up on.
    Clearing(Instant),
    Over,
}

#[derive(Debug)]
pub(crate) struct Process {
    op: Option<OpId>,
    /// The operation that kills everything that it started.
    tree: Option<OpId>,
    phase: Phase,
    grace: Duration,
    status: Option<ExitStatus>,
    /// Whether it was ended because it had closed its stdout.
    ended_silent: bool,
    is_stdout_open: bool,
    is_stderr_open: bool,
    is_input_open: bool,
    is_paused: bool,
    /// What to write once it has started. The relay sends no more than its window ahead of what was
    /// acknowledged.
    early: Vec<Bytes>,
    splitter: Splitter,
    stderr: VecDeque<u8>,
}

impl Process {
    pub(crate) const fn new(grace: Duration, max_line_bytes: usize) -> Self {
        Self {
            op: None,
            tree: None,
            phase: Phase::Starting,
            grace,
            status: None,
            ended_silent: false,
            is_stdout_open: true,
            is_stderr_open: true,
            is_input_open: true,
            is_paused: false,
            early: Vec::new(),
            splitter: Splitter::new(max_line_bytes),
            stderr: VecDeque::new(),
        }
    }

    pub(crate) fn start<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        purpose: P,
        command: ProcessSpec,
    ) {
        let op = fx.start(purpose, |op| Action::Spawn { op, command });
        self.op = Some(op);
        for data in self.early.drain(..) {
            fx.act(op, |op| Action::Write { op, data });
        }
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// It will never start: something it needs is missing, or the session ended first.
    pub(crate) const fn give_up(&mut self) {
        if self.op.is_none() {
            self.phase = Phase::Over;
        }
    }

    /// Whether it was ended because it had closed its stdout, and did not end by itself.
    pub(crate) const fn was_ended_silent(&self) -> bool {
        self.ended_silent
    }

    /// The tail of its stderr.
    pub(crate) fn stderr_tail(&self) -> String {
        let (front, back) = self.stderr.as_slices();
        let bytes = [front, back].concat();
        let text = String::from_utf8_lossy(&bytes);
        // A character cut in half shows as replacement characters at the start.
        text.trim_start_matches('\u{fffd}').trim_end().into()
    }

    /// Writes to its stdin, if that is still open. Returns whether a `Written` will follow. Data
    /// that comes before it has started, while its worktree is being made, waits.
    pub(crate) fn write<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, data: Bytes) -> bool {
        if !self.is_input_open || self.is_over() {
            return false;
        }
        match self.op {
            Some(op) => fx.act(op, |op| Action::Write { op, data }),
            None => self.early.push(data),
        }
        true
    }

    /// Ends its stdin: nothing more will be written.
    pub(crate) fn close_input<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) {
        if let Some(op) = self.op.filter(|_| self.is_input_open) {
            self.is_input_open = false;
            fx.act(op, |op| Action::CloseInput { op });
        }
    }

    /// Pauses reading its output while the relay is behind; nothing is dropped.
    pub(crate) fn balance<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, waiting_bytes: usize) {
        let Some(op) = self.op else { return };
        if !self.is_paused && waiting_bytes > OUTBOX_HIGH_WATER_BYTES {
            self.is_paused = true;
            fx.act(op, |op| Action::Pause { op });
        } else if self.is_paused && waiting_bytes < OUTBOX_LOW_WATER_BYTES {
            self.is_paused = false;
            fx.act(op, |op| Action::Resume { op });
        }
    }

    /// Starts ending it: SIGTERM to the group, the grace period, SIGKILL (W-6).
    pub(crate) fn terminate<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) {
        if matches!(self.phase, Phase::Starting | Phase::Running | Phase::Silent(_)) {
            let now = fx.now().mono;
            self.signal(fx, Signal::Terminate);
            self.phase = Phase::Terminating(now + self.grace);
        }
    }

    /// SIGKILL to the group, immediately.
    pub(crate) fn kill<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) {
        if matches!(
            self.phase,
            Phase::Starting | Phase::Running | Phase::Silent(_) | Phase::Terminating(_)
        ) {
            let now = fx.now().mono;
            self.signal(fx, Signal::Kill);
            self.phase = Phase::Killing(now + AGENT_REAP_LIMIT);
        }
    }

    fn signal<P: Clone, N>(&self, fx: &mut Effects<P, N>, signal: Signal) {
        if let Some(op) = self.op {
            fx.act(op, |op| Action::Signal { op, signal });
        }
    }

    /// When [`on_time`](Self::on_time) has something to do.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Starting | Phase::Running | Phase::Over => None,
            Phase::Silent(at)
            | Phase::Terminating(at)
            | Phase::Killing(at)
            | Phase::Draining(at)
            | Phase::Clearing(at) => Some(at),
        }
    }

    pub(crate) fn on_time<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        mut each: impl FnMut(ProcessEvent),
    ) {
        if self.deadline().is_none_or(|at| at > fx.now().mono) {
            return;
        }
        match self.phase {
            Phase::Silent(_) => {
                self.ended_silent = true;
                self.terminate(fx);
            }
            Phase::Terminating(_) => self.kill(fx),
            Phase::Clearing(_) => {
                let unknown = String::from("whatever it started, which took too long to end");
                if let Some(op) = self.tree.take() {
                    fx.cancel(op);
                }
                self.cleared(fx, Vec::from([unknown]), &mut each);
            }
            _ => self.finish(fx, each),
        }
    }

    pub(crate) fn handle<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        event: Event,
        mut each: impl FnMut(ProcessEvent),
    ) {
        match event {
            Event::Spawned { pid, op } => match self.phase {
                Phase::Starting => {
                    self.phase = Phase::Running;
                    each(ProcessEvent::Started { pid });
                }
                // It was told to end before it ran: now there is a group to signal.
                Phase::Terminating(_) => {
                    fx.act(op, |op| Action::Signal { op, signal: Signal::Terminate });
                }
                _ => fx.act(op, |op| Action::Signal { op, signal: Signal::Kill }),
            },
            Event::TreeEnded { survivors, .. } => self.cleared(fx, survivors, &mut each),
            Event::Failed { failure, .. } if matches!(self.phase, Phase::Clearing(_)) => {
                self.cleared(fx, Vec::from([alloc::format!("{failure}")]), &mut each);
            }
            Event::Failed { op, failure } => {
                fx.finish(op);
                self.phase = Phase::Over;
                self.op = None;
                each(ProcessEvent::Over(Err(alloc::format!("{failure}"))));
            }
            Event::Stdout { data, .. } => {
                self.splitter.push(data, |line| each(ProcessEvent::Line(line)));
            }
            Event::Stderr { data, .. } => {
                self.keep_stderr(&data);
                each(ProcessEvent::Stderr(data));
            }
            Event::Written { writes, .. } => each(ProcessEvent::Written { writes }),
            Event::InputClosed { .. } => {
                self.is_input_open = false;
            }
            Event::OutputEnded { output, .. } => {
                match output {
                    Output::Stdout => self.is_stdout_open = false,
                    Output::Stderr => self.is_stderr_open = false,
                }
                self.output_ended(fx, output, each);
            }
            Event::Exited { status, .. } => {
                self.status = Some(status);
                self.phase = Phase::Draining(fx.now().mono + AGENT_DRAIN);
                if !self.is_stdout_open && !self.is_stderr_open {
                    self.finish(fx, each);
                }
            }
            _ => {}
        }
    }

    fn output_ended<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        output: Output,
        each: impl FnMut(ProcessEvent),
    ) {
        if matches!(self.phase, Phase::Draining(_)) {
            if !self.is_stdout_open && !self.is_stderr_open {
                self.finish(fx, each);
            }
        } else if output == Output::Stdout && self.phase == Phase::Running {
            // It cannot print anything more. It gets end-of-file, then a moment to exit.
            self.close_input(fx);
            self.phase = Phase::Silent(fx.now().mono + AGENT_OUTPUT_CLOSED_GRACE);
        }
    }

    fn keep_stderr(&mut self, data: &[u8]) {
        let tail = data.get(data.len().saturating_sub(STDERR_TAIL_BYTES)..).unwrap_or_default();
        let excess = (self.stderr.len() + tail.len()).saturating_sub(STDERR_TAIL_BYTES);
        self.stderr.drain(..excess.min(self.stderr.len()));
        self.stderr.extend(tail);
    }

    /// Nothing more is wanted of it: its pipes are closed, and everything that it started is killed.
    fn finish<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, mut each: impl FnMut(ProcessEvent)) {
        self.phase = Phase::Clearing(fx.now().mono + AGENT_TREE_LIMIT);
        self.is_input_open = false;
        if let Some(process) = self.op.take()
            && let Some(purpose) = fx.purpose(process)
        {
            self.tree = Some(fx.start(purpose, |op| Action::EndTree { op, process }));
            fx.cancel(process);
        }
        self.splitter.finish(|line| each(ProcessEvent::Line(line)));
    }

    /// As much of what it started has been killed as can be.
    fn cleared<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        survivors: Vec<String>,
        each: &mut impl FnMut(ProcessEvent),
    ) {
        self.phase = Phase::Over;
        if let Some(op) = self.tree.take() {
            fx.finish(op);
        }
        if !survivors.is_empty() {
            each(ProcessEvent::Survived(survivors));
        }
        each(ProcessEvent::Over(Ok(self.status)));
    }
}
