//! One job for a session's worktree.

use alloc::boxed::Box;
use alloc::string::String;

use super::kind::JobKind;
use super::wish::Wish;
use crate::base::id::SessionId;
use crate::worker::git::Programs;

/// A job for one session's worktree.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) session: SessionId,
    /// The run of its agent that it is for; `None` for leftovers. A session may return while git is
    /// still busy with its previous run.
    pub(super) run: Option<String>,
    pub(super) kind: JobKind,
    pub(super) failures: u32,
    pub(super) named: Named,
    /// Why the worktree could not be made, once only what was left of that is cleaned up.
    pub(super) not_made: Option<String>,
    /// What it is to find out, or to do, about a worktree that was kept.
    pub(super) wish: Option<Box<Wish>>,
    /// The name of what only reflogs had.
    pub(super) kept_as: Option<String>,
    /// Whether it is over once the command under way has ended.
    pub(super) is_stopped: bool,
}

/// What is known of the programs that the repository names, before a command that could run them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Unknown,
    /// Git has been asked.
    Asked,
    /// It runs with these.
    Known(Programs),
}

impl Job {
    pub(super) fn new(session: &SessionId, run: Option<String>, kind: JobKind) -> Self {
        Self {
            session: session.clone(),
            run,
            kind,
            failures: 0,
            named: Named::Unknown,
            not_made: None,
            wish: None,
            kept_as: None,
            is_stopped: false,
        }
    }

    pub(super) const fn is_of_this_run(&self) -> bool {
        self.run.is_some()
    }

    /// The same, unless it is for a session of this run: then it goes on.
    pub(super) fn without_further_steps(self) -> Self {
        Self { is_stopped: !self.is_of_this_run(), ..self }
    }
}
