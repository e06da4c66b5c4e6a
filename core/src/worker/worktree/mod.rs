//! A fresh git worktree and branch for each session, removed afterwards without ever deleting work
//! (W-5).
//!
//! ```text
//!   make:   resolve the reference ──▶ worktree add ──▶ the agent starts there
//!             or, if the session was here before: find it ──▶ take over the worktree, or its branch
//!   clean:  uncommitted or untracked files? ──▶ changes that git was told to overlook?
//!             ──▶ ignored files that cannot be made again? ──▶ the same in submodules?
//!             ──▶ commits that only session branches have?
//!             ──▶ what only reflogs have gets a name ──▶ on a branch? ──▶ a merge or similar in progress? ──▶ unlock
//!             ──▶ worktree remove (git itself refuses if a file has appeared since)
//!             ──▶ do other branches still have its commits? ──▶ delete its branch, if it has not
//!             moved since
//!   If its directory is gone: gone.rs. If it could not be made: its branch is deleted likewise.
//! ```
//!
//! Any step that finds something or fails ends the cleaning, and the worktree is kept. `HEAD` stays
//! on its branch to the end: a commit made in the meantime moves that branch, which is then kept.
//! On a detached `HEAD` such a commit would go with the worktree, so a worktree left that way is
//! kept. The steps can be interrupted anywhere and started over; between the last two, a branch
//! with nothing of its own is left.
//!
//! Between finding something out and acting on it, nobody else acts: the place where a worker keeps
//! its worktrees is its own, and the system lets one run of it at a time have it. So whatever is
//! there belongs to a session of this run, or was left by an earlier one, and no worker ever has to
//! guess whether another one is alive. Within a run, one job follows another, and a session that
//! returns waits until the last one about it is done. One git command runs at a time, so git's locks
//! are only contended by other programs; a command that met one is retried.
//!
//! Right before each command that reads or writes files, git is asked which programs the
//! repository's configuration names, so that it runs none of them (W-16).

mod answer;
mod bring;
mod clean;
mod delete;
mod done;
mod gone;
mod ignored;
mod job;
mod kind;
mod list;
mod look;
mod make;
mod own_branch;
mod own_commits;
mod programs;
mod reflog;
mod submodules;
mod tracked;
mod wish;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use self::answer::Answer;
use self::clean::Cleaning;
use self::done::BRANCHES;
pub(super) use self::done::{Done, KEPT as KEPT_COMMITS};
use self::ignored::Ignored;
use self::job::{Job, Named};
use self::kind::{JobKind, Step};
use self::list::{branches_only, entries, leftovers};
use self::make::Making;
use self::wish::Next;
pub(super) use self::wish::Wish;
use super::config::{SpawnMode, WorkerConfig};
use super::cx::{Cx, Purpose, Timer};
use super::git::{Programs, git, git_with};
use super::notice::WorkerNotice;
use crate::base::id::{SessionId, WorkId};
use crate::base::limits::{GIT_LOCK_PAUSE, GIT_LOCK_RETRIES, GIT_TIMEOUT, MAX_LEFTOVER_WORKTREES};
use crate::base::secret::Secret;
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::wire::worktree::WorktreeNote;

/// What follows a worktree's path in that of a file that does not exist.
const NO_INDEX: &str = " has no such index";

/// What became of a job.
#[derive(Debug)]
pub(super) struct JobDone {
    pub(super) session: SessionId,
    pub(super) run: Option<String>,
    pub(super) done: Done,
    /// The name that commits have got which only reflogs had.
    pub(super) kept_as: Option<String>,
}

/// What became of a worktree that was kept, by the item that has asked about it, if one has.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) work: Option<WorkId>,
    pub(super) note: WorktreeNote,
}

/// What has come to an end.
#[derive(Debug)]
pub(super) enum Ended {
    Job(JobDone),
    Wish(Noted),
}

/// The jobs in order; git works on the first.
#[derive(Debug)]
pub(super) struct Worktrees {
    queue: VecDeque<Job>,
    turn: Turn,
    /// The worker's directory within the repository: empty, or `sub/directory/`.
    prefix: String,
    /// Worktrees of an earlier run whose sessions may return.
    kept: Vec<SessionId>,
}

/// Whether the next job can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Free,
    /// A git command is running.
    Running,
    /// The last one ran into a lock, and is retried after a pause.
    Pausing,
}

impl Worktrees {
    pub(super) const fn new() -> Self {
        Self { queue: VecDeque::new(), turn: Turn::Free, prefix: String::new(), kept: Vec::new() }
    }

