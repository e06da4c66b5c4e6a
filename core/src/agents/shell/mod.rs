//! The built-in agent: a shell that speaks stream-json on its stdio, for machines without any other
//! agent, and for trying Footbridge out. It needs no account.
//!
//! Each `user` message is a command line. The agent asks for permission, runs it with `/bin/sh`,
//! and reports its output in the same message format as Claude Code:
//!
//! ```text
//!          user                  allow                  it ended
//!   idle ───────▶ asking ───────────────────▶ running ───────────▶ idle
//!                   │  deny, interrupt, end of input                 ▲
//!                   └────────────────────────────────────────────────┘
//! ```
//!
//! | file | part |
//! | --- | --- |
//! | `turn` | from a message to its result |
//! | `child` | one running command: starting it, reading its output, ending it |
//! | `output` | what is kept of its output |
//! | `printer` | the messages that the agent prints |
//! | `stdio` | the streams they travel on, and how far behind the reader is |
//! | `input` | parsing a line from the host |
//! | `permission` | modes, and the host's answer to a question |
//! | `command_line` | which texts can be run |
//! | `cx` | the purposes of operations and timers |

mod child;
mod command_line;
mod cx;
mod input;
mod output;
mod permission;
mod printer;
mod stdio;
mod turn;

#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Value, json};

use crate::base::limits::{MAX_QUEUED_PROMPTS, MAX_SEEN_PROMPTS};
use crate::base::text::Text;
use crate::contract::action::Message;
use crate::contract::event::Event;
use crate::contract::machine::{MachineError, MachineErrorKind};
use crate::engine::runner::{Role, Runner, delegate_machine};
use crate::transport::dedupe::Recent;
use crate::wire::control;
use crate::wire::message::MessageError;
use crate::wire::ndjson::Line;

use child::Place;
pub use cx::Notice;
use cx::{Cx, Purpose, Timer};
use input::{Input, Prompt, Request};
pub use permission::PermissionMode;
use printer::{Account, Ending, Printer};
use stdio::Stdio;
use turn::Turn;

/// The agent's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory in which commands run, as an absolute path.
    pub directory: String,
    /// The conversation's id; `None` draws a new one.
    pub session_id: Option<String>,
    /// Whether to ask before running commands.
    pub permission_mode: PermissionMode,
    /// Variables in the agent's own environment that no command may inherit (T-5).
    pub env_remove: Vec<String>,
    /// The seed that all ids are drawn from.
    pub seed: u64,
}

/// What the program can tell the agent to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// End the running command, if any, then exit.
    Shutdown,
    /// The same, but kill a running command immediately.
    ShutdownNow,
}

/// The shell agent as a machine. See the [module](self).
#[derive(Debug)]
pub struct Agent {
    runner: Runner<Shell>,
}

delegate_machine!(Agent, Command, Notice);

impl Agent {
    /// An agent that waits for its first message.
    pub fn new(config: Config) -> Self {
        let mut cx = Cx::new();
        let stdio = Stdio::open(&mut cx);
        let Config { directory, session_id, permission_mode, env_remove, seed } = config;
        let shell = Shell {
            printer: Printer::new(stdio, session_id, directory.clone(), seed),
            place: Place { directory, env_remove },
            mode: permission_mode,
            turn: None,
            waiting: VecDeque::new(),
            seen: Recent::new(MAX_SEEN_PROMPTS),
            is_ending: false,
        };
        Self { runner: Runner::new(shell, cx) }
    }
}

/// The role: reads lines, and runs one turn after the other.
#[derive(Debug)]
struct Shell {
    printer: Printer,
    place: Place,
    mode: PermissionMode,
    turn: Option<Turn>,
    waiting: VecDeque<Prompt>,
    seen: Recent,
    /// Nothing more is started: the input has ended, or the program wants it to exit.
    is_ending: bool,
}

