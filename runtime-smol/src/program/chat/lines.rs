//! The process at a terminal that shows lines, or at none: prints what the host tells, and passes on what
//! is typed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::IsTerminal as _;

use async_channel::Receiver;
use footbridge_cli::exit::{Error, ExitKind};
use footbridge_core::base::text::Text;
use footbridge_core::base::time::UnixTime;
use footbridge_core::remote::{Asked as Question, RemoteCommand, RemoteEvent};
use footbridge_core::wire::message::{Head, Kind};
use footbridge_core::wire::viewer::Origin;
use footbridge_smol::block_on;
use smol::future::FutureExt as _;

use super::hosted::{Heard, Hosted};
use super::talk::{Asked, Bridge, Line, Told};
use super::words;
use crate::program::args::chat::Chat as Args;
use crate::program::attach::{answer, colon, question, said, shown};
use crate::program::pressed::{Pressed, Presses};
use crate::program::printed::Printed;
use crate::program::question::{TOO_SOON, TakenAway};
use crate::program::typed::{self, Typed};

/// Lines that are taken from standard input at once.
const AT_ONCE: usize = 16;

const HELP: &str = "  /detach       give the terminal back; the agent goes on, and viewers drive it
  /exit         end the agent and the session
  :mode MODE    default, acceptEdits, plan, …
  :model MODEL  another model
";

pub(super) fn run(ask: &Args) -> Result<(), Error> {
    let presses = Presses::listen()?;
    let (hosted, heard) = Hosted::start()?;
    let (lines, taken) = typed::standard_input(AT_ONCE);
    let terminal = Terminal {
        hosted,
        open: RefCell::default(),
        taken_away: RefCell::default(),
        bridge: RefCell::default(),
        is_terminal: std::io::stdin().is_terminal(),
        has_input_ended: Cell::new(false),
        said: Cell::new(0),
        unsaid: Cell::new(0),
        results: Cell::new(0),
        printed: RefCell::default(),
        agent: words::agent(ask).to_owned(),
    };
    let typing = async {
        while let Ok(line) = lines.recv().await {
            let _ = taken.try_recv();
            match line {
                Typed::Line(line) => terminal.typed(&line),
                Typed::Unreadable(why) => {
                    eprintln!("not sent: {why}");
                    terminal.unsaid.set(terminal.unsaid.get() + 1);
                }
            }
        }
        terminal.input_has_ended();
        std::future::pending().await
    };
    let pressing = presses.forward(|pressed| match pressed {
        Pressed::Once => {
            eprintln!("(interrupted; Ctrl-C again ends it)");
            terminal.hosted.interrupt();
        }
        Pressed::Leave => terminal.hosted.close_input(),
    });
    let left = block_on(terminal.follow(&heard).or(typing).or(pressing));
    let Terminal { hosted, is_terminal, unsaid, printed, .. } = terminal;
    if left == Left::Ended {
        hosted.conclude(&heard)?;
    }
    printed.into_inner().outcome()?;
    // A person has read what was not sent; a script learns it from the exit code.
    typed::unsent(if is_terminal { 0 } else { unsaid.get() }, ExitKind::Local)
}

/// How the terminal was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Detached,
    Ended,
}

struct Terminal {
    hosted: Hosted,
    open: RefCell<VecDeque<Question>>,
    taken_away: RefCell<TakenAway>,
    bridge: RefCell<Bridge>,
    is_terminal: bool,
    has_input_ended: Cell<bool>,
    /// Messages that were typed, and turns that have ended since.
    said: Cell<u64>,
    /// Lines that could not be sent.
    unsaid: Cell<usize>,
    results: Cell<u64>,
    printed: RefCell<Printed>,
    agent: String,
}

impl Terminal {
    async fn follow(&self, heard: &Receiver<Heard>) -> Left {
        while let Ok(heard) = heard.recv().await {
            match heard {
                Heard::Line(Line::Own(Told::Detached { session, turns, stored })) => {
                    self.print(&words::detached(&session, turns, stored));
                    return Left::Detached;
                }
                Heard::Line(line) => self.told(line),
                Heard::Error(line) => eprintln!("{line}"),
                Heard::End => return Left::Ended,
            }
        }
        Left::Ended
    }

