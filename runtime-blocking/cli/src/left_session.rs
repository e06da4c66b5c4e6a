//! What a crash has left in a worker's directory, and whether to continue it (K-2).
//!
//! A session whose worker still runs, or that belongs to somebody else, is left alone.

use std::fs;
use std::io::{BufRead, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use footbridge_core::base::id::EnvironmentId;
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{Identity, LeftSession, LeftWorker, Places, PointerSearchConfig};

use crate::args::{RelayArgs, Work};
use crate::duration::shown;
use crate::event_log::EventLog;
use crate::exit::{Error, ExitKind};
use crate::lock::{Lock, PATIENCE};
use crate::place::POINTER;
use crate::token::{Sources, TOKEN_VARIABLE, TRUST_VARIABLES};
use crate::value::{Level, SpawnMode};
use crate::worker::own_state;

/// How this worker would continue a session.
#[derive(Clone, Debug, PartialEq)]
enum Way {
    /// As the worker that had it.
    As(Former),
    /// With nothing but its environment.
    Anew,
}

/// The worker that a session had.
#[derive(Clone, Debug, PartialEq)]
struct Former {
    /// Its part of the state directory.
    state_directory: String,
    /// What `--name` was.
    name: Option<String>,
    identity: Identity,
}

/// Why a session is left alone.
#[derive(Clone, Debug, PartialEq)]
enum Refusal {
    /// Its pointer does not belong here.
    Foreign(String),
    /// Something has to be done first.
    Kept(Error),
}

/// Where a worker with these options looks before it starts.
pub fn search(
    relay: &BaseUrl,
    reach: &RelayArgs,
    work: &Work,
) -> Result<PointerSearchConfig, Error> {
    let directory = own_directory(work)?;
    let sources = Sources::of(&reach.reports);
    let state = sources.state_directory();
    let state_directory = own_state(state.as_deref(), relay, &directory, work.name.as_deref());
    let hidden = [TOKEN_VARIABLE].into_iter().chain(TRUST_VARIABLES);
    let env_remove = hidden.map(str::to_owned).collect();
    Ok(PointerSearchConfig { directory, state_directory, env_remove })
}

fn own_directory(work: &Work) -> Result<String, Error> {
    crate::directory(work.directory.as_deref().unwrap_or(Path::new(".")))
}

/// Takes up the first that this worker may have of what was found, if that is wanted. It then runs as
/// the one that had it, with its state, so that agents resume in their own places. Without
/// `--continue` a person at a terminal is asked.
pub fn settle(
    log: EventLog,
    relay: &BaseUrl,
    work: &mut Work,
    found: Vec<LeftSession>,
) -> Result<(), Error> {
    let own = own_directory(work)?;
    // The first may have been killed a moment ago.
    let mut patience = PATIENCE;
    for left in found {
        let words = match way(relay, &left, patience) {
            Ok(way) => {
                take_or_leave(log, work, left, way);
                return Ok(());
            }
            Err(Refusal::Kept(error)) if work.continues && left.directory == own => {
                return Err(error);
            }
            Err(Refusal::Kept(error)) => error.message,
            Err(Refusal::Foreign(words)) => {
                // If it cannot be removed, it is ignored the next time as well.
                let _ = fs::remove_file(Path::new(&left.directory).join(POINTER));
                words
            }
        };
        patience = Duration::ZERO;
        if work.continues {
            let ids = [("session", left.session.as_str())];
            log.write(Level::Warn, "not_continued", &ids, format_args!("left alone: {words}"));
        }
    }
    if work.continues {
        let words = format_args!("nothing to continue that this worker does not know of");
        log.write(Level::Info, "nothing_left", &[], words);
    }
    Ok(())
}

/// How this worker may continue a session, if it may.
fn way(relay: &BaseUrl, left: &LeftSession, patience: Duration) -> Result<Way, Refusal> {
    let LeftSession { directory, session, .. } = left;
    belongs_to_this_user(&Path::new(directory).join(POINTER))?;
    let (state_directory, identity) = match &left.worker {
        LeftWorker::Nothing => return Ok(Way::Anew),
        LeftWorker::Known { state_directory, identity } => (state_directory, identity),
        LeftWorker::Unreadable { state_directory, reason } => {
            belongs_to_this_user(Path::new(state_directory))?;
            return Err(Refusal::Kept(Error::local(format!(
                "cannot read what the worker of {session} has left in {state_directory}: {reason}; \
                 make it readable, or start without --continue"
            ))));
        }
    };
    belongs_to_this_user(Path::new(state_directory))?;
    let served = &identity.directory;
    let state = Path::new(state_directory).parent().and_then(Path::parent);
    let is_its = |name: &Option<&str>| {
        own_state(state, relay, served, *name).as_ref() == Some(state_directory)
    };
    let given = identity.machine_name.as_str();
    let Some(name) = [None, Some(given)].into_iter().find(is_its) else {
        return Err(Refusal::Kept(Error::usage(format!(
            "{session} in {directory} ran for another relay than {relay}; give that one's address, \
             or start without --continue"
        ))));
    };
    if served != directory && Path::new(served).exists() {
        return Err(Refusal::Foreign(format!(
            "the {POINTER} in {directory} is a copy: {session} runs in {served}"
        )));
    }
    if let Some(holder) = Lock::holder(state_directory, patience) {
        let message = format!(
            "{session} in {directory} belongs to another worker{holder}, which still runs; stop \
             that one first, or start without --continue to work beside it"
        );
        return Err(Refusal::Kept(Error { why: ExitKind::InUse, message }));
    }
    let name = name.map(str::to_owned);
    let (state_directory, identity) = (state_directory.clone(), identity.clone());
    Ok(Way::As(Former { state_directory, name, identity }))
}

/// What somebody else has left is theirs to continue. What is not there belongs to nobody.
fn belongs_to_this_user(path: &Path) -> Result<(), Refusal> {
    let own = rustix::process::geteuid().as_raw();
    let Ok(owner) = fs::symlink_metadata(path).map(|metadata| metadata.uid()) else {
        return Ok(());
    };
    if owner == own {
        return Ok(());
    }
    Err(Refusal::Kept(Error::local(format!(
        "{} belongs to another user (id {owner}); continue as that user, or start without --continue",
        path.display()
    ))))
}

fn take_or_leave(log: EventLog, work: &mut Work, left: LeftSession, way: Way) {
    let LeftSession { directory, session, environment, age, .. } = left;
    let age = shown(age);
    let is_wanted = work.continues || {
        let question =
            format!("{session} was running in {directory} {age} ago. Continue it? [Y/n] ");
        is_agreed(&question)
    };
    let ids = [("session", session.as_str()), ("environment", environment.as_str())];
    if !is_wanted {
        let words =
            format_args!("ran in {directory} {age} ago and is left alone; --continue takes it up");
        log.write(Level::Info, "left_alone", &ids, words);
        return;
    }
    let words = format_args!("continuing what ran in {directory} {age} ago");
    log.write(Level::Info, "continuing", &ids, words);
    match way {
        Way::As(former) => {
            let words = becomes(work, &directory, former);
            log.write(Level::Info, "worker_continued", &ids, format_args!("{words}"));
        }
        Way::Anew => {
            let words = format_args!(
                "what its worker knew of it is gone: a new agent starts, which knows nothing of \
                 the conversation"
            );
            log.write(Level::Warn, "conversation_lost", &ids, words);
            work.take_up = Some(EnvironmentId::clone(&environment));
        }
    }
    work.directory = Some(directory.into());
}

/// Gives this worker the name, the spawn mode and the state of the one before; in words.
fn becomes(work: &mut Work, directory: &str, former: Former) -> String {
    let Former { state_directory, name, identity } = former;
    let Identity { machine_name, directory: served, places } = identity;
    let (mode, shown) = match places {
        Places::SingleSession => (SpawnMode::SingleSession, "single-session"),
        Places::SameDir => (SpawnMode::SameDir, "same-dir"),
        Places::Worktree => (SpawnMode::Worktree, "worktree"),
    };
    let mut words = format!("this worker runs as {machine_name} did, in {directory}");
    if served != directory {
        words += &format!(", which was {served}");
    }
    if work.spawn_mode != mode {
        words += &format!(", with --spawn-mode {shown}");
    }
    (work.name, work.spawn_mode, work.state_directory) = (name, mode, Some(state_directory));
    words
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
