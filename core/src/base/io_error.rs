//! Why the outside world failed at what it was asked to do.

use alloc::string::String;

/// Why an operation failed, as the system or a library told it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct IoError {
    /// The kind, which decisions are made by.
    pub kind: IoErrorKind,
    /// The words of the system, for people. Never a secret.
    pub detail: String,
}

/// The kinds of failure that make a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IoErrorKind {
    /// A name could not be resolved.
    #[error("name not found")]
    Dns,
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// There is no way there.
    #[error("unreachable")]
    Unreachable,
    /// It took longer than it may.
    #[error("timed out")]
    TimedOut,
    /// TLS could not be agreed on, or a certificate is not trusted.
    #[error("TLS failed")]
    Tls,
    /// The connection was there and broke.
    #[error("disconnected")]
    Disconnected,
    /// The other side does not speak the protocol.
    #[error("protocol violation")]
    Protocol,
    /// It was larger than it may be.
    #[error("too large")]
    TooLarge,
    /// There is no such program, file or directory.
    #[error("not found")]
    NotFound,
    /// The system does not permit it.
    #[error("not permitted")]
    Denied,
    /// The address is taken.
    #[error("address in use")]
    InUse,
    /// No space is left.
    #[error("no space left")]
    Full,
    /// Anything else.
    #[error("failed")]
    Other,
}
