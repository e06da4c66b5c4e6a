//! What a relay is asked, and what it tells.

use alloc::string::String;

use crate::base::id::{EnvironmentId, SessionId};
use crate::contract::action::Method;
use crate::wire::session::SessionState;

/// What the program can ask of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayCommand {
    /// Stop: take nothing new, tell everybody to come back, and finish.
    Shutdown,
}

/// What a relay tells its program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayNotice {
    /// It takes requests.
    Listening {
        /// At this address.
        address: String,
    },
    /// A request was answered, for an access log.
    Answered {
        /// Its method.
        method: Method,
        /// The beginning of its path, without its query.
        path: String,
        /// The status of its answer; 101 for a WebSocket.
        status: u16,
    },
    /// A worker has registered.
    EnvironmentRegistered {
        /// The environment.
        environment: EnvironmentId,
        /// What the machine calls itself.
        machine_name: String,
    },
    /// A worker has deregistered, or was silent for too long.
    EnvironmentGone {
        /// The environment.
        environment: EnvironmentId,
    },
    /// A session has come to another state: queued when it was made, ended at its end.
    SessionState {
        /// The session.
        session: SessionId,
        /// Where it stands now.
        state: SessionState,
    },
    /// A session's link is up.
    WorkerConnected {
        /// The session.
        session: SessionId,
    },
    /// A session's link is down.
    WorkerDisconnected {
        /// The session.
        session: SessionId,
    },
    /// The store could not carry something out; whoever asked was told to try again.
    StoreFailed {
        /// The words of the store.
        detail: String,
    },
}
