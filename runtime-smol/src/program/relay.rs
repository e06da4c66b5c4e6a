//! `footbridge relay`: the relay and its page.

use std::path::Path;

use footbridge_cli::exit::Error;
use footbridge_cli::print;
use footbridge_cli::ready::Ready;
use footbridge_cli::secret_file::check_private_key;
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
use super::ready::{local_url, page_url};
use super::relay_log::{event_log, log_notice, log_token_file};
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
    if serve.is_behind_proxy && public_url.is_none() {
        let words = "behind a proxy without --public-url: the address of the page is this relay's own and \
             not the proxy's, and a page is refused unless the proxy passes on its Host";
        log.write(Level::Warn, "no_public_url", &[], format_args!("{words}"));
    }
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
