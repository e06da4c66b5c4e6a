//! The process at a terminal that can be drawn on: the host's lines in, frames out.

use std::cell::{Cell, RefCell};
use std::io::{self, Write as _};

use async_channel::Receiver;
use footbridge_cli::exit::Error;
use footbridge_core::base::text::Text;
use footbridge_core::base::time::UnixTime;
use footbridge_core::remote::{
    Asked as Question, RemoteCommand, RemoteEvent, RemoteNotice, Sent, Withdrawal,
};
use footbridge_core::wire::message::{Head, Kind};
use footbridge_core::wire::viewer::{Origin, Receipts};
use footbridge_smol::block_on;
use smol::future::FutureExt as _;

use super::hosted::{Heard, Hosted};
use super::talk::{Asked, Bridge, Line, Told};
use super::words;
use crate::program::args::chat::Chat as Args;
use crate::program::drawn::Drawn;
use crate::program::terminal::{Doing, Known, Standing, Wish};

/// Lines of the host's standard error that are said again once the screen is gone.
const LAST_ERRORS: usize = 20;

/// The screen, and the host that it shows.
struct Screen {
    drawn: Drawn,
    hosted: Hosted,
    /// Lines of the conversation that were shown.
    seq: Cell<u64>,
    known: RefCell<Known>,
    bridge: RefCell<Bridge>,
    errors: RefCell<Vec<String>>,
}

/// How the terminal was left.
enum Left {
    Detached(String),
    Ended,
}

pub(super) fn run(ask: &Args) -> Result<(), Error> {
    let (drawn, signals, wished) = Drawn::enter(Standing::Owns)?;
    let (hosted, heard) = Hosted::start()?;
    let name = ask.title.clone().unwrap_or_else(|| words::agent(ask).to_owned());
    let screen = Screen {
        drawn,
        hosted,
        seq: Cell::new(0),
        known: RefCell::new(Known { name, doing: Doing::Starting }),
        bridge: RefCell::default(),
        errors: RefCell::default(),
    };
    screen.know(Doing::Starting);
    let left =
        block_on(screen.hear(&heard).or(screen.grant(&wished)).or(screen.drawn.show(signals)));
    let Screen { drawn, hosted, bridge, errors, .. } = screen;
    drop(drawn);
    match left {
        Left::Detached(words) => {
            // The terminal may be what has gone.
            let _ = write!(io::stdout(), "{words}");
            Ok(())
        }
        Left::Ended => {
            for line in errors.take() {
                eprintln!("{line}");
            }
            if let Some(page) = bridge.take().page {
                let _ = writeln!(io::stdout(), "the agent has ended; what was said is at {page}");
            }
            hosted.conclude(&heard)
        }
    }
}

impl Screen {
    async fn hear(&self, heard: &Receiver<Heard>) -> Left {
        while let Ok(heard) = heard.recv().await {
            match heard {
                Heard::Line(Line::Own(Told::Detached { session, turns, stored })) => {
                    return Left::Detached(words::detached(&session, turns, stored));
                }
                Heard::Line(line) => self.told(line),
                Heard::Error(line) => {
                    self.drawn.model().say(&line);
                    let mut errors = self.errors.borrow_mut();
                    errors.push(line);
                    if errors.len() > LAST_ERRORS {
                        errors.remove(0);
                    }
                }
                Heard::End => return Left::Ended,
            }
            self.drawn.changed();
        }
        Left::Ended
    }

    /// Passes on what is wished for, and shows at once what needs no answer.
    async fn grant(&self, wished: &Receiver<Wish>) -> Left {
        while let Ok(wish) = wished.recv().await {
            match wish {
                Wish::Command(RemoteCommand::Send(line)) => self.send(&line),
                Wish::Command(RemoteCommand::Answer(post)) => {
                    let request_id = post.request_id.clone();
                    let line = self.hosted.answer(post);
                    self.event(Origin::Viewer, Text::from(line));
                    self.accepted(Sent::Answer { request_id });
                }
                Wish::Command(RemoteCommand::Interrupt) => {
                    self.hosted.interrupt();
                    self.accepted(Sent::Interrupt { request_id: String::new() });
                }
                Wish::Command(_) => self.hosted.ask(Asked::End),
                Wish::Detach => self.hosted.ask(Asked::Detach),
                // There are none, and the rest is the screen's own.
                Wish::Older { .. } | Wish::Suspend | Wish::Repaint | Wish::Mouse { .. } => {}
            }
            self.drawn.changed();
        }
        std::future::pending().await
    }

    fn send(&self, line: &Text) {
        self.hosted.pass(line.as_str());
        if Head::parse(line).is_ok_and(|head| head.kind() == Kind::User) {
            self.seq.set(self.seq.get() + 1);
            self.accepted(Sent::Message { uuid: String::new(), request_id: None });
            self.know(Doing::Working);
        }
    }

    fn accepted(&self, sent: Sent) {
        let seq = self.seq.get();
        self.drawn.model().notice(&RemoteNotice::Accepted { sent, seq });
    }

    fn know(&self, doing: Doing) {
        let mut known = self.known.borrow_mut();
        known.doing = doing;
        self.drawn.model().know(known.clone());
    }

    fn event(&self, from: Origin, message: Text) -> u64 {
        let seq = self.seq.get() + 1;
        self.seq.set(seq);
        let at = UnixTime::from_millis(0);
        let event = RemoteEvent { seq, at, from, message };
        self.drawn.model().notice(&RemoteNotice::Event(event));
        seq
    }

    fn say(&self, words: &str) {
        self.drawn.model().say(words);
    }

    fn told(&self, line: Line<Told>) {
        match line {
            Line::Agent(line) => self.agent(Text::from(line)),
            Line::Viewer(line) => {
                self.event(Origin::Viewer, Text::from(line));
                self.know(Doing::Working);
            }
            Line::Program(line) => drop(self.event(Origin::Worker, Text::from(line))),
            Line::Own(Told::Started) => {
                let mut model = self.drawn.model();
                model.notice(&RemoteNotice::Connected);
                // What is said here needs no way to the agent.
                let seen = u64::MAX / 2;
                model.notice(&RemoteNotice::Receipts(Receipts { seen, ..Receipts::default() }));
                drop(model);
                self.know(Doing::Waiting);
            }
            Line::Own(Told::Bridge(bridge)) => {
                let before = self.bridge.replace(bridge.clone());
                words::bridge(&before, &bridge).iter().for_each(|words| self.say(words));
            }
            Line::Own(told) => words::told(&told).iter().for_each(|words| self.say(words)),
        }
    }

    fn agent(&self, line: Text) {
        let head = Head::parse(&line).unwrap_or_default();
        let seq = self.event(Origin::Agent, line.clone());
        match (head.kind(), head.request_id) {
            (Kind::ControlRequest, Some(request_id)) => {
                self.drawn.model().notice(&RemoteNotice::PermissionAsked(Question {
                    request_id: request_id.into_owned(),
                    seq,
                    tool_use_id: None,
                    tool_name: head.tool_name.unwrap_or_default().into_owned(),
                    message: line,
                }));
            }
            (Kind::ControlCancelRequest, Some(request_id)) => {
                self.drawn.model().notice(&RemoteNotice::PermissionWithdrawn {
                    request_id: request_id.into_owned(),
                    seq,
                    tool_use_id: None,
                    why: Withdrawal::Withdrawn {
                        reason: "answered elsewhere, or no longer asked".to_owned(),
                    },
                });
            }
            _ if head.kind == "result" => self.know(Doing::Waiting),
            _ => {}
        }
    }
}
