//! The worker: registers an environment, takes work, runs sessions, reports how they ended (W).
//!
//! ```text
//!  survey ──▶ register ──▶ poll ──▶ dispatch ──▶ session ──▶ result
//!                ▲           │   (decode, ack)     │ ▲
//!                └───────────┘                     │ └── heartbeat
//!      the relay has forgotten us                  ▼
//!                                              shutdown ──▶ deregister
//! ```
//!
//! | file | part |
//! | --- | --- |
//! | `continuity` | what the next run of the worker needs to continue |
//! | `survey` | what git knows about the directory |
//! | `register` | the registration, and its secret |
//! | `poll`, `hold` | the one poll or stream of work, and for how long |
//! | `work_by`, `work_stream` | which of the two; what comes on a stream |
//! | `dispatch` | items that are not acknowledged yet |
//! | `sessions`, `session`, `process`, `heartbeat` | running sessions: agent, link, lease |
//! | `own_session` | the one session of an embedded bridge |
//! | `worktree` | git's jobs, one at a time |
//! | `result`, `spool` | results that the relay does not have yet, and their files |
//! | `shutdown`, `removal` | shutting down, and what that waits for |
//! | `router` | which part gets what |
//!
//! A part owns its state, acts on a `Cx`, and returns what other parts have to do. Only the
//! router knows them all.
//!
//! [`Check`] is a separate machine: it tries what a worker needs, and registers nothing.

mod allowance;
mod check;
mod config;
mod continuity;
mod cx;
mod dispatch;
mod draining;
mod git;
mod heartbeat;
mod hold;
mod inherited;
mod lease;
mod notice;
mod offers;
mod own_session;
mod pointer_search;
mod poll;
mod register;
mod removal;
mod result;
mod router;
mod session;
mod sessions;
mod shutdown;
mod spool;
mod survey;
#[cfg(test)]
mod tests;
mod work_by;
mod work_stream;
mod worktree;

pub use allowance::Allowance;
pub use check::{Check, CheckConfig, Checked, Finding};
pub use config::{
    AgentProgram, AgentResume, OwnSessionConfig, SpawnMode, TransportChoice, WorkBy, WorkerConfig,
};
pub use continuity::{Identity, Places};
pub use notice::{WorkerCommand, WorkerNotice};
pub use pointer_search::{LeftSession, LeftWorker, PointerSearch, PointerSearchConfig};

use self::router::Router;
use self::session::Session;
use crate::base::id::SessionId;
use crate::engine::runner::{Cx, Runner, delegate_machine};

/// The worker machine (W-1 to W-11).
#[derive(Debug)]
pub struct Worker {
    runner: Runner<Router>,
}

impl Worker {
    /// A worker that starts registering with its first step.
    pub fn new(config: WorkerConfig) -> Self {
        let mut cx = Cx::new();
        let router = Router::new(config, &mut cx);
        Self { runner: Runner::new(router, cx) }
    }

    /// How many sessions it is running.
    pub fn sessions(&self) -> usize {
        self.runner.role().parts().sessions.len()
    }

    /// How many lines and reports of a session were passed on, and how many of those the relay has.
    pub(crate) fn lines_of(&self, session: &SessionId) -> Option<(u64, u64)> {
        self.runner.role().parts().sessions.get(session).map(Session::lines)
    }
}

delegate_machine!(Worker, WorkerCommand, WorkerNotice);
