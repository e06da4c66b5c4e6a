//! What the parts of a worker act on, and the purposes of its operations and timers.

use alloc::format;
use core::time::Duration;

use fastrand::Rng;

use super::config::WorkerConfig;
use super::notice::WorkerNotice;
use crate::base::id::{OpId, SessionId, WorkId};
use crate::base::time::Instant;
use crate::client::RequestError;
use crate::contract::action::{Action, Request};
use crate::contract::machine::{MachineError, MachineErrorKind};
use crate::engine::effects::Effects;
use crate::engine::timer::Timers;

/// What an operation of the worker was started for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Purpose {
    LoadState,
    SaveState,
    ClearState,
    Pointer,
    Git(GitQuestion),
    Worktree,
    /// That the relay is the relay.
    Proof,
    Register,
    /// Nobody else refreshes its log-in.
    LockToken,
    /// The session of an embedded bridge.
    CreateSession,
    Token,
    /// The next tokens of its log-in.
    RefreshToken,
    SaveToken,
    Poll,
    WorkStream,
    /// A stream of work that has brought all that it was to.
    WorkStreamOver,
    Ack(WorkId),
    /// With the fence that it was sent under.
    Heartbeat(SessionId, u64),
    /// With the registration whose secret it was sent with.
    Redispatch(SessionId, u32),
    Spool(WorkId),
    Remove,
    McpConfig(SessionId),
    ListSpool,
    LoadSpool(WorkId),
    /// With the fence that it was sent under.
    Report(WorkId, u64),
    WorktreeNote,
    /// It is told that no more sessions are taken.
    Drain,
    Deregister,
    Agent(SessionId),
    Link(SessionId),
}

impl Purpose {
    /// Whether it writes what the next run goes on from.
    pub(super) const fn is_kept_for_the_next_run(&self) -> bool {
        matches!(self, Self::SaveState | Self::Pointer | Self::SaveToken)
    }

    /// Whether its operation goes on after an event.
    pub(super) const fn is_lasting(&self) -> bool {
        matches!(self, Self::Agent(_) | Self::Link(_) | Self::WorkStream | Self::WorkStreamOver)
    }

    /// Whether the relay answers, for which a credential has to be shown to it.
    pub(super) const fn is_answered_by_relay(&self) -> bool {
        match self {
            Self::Register
            | Self::CreateSession
            | Self::RefreshToken
            | Self::Poll
            | Self::WorkStream
            | Self::Ack(_)
            | Self::Heartbeat(..)
            | Self::Redispatch(..)
            | Self::Report(..)
            | Self::WorktreeNote
            | Self::Drain
            | Self::Deregister
            | Self::Link(_) => true,
            Self::LoadState
            | Self::SaveState
            | Self::ClearState
            | Self::Pointer
            | Self::WorkStreamOver
            | Self::Git(_)
            | Self::Worktree
            | Self::Proof
            | Self::LockToken
            | Self::Token
            | Self::SaveToken
            | Self::Spool(_)
            | Self::Remove
            | Self::McpConfig(_)
            | Self::ListSpool
            | Self::LoadSpool(_)
            | Self::Agent(_) => false,
        }
    }
}

/// What to ask git before the worker registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GitQuestion {
    Branch,
    RemoteUrl,
    /// Only in worktree mode: where in the repository the directory is, whether there is a
    /// commit to start from, and what earlier runs left behind.
    Prefix,
    Commit,
    /// Whether the directory is part of that commit.
    Tree,
    Worktrees,
    SessionBranches,
}

/// The worker's timers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The state file is tried again.
    StateFile,
    Register,
    CreateSession,
    /// Its log-in may be due to be refreshed.
    RefreshToken,
    Poll,
    /// Something has to have come on the stream of work.
    WorkStream,
    Ack(WorkId),
    Heartbeat(SessionId),
    Report(WorkId),
    /// The next deadline of a session's link, process or flush.
    Session(SessionId),
    /// The session's time limit.
    Limit(SessionId),
    /// The pointer file has to be touched.
    Pointer,
    /// The relay is told again what became of a worktree.
    WorktreeNote,
    /// The relay is told again that no more sessions are taken.
    Drain,
    /// The pause after a git command that ran into a lock.
    Git,
    /// The end of a shutdown, whatever is still outstanding.
    Shutdown,
}

/// What the parts of a worker act on.
#[derive(Debug)]
pub(super) struct Cx<'a> {
    pub(super) fx: &'a mut Effects<Purpose, WorkerNotice>,
    pub(super) timers: &'a mut Timers<Timer>,
    pub(super) rng: &'a mut Rng,
    pub(super) config: &'a WorkerConfig,
}

impl Cx<'_> {
    pub(super) const fn now(&self) -> Instant {
        self.fx.now().mono
    }

    /// How long the relay that answered with `error` asks us to wait, if it says so.
    pub(super) fn retry_after(&self, error: &RequestError) -> Option<Duration> {
        error.retry_after(self.fx.now().wall)
    }

    pub(super) fn set_timer(&mut self, timer: Timer, delay: Duration) {
        let at = self.now() + delay;
        self.timers.set(timer, at);
    }

    pub(super) fn notify(&mut self, notice: WorkerNotice) {
        self.fx.notify(notice);
    }

    pub(super) fn request(&mut self, purpose: Purpose, request: Request) -> OpId {
        self.fx.start(purpose, |op| Action::Request { op, request })
    }

    pub(super) fn notify_retry(
        &mut self,
        what: &'static str,
        error: &RequestError,
        retry_in: Duration,
    ) {
        let reason = error.in_words(self.fx.now().wall);
        self.notify(WorkerNotice::Retrying { what, reason, retry_in });
    }

    /// Ends a worker that has tried to do `what` for as long as is allowed (W-2).
    pub(super) fn gave_up(
        &self,
        what: &str,
        error: &RequestError,
        failing_for: Duration,
    ) -> MachineError {
        let message = format!(
            "could not {what} at {} for {} s, and gave up: {error}; check the address and the \
             network, or start with --never-give-up",
            self.config.relay,
            failing_for.as_secs()
        );
        MachineError { kind: MachineErrorKind::GaveUp, message }
    }
}
