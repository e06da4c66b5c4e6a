//! Git's list of worktrees: which of them belong to sessions, and who locked them.

use alloc::vec::Vec;

use crate::base::id::SessionId;

/// A worktree left by an earlier run.
#[derive(Debug, PartialEq)]
pub(super) struct Leftover {
    pub(super) session: SessionId,
    /// The process that locked it.
    pub(super) owner: Option<u32>,
}

/// The session worktrees below `root` in `git worktree list --porcelain`.
pub(super) fn leftovers(list: &str, root: &str) -> Vec<Leftover> {
    let entries = list.split("\n\n");
    let one = |entry: &str| {
        let path = entry.lines().find_map(|line| line.strip_prefix("worktree "))?;
        let name = path.strip_prefix(root)?.strip_prefix('/')?;
        let session = SessionId::new(name).ok()?;
        match Lock::of(entry) {
            Lock::None => Some(Leftover { session, owner: None }),
            Lock::Worker(owner) => Some(Leftover { session, owner: Some(owner) }),
            Lock::Other => None,
        }
    };
    entries.filter_map(one).collect()
}

/// Who locked a worktree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lock {
    None,
    /// The worker with this process id.
    Worker(u32),
    /// Someone else, for a reason of their own.
    Other,
}

impl Lock {
    /// From one entry of git's list.
    fn of(entry: &str) -> Self {
        let Some(reason) = entry.lines().find_map(|line| line.strip_prefix("locked")) else {
            return Self::None;
        };
        let owner = reason.trim().strip_prefix("footbridge ").and_then(|id| id.parse().ok());
        owner.map_or(Self::Other, Self::Worker)
    }

    /// The entry for the worktree at this path, if there is one.
    pub(super) fn at(list: &str, path: &str) -> Option<Self> {
        let is_it = |line: &str| line.strip_prefix("worktree ") == Some(path);
        list.split("\n\n").find(|entry| entry.lines().any(is_it)).map(Self::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_the_sessions_worktrees_that_nobody_else_has_locked() {
        let list = "worktree /repo\nHEAD 1\nbranch refs/heads/main\n\n\
            worktree /state/w/session_1\nHEAD 1\nlocked footbridge 77\n\n\
            worktree /state/w/session_2\nHEAD 1\ndetached\n\n\
            worktree /state/w/session_3\nHEAD 1\nlocked on a stick\n\n\
            worktree /state/w/session_4/sub\nHEAD 1\n\n\
            worktree /elsewhere/session_5\nHEAD 1\n";
        let session = |id| SessionId::new(id).expect("an id");
        assert_eq!(
            leftovers(list, "/state/w"),
            [
                Leftover { session: session("session_1"), owner: Some(77) },
                Leftover { session: session("session_2"), owner: None },
            ]
        );
    }
}
