//! Turns errors from the system and the libraries into [`IoError`]s.

#[cfg(feature = "tls")]
use std::error::Error;
use std::fmt::Display;
use std::io::{self, ErrorKind};

use footbridge_core::contract::event::{IoError, IoErrorKind};

pub(crate) fn failure(kind: IoErrorKind, detail: impl Display) -> IoError {
    IoError { kind, detail: detail.to_string() }
}

/// A system error at `place`: an address, a path, a program.
pub(crate) fn io_failure(place: impl Display, error: &io::Error) -> IoError {
    failure(kind_of(error), format_args!("{place}: {error}"))
}

/// The kind of a system error.
pub(crate) fn kind_of(error: &io::Error) -> IoErrorKind {
    match error.kind() {
        ErrorKind::ConnectionRefused => IoErrorKind::Refused,
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable => IoErrorKind::Unreachable,
        ErrorKind::TimedOut => IoErrorKind::TimedOut,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => IoErrorKind::Disconnected,
        ErrorKind::NotFound => IoErrorKind::NotFound,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => IoErrorKind::Denied,
        ErrorKind::AddrInUse => IoErrorKind::InUse,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => IoErrorKind::Full,
        ErrorKind::FileTooLarge => IoErrorKind::TooLarge,
        _ if is_tls(error) => IoErrorKind::Tls,
        ErrorKind::InvalidData => IoErrorKind::Protocol,
        _ => IoErrorKind::Other,
    }
}

/// Whether a system error is really a TLS error.
#[cfg(feature = "tls")]
fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
}

#[cfg(not(feature = "tls"))]
const fn is_tls(_error: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn system_errors_keep_the_distinctions_that_decisions_need() {
        let cases = [
            (Errno::CONNREFUSED, IoErrorKind::Refused),
            (Errno::HOSTUNREACH, IoErrorKind::Unreachable),
            (Errno::NETUNREACH, IoErrorKind::Unreachable),
            (Errno::TIMEDOUT, IoErrorKind::TimedOut),
            (Errno::CONNRESET, IoErrorKind::Disconnected),
            (Errno::PIPE, IoErrorKind::Disconnected),
            (Errno::NOENT, IoErrorKind::NotFound),
            (Errno::ACCESS, IoErrorKind::Denied),
            (Errno::ROFS, IoErrorKind::Denied),
            (Errno::NOSPC, IoErrorKind::Full),
            (Errno::DQUOT, IoErrorKind::Full),
            (Errno::MFILE, IoErrorKind::Other),
        ];
        for (errno, kind) in cases {
            assert_eq!(kind_of(&errno.into()), kind, "{errno:?}");
        }
    }
}
