//! The built-in agent: a shell that speaks stream-json on its stdio, for machines without any other
//! agent, and for trying Footbridge out. It needs no account.
//!
//! Each `user` message is a command line. The agent asks whether it may run it, runs it by
//! `/bin/sh`, and tells what it printed, in the words that Claude Code uses:
//!
//! ```text
//!          user                  allow                  it ended
//!   idle ───────▶ asking ───────────────────▶ running ───────────▶ idle
//!                   │  deny, interrupt, end of input                 ▲
//!                   └────────────────────────────────────────────────┘
//! ```
//!
//! | file | idea |
//! | --- | --- |
//! | `input` | what a line from the host asks for |
//! | `permission` | modes, and the host's answer to a question |
//! | `turn` | from a message to its result |
//! | `child` | one running command: started, listened to, ended |
//! | `output` | what is kept of its output |
//! | `say` | the messages that the agent prints |
//! | `stdout` | how far the reader is behind |

mod child;
mod input;
mod output;
mod permission;
mod say;
mod stdout;
mod turn;

#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use fastrand::Rng;

use crate::base::id::OpId;
use crate::base::limits::{AGENT_FLUSH_TIMEOUT, MAX_LINE_BYTES, MAX_SEEN_PROMPTS};
use crate::base::text::Text;
use crate::base::time::Now;
use crate::contract::action::{Action, Message, Target};
use crate::contract::event::{Event, Output};
use crate::contract::machine::{Machine, MachineError, MachineErrorKind, Step};
use crate::engine::effects::Effects;
use crate::engine::timer::Timers;
use crate::transport::dedupe::Recent;
use crate::wire::message::MessageError;
use crate::wire::ndjson::{Line, Splitter};

use input::{Input, Prompt};
pub use permission::PermissionMode;
use stdout::Backlog;
use turn::{Stage, Turn};

/// What the agent is told when it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory in which commands run, as an absolute path.
    pub directory: String,
    /// The conversation's id; `None` draws one.
    pub session_id: Option<String>,
    /// Whether commands are asked about.
    pub permission_mode: PermissionMode,
    /// Variables of the agent's own environment that no command is to inherit (T-5).
    pub env_remove: Vec<String>,
    /// Where all ids are drawn from.
    pub seed: u64,
}

/// What the program can ask of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// End the running command, if there is one, and then yourself.
    Shutdown,
    /// The same, and a running command is killed at once.
    ShutdownNow,
}

/// What the agent tells its program, for people to read on stderr. It never quotes a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A line from the host was skipped.
    Skipped(MessageError),
    /// A line from the host was longer than [`MAX_LINE_BYTES`] and was skipped.
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A `control_request` without a `request_id` cannot be answered.
    Unanswerable,
    /// A command did not end although it was killed.
    Abandoned,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped(reason) => write!(f, "skipped a line of input: {reason}"),
            Self::TooLong { bytes } => write!(
                f,
                "skipped a line of input: it has {bytes} bytes, more than the limit of {MAX_LINE_BYTES}"
            ),
            Self::Unanswerable => {
                f.write_str("skipped a control_request: it has no request_id to answer to")
            }
            Self::Abandoned => f.write_str("a command did not end although it was killed"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Stdio,
    Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The running command was asked to end; now it is killed.
    Kill,
    /// The running command is not waited for any longer.
    LetGo,
    /// The last words are not waited for any longer.
    Flush,
}

/// The shell agent as a machine. See the [module](self).
#[derive(Debug)]
pub struct Agent {
    directory: String,
    env_remove: Vec<String>,
    session_id: String,
    mode: PermissionMode,
    fx: Effects<Purpose, Notice>,
    timers: Timers<Timer>,
    rng: Rng,
    stdio: OpId,
    lines: Splitter,
    backlog: Backlog,
    input_paused: bool,
    turn: Option<Turn>,
    waiting: VecDeque<Prompt>,
    seen: Recent,
    /// Nothing more is started: the input has ended, or the program wants the end.
    ending: bool,
}

impl Agent {
    /// An agent that waits for its first message.
    pub fn new(config: Config) -> Self {
        let mut fx = Effects::new();
        let stdio = fx.start(Purpose::Stdio, |op| Action::Open { op, target: Target::Stdio });
        let mut rng = Rng::with_seed(config.seed);
        let session_id = config.session_id.unwrap_or_else(|| uuid(&mut rng));
        Self {
            directory: config.directory,
            env_remove: config.env_remove,
            session_id,
            mode: config.permission_mode,
            fx,
            timers: Timers::new(),
            rng,
            stdio,
            lines: Splitter::new(MAX_LINE_BYTES),
            backlog: Backlog::default(),
            input_paused: false,
            turn: None,
            waiting: VecDeque::new(),
            seen: Recent::new(MAX_SEEN_PROMPTS),
            ending: false,
        }
    }

    fn received(&mut self, message: &Message) {
        let Message::Binary(bytes) = message else { return };
        let mut lines = VecDeque::new();
        if bytes.is_empty() {
            self.lines.finish(|line| lines.push_back(line));
        } else {
            self.lines.push(bytes.clone(), |line| lines.push_back(line));
        }
        for line in lines {
            self.line(line);
            self.settle();
        }
        if bytes.is_empty() {
            self.input_ended();
        }
    }

