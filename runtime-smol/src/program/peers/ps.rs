//! `footbridge ps`: the sessions on this machine.

use footbridge_cli::exit::Error;
use footbridge_cli::print;
use footbridge_core::base::text::without_hidden;
use footbridge_core::peer::registry::Peer;

pub(in crate::program) fn run(is_json: bool) -> Result<(), Error> {
    let all = super::all()?;
    if is_json {
        let json = serde_json::to_string(&all).map_err(|error| Error::local(error.to_string()))?;
        return print(&format!("{json}\n"));
    }
    let lines: Vec<String> = all.iter().map(line).collect();
    print(&lines.concat())
}

fn line(peer: &Peer) -> String {
    let Peer { pid, entry, addresses } = peer;
    let waits = entry.waiting_for.as_ref().map(|what| format!(" for {what}")).unwrap_or_default();
    let drains = if entry.worker_draining { ", its worker takes no more" } else { "" };
    let line = format!(
        "{pid}  {}  {}{waits}{drains}  {}  {}",
        entry.session_id,
        entry.status,
        entry.name,
        addresses.join(" ")
    );
    without_hidden(&line) + "\n"
}
