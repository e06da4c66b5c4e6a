//! What a session needs its person for.

use crate::base::id::SessionId;

/// One thing that a session needs its person for.
pub(super) type Need = (SessionId, Subject);

/// For what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// An answer to the question that this event asks.
    Question(u64),
    /// What to do next.
    Turn,
    /// It has failed.
    Failed,
}