    /// The directory that a session's agent works in.
    pub(super) fn session_directory(&self, config: &WorkerConfig, session: &SessionId) -> String {
        match config.worktree_path(session) {
            Some(path) => format!("{path}/{}", self.prefix).trim_end_matches('/').into(),
            None => config.directory.clone(),
        }
    }

    /// Creates a session's worktree at `reference`, or at the repository's `HEAD`.
    pub(super) fn make(
        &mut self,
        cx: &mut Cx<'_>,
        session: &SessionId,
        run: Option<String>,
        reference: Option<String>,
    ) {
        self.kept.retain(|kept| kept != session);
        self.add_job(cx, session, run, JobKind::Make(Making::at(reference)));
    }

    /// Removes a session's worktree if that would lose nothing.
    pub(super) fn clean(&mut self, cx: &mut Cx<'_>, session: &SessionId, run: Option<String>) {
        self.add_job(cx, session, run, JobKind::Clean(Box::new(Cleaning::new())));
    }

    /// Finds out, or does, something about a worktree that was kept.
    pub(super) fn wish(&mut self, cx: &mut Cx<'_>, session: &SessionId, wish: Wish) {
        let kind = wish.first();
        self.queue.push_back(Job { wish: Some(Box::new(wish)), ..Job::new(session, None, kind) });
        self.run_next(cx);
    }

    fn add_job(
        &mut self,
        cx: &mut Cx<'_>,
        session: &SessionId,
        run: Option<String>,
        kind: JobKind,
    ) {
        self.queue.push_back(Job::new(session, run, kind));
        self.run_next(cx);
    }

    /// The pause after a lock is over.
    pub(super) fn resume(&mut self, cx: &mut Cx<'_>) {
        self.turn = Turn::Free;
        self.run_next(cx);
    }

