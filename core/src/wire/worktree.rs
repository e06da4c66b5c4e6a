//! A session's worktree that was kept because work in it is nowhere else: what is in it, and what a
//! person wants done with it (W-5).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::rfc3339;
use crate::base::id::{EnvironmentId, SessionId};
use crate::base::limits::{
    MAX_KEPT_COMMITS_NAMED, MAX_KEPT_FILES_NAMED, MAX_KEPT_TEXT_BYTES, MAX_PATH_BYTES,
};
use crate::base::text::cut;
use crate::base::time::UnixTime;

/// What a person wants done with a worktree that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorktreeAction {
    /// List what is in it.
    Look,
    /// Leave it where it is; it is not offered any more.
    Keep,
    /// Commit everything that git does not ignore onto a new branch, and remove it.
    Branch,
    /// Delete it, with everything that is nowhere else.
    Delete,
    /// One from a later version, which is refused.
    #[serde(other)]
    Unknown,
}

/// The body of `POST /v1/sessions/{id}/worktree`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorktreePost {
    /// What to do.
    pub action: WorktreeAction,
    /// Whether files that git ignores may go, which keep a worktree otherwise.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub ignored: bool,
    /// What was in it when the person decided: the `seen` of the list that they were shown.
    /// Nothing is deleted if something else is in it by now.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub seen: String,
}

/// The same as a worker gets it, with an item whose `data` is a healthcheck: a worker from before
/// there were such requests answers that, and the request is known to be unanswered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorktreeRequest {
    /// Whose worktree.
    pub session_id: SessionId,
    /// What to do.
    #[serde(flatten)]
    pub post: WorktreePost,
}

/// What a worker says about a session's worktree, unasked or as the answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorktreeNote {
    /// Whose worktree.
    pub session_id: SessionId,
    /// What has become of it.
    pub state: WorktreeState,
    /// Where it is, or was.
    #[serde(default)]
    pub path: String,
    /// Why it was kept; empty if nothing new is known about that.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The branches that what was in it has been brought into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<String>,
    /// The name under which commits are kept that only the reflogs of the worktree had.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kept_as: String,
    /// Why what was asked for has not been done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// What is in it.
    #[serde(default)]
    pub contents: Contents,
}

/// What has become of a worktree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorktreeState {
    /// It is still there.
    Kept,
    /// The worker has removed it.
    Removed,
    /// Somebody else has removed it.
    Gone,
}

/// What is in a worktree and nowhere else: names and numbers, never what is in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contents {
    /// The first files.
    pub files: Vec<KeptFile>,
    /// How many more there are.
    pub more_files: u64,
    /// The newest commits.
    pub commits: Vec<KeptCommit>,
    /// How many more there are.
    pub more_commits: u64,
    /// Differs if anything of it does; empty if that could not be told.
    pub seen: String,
}

/// A file that is in a worktree and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// Its path in the worktree, as git prints it.
    pub path: String,
    /// Why it is not in a commit.
    pub what: KeptBecause,
    /// Lines added, for a file that a commit has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<u64>,
    /// Lines removed, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<u64>,
}

/// Why a file is in no commit as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptBecause {
    /// It was changed.
    Changed,
    /// It was deleted.
    Deleted,
    /// It was never added.
    Untracked,
    /// Git ignores it, and it cannot be made again.
    Ignored,
    /// A reason from a later version.
    #[serde(other)]
    Unknown,
}

/// A commit that no other branch has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCommit {
    /// The beginning of its name.
    pub id: String,
    /// The first line of its message.
    pub subject: String,
}

/// A worktree that was kept, as viewers see it in its session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptWorktree {
    /// The environment whose worker has it: after a restart, it may be another one than the session's.
    pub environment_id: EnvironmentId,
    /// Where it is.
    pub path: String,
    /// Why it was kept.
    #[serde(default)]
    pub reason: String,
    /// The `seen` of what is in it, as in the event that lists it.
    #[serde(default)]
    pub seen: String,
    /// That event.
    #[serde(default)]
    pub seq: u64,
    /// Whether a person has decided to keep it.
    #[serde(default)]
    pub dismissed: bool,
    /// What a person has asked for that is not done yet.
    #[serde(default)]
    pub request: Option<OpenRequest>,
}

/// A request about a worktree that is not done yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRequest {
    /// What was asked for.
    #[serde(flatten)]
    pub post: WorktreePost,
    /// When.
    #[serde(with = "rfc3339")]
    pub asked_at: UnixTime,
    /// Whether its worker has it; otherwise, it waits for the worker.
    #[serde(default)]
    pub with_worker: bool,
}

impl WorktreeNote {
    /// That a session's worktree is in this state, and nothing more.
    pub fn new(session: &SessionId, path: String, state: WorktreeState) -> Self {
        Self {
            session_id: session.clone(),
            state,
            path,
            reason: String::new(),
            branches: Vec::new(),
            kept_as: String::new(),
            error: String::new(),
            contents: Contents::default(),
        }
    }

    /// What it says, for a person.
    pub fn in_words(&self) -> String {
        let Self { path, reason, branches, kept_as, error, .. } = self;
        let mut words = match self.state {
            WorktreeState::Kept if reason.is_empty() => {
                format!("the worktree {path} is still there")
            }
            WorktreeState::Kept => format!("the worktree {path} was kept: {reason}"),
            WorktreeState::Removed => format!("the worktree {path} was removed"),
            WorktreeState::Gone => {
                format!("the worktree {path} was removed or moved by something else")
            }
        };
        if !branches.is_empty() {
            words += &format!("; what was in it is on the branch {}", branches.join(" and "));
        }
        if !kept_as.is_empty() {
            words += &format!("; commits that only its reflogs had are kept as {kept_as}");
        }
        if !error.is_empty() {
            words += &format!("; not done: {error}");
        }
        words
    }

    /// The same, with its texts and lists cut to a bounded length.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        cut(&mut self.path, MAX_PATH_BYTES);
        cut(&mut self.reason, MAX_KEPT_TEXT_BYTES);
        cut(&mut self.error, MAX_KEPT_TEXT_BYTES);
        cut(&mut self.kept_as, MAX_KEPT_TEXT_BYTES);
        self.branches.truncate(2);
        self.branches.iter_mut().for_each(|branch| cut(branch, MAX_KEPT_TEXT_BYTES));
        let Contents { files, more_files, commits, more_commits, seen } = &mut self.contents;
        *more_files += surplus(files, MAX_KEPT_FILES_NAMED);
        *more_commits += surplus(commits, MAX_KEPT_COMMITS_NAMED);
        files.iter_mut().for_each(|file| cut(&mut file.path, MAX_KEPT_TEXT_BYTES));
        for commit in commits {
            cut(&mut commit.id, MAX_KEPT_TEXT_BYTES);
            cut(&mut commit.subject, MAX_KEPT_TEXT_BYTES);
        }
        cut(seen, MAX_KEPT_TEXT_BYTES);
        self
    }
}

/// Cuts a list, and says by how much.
fn surplus<T>(list: &mut Vec<T>, most: usize) -> u64 {
    let more = list.len().saturating_sub(most);
    list.truncate(most);
    more as u64
}
