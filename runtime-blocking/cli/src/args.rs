//! The options of `work` and `agent`, shared by every program that has these commands.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use footbridge_core::agents::shell::PermissionMode;
use footbridge_core::base::id::EnvironmentId;
use footbridge_core::base::limits::{
    DEFAULT_MAX_SESSIONS, DEFAULT_SESSION_LIMIT, DEFAULT_SHUTDOWN_GRACE,
    DEFAULT_STOP_WORK_BASE_DELAY,
};
use footbridge_core::engine::backoff::BackoffConfig;
use footbridge_core::worker::Allowance;
use lexopt::{Parser, ValueExt};

use crate::exit::Error;
use crate::value::{Format, Level, Secrets, SpawnMode, Transport, WorkBy};

/// How much is logged to stderr, and how, plus the other options common to long-running commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogArgs {
    /// How much is logged to stderr.
    pub level: Level,
    /// How it is logged.
    pub format: Format,
    /// Whether to print one line of JSON to stdout when ready.
    pub json: bool,
    /// The access token's file, if not the default one.
    pub token_file: Option<PathBuf>,
    /// Where log-ins are kept.
    pub secrets: Secrets,
    /// What to say of variables that look like settings but are not.
    pub unknown_variables: Vec<String>,
}

/// How a worker reaches its relay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RelayArgs {
    /// What it logs, and which token it uses.
    pub reports: LogArgs,
    /// A PEM file of certificate authorities to trust in addition to the well-known ones.
    pub ca_file: Option<PathBuf>,
}

/// What a worker runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// The command line of `--agent`; by default, the program's own shell agent.
    pub agent: Option<String>,
    /// The words of `--agent-resume`; by default, what is known about the agent.
    pub agent_resume: Option<String>,
    /// Whether to continue what a crash has left here or in a sibling worktree.
    pub continues: bool,
    /// Whether to leave sessions to the next run when told to stop.
    pub hand_over: bool,
    /// The environment of a pointer that is to be continued.
    pub take_up: Option<EnvironmentId>,
    /// The part of the state directory of the worker that is to be continued; by default, the one for
    /// the relay, the directory and the name.
    pub state_directory: Option<String>,
    /// Where sessions run; by default, the current directory.
    pub directory: Option<PathBuf>,
    /// The machine's name; by default, its host name.
    pub name: Option<String>,
    /// Whether each session gets a worktree.
    pub spawn_mode: SpawnMode,
    /// Maximum number of concurrent sessions.
    pub max_sessions: u32,
    /// Maximum length of a session.
    pub session_limit: Duration,
    /// Time between SIGTERM and SIGKILL.
    pub shutdown_grace: Duration,
    /// What the relay may decide about the agents here.
    pub allowance: Allowance,
    /// Whether git may run the filters that the repository's own configuration names.
    pub trusts_repository: bool,
    /// What git ignores in a worktree and need not be kept, besides the usual.
    pub disposable: Vec<String>,
    /// Whether to register with a relay that cannot prove that it is the one from before.
    pub trusts_relay: bool,
    /// How sessions travel.
    pub transport: Transport,
    /// By what work comes.
    pub work_by: WorkBy,
    /// Whether to start although the agent's program is not there.
    pub may_lack_agent: bool,
    /// Where to answer those who ask for its health.
    pub health: Option<SocketAddr>,
    /// Retry delays, and when it gives up (W-2).
    pub backoff: BackoffConfig,
    /// The initial delay before a result is reported again.
    pub stop_work_base_delay: Duration,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            agent: None,
            agent_resume: None,
            continues: false,
            hand_over: false,
            take_up: None,
            state_directory: None,
            directory: None,
            name: None,
            spawn_mode: SpawnMode::default(),
            max_sessions: DEFAULT_MAX_SESSIONS,
            session_limit: DEFAULT_SESSION_LIMIT,
            shutdown_grace: DEFAULT_SHUTDOWN_GRACE,
            allowance: Allowance::default(),
            trusts_repository: false,
            disposable: Vec::new(),
            trusts_relay: false,
            transport: Transport::default(),
            work_by: WorkBy::default(),
            may_lack_agent: false,
            health: None,
            backoff: BackoffConfig::default(),
            stop_work_base_delay: DEFAULT_STOP_WORK_BASE_DELAY,
        }
    }
}

/// The shell agent. It ignores the configuration: a directory set there is for the worker, which
/// starts the agent in the right one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agent {
    /// How much is logged to stderr.
    pub level: Level,
    /// Where commands run; by default, the current directory.
    pub directory: Option<PathBuf>,
    /// The session id.
    pub session_id: Option<String>,
    /// Whether to ask before running commands.
    pub permission_mode: PermissionMode,
}

impl Agent {
    /// Its long options.
    pub const OPTIONS: [&str; 3] = ["directory", "session-id", "permission-mode"];

    /// Sets one of its long options, with its value from `parser`.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(args: &[&str]) -> Result<Agent, Error> {
        let mut agent = Agent::default();
        let mut parser = Parser::from_args(args);
        while let Some(arg) = parser.next()? {
            match arg {
                lexopt::Arg::Long(name) => {
                    let name = name.to_owned();
                    agent.take(&name, &mut parser)?;
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(agent)
    }

    #[test]
    fn the_shell_agent_takes_its_options() {
        let expected = Agent {
            level: Level::default(),
            directory: Some("/d".into()),
            session_id: Some("s".to_owned()),
            permission_mode: PermissionMode::BypassPermissions,
        };
        let args = ["--permission-mode", "bypassPermissions", "--session-id=s", "--directory=/d"];
        assert_eq!(agent(&args), Ok(expected));
        let refused = |args: &[&str]| agent(args).expect_err("refused").message;
        assert!(refused(&["--permission-mode", "plan"]).contains("acceptEdits"));
        assert!(refused(&["--relay", "x"]).contains("unknown option --relay"));
    }
}
