//! `footbridge agent`: the shell agent on standard input and output.

use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_cli::value::{Format, Level};
use footbridge_cli::{agent, args};
use footbridge_core::agents::shell::{Agent, Command, Notice};
use footbridge_smol::{Host, HostOptions, block_on, drive};
use smol::future::FutureExt;

use super::signals::{Ends, Urgency};

pub(super) fn run(args: args::Agent) -> Result<(), Error> {
    let log = EventLog::new("footbridge agent", args.level, Format::Text);
    let agent = Agent::new(agent::config(args)?);
    let (commands, asked) = async_channel::unbounded();
    let ends = Ends::listen()?;
    let host = Host::new(HostOptions::default())?;
    let driven = drive(agent, host, asked, |notice: Notice| {
        log.write(Level::Info, "notice", &[], format_args!("{notice}"));
    });
    let ended = ends.forward(|urgency| {
        // An agent that has already ended takes no commands.
        let _ = commands.try_send(match urgency {
            Urgency::Clean | Urgency::Drain => Command::Shutdown,
            Urgency::ShutdownNow => Command::ShutdownNow,
        });
    });
    block_on(driven.or(ended)).map_err(Error::from)
}
