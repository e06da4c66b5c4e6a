//! `footbridge direct`: one session without a relay.

mod connect;
mod serve;
mod transcript;

use std::path::PathBuf;

use footbridge_cli::exit::Error;

use super::args::direct::Direct;
use super::runtime_directory::runtime_directory;

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
