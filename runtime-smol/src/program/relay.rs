//! `footbridge relay`: the relay and its page.

use std::path::Path;

use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_cli::print;
use footbridge_cli::ready::Ready;
use footbridge_cli::secret_file::check_private_key;
use footbridge_cli::value::Level;
use footbridge_cli::worker::host_name;
use footbridge_core::base::limits::{MAX_ENDED_SESSIONS_ON_DISK, MEMORY_STORE_BYTES};
use footbridge_core::base::secret::Secret;
use footbridge_core::relay::{AccessToken, Relay, RelayCommand, RelayConfig, RelayNotice};
use footbridge_core::wire::session::SessionState;
use footbridge_smol::{Certificate, Host, HostOptions, block_on, drive};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smol::future::FutureExt;

use super::args::{Data, Keeping, Serve};
use super::assets::ASSETS;
use super::data::{self, Kept};
use super::ready::{local_url, page_url};
use super::signals::Ends;

/// Files that a relay wants to have open at once, most of them connections. Agents inherit it, so it
/// is no larger than it has to be.
const OPEN_FILES: u64 = 8192;
/// The access token's owner. A relay run by this program has one account.
const PERSON: &str = "owner";

pub(super) fn run(serve: &Serve) -> Result<(), Error> {
    let log = event_log(serve);
    log.unknown_variables(&serve.reports.unknown_variables);
    let kept = data::open(serve)?;
    let token_file = kept.token_file.clone();
    log_token_file(log, token_file.as_deref());
    let public_url = serve.public_url.as_ref().map(ToString::to_string);
    let (relay, host) = build(serve, public_url.clone(), kept)?;
    let (commands, asked) = async_channel::unbounded();
    let ends = Ends::listen()?;
    let mut printed = Ok(());
    let mut listening = String::new();
    let driven = drive(relay, host, asked, |notice| {
        log_notice(log, &notice);
        match notice {
            RelayNotice::Listening { address } => {
                listening = address;
                let _ = commands.try_send(RelayCommand::MakeSignInCode);
            }
            RelayNotice::SignInCode { code } => {
                let token_file = token_file.as_deref();
                printed = announce(serve, &listening, public_url.as_deref(), &code, token_file);
                if printed.is_err() {
                    let _ = commands.try_send(RelayCommand::Shutdown);
                }
            }
            _ => {}
        }
    });
    let ended = ends.forward(|_| {
        // A relay that has already ended takes no commands.
        let _ = commands.try_send(RelayCommand::Shutdown);
    });
    block_on(driven.or(ended))?;
    printed
}

pub(super) fn event_log(serve: &Serve) -> EventLog {
    EventLog::new("relay", serve.reports.level, serve.reports.format)
}

/// A relay machine, and the host for its operations.
pub(super) fn build(
    serve: &Serve,
    public_url: Option<String>,
    kept: Kept,
) -> Result<(Relay, Host), Error> {
    let Kept { token, keys, store, .. } = kept;
    let mut config = RelayConfig::new(serve.listen.to_string());
    config.public_url = public_url;
    config.hosts = serve.hosts.clone();
    // Nobody else's page can be at this machine's own name.
    let name = host_name();
    config.hosts.extend([format!("{name}.local"), name]);
    config.is_behind_proxy = serve.is_behind_proxy;
    config.access_tokens = vec![AccessToken { person: PERSON.to_owned(), token }];
    let Keeping { max_data, keep_ended } = serve.keeping;
    if serve.data == Data::InMemory {
        config.policy.store_bytes = MEMORY_STORE_BYTES.min(max_data);
    } else {
        config.policy.ended_sessions = MAX_ENDED_SESSIONS_ON_DISK;
        config.policy.store_bytes = max_data;
        config.policy.ended_for = keep_ended;
    }
    config.assets = ASSETS;
    let certificate = serve.tls.as_ref();
    let certificate =
        certificate.map(|(chain, key)| Certificate { chain: chain.clone(), key: key.clone() });
    if let Some(certificate) = &certificate {
        check_private_key(&certificate.key)?;
        config.hosts.extend(certificate.names()?);
    }
    allow_connections();
    let relay = Relay::new(config, &keys).map_err(|error| Error::usage(error.to_string()))?;
    let host =
        Host::new(HostOptions { certificate, store: Some(store), ..HostOptions::default() })?;
    Ok((relay, host))
}

/// Many systems let a program open 1,024 files at first, and more if it asks. Without leave there are
/// fewer connections.
fn allow_connections() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
    if current.is_some_and(|current| current < wanted) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

fn announce(
    serve: &Serve,
    listen: &str,
    public_url: Option<&str>,
    code: &Secret,
    token_file: Option<&Path>,
) -> Result<(), Error> {
    let local = local_url(listen, serve.tls.is_some());
    let url = public_url.unwrap_or(&local);
    let page = page_url(url, code);
    if !serve.reports.json {
        return print(&format!("{page}\n"));
    }
    let token_file = token_file.and_then(Path::to_str);
    Ready { url, page: Some(&page), token_file, listen: Some(listen), environment_id: None }.print()
}

/// Says where the access token is, which is never printed.
pub(super) fn log_token_file(log: EventLog, file: Option<&Path>) {
    if let Some(file) = file {
        let words = format_args!("the access token is in {}", file.display());
        log.write(Level::Info, "token_file", &[], words);
    }
}

/// Logs what a relay reports.
pub(super) fn log_notice(log: EventLog, notice: &RelayNotice) {
    use Level::{Debug, Error, Info};
    use RelayNotice as Notice;
    match notice {
        Notice::Listening { address } => {
            log.write(Info, "listening", &[], format_args!("listening on {address}"));
        }
        // It is printed, and not logged.
        Notice::SignInCode { .. } => {}
        Notice::Answered { method, path, status, client } => {
            let words = format_args!("{client} {} {path} {status}", method.as_str());
            log.write(Debug, "answered", &[], words);
        }
        Notice::CredentialsRefused { client, count } => {
            let words = format_args!("unknown credentials from {client}: {count}");
            log.write(Level::Warn, "credentials_refused", &[], words);
        }
        Notice::EnvironmentRegistered { environment, machine_name } => {
            let ids = [("environment", environment.as_str())];
            let words = format_args!("registered by {machine_name}");
            log.write(Info, "environment_registered", &ids, words);
        }
        Notice::EnvironmentGone { environment } => {
            let ids = [("environment", environment.as_str())];
            log.write(Info, "environment_gone", &ids, format_args!("gone"));
        }
        Notice::SessionState { session, state } => {
            let ids = [("session", session.as_str())];
            log.write(Info, "session_state", &ids, format_args!("{}", state_name(*state)));
        }
        Notice::WorkerConnected { session } => {
            let ids = [("session", session.as_str())];
            log.write(Debug, "worker_connected", &ids, format_args!("connected"));
        }
        Notice::WorkerDisconnected { session } => {
            let ids = [("session", session.as_str())];
            log.write(Debug, "worker_disconnected", &ids, format_args!("disconnected"));
        }
        Notice::StoreFailed { detail } => {
            log.write(Error, "store_failed", &[], format_args!("store failure: {detail}"));
        }
        // Those newer than this program.
        other => log.write(Debug, "other", &[], format_args!("{other:?}")),
    }
}

const fn state_name(state: SessionState) -> &'static str {
    match state {
        SessionState::Queued => "waiting for its worker",
        SessionState::Starting => "starting",
        SessionState::Running => "running",
        SessionState::Ended => "ended",
    }
}
