//! How the program exits: exit codes, and errors for people.

use std::fmt;
use std::io;
use std::num::NonZeroU8;
use std::process::ExitCode;

use footbridge_core::contract::event::IoError;
use footbridge_core::contract::machine::{MachineError, MachineErrorKind};

use crate::event_log::EventLog;
use crate::value::{Format, Level};

/// Why the program failed. The codes are part of the interface and must not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitKind {
    /// Something that should not happen.
    Unexpected,
    /// The command line or the configuration.
    Usage,
    /// The relay refused: credential, permission, not found.
    Refused,
    /// The relay could not be reached for too long.
    GaveUp,
    /// A problem on this machine: an address in use, an agent or file not found.
    Local,
    /// Another worker already serves the directory.
    InUse,
    /// The agent that this program stands in for has failed, with this code.
    Agent(NonZeroU8),
}

impl ExitKind {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::GaveUp => 4,
            Self::Local => 5,
            Self::InUse => 6,
            Self::Agent(code) => code.get(),
        }
    }
}

/// A fatal error: what happened, where, and what to try. Never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The kind, which is the exit code.
    pub why: ExitKind,
    /// For a person.
    pub message: String,
}

impl Error {
    /// A mistake in the command line or the configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { why: ExitKind::Usage, message: message.into() }
    }

    /// A problem on this machine.
    pub fn local(message: impl Into<String>) -> Self {
        Self { why: ExitKind::Local, message: message.into() }
    }

    /// A file or directory that cannot be used: `what` says which one and for what.
    pub fn disk(what: impl fmt::Display, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "; free some space there, and start again"
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                "; make its file system writable, or choose another place"
            }
            io::ErrorKind::PermissionDenied => {
                "; give this user access to it, or choose another place"
            }
            // A directory was to be made, and something else has its name.
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                "; a directory is wanted there: choose another place"
            }
            _ => "",
        };
        Self::local(format!("{what}: {error}{advice}"))
    }
}

/// Ends a program, logging what went wrong, if anything, as its last line in the given format.
pub fn conclude(program: &'static str, format: Format, outcome: Result<(), Error>) -> ExitCode {
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let log = EventLog::new(program, Level::Error, format);
            log.write(Level::Error, "failed", &[], format_args!("{error}"));
            ExitCode::from(&error)
        }
    };
    EventLog::flush();
    code
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<&Error> for ExitCode {
    fn from(error: &Error) -> Self {
        Self::from(error.why.code())
    }
}

impl From<MachineError> for Error {
    fn from(fault: MachineError) -> Self {
        let why = match fault.kind {
            MachineErrorKind::Unauthorized
            | MachineErrorKind::Forbidden
            | MachineErrorKind::NotFound => ExitKind::Refused,
            MachineErrorKind::GaveUp => ExitKind::GaveUp,
            MachineErrorKind::Protocol => ExitKind::Unexpected,
            MachineErrorKind::Local => ExitKind::Local,
        };
        Self { why, message: fault.message }
    }
}

impl From<IoError> for Error {
    fn from(failure: IoError) -> Self {
        Self::local(failure.to_string())
    }
}
