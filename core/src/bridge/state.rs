//! What is true of a bridge, and who may say so (B-1, B-2, B-6).

use alloc::string::String;

use crate::base::id::{EnvironmentId, SessionId};

/// How far a bridge has come.
///
/// ```text
///   Ready ──▶ Connected ⇄ Reconnecting ──▶ Failed
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BridgeState {
    /// It has never been connected.
    #[default]
    Ready,
    /// What is published reaches the relay.
    Connected,
    /// It does not, and is kept until it does.
    Reconnecting {
        /// Why.
        reason: String,
    },
    /// It never will.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Whether the chain by which viewers reach the program is healthy: for showing, never for deciding
/// (B-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionActive(bool);

impl SessionActive {
    /// Whether it is.
    pub const fn is_active(self) -> bool {
        self.0
    }

    /// What comes in decides, and that nothing comes into a mirror (B-3).
    pub(super) const fn write(state: &BridgeState, takes_input: bool) -> Self {
        Self(takes_input && matches!(state, BridgeState::Connected))
    }
}

/// Whether a message to another session may leave, and whether the tool for that is offered at all (B-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CanSend(bool);

impl CanSend {
    /// Whether it may.
    pub const fn is_allowed(self) -> bool {
        self.0
    }

    /// An answer has to be able to come back: the program is reachable, its history is out (M-5), and
    /// what it says is delivered.
    pub(super) const fn write(
        state: &BridgeState,
        takes_input: bool,
        is_flushed: bool,
        is_reachable: bool,
    ) -> Self {
        let is_connected = matches!(state, BridgeState::Connected);
        Self(takes_input && is_flushed && is_reachable && is_connected)
    }
}

/// Everything that a person would look at (B-6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// How far it has come.
    pub state: BridgeState,
    /// For showing.
    pub session_active: SessionActive,
    /// For deciding.
    pub can_send: CanSend,
    /// The session, once there is one.
    pub session: Option<SessionId>,
    /// Its environment.
    pub environment: Option<EnvironmentId>,
    /// Where a browser follows the session.
    pub page: Option<String>,
    /// What the session was called at first.
    pub initial_name: Option<String>,
    /// Whether what was said before has been passed on (M-5).
    pub is_flushed: bool,
    /// Turns that have ended in this session since this run began.
    pub turns: u64,
    /// How many of those the relay has stored.
    pub turns_stored: u64,
    /// Questions of the program that nobody has answered.
    pub open_questions: usize,
}

impl Snapshot {
    /// Whether the bridge can still come to anything.
    pub const fn is_enabled(&self) -> bool {
        !matches!(self.state, BridgeState::Failed { .. })
    }

    /// Why it is not connected, if it is not.
    pub fn error(&self) -> Option<&str> {
        match &self.state {
            BridgeState::Reconnecting { reason } | BridgeState::Failed { reason } => Some(reason),
            BridgeState::Ready | BridgeState::Connected => None,
        }
    }
}
