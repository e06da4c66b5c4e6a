//! The errors of the system and of the libraries as [`Failure`]s.

use std::fmt::Display;
use std::io::{self, ErrorKind};

use footbridge_core::contract::event::{Failure, FailureKind};

pub(crate) fn failure(kind: FailureKind, detail: impl Display) -> Failure {
    Failure { kind, detail: detail.to_string() }
}

/// An error of the system, met at `place`: an address, a path, a program.
pub(crate) fn io_failure(place: impl Display, error: &io::Error) -> Failure {
    failure(kind_of(error), format_args!("{place}: {error}"))
}

/// What an error of the system comes to.
pub(crate) fn kind_of(error: &io::Error) -> FailureKind {
    match error.kind() {
        ErrorKind::ConnectionRefused => FailureKind::Refused,
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable => FailureKind::Unreachable,
        ErrorKind::TimedOut => FailureKind::TimedOut,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => FailureKind::Disconnected,
        ErrorKind::NotFound => FailureKind::NotFound,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => FailureKind::Denied,
        ErrorKind::AddrInUse => FailureKind::InUse,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FailureKind::Full,
        ErrorKind::FileTooLarge => FailureKind::TooLarge,
        _ if is_tls(error) => FailureKind::Tls,
        ErrorKind::InvalidData => FailureKind::Protocol,
        _ => FailureKind::Other,
    }
}

#[cfg(feature = "tls")]
fn is_tls(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}

#[cfg(not(feature = "tls"))]
fn is_tls(_: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn errors_of_the_system_keep_what_decisions_are_made_by() {
        let cases = [
            (Errno::CONNREFUSED, FailureKind::Refused),
            (Errno::HOSTUNREACH, FailureKind::Unreachable),
            (Errno::NETUNREACH, FailureKind::Unreachable),
            (Errno::TIMEDOUT, FailureKind::TimedOut),
            (Errno::CONNRESET, FailureKind::Disconnected),
            (Errno::PIPE, FailureKind::Disconnected),
            (Errno::NOENT, FailureKind::NotFound),
            (Errno::ACCESS, FailureKind::Denied),
            (Errno::ROFS, FailureKind::Denied),
            (Errno::NOSPC, FailureKind::Full),
            (Errno::DQUOT, FailureKind::Full),
            (Errno::MFILE, FailureKind::Other),
        ];
        for (errno, kind) in cases {
            assert_eq!(kind_of(&errno.into()), kind, "{errno:?}");
        }
    }
}
