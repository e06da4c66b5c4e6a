//! The WebSocket close codes that the relay uses besides those of [`crate::wire::link_v1`].

/// Nothing more to send.
pub(super) const DONE: u16 = 1000;
/// The relay is stopping: come back.
pub(super) const GOING_AWAY: u16 = 1001;
/// The other side broke the protocol.
pub(super) const PROTOCOL: u16 = 1002;
/// A line is longer than allowed.
pub(super) const TOO_BIG: u16 = 1009;
/// The store failed.
pub(super) const FAILED: u16 = 1011;
/// The log-in that the stream was opened with was revoked.
pub(super) const REVOKED: u16 = 4401;
/// The session no longer exists.
pub(super) const GONE: u16 = 4404;
/// A count is at its limit.
pub(super) const LIMIT: u16 = 4429;
