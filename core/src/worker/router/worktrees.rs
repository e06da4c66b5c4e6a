//! What git has found out, or done, about the worktrees of sessions.

use alloc::format;
use alloc::string::String;

use super::Parts;
use crate::base::id::SessionId;
use crate::contract::event::Event;
use crate::wire::worktree::{WorktreeAction, WorktreeNote, WorktreeRequest, WorktreeState};
use crate::worker::cx::Cx;
use crate::worker::lease::Lease;
use crate::worker::notice::WorkerNotice;
use crate::worker::result::Finished;
use crate::worker::worktree::{self, Done, Ended, JobDone, KEPT_COMMITS, Noted, Wish};

impl Parts {
    pub(super) fn worktree_answered(&mut self, cx: &mut Cx<'_>, event: &Event) {
        match self.worktrees.answered(cx, event) {
            Some(Ended::Job(done)) => self.job_done(cx, done),
            Some(Ended::Wish(noted)) => self.noted(cx, noted),
            None => {}
        }
        self.advance_shutdown(cx);
        self.worktrees.run_next(cx);
    }

    fn job_done(&mut self, cx: &mut Cx<'_>, ended: JobDone) {
        let JobDone { session: id, run, done, kept_as } = ended;
        let made_with = |done: &Done| match done {
            Done::Made(Some(commit)) => Some(format!("{KEPT_COMMITS}{commit}")),
            _ => None,
        };
        if let Some(reference) = kept_as.clone().or_else(|| made_with(&done)) {
            let (session, name) = (id.clone(), reference.strip_prefix(KEPT_COMMITS));
            let commit = String::from(name.unwrap_or_default());
            cx.notify(WorkerNotice::CommitKept { session, commit, reference });
        }
        let session = self.sessions.get(&id);
        // A session may have returned while git was still busy with its previous run.
        if session.is_some_and(|session| run.as_deref() == Some(session.agent_run())) {
            if let Done::Kept(reason) = &done {
                self.offers.kept(id.clone(), reason.clone());
            }
            self.session(cx, &id, |session, cx| session.worktree_done(cx, done, kept_as));
        } else {
            self.leftover_done(cx, &id, done, kept_as.unwrap_or_default());
        }
    }

    fn leftover_done(&mut self, cx: &mut Cx<'_>, id: &SessionId, done: Done, kept_as: String) {
        if worktree::leftover_done(cx, id, &done) {
            return self.clean_leftover(cx, id);
        }
        let path = cx.config.worktree_path(id).unwrap_or_default();
        match done {
            Done::Kept(reason) => self.offer(cx, id, reason),
            Done::Removed | Done::Gone => {
                let is_gone = done == Done::Gone;
                let state = if is_gone { WorktreeState::Gone } else { WorktreeState::Removed };
                self.tell(cx, WorktreeNote { kept_as, ..WorktreeNote::new(id, path, state) });
            }
            Done::Made(_) | Done::NotMade(_) => {}
        }
    }

    /// Cleans up what an earlier run left, unless the session has returned and works in it.
    fn clean_leftover(&mut self, cx: &mut Cx<'_>, session: &SessionId) {
        if !self.sessions.contains(session) {
            self.worktrees.clean(cx, session, None);
        }
    }

    /// Looks into a worktree that was kept, to tell the relay of it. The next start does it again.
    pub(super) fn offer(&mut self, cx: &mut Cx<'_>, session: &SessionId, reason: String) {
        if !self.registration.is_closed() {
            self.worktrees.wish(cx, session, Wish::announcement(session.clone(), reason));
        }
    }

    fn tell(&mut self, cx: &mut Cx<'_>, note: WorktreeNote) {
        self.offers.add(note);
        self.tell_of_worktrees(cx);
    }

    pub(super) fn tell_of_worktrees(&mut self, cx: &mut Cx<'_>) {
        self.offers.tell(cx, self.registration.serving());
    }

    /// A person asks for something about a worktree that was kept.
    pub(super) fn ask_of_worktree(
        &mut self,
        cx: &mut Cx<'_>,
        lease: Lease,
        request: WorktreeRequest,
    ) {
        if self.offers.renew(&lease) {
            return;
        }
        let session = request.session_id.clone();
        let path = cx.config.worktree_path(&session);
        let known = [WorktreeAction::Look, WorktreeAction::Branch, WorktreeAction::Delete];
        let problem = match () {
            () if path.is_none() => Some("this worker gives sessions no worktrees any more"),
            () if self.sessions.contains(&session) => Some("its session is running in it"),
            () if !known.contains(&request.post.action) => {
                Some("its worker does not know how to do that: update it")
            }
            () => None,
        };
        let wish = Wish::of(lease.work.clone(), request);
        if let Some(problem) = problem {
            let note = WorktreeNote {
                error: String::from(problem),
                ..WorktreeNote::new(&session, path.unwrap_or_default(), WorktreeState::Kept)
            };
            return self.answer_wish(cx, lease, note);
        }
        self.offers.ask(lease);
        self.worktrees.wish(cx, &session, wish);
    }

    fn noted(&mut self, cx: &mut Cx<'_>, Noted { work, note }: Noted) {
        let Some(work) = work else { return self.tell(cx, note) };
        if let Some(lease) = self.offers.answered(&work) {
            self.answer_wish(cx, lease, note);
        }
    }

    fn answer_wish(&mut self, cx: &mut Cx<'_>, lease: Lease, note: WorktreeNote) {
        let session = note.session_id.clone();
        cx.notify(WorkerNotice::WorktreeAsked { session, outcome: note.in_words() });
        self.reports.complete(&lease.work);
        let Lease { work, environment, fence, .. } = lease;
        let worktree = Some(note);
        let finished = Finished { environment, work, fence, force: false, result: None, worktree };
        self.reports.add(cx, finished);
    }
}
