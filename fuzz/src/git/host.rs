//! Repositories on the hosts of a world: workers' commands, which take time, fail and are cut short;
//! agents that work; a person who does things in between.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use footbridge_core::action::Command;
use footbridge_core::event::{Event, ExitStatus, FailureKind};

use super::command::Answer;
use super::deed::Deed;
use super::model::{HEADS, LockFile, Repository};
use crate::clock::Time;
use crate::fact::Fact;
use crate::faults::FaultKind;
use crate::host::HostId;
use crate::options::Options;
use crate::party::{Address, Op, PartyId, Role};
use crate::process::ProcessId;
use crate::world::{Happening, World, failure};

/// Sets what is drawn here apart from what the world draws.
const STREAM: u64 = 0x6769_7400_0000_0006;
const DIRECTORY: &str = "/project";
const ROOT: &str = "/state/worktrees";
/// Branches of sessions stand below this.
const SESSIONS: &str = "refs/heads/footbridge/";
/// A worktree that nobody needs is gone by then.
const REMOVED_BY: Duration = Duration::from_secs(10 * 60);

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

/// What can be seen of a session's worktree.
struct Session {
    worker: PartyId,
    agent: Option<ProcessId>,
    habits: Habits,
    /// How often something that its agent has started still does something after the agent's end.
    lingers: u8,
    /// When it was made, or its agent ended.
    since: Time,
    /// Nothing was in it when its agent ended, nor since.
    is_spent: bool,
    /// Git has failed on it, or somebody has changed something in it after its agent's end.
    is_disturbed: bool,
}

