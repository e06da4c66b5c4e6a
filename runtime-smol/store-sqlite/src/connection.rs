//! How every connection to the database is opened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::ffi;
use rusqlite::{Connection, OpenFlags};

/// Bytes of one page: chunks of a log are long, and a page is written as a whole.
pub(crate) const PAGE_BYTES: u32 = 16 << 10;
/// Bytes of pages that are kept in memory.
const CACHE_BYTES: i64 = 2 << 20;
/// Statements that are kept ready.
const STATEMENTS: usize = 96;
/// How long to wait for another program that writes to the database; no part of Footbridge does.
pub(crate) const BUSY_FOR: Duration = Duration::from_secs(5);

/// Moves all that is in the write-ahead log into the database, synced, so that what is there from
/// now on stays there, and what is not will never be.
pub(crate) fn settle(db: &Connection) -> rusqlite::Result<()> {
    let is_busy: bool = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if is_busy {
        return Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_BUSY),
            Some("the write-ahead log cannot be settled while others read it".to_owned()),
        ));
    }
    Ok(())
}

/// Opens a database that exists, as everything here needs it.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(PathBuf::from(path), flags)?;
    db.busy_timeout(BUSY_FOR)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise a statement is parsed and planned again whenever it is given another number.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // It counts only before the first table is made.
    db.pragma_update(None, "page_size", PAGE_BYTES)?;
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CANTOPEN),
            Some("this file system cannot keep SQLite's write-ahead log".to_owned()),
        ));
    }
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "cache_size", -(CACHE_BYTES >> 10))?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(db)
}
