//! `footbridge mcp`: the other sessions as tools of an agent, by MCP on standard input and output.

use std::io::{BufRead, Read};

use footbridge_cli::exit::Error;
use footbridge_cli::print;
use footbridge_core::base::limits::MAX_LINE_BYTES;
use footbridge_core::peer::mcp::{Asked, done, listed, read};
use footbridge_core::peer::sender::Handle;

use crate::program::args::Environment;
use crate::program::args::peers::Reach;

/// Answers until the end of its input.
pub(in crate::program) fn run(reach: &Reach, environment: &Environment) -> Result<(), Error> {
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let most = MAX_LINE_BYTES as u64;
        let read = input.by_ref().take(most).read_until(b'\n', &mut line);
        match read {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(Error::local(format!("cannot read standard input: {error}"))),
        }
        let line = String::from_utf8_lossy(&line);
        if line.trim().is_empty() {
            continue;
        }
        if let Some(answer) = answer(line.trim(), reach, environment) {
            print(&format!("{answer}\n"))?;
        }
    }
}

fn answer(line: &str, reach: &Reach, environment: &Environment) -> Option<String> {
    // An agent is never the person: without a session of its own it has no name to send under.
    let can_send = super::own_handle()
        .is_ok_and(|(handle, can_send)| can_send && matches!(handle, Handle::Session { .. }));
    match read(line, can_send) {
        Asked::Nothing => None,
        Asked::Answer(answer) => Some(answer),
        Asked::ListPeers { id } => Some(match super::all() {
            Ok(peers) => listed(&id, &peers),
            Err(error) => done(&id, Err(&error.message)),
        }),
        Asked::Send { id, to, body } => {
            Some(match super::send::send(&to, &body, reach, environment) {
                Ok(message_id) => done(&id, Ok(&message_id)),
                Err(error) => done(&id, Err(&error.message)),
            })
        }
    }
}
