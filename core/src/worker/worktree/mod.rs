//! A fresh git worktree and branch for each session, and its removal without ever deleting work
//! (W-5).
//!
//! ```text
//!   make:   what does the reference name? ──▶ worktree add ──▶ the agent starts there
//!             or, if the session was here before: where is it? ──▶ take it over, or its branch
//!   clean:  uncommitted or untracked? ──▶ commits that only sessions' branches have?
//!             ──▶ on a branch? ──▶ a merge or the like under way? ──▶ unlock
//!             ──▶ worktree remove (git itself refuses if a file has come up since)
//!             ──▶ delete its branch, if that is still where it was looked at
//! ```
//!
//! Every step that says "there is something" or fails ends the cleaning, and the worktree is kept.
//! `HEAD` stays on its branch to the end: what is still committed while the steps go on moves that
//! branch, which then stays. On a detached `HEAD` such a commit would go with the worktree; one that
//! an agent leaves is kept. The steps can be interrupted anywhere and begun again; between the last
//! two, a branch with nothing of its own is left. One git command runs at a time: git's own locks then
//! only meet those of other programs, and a command that met one is tried again.

mod list;

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use self::list::{Lock, leftovers};
use super::config::SpawnMode;
use super::git::git;
use super::{Purpose, Timer, Worker, WorkerNotice};
use crate::action::{Action, Command};
use crate::event::Event;
use crate::id::SessionId;
use crate::limits::{
    GIT_LOCK_PAUSE, GIT_LOCK_RETRIES, GIT_TIMEOUT, MAX_LEFTOVER_WORKTREES, REQUEST_TIMEOUT,
};

/// How much of git's answers is read. A list of changes is only asked whether it is empty.
const OUTPUT_BYTES: usize = 256 << 10;
/// The full name of a branch begins with this.
const HEADS: &str = "refs/heads/";
/// Branches of sessions stand below this.
const BRANCHES: &str = "footbridge/";

/// What is to be done with one session's worktree.
#[derive(Clone, Debug)]
pub(super) struct Job {
    session: SessionId,
    /// The run of its agent that it is for; none for what is left of earlier ones. A session may come
    /// again while git still works for the run before.
    run: Option<String>,
    kind: JobKind,
    failures: u32,
}

#[derive(Clone, Debug)]
enum JobKind {
    Make {
        step: Make,
        reference: String,
        /// Why it could not be made afresh.
        complaint: String,
    },
    Clean {
        step: Clean,
        /// The branch that its `HEAD` is on, by its full name.
        head: String,
        /// Where the session's own branch is.
        tip: Option<String>,
    },
}

/// A session may come again, after a crash or a lost lease: then it goes on in the worktree that
/// was kept for it, or from its branch if only that is left.
#[derive(Clone, Copy, Debug)]
enum Make {
    Resolve,
    Add,
    Find,
    IsOwnerAlive(u32),
    Unlock,
    Lock,
    Attach,
}

#[derive(Clone, Copy, Debug)]
enum Clean {
    Changes,
    Head,
    Tip,
    OwnCommits,
    Idle,
    Unlock,
    Remove,
    Branch,
}

/// What became of a worktree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Done {
    Made,
    NotMade(String),
    Removed,
    /// Why it was kept.
    Kept(String),
}

/// The jobs that wait, and the one that runs.
#[derive(Debug, Default)]
pub(super) struct Worktrees {
    queue: VecDeque<Job>,
    is_running: bool,
    /// Where in the repository the worker's directory is: empty, or `sub/directory/`.
    pub(super) prefix: String,
}

impl Worker {
    /// Where a session's worktree is, if sessions have one.
    pub(super) fn worktree_path(&self, session: &SessionId) -> Option<String> {
        match &self.config.spawn_mode {
            SpawnMode::Worktree { root } => Some(format!("{root}/{session}")),
            SpawnMode::SingleSession | SpawnMode::SameDir => None,
        }
    }

    /// The directory that a session's agent works in.
    pub(super) fn session_directory(&self, session: &SessionId) -> String {
        match self.worktree_path(session) {
            Some(path) => format!("{path}/{}", self.worktrees.prefix).trim_end_matches('/').into(),
            None => self.config.directory.clone(),
        }
    }

