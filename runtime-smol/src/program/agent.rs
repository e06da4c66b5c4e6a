//! `footbridge agent`: the shell agent on standard input and output.

use std::path::Path;

use footbridge_core::agent::{Agent, Command, Config, Notice};
use footbridge_core::limits::MAX_ID_BYTES;
use footbridge_smol::{Host, HostOptions, block_on, drive};
use smol::future::FutureExt;

use super::args;
use super::exit::Error;
use super::journal::Journal;
use super::settings::{Format, Level};
use super::signals::{Ends, Urgency};
use super::token::TOKEN_VARIABLE;

/// Credentials of the agent's own that no command needs.
const HIDDEN: [&str; 2] = [TOKEN_VARIABLE, "FOOTBRIDGE_SESSION_TOKEN"];

pub(super) fn run(args: args::Agent) -> Result<(), Error> {
    let journal = Journal::new("footbridge agent", args.level, Format::Text);
    let directory = super::directory(args.directory.as_deref().unwrap_or(Path::new(".")))?;
    let given = |id: &String| !id.is_empty() && id.len() <= MAX_ID_BYTES;
    let session_id = args.session_id.or_else(|| std::env::var("FOOTBRIDGE_SESSION_ID").ok());
    let agent = Agent::new(Config {
        directory,
        session_id: session_id.filter(given),
        permission_mode: args.permission_mode,
        env_remove: HIDDEN.map(String::from).to_vec(),
        seed: super::seed()?,
    });
    let (commands, asked) = async_channel::unbounded();
    let ends = Ends::listen()?;
    let host = Host::new(HostOptions::default())?;
    let driven = drive(agent, host, asked, |notice: Notice| {
        journal.tell(Level::Info, "notice", &[], format_args!("{notice}"));
    });
    let ended = ends.forward(|urgency| {
        // An agent that has ended by itself takes no command.
        let _ = commands.try_send(match urgency {
            Urgency::Clean => Command::Shutdown,
            Urgency::Hurry => Command::Hurry,
        });
    });
    block_on(driven.or(ended)).map_err(Error::from)
}
