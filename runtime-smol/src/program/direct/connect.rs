//! `footbridge direct connect`: a terminal, or another program, at a session that is served directly.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::mpsc;

use async_channel::Sender;
use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::{Error, ExitKind};
use footbridge_cli::seed;
use footbridge_cli::token::Sources;
use footbridge_cli::value::{Format, Level};
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::direct::{Connect, ConnectCommand, ConnectConfig, ConnectNotice};
use footbridge_core::wire::control::cancel_request;
use footbridge_core::wire::message::Head;
use footbridge_smol::{Host, HostOptions, ProxySource, block_on, drive};
use serde::Deserialize;
use smol::future::FutureExt;

use super::token_path;
use super::transcript::{shown, shown_question};
use crate::program::args::direct::Connect as Args;
use crate::program::pressed::{Pressed, Presses};
use crate::program::printed::Printed;
use crate::program::question::{TOO_SOON, TakenAway};
use crate::program::typed::{self, Typed};

/// Lines that may be on their way before more of standard input is read.
const UNDER_WAY: usize = 16;

pub(super) fn run(args: Args) -> Result<(), Error> {
    let Args { url, give_up, common } = args;
    let log = EventLog::new("footbridge direct connect", common.level, Format::Text);
    let token = token(&url, common.token_file)?;
    let proxy = ProxySource::Environment;
    let host = Host::new(HostOptions { proxy, ..HostOptions::default() })?;
    let machine = Connect::new(ConnectConfig { url, token, give_up, seed: seed()? });
    let (commands, asked) = async_channel::unbounded();
    let is_json = common.json;
    let (lines, taken) = typed::standard_input(UNDER_WAY);
    let is_terminal = std::io::stdin().is_terminal();
    let terminal = Terminal {
        is_json,
        commands: commands.clone(),
        open: RefCell::default(),
        taken_away: RefCell::default(),
        printed: RefCell::default(),
        taken,
        under_way: Cell::new(0),
        turns: Cell::new(0),
        unsaid: Cell::new(0),
        ends_when_idle: Cell::new(false),
    };
    let presses = Presses::listen()?;
    let driven = drive(machine, host, asked, |notice| {
        if let Some(text) = terminal.show(log, &notice) {
            terminal.print(&text);
        }
        terminal.leave_if_idle();
    });
    let typed = async {
        let mut is_empty = true;
        while let Ok(line) = lines.recv().await {
            is_empty = false;
            match line {
                Typed::Line(line) => terminal.take(&line),
                Typed::Unreadable(why) => terminal.not_sent(log, &why),
            }
        }
        if is_terminal {
            let _ = commands.try_send(ConnectCommand::Disconnect);
        } else if !is_empty {
            // Who has nothing to say is there to watch.
            terminal.ends_when_idle.set(true);
            terminal.leave_if_idle();
        }
        std::future::pending().await
    };
    let ended = presses.forward(|pressed| {
        let command = match pressed {
            Pressed::Once => ConnectCommand::Interrupt,
            Pressed::Leave => ConnectCommand::Disconnect,
        };
        let _ = commands.try_send(command);
        if pressed == Pressed::Once && !is_json {
            eprintln!("(interrupted; Ctrl-C again to leave)");
        }
    });
    block_on(driven.or(typed).or(ended))?;
    terminal.printed.take().outcome()?;
    typed::unsent(if is_terminal { 0 } else { terminal.unsaid.get() }, ExitKind::Local)
}

/// The token that was named, or that of a session of this machine. There may be none: then the server
/// says what it thinks of that.
fn token(url: &str, file: Option<PathBuf>) -> Result<Option<Secret>, Error> {
    if let Some(file) = file {
        let sources = Sources { file: Some(file), ..Sources::default() };
        return Ok(Some(sources.read()?.0));
    }
    let session = url.split('?').next().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
    let is_id = session.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !session.starts_with("session_") || !is_id {
        return Ok(None);
    }
    let path = token_path(session)?;
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(Sources { file: Some(path), ..Sources::default() }.read()?.0))
}

/// What is typed, and what is shown.
struct Terminal {
    is_json: bool,
    commands: Sender<ConnectCommand>,
    /// The questions that can be answered, oldest first: that one is on the screen.
    open: RefCell<VecDeque<(String, Text)>>,
    taken_away: RefCell<TakenAway>,
    printed: RefCell<Printed>,
    /// One for each line that more are read for.
    taken: mpsc::Receiver<()>,
    /// Lines that may not have arrived.
    under_way: Cell<usize>,
    /// Messages that no result has come for.
    turns: Cell<usize>,
    /// Lines that were not sent.
    unsaid: Cell<usize>,
    /// Nothing more comes from a pipe.
    ends_when_idle: Cell<bool>,
}

impl Terminal {
    fn print(&self, text: &str) {
        if !self.printed.borrow_mut().print(text) {
            let _ = self.commands.try_send(ConnectCommand::Disconnect);
        }
    }

    fn take(&self, line: &str) {
        let command = if self.is_json {
            Some(ConnectCommand::Pass(Text::from(line.to_owned())))
        } else {
            self.understood(line)
        };
        let is_message = match &command {
            Some(ConnectCommand::Pass(line)) => {
                Head::parse(line).is_ok_and(|head| head.kind == "user")
            }
            Some(ConnectCommand::Say(_)) => true,
            // It may be over by now, and is not said then.
            _ => {
                let _ = self.taken.try_recv();
                return command.into_iter().for_each(|command| self.send(command));
            }
        };
        self.turns.set(self.turns.get() + usize::from(is_message));
        self.under_way.set(self.under_way.get() + 1);
        command.into_iter().for_each(|command| self.send(command));
    }

