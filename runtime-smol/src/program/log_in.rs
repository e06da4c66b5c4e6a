//! `footbridge login`, `logout`, `whoami` and `devices` (T-6, Y-9).

use std::io::IsTerminal as _;

use footbridge_cli::args::RelayArgs;
use footbridge_cli::exit::Error;
use footbridge_cli::log_ins::{self, Place};
use footbridge_cli::token::Sources;
use footbridge_cli::worker::host_name;
use footbridge_cli::{print, random_hex, seed};
use footbridge_core::auth::LogIn as Kept;
use footbridge_core::base::secret::Secret;
use footbridge_core::client::{
    AskAsDevice, DeviceAnswer, DeviceCall, DeviceLogIn, Holder, LogInConfig, LogInNotice,
};
use footbridge_core::wire::device::{DeviceView, WhoAmI};
use footbridge_core::wire::oauth::DeviceAuthorization;
use footbridge_core::wire::url::BaseUrl;
use footbridge_smol::{block_on, drive};

use super::args::Data;
use super::args::log_in::{Devices, LogIn, OwnLogIn};
use super::data;
use super::invitation::qr_here;
use super::sign_in;
use super::whereabouts::{self, Whereabouts};
use super::work;

/// Shows a code, and waits until somebody has approved it at the relay's page.
pub(super) fn log_in(ask: &LogIn) -> Result<(), Error> {
    let LogIn { relay, reach, name, scopes, is_enrolled } = ask;
    let place = Place::of(&Sources::of(&reach.reports), relay)?;
    // Nobody should approve what cannot be kept.
    place.prepare()?;
    // Also what is kept in the other place.
    let replaced = [place.clone(), place.elsewhere()];
    let replaced = replaced.map(|place| (place.read().ok().flatten(), place));
    let config = LogInConfig {
        relay: relay.clone(),
        name: name.clone().unwrap_or_else(host_name),
        scopes: *scopes,
        file: place.name()?,
        seed: Secret::new(random_hex::<32>()?),
        trusted_as: is_enrolled.then(|| name.clone().unwrap_or_else(trusted_as)),
    };
    let host = work::host(relay, reach)?;
    let mut elsewhere = elsewhere(relay, reach);
    let (_commands, asked) = async_channel::bounded(1);
    let mut printed = Ok(());
    let driven = drive(DeviceLogIn::new(config), host, asked, |notice| match notice {
        LogInNotice::Approve(begun) => printed = print(&instructions(&begun)),
        LogInNotice::Retrying { reason, retry_in } => {
            eprintln!("footbridge: {reason}; trying again in {} s", retry_in.as_secs());
            if let Some(url) = elsewhere.take() {
                eprintln!(
                    "footbridge: the relay of this machine is elsewhere: footbridge login {url}"
                );
            }
        }
        LogInNotice::NotTrusted { reason } => {
            eprintln!("footbridge: this is not a trusted device: {reason}");
        }
        LogInNotice::LoggedIn(kept) => {
            let scope = kept.scope().unwrap_or(*scopes);
            printed = print(&format!("Logged in at {relay} ({scope}). Kept in {place}.\n"));
        }
    });
    block_on(driven)?;
    let own = OwnLogIn { relay: relay.clone(), reach: reach.clone() };
    for (replaced, at) in replaced {
        if let Some(replaced) = &replaced {
            end_replaced(&own, replaced);
        }
        // One that could not be read is in nobody's way, but should not lie about either.
        if at != place
            && let Err(error) = at.remove()
            && replaced.is_some()
        {
            eprintln!(
                "footbridge: the log-in that this one replaces is still kept: {}",
                error.message
            );
        }
    }
    printed
}

/// Ends at the relay what is kept here no longer.
fn end_replaced(own: &OwnLogIn, replaced: &Kept) {
    let holder = Holder::Person(replaced.refresh_token().clone());
    if let Err(error) = call(own, holder, DeviceCall::LogOut) {
        eprintln!(
            "footbridge: the log-in that this one replaces goes on: {}; end it on the page, or with footbridge devices --revoke",
            error.message
        );
    }
}

/// Where this machine's own relay runs, if that is not where it was looked for.
fn elsewhere(relay: &BaseUrl, reach: &RelayArgs) -> Option<String> {
    let (directory, _) = data::places(&Data::Default, &reach.reports).ok()?;
    let Whereabouts { url, certificate, .. } = whereabouts::look_up(&directory?)?;
    let (asked, found) = (relay.to_string(), url.trim_end_matches('/'));
    let is_here = matches!(relay.host(), "localhost" | "127.0.0.1" | "[::1]");
    let is_elsewhere = asked.trim_end_matches('/') != found;
    let trust = certificate.map(|file| format!(" --ca-file {}", file.display()));
    (is_here && is_elsewhere).then(|| format!("{found}{}", trust.unwrap_or_default()))
}

