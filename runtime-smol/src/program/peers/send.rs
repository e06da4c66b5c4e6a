//! `footbridge send`: a message to another session.

use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::{Error, ExitKind};
use footbridge_cli::{print, uuid};
use footbridge_core::peer::address::Address;
use footbridge_core::peer::deliver::{Deliver, DeliverConfig};
use footbridge_core::peer::registry::{Way, resolve};
use footbridge_core::peer::sender::Unsigned;
use footbridge_core::remote::LobbyCall;
use footbridge_smol::{Host, HostOptions, ProxySource, block_on, drive};

use crate::program::args::Environment;
use crate::program::args::peers::{Reach, at_relay};
use crate::program::attach;

pub(in crate::program) fn run(
    address: &str,
    text: &str,
    reach: &Reach,
    environment: &Environment,
) -> Result<(), Error> {
    let id = send(address, text, reach, environment)?;
    print(&format!("sent as {id}\n"))
}

/// Sends it; the message's own id.
pub(super) fn send(
    address: &str,
    text: &str,
    given: &Reach,
    environment: &Environment,
) -> Result<String, Error> {
    let to = Address::parse(address);
    let unknown = |message| Error { why: ExitKind::Refused, message };
    let way = resolve(&to, &super::all()?).map_err(unknown)?;
    let (handle, _) = super::own_handle()?;
    let message_id = uuid()?;
    let (to, body) = (to.to_string(), text.to_owned());
    let message = Unsigned { to, body, message_id: message_id.clone(), handle };
    match way {
        Way::Socket(socket) => {
            let host =
                Host::new(HostOptions { proxy: ProxySource::None, ..HostOptions::default() })?;
            let (_commands, asked) = async_channel::bounded(1);
            let machine = Deliver::new(DeliverConfig { socket, message });
            block_on(drive(machine, host, asked, |never| match never {}))?;
        }
        Way::Relay(session) => {
            let (relay, assumed, reach) = at_relay(given, environment)?;
            let log = EventLog::new("footbridge send", reach.reports.level, reach.reports.format);
            let place = attach::place(relay, assumed, reach)?;
            attach::call(&place, log, LobbyCall::Tell { session, message })?;
        }
    }
    Ok(message_id)
}