impl Role for Shell {
    type Command = Command;
    type Notice = Notice;
    type Purpose = Purpose;
    type Timer = Timer;

    fn on_command(&mut self, cx: &mut Cx, command: Command) {
        self.shut_down(cx);
        if let (Command::ShutdownNow, Some(turn)) = (command, &self.turn) {
            turn.kill(cx);
        }
    }

    fn on_event(&mut self, cx: &mut Cx, event: Event) {
        match event.op().and_then(|op| cx.fx.purpose(op)) {
            Some(Purpose::Stdio) => self.on_stdio(cx, event),
            Some(Purpose::Command) => {
                if let Some(turn) = &mut self.turn {
                    turn.on_command(cx, &mut self.printer, &self.place, event);
                }
            }
            None => {}
        }
    }

    fn on_timer(&mut self, cx: &mut Cx, timer: Timer) {
        match (timer, &mut self.turn) {
            (Timer::Kill, Some(turn)) => turn.kill(cx),
            (Timer::LetGo, Some(turn)) => turn.let_go(cx, &mut self.printer),
            (Timer::Kill | Timer::LetGo, None) => {}
            (Timer::Flush, _) => {
                self.printer.stdio.cancel(cx);
                cx.fx.end(Ok(()));
            }
        }
    }

    fn settle(&mut self, cx: &mut Cx) {
        self.go_on(cx);
        // Output waiting for the reader stays bounded: first the command is paused, then the host.
        if let Some(turn) = &mut self.turn {
            turn.balance(cx, &self.printer);
        }
        self.printer.stdio.balance(cx);
    }
}

impl Shell {
    fn on_stdio(&mut self, cx: &mut Cx, event: Event) {
        match event {
            Event::Received { message, .. } if !self.printer.stdio.is_closing(cx) => {
                self.received(cx, &message);
            }
            Event::Sent { messages, .. } => self.printer.stdio.sent(messages),
            Event::Closed { .. } => {
                // Nobody is reading any more.
                self.printer.stdio.closed(cx);
                self.shut_down(cx);
            }
            Event::Failed { op, failure } => {
                cx.fx.finish(op);
                let message = format!("cannot use the standard input and output: {failure}");
                cx.fx.end(Err(MachineError { kind: MachineErrorKind::Local, message }));
            }
            _ => {}
        }
    }

    fn received(&mut self, cx: &mut Cx, message: &Message) {
        let Message::Binary(chunk) = message else { return };
        for line in self.printer.stdio.split(chunk) {
            self.line(cx, line);
            self.go_on(cx);
        }
        if chunk.is_empty() {
            // The host still reads, but will not answer any more.
            self.is_ending = true;
            if let Some(turn) = &mut self.turn {
                turn.input_ended(cx, &mut self.printer);
            }
        }
    }

    fn line(&mut self, cx: &mut Cx, line: Line) {
        let bytes = match line {
            Line::Whole(bytes) => bytes,
            Line::TooLong { bytes, .. } => return cx.fx.notify(Notice::TooLong { bytes }),
        };
        let input = Text::from_utf8(bytes)
            .map_err(|_| MessageError::NotJson)
            .and_then(|text| Input::parse(&text));
        match (input, &mut self.turn) {
            (Err(reason), _) => cx.fx.notify(Notice::Skipped(reason)),
            (Ok(Input::Unanswerable), _) => cx.fx.notify(Notice::Unanswerable),
            (Ok(Input::Prompt(prompt)), _) => self.prompt(cx, prompt),
            (Ok(Input::Request { id, request }), _) => self.request(cx, &id, request),
            (Ok(Input::Answer { id, verdict }), Some(turn)) => {
                turn.answered(cx, &mut self.printer, &self.place, (&id, verdict));
            }
            (Ok(Input::Withdraw { id }), Some(turn)) => {
                turn.withdrawn(cx, &mut self.printer, &id);
            }
            (Ok(Input::Answer { .. } | Input::Withdraw { .. }), None) | (Ok(Input::Ignored), _) => {
            }
        }
    }

