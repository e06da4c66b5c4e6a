//! `footbridge work`: a worker at a relay.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use footbridge_core::auth::AccessToken;
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{SpawnMode, Worker, WorkerCommand, WorkerConfig, WorkerNotice};
use footbridge_smol::{Host, HostOptions, Proxy, block_on, drive};
use sha2::{Digest as _, Sha256};
use smol::future::FutureExt;

use super::agent_line::agent_program;
use super::args::{Reach, Work};
use super::events;
use super::exit::Error;
use super::journal::Journal;
use super::ready::Ready;
use super::settings::{self, Level};
use super::signals::{Ends, Urgency};
use super::token::{Sources, TOKEN_VARIABLE};

pub(super) fn run(relay: &BaseUrl, reach: &Reach, work: &Work) -> Result<(), Error> {
    let journal = Journal::new("worker", reach.reports.level, reach.reports.format);
    journal.unknown_variables(&reach.reports.unknown_variables);
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
    journal.tell(Level::Info, "starting", &[], format_args!("{} at {relay}", config.directory));
    let host = host(relay, reach)?;
    let (commands, asked) = async_channel::unbounded();
    let ends = Ends::listen()?;
    let mut ready = reach.reports.json.then_some(());
    let mut printed = Ok(());
    let driven = drive(Worker::new(config), host, asked, |notice| {
        events::worker(journal, &notice);
        if let WorkerNotice::Registered { environment, .. } = &notice
            && ready.take().is_some()
        {
            let url = relay.to_string();
            let environment_id = Some(environment.as_str());
            printed = Ready { url: &url, environment_id, ..Ready::default() }.print();
            if printed.is_err() {
                let _ = commands.try_send(WorkerCommand::Shutdown);
            }
        }
    });
    let ended = ends.forward(|urgency| {
        // A worker that has ended by itself takes no command.
        let _ = commands.try_send(command(urgency));
    });
    block_on(driven.or(ended))?;
    printed
}

/// What a worker of this relay does its work with.
pub(super) fn host(relay: &BaseUrl, reach: &Reach) -> Result<Host, Error> {
    // No proxy leads to this machine itself.
    let proxy = if relay.is_localhost() { Proxy::None } else { Proxy::Environment };
    let extra_ca = reach.ca_file.clone();
    Ok(Host::new(HostOptions { extra_ca, proxy, ..HostOptions::default() })?)
}

/// A worker's configuration from the command line and this machine. What it keeps beyond its own
/// life is kept below `state`.
pub(super) fn config(
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
    config.allowed_variables.clone_from(&work.allowed_variables);
    config.backoff = work.backoff;
    config.stop_work_base_delay = work.stop_work_base_delay;
    Ok(config)
}

fn spawn_mode(wanted: settings::SpawnMode, state: Option<&Path>) -> Result<SpawnMode, Error> {
    match wanted {
        settings::SpawnMode::SingleSession => Ok(SpawnMode::SingleSession),
        settings::SpawnMode::SameDir => Ok(SpawnMode::SameDir),
        settings::SpawnMode::Worktree => {
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
pub(super) fn own_state(state: Option<&Path>, relay: &BaseUrl, directory: &str) -> Option<String> {
    let digest = Sha256::digest(format!("{relay}\n{directory}"));
    let name = URL_SAFE_NO_PAD.encode(digest);
    state?.join("workers").join(name).into_os_string().into_string().ok()
}

pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What a signal asks of a worker.
pub(super) const fn command(urgency: Urgency) -> WorkerCommand {
    match urgency {
        Urgency::Clean => WorkerCommand::Shutdown,
        Urgency::Hurry => WorkerCommand::Hurry,
    }
}
