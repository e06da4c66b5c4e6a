//! Why an operation in the outside world failed.

use alloc::string::String;

/// Why an operation failed, as reported by the system or a library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct IoError {
    /// The kind, which decisions are based on.
    pub kind: IoErrorKind,
    /// The system's own message, for people. Never a secret.
    pub detail: String,
}

/// The kinds of failure that make a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IoErrorKind {
    /// A name could not be resolved.
    #[error("name not found")]
    Dns,
    /// Nothing is listening there.
    #[error("connection refused")]
    Refused,
    /// There is no route to it.
    #[error("unreachable")]
    Unreachable,
    /// It took too long.
    #[error("timed out")]
    TimedOut,
    /// TLS negotiation failed, or a certificate is not trusted.
    #[error("TLS failed")]
    Tls,
    /// The connection was established and broke.
    #[error("disconnected")]
    Disconnected,
    /// The other side does not speak the protocol.
    #[error("protocol violation")]
    Protocol,
    /// It was too large.
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
    /// What is kept is not what was written.
    #[error("damaged")]
    Damaged,
    /// Anything else.
    #[error("failed")]
    Other,
}