/// How people recognise this machine among the trusted ones.
fn trusted_as() -> String {
    format!("Footbridge on {} · {}", host_name(), std::env::consts::OS)
}

fn instructions(begun: &DeviceAuthorization) -> String {
    let DeviceAuthorization { user_code, verification_uri, verification_uri_complete, .. } = begun;
    let complete = verification_uri_complete.as_deref().unwrap_or(verification_uri);
    let code = std::io::stdout().is_terminal().then(|| qr_here(complete)).flatten();
    let code = code.map(|code| format!("\n{code}")).unwrap_or_default();
    format!(
        "Open {verification_uri} in a browser that is signed in at the relay, and enter\n\n    {user_code}\n\nor open {complete}\n{code}"
    )
}

/// The log-in at a relay.
fn kept(ask: &OwnLogIn) -> Result<(Kept, Place), Error> {
    let (relay, sources) = (&ask.relay, Sources::of(&ask.reach.reports));
    let none = || {
        let hint = log_ins::hint(&sources, relay);
        Error::usage(format!("not logged in at {relay}{hint}: run footbridge login {relay}"))
    };
    log_ins::of(&sources, relay)?.ok_or_else(none)
}

/// Gives the log-in back, and forgets it.
pub(super) fn log_out(ask: &OwnLogIn) -> Result<(), Error> {
    let (log_in, place) = kept(ask)?;
    let holder = Holder::Device(Box::new(log_in), place.name()?);
    let answer = call(ask, holder, DeviceCall::LogOut)?;
    match answer {
        Some(_) => print(&format!("Logged out at {}.\n", ask.relay)),
        None => Ok(()),
    }
}

/// Says whose the log-in is, and what it may do.
pub(super) fn who_am_i(ask: &OwnLogIn) -> Result<(), Error> {
    let (log_in, place) = kept(ask)?;
    let holder = Holder::Device(Box::new(log_in), place.name()?);
    let answer = call(ask, holder, DeviceCall::WhoAmI)?;
    let Some(DeviceAnswer::WhoAmI(me)) = answer else { return Ok(()) };
    if ask.reach.reports.json {
        return print_json(&me);
    }
    let WhoAmI { account, scope, device_id, .. } = &me;
    let device = device_id.as_ref().map(|id| format!(", as {id}")).unwrap_or_default();
    print(&format!("{account} at {}{device} ({scope})\nkept in {place}\n", ask.relay))
}

/// Lists a person's devices, or ends one.
pub(super) fn devices(ask: &Devices) -> Result<(), Error> {
    let (relay, reach, token) = sign_in::whom_to_ask(&ask.sign_in)?;
    let own = OwnLogIn { relay, reach };
    let what = ask.revoke.clone().map_or(DeviceCall::Devices, DeviceCall::Revoke);
    match call(&own, Holder::Person(token), what)? {
        Some(DeviceAnswer::Devices(devices)) if own.reach.reports.json => print_json(&devices),
        Some(DeviceAnswer::Devices(devices)) => {
            let lines: Vec<String> = devices.devices.iter().map(line).collect();
            let none = "Nobody is logged in: see footbridge help login.\n";
            print(if lines.is_empty() { none.to_owned() } else { lines.concat() }.as_str())
        }
        _ => print("Revoked.\n"),
    }
}

fn line(device: &DeviceView<'_>) -> String {
    let DeviceView { id, name, scope, last_used_at, address, trusted_at, .. } = device;
    let trusted = if trusted_at.is_some() { ", trusted" } else { "" };
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    format!("{id}  {name}  ({scope}{trusted})  last used {last_used_at} from {address}\n")
}

fn print_json<T: serde::Serialize>(value: &T) -> Result<(), Error> {
    let json = serde_json::to_string(value).map_err(|error| Error::local(error.to_string()))?;
    print(&format!("{json}\n"))
}

fn call(ask: &OwnLogIn, holder: Holder, what: DeviceCall) -> Result<Option<DeviceAnswer>, Error> {
    let mut answered = None;
    call_for_each(ask, holder, what, |answer| answered = Some(answer))?;
    Ok(answered)
}

/// Asks, and hands on each answer.
pub(super) fn call_for_each(
    ask: &OwnLogIn,
    holder: Holder,
    call: DeviceCall,
    each: impl FnMut(DeviceAnswer),
) -> Result<(), Error> {
    let host = work::host(&ask.relay, &ask.reach)?;
    let (_commands, asked) = async_channel::bounded(1);
    let machine = AskAsDevice::new(ask.relay.clone(), holder, call, seed()?);
    Ok(block_on(drive(machine, host, asked, each))?)
}
