//! Promise 12: a worker never deletes an uncommitted change or makes a commit unreachable; and what
//! nobody needs is eventually removed.
//!
//! Judged by the repository itself: whatever was reachable from a reference or a `HEAD` before a
//! worker's command is reachable afterwards. A reflog does not count. Nor do commits from which an
//! agent or a person has itself removed a reference, or which were made on a detached `HEAD`, since
//! the worker last looked at that worktree: git has no means to prevent either.

use std::collections::{BTreeMap, BTreeSet};

use super::Promise;
use crate::fact::Fact;
use crate::git::{Commit, Touched};
use crate::ids::HostId;
use crate::sim::clock::Time;

#[derive(Default)]
pub(crate) struct Worktrees {
    /// What others have done since a worker last looked at a session's worktree.
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
                    return Err(format!("after `{command}`, commit {commit} is unreachable"));
                }
                if *is_in_use {
                    return Err(format!("`{command}` while an agent is working in {session}"));
                }
            }
            Fact::WorktreeLeft { path } => {
                return Err(format!("{path} still exists, although there is no work in it"));
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
