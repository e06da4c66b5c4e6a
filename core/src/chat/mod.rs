//! One agent, a person at its terminal, and viewers elsewhere: all in one conversation (B-1).
//!
//! ```text
//!   terminal ⇄ ┐
//!              ├ Chat ⇄ agent: questions to both, the first answer counts
//!   viewers ⇄  ┘
//! ```
//!
//! The machine runs the agent and keeps the rules between the two sides. How the viewers are reached is
//! none of its business: a program passes [`ChatNotice::Viewers`] on to a
//! [`Bridge`](crate::bridge::Bridge), and what comes in there back as [`ChatCommand::Viewers`]. Without a
//! relay the conversation at the terminal goes on.

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use fastrand::Rng;
use serde::Deserialize;

use crate::base::limits::OUTBOX_HIGH_WATER_BYTES;
use crate::base::text::Text;
use crate::bridge::Init;
use crate::contract::action::ProcessSpec;
use crate::contract::event::{Event, ExitStatus};
use crate::contract::machine::{MachineError, MachineErrorKind};
use crate::engine::runner::{self, Role, Runner, delegate_machine};
use crate::engine::uuid::uuid;
use crate::hosting::answerer::Callbacks;
use crate::hosting::audience::{Audience, ClientKey};
use crate::hosting::conversation::conversation_of;
use crate::hosting::served::{Agent, Out, Turn};
use crate::wire::control;
use crate::wire::latitude::Latitude;
use crate::wire::log_message::OWN_TYPE;
use crate::wire::message::{Head, Kind};

type Cx = runner::Cx<(), Timer, ChatNotice>;

/// The machine's own requests, the person at the terminal, and everybody elsewhere.
const OWN: ClientKey = 0;
const TERMINAL: ClientKey = 1;
const VIEWERS: ClientKey = 2;

/// What runs beside an agent is decided where it runs.
const NO_LATITUDE: &str = "this agent belongs to a terminal: only there can that be changed";

fn refused(head: &Head<'_>) -> Out {
    let id = head.request_id.as_deref().unwrap_or_default();
    Vec::from([(control::error(id, NO_LATITUDE), Audience::Only(VIEWERS))])
}

/// Whoever declares hooks has to be asked about each of them.
const NO_CALLBACKS: &str =
    "hooks and MCP servers of a viewer cannot be used here: this agent belongs to a terminal";

/// The agent, and how it ends.
#[derive(Clone, Debug)]
pub struct ChatConfig {
    /// The agent.
    pub agent: ProcessSpec,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
    /// Names messages.
    pub seed: u64,
}

/// What a program asks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatCommand {
    /// The person at the terminal says, answers or asks for something: a message as the agent reads it.
    Terminal(Text),
    /// The same of a viewer.
    Viewers(Text),
    /// Viewers are behind: the agent prints nothing more for now, or may again.
    Behind(bool),
    /// The agent ends, and with it the machine.
    Shutdown,
    /// At once.
    ShutdownNow,
}

/// What it tells a program.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatNotice {
    /// The agent is running.
    Started {
        /// Its process.
        pid: u32,
    },
    /// What the agent has said about itself (B-1).
    Init(Box<Init>),
    /// The agent has said what it calls this conversation, by which it can be taken up again.
    Conversation(String),
    /// A line for the terminal.
    Terminal {
        /// Who says it.
        from: Voice,
        /// The message.
        line: Text,
    },
    /// A line for viewers.
    Viewers(Text),
    /// So many lines of viewers are with the agent.
    ViewersTaken {
        /// How many.
        lines: usize,
    },
    /// So many turns have ended.
    Turns(u64),
    /// The agent has ended like this; the last notice but what could not be ended with it.
    Over(ExitStatus),
    /// What could not be ended of everything that the agent had started.
    Survived {
        /// Each by its process id and name.
        processes: Vec<String>,
    },
}