    fn send(&self, command: ConnectCommand) {
        // A machine that has ended takes no commands.
        let _ = self.commands.try_send(command);
    }

    /// So many lines are not on their way any more.
    fn done(&self, lines: usize) {
        for _ in 0..lines {
            let _ = self.taken.try_recv();
        }
        self.under_way.set(self.under_way.get().saturating_sub(lines));
    }

    fn not_sent(&self, log: EventLog, why: &str) {
        let _ = self.taken.try_recv();
        self.unsaid.set(self.unsaid.get() + 1);
        log.write(Level::Error, "unsent", &[], format_args!("not sent: {why}"));
    }

    /// What came from a pipe was said, and has had its turns.
    fn leave_if_idle(&self) {
        if self.ends_when_idle.get() && self.under_way.get() == 0 && self.turns.get() == 0 {
            let _ = self.commands.try_send(ConnectCommand::Disconnect);
        }
    }

    /// A result is for the messages that it names, or for one.
    fn turn_over(&self, line: &str) {
        #[derive(Deserialize)]
        struct Result {
            #[serde(default)]
            user_message_uuids: Vec<serde::de::IgnoredAny>,
        }
        let named = serde_json::from_str::<Result>(line).map(|line| line.user_message_uuids.len());
        self.turns.set(self.turns.get().saturating_sub(named.unwrap_or_default().max(1)));
    }

    /// What a line asks for; `None` if it came too soon.
    fn understood(&self, line: &str) -> Option<ConnectCommand> {
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        if self.taken_away.borrow().may_mean(line) {
            self.unsaid.set(self.unsaid.get() + 1);
            self.print(TOO_SOON);
            return None;
        }
        let deny = match word {
            "y" | "yes" if rest.is_empty() => Some(None),
            "n" | "no" if rest.is_empty() => Some(Some("denied".to_owned())),
            "n" | "no" => Some(Some(rest.to_owned())),
            _ => None,
        };
        let mut open = self.open.borrow_mut();
        let Some((deny, (request_id, _))) = deny.and_then(|deny| Some((deny, open.pop_front()?)))
        else {
            return Some(ConnectCommand::Say(line.to_owned()));
        };
        let next = open.front().map(|(_, next)| shown_question(next.as_str()));
        self.print(&next.unwrap_or_default());
        Some(ConnectCommand::Answer { request_id, deny })
    }

    /// What is printed of a notice; the rest goes to stderr.
    fn show(&self, log: EventLog, notice: &ConnectNotice) -> Option<String> {
        if let ConnectNotice::Message(line) = notice
            && Head::parse(line).is_ok_and(|head| head.kind == "result")
        {
            self.turn_over(line.as_str());
        }
        match notice {
            ConnectNotice::Message(line) if self.is_json => {
                return Some(format!("{}\n", line.as_str()));
            }
            ConnectNotice::Message(line) => return shown(line.as_str()),
            ConnectNotice::Asked { request_id, question } => {
                let mut open = self.open.borrow_mut();
                open.push_back((request_id.clone(), question.clone()));
                return match self.is_json {
                    true => Some(format!("{}\n", question.as_str())),
                    false => (open.len() == 1).then(|| shown_question(question.as_str())),
                };
            }
            ConnectNotice::Withdrawn { request_id } => {
                let mut open = self.open.borrow_mut();
                let was_shown = open.front().is_some_and(|(first, _)| first == request_id);
                open.retain(|(open, _)| open != request_id);
                if was_shown {
                    self.taken_away.borrow_mut().now();
                }
                return match self.is_json {
                    true => Some(format!("{}\n", cancel_request(request_id).as_str())),
                    false => was_shown.then(|| {
                        let next = open.front().map(|(_, next)| shown_question(next.as_str()));
                        "(that question is over)\n".to_owned() + &next.unwrap_or_default()
                    }),
                };
            }
            ConnectNotice::Connected { resumes } => {
                let how = if *resumes { "" } else { ", without resuming" };
                log.write(Level::Info, "connected", &[], format_args!("connected{how}"));
            }
            ConnectNotice::Disconnected { reason, retry_in } => {
                let after = retry_in.as_millis();
                let words = format_args!("not connected: {reason}; trying again in {after} ms");
                log.write(Level::Warn, "disconnected", &[], words);
            }
            ConnectNotice::Gap => {
                let words = format_args!("some lines are no longer held there");
                log.write(Level::Warn, "gap", &[], words);
            }
            ConnectNotice::Skipped { reason } => {
                log.write(Level::Warn, "skipped", &[], format_args!("skipped a line: {reason}"));
            }
            ConnectNotice::Refused { reason } => {
                self.under_way.set(self.under_way.get().saturating_sub(1));
                self.not_sent(log, reason);
            }
            ConnectNotice::Full => {
                self.under_way.set(self.under_way.get().saturating_sub(1));
                self.not_sent(log, "too much is waiting for the connection");
            }
            ConnectNotice::Arrived { lines } => self.done(*lines),
        }
        None
    }
}
