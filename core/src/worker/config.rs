//! A worker's configuration (W-1).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::allowance::Allowance;
use crate::auth::Credential;
use crate::base::id::{EnvironmentId, SessionId};
use crate::base::limits::{
    DEFAULT_MAX_SESSIONS, DEFAULT_SESSION_LIMIT, DEFAULT_SHUTDOWN_GRACE,
    DEFAULT_STOP_WORK_BASE_DELAY, MAX_LINE_BYTES,
};
use crate::engine::backoff::BackoffConfig;
use crate::wire::url::BaseUrl;

/// A worker's configuration. [`WorkerConfig::new`] has the defaults of the specification.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Where the relay is.
    pub relay: BaseUrl,
    /// What it registers with: a worker's own credential, or a person's access token.
    pub credential: Credential,
    /// This computer's name, for people.
    pub machine_name: String,
    /// The directory that sessions work in.
    pub directory: String,
    /// The kind of worker that it registers as.
    pub worker_type: String,
    /// The program that each session runs, and its first arguments.
    pub agent: AgentProgram,
    /// How the same program is started to resume a conversation; `None` if it cannot (W-13).
    pub agent_resume: Option<AgentResume>,
    /// Variables of the worker's own environment that no child process inherits, neither an agent
    /// nor git (S-3, T-5).
    pub agent_env_remove: Vec<String>,
    /// Whether the worker's own git may run the filters that a repository's configuration names, and
    /// fetch what a partial clone lacks (W-16).
    pub trusts_repository: bool,
    /// Names of files and directories that need not be kept when a worktree is removed, if git
    /// ignores them: `NAME`, or `*NAME` for all that end so (W-5). They add to the usual ones.
    pub disposable: Vec<String>,
    /// Whether to register although the relay cannot prove that it is the one from before (Y-4).
    pub trusts_relay: bool,
    /// What the relay may decide about the agents here (S-3).
    pub allowance: Allowance,
    /// Where sessions work (W-5).
    pub spawn_mode: SpawnMode,
    /// How many sessions run at once (W-3); at least 1.
    pub max_sessions: u32,
    /// How long a session may last (W-6).
    pub session_limit: Duration,
    /// From SIGTERM to SIGKILL (W-6).
    pub shutdown_grace: Duration,
    /// The first pause before a result is reported again (W-7).
    pub stop_work_base_delay: Duration,
    /// Which version sessions speak (C-4).
    pub transport: TransportChoice,
    /// By what work is asked for (E-2).
    pub work_by: WorkBy,
    /// Pauses after failures, and when to give up (W-2).
    pub backoff: BackoffConfig,
    /// Longest line accepted from an agent, in bytes (M-1).
    pub max_line_bytes: usize,
    /// This worker's part of the state directory: what its next run needs to continue, and results
    /// that the relay does not have yet. `None` if there is nowhere to keep them.
    pub state_directory: Option<String>,
    /// An environment to take up again if the state directory names none: one that a pointer file
    /// was found for.
    pub take_up: Option<EnvironmentId>,
    /// Whether to keep a pointer file in the directory while sessions run (K-1).
    pub keeps_pointer: bool,
    /// If set, it makes one session in its environment, or takes up the one of its last run, and runs
    /// no other (B-1). Its credential has to be one that may create sessions.
    pub own_session: Option<OwnSessionConfig>,
    /// Seeds the jitter, and names claims and runs.
    pub seed: u64,
}

/// How sessions travel (C-4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransportChoice {
    /// As their work secret says, and as version 1 where version 2 does not get through.
    #[default]
    Auto,
    /// By a WebSocket each, whatever that says.
    V1,
    /// By streams of events and batches, whatever that says.
    V2,
}

/// By what work is asked for (E-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkBy {
    /// By a stream where the relay offers one and it gets through, or else by polls.
    #[default]
    Auto,
    /// By a stream, whatever the relay says.
    Stream,
    /// By polls.
    Poll,
}

/// Where sessions work (W-5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpawnMode {
    /// One session at a time, in the worker's directory.
    SingleSession,
    /// All sessions in the worker's directory.
    SameDir,
    /// Each session in a git worktree of its own.
    Worktree {
        /// The directory that worktrees are created in: absolute, and free of symbolic links. It
        /// belongs to this worker alone: whatever is there when it starts, an earlier run of it has
        /// left.
        root: String,
    },
}

/// The program that each session runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentProgram {
    /// Its name or path.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables to set for it.
    pub env: Vec<(String, String)>,
}

/// A command that resumes a conversation of an agent. `{session}` in an argument stands for the
/// agent's own id of it, as in the last `system/init` that it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentResume {
    /// Its name or path.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables to set for it, besides the agent's own.
    pub env: Vec<(String, String)>,
    /// The same, if it was cut off while it did not wait for an answer: what it did then may have taken
    /// effect, and is not to be done again (K-3).
    pub env_in_turn: Vec<(String, String)>,
}

impl WorkerConfig {
    /// A configuration with the defaults of the specification.
    pub fn new(
        relay: BaseUrl,
        credential: Credential,
        directory: String,
        agent: AgentProgram,
        seed: u64,
    ) -> Self {
        Self {
            relay,
            credential,
            machine_name: String::from("unnamed"),
            directory,
            worker_type: String::from("footbridge"),
            agent,
            agent_resume: None,
            agent_env_remove: Vec::new(),
            trusts_repository: false,
            disposable: Vec::new(),
            trusts_relay: false,
            allowance: Allowance::default(),
            spawn_mode: SpawnMode::SameDir,
            max_sessions: DEFAULT_MAX_SESSIONS,
            session_limit: DEFAULT_SESSION_LIMIT,
            shutdown_grace: DEFAULT_SHUTDOWN_GRACE,
            stop_work_base_delay: DEFAULT_STOP_WORK_BASE_DELAY,
            transport: TransportChoice::Auto,
            work_by: WorkBy::Auto,
            backoff: BackoffConfig::default(),
            max_line_bytes: MAX_LINE_BYTES,
            state_directory: None,
            take_up: None,
            keeps_pointer: false,
            own_session: None,
            seed,
        }
    }

    /// How many sessions run at once in its spawn mode (W-3).
    pub(super) const fn capacity(&self) -> u32 {
        match self.spawn_mode {
            SpawnMode::SingleSession => 1,
            SpawnMode::SameDir | SpawnMode::Worktree { .. } => self.max_sessions,
        }
    }

    /// Where a session's worktree is, if sessions use them.
    pub(super) fn worktree_path(&self, session: &SessionId) -> Option<String> {
        match &self.spawn_mode {
            SpawnMode::Worktree { root } => Some(format!("{root}/{session}")),
            SpawnMode::SingleSession | SpawnMode::SameDir => None,
        }
    }
}

/// What a worker of one session calls it, and how (B-1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnSessionConfig {
    /// Its title; without one it takes the beginning of its first message.
    pub title: Option<String>,
}
