//! `footbridge audit`: who has done what (Y-9).

use std::time::SystemTime;

use footbridge_cli::exit::Error;
use footbridge_cli::print;
use footbridge_core::base::time::UnixTime;
use footbridge_core::client::{DeviceAnswer, DeviceCall, Holder};
use footbridge_core::wire::audit::{Actor, AuditEntry};
use serde::Serialize;

use super::args::log_in::{Audit, OwnLogIn, Since};
use super::{log_in, sign_in};

/// Prints the entries, oldest first, as they come.
pub(super) fn run(ask: &Audit) -> Result<(), Error> {
    let (relay, reach, token) = sign_in::whom_to_ask(&ask.sign_in)?;
    let is_json = reach.reports.json;
    let own = OwnLogIn { relay, reach };
    let since = ask.since.map(time);
    let mut printed = Ok(());
    log_in::call_for_each(&own, Holder::Person(token), DeviceCall::Audit(0), |answer| {
        let DeviceAnswer::Audit(page) = answer else { return };
        let recent = page.entries.iter().filter(|entry| since.is_none_or(|at| entry.at >= at));
        let lines: Result<Vec<String>, Error> =
            recent.map(|entry| if is_json { json(entry) } else { Ok(line(entry)) }).collect();
        if printed.is_ok() {
            printed = lines.and_then(|lines| print(&lines.concat()));
        }
    })?;
    printed
}

fn time(since: Since) -> UnixTime {
    match since {
        Since::At(at) => at,
        Since::Ago(ago) => {
            let at = SystemTime::now().checked_sub(ago);
            let passed = at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
            let millis = passed.and_then(|passed| u64::try_from(passed.as_millis()).ok());
            UnixTime::from_millis(millis.unwrap_or_default())
        }
    }
}

fn json(entry: &AuditEntry) -> Result<String, Error> {
    let json = serde_json::to_string(entry).map_err(|error| Error::local(error.to_string()))?;
    Ok(format!("{json}\n"))
}

/// An entry for people: when, what, in which session, by whom.
fn line(entry: &AuditEntry) -> String {
    let Actor { kind, id, address } = &entry.by;
    let mut words = vec![entry.at.to_string(), word(&entry.action)];
    words.extend(entry.detail.clone().map(|detail| format!("({detail})")));
    words.extend(entry.session_id.as_ref().map(|id| format!("in {id}")));
    words.extend(entry.environment_id.as_ref().map(|id| format!("on {id}")));
    words.extend(entry.device_id.as_ref().map(|id| format!("of {id}")));
    words.push(format!("by {}", word(kind)));
    words.extend(id.clone());
    if !address.is_empty() {
        words.push(format!("from {address}"));
    }
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    format!("{line}\n")
}

/// The name that a value has on the wire, in words.
fn word<T: Serialize>(value: &T) -> String {
    let name = serde_json::to_value(value).ok();
    let name = name.and_then(|name| name.as_str().map(|name| name.replace('_', " ")));
    name.unwrap_or_default()
}
