//! The program `footbridge`: reads its command line, builds machines, and has them driven.
//!
//! Each command stands in a file of its own name. Nothing here decides about the protocol.

mod agent;
mod agent_line;
mod args;
mod assets;
mod check;
mod config;
mod duration;
mod events;
mod exit;
mod help;
mod journal;
mod ready;
mod relay;
mod settings;
mod signals;
mod token;
mod up;
mod work;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use args::Invocation;
use exit::{Error, Why};
use journal::Journal;
use settings::{Format, Level};

/// Runs the program to its end.
pub(crate) fn main() -> ExitCode {
    let environment: Vec<_> = std::env::vars_os().collect();
    let invocation = args::parse(std::env::args_os().skip(1), &environment);
    let format = invocation.as_ref().map_or(Format::Text, Invocation::format);
    match invocation.and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let journal = Journal::new("footbridge", Level::Error, format);
            journal.tell(Level::Error, "failed", &[], format_args!("{error}"));
            ExitCode::from(&error)
        }
    }
}

fn run(invocation: Invocation) -> Result<(), Error> {
    match invocation {
        Invocation::Help(topic) => print(&help::text(topic)),
        Invocation::Version => print(concat!("footbridge ", env!("CARGO_PKG_VERSION"), "\n")),
        Invocation::Up { serve, work } => up::run(&serve, &work),
        Invocation::Relay { serve } => relay::run(&serve),
        Invocation::Work { relay, reach, work, is_check: true } => {
            check::run(&relay, &reach, &work)
        }
        Invocation::Work { relay, reach, work, is_check: false } => {
            work::run(&relay, &reach, &work)
        }
        Invocation::Config(inquiry) => config::run(&inquiry),
        Invocation::Agent(args) => agent::run(args),
    }
}

/// Writes to standard output. A reader who has left early wanted no more.
fn print(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::local(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Fills a buffer with random bytes of the system.
fn random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|error| Error {
        why: Why::Unexpected,
        message: format!("the system gives no random bytes: {error}"),
    })
}

/// A seed for what need not be secret.
fn seed() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    random(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// The directory by its canonical path, which has to be text.
fn directory(path: &Path) -> Result<String, Error> {
    let shown = path.display();
    let found = path.canonicalize();
    let found = found.map_err(|error| Error::local(format!("the directory {shown}: {error}")))?;
    if !found.is_dir() {
        return Err(Error::local(format!("{shown} is not a directory")));
    }
    found.into_os_string().into_string().map_err(|path| {
        Error::local(format!("the path of the directory {} is not UTF-8", path.display()))
    })
}
