//! A fresh git worktree and branch for each session, and its removal without ever deleting work
//! (W-5).
//!
//! ```text
//!   make:   what does the reference name? ──▶ worktree add ──▶ the agent starts there
//!             or, if the session was here before: where is it? ──▶ take it over, or its branch
//!   clean:  uncommitted or untracked? ──▶ commits that only sessions' branches have?
//!             ──▶ on a branch? ──▶ a merge or the like under way? ──▶ unlock
//!             ──▶ worktree remove (git itself refuses if a file has come up since)
//!             ──▶ do other branches still have its commits? ──▶ delete its branch, if that is still
//!             where it was looked at
//! ```
//!
//! Every step that says "there is something" or fails ends the cleaning, and the worktree is kept.
//! `HEAD` stays on its branch to the end: what is still committed while the steps go on moves that
//! branch, which then stays. On a detached `HEAD` such a commit would go with the worktree; one that
//! an agent leaves is kept. The steps can be interrupted anywhere and begun again; between the last
//! two, a branch with nothing of its own is left. One git command runs at a time: git's own locks then
//! only meet those of other programs, and a command that met one is tried again.

mod answer;
mod clean;
mod list;
mod make;

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use self::answer::Answer;
use self::clean::Cleaning;
use self::list::leftovers;
use self::make::Making;
use super::config::SpawnMode;
use super::git::git;
use super::{Purpose, Timer, Worker, WorkerNotice};
use crate::base::id::SessionId;
use crate::base::limits::{
    GIT_LOCK_PAUSE, GIT_LOCK_RETRIES, GIT_TIMEOUT, MAX_LEFTOVER_WORKTREES, REQUEST_TIMEOUT,
};
use crate::contract::action::{Action, ProcessSpec};
use crate::contract::event::Event;

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
    Make(Making),
    Clean(Cleaning),
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
    pub(super) fn make_worktree(&mut self, session: &SessionId, reference: Option<String>) {
        self.add_job(session, JobKind::Make(Making::at(reference)));
    }

    /// Removes a session's worktree if nothing would be lost by that.
    pub(super) fn clean_worktree(&mut self, session: &SessionId) {
        self.add_job(session, JobKind::Clean(Cleaning::new()));
    }

    /// Removes what an earlier run left, unless the session is here again and works in it.
    fn clean_leftover(&mut self, session: &SessionId) {
        if !self.sessions.contains_key(session) {
            self.clean_worktree(session);
        }
    }

    fn add_job(&mut self, session: &SessionId, kind: JobKind) {
        let run = self.sessions.get(session).map(|known| known.link.agent_run().to_string());
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
            JobKind::Make(making) => match making.owner() {
                Some(owner) => self.life_check(owner),
                None => {
                    let args = making.args(&path, &branch, &self.lock_reason());
                    git(&self.config.directory, &args, kept_back)
                }
            },
            JobKind::Clean(cleaning) => {
                let is_about_to_go = cleaning.is_about_to_go();
                let directory = if is_about_to_go { &self.config.directory } else { &path };
                git(directory, &cleaning.args(&path, &branch), kept_back)
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
        job.failures = 0;
        let done = match &mut job.kind {
            JobKind::Make(making) => making.advance(&answer, &path, self.config.process_id),
            JobKind::Clean(cleaning) => cleaning.advance(&answer),
        };
        match done {
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

    fn life_check(&self, process_id: u32) -> ProcessSpec {
        ProcessSpec {
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
        self.fx.notify(WorkerNotice::LeftoverWorktree { path, kept });
    }
}
