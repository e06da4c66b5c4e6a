//! Promise 12: no uncommitted change and no unreachable commit is ever deleted by a worker; and what
//! nobody needs is removed in the end.
//!
//! Judged by the repository itself: whatever a reference or a `HEAD` led to before a worker's command
//! is led to afterwards. A reflog does not count. Nor do commits that an agent or a person has itself
//! taken a reference away from, or has made on a `HEAD` that it detached, since the worker last looked
//! at that worktree: git has no means to hold either off.

use std::collections::{BTreeMap, BTreeSet};

use super::Promise;
use crate::fact::Fact;
use crate::git::{Commit, Touched};
use crate::ids::HostId;
use crate::sim::clock::Time;

#[derive(Default)]
pub(crate) struct Worktrees {
    /// What others have done since a worker has looked at a session's worktree.
    since: BTreeMap<(HostId, String), Since>,
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

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
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
                    return Err(format!("after `{command}` nothing leads to commit {commit}"));
                }
                if *is_in_use {
                    return Err(format!("`{command}` while an agent works in {session}"));
                }
            }
            Fact::WorktreeLeft { path } => {
                return Err(format!("{path} is still there, and nothing is in it"));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Worktrees {
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
