//! The command line.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use footbridge_core::agent::PermissionMode;
use footbridge_core::limits::{
    DEFAULT_MAX_SESSIONS, DEFAULT_SESSION_LIMIT, DEFAULT_SHUTDOWN_GRACE,
};
use footbridge_core::wire::url::BaseUrl;
use lexopt::{Arg, Parser, ValueExt};

use super::duration;
use super::exit::Error;

/// Sessions that one worker may be told to run at once.
const MAX_SESSIONS: u32 = 1024;

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
            Self::Work => &[
                "relay",
                "never-give-up",
                "ca-file",
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
            Self::Agent => &["directory", "session-id", "permission-mode"],
        }
    }
}

/// How much is told on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verbosity {
    /// Errors alone.
    Quiet,
    /// What changes.
    #[default]
    Normal,
    /// Every event.
    Verbose,
}

/// What is common to the commands that run until they are ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reports {
    pub(super) verbosity: Verbosity,
    pub(super) json: bool,
    pub(super) token_file: Option<PathBuf>,
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

/// How a worker reaches its relay.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reach {
    pub(super) reports: Reports,
    pub(super) never_give_up: bool,
    pub(super) ca_file: Option<PathBuf>,
}

/// What a worker runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Work {
    pub(super) agent: Option<String>,
    pub(super) directory: Option<PathBuf>,
    pub(super) name: Option<String>,
    pub(super) spawn_mode: SpawnMode,
    pub(super) max_sessions: u32,
    pub(super) session_limit: Duration,
    pub(super) shutdown_grace: Duration,
}

/// Where sessions work (W-5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SpawnMode {
    SingleSession,
    #[default]
    SameDir,
    Worktree,
}

impl SpawnMode {
    fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "single-session" => Ok(Self::SingleSession),
            "same-dir" => Ok(Self::SameDir),
            "worktree" => Ok(Self::Worktree),
            _ => Err(Error::usage(format!(
                "--spawn-mode {text:?} is not one: it is same-dir, worktree or single-session"
            ))),
        }
    }
}

/// The shell agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Agent {
    pub(super) verbosity: Verbosity,
    pub(super) directory: Option<PathBuf>,
    pub(super) session_id: Option<String>,
    pub(super) permission_mode: PermissionMode,
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
                options.verbosity = Verbosity::Verbose;
                continue;
            }
            Arg::Long("quiet") | Arg::Short('q') => {
                options.verbosity = Verbosity::Quiet;
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

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(format!("{error}: see footbridge --help"))
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
    verbosity: Verbosity,
    json: bool,
    token_file: Option<PathBuf>,
    listen: Option<SocketAddr>,
    behind_proxy: bool,
    public_url: Option<BaseUrl>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    relay: Option<BaseUrl>,
    never_give_up: bool,
    ca_file: Option<PathBuf>,
    agent: Option<String>,
    directory: Option<PathBuf>,
    name: Option<String>,
    spawn_mode: SpawnMode,
    max_sessions: Option<u32>,
    session_limit: Option<Duration>,
    shutdown_grace: Option<Duration>,
    session_id: Option<String>,
    permission_mode: PermissionMode,
}

impl Options {
    fn take(&mut self, name: &str, parser: &mut Parser) -> Result<(), Error> {
        match name {
            "json" => self.json = true,
            "behind-proxy" => self.behind_proxy = true,
            "never-give-up" => self.never_give_up = true,
            "token-file" => self.token_file = Some(path(parser)?),
            "tls-cert" => self.tls_cert = Some(path(parser)?),
            "tls-key" => self.tls_key = Some(path(parser)?),
            "ca-file" => self.ca_file = Some(path(parser)?),
            "directory" => self.directory = Some(path(parser)?),
            "listen" => self.listen = Some(listen(&text(parser)?)?),
            "public-url" => self.public_url = Some(url(name, parser)?),
            "relay" => self.relay = Some(url(name, parser)?),
            "agent" => self.agent = Some(text(parser)?),
            "name" => self.name = Some(machine_name(text(parser)?)?),
            "spawn-mode" => self.spawn_mode = SpawnMode::parse(&text(parser)?)?,
            "max-sessions" => self.max_sessions = Some(sessions(&text(parser)?)?),
            "session-limit" => self.session_limit = Some(time(name, parser)?),
            "shutdown-grace" => self.shutdown_grace = Some(time(name, parser)?),
            "session-id" => self.session_id = Some(text(parser)?),
            "permission-mode" => self.permission_mode = mode(&text(parser)?)?,
            _ => return Err(Error::usage(format!("there is no option --{name}"))),
        }
        Ok(())
    }

