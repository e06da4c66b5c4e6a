//! What can be observed of a session that has a worktree.

use crate::ids::{PartyId, ProcessId};
use crate::sim::clock::Time;

/// What can be observed of a session's worktree.
pub(crate) struct Session {
    pub(crate) worker: PartyId,
    pub(crate) agent: Option<ProcessId>,
    pub(crate) habits: Habits,
    /// How often something its agent has started still acts after the agent's end.
    pub(crate) lingers: u8,
    /// When it was created, or its agent ended.
    pub(crate) since: Time,
    /// It contained no work when its agent ended, nor since.
    pub(crate) is_spent: bool,
    /// Git has failed on it, or somebody has changed something in it after its agent's end.
    pub(crate) is_disturbed: bool,
}

/// How an agent works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habits {
    /// It only reads.
    Idle,
    /// Its work ends up on its own branch.
    Tidy,
    Messy,
}
