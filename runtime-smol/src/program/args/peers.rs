//! The command lines of `footbridge ps`, `footbridge send` and `footbridge mcp`.

use footbridge_cli::exit::Error;
use lexopt::{Arg, Parser, ValueExt};

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
