//! The options of `work` and `agent`, which every program of Footbridge that has them takes alike.

use std::path::PathBuf;
use std::time::Duration;

use footbridge_core::agent::PermissionMode;
use footbridge_core::limits::{
    DEFAULT_MAX_SESSIONS, DEFAULT_SESSION_LIMIT, DEFAULT_SHUTDOWN_GRACE,
};
use footbridge_core::wire::url::BaseUrl;
use lexopt::{Parser, ValueExt};

use super::duration;
use super::exit::Error;

/// Sessions that one worker may be told to run at once.
const MAX_SESSIONS: u32 = 1024;

/// How much is told on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
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
pub struct Reports {
    /// How much is told on stderr.
    pub verbosity: Verbosity,
    /// One line of JSON on stdout once it is ready.
    pub json: bool,
    /// Where the access token is, unless in its usual place.
    pub token_file: Option<PathBuf>,
}

/// How a worker reaches its relay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reach {
    /// What it tells, and by which token it is let in.
    pub reports: Reports,
    /// No failure is continuous enough to give up.
    pub never_give_up: bool,
    /// A PEM file of certificate authorities to trust beside the well-known ones.
    pub ca_file: Option<PathBuf>,
}

/// What a worker runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// The words of `--agent`; without them the program's own shell agent.
    pub agent: Option<String>,
    /// Where sessions work; without it the current directory.
    pub directory: Option<PathBuf>,
    /// The machine's name; without it its host name.
    pub name: Option<String>,
    /// Whether each session gets a worktree.
    pub spawn_mode: SpawnMode,
    /// Sessions at once.
    pub max_sessions: u32,
    /// How long a session may last.
    pub session_limit: Duration,
    /// From SIGTERM to SIGKILL.
    pub shutdown_grace: Duration,
}

/// Where sessions work (W-5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SpawnMode {
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
pub struct Agent {
    /// How much is told on stderr.
    pub verbosity: Verbosity,
    /// Where commands run; without it the current directory.
    pub directory: Option<PathBuf>,
    /// The conversation's id.
    pub session_id: Option<String>,
    /// Whether commands are asked about.
    pub permission_mode: PermissionMode,
}

/// The options that have been read so far.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-v` and `-q`.
    pub verbosity: Verbosity,
    json: bool,
    token_file: Option<PathBuf>,
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
    /// The long options that a worker takes.
    pub const WORK: [&str; 12] = [
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
    ];
    /// The long options that the shell agent takes.
    pub const AGENT: [&str; 3] = ["directory", "session-id", "permission-mode"];

    /// Takes a long option, with its value from `parser`. The error names the option.
    pub fn take(&mut self, name: &str, parser: &mut Parser) -> Result<(), Error> {
        match name {
            "json" => self.json = true,
            "never-give-up" => self.never_give_up = true,
            "token-file" => self.token_file = Some(path(parser)?),
            "ca-file" => self.ca_file = Some(path(parser)?),
            "directory" => self.directory = Some(path(parser)?),
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

    /// Where the relay is, if that was said.
    pub fn relay(&self) -> Option<BaseUrl> {
        self.relay.clone()
    }

    /// What is told, and by which token.
    pub fn reports(&self) -> Reports {
        Reports { verbosity: self.verbosity, json: self.json, token_file: self.token_file.clone() }
    }

    /// How a worker reaches its relay.
    pub fn reach(&self) -> Reach {
        Reach {
            reports: self.reports(),
            never_give_up: self.never_give_up,
            ca_file: self.ca_file.clone(),
        }
    }

    /// What a worker runs.
    pub fn work(self) -> Work {
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

    /// The shell agent.
    pub fn agent(self) -> Agent {
        Agent {
            verbosity: self.verbosity,
            directory: self.directory,
            session_id: self.session_id,
            permission_mode: self.permission_mode,
        }
    }
}

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(format!("{error}: see --help"))
    }
}

/// The value of an option, as text.
pub fn text(parser: &mut Parser) -> Result<String, Error> {
    Ok(parser.value()?.string()?)
}

/// The value of an option, as a path.
pub fn path(parser: &mut Parser) -> Result<PathBuf, Error> {
    Ok(parser.value()?.into())
}

/// The value of the option `name`, as the address of a relay.
pub fn url(name: &str, parser: &mut Parser) -> Result<BaseUrl, Error> {
    BaseUrl::parse(&text(parser)?).map_err(|error| Error::usage(format!("--{name}: {error}")))
}

fn time(name: &str, parser: &mut Parser) -> Result<Duration, Error> {
    duration::parse(&text(parser)?).map_err(|error| Error::usage(format!("--{name}: {error}")))
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
