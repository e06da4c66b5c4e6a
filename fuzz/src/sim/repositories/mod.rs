//! Repositories on the hosts of a world: workers' commands, which take time, fail and are killed
//! halfway; agents at work; a person who does things in between.

mod commands;
mod session;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use crate::git::STREAM;
use crate::git::model::Repository;
use crate::ids::{HostId, PartyId, Role};
use crate::mutants::Mutant;
use crate::sim::cx::Cx;
use crate::sim::event::{RepositoryEvent, SimEvent};
use crate::sim::process::Processes;
use crate::sim::repositories::session::Session;

const DIRECTORY: &str = "/project";
/// Workers' worktrees are below this, each worker's in a place of its own.
const ROOT: &str = "/state/worktrees";
/// The prefix of session branches.
const SESSIONS: &str = "refs/heads/footbridge/";

/// The repositories of a world, and who uses them.
pub(crate) struct Repositories {
    rng: Rng,
    is_on: bool,
    repositories: BTreeMap<HostId, Repository>,
    /// The workers whose sessions have worktrees, and where.
    workers: BTreeMap<PartyId, String>,
    sessions: BTreeMap<(HostId, String), Session>,
    actions: u64,
}

/// Whether a run has worktrees at all.
pub(crate) fn are_there(seed: u64, mutant: Option<Mutant>) -> bool {
    // A mutant that breaks only this can be caught in no other run.
    let is_asked_for = mutant.is_some_and(|mutant| mutant.promise() == "worktrees");
    is_asked_for || Rng::with_seed(seed ^ STREAM).u8(..) < 72
}

impl Repositories {
    pub(crate) fn new(seed: u64, is_on: bool) -> Self {
        Self {
            rng: Rng::with_seed(seed ^ STREAM ^ 2),
            is_on,
            repositories: BTreeMap::new(),
            workers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            actions: 0,
        }
    }

    pub(crate) fn serves(&self, worker: PartyId) -> bool {
        self.workers.contains_key(&worker)
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }

    /// Where a worker creates its worktrees, if it does.
    pub(crate) fn root_of(&self, worker: PartyId) -> Option<&str> {
        self.workers.get(&worker).map(String::as_str)
    }

    /// The worktree that a worker's command is about, by its path or its session's branch.
    fn worktree_of(&self, worker: PartyId, args: &[String]) -> Option<String> {
        let root = self.root_of(worker)?;
        args.iter().find_map(|arg| {
            let name = arg.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
            name.or_else(|| arg.strip_prefix(SESSIONS)).map(|name| format!("{root}/{name}"))
        })
    }

    fn disturb(&mut self, host: HostId, path: Option<&str>) {
        for ((at, name), session) in &mut self.sessions {
            if *at == host && path.is_none_or(|path| path == name) {
                session.is_disturbed = true;
            }
        }
    }

    /// Gives some workers repositories: one each, or one shared by all of them on one host.
    pub(crate) fn set_up(&mut self, cx: &mut Cx) {
        if !self.is_on {
            return;
        }
        let workers = cx.parties.iter().enumerate().filter(|(_, it)| it.role == Role::Worker);
        let workers: Vec<_> = workers.map(|(id, party)| (id, party.host)).collect();
        let Some((_, first)) = workers.first().copied() else { return };
        let is_shared = self.rng.u8(..4) > 0;
        for (id, host) in workers {
            let host = if is_shared { first } else { host };
            cx.parties[id].host = host;
            if self.rng.u8(..) < 230 {
                let own = match cx.mutant {
                    Some(Mutant::StealsLiveWorktree) => "everyone",
                    _ => &cx.parties[id].name,
                };
                self.workers.insert(id, format!("{ROOT}/{own}"));
            }
            if !self.repositories.contains_key(&host) {
                let mut repository = Repository::new(DIRECTORY);
                repository.hides_untracked = self.rng.bool();
                self.repositories.insert(host, repository);
                let wait = self.millis(1_000..60_000);
                cx.later(wait, SimEvent::Repository(RepositoryEvent::Person(host)));
            }
        }
    }

    pub(crate) fn event(&mut self, cx: &mut Cx, processes: &Processes, event: RepositoryEvent) {
        match event {
            RepositoryEvent::Effect { from, args, is_cut_short, answer_in } => {
                let host = cx.parties[from.party].host;
                if cx.hosts[host].is_suspended(cx.at) {
                    let again = RepositoryEvent::Effect { from, args, is_cut_short, answer_in };
                    return cx.hosts[host].put_off.push(SimEvent::Repository(again));
                }
                self.take_effect(cx, processes, from, &args, is_cut_short, answer_in);
            }
            RepositoryEvent::Agent { host, path } => self.agent_works(cx, processes, host, &path),
            RepositoryEvent::Person(host) => {
                if cx.is_calm {
                    return;
                }
                let wait = self.millis(5_000..60_000);
                cx.later(wait, SimEvent::Repository(RepositoryEvent::Person(host)));
                let paths = self.repositories[&host].worktrees.keys().cloned();
                if let Some(path) = self.rng.choice(paths.collect::<Vec<_>>()) {
                    self.somebody_acts(cx, processes, host, &path);
                }
            }
            RepositoryEvent::Unlock(host) => {
                if let Some(repository) = self.repositories.get_mut(&host) {
                    repository.lock_files.clear();
                }
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.repositories.values_mut().for_each(|repository| repository.lock_files.clear());
    }
}

/// The session that a worktree belongs to, by its path.
fn session_in(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}
