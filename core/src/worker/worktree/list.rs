//! Git's list of worktrees: which of them belong to sessions, and who locked them.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::done::{BRANCHES, HEADS};
use crate::base::id::SessionId;

/// The reason a worktree is locked with while its session runs, and for as long as it is kept
/// afterwards. It need not say by whom, since all worktrees in one place belong to one worker.
pub(super) const LOCK_REASON: &str = "footbridge: a session runs here, or has left work here";

/// What all such reasons begin with, in any version.
const LOCK_PREFIX: &str = "footbridge";

/// One entry of `git worktree list --porcelain`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) path: String,
    /// The commit it is on; zeros before the first one of a branch.
    pub(super) head: String,
    /// The full name of the branch it is on.
    pub(super) branch: Option<String>,
    pub(super) lock: Lock,
}

impl Entry {
    fn of(text: &str) -> Option<Self> {
        let after = |word| text.lines().find_map(|line| line.strip_prefix(word));
        Some(Self {
            path: after("worktree ")?.to_string(),
            head: after("HEAD ").unwrap_or_default().to_string(),
            branch: after("branch ").map(ToString::to_string),
            lock: match after("locked") {
                None => Lock::None,
                Some(reason) if reason.trim().starts_with(LOCK_PREFIX) => Lock::Own,
                Some(_) => Lock::Other,
            },
        })
    }

    /// The commit it is on, if there is one.
    pub(super) fn commit(&self) -> Option<&str> {
        Some(self.head.as_str()).filter(|head| head.bytes().any(|byte| byte != b'0'))
    }
}

/// Who locked a worktree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lock {
    None,
    /// This worker, in this run or an earlier one.
    Own,
    /// Someone else, for a reason of their own.
    Other,
}

/// All of them.
pub(super) fn entries(list: &str) -> Vec<Entry> {
    list.split("\n\n").filter_map(Entry::of).collect()
}

/// The sessions whose worktrees are below `root`, without those that someone else has locked.
pub(super) fn leftovers(list: &[Entry], root: &str) -> Vec<SessionId> {
    let one = |entry: &Entry| {
        let name = entry.path.strip_prefix(root)?.strip_prefix('/')?;
        let session = SessionId::new(name).ok()?;
        (entry.lock != Lock::Other).then_some(session)
    };
    list.iter().filter_map(one).collect()
}

/// The sessions that have a branch, by the full names of all branches, and no worktree anywhere.
pub(super) fn branches_only(list: &[Entry], root: &str, branches: &str) -> Vec<SessionId> {
    let one = |branch: &str| {
        let name = branch.strip_prefix(HEADS)?.strip_prefix(BRANCHES)?;
        let session = SessionId::new(name).ok()?;
        let path = format!("{root}/{session}");
        let is_its = |entry: &Entry| entry.path == path || entry.branch.as_deref() == Some(branch);
        (!list.iter().any(is_its)).then_some(session)
    };
    branches.lines().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "worktree /repo\nHEAD 1\nbranch refs/heads/main\n\n\
        worktree /state/w/session_1\nHEAD 1\nlocked footbridge: a session runs here, or has left work here\n\n\
        worktree /state/w/session_2\nHEAD 000\ndetached\n\n\
        worktree /state/w/session_3\nHEAD 1\nlocked on a stick\n\n\
        worktree /state/w/session_4/sub\nHEAD 1\n\n\
        worktree /elsewhere/session_5\nHEAD 1\nbranch refs/heads/footbridge/session_5\n";

    fn sessions(ids: &[&str]) -> Vec<SessionId> {
        ids.iter().map(|id| SessionId::new(id).expect("an id")).collect()
    }

    #[test]
    fn leftovers_are_the_sessions_worktrees_that_nobody_else_has_locked() {
        let list = entries(LIST);
        assert_eq!(leftovers(&list, "/state/w"), sessions(&["session_1", "session_2"]));
        assert_eq!(list[0].branch.as_deref(), Some("refs/heads/main"));
        assert_eq!((list[0].commit(), list[2].commit()), (Some("1"), None));
    }

    #[test]
    fn branches_without_a_worktree_are_found_wherever_worktrees_are() {
        let branches = ["main", "footbridge/session_1", "footbridge/session_5"];
        let branches = branches.iter().chain(&["footbridge/session_6", "footbridge/a b"]);
        let branches: String = branches.map(|name| format!("refs/heads/{name}\n")).collect();
        let found = branches_only(&entries(LIST), "/state/w", &branches);
        assert_eq!(found, sessions(&["session_6"]));
    }
}
