//! The program `footbridge`: reads its command line, builds machines, and has them driven.
//!
//! Each command stands in a file of its own name. Nothing here decides about the protocol.

mod agent;
mod args;
mod assets;
mod help;
mod ready;
mod relay;
mod signals;
mod up;
mod work;

use std::io::Write;
use std::process::ExitCode;

use args::Invocation;
use footbridge_blocking::program::exit::Error;
use footbridge_blocking::program::print;

/// Runs the program to its end.
pub(crate) fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A stderr that is gone cannot be told.
            let _ = writeln!(std::io::stderr(), "footbridge: {error}");
            ExitCode::from(&error)
        }
    }
}

fn run() -> Result<(), Error> {
    match args::parse(std::env::args_os().skip(1))? {
        Invocation::Help(topic) => print(&help::text(topic)),
        Invocation::Version => print(concat!("footbridge ", env!("CARGO_PKG_VERSION"), "\n")),
        Invocation::Up { serve, work } => up::run(&serve, &work),
        Invocation::Relay { serve } => relay::run(&serve),
        Invocation::Work { relay, reach, work } => work::run(&relay, &reach, &work),
        Invocation::Agent(args) => agent::run(args),
    }
}
