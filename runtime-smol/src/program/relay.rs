//! `footbridge relay`: the relay and its page.

use std::path::Path;

use footbridge_cli::exit::Error;
use footbridge_cli::health;
use footbridge_cli::ready::Ready;
use footbridge_cli::service_manager::ServiceManager;
use footbridge_cli::value::Level;
use footbridge_cli::worker::host_name;
use footbridge_core::base::limits::{MAX_ENDED_SESSIONS_ON_DISK, MEMORY_STORE_BYTES};
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::Reach;
use footbridge_core::relay::{AccessToken, Relay, RelayCommand, RelayConfig, RelayNotice};
use footbridge_smol::{CertificateReport, Host, HostOptions, block_on, drive};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smol::future::FutureExt;

use super::args::user::PERSON;
use super::args::{Data, Keeping, Serve, Tls};
use super::data::{self, Kept};
use super::invitation::Invitation;
use super::presented::{Presented, own_url, reached_from_elsewhere};
use super::ready::page_url;
use super::relay_log::{event_log, log_certificate, log_notice, log_token_file};
use super::relay_status::RelayStatus;
use super::signals::{Ends, Urgency};
use super::whereabouts::{Noted, Whereabouts};
use super::{certified, oidc, users, watchdog};

/// Files that a relay wants to have open at once, most of them connections. Agents inherit it, so it
/// is no larger than it has to be.
const OPEN_FILES: u64 = 8192;

pub(super) fn run(serve: &Serve) -> Result<(), Error> {
    let log = event_log(serve);
    log.unknown_variables(&serve.reports.unknown_variables);
    // What was named wrongly is reported before anything is made.
    let directory = data::directory(serve)?;
    let presented = Presented::of(serve, directory.as_deref())?;
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
    let (people, first) = (kept.directory.clone(), owner(kept.token.clone()));
    let (relay, host) = build(serve, public_url.clone(), kept, presented.as_ref())?;
    let (commands, asked) = async_channel::unbounded();
    let ends = Ends::listen_with_drain()?;
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
                let own = own_url(presented.as_ref(), &listening);
                let place = Place::of(serve, presented.as_ref(), &listening, own);
                noted.write(&place.whereabouts);
                manager.ready(&format!("listening on {listening}"));
                printed = announce(serve, &listening, &place, &code, token_file.as_deref());
                if printed.is_err() {
                    let _ = commands.try_send(RelayCommand::Shutdown);
                }
            }
            _ => {}
        }
    });
    let ended = ends.forward(|urgency| match urgency {
        Urgency::Drain => {
            let words = format_args!("SIGUSR1 drains a worker; a relay goes on");
            log.write(Level::Warn, "not_drained", &[], words);
        }
        // A relay that has already ended takes no commands.
        Urgency::Clean | Urgency::ShutdownNow => drop(commands.try_send(RelayCommand::Shutdown)),
    });
    let people = users::watch(people, first, log, |command| drop(commands.try_send(command)));
    let certified =
        certified::follow(log, presented.as_ref(), |command| drop(commands.try_send(command)));
    block_on(driven.or(ended).or(people).or(certified).or(watchdog::keep(&manager)))?;
    printed
}

/// Whom a relay runs for.
pub(super) fn owner(token: Secret) -> AccessToken {
    AccessToken { person: PERSON.to_owned(), token }
}

/// Where a relay's page is.
pub(super) struct Place {
    pub(super) whereabouts: Whereabouts,
    /// By other machines, the likeliest one first.
    elsewhere: Vec<String>,
    has_own_authority: bool,
}

impl Place {
    /// `own` is how this machine reaches it.
    pub(super) fn of(
        serve: &Serve,
        presented: Option<&Presented>,
        listen: &str,
        own: String,
    ) -> Self {
        let public = serve.public_url.as_ref().map(ToString::to_string);
        let elsewhere = match (&public, presented) {
            (Some(public), _) => vec![public.clone()],
            // What its certificate is for is all that is known.
            (None, Some(Presented { called: Some(_), .. })) => vec![own.clone()],
            (None, None) if serve.is_behind_proxy => Vec::new(),
            (None, presented) => reached_from_elsewhere(listen, presented.is_some()),
        };
        let whereabouts = Whereabouts {
            page: public.unwrap_or_else(|| own.clone()),
            url: own,
            certificate: presented.map(|presented| presented.trusted_by.clone()),
        };
        let has_own_authority = serve.tls == Some(Tls::Own);
        Self { whereabouts, elsewhere, has_own_authority }
    }

    /// For whoever started it.
    pub(super) fn announce(&self, code: &Secret) -> Result<(), Error> {
        let Self { whereabouts, elsewhere, has_own_authority } = self;
        let here = &whereabouts.page;
        Invitation { here, elsewhere, code, has_own_authority: *has_own_authority }.print()
    }
}

/// A relay machine, and the host for its operations.
pub(super) fn build(
    serve: &Serve,
    public_url: Option<String>,
    kept: Kept,
    presented: Option<&Presented>,
) -> Result<(Relay, Host), Error> {
    let Kept { token, keys, store, directory, .. } = kept;
    let mut config = RelayConfig::new(serve.listen.to_string());
    config.public_url = public_url;
    config.hosts = serve.hosts.clone();
    // Nobody else's page can be at this machine's own name.
    let name = host_name();
    config.hosts.extend([format!("{name}.local"), name]);
    config.is_behind_proxy = serve.is_behind_proxy;
    if serve.allows_private_push {
        config.push_reach = Reach::Anywhere;
    }
    config.use_code_sessions = serve.has_code_sessions;
    config.demand_trusted = serve.demand_trusted;
    let provider = serve.oidc.as_ref().map(|oidc| oidc::config(oidc, directory.as_deref()));
    config.oidc = provider.transpose()?;
    let others = users::Tokens::of(directory.as_deref())?.tokens;
    config.access_tokens = [vec![owner(token)], others].concat();
    let Keeping { max_data, keep_ended } = serve.keeping;
    if serve.data == Data::InMemory {
        config.policy.store_bytes = MEMORY_STORE_BYTES.min(max_data);
    } else {
        config.policy.ended_sessions = MAX_ENDED_SESSIONS_ON_DISK;
        config.policy.store_bytes = max_data;
        config.policy.ended_for = keep_ended;
    }
    config.assets = Presented::assets(presented);
    // A provider within a company has that company's authority.
    let extra_ca = serve.oidc.as_ref().and_then(|oidc| oidc.ca_file.clone());
    let certificate = presented.map(|presented| presented.certificate.clone());
    if let Some(certificate) = &certificate {
        config.hosts.extend(certificate.names()?);
    }
    allow_connections();
    let relay = Relay::new(config, &keys).map_err(|error| Error::usage(error.to_string()))?;
    let log = event_log(serve);
    let on_certificate: CertificateReport = Box::new(move |notice| log_certificate(log, notice));
    let host = Host::new(HostOptions {
        extra_ca,
        certificate,
        on_certificate: Some(on_certificate),
        store: Some(store),
        ..HostOptions::default()
    })?;
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
    place: &Place,
    code: &Secret,
    token_file: Option<&Path>,
) -> Result<(), Error> {
    if !serve.reports.json {
        return place.announce(code);
    }
    let url = &place.whereabouts.page;
    let page = page_url(url, code);
    let token_file = token_file.and_then(Path::to_str);
    Ready { url, page: Some(&page), token_file, listen: Some(listen), environment_id: None }.print()
}
