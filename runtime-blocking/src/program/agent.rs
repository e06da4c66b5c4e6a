//! `footbridge-worker agent`: the shell agent on standard input and output.

use footbridge_blocking::{Driver, Host, HostOptions};
use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_cli::value::{Format, Level};
use footbridge_cli::{agent, args};
use footbridge_core::agents::shell::{Agent, Command};

use super::signals;

pub(super) fn run(args: args::Agent) -> Result<(), Error> {
    let log = EventLog::new("footbridge-worker agent", args.level, Format::Text);
    let agent = Agent::new(agent::config(args)?);
    let (driver, handle) = Driver::new(Host::new(HostOptions::default())?);
    signals::forward(None, Command::Shutdown, Command::ShutdownNow, move |command| {
        handle.command(command);
    })?;
    Ok(driver.run(agent, |notice| {
        log.write(Level::Info, "notice", &[], format_args!("{notice}"));
    })?)
}
