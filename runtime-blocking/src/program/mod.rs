//! The program `footbridge-worker`: reads its command line, builds a machine, and has it driven.

mod agent;
mod args;
mod help;
mod signals;
mod work;

use std::process::ExitCode;

use args::Invocation;
use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_cli::print;
use footbridge_cli::value::{Format, Level};

/// Runs the program to its end.
pub(crate) fn main() -> ExitCode {
    let invocation = args::parse(std::env::args_os().skip(1));
    let format = invocation.as_ref().map_or(Format::Text, Invocation::format);
    match invocation.and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let journal = EventLog::new("footbridge-worker", Level::Error, format);
            journal.tell(Level::Error, "failed", &[], format_args!("{error}"));
            ExitCode::from(&error)
        }
    }
}

fn run(invocation: Invocation) -> Result<(), Error> {
    match invocation {
        Invocation::Help(text) => print(text),
        Invocation::Version => {
            print(concat!("footbridge-worker ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        Invocation::Work { relay, reach, work } => work::run(&relay, &reach, &work),
        Invocation::Agent(args) => agent::run(args),
    }
}
