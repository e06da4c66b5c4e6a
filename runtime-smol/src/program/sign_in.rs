//! `footbridge sign-in`: an address that signs one browser in.

use footbridge_cli::exit::Error;
use footbridge_cli::print;
use footbridge_core::client::AskForCode;
use footbridge_smol::{block_on, drive};

use super::args::SignIn;
use super::ready::page_url;
use super::{data, work};

/// Asks the relay for a code, with the access token, and prints the page's address with it.
pub(super) fn run(ask: &SignIn) -> Result<(), Error> {
    let SignIn { relay, page, reach, data } = ask;
    let (_, sources) = data::places(data, &reach.reports)?;
    let (token, _) = sources.read()?;
    let base = page.as_ref().unwrap_or(relay).to_string();
    let host = work::host(relay, reach)?;
    let (_commands, asked) = async_channel::bounded(1);
    let mut printed = Ok(());
    let driven = drive(AskForCode::new(relay.clone(), &token), host, asked, |made| {
        printed = print(&format!("{}\n", page_url(base.trim_end_matches('/'), &made.code)));
    });
    block_on(driven)?;
    printed
}
