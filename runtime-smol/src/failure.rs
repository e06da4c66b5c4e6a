//! From the words of the system and the libraries to the kinds that a machine tells apart.

use std::error::Error;
use std::fmt::Display;
use std::io;

use footbridge_core::contract::event::{Failure, FailureKind};

/// A failure of a kind, with the words for people.
pub(crate) fn failure(kind: FailureKind, detail: impl Display) -> Failure {
    Failure { kind, detail: detail.to_string() }
}

/// What went wrong with `subject`: a host, a file, a program.
pub(crate) fn about(subject: impl Display, error: &io::Error) -> Failure {
    failure(kind_of(error), format_args!("{subject}: {error}"))
}

/// The kind of an error of the system.
pub(crate) fn kind_of(error: &io::Error) -> FailureKind {
    use io::ErrorKind as Io;
    match error.kind() {
        Io::ConnectionRefused => FailureKind::Refused,
        Io::HostUnreachable | Io::NetworkUnreachable | Io::NetworkDown => FailureKind::Unreachable,
        Io::AddrNotAvailable => FailureKind::Unreachable,
        Io::TimedOut => FailureKind::TimedOut,
        Io::ConnectionReset
        | Io::ConnectionAborted
        | Io::BrokenPipe
        | Io::NotConnected
        | Io::UnexpectedEof => FailureKind::Disconnected,
        Io::NotFound | Io::NotADirectory => FailureKind::NotFound,
        Io::PermissionDenied | Io::ReadOnlyFilesystem => FailureKind::Denied,
        Io::AddrInUse => FailureKind::InUse,
        Io::StorageFull | Io::QuotaExceeded => FailureKind::Full,
        Io::FileTooLarge => FailureKind::TooLarge,
        // rustls hands its errors on as invalid data.
        Io::InvalidData if is_tls(error) => FailureKind::Tls,
        _ => FailureKind::Other,
    }
}

#[cfg(feature = "tls")]
fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<futures_rustls::rustls::Error>)
}

#[cfg(not(feature = "tls"))]
const fn is_tls(_error: &io::Error) -> bool {
    false
}

/// What went wrong with an exchange with `host`.
pub(crate) fn about_http(host: impl Display, error: &hyper::Error) -> Failure {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            // A chunk that is no chunk, and an end in the middle of one, come as I/O errors.
            return match error.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput if !is_tls(error) => {
                    failure(FailureKind::Protocol, format_args!("{host}: {error}"))
                }
                _ => about(host, error),
            };
        }
        source = cause.source();
    }
    let kind = if error.is_parse_too_large() {
        FailureKind::TooLarge
    } else if error.is_parse() {
        FailureKind::Protocol
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        FailureKind::Disconnected
    } else if error.is_timeout() {
        FailureKind::TimedOut
    } else {
        FailureKind::Other
    };
    failure(kind, format_args!("{host}: {error}"))
}
