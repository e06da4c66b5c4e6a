//! Who works in the repositories: agents, a person who does things in between, other programs that
//! hold lock files; and what can be observed of a session's worktree until nobody needs it.

use std::time::Duration;

use crate::fact::Fact;
use crate::git::action::RepoAction;
use crate::git::model::LockFile;
use crate::ids::{HostId, PartyId, ProcessId};
use crate::sim::cx::Cx;
use crate::sim::event::{RepositoryEvent, SimEvent};
use crate::sim::process::Processes;
use crate::sim::repositories::session::{Habits, Session};
use crate::sim::repositories::{DIRECTORY, ROOT, Repositories, SESSIONS, session_in};

/// A worktree that nobody needs is gone by then.
const REMOVED_BY: Duration = Duration::from_secs(10 * 60);

impl Repositories {
    pub(super) fn note_made(&mut self, cx: &mut Cx, host: HostId, path: &str, worker: PartyId) {
        let habits = match self.rng.u8(..10) {
            0..4 => Habits::Idle,
            4..7 => Habits::Tidy,
            _ => Habits::Messy,
        };
        let lingers = if self.rng.u8(..4) == 0 { self.rng.u8(1..6) } else { 0 };
        let session = Session {
            worker,
            agent: None,
            habits,
            lingers,
            since: cx.at,
            is_spent: self.is_spent(host, path),
            is_disturbed: false,
        };
        self.sessions.insert((host, path.to_owned()), session);
    }

    /// Whether an agent is working there for a live worker.
    pub(super) fn has_an_agent(
        &self,
        cx: &Cx,
        processes: &Processes,
        host: HostId,
        path: &str,
    ) -> bool {
        let session = self.sessions.get(&(host, path.to_owned()));
        let agent = session.and_then(|session| session.agent);
        agent.is_some_and(|agent| processes.is_running(agent) && processes.is_led(cx, agent))
    }

    /// An agent starts in a directory.
    pub(crate) fn agent_starts(
        &mut self,
        cx: &mut Cx,
        host: HostId,
        directory: Option<&str>,
        agent: ProcessId,
    ) {
        let Some(path) = directory.map(str::to_owned) else { return };
        if let Some(session) = self.sessions.get_mut(&(host, path.clone())) {
            session.agent = Some(agent);
            let wait = self.millis(500..30_000);
            cx.later(wait, SimEvent::Repository(RepositoryEvent::Agent { host, path }));
        }
    }

    /// An agent's process is over. What it has started may continue for a moment.
    pub(crate) fn agent_is_over(&mut self, cx: &mut Cx, agent: ProcessId) {
        let found = self.sessions.iter().find(|(_, session)| session.agent == Some(agent));
        let Some((key, _)) = found else { return };
        let (host, path) = key.clone();
        let is_spent = self.is_spent(host, &path);
        let at = cx.at;
        let Some(session) = self.sessions.get_mut(&(host, path.clone())) else { return };
        (session.since, session.is_spent) = (at, is_spent);
        if session.lingers > 0 {
            let wait = self.millis(1..30);
            cx.later(wait, SimEvent::Repository(RepositoryEvent::Agent { host, path }));
        }
    }

    pub(super) fn is_spent(&self, host: HostId, path: &str) -> bool {
        let Some(repository) = self.repositories.get(&host) else { return false };
        let own = format!("{SESSIONS}{}", session_in(path));
        repository.is_spent(path, &own, |name| name.starts_with(SESSIONS))
    }

    /// At the end: which worktrees exist although nobody needs them and they should be gone.
    pub(crate) fn note_worktrees(&mut self, cx: &mut Cx, processes: &Processes) {
        let at = cx.at;
        let mut left = Vec::new();
        for ((host, path), session) in &self.sessions {
            let is_over = session.agent.is_none_or(|agent| !processes.is_running(agent));
            let is_late = at.saturating_sub(session.since) > REMOVED_BY;
            let has_worker = cx.parties[session.worker].is_up();
            let is_needless = session.is_spent && !session.is_disturbed;
            if is_over && is_late && has_worker && is_needless && self.is_spent(*host, path) {
                left.push((session.worker, path.clone()));
            }
        }
        for (worker, path) in left {
            let session = session_in(&path).to_owned();
            cx.fact(Fact::WorktreeLeft { worker, session, path });
        }
    }

