//! `footbridge relay`: the relay and its page.

use std::path::Path;

use footbridge_cli::exit::Error;
use footbridge_cli::health;
use footbridge_cli::print;
use footbridge_cli::ready::Ready;
use footbridge_cli::secret_file::check_private_key;
use footbridge_cli::service_manager::ServiceManager;
use footbridge_cli::value::Level;
use footbridge_cli::worker::host_name;
use footbridge_core::base::limits::{MAX_ENDED_SESSIONS_ON_DISK, MEMORY_STORE_BYTES};
use footbridge_core::base::secret::Secret;
use footbridge_core::relay::{AccessToken, Relay, RelayCommand, RelayConfig, RelayNotice};
use footbridge_smol::{Certificate, Host, HostOptions, block_on, drive};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smol::future::FutureExt;

use super::args::{Data, Keeping, Serve};
use super::assets::ASSETS;
use super::data::{self, Kept};
use super::ready::{fitting_name, local_url, named_url, page_url, reachable};
use super::relay_log::{event_log, log_notice, log_token_file};
use super::relay_status::RelayStatus;
use super::signals::Ends;
use super::watchdog;
use super::whereabouts::{Noted, Whereabouts};

/// Files that a relay wants to have open at once, most of them connections. Agents inherit it, so it
/// is no larger than it has to be.
const OPEN_FILES: u64 = 8192;
/// The access token's owner. A relay run by this program has one account.
const PERSON: &str = "owner";

pub(super) fn run(serve: &Serve) -> Result<(), Error> {
    let log = event_log(serve);
    log.unknown_variables(&serve.reports.unknown_variables);
    // What was named wrongly is reported before anything is made.
    let certificate = certificate(serve)?;
    let called = certificate.as_ref().map(|own| certified_name(own, serve)).transpose()?.flatten();
    let kept = data::open(serve)?;
    let token_file = kept.token_file.clone();
    let noted = Noted::new(kept.directory.as_deref());
    log_token_file(log, token_file.as_deref());
    let public_url = serve.public_url.as_ref().map(ToString::to_string);
    if serve.is_behind_proxy && public_url.is_none() {
        let words = "behind a proxy without --public-url: the address of the page is this relay's own and \
             not the proxy's, and a page is refused unless the proxy passes on its Host";
        log.write(Level::Warn, "no_public_url", &[], format_args!("{words}"));
    }
    let (relay, host) = build(serve, public_url.clone(), kept, certificate)?;
    let (commands, asked) = async_channel::unbounded();
    let ends = Ends::listen()?;
    let manager = ServiceManager::from_environment();
    let status = RelayStatus::default();
    let shown = status.clone();
    health::start(log, serve.health, move |path| shown.page(path))?;
    let mut printed = Ok(());
    let mut listening = String::new();
    let driven = drive(relay, host, asked, |notice| {
        log_notice(log, &notice);
        status.note(&notice);
        match notice {
            RelayNotice::ShuttingDown { .. } => manager.stopping(),
            RelayNotice::Listening { address } => {
                listening = address;
                let _ = commands.try_send(RelayCommand::MakeSignInCode);
            }
            RelayNotice::SignInCode { code } => {
                let is_tls = serve.tls.is_some();
                let own = called.as_ref().map_or_else(
                    || local_url(&listening, is_tls),
                    |name| named_url(&listening, name),
                );
                let url = public_url.as_ref().unwrap_or(&own);
                noted.write(&whereabouts(serve, &own, url));
                manager.ready(&format!("listening on {listening}"));
                printed = announce(serve, &listening, url, &code, token_file.as_deref());
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
    block_on(driven.or(ended).or(watchdog::keep(&manager)))?;
    printed
}

/// The certificate and its key, which has to be nobody else's to read.
fn certificate(serve: &Serve) -> Result<Option<Certificate>, Error> {
    let Some((chain, key)) = &serve.tls else { return Ok(None) };
    check_private_key(key)?;
    Ok(Some(Certificate { chain: chain.clone(), key: key.clone() }))
}

/// The name by which clients that check the certificate reach this relay, unless they do by its
/// address.
fn certified_name(own: &Certificate, serve: &Serve) -> Result<Option<String>, Error> {
    let ip = serve.listen.ip();
    if own.is_for(reachable(ip))? {
        return Ok(None);
    }
    Ok(fitting_name(ip, &own.names()?).map(str::to_owned))
}

fn whereabouts(serve: &Serve, url: &str, page: &str) -> Whereabouts {
    let certificate = serve.tls.as_ref().and_then(|(chain, _)| std::path::absolute(chain).ok());
    Whereabouts { url: url.to_owned(), page: page.to_owned(), certificate }
}

/// A relay machine, and the host for its operations.
pub(super) fn build(
    serve: &Serve,
    public_url: Option<String>,
    kept: Kept,
    certificate: Option<Certificate>,
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
    if let Some(certificate) = &certificate {
        config.hosts.extend(certificate.names()?);
    }
    allow_connections();
    let relay = Relay::new(config, &keys).map_err(|error| Error::usage(error.to_string()))?;
    let host =
        Host::new(HostOptions { certificate, store: Some(store), ..HostOptions::default() })?;
    Ok((relay, host))
}

/// Many systems let a program open 1,024 files at first, and more if it asks. If it may not, there are
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
    url: &str,
    code: &Secret,
    token_file: Option<&Path>,
) -> Result<(), Error> {
    let page = page_url(url, code);
    if !serve.reports.json {
        return print(&format!("{page}\n"));
    }
    let token_file = token_file.and_then(Path::to_str);
    Ready { url, page: Some(&page), token_file, listen: Some(listen), environment_id: None }.print()
}