    fn line(&mut self, line: Line) {
        let bytes = match line {
            Line::Whole(bytes) => bytes,
            Line::TooLong { bytes, .. } => return self.fx.notify(Notice::TooLong { bytes }),
        };
        let input = Text::from_utf8(bytes)
            .map_err(|_| MessageError::NotJson)
            .and_then(|text| Input::parse(&text));
        match input {
            Err(reason) => self.fx.notify(Notice::Skipped(reason)),
            Ok(Input::Unanswerable) => self.fx.notify(Notice::Unanswerable),
            Ok(Input::Ignored) => {}
            Ok(Input::Prompt(prompt)) => self.prompt(prompt),
            Ok(Input::Request { id, request }) => self.request(&id, request),
            Ok(Input::Answer { id, verdict }) => self.answered(&id, verdict),
            Ok(Input::Withdraw { id }) => self.withdrawn(&id),
        }
    }

    /// The host has closed its side: it still reads, but it answers nothing any more.
    fn input_ended(&mut self) {
        self.ending = true;
        match self.turn.as_ref().map(|turn| &turn.stage) {
            Some(Stage::Asking { .. }) => self.refuse(turn::NOBODY_TO_ASK),
            Some(Stage::Running(_)) => self.stop_command(),
            None => {}
        }
    }

    /// Nobody reads any more.
    fn stdio_closed(&mut self) {
        self.fx.finish(self.stdio);
        self.timers.clear(&Timer::Flush);
        self.shut_down();
    }

    fn shut_down(&mut self) {
        self.ending = true;
        self.waiting.clear();
        self.stop_turn();
    }

    /// Begins the next turn if there is one to begin, and ends the agent if it is done.
    fn settle(&mut self) {
        while self.turn.is_none() {
            let Some(prompt) = self.waiting.pop_front() else { break };
            self.begin(prompt);
        }
        if !self.ending || self.turn.is_some() || self.fx.is_ended() {
            return;
        }
        if self.fx.purpose(self.stdio).is_none() {
            self.fx.end(Ok(()));
        } else if !self.is_closing() {
            self.fx.act(self.stdio, |op| Action::Close { op, code: 1000 });
            self.timers.set(Timer::Flush, self.fx.now().mono + AGENT_FLUSH_TIMEOUT);
        }
    }

    /// Whether the last word has been said.
    fn is_closing(&self) -> bool {
        self.timers.is_set(&Timer::Flush)
    }

    fn tick(&mut self) {
        while let Some((timer, _)) = self.timers.pop_due(self.fx.now().mono) {
            match timer {
                Timer::Kill => self.kill_command(),
                Timer::LetGo => self.let_go(),
                Timer::Flush => {
                    self.fx.cancel(self.stdio);
                    self.fx.end(Ok(()));
                }
            }
        }
    }

    /// Keeps what waits for the reader bounded: first the command waits, then the host.
    fn keep_pace(&mut self) {
        if let Some(Turn { stage: Stage::Running(running), .. }) = &mut self.turn
            && let Some(pause) = self.backlog.command_should_pause(running.paused)
        {
            running.paused = pause;
            let op = running.op;
            self.fx.act(op, |op| if pause { Action::Pause { op } } else { Action::Resume { op } });
        }
        if let Some(pause) = self.backlog.input_should_pause(self.input_paused) {
            self.input_paused = pause;
            self.fx.act(self.stdio, |op| {
                if pause { Action::Pause { op } } else { Action::Resume { op } }
            });
        }
    }

    fn stdio_event(&mut self, event: Event) {
        match event {
            Event::Received { message, .. } if !self.is_closing() => self.received(&message),
            Event::Sent { messages, .. } => self.backlog.sent(messages),
            Event::Closed { .. } => self.stdio_closed(),
            Event::Failed { op, failure } => {
                self.fx.finish(op);
                let message = format!("cannot use the standard input and output: {failure}");
                self.fx.end(Err(MachineError { kind: MachineErrorKind::Local, message }));
            }
            _ => {}
        }
    }

    fn command_event(&mut self, event: Event) {
        match event {
            Event::Stdout { data, .. } | Event::Stderr { data, .. } => self.output(&data),
            Event::OutputEnded { output: Output::Stdout, .. } => self.output_ended(),
            Event::Exited { status, .. } => self.exited(status),
            Event::Failed { failure, .. } => self.not_started(&failure),
            _ => {}
        }
    }
}

impl Machine for Agent {
    type Command = Command;
    type Notice = Notice;

    fn command(&mut self, now: Now, command: Command) {
        self.fx.advance(now);
        if self.fx.is_ended() {
            return;
        }
        self.shut_down();
        if command == Command::ShutdownNow {
            self.kill_command();
        }
        self.tick();
        self.settle();
        self.keep_pace();
    }

    fn handle(&mut self, now: Now, event: Event) {
        self.fx.advance(now);
        if self.fx.is_ended() {
            return;
        }
        match event.op().and_then(|op| self.fx.purpose(op)) {
            Some(Purpose::Stdio) => self.stdio_event(event),
            Some(Purpose::Command) => self.command_event(event),
            None => {}
        }
        self.tick();
        self.settle();
        self.keep_pace();
    }

    fn step(&mut self) -> Step<Notice> {
        self.fx.step(self.timers.next())
    }
}

/// A UUID of version 4 (RFC 9562).
fn uuid(rng: &mut Rng) -> String {
    let random = rng.u128(..);
    let bits = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
