//! What can be seen of the sessions that have worktrees: from their making until nobody needs them.

use std::time::Duration;

use super::{Moment, SESSIONS};
use crate::fact::Fact;
use crate::sim::clock::Time;
use crate::sim::host::HostId;
use crate::sim::party::PartyId;
use crate::sim::process::ProcessId;
use crate::sim::world::{SimEvent, World};

/// A worktree that nobody needs is gone by then.
const REMOVED_BY: Duration = Duration::from_secs(10 * 60);

/// What can be seen of a session's worktree.
pub(super) struct Session {
    pub(super) worker: PartyId,
    pub(super) agent: Option<ProcessId>,
    pub(super) habits: Habits,
    /// How often something that its agent has started still does something after the agent's end.
    pub(super) lingers: u8,
    /// When it was made, or its agent ended.
    pub(super) since: Time,
    /// Nothing was in it when its agent ended, nor since.
    pub(super) is_spent: bool,
    /// Git has failed on it, or somebody has changed something in it after its agent's end.
    pub(super) is_disturbed: bool,
}

/// How an agent works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habits {
    /// It only reads.
    Idle,
    /// What it does is on a branch of its own in the end.
    Tidy,
    Messy,
}

impl World {
    pub(super) fn note_made(&mut self, host: HostId, path: &str, worker: PartyId) {
        let habits = match self.git.rng.u8(..10) {
            0..4 => Habits::Idle,
            4..7 => Habits::Tidy,
            _ => Habits::Messy,
        };
        let lingers = if self.git.rng.u8(..4) == 0 { self.git.rng.u8(1..6) } else { 0 };
        let session = Session {
            worker,
            agent: None,
            habits,
            lingers,
            since: self.at,
            is_spent: self.is_spent(host, path),
            is_disturbed: false,
        };
        self.git.sessions.insert((host, path.to_owned()), session);
    }

    /// Whether an agent works there for a worker that lives.
    pub(super) fn has_an_agent(&self, host: HostId, path: &str) -> bool {
        let session = self.git.sessions.get(&(host, path.to_owned()));
        let agent = session.and_then(|session| session.agent);
        agent.is_some_and(|agent| self.is_running(agent) && self.is_led(agent))
    }

    /// An agent starts in a directory.
    pub(crate) fn agent_starts(&mut self, host: HostId, directory: Option<&str>, agent: ProcessId) {
        let Some(path) = directory.map(str::to_owned) else { return };
        if let Some(session) = self.git.sessions.get_mut(&(host, path.clone())) {
            session.agent = Some(agent);
            let wait = self.git.millis(500..30_000);
            self.later(wait, SimEvent::Git(Moment::Agent { host, path }));
        }
    }

    /// An agent's process is over. What it has started may go on for a moment.
    pub(crate) fn agent_is_over(&mut self, agent: ProcessId) {
        let found = self.git.sessions.iter().find(|(_, session)| session.agent == Some(agent));
        let Some((key, _)) = found else { return };
        let (host, path) = key.clone();
        let is_spent = self.is_spent(host, &path);
        let at = self.at;
        let Some(session) = self.git.sessions.get_mut(&(host, path.clone())) else { return };
        (session.since, session.is_spent) = (at, is_spent);
        if session.lingers > 0 {
            let wait = self.git.millis(1..30);
            self.later(wait, SimEvent::Git(Moment::Agent { host, path }));
        }
    }

    pub(super) fn is_spent(&self, host: HostId, path: &str) -> bool {
        let Some(repository) = self.git.repositories.get(&host) else { return false };
        let own = format!("{SESSIONS}{}", path.rsplit('/').next().unwrap_or_default());
        repository.is_spent(path, &own, |name| name.starts_with(SESSIONS))
    }

    /// At the end of time: which worktrees are there that nobody needs, and should be gone.
    pub(crate) fn note_worktrees(&mut self) {
        let at = self.at;
        let mut left = Vec::new();
        for ((host, path), session) in &self.git.sessions {
            let is_over = session.agent.is_none_or(|agent| !self.is_running(agent));
            let is_late = at.saturating_sub(session.since) > REMOVED_BY;
            let has_worker = self.parties[session.worker].is_up();
            let is_needless = session.is_spent && !session.is_disturbed;
            if is_over && is_late && has_worker && is_needless && self.is_spent(*host, path) {
                left.push(path.clone());
            }
        }
        for path in left {
            self.fact(Fact::WorktreeLeft { path });
        }
    }
}
