//! Maps errors from the system and the libraries to the kinds that a machine distinguishes.

use std::error::Error;
use std::fmt::Display;
use std::io;

use footbridge_core::contract::event::{IoError, IoErrorKind};

/// A failure of a given kind, with a message for people.
pub(crate) fn failure(kind: IoErrorKind, detail: impl Display) -> IoError {
    IoError { kind, detail: detail.to_string() }
}

/// What went wrong with `subject`: a host, a file, a program.
pub(crate) fn about(subject: impl Display, error: &io::Error) -> IoError {
    failure(kind_of(error), format_args!("{subject}: {error}"))
}

/// The kind of a system error.
pub(crate) fn kind_of(error: &io::Error) -> IoErrorKind {
    use io::ErrorKind as Io;
    match error.kind() {
        Io::ConnectionRefused => IoErrorKind::Refused,
        Io::HostUnreachable | Io::NetworkUnreachable | Io::NetworkDown => IoErrorKind::Unreachable,
        Io::AddrNotAvailable => IoErrorKind::Unreachable,
        Io::TimedOut => IoErrorKind::TimedOut,
        Io::ConnectionReset
        | Io::ConnectionAborted
        | Io::BrokenPipe
        | Io::NotConnected
        | Io::UnexpectedEof => IoErrorKind::Disconnected,
        Io::NotFound | Io::NotADirectory => IoErrorKind::NotFound,
        Io::PermissionDenied | Io::ReadOnlyFilesystem => IoErrorKind::Denied,
        Io::AddrInUse => IoErrorKind::InUse,
        Io::StorageFull | Io::QuotaExceeded => IoErrorKind::Full,
        Io::FileTooLarge => IoErrorKind::TooLarge,
        // rustls passes its errors on as invalid data.
        Io::InvalidData if is_tls(error) => IoErrorKind::Tls,
        _ => IoErrorKind::Other,
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

/// What went wrong in an exchange with `host`.
pub(crate) fn about_http(host: impl Display, error: &hyper::Error) -> IoError {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            // A malformed chunk, and an end in the middle of one, are reported as I/O errors.
            return match error.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput if !is_tls(error) => {
                    failure(IoErrorKind::Protocol, format_args!("{host}: {error}"))
                }
                _ => about(host, error),
            };
        }
        source = cause.source();
    }
    let kind = if error.is_parse_too_large() {
        IoErrorKind::TooLarge
    } else if error.is_parse() {
        IoErrorKind::Protocol
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        IoErrorKind::Disconnected
    } else if error.is_timeout() {
        IoErrorKind::TimedOut
    } else {
        IoErrorKind::Other
    };
    failure(kind, format_args!("{host}: {error}"))
}