/// How an agent works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habits {
    /// It only reads.
    Idle,
    /// What it does is on a branch of its own in the end.
    Tidy,
    Messy,
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
                self.later(wait, Happening::Git(Moment::Person(host)));
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

    fn is_process(&self, host: HostId, pid: u32) -> bool {
        let is_it = |(id, of_worker): (&PartyId, &u32)| {
            *of_worker == pid && self.parties[*id].host == host && self.parties[*id].is_up()
        };
        self.git.taken.contains(&(host, pid)) || self.git.workers.iter().any(is_it)
    }

    /// A command of a worker whose sessions have worktrees.
    pub(crate) fn run_git(&mut self, from: Address, command: &Command, timeout: Duration) {
        self.parties[from.party].ops.insert(from.op, Op::Single);
        // A worker that cannot find out at its start what its directory is ends, and says so.
        let is_question =
            command.args.iter().any(|arg| arg == "--show-prefix" || arg == "HEAD^{commit}");
        let has_trouble = self.weather.has(FaultKind::GitTrouble) && !is_question;
        let is_trouble = has_trouble && self.git.rng.u8(..) < 20;
        let mut before = self.git.millis(1..6);
        let answer_in = self.git.millis(0..3);
        let mut args = command.args.clone();
        args.insert(0, command.program.clone());
        let path = Git::session_of(&args);
        let failed = |kind| Event::Failed { op: from.op, failure: failure(kind) };
        if is_trouble {
            let host = self.parties[from.party].host;
            self.git.disturb(host, path.as_deref());
            match self.git.rng.u8(..4) {
                0 => return self.tell(from, failed(FailureKind::NotFound)),
                // It takes long, but not too long.
                1 => before = self.git.millis(100..timeout.as_millis() as u64),
                _ => {
                    let after = timeout.saturating_sub(self.git.millis(1..5_000));
                    let what = Moment::Effect { from, args, is_cut_short: true, answer_in };
                    self.later(after, Happening::Git(what));
                    let late = failed(FailureKind::TimedOut);
                    return self.later(timeout, Happening::Deliver(from, late));
                }
            }
        }
        let what = Moment::Effect { from, args, is_cut_short: false, answer_in };
        self.later(before, Happening::Git(what));
    }

    pub(crate) fn git_moment(&mut self, moment: Moment) {
        match moment {
            Moment::Effect { from, args, is_cut_short, answer_in } => {
                let host = self.parties[from.party].host;
                if self.hosts[host].is_suspended(self.at) {
                    let again = Moment::Effect { from, args, is_cut_short, answer_in };
                    return self.hosts[host].put_off.push(Happening::Git(again));
                }
                self.git_effect(from, &args, is_cut_short, answer_in);
            }
            Moment::Agent { host, path } => self.agent_works(host, &path),
            Moment::Person(host) => {
                if self.is_calm {
                    return;
                }
                let wait = self.git.millis(5_000..60_000);
                self.later(wait, Happening::Git(Moment::Person(host)));
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

    fn git_effect(&mut self, from: Address, args: &[String], is_cut_short: bool, wait: Duration) {
        // Killed with its worker, or left to itself.
        if !self.is_alive(from) && self.git.rng.bool() {
            return;
        }
        let host = self.parties[from.party].host;
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let answer = match args.as_slice() {
            ["kill", "-0", pid] => self.life_sign(host, pid),
            ["git", args @ ..] => self.git_command(from.party, host, args, is_cut_short),
            _ => None,
        };
        let Some(answer) = answer else {
            let words = format!("the simulated host does not know how to run {args:?}");
            return self.break_promise("contract", words);
        };
        if is_cut_short {
            return;
        }
        let event = Event::Ran {
            op: from.op,
            status: ExitStatus::Code(answer.code),
            stdout: answer.out.into(),
            stderr: answer.error.into(),
        };
        self.later(wait, Happening::Deliver(from, event));
    }

    fn life_sign(&mut self, host: HostId, pid: &str) -> Option<Answer> {
        let reason = format!("footbridge {pid}");
        let is_there = pid.parse().is_ok_and(|pid| self.is_process(host, pid));
        if is_there {
            // Whose worktree that is waits for another start.
            let trees = self.git.repositories.get(&host)?.worktrees.iter();
            let locked = trees.filter(|(_, tree)| tree.lock.as_ref() == Some(&reason));
            let paths: Vec<_> = locked.map(|(path, _)| path.clone()).collect();
            paths.iter().for_each(|path| self.git.disturb(host, Some(path)));
        }
        Some(Answer::fails(i32::from(!is_there), ""))
    }

    /// Carries out a command, and tells what it has deleted.
    fn git_command(
        &mut self,
        worker: PartyId,
        host: HostId,
        args: &[&str],
        is_cut_short: bool,
    ) -> Option<Answer> {
        let at = self.at;
        let owned: Vec<_> = args.iter().map(ToString::to_string).collect();
        let path = Git::session_of(&owned);
        let repository = self.git.repositories.get_mut(&host)?;
        let before = repository.clone();
        let answer = match is_cut_short && self.git.rng.bool() {
            true => interrupted(repository, args, &mut self.git.rng),
            false => repository.git(args)?,
        };
        self.trace.say(at, "git", || format!("{} -> {answer:?}", args.join(" ")));
        let after = repository.clone();
        let is_in_the_way = answer.error.contains(".lock'");
        let Some(path) = path else { return Some(answer) };
        let session = path.rsplit('/').next().unwrap_or_default().to_owned();
        if args.contains(&"rev-list") {
            self.fact(Fact::LookedInto { repository: host, session: session.clone() });
        }
        let is_there = |repository: &Repository| repository.worktrees.contains_key(&path);
        if is_there(&after) && !is_there(&before) {
            self.note_made(host, &path, worker);
        }
        if is_cut_short || is_in_the_way {
            self.git.disturb(host, Some(&path));
        }
        let is_removed = is_there(&before) && !is_there(&after);
        let is_in_use = is_removed && self.has_an_agent(host, &path);
        let files = if is_removed { before.changes(&path, true) } else { Vec::new() };
        let commits = before.alive().difference(&after.alive()).copied().collect();
        let command = args.join(" ");
        let deleted =
            Fact::GitDeleted { repository: host, session, command, files, commits, is_in_use };
        self.fact(deleted);
        if self.git.rng.u8(..) < 80 && !self.is_calm {
            let main = DIRECTORY.to_owned();
            let at = if self.git.rng.u8(..4) == 0 { main } else { path };
            self.somebody_acts(host, &at);
        }
        Some(answer)
    }

    fn note_made(&mut self, host: HostId, path: &str, worker: PartyId) {
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
    fn has_an_agent(&self, host: HostId, path: &str) -> bool {
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
            self.later(wait, Happening::Git(Moment::Agent { host, path }));
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
            self.later(wait, Happening::Git(Moment::Agent { host, path }));
        }
    }

    fn is_spent(&self, host: HostId, path: &str) -> bool {
        let Some(repository) = self.git.repositories.get(&host) else { return false };
        let own = format!("{SESSIONS}{}", path.rsplit('/').next().unwrap_or_default());
        repository.is_spent(path, &own, |name| name.starts_with(SESSIONS))
    }

    fn agent_works(&mut self, host: HostId, path: &str) {
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
        self.later(wait, Happening::Git(Moment::Agent { host, path: path.to_owned() }));
        let branch = format!("topic-{}", self.git.deeds);
        match habits {
            Habits::Idle => {}
            Habits::Tidy if is_running => {
                for deed in [Deed::Write(String::from("b")), Deed::Commit, Deed::Branch(branch)] {
                    self.act(host, path, &deed);
                }
            }
            Habits::Tidy => {
                self.act(host, path, &Deed::Write(String::from("c")));
                self.act(host, path, &Deed::Commit);
            }
            Habits::Messy => self.somebody_acts(host, path),
        }
    }

    fn somebody_acts(&mut self, host: HostId, path: &str) {
        let name = path.strip_prefix(ROOT).unwrap_or("/none").trim_start_matches('/').to_owned();
        let deed = Deed::draw(&mut self.git.rng, &format!("footbridge/{name}"), path);
        // Lock files are a fault, and it is told when there are any.
        if !matches!(deed, Deed::Lock(_) | Deed::Unlock) {
            self.act(host, path, &deed);
        }
    }

    fn act(&mut self, host: HostId, path: &str, deed: &Deed) {
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
        self.later(wait, Happening::Git(Moment::Unlock(host)));
    }

    pub(crate) fn clear_git(&mut self) {
        self.git.repositories.values_mut().for_each(|repository| repository.lock_files.clear());
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

/// A command that was killed halfway: what it had done by then stays done.
fn interrupted(repository: &mut Repository, args: &[&str], rng: &mut Rng) -> Answer {
    let nothing = Answer::fails(128, "");
    let path = args.last().copied().unwrap_or_default();
    if args.contains(&"add") {
        // The branch is made first.
        let mut copy = repository.clone();
        if copy.git(args).is_some_and(|answer| answer.code == 0) {
            repository.refs = copy.refs;
        }
    } else if args.contains(&"remove") && rng.bool() {
        // Then some of the files are gone, all of which git has.
        let is_done = repository.clone().git(args).is_some_and(|answer| answer.code == 0);
        if let Some(tree) = repository.worktrees.get_mut(path).filter(|_| is_done) {
            tree.files.pop_last();
        }
    }
    nothing
}
