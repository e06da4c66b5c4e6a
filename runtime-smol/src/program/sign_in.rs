//! `footbridge sign-in`: an address that signs one browser in.

use std::fs::File;
use std::io::IsTerminal as _;

use footbridge_cli::args::RelayArgs;
use footbridge_cli::exit::Error;
use footbridge_cli::token::Sources;
use footbridge_cli::{log_ins, print, seed};
use footbridge_core::auth::Credential;
use footbridge_core::base::secret::Secret;
use footbridge_core::client::AskForCode;
use footbridge_core::wire::url::BaseUrl;
use footbridge_smol::{block_on, drive};

use super::args::{Assumed, SignIn};
use super::invitation::qr_here;
use super::ready::page_url;
use super::whereabouts::{self, Whereabouts};
use super::{data, work};

/// Asks the relay for a code, with the access token, and prints the page's address with it.
pub(super) fn run(ask: &SignIn) -> Result<(), Error> {
    let (directory, sources) = data::places(&ask.data, &ask.reach.reports)?;
    let (token, _) = sources.read()?;
    let running = directory.filter(|_| ask.relay.is_none());
    let running = running.and_then(|directory| whereabouts::look_up(&directory));
    let Place { relay, page, reach } = place(ask, running);
    let host = work::host(&relay, &reach)?;
    let (_commands, asked) = async_channel::bounded(1);
    let mut printed = Ok(());
    let driven = drive(AskForCode::new(relay, token, seed()?), host, asked, |made| {
        let url = page_url(page.trim_end_matches('/'), &made.code);
        let is_shown = std::io::stdout().is_terminal();
        let code = is_shown.then(|| qr_here(&url)).flatten().unwrap_or_default();
        printed = print(&format!("{url}\n{code}"));
    });
    block_on(driven)?;
    printed
}

/// The relay that a person asks with the access token, how it is reached, and the token.
pub(super) fn whom_to_ask(ask: &SignIn) -> Result<(BaseUrl, RelayArgs, Secret), Error> {
    let (directory, sources) = data::places(&ask.data, &ask.reach.reports)?;
    let (token, _) = sources.read()?;
    let running = directory.filter(|_| ask.relay.is_none());
    let running = running.and_then(|directory| whereabouts::look_up(&directory));
    let Place { relay, reach, .. } = place(ask, running);
    Ok((relay, reach, token))
}

/// The relay whose sessions a person reads, how it is reached, and what may read them: what was given,
/// the log-in at a relay that was named, or the access token of this machine's.
pub(super) fn whom_to_read(ask: &SignIn) -> Result<(BaseUrl, RelayArgs, Credential), Error> {
    if let Some(relay) = &ask.relay {
        let sources = Sources::of(&ask.reach.reports);
        let credential = log_ins::credential_for(&sources, relay)?;
        return Ok((relay.clone(), ask.reach.clone(), credential));
    }
    let (directory, sources) = data::places(&ask.data, &ask.reach.reports)?;
    let (token, file) = sources.read()?;
    let running = directory.and_then(|directory| whereabouts::look_up(&directory));
    let Place { relay, reach, .. } = place(ask, running);
    let credential = match file.and_then(|file| file.into_os_string().into_string().ok()) {
        Some(file) => Credential::from_file(token, file),
        None => Credential::fixed(token),
    };
    Ok((relay, reach, credential))
}

/// Which relay is asked, how, and what it is called where the address is opened.
#[derive(Debug, PartialEq)]
struct Place {
    relay: BaseUrl,
    page: String,
    reach: RelayArgs,
}

/// What the command line says comes first, then what a running relay has written down, then what the
/// settings say that it would do.
fn place(ask: &SignIn, running: Option<Whereabouts>) -> Place {
    let SignIn { relay, page, assumed, reach, .. } = ask;
    let (mut reach, given) = (reach.clone(), page.as_ref().map(ToString::to_string));
    let found = running.and_then(|found| Some((BaseUrl::parse(&found.url).ok()?, found)));
    let Some((url, found)) = found else {
        let Assumed { relay: assumed, page: configured } = assumed;
        let relay = relay.as_ref().unwrap_or(assumed).clone();
        let page = given.or_else(|| configured.as_ref().map(ToString::to_string));
        return Place { page: page.unwrap_or_else(|| relay.to_string()), relay, reach };
    };
    // It may be signed by nobody whom this machine knows.
    let certificate = found.certificate.filter(|file| File::open(file).is_ok());
    reach.ca_file = reach.ca_file.or(certificate);
    Place { relay: url, page: given.unwrap_or(found.page), reach }
}