    pub(super) fn agent_works(
        &mut self,
        cx: &mut Cx,
        processes: &Processes,
        host: HostId,
        path: &str,
    ) {
        let key = (host, path.to_owned());
        let Some(session) = self.sessions.get(&key) else { return };
        let is_running = session.agent.is_some_and(|agent| processes.is_running(agent));
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let habits = session.habits;
        if !is_running {
            if session.lingers == 0 {
                return;
            }
            session.lingers -= 1;
        }
        let wait = if is_running { 2_000..60_000 } else { 1..30 };
        let wait = self.millis(wait);
        cx.later(
            wait,
            SimEvent::Repository(RepositoryEvent::Agent { host, path: path.to_owned() }),
        );
        let branch = format!("topic-{}", self.actions);
        match habits {
            Habits::Idle => {}
            Habits::Tidy if is_running => {
                for action in [
                    RepoAction::Write(String::from("b")),
                    RepoAction::Commit,
                    RepoAction::Amend,
                    RepoAction::Branch(branch),
                ] {
                    self.act(cx, processes, host, path, &action);
                }
            }
            Habits::Tidy => {
                self.act(cx, processes, host, path, &RepoAction::Write(String::from("c")));
                self.act(cx, processes, host, path, &RepoAction::Commit);
            }
            Habits::Messy => self.somebody_acts(cx, processes, host, path),
        }
    }

    pub(super) fn somebody_acts(
        &mut self,
        cx: &mut Cx,
        processes: &Processes,
        host: HostId,
        path: &str,
    ) {
        let name = if path.starts_with(ROOT) { session_in(path) } else { "none" };
        let action = RepoAction::draw(&mut self.rng, &format!("footbridge/{name}"), path);
        // Lock files are a fault; events announce them.
        if !matches!(action, RepoAction::Lock(_) | RepoAction::Unlock) {
            self.act(cx, processes, host, path, &action);
        }
    }

    fn act(
        &mut self,
        cx: &mut Cx,
        processes: &Processes,
        host: HostId,
        path: &str,
        action: &RepoAction,
    ) {
        self.actions += 1;
        let content = self.actions;
        let Some(repository) = self.repositories.get_mut(&host) else { return };
        let Some(touched) = repository.act(path, action, content) else { return };
        let at = cx.at;
        cx.trace.record(at, "git", || format!("somebody does {action:?} in {path}"));
        let session = session_in(path).to_owned();
        cx.fact(Fact::RepositoryTouched { repository: host, session, touched });
        let sessions: Vec<_> = self.sessions.keys().cloned().collect();
        for (of_host, other) in sessions.into_iter().filter(|(of_host, _)| *of_host == host) {
            let is_spent = self.is_spent(host, &other);
            let agent = self.sessions[&(of_host, other.clone())].agent;
            let is_over = agent.is_none_or(|agent| !processes.is_running(agent));
            let Some(session) = self.sessions.get_mut(&(of_host, other.clone())) else {
                continue;
            };
            session.is_spent &= is_spent || !is_over;
            session.is_disturbed |= is_over && other == path;
        }
    }

    /// Another program takes a lock file, and releases it or leaves it behind.
    pub(crate) fn hold_a_lock(&mut self, cx: &mut Cx) {
        let hosts: Vec<_> = self.repositories.keys().copied().collect();
        let Some(host) = self.rng.choice(hosts) else { return };
        let linked = self.repositories[&host].worktrees.keys().filter(|path| *path != DIRECTORY);
        let Some(path) = self.rng.choice(linked.cloned().collect::<Vec<_>>()) else { return };
        let name = session_in(&path);
        let lock = match self.rng.u8(..3) {
            0 => LockFile::PackedRefs,
            1 => LockFile::Reference(format!("{SESSIONS}{name}")),
            _ => LockFile::Head(path),
        };
        let at = cx.at;
        cx.trace.record(at, "git", || format!("somebody holds {lock:?}"));
        if let Some(repository) = self.repositories.get_mut(&host) {
            repository.lock_files.insert(lock);
        }
        let wait = self.millis(10..30_000);
        cx.later(wait, SimEvent::Repository(RepositoryEvent::Unlock(host)));
    }
}
