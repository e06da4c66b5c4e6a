//! The purposes of a relay's operations, and its timers.

use alloc::boxed::Box;

use super::notice::RelayNotice;
use super::oidc::call::Call;
use super::pending::Pending;
use crate::base::id::OpId;
use crate::engine::runner;

/// The steps and the timers of the relay.
pub(super) type Engine = runner::Cx<Purpose, Timer, RelayNotice>;

/// What an operation was started for.
///
/// ```text
///   Accept ─▶ Exchange ─▶ Opening ─▶ Stream ─▶ Closing
///                  │         └─▶ CloseOnOpen ─────┘
///                  └─▶ answered
/// ```
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    Listener,
    /// Room for one more request.
    Accept,
    /// A request not answered yet.
    Exchange,
    /// An exchange on its way to becoming a WebSocket.
    Opening(StreamKind),
    /// An open WebSocket.
    Stream(StreamKind),
    /// A WebSocket to be closed with this code as soon as it is open.
    CloseOnOpen(u16),
    /// A WebSocket that is closing.
    Closing,
    /// A store operation, and how many bytes it writes; `None` if it only reads.
    Store(Box<Pending>, Option<usize>),
    /// A message to a push service.
    Push,
    /// A question to the provider with which somebody signs in.
    Oidc(Box<Call>),
}

/// Which part owns a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamKind {
    Link,
    Viewer,
    Overview,
    /// It brings a worker its work.
    Work,
}

/// A relay's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Accepting failed: retry.
    Refill,
    /// Something in the store may have expired.
    Sweep,
    /// The store failed to end what an account has: retry.
    EndAccounts,
    /// The store failed to read a session: retry.
    Refresh,
    /// The store failed to keep that sessions are to end: retry.
    Stops,
    /// Something that a person is needed for has waited long enough for them to be told.
    Push,
    /// A push service can be tried again.
    PushRetry,
    /// A poll has been held for as long as allowed.
    Poll(OpId),
    /// A stream of work has something to say, or has lasted for as long as it was to.
    WorkStream(OpId),
    /// A link has been silent.
    LinkIdle(OpId),
    /// A session has ended, and its link is still open.
    LinkDrain(OpId),
    /// Nothing has been sent to a viewer for a while.
    ViewerKeepalive(OpId),
    /// Data sent to a viewer is not arriving.
    ViewerStalled(OpId),
    /// A viewer that used to send keepalives has stopped.
    ViewerIdle(OpId),
    /// A stream does not close.
    Closing(OpId),
    /// Shutting down has taken long enough.
    Shutdown,
}
