//! Repositories on the hosts of a world: workers' commands, which take time, fail and are cut short;
//! agents that work; a person who does things in between.

mod commands;
mod people;
mod sessions;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;

use sessions::{Habits, Session};

use crate::faults::FaultKind;
use crate::git::model::Repository;
use crate::scenario::options::Options;
use crate::sim::host::HostId;
use crate::sim::party::{Address, PartyId, Role};
use crate::sim::world::{SimEvent, World};

/// Sets what is drawn here apart from what the world draws.
const STREAM: u64 = 0x6769_7400_0000_0006;
const DIRECTORY: &str = "/project";
const ROOT: &str = "/state/worktrees";
/// Branches of sessions stand below this.
const SESSIONS: &str = "refs/heads/footbridge/";

/// What happens to a repository.
#[derive(Clone, Debug)]
pub(crate) enum Moment {
    /// A worker's command takes effect.
    Effect { from: Address, args: Vec<String>, is_cut_short: bool, answer_in: Duration },
    /// An agent does something where it works.
    Agent { host: HostId, path: String },
    /// A person does something somewhere.
    Person(HostId),
    /// A program lets go of its lock files.
    Unlock(HostId),
}

/// The repositories of a world, and who uses them.
pub(crate) struct Git {
    rng: Rng,
    is_on: bool,
    repositories: BTreeMap<HostId, Repository>,
    /// The workers whose sessions have worktrees, and their process ids.
    workers: BTreeMap<PartyId, u32>,
    /// Process ids of dead workers that other programs have now.
    taken: BTreeSet<(HostId, u32)>,
    sessions: BTreeMap<(HostId, String), Session>,
    deeds: u64,
}

/// Whether a run has worktrees at all.
fn is_on(options: &Options) -> bool {
    // What is broken in nothing else can be found in no other run.
    let is_asked_for = options.mutant.is_some_and(|mutant| mutant.promise() == "worktrees");
    is_asked_for || Rng::with_seed(options.seed ^ STREAM).u8(..) < 72
}

/// What goes wrong with git in a run, and how often.
pub(crate) fn faults_of(options: &Options) -> Vec<(FaultKind, Duration)> {
    let mut rng = Rng::with_seed(options.seed ^ STREAM ^ 1);
    let kinds = [FaultKind::GitLock, FaultKind::GitTrouble];
    let drawn = kinds.map(|kind| (kind, rng.bool(), Duration::from_secs(rng.u64(5..200))));
    let is_wanted =
        |kind: &FaultKind| options.faults.as_ref().is_none_or(|wanted| wanted.contains(kind));
    let drawn = drawn.into_iter().filter(|(kind, is_drawn, _)| *is_drawn && is_wanted(kind));
    drawn.filter(|_| is_on(options)).map(|(kind, _, every)| (kind, every)).collect()
}

impl Git {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            rng: Rng::with_seed(options.seed ^ STREAM ^ 2),
            is_on: is_on(options),
            repositories: BTreeMap::new(),
            workers: BTreeMap::new(),
            taken: BTreeSet::new(),
            sessions: BTreeMap::new(),
            deeds: 0,
        }
    }

    pub(crate) fn serves(&self, worker: PartyId) -> bool {
        self.workers.contains_key(&worker)
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }

    /// The sessions of a host that a command is about, by its worktree's path or its branch.
    fn session_of(args: &[String]) -> Option<String> {
        args.iter().find_map(|arg| {
            let name = arg.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/'));
            name.or_else(|| arg.strip_prefix(SESSIONS)).map(|name| format!("{ROOT}/{name}"))
        })
    }

    fn disturb(&mut self, host: HostId, path: Option<&str>) {
        for ((at, name), session) in &mut self.sessions {
            if *at == host && path.is_none_or(|path| path == name) {
                session.is_disturbed = true;
            }
        }
    }
}

impl World {
    /// Gives some workers repositories: each one of its own, or all of them one host and one.
    pub(crate) fn set_up_repositories(&mut self) {
        if !self.git.is_on {
            return;
        }
        let workers = self.parties.iter().enumerate().filter(|(_, it)| it.role == Role::Worker);
        let workers: Vec<_> = workers.map(|(id, party)| (id, party.host)).collect();
        let Some((_, first)) = workers.first().copied() else { return };
        let is_shared = self.git.rng.u8(..4) > 0;
        for (id, host) in workers {
            let host = if is_shared { first } else { host };
            self.parties[id].host = host;
            if self.git.rng.u8(..) < 230 {
                self.git.workers.insert(id, 0);
            }
            if !self.git.repositories.contains_key(&host) {
                let mut repository = Repository::new(DIRECTORY);
                repository.hides_untracked = self.git.rng.bool();
                self.git.repositories.insert(host, repository);
                let wait = self.git.millis(1_000..60_000);
                self.later(wait, SimEvent::Git(Moment::Person(host)));
            }
        }
    }

    /// Where a worker that comes up makes its worktrees, and its process id, which another may have
    /// had before.
    pub(crate) fn worktree_mode(&mut self, id: PartyId) -> Option<(String, u32)> {
        let host = self.parties[id].host;
        let before = *self.git.workers.get(&id)?;
        if before != 0 && self.git.rng.u8(..) < 40 && !self.is_calm {
            self.git.taken.insert((host, before));
        }
        let is_used = |pid| {
            let others = self.git.workers.iter().filter(|(other, _)| **other != id);
            let mut others = others.filter(|(other, _)| self.parties[**other].host == host);
            others.any(|(_, of_other)| *of_other == pid) || self.git.taken.contains(&(host, pid))
        };
        let free: Vec<u32> = (100..112).filter(|pid| !is_used(*pid)).collect();
        let more = || (112..).find(|pid| !is_used(*pid)).unwrap_or(99);
        let free = self.git.rng.choice(free);
        let pid = free.unwrap_or_else(more);
        self.git.workers.insert(id, pid);
        Some((ROOT.to_owned(), pid))
    }

    pub(crate) fn git_moment(&mut self, moment: Moment) {
        match moment {
            Moment::Effect { from, args, is_cut_short, answer_in } => {
                let host = self.parties[from.party].host;
                if self.hosts[host].is_suspended(self.at) {
                    let again = Moment::Effect { from, args, is_cut_short, answer_in };
                    return self.hosts[host].put_off.push(SimEvent::Git(again));
                }
                self.git_effect(from, &args, is_cut_short, answer_in);
            }
            Moment::Agent { host, path } => self.agent_works(host, &path),
            Moment::Person(host) => {
                if self.is_calm {
                    return;
                }
                let wait = self.git.millis(5_000..60_000);
                self.later(wait, SimEvent::Git(Moment::Person(host)));
                let paths = self.git.repositories[&host].worktrees.keys().cloned();
                if let Some(path) = self.git.rng.choice(paths.collect::<Vec<_>>()) {
                    self.somebody_acts(host, &path);
                }
            }
            Moment::Unlock(host) => {
                if let Some(repository) = self.git.repositories.get_mut(&host) {
                    repository.lock_files.clear();
                }
            }
        }
    }

    pub(crate) fn clear_git(&mut self) {
        self.git.repositories.values_mut().for_each(|repository| repository.lock_files.clear());
    }
}
