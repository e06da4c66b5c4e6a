//! The options of the commands `work` and `agent`, in every program that has them.

use std::path::PathBuf;
use std::time::Duration;

use footbridge_core::agents::shell::PermissionMode;
use footbridge_core::base::limits::{
    DEFAULT_MAX_SESSIONS, DEFAULT_SESSION_LIMIT, DEFAULT_SHUTDOWN_GRACE,
    DEFAULT_STOP_WORK_BASE_DELAY,
};
use footbridge_core::engine::backoff::BackoffConfig;
use lexopt::{Parser, ValueExt};

use crate::exit::Error;
use crate::value::{Format, Level, SpawnMode};

/// How much is logged to stderr, and how; and what else is common to the commands that run until they
/// are ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogArgs {
    /// How much is logged to stderr.
    pub level: Level,
    /// How it is logged.
    pub format: Format,
    /// One line of JSON on stdout once it is ready.
    pub json: bool,
    /// Where the access token is, unless in its usual place.
    pub token_file: Option<PathBuf>,
    /// Variables that look like settings but are not.
    pub unknown_variables: Vec<String>,
}

/// How a worker reaches its relay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RelayArgs {
    /// What it logs, and which token it uses.
    pub reports: LogArgs,
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
    /// Variables that sessions may set although they change how programs are loaded.
    pub allowed_variables: Vec<String>,
    /// Pauses, and when it gives up (W-2).
    pub backoff: BackoffConfig,
    /// The first pause before a result is reported again.
    pub stop_work_base_delay: Duration,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            agent: None,
            directory: None,
            name: None,
            spawn_mode: SpawnMode::default(),
            max_sessions: DEFAULT_MAX_SESSIONS,
            session_limit: DEFAULT_SESSION_LIMIT,
            shutdown_grace: DEFAULT_SHUTDOWN_GRACE,
            allowed_variables: Vec::new(),
            backoff: BackoffConfig::default(),
            stop_work_base_delay: DEFAULT_STOP_WORK_BASE_DELAY,
        }
    }
}

/// The shell agent. It takes nothing from the configuration: what is said there about a directory is
/// said to the worker, which starts it in the right one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agent {
    /// How much is logged to stderr.
    pub level: Level,
    /// Where commands run; without it the current directory.
    pub directory: Option<PathBuf>,
    /// The conversation's id.
    pub session_id: Option<String>,
    /// Whether commands are asked about.
    pub permission_mode: PermissionMode,
}

impl Agent {
    /// The long options that it takes.
    pub const OPTIONS: [&str; 3] = ["directory", "session-id", "permission-mode"];

    /// Takes one of its long options, with its value from `parser`.
    pub fn take(&mut self, name: &str, parser: &mut Parser) -> Result<(), Error> {
        match name {
            "directory" => self.directory = Some(parser.value()?.into()),
            "session-id" => self.session_id = Some(text(parser)?),
            "permission-mode" => self.permission_mode = mode(&text(parser)?)?,
            _ => return Err(Error::usage(format!("unknown option --{name}; see --help"))),
        }
        Ok(())
    }
}

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(format!("{error}; see --help"))
    }
}

/// The value of an option, as text.
pub fn text(parser: &mut Parser) -> Result<String, Error> {
    Ok(parser.value()?.string()?)
}

fn mode(text: &str) -> Result<PermissionMode, Error> {
    PermissionMode::parse(text).ok_or_else(|| {
        Error::usage(format!(
            "--permission-mode: {text:?} is not default, acceptEdits or bypassPermissions"
        ))
    })
}
