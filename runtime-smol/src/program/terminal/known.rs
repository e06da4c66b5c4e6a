//! What is known of a session: what it is called, and what it is doing.

use footbridge_core::wire::session::SessionState;
use footbridge_core::wire::viewer::SessionView;

/// What a session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::program) enum Doing {
    /// Its machine has not taken it yet.
    Queued,
    /// Its machine takes no more sessions.
    Held,
    Starting,
    /// Its machine cannot be reached; the agent was in a turn, or was not.
    Away {
        is_in_turn: bool,
    },
    /// It was told to end.
    Ending,
    Working,
    /// The agent waits to be told something.
    Waiting,
    Ended,
}

impl Doing {
    /// Whether there is a turn that could be interrupted.
    pub(super) const fn is_in_turn(self) -> bool {
        matches!(self, Self::Working | Self::Away { is_in_turn: true })
    }
}

/// The session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::program) struct Known {
    pub(in crate::program) name: String,
    pub(in crate::program) doing: Doing,
}

impl From<&SessionView<'_>> for Known {
    fn from(view: &SessionView<'_>) -> Self {
        let title = view.title.as_deref().unwrap_or_default();
        let name = if title.is_empty() { view.id.to_string() } else { title.to_owned() };
        let doing = match view.state {
            SessionState::Queued if view.worker_draining => Doing::Held,
            SessionState::Queued => Doing::Queued,
            SessionState::Starting => Doing::Starting,
            SessionState::Ended => Doing::Ended,
            SessionState::Running if !view.connected => Doing::Away { is_in_turn: view.working },
            SessionState::Running if view.stopping => Doing::Ending,
            SessionState::Running if view.working => Doing::Working,
            SessionState::Running => Doing::Waiting,
        };
        Self { name, doing }
    }
}