    /// Handles a message: queues it, or refuses it.
    fn prompt(&mut self, cx: &mut Cx, prompt: Prompt) {
        if prompt.uuid.as_ref().is_some_and(|uuid| self.seen.contains(uuid)) {
            return;
        }
        let reason = if self.is_ending {
            "The agent is ending and takes no more messages.".to_owned()
        } else if self.waiting.len() >= MAX_QUEUED_PROMPTS {
            format!("{MAX_QUEUED_PROMPTS} messages are waiting already: send it again later.")
        } else {
            // Only now, because a refused message may be sent again.
            if let Some(uuid) = &prompt.uuid {
                self.seen.insert(uuid);
            }
            return self.waiting.push_back(prompt);
        };
        let account = Account {
            duration_ms: 0,
            user_message_uuid: prompt.uuid,
            permission_denials: Vec::new(),
        };
        self.printer.print_result(cx, Ending::Refused(reason), account);
    }

    /// Answers a `control_request`.
    fn request(&mut self, cx: &mut Cx, id: &str, request: Request) {
        let printer = &mut self.printer;
        match request {
            Request::Initialize => {
                let pending: Vec<Value> =
                    self.turn.as_ref().and_then(Turn::question).into_iter().collect();
                printer.print_initialized(cx, id, &pending);
            }
            Request::Interrupt => {
                // First the withdrawal, then the interrupt's answer, then the tool's result.
                if let Some(turn) = &self.turn {
                    turn.withdraw_question(cx, printer);
                }
                printer.print_control(cx, &control::success(id, &json!({})));
                if let Some(turn) = &mut self.turn {
                    turn.stop(cx, printer);
                }
            }
            Request::SetPermissionMode(name) => match PermissionMode::parse(&name) {
                Some(mode) => {
                    self.mode = mode;
                    printer.print_control(cx, &control::success(id, &json!({"mode": name})));
                    printer.print_mode(cx, mode);
                }
                None => {
                    let error = format!(
                        "the shell agent has no permission mode \"{name}\": try default, acceptEdits or bypassPermissions"
                    );
                    printer.print_control(cx, &control::error(id, &error));
                }
            },
            Request::Unsupported(subtype) => {
                let error = format!("\"{subtype}\" is not supported by the shell agent");
                printer.print_control(cx, &control::error(id, &error));
            }
        }
    }

    fn shut_down(&mut self, cx: &mut Cx) {
        self.is_ending = true;
        self.waiting.clear();
        if let Some(turn) = &mut self.turn {
            turn.withdraw_question(cx, &mut self.printer);
            turn.stop(cx, &mut self.printer);
        }
    }

    /// Starts the next turn if there is one, and ends the agent if it is done.
    fn go_on(&mut self, cx: &mut Cx) {
        self.turn.take_if(|turn| turn.is_over());
        while self.turn.is_none() {
            let Some(prompt) = self.waiting.pop_front() else { break };
            self.begin(cx, prompt);
            self.turn.take_if(|turn| turn.is_over());
        }
        if !self.is_ending || self.turn.is_some() || cx.fx.is_ended() {
            return;
        }
        let stdio = &self.printer.stdio;
        if !stdio.is_open(cx) {
            cx.fx.end(Ok(()));
        } else if !stdio.is_closing(cx) {
            stdio.close(cx);
        }
    }

    fn begin(&mut self, cx: &mut Cx, prompt: Prompt) {
        let Some(mut turn) = Turn::begin(cx, &mut self.printer, prompt, self.mode) else { return };
        if self.is_ending {
            turn.input_ended(cx, &mut self.printer);
        } else if self.mode.asks() {
            turn.ask(cx, &mut self.printer);
        } else {
            turn.run(cx, &self.place);
        }
        self.turn = Some(turn);
    }
}