    /// Makes a session's worktree at `reference`, or where the repository's `HEAD` is.
    pub(super) fn make_worktree(
        &mut self,
        session: &SessionId,
        run: &str,
        reference: Option<String>,
    ) {
        let reference = reference.unwrap_or_else(|| String::from("HEAD"));
        let complaint = String::new();
        let kind = JobKind::Make { step: Make::Resolve, reference, complaint };
        self.add_job(session, Some(run.to_string()), kind);
    }

    /// Removes a session's worktree if nothing would be lost by that.
    pub(super) fn clean_worktree(&mut self, session: &SessionId, run: &str) {
        self.clean(session, Some(run.to_string()));
    }

    fn clean(&mut self, session: &SessionId, run: Option<String>) {
        let kind = JobKind::Clean { step: Clean::Changes, head: String::new(), tip: None };
        self.add_job(session, run, kind);
    }

    /// Removes what an earlier run left, unless the session is here again and works in it.
    fn clean_leftover(&mut self, session: &SessionId) {
        if !self.sessions.contains_key(session) {
            self.clean(session, None);
        }
    }

    fn add_job(&mut self, session: &SessionId, run: Option<String>, kind: JobKind) {
        let session = session.clone();
        self.worktrees.queue.push_back(Job { session, run, kind, failures: 0 });
        self.run_job();
    }

    pub(super) fn run_job(&mut self) {
        if self.worktrees.is_running || self.timers.is_set(&Timer::Git) {
            return;
        }
        let Some(job) = self.worktrees.queue.front() else { return };
        let Some(path) = self.worktree_path(&job.session) else { return };
        let branch = format!("{BRANCHES}{}", job.session);
        let kept_back = &self.config.agent_env_remove;
        let command = match &job.kind {
            JobKind::Make { step: Make::IsOwnerAlive(owner), .. } => self.life_check(*owner),
            JobKind::Make { step, reference, .. } => {
                let args = make_args(*step, reference, &path, &branch, &self.lock_reason());
                git(&self.config.directory, &args, kept_back)
            }
            JobKind::Clean { step, head, tip } => {
                let directory = match step {
                    Clean::Unlock | Clean::Remove | Clean::Branch => &self.config.directory,
                    _ => &path,
                };
                let args = clean_args(*step, head, tip.as_deref(), &path, &branch);
                git(directory, &args, kept_back)
            }
        };
        self.worktrees.is_running = true;
        let run = |op| Action::Run { op, command, timeout: GIT_TIMEOUT, limit: OUTPUT_BYTES };
        self.fx.start(Purpose::Worktree, run);
    }

    /// Why a worktree is locked while its session runs: a later run tells by it whether the worker
    /// that made it is still there.
    fn lock_reason(&self) -> String {
        format!("footbridge {}", self.config.process_id)
    }

    pub(super) fn job_answered(&mut self, event: &Event) {
        self.worktrees.is_running = false;
        let Some(mut job) = self.worktrees.queue.pop_front() else { return };
        let answer = Answer::of(event);
        if answer.has_met_a_lock() && job.failures < GIT_LOCK_RETRIES {
            let pause = GIT_LOCK_PAUSE * (1 << job.failures);
            job.failures += 1;
            self.worktrees.queue.push_front(job);
            return self.timers.set(Timer::Git, self.fx.now().mono + pause);
        }
        let path = self.worktree_path(&job.session).unwrap_or_default();
        match job.advance(&answer, &path, self.config.process_id) {
            Some(done) => self.worktree_done(&job.session, job.run.as_deref(), done),
            None => self.worktrees.queue.push_front(job),
        }
        self.run_job();
    }

    /// Takes up the worktrees of earlier runs, from git's own list of them.
    pub(super) fn clean_leftovers(&mut self, list: &str) {
        let SpawnMode::Worktree { root } = &self.config.spawn_mode else { return };
        for leftover in leftovers(list, root).into_iter().take(MAX_LEFTOVER_WORKTREES) {
            match leftover.owner {
                // A process id of our own can only be an earlier bearer's: we have made nothing yet.
                Some(owner) if owner != self.config.process_id => {
                    self.ask_for_life(owner, leftover.session);
                }
                _ => self.clean_leftover(&leftover.session),
            }
        }
    }

    /// Whether the worker is still there that has a worktree locked.
    fn ask_for_life(&mut self, process_id: u32, session: SessionId) {
        let command = self.life_check(process_id);
        let run = |op| Action::Run { op, command, timeout: REQUEST_TIMEOUT, limit: OUTPUT_BYTES };
        self.fx.start(Purpose::LifeSign(session), run);
    }

