//! Workers' commands: they take time, fail, are killed halfway, and report what they have deleted.

use std::time::Duration;

use fastrand::Rng;
use footbridge_core::contract::action::ProcessSpec;
use footbridge_core::contract::event::{Event, ExitStatus, IoErrorKind};

use crate::fact::Fact;
use crate::faults::FaultKind;
use crate::git::command::Answer;
use crate::git::model::Repository;
use crate::ids::{Address, HostId, Op, PartyId};
use crate::sim::cx::{Cx, failure};
use crate::sim::event::{RepositoryEvent, SimEvent};
use crate::sim::process::Processes;
use crate::sim::repositories::{DIRECTORY, Repositories, session_in};

/// How long a command may outlive its worker (W-12).
const SUPERVISION_LAG: Duration = Duration::from_secs(5);

impl Repositories {
    /// A command of a worker whose sessions have worktrees.
    pub(crate) fn run(
        &mut self,
        cx: &mut Cx,
        from: Address,
        command: &ProcessSpec,
        timeout: Duration,
    ) {
        cx.parties[from.party].ops.insert(from.op, Op::Single);
        // A worker that cannot determine what its directory is ends at its start, and says so.
        let is_question =
            command.args.iter().any(|arg| arg == "--show-prefix" || arg == "HEAD^{commit}");
        let has_trouble = cx.plan.has(FaultKind::GitTrouble) && !is_question;
        let is_trouble = has_trouble && self.rng.u8(..) < 20;
        let mut before = self.millis(1..6);
        let answer_in = self.millis(0..3);
        let mut args = command.args.clone();
        args.insert(0, command.program.clone());
        let path = self.worktree_of(from.party, &args);
        let failed = |kind| Event::Failed { op: from.op, failure: failure(kind) };
        if is_trouble {
            let host = cx.parties[from.party].host;
            self.disturb(host, path.as_deref());
            match self.rng.u8(..4) {
                0 => return cx.tell(from, failed(IoErrorKind::NotFound)),
                // It is slow, but not too slow.
                1 => before = self.millis(100..timeout.as_millis() as u64),
                _ => {
                    let after = timeout.saturating_sub(self.millis(1..5_000));
                    let what =
                        RepositoryEvent::Effect { from, args, is_cut_short: true, answer_in };
                    cx.later(after, SimEvent::Repository(what));
                    let late = failed(IoErrorKind::TimedOut);
                    return cx.later(timeout, SimEvent::Deliver(from, late));
                }
            }
        }
        let what = RepositoryEvent::Effect { from, args, is_cut_short: false, answer_in };
        cx.later(before, SimEvent::Repository(what));
    }

    pub(super) fn take_effect(
        &mut self,
        cx: &mut Cx,
        processes: &Processes,
        from: Address,
        args: &[String],
        is_cut_short: bool,
        wait: Duration,
    ) {
        // Its worker's supervision kills it, at once or a little later.
        let is_over = cx.at.saturating_sub(cx.parties[from.party].died_at) > SUPERVISION_LAG;
        if !cx.is_alive(from) && (is_over || self.rng.bool()) {
            return;
        }
        let host = cx.parties[from.party].host;
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let answer = match args.as_slice() {
            ["git", args @ ..] => {
                self.git_command(cx, processes, from.party, host, args, is_cut_short)
            }
            _ => None,
        };
        let Some(answer) = answer else {
            let words = format!("the simulated host does not know how to run {args:?}");
            return cx.break_promise("contract", words);
        };
        if is_cut_short {
            return;
        }
        if !cx.is_alive(from) {
            // Its worker's next start may have been too early to see what it does now.
            let args: Vec<_> = args.iter().map(ToString::to_string).collect();
            let path = self.worktree_of(from.party, &args);
            self.disturb(host, path.as_deref());
        }
        let event = Event::Ran {
            op: from.op,
            status: ExitStatus::Code(answer.code),
            stdout: answer.out.into(),
            stderr: answer.error.into(),
        };
        cx.later(wait, SimEvent::Deliver(from, event));
    }

    /// Carries out a command, and reports what it has deleted.
    fn git_command(
        &mut self,
        cx: &mut Cx,
        processes: &Processes,
        worker: PartyId,
        host: HostId,
        args: &[&str],
        is_cut_short: bool,
    ) -> Option<Answer> {
        let at = cx.at;
        let owned: Vec<_> = args.iter().map(ToString::to_string).collect();
        let path = self.worktree_of(worker, &owned);
        let repository = self.repositories.get_mut(&host)?;
        let before = repository.clone();
        let answer = match is_cut_short && self.rng.bool() {
            true => interrupted(repository, args, &mut self.rng),
            false => repository.git(args)?,
        };
        cx.trace.record(at, "git", || format!("{} -> {answer:?}", args.join(" ")));
        let after = repository.clone();
        let is_in_the_way = answer.error.contains(".lock'");
        let Some(path) = path else { return Some(answer) };
        let session = session_in(&path).to_owned();
        if args.contains(&"rev-list") {
            cx.fact(Fact::LookedInto { repository: host, session: session.clone() });
        }
        let is_there = |repository: &Repository| repository.worktrees.contains_key(&path);
        if is_there(&after) && !is_there(&before) {
            self.note_made(cx, host, &path, worker);
        }
        if is_cut_short || is_in_the_way {
            self.disturb(host, Some(&path));
        }
        let is_removed = is_there(&before) && !is_there(&after);
        let is_in_use = is_removed && self.has_an_agent(cx, processes, host, &path);
        let files = if is_removed { before.work_in(&path) } else { Vec::new() };
        let commits = before.alive().difference(&after.alive()).copied().collect();
        let command = args.join(" ");
        let deleted =
            Fact::GitDeleted { repository: host, session, command, files, commits, is_in_use };
        cx.fact(deleted);
        if self.rng.u8(..) < 80 && !cx.is_calm {
            let main = DIRECTORY.to_owned();
            let at = if self.rng.u8(..4) == 0 { main } else { path };
            self.somebody_acts(cx, processes, host, &at);
        }
        Some(answer)
    }
}

/// A command that was killed halfway: what it had done by then stays done.
fn interrupted(repository: &mut Repository, args: &[&str], rng: &mut Rng) -> Answer {
    let nothing = Answer::fails(128, "");
    let path = args.last().copied().unwrap_or_default();
    if args.contains(&"add") {
        // The branch is created first.
        let mut copy = repository.clone();
        if copy.git(args).is_some_and(|answer| answer.code == 0) {
            repository.refs = copy.refs;
        }
    } else if args.contains(&"remove") && rng.bool() {
        // Then some of the files are gone, all of which are committed.
        let is_done = repository.clone().git(args).is_some_and(|answer| answer.code == 0);
        if let Some(tree) = repository.worktrees.get_mut(path).filter(|_| is_done) {
            tree.files.pop_last();
        }
    }
    nothing
}
