//! The program `footbridge-worker`: parses its command line, builds a machine, and runs it.

mod agent;
mod args;
mod help;
mod signals;
mod work;

use std::process::ExitCode;

use args::Invocation;
use footbridge_cli::exit::{Error, conclude};
use footbridge_cli::print;
use footbridge_cli::value::Format;

/// Runs the program until it exits.
pub(crate) fn main() -> ExitCode {
    let invocation = args::parse(std::env::args_os().skip(1));
    let format = invocation.as_ref().map_or(Format::Text, Invocation::format);
    conclude("footbridge-worker", format, invocation.and_then(run))
}

fn run(invocation: Invocation) -> Result<(), Error> {
    match invocation {
        Invocation::Help(topic) => print(&help::text(topic)),
        Invocation::Version => {
            print(concat!("footbridge-worker ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        Invocation::Work { relay, reach, work } => work::run(&relay, &reach, *work),
        Invocation::Agent(args) => agent::run(args),
    }
}
