//! Worktrees that were kept: what the relay is told of them, and what a person asks for (W-5).
//!
//! A session's worktree is looked into once the relay knows that the session has ended; one of an
//! earlier run, once it was checked. What a person asks for is an item like any other: its answer is
//! reported with it, and until then it may be handed out again.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use core::time::Duration;

use super::cx::{Cx, Purpose, Timer};
use super::lease::{Environment, Lease};
use super::result::retry_pause;
use crate::base::id::{SessionId, WorkId};
use crate::base::limits::{MAX_WORKTREE_NOTES, WORKTREE_NOTE_ATTEMPTS};
use crate::client::{answer, worker_api};
use crate::contract::event::Event;
use crate::wire::worker_api::work::StateAnswer;
use crate::wire::worktree::WorktreeNote;

/// Half of the first pause before the relay is told again what it could not be told, and the longest
/// one.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is still to be told, and what is being done.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// Why the worktrees of sessions were kept that are about to end.
    kept: BTreeMap<SessionId, String>,
    /// The same of sessions whose results are not reported yet.
    unreported: BTreeMap<WorkId, (SessionId, String)>,
    /// Requests that git is working on.
    asked: BTreeMap<WorkId, Lease>,
    /// What the relay has to be told, oldest first.
    notes: VecDeque<WorktreeNote>,
    is_telling: bool,
    attempts: u32,
}

impl Offers {
    /// The worktree of a session was kept. The relay is told once it has the session's result.
    pub(super) fn kept(&mut self, session: SessionId, reason: String) {
        self.kept.insert(session, reason);
    }

    /// The session has ended here. Without a result, it may return.
    pub(super) fn ended(&mut self, session: &SessionId, work: &WorkId, has_result: bool) {
        let reason = self.kept.remove(session).filter(|_| has_result);
        if let Some(reason) = reason {
            self.unreported.insert(work.clone(), (session.clone(), reason));
        }
    }

    /// A result has been reported, or nobody needs it any more: which worktree was kept with it?
    pub(super) fn reported(&mut self, work: &WorkId) -> Option<(SessionId, String)> {
        self.unreported.remove(work)
    }

    /// Whether git is working on this request; if so, it is answered under the new lease.
    pub(super) fn renew(&mut self, lease: &Lease) -> bool {
        let Some(known) = self.asked.get_mut(&lease.work) else { return false };
        *known = lease.clone();
        true
    }

    pub(super) fn ask(&mut self, lease: Lease) {
        self.asked.insert(lease.work.clone(), lease);
    }

    /// The request has been carried out, or could not be.
    pub(super) fn answered(&mut self, work: &WorkId) -> Option<Lease> {
        self.asked.remove(work)
    }

    /// The environment has a new secret.
    pub(super) fn renew_secret(&mut self, environment: &Environment) {
        for lease in self.asked.values_mut() {
            lease.environment.renew(environment);
        }
    }

    pub(super) fn add(&mut self, note: WorktreeNote) {
        self.notes.push_back(note);
        // What is being told stays at the front.
        if self.notes.len() > MAX_WORKTREE_NOTES {
            self.notes.remove(1);
        }
    }

    /// Tells the relay, one after the other.
    pub(super) fn tell(&mut self, cx: &mut Cx<'_>, environment: Option<&Environment>) {
        if self.is_telling || cx.timers.is_set(&Timer::WorktreeNote) {
            return;
        }
        let (Some(environment), Some(note)) = (environment, self.notes.front()) else { return };
        let request = worker_api::note_worktree(&cx.config.relay, environment.key(), note);
        self.is_telling = true;
        cx.request(Purpose::WorktreeNote, request);
    }

    /// The relay has been told, or not. The caller then has to call [`tell`](Self::tell).
    pub(super) fn told(&mut self, cx: &mut Cx<'_>, event: Event) {
        self.is_telling = false;
        if let Err(error) = answer::<StateAnswer>(event) {
            let refusal = error.refusal();
            let is_over = refusal.is_some_and(|refusal| {
                // A relay that does not know the session, or is from before there were such notes.
                error.track().is_none()
                    && !refusal.is_unauthorized()
                    && !refusal.is_environment_unknown()
            });
            self.attempts += 1;
            if !is_over && self.attempts < WORKTREE_NOTE_ATTEMPTS {
                let pause = retry_pause(PAUSE, self.attempts, LONGEST_PAUSE);
                let pause = pause.max(cx.retry_after(&error).unwrap_or_default());
                return cx.set_timer(Timer::WorktreeNote, pause);
            }
        }
        self.attempts = 0;
        self.notes.pop_front();
    }
}
