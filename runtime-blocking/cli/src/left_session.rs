//! What a crash has left in a worker's directory, and whether to continue it (K-2).

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{LeftSession, LeftWorker, Places, PointerSearchConfig};

use crate::args::{RelayArgs, Work};
use crate::duration::shown;
use crate::event_log::EventLog;
use crate::exit::Error;
use crate::token::{Sources, TOKEN_VARIABLE};
use crate::value::{Level, SpawnMode};
use crate::worker::{own_state, try_lock};

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

/// Takes up what was found, if that is wanted: this worker then runs as the one that had it, with
/// its state, so that agents resume in their own places. Without `--continue` a person at a terminal
/// is asked. A session whose worker lives is left to it.
pub fn settle(
    log: EventLog,
    relay: &BaseUrl,
    work: &mut Work,
    found: Option<LeftSession>,
) -> Result<(), Error> {
    let Some(LeftSession { directory, session, environment, worker, age }) = found else {
        if work.continues {
            let words = format_args!("nothing to continue that this worker does not know of");
            log.write(Level::Info, "nothing_left", &[], words);
        }
        return Ok(());
    };
    if let Some(worker) = &worker
        && let Err(error) = try_lock(&worker.state_directory, &directory, relay)
    {
        return if work.continues { Err(error) } else { Ok(()) };
    }
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
        match worker.filter(|worker| becomes(relay, work, &directory, worker)) {
            Some(LeftWorker { identity, .. }) => {
                let name = identity.machine_name;
                let words = format_args!("this worker runs as {name} did, in {directory}");
                log.write(Level::Info, "worker_continued", &ids, words);
            }
            None => {
                let words = format_args!(
                    "what its worker knew of it is gone: a new agent starts, which knows nothing \
                     of the conversation"
                );
                log.write(Level::Warn, "conversation_lost", &ids, words);
                work.take_up = Some(environment);
            }
        }
        work.directory = Some(directory.into());
    } else {
        let words =
            format_args!("ran in {directory} {age} ago and is left alone; --continue takes it up");
        log.write(Level::Info, "left_alone", &ids, words);
    }
    Ok(())
}

/// Gives this worker the name and the spawn mode of the one before, if its part of the state
/// directory is that of such a worker at this relay.
fn becomes(relay: &BaseUrl, work: &mut Work, directory: &str, left: &LeftWorker) -> bool {
    let path = Path::new(&left.state_directory);
    let state = path.parent().and_then(Path::parent);
    let given = left.identity.machine_name.as_str();
    let is_its = |name: &Option<&str>| {
        own_state(state, relay, directory, *name).as_deref() == Some(&left.state_directory)
    };
    let Some(name) = [None, Some(given)].into_iter().find(is_its) else { return false };
    work.name = name.map(str::to_owned);
    work.spawn_mode = match left.identity.places {
        Places::SingleSession => SpawnMode::SingleSession,
        Places::SameDir => SpawnMode::SameDir,
        Places::Worktree => SpawnMode::Worktree,
    };
    true
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
