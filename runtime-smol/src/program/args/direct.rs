//! The command line of `footbridge direct serve` and `footbridge direct connect`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use footbridge_cli::args::text;
use footbridge_cli::exit::Error;
use footbridge_cli::near::nearest;
use footbridge_cli::value::Level;
use lexopt::{Arg, Parser, ValueExt};

/// Its long options.
pub(in crate::program) const OPTIONS: &[&str] =
    &["agent", "directory", "listen", "allow-host", "give-up", "token-file", "without-tls", "json"];

/// How long a client tries without a connection.
const GIVE_UP: Duration = Duration::from_secs(600);

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::program) enum Direct {
    Serve(Serve),
    Connect(Connect),
}

/// A request to serve a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::program) struct Serve {
    pub(in crate::program) agent: Option<String>,
    pub(in crate::program) directory: Option<PathBuf>,
    pub(in crate::program) listen: SocketAddr,
    pub(in crate::program) hosts: Vec<String>,
    pub(in crate::program) common: Common,
}

/// A request to connect to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::program) struct Connect {
    pub(in crate::program) url: String,
    pub(in crate::program) give_up: Duration,
    pub(in crate::program) common: Common,
}

/// What both take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::program) struct Common {
    pub(in crate::program) token_file: Option<PathBuf>,
    pub(in crate::program) json: bool,
    pub(in crate::program) level: Level,
    without_tls: bool,
}

/// Reads what follows `footbridge direct`; `None` if it asks for help.
pub(super) fn parse(parser: &mut Parser) -> Result<Option<Direct>, Error> {
    let mut words = Vec::new();
    let mut common = Common::default();
    let (mut agent, mut directory, mut hosts) = (None, None, Vec::new());
    let mut listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut give_up = GIVE_UP;
    let mut taken: Vec<String> = Vec::new();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("verbose") | Arg::Short('v') => common.level = Level::Debug,
            Arg::Long("quiet") | Arg::Short('q') => common.level = Level::Error,
            Arg::Long("json") => common.json = true,
            Arg::Long("without-tls") => common.without_tls = true,
            Arg::Long("token-file") => common.token_file = Some(parser.value()?.into()),
            Arg::Long(name @ ("agent" | "directory" | "listen" | "allow-host" | "give-up")) => {
                let name = name.to_owned();
                match &*name {
                    "agent" => agent = Some(text(parser)?),
                    "directory" => directory = Some(parser.value()?.into()),
                    "listen" => listen = address(&text(parser)?)?,
                    "allow-host" => hosts.push(text(parser)?),
                    _ => give_up = seconds(&text(parser)?)?,
                }
                taken.push(name);
            }
            Arg::Long(name) => {
                let advice = match nearest(name, OPTIONS.iter().copied()) {
                    Some(near) => format!("did you mean --{near}?"),
                    None => "see footbridge help direct".to_owned(),
                };
                return Err(Error::usage(format!("unknown option --{name}; {advice}")));
            }
            Arg::Value(word) => words.push(word.string()?),
            Arg::Short(_) => return Err(arg.unexpected().into()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let foreign = |own: &[&str]| {
        let found = taken.iter().find(|name| !own.contains(&name.as_str()));
        found.map_or(Ok(()), |name| {
            Err(Error::usage(format!("footbridge direct {} has no option --{name}", words[0])))
        })
    };
    match &words[..] {
        ["serve"] => {
            foreign(&["agent", "directory", "listen", "allow-host"])?;
            if !listen.ip().is_loopback() && !common.without_tls {
                return Err(Error::usage(format!(
                    "--listen: {listen} can be reached from other machines, and without TLS the token and the conversation would be sent in the clear; put a proxy with TLS before it, or say --without-tls"
                )));
            }
            Ok(Some(Direct::Serve(Serve { agent, directory, listen, hosts, common })))
        }
        ["connect", url] => {
            foreign(&["give-up"])?;
            let url = self::url(url, common.without_tls)?;
            Ok(Some(Direct::Connect(Connect { url, give_up, common })))
        }
        ["connect"] => Err(Error::usage(
            "footbridge direct connect needs the address that footbridge direct serve prints",
        )),
        _ => Err(Error::usage(
            "use footbridge direct serve, or footbridge direct connect with an address",
        )),
    }
}

fn address(text: &str) -> Result<SocketAddr, Error> {
    text.parse().map_err(|_| {
        Error::usage(format!(
            "--listen: {text:?} is not an address and a port, such as 127.0.0.1:8788"
        ))
    })
}

fn seconds(text: &str) -> Result<Duration, Error> {
    let seconds = text.parse().map(Duration::from_secs);
    seconds.map_err(|_| Error::usage(format!("--give-up: {text:?} is not a number of seconds")))
}

/// The URL of a session. One without a path is of the session that there is.
fn url(text: &str, is_clear_allowed: bool) -> Result<String, Error> {
    let bad = || {
        Error::usage(format!(
            "{text:?} is not a session's address, such as ws://127.0.0.1:41234/v1/direct/session_1"
        ))
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
    let scheme = match scheme {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        _ => return Err(bad()),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '@' | '\\' | '"' | '#');
    if authority.is_empty() || !rest.chars().all(is_plain) {
        return Err(bad());
    }
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_own = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if scheme == "ws" && !is_own && !is_clear_allowed {
        return Err(Error::usage(format!(
            "{text}: the token and the conversation would be sent in the clear; use wss://, or say --without-tls"
        )));
    }
    let path = if path.is_empty() { "v1/direct" } else { path };
    Ok(format!("{scheme}://{authority}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Direct>, Error> {
        parse(&mut Parser::from_args(line.split(' ')))
    }

    #[test]
    fn a_session_is_reached_from_here_unless_told_otherwise() {
        let connect = |line: &str| match parsed(line) {
            Ok(Some(Direct::Connect(connect))) => connect.url,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(connect("connect ws://127.0.0.1:1"), "ws://127.0.0.1:1/v1/direct");
        assert_eq!(connect("connect http://[::1]:1/x?y"), "ws://[::1]:1/x?y");
        assert_eq!(connect("connect wss://host.example/a"), "wss://host.example/a");
        assert_eq!(connect("connect --without-tls ws://host/a"), "ws://host/a");
        let Ok(Some(Direct::Serve(serve))) = parsed("serve --agent cat") else { panic!() };
        assert!(serve.listen.ip().is_loopback() && serve.listen.port() == 0);
        assert_eq!(parsed("serve --help"), Ok(None));
        for (line, words) in [
            ("serve --listen 0.0.0.0:1", "--without-tls"),
            ("serve --listen here", "127.0.0.1:8788"),
            ("serve --give-up 1", "no option --give-up"),
            ("connect ws://host.example/a", "in the clear"),
            ("connect ws://localhost.example", "in the clear"),
            ("connect ftp://x", "not a session's address"),
            ("connect ws://a@127.0.0.1", "not a session's address"),
            ("connect --agent x ws://127.0.0.1", "no option --agent"),
            ("connect", "needs the address"),
            ("serve --lisen x", "did you mean --listen?"),
            ("watch", "direct serve"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.message.contains(words), "{line}: {error}");
        }
    }
}