    fn input_has_ended(&self) {
        if self.is_terminal {
            return self.hosted.ask(Asked::End);
        }
        self.has_input_ended.set(true);
        self.leave_if_idle();
    }

    fn typed(&self, line: &str) {
        match line.trim() {
            "/detach" | ":detach" => self.hosted.ask(Asked::Detach),
            "/exit" | "/quit" | ":quit" | ":exit" => self.hosted.ask(Asked::End),
            ":help" => self.print(HELP),
            command if command.starts_with(':') => {
                if let Some(RemoteCommand::Send(line)) = colon(&command[1..]) {
                    self.hosted.pass(line.as_str());
                }
            }
            text => {
                if self.is_terminal && self.taken_away.borrow_mut().may_mean(text) {
                    return self.print(TOO_SOON);
                }
                let answered = self.open.borrow().front().and_then(|it| answer(it, text));
                if let Some(post) = answered {
                    self.open.borrow_mut().pop_front();
                    self.hosted.answer(post);
                    return self.ask_next();
                }
                self.said.set(self.said.get() + 1);
                self.hosted.pass(said(line).as_str());
            }
        }
    }

    fn ask_next(&self) {
        if let Some(next) = self.open.borrow().front() {
            self.print(&question(next));
        }
    }

    fn told(&self, line: Line<Told>) {
        match line {
            Line::Agent(line) => self.agent(line),
            Line::Viewer(line) => self.print(&event(Origin::Viewer, line)),
            Line::Program(line) => self.print(&event(Origin::Worker, line)),
            Line::Own(Told::Started) => {
                self.print(&format!("· {}; /detach, /exit, :help\n", self.agent));
            }
            Line::Own(Told::Bridge(bridge)) => {
                let before = self.bridge.replace(bridge.clone());
                words::bridge(&before, &bridge).iter().for_each(|words| self.say(words));
            }
            Line::Own(told) => words::told(&told).iter().for_each(|words| self.say(words)),
        }
    }

    fn say(&self, words: &str) {
        self.print(&format!("· {words}\n"));
    }

    fn agent(&self, line: String) {
        let text = Text::from(line.clone());
        let head = Head::parse(&text).unwrap_or_default();
        match (head.kind(), head.request_id) {
            (Kind::ControlRequest, Some(request_id)) => {
                let asked = Question {
                    request_id: request_id.into_owned(),
                    seq: 0,
                    tool_use_id: None,
                    tool_name: head.tool_name.unwrap_or_default().into_owned(),
                    message: text,
                };
                let is_first = self.open.borrow().is_empty();
                if is_first {
                    self.print(&question(&asked));
                }
                self.open.borrow_mut().push_back(asked);
            }
            (Kind::ControlCancelRequest, Some(request_id)) => {
                let is_front =
                    self.open.borrow().front().is_some_and(|it| it.request_id == request_id);
                let before = self.open.borrow().len();
                self.open.borrow_mut().retain(|asked| asked.request_id != request_id);
                if self.open.borrow().len() < before {
                    self.print(
                        "· that question is over: it was answered elsewhere, or taken back\n",
                    );
                }
                if is_front {
                    self.taken_away.borrow_mut().now();
                    self.ask_next();
                }
            }
            _ => {
                self.print(&event(Origin::Agent, line));
                if head.kind == "result" {
                    self.results.set(self.results.get() + 1);
                    self.leave_if_idle();
                }
            }
        }
    }

    /// Everything from a pipe has had its turn.
    fn leave_if_idle(&self) {
        if self.has_input_ended.get() && self.results.get() >= self.said.get() {
            self.hosted.ask(Asked::End);
        }
    }

    /// Whoever has stopped reading has left.
    fn print(&self, text: &str) {
        if !self.printed.borrow_mut().print(text) {
            self.hosted.ask(Asked::End);
        }
    }
}

/// A message as people read it.
fn event(from: Origin, line: String) -> String {
    let at = UnixTime::from_millis(0);
    shown(&RemoteEvent { seq: 0, at, from, message: Text::from(line) })
}
