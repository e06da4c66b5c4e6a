//! The connection that everything is written by, and its transactions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use footbridge_core::store::TableError;
use rusqlite::config::DbConfig;
use rusqlite::types::FromSql;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row};
use serde::de::DeserializeOwned;

use crate::body::Body;
use crate::checkpoint::Checkpoints;
use crate::error::{OpenError, table_error};
use crate::schema;

/// Bytes of one page: chunks of a log are long, and a page is written as a whole.
const PAGE_BYTES: u32 = 16 << 10;
/// Bytes of pages that are kept in memory.
const CACHE_BYTES: i64 = 2 << 20;
/// Statements that are kept ready.
const STATEMENTS: usize = 96;
/// How long to wait for another program that writes to the database; no part of Footbridge does.
pub(crate) const BUSY_FOR: Duration = Duration::from_secs(5);

/// An open database.
#[derive(Debug)]
pub(crate) struct Database {
    db: Connection,
    /// Whether SQLite has been told of the open transaction.
    is_begun: bool,
    /// Bytes that the open transaction has written, about.
    written: usize,
    checkpoints: Checkpoints,
}

impl Database {
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let mut db = connect(path).map_err(|error| OpenError::sqlite(path, &error))?;
        schema::prepare(&mut db, path)?;
        let checkpoints = Checkpoints::start(path);
        Ok(Self { db, is_begun: false, written: 0, checkpoints })
    }

    /// The connection, with a transaction open. It is opened by the first that reads or writes, so
    /// that what is answered from memory costs nothing.
    fn begun(&mut self) -> rusqlite::Result<&Connection> {
        if !self.is_begun {
            self.db.prepare_cached("BEGIN")?.execute([])?;
            self.is_begun = true;
        }
        Ok(&self.db)
    }

    /// Writes. `bytes` says how much, beside what each row costs.
    pub(crate) fn write(
        &mut self,
        sql: &'static str,
        bytes: usize,
        params: impl Params,
    ) -> Result<usize, TableError> {
        self.written += bytes + PAGE_BYTES as usize;
        let run = |db: &Connection| db.prepare_cached(sql)?.execute(params);
        self.begun().and_then(run).map_err(|error| table_error(&error))
    }

    /// Deletes.
    pub(crate) fn delete(
        &mut self,
        sql: &'static str,
        params: impl Params,
    ) -> Result<(), TableError> {
        self.write(sql, 0, params).map(drop)
    }

    /// Reads one value.
    pub(crate) fn value<V: FromSql>(
        &mut self,
        sql: &'static str,
        params: impl Params,
    ) -> Result<Option<V>, TableError> {
        self.one(sql, params, |row| row.get(0))
    }

    fn one<V>(
        &mut self,
        sql: &'static str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<V>,
    ) -> Result<Option<V>, TableError> {
        let read = |db: &Connection| db.prepare_cached(sql)?.query_row(params, map).optional();
        self.begun().and_then(read).map_err(|error| table_error(&error))
    }

    /// Reads one row, by its columns `sum` and `body`. `what` names it, for people.
    pub(crate) fn row<R: DeserializeOwned>(
        &mut self,
        what: &str,
        sql: &'static str,
        params: impl Params,
    ) -> Result<Option<R>, TableError> {
        let body = self.one(sql, params, Body::read)?;
        body.map(|body| body.parse(what)).transpose()
    }

    /// Reads rows, by their columns `sum` and `body`.
    pub(crate) fn rows<R: DeserializeOwned>(
        &mut self,
        what: &str,
        sql: &'static str,
        params: impl Params,
    ) -> Result<Vec<R>, TableError> {
        let mut rows = Vec::new();
        self.each(sql, params, |row| {
            rows.push(Body::read(row).map_err(|error| table_error(&error))?.parse(what)?);
            Ok(true)
        })?;
        Ok(rows)
    }

    /// Reads rows until `visit` says that it has seen enough.
    pub(crate) fn each(
        &mut self,
        sql: &'static str,
        params: impl Params,
        mut visit: impl FnMut(&Row<'_>) -> Result<bool, TableError>,
    ) -> Result<(), TableError> {
        let db = self.begun().map_err(|error| table_error(&error))?;
        let mut statement = db.prepare_cached(sql).map_err(|error| table_error(&error))?;
        let mut rows = statement.query(params).map_err(|error| table_error(&error))?;
        while let Some(row) = rows.next().map_err(|error| table_error(&error))? {
            if !visit(row)? {
                break;
            }
        }
        Ok(())
    }

    /// Makes what was written durable.
    pub(crate) fn commit(&mut self) -> Result<(), TableError> {
        if !self.is_begun {
            return Ok(());
        }
        let committed = self.db.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
        if let Err(error) = committed {
            self.rollback();
            return Err(table_error(&error));
        }
        self.is_begun = false;
        let written = std::mem::take(&mut self.written);
        if written > 0 {
            self.checkpoints.after_commit(&self.db, written);
        }
        Ok(())
    }

    pub(crate) fn rollback(&mut self) {
        self.written = 0;
        self.is_begun = false;
        // After some failures SQLite has already done so.
        if !self.db.is_autocommit() {
            // If this fails, the next BEGIN does, too.
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }
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
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some("this file system cannot keep SQLite's write-ahead log".to_owned()),
        ));
    }
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "cache_size", -(CACHE_BYTES >> 10))?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(db)
}
