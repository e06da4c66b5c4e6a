//! `footbridge chat`: an agent in this terminal, whose session viewers see and drive at the same time.
//!
//! ```text
//!   terminal ◀──▶ this process ◀─pipes─▶ host: agent, bridge ◀──▶ relay ◀──▶ viewers
//! ```
//!
//! The agent and its bridge are in a process of their own, so that `/detach` can give the terminal back
//! without the agent noticing.

mod host;
mod hosted;
mod kept;
mod lines;
mod screen;
mod talk;
mod words;

use std::ffi::OsStr;
use std::path::Path;

use footbridge_cli::exit::Error;

use super::args::chat::Chat;
use super::attach::has_screen;

/// What the process with the agent is called.
const HOST_NAME: &str = "footbridge-chat-host";

/// Whether this process was started to be the host of a terminal's agent.
pub(super) fn is_host(name: Option<&OsStr>) -> bool {
    name.and_then(|name| Path::new(name).file_name()) == Some(HOST_NAME.as_ref())
}

pub(super) fn run(ask: Chat, is_host: bool) -> Result<(), Error> {
    match is_host {
        true => host::run(ask),
        false if ask.is_plain || !has_screen() => lines::run(&ask),
        false => screen::run(&ask),
    }
}
