//! Git's list of worktrees: which of them belong to sessions, and who locked them.

use alloc::vec::Vec;

use crate::base::id::SessionId;

/// The reason a worktree is locked with while its session runs. It need not say by whom, since all
/// worktrees in one place belong to one worker.
pub(super) const LOCK_REASON: &str = "footbridge: a session runs here";

/// What all such reasons begin with, in any version.
const LOCK_PREFIX: &str = "footbridge";

/// The sessions whose worktrees are below `root` in `git worktree list --porcelain`, without those
/// that someone else has locked.
pub(super) fn leftovers(list: &str, root: &str) -> Vec<SessionId> {
    let entries = list.split("\n\n");
    let one = |entry: &str| {
        let path = entry.lines().find_map(|line| line.strip_prefix("worktree "))?;
        let name = path.strip_prefix(root)?.strip_prefix('/')?;
        let session = SessionId::new(name).ok()?;
        (Lock::of(entry) != Lock::Other).then_some(session)
    };
    entries.filter_map(one).collect()
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

impl Lock {
    /// From one entry of git's list.
    fn of(entry: &str) -> Self {
        let Some(reason) = entry.lines().find_map(|line| line.strip_prefix("locked")) else {
            return Self::None;
        };
        if reason.trim().starts_with(LOCK_PREFIX) { Self::Own } else { Self::Other }
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
            worktree /state/w/session_1\nHEAD 1\nlocked footbridge: a session runs here\n\n\
            worktree /state/w/session_2\nHEAD 1\ndetached\n\n\
            worktree /state/w/session_3\nHEAD 1\nlocked on a stick\n\n\
            worktree /state/w/session_4/sub\nHEAD 1\n\n\
            worktree /elsewhere/session_5\nHEAD 1\n";
        let session = |id| SessionId::new(id).expect("an id");
        let expected = [session("session_1"), session("session_2")];
        assert_eq!(leftovers(list, "/state/w"), expected);
    }
}