    fn life_check(&self, process_id: u32) -> Command {
        Command {
            program: String::from("kill"),
            args: vec![String::from("-0"), process_id.to_string()],
            env: vec![],
            env_remove: self.config.agent_env_remove.clone(),
            directory: None,
        }
    }

    pub(super) fn life_sign(&mut self, session: &SessionId, event: &Event) {
        if matches!(event, Event::Ran { status, .. } if !status.is_success()) {
            self.clean_leftover(session);
        }
    }

    /// What became of a worktree whose session this run does not know.
    pub(super) fn leftover_done(&mut self, session: &SessionId, done: Done) {
        let kept = match done {
            Done::Kept(reason) => Some(reason),
            Done::Removed => None,
            // Its session ended before it was there. One that has come again finds it.
            Done::Made => return self.clean_leftover(session),
            Done::NotMade(_) => return,
        };
        let path = self.worktree_path(session).unwrap_or_default();
        self.fx.tell(WorkerNotice::LeftoverWorktree { path, kept });
    }
}

fn make_args(
    step: Make,
    reference: &str,
    path: &str,
    branch: &str,
    lock_reason: &str,
) -> Vec<String> {
    let commit = format!("{reference}^{{commit}}");
    let args: &[&str] = match step {
        Make::Resolve => &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit],
        Make::Add => &[
            "worktree",
            "add",
            "--quiet",
            "--no-track",
            "--lock",
            "--reason",
            lock_reason,
            "-b",
            branch,
            path,
            reference,
        ],
        Make::Find => &["worktree", "list", "--porcelain"],
        // That is no command of git.
        Make::IsOwnerAlive(_) => &[],
        Make::Unlock => &["worktree", "unlock", path],
        Make::Lock => &["worktree", "lock", "--reason", lock_reason, path],
        Make::Attach => {
            &["worktree", "add", "--quiet", "--lock", "--reason", lock_reason, path, branch]
        }
    };
    args.iter().map(ToString::to_string).collect()
}

fn clean_args(step: Clean, head: &str, tip: Option<&str>, path: &str, branch: &str) -> Vec<String> {
    let args: &[&str] = match step {
        Clean::Changes => {
            &["status", "--porcelain", "--untracked-files=all", "--ignore-submodules=none"]
        }
        Clean::Head => &["symbolic-ref", "--quiet", "HEAD"],
        Clean::Tip => &["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")],
        // Commits of this worktree that no other reference leads to. Another session's branch does
        // not count: its worker may be about to delete it by the same reasoning. `--glob` does not
        // count HEAD, which `--all` would; the references of this worktree alone go with it.
        Clean::OwnCommits => &[
            "rev-list",
            "--max-count=1",
            "HEAD",
            tip.unwrap_or("HEAD"),
            "--not",
            &format!("--exclude={HEADS}{BRANCHES}*"),
            "--exclude=refs/bisect/*",
            "--exclude=refs/worktree/*",
            "--exclude=refs/rewritten/*",
            "--glob=refs/*",
        ],
        // To where it is: git refuses while a merge, a rebase or the like is under way, and changes
        // nothing otherwise.
        Clean::Idle => {
            &["switch", "--quiet", "--no-guess", head.strip_prefix(HEADS).unwrap_or(head)]
        }
        Clean::Unlock => &["worktree", "unlock", path],
        // It looks for changes once more, and would overlook new files if a person's settings say so.
        Clean::Remove => &["-c", "status.showUntrackedFiles=all", "worktree", "remove", path],
        Clean::Branch => {
            &["update-ref", "-d", &format!("refs/heads/{branch}"), tip.unwrap_or_default()]
        }
    };
    args.iter().map(ToString::to_string).collect()
}

/// What git said.
struct Answer {
    has_run: bool,
    is_success: bool,
    out: String,
    error: String,
}

impl Answer {
    fn of(event: &Event) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
        match event {
            Event::Ran { status, stdout, stderr, .. } => Self {
                has_run: true,
                is_success: status.is_success(),
                out: text(stdout),
                error: text(stderr),
            },
            Event::Failed { failure, .. } => Self::none(failure.to_string()),
            _ => Self::none(String::new()),
        }
    }

    const fn none(error: String) -> Self {
        Self { has_run: false, is_success: false, out: String::new(), error }
    }

    /// Another program holds one of git's lock files.
    fn has_met_a_lock(&self) -> bool {
        !self.is_success && self.error.contains(".lock'")
    }

    /// The last line of what git complained about: the ones before it are advice.
    fn complaint(&self) -> String {
        let line = self
            .error
            .lines()
            .find(|line| line.starts_with("fatal:") || line.starts_with("error:"));
        String::from(line.or_else(|| self.error.lines().last()).unwrap_or("git failed"))
    }
}

