//! A copy of a store, made while its relay works on.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::directory::database_in;
use crate::error::OpenError;

/// Copies the store in `directory` into a new file in `target`, as it is at one moment. It can be
/// open in another process, which is not held up.
///
/// The copy is whole and synced when this returns, and was checked.
pub fn backup(directory: &Path, target: &Path) -> Result<(), OpenError> {
    let (from, to) = (database_in(directory), database_in(target));
    let failed = |error: &io::Error| OpenError::io(&to, error);
    // SQLite writes into an empty file, which only its owner can read.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&to)
        .map_err(|error| failed(&error))?;
    copy(&from, &to)?;
    check(&to)?;
    File::open(&to).and_then(|file| file.sync_all()).map_err(|error| failed(&error))?;
    File::open(target).and_then(|file| file.sync_all()).map_err(|error| failed(&error))
}

fn copy(from: &Path, to: &Path) -> Result<(), OpenError> {
    // Not to be made by this if it is missing.
    fs::metadata(from).map_err(|error| OpenError::io(from, &error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| OpenError::sqlite(from, &error);
    let db = Connection::open_with_flags(from, flags).map_err(failed)?;
    db.busy_timeout(crate::connection::BUSY_FOR).map_err(failed)?;
    let to = to.to_str().ok_or_else(|| {
        OpenError::io(to, &io::Error::new(io::ErrorKind::InvalidInput, "its path is not UTF-8"))
    })?;
    db.execute("VACUUM INTO ?1", [to]).map(drop).map_err(failed)
}

fn check(path: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::sqlite(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    let found: String =
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if found == "ok" {
        return Ok(());
    }
    Err(OpenError::Damaged { path: path.into(), detail: found })
}
