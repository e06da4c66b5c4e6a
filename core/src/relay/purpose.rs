//! What a relay's operations are started for, and what it waits for.

use alloc::boxed::Box;

use super::notice::RelayNotice;
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
    /// A request that is not answered yet.
    Exchange,
    /// An exchange on its way to becoming a WebSocket.
    Opening(StreamKind),
    /// A WebSocket that is open.
    Stream(StreamKind),
    /// A WebSocket to be closed with this code as soon as it is open.
    CloseOnOpen(u16),
    /// A WebSocket that is closing.
    Closing,
    /// A store operation.
    Store(Box<Pending>),
}

/// Which part owns a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamKind {
    Link,
    Viewer,
    Overview,
}

/// What a relay waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Accepting failed: try again.
    Refill,
    /// Something in the store may have lapsed.
    Sweep,
    /// The store failed to read a session: try again.
    Refresh,
    /// A poll has been held for as long as it may.
    Poll(OpId),
    /// A link has been silent.
    LinkIdle(OpId),
    /// A session has ended, and its link is still open.
    LinkDrain(OpId),
    /// A viewer has been sent nothing for a while.
    ViewerKeepalive(OpId),
    /// What was sent to a viewer does not arrive.
    ViewerStalled(OpId),
    /// A viewer that used to say it is alive has stopped.
    ViewerIdle(OpId),
    /// A stream does not close.
    Closing(OpId),
    /// Shutting down has taken long enough.
    Shutdown,
}
