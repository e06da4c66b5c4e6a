//! The program `footbridge`: reads its command line, builds machines, and has them driven.
//!
//! Each command has a file of its own name. Nothing here decides about the protocol.

mod agent;
mod args;
mod assets;
mod check;
mod config;
mod help;
mod ready;
mod relay;
mod settings;
mod signals;
mod up;
mod work;

use std::process::ExitCode;

use args::Invocation;
use footbridge_cli::exit::{Error, conclude};
use footbridge_cli::print;
use footbridge_cli::value::Format;

/// Runs the program to its end.
pub(crate) fn main() -> ExitCode {
    let environment: Vec<_> = std::env::vars_os().collect();
    let invocation = args::parse(std::env::args_os().skip(1), &environment);
    let format = invocation.as_ref().map_or(Format::Text, Invocation::format);
    conclude("footbridge", format, invocation.and_then(run))
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
