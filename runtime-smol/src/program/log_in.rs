//! `footbridge login`, `logout`, `whoami` and `devices` (T-6, Y-9).

use std::io::IsTerminal as _;
use std::path::PathBuf;

use footbridge_cli::args::RelayArgs;
use footbridge_cli::exit::{Error, ExitKind};
use footbridge_cli::token::Sources;
use footbridge_cli::worker::host_name;
use footbridge_cli::{log_in_file, print, random_hex, seed};
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
    let sources = Sources::from_environment(None);
    let file = log_in_file::path(&sources, relay)?;
    // Nobody should approve what cannot be kept.
    log_in_file::prepare(&file)?;
    let replaced = log_in_file::read(&file).ok().flatten();
    let config = LogInConfig {
        relay: relay.clone(),
        name: name.clone().unwrap_or_else(host_name),
        scopes: *scopes,
        file: text(file)?,
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
            printed = print(&format!("Logged in at {relay} ({scope}).\n"));
        }
    });
    block_on(driven)?;
    if let Some(replaced) = replaced {
        let own = OwnLogIn { relay: relay.clone(), reach: reach.clone() };
        let holder = Holder::Person(replaced.refresh_token().clone());
        if let Err(error) = call(&own, holder, DeviceCall::LogOut) {
            eprintln!(
                "footbridge: the log-in that this one replaces goes on: {}; end it on the page, or with footbridge devices --revoke",
                error.message
            );
        }
    }
    printed
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

/// The path of a log-in, as the machine takes it.
fn text(path: PathBuf) -> Result<String, Error> {
    path.into_os_string()
        .into_string()
        .map_err(|_| Error::usage("the state directory's path is not UTF-8".to_owned()))
}

/// The log-in at a relay.
fn kept(relay: &BaseUrl) -> Result<(Kept, String), Error> {
    let sources = Sources::from_environment(None);
    let found = log_in_file::of(&sources, relay)?;
    let (log_in, path) = found.ok_or_else(|| Error {
        why: ExitKind::Usage,
        message: format!("not logged in at {relay}: run footbridge login {relay}"),
    })?;
    Ok((log_in, text(path)?))
}

/// Gives the log-in back, and forgets it.
pub(super) fn log_out(ask: &OwnLogIn) -> Result<(), Error> {
    let (log_in, path) = kept(&ask.relay)?;
    let answer = call(ask, Holder::Device(Box::new(log_in), path), DeviceCall::LogOut)?;
    match answer {
        Some(_) => print(&format!("Logged out at {}.\n", ask.relay)),
        None => Ok(()),
    }
}

/// Says whose the log-in is, and what it may do.
pub(super) fn who_am_i(ask: &OwnLogIn) -> Result<(), Error> {
    let (log_in, path) = kept(&ask.relay)?;
    let answer = call(ask, Holder::Device(Box::new(log_in), path), DeviceCall::WhoAmI)?;
    let Some(DeviceAnswer::WhoAmI(me)) = answer else { return Ok(()) };
    if ask.reach.reports.json {
        return print_json(&me);
    }
    let WhoAmI { account, scope, device_id, .. } = &me;
    let device = device_id.as_ref().map(|id| format!(", as {id}")).unwrap_or_default();
    print(&format!("{account} at {}{device} ({scope})\n", ask.relay))
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
