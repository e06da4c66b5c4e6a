//! What is the same in every world: who listens where, and a few names.

use crate::ids::PartyId;

/// The relay is always the first party.
pub(crate) const RELAY: PartyId = 0;
/// The liar is the second.
pub(crate) const LIAR: PartyId = 1;
pub(crate) const RELAY_URL: &str = "https://relay.example";
pub(crate) const RELAY_WS_URL: &str = "wss://relay.example";
pub(crate) const LIAR_URL: &str = "https://liar.example";
/// The longest line that simulated workers take from an agent: short, so that a longer one is
/// cheap.
pub(crate) const MAX_LINE_BYTES: usize = 64 << 10;
/// The access token of someone who owns nothing here.
pub(crate) const MALLORY_TOKEN: &str = "mallory-has-one-as-well";
/// The access token of someone who logs machines in and ends them.
pub(crate) const DORA_TOKEN: &str = "dora-logs-machines-in-and-out";
/// The path of a worker's token file.
pub(crate) const TOKEN_FILE: &str = "/config/token";
/// The name of an unknown field, header and message type.
pub(crate) const FUTURE: &str = "from_the_future";

/// The party that a URL refers to.
pub(crate) fn server_at(url: &str) -> PartyId {
    if url.contains("liar.example") { LIAR } else { RELAY }
}