impl Job {
    /// Goes one step on by git's answer; what became of the worktree, once that is settled.
    fn advance(&mut self, answer: &Answer, path: &str, process_id: u32) -> Option<Done> {
        self.failures = 0;
        match &mut self.kind {
            JobKind::Make { step, reference, complaint } => {
                let next = match step {
                    Make::Resolve if answer.is_success => {
                        // From here on it is a commit's name, whatever the reference does meanwhile.
                        reference.clone_from(&answer.out);
                        Make::Add
                    }
                    Make::Resolve => {
                        return Some(Done::NotMade(format!("git does not know {reference:?}")));
                    }
                    Make::Add | Make::Lock | Make::Attach if answer.is_success => {
                        return Some(Done::Made);
                    }
                    Make::Add => {
                        *complaint = answer.complaint();
                        Make::Find
                    }
                    Make::Find if answer.is_success => match Lock::at(&answer.out, path) {
                        Some(Lock::Worker(owner)) if owner == process_id => {
                            return Some(Done::Made);
                        }
                        Some(Lock::Worker(owner)) => Make::IsOwnerAlive(owner),
                        Some(Lock::None) => Make::Lock,
                        Some(Lock::Person) => {
                            return Some(Done::NotMade(format!("somebody has locked {path}")));
                        }
                        None => Make::Attach,
                    },
                    Make::IsOwnerAlive(owner) if answer.is_success => {
                        let owner = *owner;
                        return Some(Done::NotMade(format!("process {owner} works in {path}")));
                    }
                    Make::IsOwnerAlive(_) if answer.has_run => Make::Unlock,
                    Make::Unlock if answer.is_success => Make::Lock,
                    Make::Find
                    | Make::IsOwnerAlive(_)
                    | Make::Unlock
                    | Make::Lock
                    | Make::Attach => {
                        return Some(Done::NotMade(core::mem::take(complaint)));
                    }
                };
                *step = next;
                None
            }
            JobKind::Clean { step, head, tip } => {
                let next = match step {
                    Clean::Changes if !answer.is_success => {
                        return Some(Done::Kept(answer.complaint()));
                    }
                    Clean::Changes if !answer.out.is_empty() => {
                        let changes = answer.out.lines().count();
                        return Some(Done::Kept(format!(
                            "{changes} uncommitted or untracked files"
                        )));
                    }
                    Clean::Changes => Clean::Tip,
                    Clean::Tip => {
                        // A branch that the agent deleted has nothing that HEAD has not.
                        *tip = Some(answer.out.clone())
                            .filter(|tip| answer.is_success && !tip.is_empty());
                        Clean::OwnCommits
                    }
                    Clean::OwnCommits if !answer.is_success => {
                        return Some(Done::Kept(answer.complaint()));
                    }
                    Clean::OwnCommits if !answer.out.is_empty() => {
                        return Some(Done::Kept(String::from("commits that no other branch has")));
                    }
                    Clean::OwnCommits => Clean::Head,
                    // As late as can be: on a `HEAD` that was detached before the commits were looked
                    // at, one may have been made since.
                    Clean::Head if answer.is_success && answer.out.starts_with(HEADS) => {
                        head.clone_from(&answer.out);
                        Clean::Idle
                    }
                    Clean::Head => {
                        return Some(Done::Kept(String::from("its HEAD is on no branch")));
                    }
                    Clean::Idle if !answer.is_success => {
                        return Some(Done::Kept(answer.complaint()));
                    }
                    Clean::Idle => Clean::Unlock,
                    // It is not locked if an earlier try came this far.
                    Clean::Unlock => Clean::Remove,
                    Clean::Remove if !answer.is_success => {
                        return Some(Done::Kept(answer.complaint()));
                    }
                    Clean::Remove if tip.is_some() => Clean::Branch,
                    // A branch that has moved on meanwhile stays, and its commits with it.
                    Clean::Remove | Clean::Branch => return Some(Done::Removed),
                };
                *step = next;
                None
            }
        }
    }
}
