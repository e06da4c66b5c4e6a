//! A worker's configuration from the command line, and what it does in words.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use footbridge_core::auth::AccessToken;
use footbridge_core::backoff::BackoffConfig;
use footbridge_core::wire::session::{ResultStatus, SessionResult};
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{SpawnMode, WorkerConfig, WorkerNotice};
use sha2::{Digest as _, Sha256};

use super::agent_line::agent_program;
use super::args::{self, Reach, Work};
use super::duration::shown;
use super::exit::Error;
use super::journal::Journal;
use super::token::{Sources, TOKEN_VARIABLE};

/// The configuration of a worker at a relay that runs elsewhere.
pub fn remote(relay: &BaseUrl, reach: &Reach, work: &Work) -> Result<WorkerConfig, Error> {
    let sources = Sources::from_environment(reach.reports.token_file.clone());
    let (token, file) = sources.read()?;
    let file = file.and_then(|file| file.into_os_string().into_string().ok());
    let token = match file {
        Some(file) => AccessToken::from_file(token, file),
        None => AccessToken::fixed(token),
    };
    let state = sources.state_directory();
    let mut config = config(relay.clone(), token, work, state.as_deref())?;
    config.state_directory = own_state(state.as_deref(), relay, &config.directory);
    if reach.never_give_up {
        config.backoff = never_give_up(config.backoff);
    }
    Ok(config)
}

/// A worker's configuration from the command line and this machine. What it keeps beyond its own
/// life is kept below `state`.
pub fn config(
    relay: BaseUrl,
    token: AccessToken,
    work: &Work,
    state: Option<&Path>,
) -> Result<WorkerConfig, Error> {
    let directory = super::directory(work.directory.as_deref().unwrap_or(Path::new(".")))?;
    let agent = agent_program(work.agent.as_deref())?;
    let mut config = WorkerConfig::new(relay, token, directory, agent, super::seed()?);
    config.machine_name = work.name.clone().unwrap_or_else(host_name);
    config.agent_env_remove = vec![TOKEN_VARIABLE.to_owned()];
    config.spawn_mode = spawn_mode(work.spawn_mode, state)?;
    config.process_id = std::process::id();
    config.max_sessions = work.max_sessions;
    config.session_limit = work.session_limit;
    config.shutdown_grace = work.shutdown_grace;
    Ok(config)
}

fn spawn_mode(wanted: args::SpawnMode, state: Option<&Path>) -> Result<SpawnMode, Error> {
    match wanted {
        args::SpawnMode::SingleSession => Ok(SpawnMode::SingleSession),
        args::SpawnMode::SameDir => Ok(SpawnMode::SameDir),
        args::SpawnMode::Worktree => {
            let root = state.map(|state| state.join("worktrees")).ok_or_else(|| {
                Error::usage("there is no place for worktrees, because HOME is not set: set it")
            })?;
            DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(|error| {
                Error::local(format!("cannot make the directory {}: {error}", root.display()))
            })?;
            Ok(SpawnMode::Worktree { root: super::directory(&root)? })
        }
    }
}

/// The part of the state directory for one relay and one directory: another relay is not to be told
/// what came of this one's sessions. `None` where there is no place, or none that is text.
fn own_state(state: Option<&Path>, relay: &BaseUrl, directory: &str) -> Option<String> {
    let digest = Sha256::digest(format!("{relay}\n{directory}"));
    let name = URL_SAFE_NO_PAD.encode(digest);
    state?.join("workers").join(name).into_os_string().into_string().ok()
}

const fn never_give_up(mut backoff: BackoffConfig) -> BackoffConfig {
    backoff.connection.give_up = None;
    backoff.general.give_up = None;
    backoff
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Tells people what a worker does.
pub fn tell(journal: Journal, notice: &WorkerNotice) {
    match notice {
        WorkerNotice::Registered { environment, is_again: false } => {
            journal.say(format_args!("registered as {environment}, waiting for sessions"));
        }
        WorkerNotice::Registered { environment, is_again: true } => {
            journal
                .say(format_args!("the relay had forgotten us: registered anew as {environment}"));
        }
        WorkerNotice::Retrying { what, reason, retry_in } => {
            let retry_in = shown(*retry_in);
            journal.say(format_args!("cannot {what}: {reason}; next try in {retry_in}"));
        }
        WorkerNotice::Recovered => journal.say(format_args!("the relay answers again")),
        WorkerNotice::Woke { slept } => {
            journal.say(format_args!("the machine slept for about {}", shown(*slept)));
        }
        WorkerNotice::BadWork { work, reason } => {
            journal.error(format_args!("{work} cannot be run: {reason}"));
        }
        WorkerNotice::SessionStarted { session, pid, .. } => {
            journal.say(format_args!("{session} started, process {pid}"));
        }
        WorkerNotice::SessionDisconnected { session, reason, retry_in, .. } => {
            let retry_in = shown(*retry_in);
            journal.say(format_args!("{session} lost the relay: {reason}; next try in {retry_in}"));
        }
        WorkerNotice::SessionConnected { session, .. } => {
            journal.detail(format_args!("{session} connected"));
        }
        WorkerNotice::AgentOutputError { session, reason, .. } => {
            journal.say(format_args!("{session} skipped a line of its agent: {reason}"));
        }
        WorkerNotice::PermissionAsked { session, tool, .. } => {
            journal.say(format_args!("{session} asks for permission: {tool}"));
        }
        WorkerNotice::SessionEnded { session, result: Some(result), .. } => {
            journal.say(format_args!("{session} {}", outcome(result)));
        }
        WorkerNotice::SessionEnded { session, result: None, .. } => {
            journal.say(format_args!("{session} is no longer ours"));
        }
        WorkerNotice::ReportAtRisk { work, reason } => {
            journal.say(format_args!("a crash could lose the result of {work}: {reason}"));
        }
        WorkerNotice::ReportLost { work, reason } => {
            journal.error(format_args!("the result of {work} could not be reported: {reason}"));
        }
        WorkerNotice::LeftoverWorktree { path, kept: None } => {
            journal.detail(format_args!("removed the worktree {path} of an earlier run"));
        }
        WorkerNotice::LeftoverWorktree { path, kept: Some(reason) } => {
            journal.say(format_args!("kept the worktree {path} of an earlier run: {reason}"));
        }
        WorkerNotice::ShuttingDown { sessions: 0 } => journal.say(format_args!("ending")),
        WorkerNotice::ShuttingDown { sessions } => {
            journal.say(format_args!("ending; sessions that still run: {sessions}"));
        }
    }
}

fn outcome(result: &SessionResult) -> String {
    let status = match result.status {
        ResultStatus::Completed => "completed",
        ResultStatus::Failed => "failed",
        ResultStatus::TimedOut => "reached its time limit",
        ResultStatus::Interrupted => "was ended",
        ResultStatus::Lost => "was lost",
    };
    if result.message.is_empty() {
        status.to_owned()
    } else {
        format!("{status}: {}", result.message)
    }
}
