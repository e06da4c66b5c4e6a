//! `footbridge direct`: one session without a relay.

mod connect;
mod serve;
mod transcript;

use std::path::PathBuf;

use footbridge_cli::exit::Error;
use footbridge_cli::token::Sources;

use super::args::direct::Direct;

pub(super) fn run(args: Direct) -> Result<(), Error> {
    match args {
        Direct::Serve(args) => serve::run(&args),
        Direct::Connect(args) => connect::run(args),
    }
}

/// Where the token of a session is, if no file was named for it.
fn token_path(session: &str) -> Result<PathBuf, Error> {
    Ok(runtime_directory()?.join("direct").join(format!("{session}.token")))
}

/// Where things are that do not outlive this machine's next start.
pub(super) fn runtime_directory() -> Result<PathBuf, Error> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    if let Some(directory) = runtime.filter(|directory| directory.is_absolute()) {
        return Ok(directory.join("footbridge"));
    }
    let state = Sources::from_environment(None).state_directory();
    state.map(|state| state.join("run")).ok_or_else(|| {
        Error::usage("nowhere to keep what is shared while it runs because HOME is not set: set it")
    })
}
