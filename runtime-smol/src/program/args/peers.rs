//! The command lines of `footbridge ps`, `footbridge send` and `footbridge mcp`.

use std::path::PathBuf;

use footbridge_cli::args::{LogArgs, RelayArgs, text};
use footbridge_cli::exit::Error;
use footbridge_core::wire::url::BaseUrl;
use lexopt::{Arg, Parser, ValueExt};

use super::{Environment, not_here, ours, own_relay};
use crate::program::settings::{Given, Place, Setting, Settings};
use crate::program::topic::Topic;

/// What to do about the sessions on this machine.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::program) enum Peers {
    Ps { is_json: bool },
    Send { address: String, text: String, reach: Reach },
    Mcp { reach: Reach },
}

/// What the command line says about the relay for sessions on other machines.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::program) struct Reach {
    settings: Vec<Given>,
    config: Option<PathBuf>,
}

/// Reads what follows the command; `None` if it asks for help.
pub(super) fn parse(topic: Topic, parser: &mut Parser) -> Result<Option<Peers>, Error> {
    let (mut words, mut is_json, mut reach) = (Vec::new(), false, Reach::default());
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("json") if topic == Topic::Ps => is_json = true,
            Arg::Value(word) if topic == Topic::Send => words.push(word.string()?),
            Arg::Long("config") if topic != Topic::Ps => {
                reach.config = Some(parser.value()?.into());
            }
            Arg::Long(name) => {
                let setting = Setting::of_flag(name).filter(|it| it.applies_to(topic));
                let setting = setting.ok_or_else(|| not_here(topic, name))?;
                let (flag, text) = (format!("--{name}"), text(parser)?);
                reach.settings.push(Given { setting, flag, text });
            }
            other => return Err(other.unexpected().into()),
        }
    }
    match (topic, &words[..]) {
        (Topic::Ps, []) => Ok(Some(Peers::Ps { is_json })),
        (Topic::Mcp, []) => Ok(Some(Peers::Mcp { reach })),
        (Topic::Send, [address, text @ ..]) if !text.is_empty() => {
            Ok(Some(Peers::Send { address: address.clone(), text: text.join(" "), reach }))
        }
        _ => Err(Error::usage(
            "footbridge send needs an address and a text, such as footbridge send uds:/run/user/1000/footbridge/peers/7.sock 'the tests pass'; footbridge ps shows addresses",
        )),
    }
}

/// The relay for sessions on other machines, as the command line or the settings name it; this machine's, for where none has
/// written down where it is; and how it is reached.
pub(in crate::program) fn at_relay(
    given: &Reach,
    environment: &Environment,
) -> Result<(Option<BaseUrl>, BaseUrl, RelayArgs), Error> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone())
    };
    let place = Place::find(given.config.as_deref(), variable);
    let (settings, unknown_variables) =
        Settings::gather(place.as_ref(), ours(environment)?, &given.settings)?;
    let reports = LogArgs {
        level: settings.log_level.value,
        format: settings.log_format.value,
        json: false,
        token_file: settings.token_file.value.clone(),
        secrets: settings.secrets.value,
        unknown_variables,
    };
    let assumed = own_relay(&settings)?;
    let reach = RelayArgs { reports, ca_file: settings.ca_file.value.clone() };
    Ok((settings.relay.value, assumed, reach))
}
