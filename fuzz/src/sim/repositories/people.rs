//! Agents at work, a person who does things in between, and other programs' lock files.

use super::{DIRECTORY, Habits, Moment, ROOT};
use crate::fact::Fact;
use crate::git::action::RepoAction;
use crate::git::model::{HEADS, LockFile};
use crate::sim::host::HostId;
use crate::sim::world::{SimEvent, World};

impl World {
    pub(super) fn agent_works(&mut self, host: HostId, path: &str) {
        let key = (host, path.to_owned());
        let Some(session) = self.git.sessions.get(&key) else { return };
        let is_running = session.agent.is_some_and(|agent| self.is_running(agent));
        let Some(session) = self.git.sessions.get_mut(&key) else { return };
        let habits = session.habits;
        if !is_running {
            if session.lingers == 0 {
                return;
            }
            session.lingers -= 1;
        }
        let wait = if is_running { 2_000..60_000 } else { 1..30 };
        let wait = self.git.millis(wait);
        self.later(wait, SimEvent::Git(Moment::Agent { host, path: path.to_owned() }));
        let branch = format!("topic-{}", self.git.deeds);
        match habits {
            Habits::Idle => {}
            Habits::Tidy if is_running => {
                for deed in [
                    RepoAction::Write(String::from("b")),
                    RepoAction::Commit,
                    RepoAction::Branch(branch),
                ] {
                    self.act(host, path, &deed);
                }
            }
            Habits::Tidy => {
                self.act(host, path, &RepoAction::Write(String::from("c")));
                self.act(host, path, &RepoAction::Commit);
            }
            Habits::Messy => self.somebody_acts(host, path),
        }
    }

    pub(super) fn somebody_acts(&mut self, host: HostId, path: &str) {
        let name = path.strip_prefix(ROOT).unwrap_or("/none").trim_start_matches('/').to_owned();
        let deed = RepoAction::draw(&mut self.git.rng, &format!("footbridge/{name}"), path);
        // Lock files are a fault, and it is told when there are any.
        if !matches!(deed, RepoAction::Lock(_) | RepoAction::Unlock) {
            self.act(host, path, &deed);
        }
    }

    fn act(&mut self, host: HostId, path: &str, deed: &RepoAction) {
        self.git.deeds += 1;
        let content = self.git.deeds;
        let Some(repository) = self.git.repositories.get_mut(&host) else { return };
        let Some(touched) = repository.deed(path, deed, content) else { return };
        let at = self.at;
        self.trace.say(at, "git", || format!("somebody does {deed:?} in {path}"));
        let session = path.rsplit('/').next().unwrap_or_default().to_owned();
        self.fact(Fact::RepositoryTouched { repository: host, session, touched });
        let sessions: Vec<_> = self.git.sessions.keys().cloned().collect();
        for (of_host, other) in sessions.into_iter().filter(|(of_host, _)| *of_host == host) {
            let is_spent = self.is_spent(host, &other);
            let agent = self.git.sessions[&(of_host, other.clone())].agent;
            let is_over = agent.is_none_or(|agent| !self.is_running(agent));
            let Some(session) = self.git.sessions.get_mut(&(of_host, other.clone())) else {
                continue;
            };
            session.is_spent &= is_spent || !is_over;
            session.is_disturbed |= is_over && other == path;
        }
    }

    /// Another program takes a lock file, and lets go of it, or leaves it behind.
    pub(crate) fn hold_a_lock(&mut self) {
        let hosts: Vec<_> = self.git.repositories.keys().copied().collect();
        let Some(host) = self.git.rng.choice(hosts) else { return };
        let linked =
            self.git.repositories[&host].worktrees.keys().filter(|path| *path != DIRECTORY);
        let Some(path) = self.git.rng.choice(linked.cloned().collect::<Vec<_>>()) else { return };
        let name = path.strip_prefix(ROOT).unwrap_or_default();
        let lock = match self.git.rng.u8(..3) {
            0 => LockFile::PackedRefs,
            1 => LockFile::Reference(format!("{HEADS}footbridge{name}")),
            _ => LockFile::Head(path),
        };
        let at = self.at;
        self.trace.say(at, "git", || format!("somebody holds {lock:?}"));
        if let Some(repository) = self.git.repositories.get_mut(&host) {
            repository.lock_files.insert(lock);
        }
        let wait = self.git.millis(10..30_000);
        self.later(wait, SimEvent::Git(Moment::Unlock(host)));
    }
}