    fn invocation(self, command: Topic) -> Result<Invocation, Error> {
        match command {
            Topic::Program => Ok(Invocation::Help(Topic::Program)),
            Topic::Up => Ok(Invocation::Up { serve: self.serve()?, work: self.work() }),
            Topic::Relay => Ok(Invocation::Relay { serve: self.serve()? }),
            Topic::Work => {
                let relay = self.relay.clone().ok_or_else(|| {
                    Error::usage("footbridge work needs --relay URL, the address of the relay")
                })?;
                let reach = Reach {
                    reports: self.reports(),
                    never_give_up: self.never_give_up,
                    ca_file: self.ca_file.clone(),
                };
                Ok(Invocation::Work { relay, reach, work: self.work() })
            }
            Topic::Agent => Ok(Invocation::Agent(Agent {
                verbosity: self.verbosity,
                directory: self.directory,
                session_id: self.session_id,
                permission_mode: self.permission_mode,
            })),
        }
    }

    fn reports(&self) -> Reports {
        Reports { verbosity: self.verbosity, json: self.json, token_file: self.token_file.clone() }
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
        Ok(Serve { reports: self.reports(), listen, public_url: self.public_url.clone(), tls })
    }

    fn work(self) -> Work {
        Work {
            agent: self.agent,
            directory: self.directory,
            name: self.name,
            spawn_mode: self.spawn_mode,
            max_sessions: self.max_sessions.unwrap_or(DEFAULT_MAX_SESSIONS),
            session_limit: self.session_limit.unwrap_or(DEFAULT_SESSION_LIMIT),
            shutdown_grace: self.shutdown_grace.unwrap_or(DEFAULT_SHUTDOWN_GRACE),
        }
    }
}

/// Where a relay listens unless it is told otherwise.
const DEFAULT_PORT: u16 = 8787;

fn text(parser: &mut Parser) -> Result<String, Error> {
    Ok(parser.value()?.string()?)
}

fn path(parser: &mut Parser) -> Result<PathBuf, Error> {
    Ok(parser.value()?.into())
}

fn url(name: &str, parser: &mut Parser) -> Result<BaseUrl, Error> {
    BaseUrl::parse(&text(parser)?).map_err(|error| Error::usage(format!("--{name}: {error}")))
}

fn time(name: &str, parser: &mut Parser) -> Result<Duration, Error> {
    duration::parse(&text(parser)?).map_err(|error| Error::usage(format!("--{name}: {error}")))
}

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

fn sessions(text: &str) -> Result<u32, Error> {
    let number = text.parse().ok().filter(|number| (1..=MAX_SESSIONS).contains(number));
    number.ok_or_else(|| {
        Error::usage(format!("--max-sessions {text:?} is not a number from 1 to {MAX_SESSIONS}"))
    })
}

fn machine_name(text: String) -> Result<String, Error> {
    let is_good = (1..=200).contains(&text.len()) && !text.chars().any(char::is_control);
    if is_good {
        Ok(text)
    } else {
        Err(Error::usage("--name must be 1 to 200 bytes of text without control characters"))
    }
}

fn mode(text: &str) -> Result<PermissionMode, Error> {
    PermissionMode::parse(text).ok_or_else(|| {
        Error::usage(format!(
            "--permission-mode {text:?} is not one: it is default, acceptEdits or bypassPermissions"
        ))
    })
}

#[cfg(test)]
mod tests;