/// Who says what a terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// The agent.
    Agent,
    /// A viewer.
    Viewer,
    /// The program itself: what it did not pass on, and why.
    Program,
}

/// The machine. See the [module](self).
#[derive(Debug)]
pub struct Chat {
    runner: Runner<Chatting>,
}

delegate_machine!(Chat, ChatCommand, ChatNotice);

impl Chat {
    /// Starts the agent with its first step.
    pub fn new(config: ChatConfig) -> Self {
        let mut cx = Cx::new();
        let mut agent = Agent::new(config.grace, Callbacks::Refused(NO_CALLBACKS));
        agent.start(&mut cx.fx, (), config.agent);
        let rng = Rng::with_seed(config.seed);
        let role =
            Chatting { agent, rng, untaken: 0, turns: 0, is_ending: false, is_behind: false };
        Self { runner: Runner::new(role, cx) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Agent,
}

#[derive(Debug)]
struct Chatting {
    agent: Agent,
    rng: Rng,
    /// Lines of viewers that are not known to be with the agent.
    untaken: usize,
    turns: u64,
    is_ending: bool,
    is_behind: bool,
}

impl Chatting {
    fn publish(&mut self, cx: &mut Cx, source: Voice, out: Out) {
        for (line, audience) in out {
            if audience == Audience::Only(OWN) {
                if let Some(init) = init_in(&line) {
                    cx.fx.notify(ChatNotice::Init(Box::new(init)));
                }
                continue;
            }
            let head = Head::parse(&line).unwrap_or_default();
            if audience.includes(TERMINAL) {
                let from = match source {
                    _ if head.kind == OWN_TYPE => Voice::Program,
                    Voice::Viewer if head.kind() == Kind::User => Voice::Viewer,
                    _ => Voice::Agent,
                };
                cx.fx.notify(ChatNotice::Terminal { from, line: line.clone() });
            }
            if audience.includes(VIEWERS) && head.kind != OWN_TYPE {
                cx.fx.notify(ChatNotice::Viewers(line.clone()));
            }
            if head.kind == "system"
                && head.subtype.as_deref() == Some("init")
                && let Some(conversation) = conversation_of(&line)
            {
                cx.fx.notify(ChatNotice::Conversation(conversation));
            }
            if head.kind == "result" {
                self.turns += 1;
                cx.fx.notify(ChatNotice::Turns(self.turns));
            }
        }
    }

    /// A line of the terminal, with a name if it needs one.
    fn named(&mut self, line: Text) -> Text {
        let Ok(head) = Head::parse(&line) else { return line };
        match head.kind() {
            Kind::User if head.uuid.is_none() => {
                control::with_name(&line, "uuid", &uuid(&mut self.rng))
            }
            Kind::ControlRequest if head.request_id.is_none() => {
                control::with_name(&line, "request_id", &uuid(&mut self.rng))
            }
            _ => line,
        }
    }

    fn on_agent(&mut self, cx: &mut Cx, turns: Vec<Turn>) {
        for turn in turns {
            match turn {
                Turn::Started { pid } => {
                    cx.fx.notify(ChatNotice::Started { pid });
                    let ask = control::request("chat-init", "initialize");
                    let out = self.agent.heard(&mut cx.fx, OWN, &ask);
                    self.publish(cx, Voice::Agent, out);
                }
                Turn::Said(out) => self.publish(cx, Voice::Agent, out),
                Turn::Survived(processes) => cx.fx.notify(ChatNotice::Survived { processes }),
                Turn::Over(result) => self.over(cx, result),
            }
        }
    }

    fn over(&mut self, cx: &mut Cx, result: Result<Option<ExitStatus>, String>) {
        let out = self.agent.over();
        self.publish(cx, Voice::Agent, out);
        let outcome = match result {
            Err(ref reason) => Err(format!("the agent could not be started: {reason}")),
            Ok(Some(status)) if self.is_ending || status.is_success() => Ok(()),
            Ok(None) if self.is_ending => Ok(()),
            Ok(status) => {
                let how = status.map_or_else(|| "did not end".to_string(), |it| format!("{it}"));
                let tail = self.agent.process.stderr_tail();
                let tail = if tail.is_empty() { tail } else { format!(": {tail}") };
                Err(format!("the agent has ended ({how}){tail}"))
            }
        };
        let status = match (&outcome, result) {
            // What was asked for is no failure, whatever signal it took.
            (Ok(()), _) => ExitStatus::Code(0),
            (Err(_), Ok(Some(status))) => status,
            (Err(_), _) => ExitStatus::Code(1),
        };
        cx.fx.notify(ChatNotice::Over(status));
        let fault = |message| MachineError { kind: MachineErrorKind::Local, message };
        cx.fx.end(outcome.map_err(fault));
    }
}

impl Role for Chatting {
    type Command = ChatCommand;
    type Notice = ChatNotice;
    type Purpose = ();
    type Timer = Timer;

    fn on_command(&mut self, cx: &mut Cx, command: ChatCommand) {
        match command {
            ChatCommand::Terminal(line) => {
                let line = self.named(line);
                let out = self.agent.heard(&mut cx.fx, TERMINAL, &line);
                self.publish(cx, Voice::Agent, out);
            }
            ChatCommand::Viewers(line) => {
                self.untaken += 1;
                let head = Head::parse(&line).unwrap_or_default();
                let out = match Latitude::of(&head, &line) {
                    None | Some(Latitude::Mode | Latitude::Other) => {
                        self.agent.heard(&mut cx.fx, VIEWERS, &line)
                    }
                    Some(_) => refused(&head),
                };
                self.publish(cx, Voice::Viewer, out);
            }
            ChatCommand::Behind(is_behind) => self.is_behind = is_behind,
            ChatCommand::Shutdown => {
                self.is_ending = true;
                self.agent.process.terminate(&mut cx.fx);
            }
            ChatCommand::ShutdownNow => {
                self.is_ending = true;
                self.agent.process.kill(&mut cx.fx);
            }
        }
    }

    fn on_event(&mut self, cx: &mut Cx, event: Event) {
        let turns = self.agent.handle(&mut cx.fx, event);
        self.on_agent(cx, turns);
    }

    fn on_timer(&mut self, cx: &mut Cx, timer: Timer) {
        match timer {
            Timer::Agent => {
                let turns = self.agent.on_time(&mut cx.fx);
                self.on_agent(cx, turns);
            }
        }
    }

    fn settle(&mut self, cx: &mut Cx) {
        if cx.fx.is_ended() {
            return;
        }
        if self.untaken > 0 && !self.agent.is_full() {
            let lines = core::mem::take(&mut self.untaken);
            cx.fx.notify(ChatNotice::ViewersTaken { lines });
        }
        let waiting = if self.is_behind { OUTBOX_HIGH_WATER_BYTES + 1 } else { 0 };
        self.agent.process.balance(&mut cx.fx, waiting);
        match self.agent.deadline() {
            Some(at) => cx.timers.set(Timer::Agent, at),
            None => cx.timers.clear(&Timer::Agent),
        }
    }
}

/// What an agent's answer to `initialize` says about it.
fn init_in(line: &Text) -> Option<Init> {
    #[derive(Deserialize)]
    struct Answer {
        response: Outer,
    }
    #[derive(Deserialize)]
    struct Outer {
        #[serde(default)]
        response: Body,
    }
    #[derive(Default, Deserialize)]
    struct Body {
        #[serde(default)]
        commands: Vec<Named>,
        #[serde(default)]
        agents: Vec<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        name: String,
    }
    let Answer { response: Outer { response: Body { commands, agents } } } =
        serde_json::from_str(line.as_str()).ok()?;
    let names = |all: Vec<Named>| all.into_iter().map(|one| one.name).collect();
    Some(Init { commands: names(commands), agents: names(agents), ..Init::default() })
}
