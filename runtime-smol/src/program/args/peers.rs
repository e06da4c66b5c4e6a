//! The command lines of `footbridge ps`, `footbridge send` and `footbridge mcp`.

use footbridge_cli::args::{LogArgs, RelayArgs};
use footbridge_cli::exit::Error;
use footbridge_core::wire::url::BaseUrl;
use lexopt::{Arg, Parser, ValueExt};

use super::{Environment, ours, own_relay};
use crate::program::settings::{Place, Settings};
use crate::program::topic::Topic;

/// What to do about the sessions on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::program) enum Peers {
    Ps { is_json: bool },
    Send { address: String, text: String },
    Mcp,
}

/// Reads what follows the command; `None` if it asks for help.
pub(super) fn parse(topic: Topic, parser: &mut Parser) -> Result<Option<Peers>, Error> {
    let (mut words, mut is_json) = (Vec::new(), false);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("json") if topic == Topic::Ps => is_json = true,
            Arg::Value(word) if topic == Topic::Send => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    match (topic, &words[..]) {
        (Topic::Ps, []) => Ok(Some(Peers::Ps { is_json })),
        (Topic::Mcp, []) => Ok(Some(Peers::Mcp)),
        (Topic::Send, [address, text @ ..]) if !text.is_empty() => {
            Ok(Some(Peers::Send { address: address.clone(), text: text.join(" ") }))
        }
        _ => Err(Error::usage(
            "footbridge send needs an address and a text, such as footbridge send uds:/run/user/1000/footbridge/peers/7.sock 'the tests pass'; footbridge ps shows addresses",
        )),
    }
}

/// The relay for sessions on other machines, as the settings name it; this machine's, for where none has
/// written down where it is; and how it is reached.
pub(in crate::program) fn at_relay(
    environment: &Environment,
) -> Result<(Option<BaseUrl>, BaseUrl, RelayArgs), Error> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone())
    };
    let place = Place::find(None, variable);
    let (settings, unknown_variables) = Settings::gather(place.as_ref(), ours(environment)?, &[])?;
    let reports = LogArgs {
        level: settings.log_level.value,
        format: settings.log_format.value,
        json: false,
        token_file: settings.token_file.value.clone(),
        unknown_variables,
    };
    let assumed = own_relay(&settings)?;
    let reach = RelayArgs { reports, ca_file: settings.ca_file.value.clone() };
    Ok((settings.relay.value, assumed, reach))
}
