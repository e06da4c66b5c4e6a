//! `footbridge send`: a message to another session on this machine.

use footbridge_cli::exit::{Error, ExitKind};
use footbridge_cli::{print, uuid};
use footbridge_core::peer::address::Address;
use footbridge_core::peer::deliver::{Deliver, DeliverConfig};
use footbridge_core::peer::registry::resolve;
use footbridge_smol::{Host, HostOptions, ProxySource, block_on, drive};

pub(in crate::program) fn run(address: &str, text: &str) -> Result<(), Error> {
    let id = send(address, text)?;
    print(&format!("sent as {id}\n"))
}

/// Sends it; the message's own id.
pub(super) fn send(address: &str, text: &str) -> Result<String, Error> {
    let to = Address::parse(address);
    let unknown = |message| Error { why: ExitKind::Refused, message };
    let socket = resolve(&to, &super::all()?).map_err(unknown)?;
    let (handle, _) = super::own_handle()?;
    let message_id = uuid()?;
    let config = DeliverConfig {
        socket,
        to: to.to_string(),
        body: text.to_owned(),
        message_id: message_id.clone(),
        handle,
    };
    let host = Host::new(HostOptions { proxy: ProxySource::None, ..HostOptions::default() })?;
    let (_commands, asked) = async_channel::bounded(1);
    block_on(drive(Deliver::new(config), host, asked, |never| match never {}))?;
    Ok(message_id)
}
