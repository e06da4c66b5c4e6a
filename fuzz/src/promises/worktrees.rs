//! Promise 12: a worker never deletes an uncommitted change or makes a commit unreachable; and what
//! nobody needs is eventually removed.
//!
//! Judged by the repository itself: whatever was reachable from a reference, a `HEAD` or a reflog
//! before a worker's command is reachable afterwards. Not judged are commits from which an
//! agent or a person has itself removed a reference, or which were made on a detached `HEAD`, since
//! the worker last looked at that worktree, nor files that git ignores and that were written since
//! then: git has no means to prevent any of that.

use std::collections::{BTreeMap, BTreeSet};

use super::Promise;
use super::progress::ASKED_WITHIN;
use crate::fact::Fact;
use crate::git::{Commit, Touched};
use crate::ids::{HostId, PartyId};
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

#[derive(Default)]
pub(crate) struct Worktrees {
    /// What others have done since a worker last looked at a session's worktree.
    since: BTreeMap<(HostId, String), Since>,
    /// When a session was last shown, if it had not ended by then.
    live: BTreeMap<String, Time>,
    /// When a session was first shown as ended.
    ended: BTreeMap<String, Time>,
    /// When a worker last heard that there is nothing for it. One that runs as many sessions as it
    /// may does not ask, and so waits for those that are to return.
    told: BTreeMap<PartyId, Time>,
}

#[derive(Default)]
struct Since {
    theirs: BTreeSet<Commit>,
    is_detached: bool,
}

impl Promise for Worktrees {
    fn name(&self) -> &'static str {
        "worktrees"
    }

    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::LookedInto { repository, session } => {
                self.since.insert((*repository, session.clone()), Since::default());
            }
            Fact::RepositoryTouched { repository, session, touched } => {
                self.touched(*repository, session, touched);
            }
            Fact::GitDeleted { repository, session, command, files, commits, is_in_use } => {
                if !files.is_empty() {
                    return Err(format!("`{command}` has deleted {files:?}"));
                }
                let since = self.since.get(&(*repository, session.clone()));
                let is_theirs =
                    |commit: &&Commit| since.is_some_and(|since| since.theirs.contains(*commit));
                if let Some(commit) = commits.iter().find(|commit| !is_theirs(commit)) {
                    return Err(format!("after `{command}`, commit {commit} is unreachable"));
                }
                if *is_in_use {
                    return Err(format!("`{command}` while an agent is working in {session}"));
                }
            }
            Fact::Viewed { notice: ViewerNotice::View(view), .. } if view.state == "ended" => {
                self.live.remove(&view.session);
                self.ended.entry(view.session.clone()).or_insert(at);
            }
            Fact::Answered { party, what: "poll", status: 204, is_relays: true, .. } => {
                self.told.insert(*party, at);
            }
            Fact::Viewed { notice: ViewerNotice::View(view), .. } => {
                self.live.insert(view.session.clone(), at);
            }
            Fact::Viewed { notice: ViewerNotice::Gone { session }, .. } => {
                self.live.remove(session);
            }
            Fact::WorktreeLeft { worker, session, path }
                if !self.may_continue(session, at) && self.is_known_over(*worker, session) =>
            {
                return Err(format!("{path} still exists, although there is no work in it"));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Worktrees {
    /// Whether a viewer has seen lately that a session has not ended.
    fn may_continue(&self, session: &str, at: Time) -> bool {
        self.live.get(session).is_some_and(|seen| at <= *seen + ASKED_WITHIN)
    }

    /// Whether a worker can know that a session does not return.
    fn is_known_over(&self, worker: PartyId, session: &str) -> bool {
        let told = self.told.get(&worker);
        self.ended.get(session).is_none_or(|ended| told.is_some_and(|told| told > ended))
    }

    fn touched(&mut self, repository: HostId, session: &str, touched: &Touched) {
        for ((of_repository, name), since) in &mut self.since {
            if *of_repository != repository {
                continue;
            }
            since.theirs.extend(&touched.let_go);
            if name == session {
                since.is_detached |= touched.detached;
                since.theirs.extend(touched.alone.filter(|_| since.is_detached));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::nodes::viewer::notice::View;

    /// What a judge says of a spent worktree after a viewer was shown this state of its session,
    /// and then nothing for some time.
    fn verdict(state: &str, silence: Duration) -> Result<(), String> {
        verdict_of(state, silence, true)
    }

    fn verdict_of(state: &str, silence: Duration, is_told: bool) -> Result<(), String> {
        const WORKER: PartyId = 3;
        let view = View {
            session: String::from("session_1"),
            state: state.to_owned(),
            is_connected: false,
            pending: Vec::new(),
            last_seq: 0,
            result: None,
            title: None,
            receipts: None,
        };
        let mut judge = Worktrees::default();
        let shown = Time::from_secs(1_000);
        judge.see(shown, &Fact::Viewed { viewer: 1, notice: ViewerNotice::View(view) })?;
        if is_told {
            judge.see(shown + Duration::from_secs(1), &nothing_for(WORKER))?;
        }
        let left = Fact::WorktreeLeft {
            worker: WORKER,
            session: String::from("session_1"),
            path: String::from("/state/worktrees/session_1"),
        };
        judge.see(shown + silence, &left)
    }

    fn nothing_for(party: PartyId) -> Fact {
        let mono = Duration::ZERO;
        let (what, status, retry_after) = ("poll", 204, None);
        Fact::Answered { party, what, status, is_relays: true, retry_after, mono }
    }

    #[test]
    fn a_spent_worktree_may_wait_until_its_worker_can_know_that_the_session_is_over() {
        assert_eq!(verdict_of("ended", Duration::from_secs(60), false), Ok(()));
    }

    #[test]
    fn a_spent_worktree_may_wait_for_a_session_that_has_not_ended_and_for_no_other() {
        let soon = Duration::from_secs(60);
        assert_eq!(verdict("queued", soon), Ok(()));
        assert!(verdict("ended", soon).is_err());
        assert!(verdict("queued", Duration::from_secs(600)).is_err(), "it is no longer shown");
    }
}
