//! The command line.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use footbridge_blocking::program::args::{
    self, Agent, Reach, Reports, Verbosity, Work, path, text, url,
};
use footbridge_blocking::program::exit::Error;
use footbridge_core::wire::url::BaseUrl;
use lexopt::{Arg, Parser, ValueExt};

/// What the program is to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Invocation {
    Up { serve: Serve, work: Work },
    Relay { serve: Serve },
    Work { relay: BaseUrl, reach: Reach, work: Work },
    Agent(Agent),
    Help(Topic),
    Version,
}

/// The commands, and the program itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Program,
    Up,
    Relay,
    Work,
    Agent,
}

impl Topic {
    const COMMANDS: [(&str, Self); 4] =
        [("up", Self::Up), ("relay", Self::Relay), ("work", Self::Work), ("agent", Self::Agent)];

    fn parse(name: &str) -> Result<Self, Error> {
        let found = Self::COMMANDS.iter().find(|(command, _)| *command == name);
        found.map(|(_, topic)| *topic).ok_or_else(|| {
            Error::usage(format!(
                "there is no command {name:?}: it is up, relay, work, agent or help"
            ))
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Program => "",
            Self::Up => "up",
            Self::Relay => "relay",
            Self::Work => "work",
            Self::Agent => "agent",
        }
    }

    /// The long options that it takes, beside those of every command.
    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Program => &[],
            Self::Up => &[
                "listen",
                "behind-proxy",
                "public-url",
                "token-file",
                "json",
                "agent",
                "directory",
                "name",
                "spawn-mode",
                "max-sessions",
                "session-limit",
                "shutdown-grace",
            ],
            Self::Relay => &[
                "listen",
                "behind-proxy",
                "public-url",
                "tls-cert",
                "tls-key",
                "token-file",
                "json",
            ],
            Self::Work => &args::Options::WORK,
            Self::Agent => &args::Options::AGENT,
        }
    }
}

/// How a relay is served.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Serve {
    pub(super) reports: Reports,
    pub(super) listen: SocketAddr,
    pub(super) public_url: Option<BaseUrl>,
    /// Certificate chain and private key.
    pub(super) tls: Option<(PathBuf, PathBuf)>,
}

/// Reads the command line, without the program's own name.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, Error> {
    let mut parser = Parser::from_args(args);
    let mut topic = None;
    let mut options = Options::default();
    while let Some(arg) = parser.next()? {
        let name = match arg {
            Arg::Long("help") | Arg::Short('h') => {
                return Ok(Invocation::Help(topic.unwrap_or(Topic::Program)));
            }
            Arg::Long("version") | Arg::Short('V') => return Ok(Invocation::Version),
            Arg::Long("verbose") | Arg::Short('v') => {
                options.common.verbosity = Verbosity::Verbose;
                continue;
            }
            Arg::Long("quiet") | Arg::Short('q') => {
                options.common.verbosity = Verbosity::Quiet;
                continue;
            }
            Arg::Value(word) if topic.is_none() => {
                let word = word.string()?;
                if word == "help" {
                    return help(&mut parser);
                }
                topic = Some(Topic::parse(&word)?);
                continue;
            }
            Arg::Long(name) => name.to_owned(),
            Arg::Short(_) | Arg::Value(_) => return Err(arg.unexpected().into()),
        };
        // `up` is meant where no command is named; it may not be named after its options.
        let command = *topic.get_or_insert(Topic::Up);
        if !command.options().contains(&name.as_str()) {
            return Err(not_here(command, &name));
        }
        options.take(&name, &mut parser)?;
    }
    options.invocation(topic.unwrap_or(Topic::Up))
}

fn help(parser: &mut Parser) -> Result<Invocation, Error> {
    match parser.next()? {
        None => Ok(Invocation::Help(Topic::Program)),
        Some(Arg::Value(word)) => Topic::parse(&word.string()?).map(Invocation::Help),
        Some(other) => Err(other.unexpected().into()),
    }
}

fn not_here(command: Topic, name: &str) -> Error {
    let command = command.name();
    let elsewhere: Vec<_> = Topic::COMMANDS
        .iter()
        .filter(|(_, topic)| topic.options().contains(&name))
        .map(|(command, _)| format!("footbridge {command}"))
        .collect();
    Error::usage(if elsewhere.is_empty() {
        format!("there is no option --{name}: see footbridge help {command}")
    } else {
        let elsewhere = elsewhere.join(" and ");
        format!("footbridge {command} has no option --{name}, it belongs to {elsewhere}")
    })
}

/// All options of all commands, as they were given.
#[derive(Debug, Default)]
struct Options {
    /// Those that every program with a worker has.
    common: args::Options,
    listen: Option<SocketAddr>,
    behind_proxy: bool,
    public_url: Option<BaseUrl>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
}

impl Options {
    fn take(&mut self, name: &str, parser: &mut Parser) -> Result<(), Error> {
        match name {
            "behind-proxy" => self.behind_proxy = true,
            "tls-cert" => self.tls_cert = Some(path(parser)?),
            "tls-key" => self.tls_key = Some(path(parser)?),
            "listen" => self.listen = Some(listen(&text(parser)?)?),
            "public-url" => self.public_url = Some(url(name, parser)?),
            _ => self.common.take(name, parser)?,
        }
        Ok(())
    }

    fn invocation(self, command: Topic) -> Result<Invocation, Error> {
        match command {
            Topic::Program => Ok(Invocation::Help(Topic::Program)),
            Topic::Up => Ok(Invocation::Up { serve: self.serve()?, work: self.common.work() }),
            Topic::Relay => Ok(Invocation::Relay { serve: self.serve()? }),
            Topic::Work => {
                let relay = self.common.relay().ok_or_else(|| {
                    Error::usage("footbridge work needs --relay URL, the address of the relay")
                })?;
                let reach = self.common.reach();
                Ok(Invocation::Work { relay, reach, work: self.common.work() })
            }
            Topic::Agent => Ok(Invocation::Agent(self.common.agent())),
        }
    }

    fn serve(&self) -> Result<Serve, Error> {
        let listen =
            self.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)));
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
            (None, None) => None,
            _ => return Err(Error::usage("--tls-cert and --tls-key go together: give both")),
        };
        if !listen.ip().is_loopback() && tls.is_none() && !self.behind_proxy {
            return Err(Error::usage(format!(
                "--listen {listen} can be reached from other machines, and without TLS the access token would travel in the clear: give --tls-cert and --tls-key to footbridge relay, or --behind-proxy if a proxy in front of it speaks TLS"
            )));
        }
        Ok(Serve {
            reports: self.common.reports(),
            listen,
            public_url: self.public_url.clone(),
            tls,
        })
    }
}

/// Where a relay listens unless it is told otherwise.
const DEFAULT_PORT: u16 = 8787;

/// An address with a port; without an address the loopback one.
fn listen(text: &str) -> Result<SocketAddr, Error> {
    let loopback = |port: &str| {
        let port = port.parse().ok()?;
        Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    };
    let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':'));
    port.map_or_else(|| text.parse().ok(), loopback).ok_or_else(|| {
        Error::usage(format!(
            "--listen {text:?} is no address: write it as 127.0.0.1:8787, [::1]:8787 or :0"
        ))
    })
}

#[cfg(test)]
mod tests;