    /// Leaves what earlier runs left, and what was asked about it, to the next run. A command that
    /// is under way for that ends: killed, it would leave its lock, and git would refuse to work
    /// there. What sessions of this run leave is still cleaned up.
    pub(super) fn stop(&mut self) {
        let running = usize::from(self.turn == Turn::Running);
        let mut jobs = core::mem::take(&mut self.queue);
        let rest = jobs.split_off(running.min(jobs.len()));
        self.queue = jobs.into_iter().map(Job::without_further_steps).collect();
        self.queue.extend(rest.into_iter().filter(Job::is_of_this_run));
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn run_next(&mut self, cx: &mut Cx<'_>) {
        if self.turn != Turn::Free {
            return;
        }
        let Some(job) = self.queue.front_mut() else { return };
        let Some(path) = cx.config.worktree_path(&job.session) else { return };
        let branch = format!("{BRANCHES}{}", job.session);
        let directory = &cx.config.directory;
        let withheld = &cx.config.agent_env_remove;
        if cx.config.trusts_repository {
            job.named = Named::Known(Programs::OfRepository);
        }
        let place = job.kind.place(directory, &path);
        let mut command = match &job.named {
            _ if !job.kind.touches_files() => git(&place, &job.kind.args(&path, &branch), withheld),
            Named::Known(programs) => {
                git_with(&place, &job.kind.args(&path, &branch), withheld, programs)
            }
            Named::Unknown | Named::Asked => {
                job.named = Named::Asked;
                git(&job.kind.files(directory, &path), &programs::QUESTION, withheld)
            }
        };
        if job.kind.knows_no_files() {
            let none = Secret::from(format!("{path}{NO_INDEX}").as_str());
            command.env.push((String::from("GIT_INDEX_FILE"), none));
        }
        // The configuration of a worktree can name another directory as the one with its files.
        if place == path {
            let own = Secret::from(path.as_str());
            command.env.push((String::from("GIT_WORK_TREE"), own));
        }
        self.turn = Turn::Running;
        let limit = job.kind.output_limit();
        let run = |op| Action::Run { op, command, timeout: GIT_TIMEOUT, limit };
        cx.fx.start(Purpose::Worktree, run);
    }

    /// Handles the answer of a job's command. The caller then has to call
    /// [`run_next`](Self::run_next).
    pub(super) fn answered(&mut self, cx: &mut Cx<'_>, event: &Event) -> Option<Ended> {
        self.turn = Turn::Free;
        let mut job = self.queue.pop_front()?;
        if job.is_stopped {
            return None;
        }
        let mut answer = Answer::of(event);
        let is_about_programs = job.named == Named::Asked;
        if is_about_programs && answer.is_success {
            match programs::overrides(&answer.out) {
                Ok(overrides) => {
                    job.named = Named::Known(Programs::OfOwner(overrides));
                    self.queue.push_front(job);
                    return None;
                }
                Err(reason) => answer = Answer::failed(reason),
            }
        }
        job.named = Named::Unknown;
        if answer.has_met_a_lock() && job.failures < GIT_LOCK_RETRIES {
            let pause = GIT_LOCK_PAUSE * (1 << job.failures);
            job.failures += 1;
            self.queue.push_front(job);
            self.turn = Turn::Pausing;
            cx.set_timer(Timer::Git, pause);
            return None;
        }
        let path = cx.config.worktree_path(&job.session).unwrap_or_default();
        let branch = format!("{BRANCHES}{}", job.session);
        job.failures = 0;
        let step = job.kind.advance(&answer, &path, &branch, &Ignored::new(&cx.config.disposable));
        if let Some(commit) = job.kind.named() {
            job.kept_as = Some(format!("{KEPT_COMMITS}{commit}"));
        }
        let done = match (step, &mut job.wish) {
            (Some(step), Some(wish)) => {
                match wish.after(step, &path) {
                    Next::Do(kind) => job.kind = kind,
                    Next::Noted(mut note) => {
                        note.kept_as = job.kept_as.unwrap_or_default();
                        return Some(Ended::Wish(Noted { work: wish.work.take(), note: *note }));
                    }
                }
                None
            }
            (Some(Step::Over(done)), None) => Some(done),
            (None | Some(Step::Looked(_) | Step::Brought(_)), _) => None,
        };
        let done = match (done, job.not_made.take()) {
            (Some(Done::NotMade(reason)), None) => {
                job.not_made = Some(reason);
                job.kind = JobKind::Clean(Box::new(Cleaning::of_branch()));
                None
            }
            (None, reason) => {
                job.not_made = reason;
                None
            }
            (Some(_), Some(reason)) => Some(Done::NotMade(reason)),
            (done, None) => done,
        };
        let Some(done) = done else {
            self.queue.push_front(job);
            return None;
        };
        let Job { session, run, kept_as, .. } = job;
        Some(Ended::Job(JobDone { session, run, done, kept_as }))
    }

    /// Picks up the worktrees of earlier runs from git's own list of them, and learns where in the
    /// repository sessions work. Those of sessions that may return wait for
    /// [`clean_kept`](Self::clean_kept).
    pub(super) fn take_up(
        &mut self,
        cx: &mut Cx<'_>,
        prefix: String,
        list: &str,
        branches: &str,
        may_return: impl Fn(&SessionId) -> bool,
    ) {
        self.prefix = prefix;
        let SpawnMode::Worktree { root } = &cx.config.spawn_mode else { return };
        let list = entries(list);
        let branches = branches_only(&list, root, branches);
        for leftover in leftovers(&list, root).into_iter().take(MAX_LEFTOVER_WORKTREES) {
            if may_return(&leftover) {
                self.kept.push(leftover);
            } else {
                self.clean(cx, &leftover, None);
            }
        }
        for session in branches.into_iter().take(MAX_LEFTOVER_WORKTREES) {
            if may_return(&session) {
                self.kept.push(session);
            } else {
                self.add_job(cx, &session, None, JobKind::Clean(Box::new(Cleaning::of_branch())));
            }
        }
    }

    /// The relay has said more about which sessions return: the worktrees of those that
    /// `may_return` does not hold for are cleaned up.
    pub(super) fn clean_kept(&mut self, cx: &mut Cx<'_>, may_return: impl Fn(&SessionId) -> bool) {
        let (kept, over) = core::mem::take(&mut self.kept).into_iter().partition(may_return);
        self.kept = kept;
        let over: Vec<SessionId> = over;
        for leftover in &over {
            self.clean(cx, leftover, None);
        }
    }
}

/// Notes what became of a worktree that no session of this run works in. Returns whether it has to
/// be cleaned up.
pub(super) fn leftover_done(cx: &mut Cx<'_>, session: &SessionId, done: &Done) -> bool {
    let kept = match done {
        Done::Kept(reason) => Some(reason.clone()),
        Done::Removed => None,
        // Its session ended before it was created. If the session returns, it finds the worktree.
        Done::Made(_) => return true,
        Done::NotMade(_) | Done::Gone => return false,
    };
    let path = cx.config.worktree_path(session).unwrap_or_default();
    cx.notify(WorkerNotice::LeftoverWorktree { path, kept });
    false
}
