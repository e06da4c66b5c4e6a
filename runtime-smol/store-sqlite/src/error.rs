//! What SQLite reports, as the store's callers know it.

use std::io;
use std::path::{Path, PathBuf};

use footbridge_core::base::io_error::{IoError, IoErrorKind};
use footbridge_core::store::TableError;
use rusqlite::{Error, ErrorCode};

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "{} is in use by another relay{}; to serve another project, run footbridge work --relay URL there; for a second relay, choose another directory with --data, or --in-memory",
        directory.display(),
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The data directory.
        directory: PathBuf,
        /// Whose it is, as far as it says.
        pid: Option<u32>,
    },
    /// A newer program has written it.
    #[error(
        "{} was written by a newer Footbridge (its format is {found}, this program knows {known}); use that version, or another directory with --data",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The version of its format.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// It belongs to some other program.
    #[error("{} is a database of another program; choose another directory with --data", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// It cannot be read as a database.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// The system does not let us.
    #[error("cannot use {}: {detail}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
}

impl OpenError {
    pub(crate) fn io(path: impl Into<PathBuf>, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FREE_SPACE,
            io::ErrorKind::ReadOnlyFilesystem => MAKE_WRITABLE,
            io::ErrorKind::PermissionDenied => GIVE_ACCESS,
            // A directory was to be made, and something else has its name.
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => NAME_A_DIRECTORY,
            _ => "",
        };
        Self::Io { path: path.into(), detail: format!("{error}{advice}") }
    }

    pub(crate) fn sqlite(path: impl Into<PathBuf>, error: &Error) -> Self {
        let (path, detail) = (path.into(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, detail }
            }
            code => {
                let detail = detail + advice_on(code, &path);
                Self::Io { path, detail }
            }
        }
    }
}

const FREE_SPACE: &str = "; free some space there";
const MAKE_WRITABLE: &str = "; make its file system writable again";
const GIVE_ACCESS: &str = "; give this user access to it, or choose another directory with --data";
const NAME_A_DIRECTORY: &str = "; a directory is wanted there: choose another one with --data";
const LOOK_AT_DISK: &str = "; look at the disk and the system's log";

const FULL: &str = ": its file system is full; free some space there";
/// Free bytes with which SQLite cannot begin: a database's first pages, and its log and index.
const TOO_FEW: u64 = 128 << 10;

/// Whether there is no room for anything beside a file.
fn is_full(path: &Path) -> bool {
    let directory = path.parent().unwrap_or(path);
    rustix::fs::statvfs(directory).is_ok_and(|fs| fs.f_bavail.saturating_mul(fs.f_frsize) < TOO_FEW)
}

/// What to try with a file, in a message.
fn advice_on(code: Option<ErrorCode>, path: &Path) -> &'static str {
    match code {
        Some(ErrorCode::DiskFull) => FREE_SPACE,
        Some(ErrorCode::ReadOnly) => MAKE_WRITABLE,
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => GIVE_ACCESS,
        // Where it cannot make room in advance, SQLite does not say why.
        Some(ErrorCode::SystemIoFailure) if is_full(path) => FULL,
        Some(ErrorCode::SystemIoFailure) => LOOK_AT_DISK,
        _ => "",
    }
}

/// A failure of the system while the store is open.
pub(crate) fn io_error(path: &Path, error: &io::Error) -> TableError {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => IoErrorKind::Full,
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => IoErrorKind::Denied,
        io::ErrorKind::NotFound => IoErrorKind::NotFound,
        _ => IoErrorKind::Other,
    };
    let detail = OpenError::io(path, error).to_string();
    TableError::Io(IoError { kind, detail })
}

/// A failure while the store is open.
pub(crate) fn table_error(path: &Path, error: &Error) -> TableError {
    let code = error.sqlite_error_code();
    let detail = format!("{}: {error}", path.display());
    let kind = match code {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            return TableError::Damaged { detail };
        }
        // A column that does not hold what was put there.
        None if !matches!(error, Error::SqliteFailure(..)) => {
            return TableError::Damaged { detail };
        }
        Some(ErrorCode::DiskFull) => IoErrorKind::Full,
        Some(ErrorCode::SystemIoFailure) if is_full(path) => IoErrorKind::Full,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => IoErrorKind::Denied,
        Some(ErrorCode::CannotOpen) => IoErrorKind::NotFound,
        _ => IoErrorKind::Other,
    };
    let advice = advice_on(code, path);
    let until = if advice.is_empty() { "" } else { "; until then, nothing is accepted" };
    TableError::Io(IoError { kind, detail: format!("{detail}{advice}{until}") })
}
