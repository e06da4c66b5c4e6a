//! What a crash has left in a worker's directory, and whether to continue it (K-2).

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{LeftSession, PointerSearchConfig};

use crate::args::{RelayArgs, Work};
use crate::duration::shown;
use crate::event_log::EventLog;
use crate::exit::Error;
use crate::token::{Sources, TOKEN_VARIABLE};
use crate::value::Level;
use crate::worker::own_state;

/// Where a worker with these options looks before it starts.
pub fn search(
    relay: &BaseUrl,
    reach: &RelayArgs,
    work: &Work,
) -> Result<PointerSearchConfig, Error> {
    let directory = crate::directory(work.directory.as_deref().unwrap_or(Path::new(".")))?;
    let sources = Sources::from_environment(reach.reports.token_file.clone());
    let state = sources.state_directory();
    let state_directory = own_state(state.as_deref(), relay, &directory, work.name.as_deref());
    let env_remove = vec![TOKEN_VARIABLE.to_owned()];
    Ok(PointerSearchConfig { directory, state_directory, env_remove })
}

/// Takes up what was found, if that is wanted: the worker then runs in its directory. Without
/// `--continue` a person at a terminal is asked.
pub fn settle(log: EventLog, work: &mut Work, found: Option<LeftSession>) {
    let Some(LeftSession { directory, session, environment, age }) = found else {
        if work.continues {
            let words = format_args!("nothing to continue that this worker does not know of");
            log.write(Level::Info, "nothing_left", &[], words);
        }
        return;
    };
    let age = shown(age);
    let is_wanted = work.continues || {
        let question =
            format!("{session} was running in {directory} {age} ago. Continue it? [Y/n] ");
        is_agreed(&question)
    };
    let ids = [("session", session.as_str()), ("environment", environment.as_str())];
    if is_wanted {
        let words = format_args!("continuing what ran in {directory} {age} ago");
        log.write(Level::Info, "continuing", &ids, words);
        work.directory = Some(directory.into());
        work.take_up = Some(environment);
    } else {
        let words =
            format_args!("ran in {directory} {age} ago and is left alone; --continue takes it up");
        log.write(Level::Info, "left_alone", &ids, words);
    }
}

fn is_agreed(question: &str) -> bool {
    let stdin = std::io::stdin();
    let mut stderr = std::io::stderr();
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return false;
    }
    let mut answer = String::new();
    let asked = write!(stderr, "{question}").and_then(|()| stderr.flush());
    if asked.and_then(|()| stdin.lock().read_line(&mut answer)).is_err() {
        return false;
    }
    matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes")
}
