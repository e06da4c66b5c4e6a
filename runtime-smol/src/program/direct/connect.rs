//! `footbridge direct connect`: a terminal, or another program, at a session that is served directly.

use std::cell::RefCell;
use std::io::{BufRead, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_cli::token::Sources;
use footbridge_cli::value::{Format, Level};
use footbridge_cli::{print, seed};
use footbridge_core::base::limits::MAX_LINE_BYTES;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::direct::{Connect, ConnectCommand, ConnectConfig, ConnectNotice};
use footbridge_core::wire::control::cancel_request;
use footbridge_smol::{Host, HostOptions, ProxySource, block_on, drive};
use smol::future::FutureExt;

use super::token_path;
use super::transcript::{shown, shown_question};
use crate::program::args::direct::Connect as Args;
use crate::program::signals::Ends;

/// A second Ctrl-C within this time ends the connection.
const TWICE_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn run(args: Args) -> Result<(), Error> {
    let Args { url, give_up, common } = args;
    let log = EventLog::new("footbridge direct connect", common.level, Format::Text);
    let token = token(&url, common.token_file)?;
    let proxy = ProxySource::Environment;
    let host = Host::new(HostOptions { proxy, ..HostOptions::default() })?;
    let machine = Connect::new(ConnectConfig { url, token, give_up, seed: seed()? });
    let (commands, asked) = async_channel::unbounded();
    let is_json = common.json;
    let terminal = Terminal { is_json, commands: commands.clone(), open: RefCell::default() };
    let lines = read_lines();
    let ends = Ends::listen()?;
    let mut printed = Ok(());
    let driven = drive(machine, host, asked, |notice| {
        if let Some(text) = terminal.show(log, &notice)
            && printed.is_ok()
        {
            printed = print(&text);
            if printed.is_err() {
                let _ = commands.try_send(ConnectCommand::Disconnect);
            }
        }
    });
    let typed = async {
        while let Ok(line) = lines.recv().await {
            terminal.take(&line);
        }
        std::future::pending().await
    };
    let mut last = None::<Instant>;
    let ended = ends.forward(|_| {
        let is_second = last.is_some_and(|last| last.elapsed() < TWICE_WITHIN);
        last = Some(Instant::now());
        let command =
            if is_second { ConnectCommand::Disconnect } else { ConnectCommand::Interrupt };
        let _ = commands.try_send(command);
        if !is_second && !is_json {
            eprintln!("(interrupted; Ctrl-C again to leave)");
        }
    });
    block_on(driven.or(typed).or(ended))?;
    printed
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

/// Lines of standard input, read on a thread of its own, which may wait for ever.
fn read_lines() -> Receiver<String> {
    let (sender, lines) = async_channel::bounded(16);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = String::new();
            // A line that is longer is two, and the machine says that they are none.
            let most = MAX_LINE_BYTES as u64 + 1;
            match input.by_ref().take(most).read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if sender.send_blocking(line).is_err() => return,
                Ok(_) => {}
            }
        }
    });
    lines
}

/// What is typed, and what is shown.
struct Terminal {
    is_json: bool,
    commands: Sender<ConnectCommand>,
    /// The questions that can be answered, oldest first.
    open: RefCell<Vec<String>>,
}

impl Terminal {
    fn take(&self, line: &str) {
        let line = line.trim_end_matches(['\r', '\n']);
        if line.trim().is_empty() {
            return;
        }
        let command = if self.is_json {
            ConnectCommand::Pass(Text::from(line.to_owned()))
        } else {
            self.understood(line)
        };
        // A machine that has ended takes no commands.
        let _ = self.commands.try_send(command);
    }

    fn understood(&self, line: &str) -> ConnectCommand {
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let answered = match (self.open.borrow().first(), word) {
            (Some(request_id), "y" | "yes") if rest.is_empty() => Some((request_id.clone(), None)),
            (Some(request_id), "n" | "no") => {
                let reason = if rest.is_empty() { "denied" } else { rest };
                Some((request_id.clone(), Some(reason.to_owned())))
            }
            _ => None,
        };
        match answered {
            Some((request_id, deny)) => {
                self.open.borrow_mut().remove(0);
                ConnectCommand::Answer { request_id, deny }
            }
            None => ConnectCommand::Say(line.to_owned()),
        }
    }

    /// What is printed of a notice; the rest goes to stderr.
    fn show(&self, log: EventLog, notice: &ConnectNotice) -> Option<String> {
        match notice {
            ConnectNotice::Message(line) if self.is_json => {
                return Some(format!("{}\n", line.as_str()));
            }
            ConnectNotice::Message(line) => return shown(line.as_str()),
            ConnectNotice::Asked { request_id, question } => {
                self.open.borrow_mut().push(request_id.clone());
                return Some(match self.is_json {
                    true => format!("{}\n", question.as_str()),
                    false => shown_question(question.as_str()),
                });
            }
            ConnectNotice::Withdrawn { request_id } => {
                self.open.borrow_mut().retain(|open| open != request_id);
                return Some(match self.is_json {
                    true => format!("{}\n", cancel_request(request_id).as_str()),
                    false => "(that question is over)\n".to_owned(),
                });
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
            ConnectNotice::Full => {
                let words = format_args!("not sent: too much is waiting for the connection");
                log.write(Level::Error, "full", &[], words);
            }
        }
        None
    }
}
