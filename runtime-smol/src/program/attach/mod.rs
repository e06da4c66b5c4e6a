//! `footbridge attach`: a session in this terminal, or in another program.

mod agent_line;
mod choose;
mod json;
mod lines;
mod made;
mod screen;
mod stream_json;
pub(in crate::program) mod transcript;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use footbridge_cli::args::RelayArgs;
use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_cli::log_ins::credential_for;
use footbridge_cli::seed;
use footbridge_cli::token::Sources;
use footbridge_cli::value::Level;
use footbridge_core::auth::Credential;
use footbridge_core::base::id::SessionId;
use footbridge_core::contract::machine::MachineError;
use footbridge_core::remote::{Remote, RemoteCommand, RemoteConfig, RemoteNotice, Start};
use footbridge_core::wire::url::BaseUrl;
use footbridge_smol::{block_on, drive};
use smol::future::FutureExt;

pub(super) use self::choose::{asked, call};
pub(super) use self::json::said;
pub(super) use self::lines::{answer, colon, question};
pub(super) use self::transcript::shown;
use super::args::Data;
use super::args::attach::{Attach, Wanted};
use super::{data, whereabouts, work};

/// Events that a screen begins with; older ones come as somebody scrolls up to them.
const RECENT: u64 = 200;

/// The relay, how it is reached, and what opens it.
pub(super) struct Place {
    pub(super) relay: BaseUrl,
    pub(super) reach: RelayArgs,
    pub(super) credential: Credential,
}

impl Place {
    /// The directory for everything that the program keeps.
    pub(super) fn state(&self) -> Option<PathBuf> {
        Sources::of(&self.reach.reports).state_directory()
    }
}

pub(super) fn run(ask: Attach) -> Result<(), Error> {
    let log = EventLog::new("footbridge attach", ask.reach.reports.level, ask.reach.reports.format);
    log.unknown_variables(&ask.reach.reports.unknown_variables);
    let wanted = ask.wanted.clone();
    if let Some(args) = &wanted.agent {
        if stream_json::asks_version(args)? {
            return stream_json::print_version();
        }
        let Attach { relay, assumed, reach, .. } = ask;
        return stream_json::run(&place(relay, assumed, reach)?, &wanted, args, log);
    }
    let Attach { relay, assumed, reach, .. } = ask;
    let place = place(relay, assumed, reach)?;
    let is_json = place.reach.reports.json;
    let session = match &wanted.session {
        Some(session) => session.clone(),
        None => choose::session(&place, log, &wanted, is_json)?,
    };
    let mut config = config(&place, session, &wanted)?;
    if is_json {
        return json::run(&place, config);
    }
    if wanted.is_plain || !has_screen() {
        return lines::run(&place, config, log);
    }
    // A person reads it to its end, and may want to know what comes of it.
    config.ends_with_session = false;
    if wanted.after.is_none() {
        config.start = Start::Recent(RECENT);
    }
    screen::run(&place, config)
}

/// The relay that is named, or the one that runs on this machine.
pub(super) fn place(
    relay: Option<BaseUrl>,
    assumed: BaseUrl,
    mut reach: RelayArgs,
) -> Result<Place, Error> {
    let relay = match relay {
        Some(relay) => relay,
        None => {
            let (directory, _) = data::places(&Data::Default, &reach.reports)?;
            let running = directory.and_then(|directory| whereabouts::look_up(&directory));
            let found = running.and_then(|found| Some((BaseUrl::parse(&found.url).ok()?, found)));
            match found {
                Some((relay, found)) => {
                    reach.ca_file = reach.ca_file.or(found.certificate);
                    relay
                }
                None => assumed,
            }
        }
    };
    let sources = Sources::of(&reach.reports);
    let credential = credential_for(&sources, &relay)?;
    Ok(Place { relay, reach, credential })
}

fn config(place: &Place, session: SessionId, wanted: &Wanted) -> Result<RemoteConfig, Error> {
    let (relay, credential) = (place.relay.clone(), place.credential.clone());
    let mut config = RemoteConfig::new(relay, session, credential, seed()?);
    config.viewer_only = wanted.viewer_only;
    config.ends_with_session = true;
    config.start = wanted.after.map_or(Start::Beginning, Start::After);
    Ok(config)
}

/// Drives a viewer until it ends.
fn follow(
    place: &Place,
    config: RemoteConfig,
    asked: async_channel::Receiver<RemoteCommand>,
    signals: impl Future<Output = Result<(), MachineError>>,
    on_notice: impl FnMut(RemoteNotice),
) -> Result<(), Error> {
    let host = work::host(&place.relay, &place.reach)?;
    let driven = drive(Remote::new(config), host, asked, on_notice);
    block_on(driven.or(signals)).map_err(Error::from)
}

/// Whether there is a terminal that can do more than append lines.
pub(super) fn has_screen() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    is_terminal() && !is_dumb
}

fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// What became of the connection, for people.
fn log_connection(log: EventLog, notice: &RemoteNotice) {
    match notice {
        // Why is said with what is done about it, which follows, or ends the program.
        RemoteNotice::Disconnected { .. } => {
            log.write(Level::Warn, "disconnected", &[], format_args!("no longer connected"));
        }
        RemoteNotice::Reconnecting { reason, retry_in } => {
            let seconds = retry_in.as_secs_f32();
            let words = format_args!("{reason}; trying again in {seconds:.1} s");
            log.write(Level::Warn, "reconnecting", &[], words);
        }
        RemoteNotice::Connected => {
            log.write(Level::Info, "connected", &[], format_args!("connected"));
        }
        RemoteNotice::CredentialUnsaved { reason } => {
            let words = format_args!("cannot keep the renewed log-in: {reason}");
            log.write(Level::Error, "log_in_unsaved", &[], words);
        }
        RemoteNotice::Refused { reason, .. } => {
            log.write(Level::Error, "refused", &[], format_args!("{reason}"));
        }
        RemoteNotice::Unsent(_) => {
            log.write(Level::Error, "unsent", &[], format_args!("something was not sent any more"));
        }
        _ => {}
    }
}
