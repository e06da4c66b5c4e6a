//! The connection that everything is written by, and its transactions.
//!
//! # When a commit fails
//!
//! A full disk refuses the write, and nothing of the transaction is there. What the write-ahead log
//! takes up is given back then, because that may be all that fills it. If the disk fails to
//! sync, nobody knows what it has: the connection is given up, and a new one finds out, as after a
//! crash. Until that has succeeded nothing is read or written. A file that was removed or replaced
//! is not written to any more: what goes there would be gone with this process.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use footbridge_core::base::io_error::{IoError, IoErrorKind};
use footbridge_core::store::TableError;
use rusqlite::ffi;
use rusqlite::types::FromSql;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row};
use serde::de::DeserializeOwned;

use crate::body::Body;
use crate::checkpoint::Checkpoints;
use crate::connection::{PAGE_BYTES, connect, settle};
use crate::error::{OpenError, io_error, table_error};
use crate::{room, schema};

/// An open database.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    /// Which file that is.
    file: FileId,
    /// `None` from a failed sync until it is known what came of it.
    connected: Option<Connected>,
    /// Whether SQLite has been told of the open transaction.
    is_begun: bool,
    /// Bytes that the open transaction has written, about.
    written: usize,
    /// Bytes in use, once the open transaction has asked.
    used: Option<u64>,
    /// Why the disk did not take what the open transaction has written.
    refused: Option<Refused>,
    /// Whether room was made since a transaction failed for lack of it.
    has_made_room: bool,
}

/// Why a disk takes nothing, as far as something can be done about it here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// It is full, or a limit on the size of files is reached.
    Full,
    /// The file could not be written to when it was opened. SQLite does not look again.
    ReadOnly,
}

impl Refused {
    fn of(error: &rusqlite::Error) -> Option<Self> {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Some(Self::Full),
            Some(ErrorCode::ReadOnly) => Some(Self::ReadOnly),
            _ if error.sqlite_error()?.extended_code == ffi::SQLITE_IOERR_WRITE => Some(Self::Full),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Connected {
    db: Connection,
    checkpoints: Checkpoints,
}

impl Database {
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let mut db = connect(path).map_err(|error| OpenError::sqlite(path, &error))?;
        schema::prepare(&mut db, path)?;
        check(&db, path)?;
        // What the check has read may never be needed again. It does what it can.
        let _ = db.execute_batch("PRAGMA shrink_memory");
        let file = FileId::of(path).map_err(|error| OpenError::io(path, &error))?;
        let connected = Some(Connected { db, checkpoints: Checkpoints::start(path) });
        Ok(Self {
            path: path.into(),
            file,
            connected,
            is_begun: false,
            written: 0,
            used: None,
            refused: None,
            has_made_room: false,
        })
    }

    /// Connects again if a sync has failed, and makes certain what the disk has.
    fn connected(&mut self) -> Result<&mut Connected, TableError> {
        if self.connected.is_none() {
            let db = connect(&self.path).and_then(|db| settle(&db).map(|()| db));
            let db = db.map_err(|error| self.failed(&error))?;
            let checkpoints = Checkpoints::start(&self.path);
            self.connected = Some(Connected { db, checkpoints });
        }
        let missing = || IoError { kind: IoErrorKind::Other, detail: "not connected".to_owned() };
        self.connected.as_mut().ok_or_else(|| missing().into())
    }

    /// The connection, with a transaction open. It is opened by the first that reads or writes, so
    /// that what is answered from memory costs nothing.
    fn begun(&mut self) -> Result<&Connection, TableError> {
        let is_begun = self.is_begun;
        let db = &self.connected()?.db;
        if !is_begun {
            let begun = db.prepare_cached("BEGIN").and_then(|mut begin| begin.execute([]));
            begun.map_err(|error| self.failed(&error))?;
            self.is_begun = true;
        }
        Ok(&self.connected()?.db)
    }

    /// A failure, with the file that it is about.
    fn failed(&self, error: &rusqlite::Error) -> TableError {
        table_error(&self.path, error)
    }

    /// Writes. `bytes` says how much, beside what each row costs.
    pub(crate) fn write(
        &mut self,
        sql: &'static str,
        bytes: usize,
        params: impl Params,
    ) -> Result<usize, TableError> {
        self.written += bytes + PAGE_BYTES as usize;
        let db = self.begun()?;
        let run = db.prepare_cached(sql).and_then(|mut statement| statement.execute(params));
        run.map_err(|error| {
            self.refused = Refused::of(&error);
            self.failed(&error)
        })
    }

    /// Deletes.
    pub(crate) fn delete(
        &mut self,
        sql: &'static str,
        params: impl Params,
    ) -> Result<(), TableError> {
        self.used = None;
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
        let db = self.begun()?;
        let read = db.prepare_cached(sql);
        let read = read.and_then(|mut statement| statement.query_row(params, map).optional());
        read.map_err(|error| self.failed(&error))
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
        self.each(sql, params, Body::read, |body| {
            rows.push(body.parse(what)?);
            Ok(true)
        })?;
        Ok(rows)
    }

    /// Reads rows until `visit` says that it has seen enough.
    pub(crate) fn each<V>(
        &mut self,
        sql: &'static str,
        params: impl Params,
        map: impl Fn(&Row<'_>) -> rusqlite::Result<V>,
        mut visit: impl FnMut(V) -> Result<bool, TableError>,
    ) -> Result<(), TableError> {
        let path = self.path.clone();
        let failed = |error| table_error(&path, &error);
        let mut statement = self.begun()?.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if !visit(map(row).map_err(failed)?)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether the open transaction has written anything.
    pub(crate) const fn has_written(&self) -> bool {
        self.written > 0
    }

    /// The bytes in use when the open transaction first asked, or since it last deleted: what it
    /// writes counts in the next. It is asked for each line of a log.
    pub(crate) fn bytes(&mut self) -> Result<u64, TableError> {
        if let Some(used) = self.used {
            return Ok(used);
        }
        let pages: i64 = self.value("PRAGMA page_count", [])?.unwrap_or(0);
        let free: i64 = self.value("PRAGMA freelist_count", [])?.unwrap_or(0);
        let used = pages.saturating_sub(free).unsigned_abs() * u64::from(PAGE_BYTES);
        self.used = Some(used);
        Ok(used)
    }

    /// Makes what was written durable.
    pub(crate) fn commit(&mut self) -> Result<(), TableError> {
        if !self.is_begun {
            return Ok(());
        }
        self.used = None;
        let written = std::mem::take(&mut self.written);
        if written > 0
            && let Err(error) = self.check_file()
        {
            self.rollback();
            return Err(error);
        }
        let Connected { db, checkpoints } = self.connected()?;
        let committed = db.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
        match committed {
            Ok(_) => {
                if written > 0 {
                    checkpoints.after_commit(db, written);
                }
                self.is_begun = false;
                Ok(())
            }
            Err(error) => {
                self.refused = Refused::of(&error);
                self.rollback();
                if is_unknown(&error) {
                    self.connected = None;
                }
                Err(self.failed(&error))
            }
        }
    }

    fn check_file(&self) -> Result<(), TableError> {
        if FileId::of(&self.path).ok() == Some(self.file) {
            return Ok(());
        }
        let path = self.path.display();
        let detail = format!("{path} was removed or replaced while the relay runs: restart it");
        Err(IoError { kind: IoErrorKind::NotFound, detail }.into())
    }

    /// Shows that the disk still takes this much, in a file of its own: the database's may have
    /// room left from before.
    pub(crate) fn prove(&self, bytes: usize) -> Result<(), TableError> {
        self.check_file()?;
        let path = self.path.with_extension("proof");
        let wrote = proof(&path, bytes);
        let removed = std::fs::remove_file(&path);
        wrote.and(removed).map_err(|error| io_error(&self.path, &error))
    }

    /// Shows that the disk has more room than what is kept for operations that make some. What the
    /// write-ahead log takes up counts, once it was given back.
    pub(crate) fn check_room(&mut self) -> Result<(), TableError> {
        let Some(reserve) = room::lacks(&self.path) else { return Ok(()) };
        self.make_room();
        if room::lacks(&self.path).is_none() {
            return Ok(());
        }
        let (path, reserve) = (self.path.display(), reserve >> 20);
        let detail = format!(
            "{path}: its disk has less than {reserve} MB left, which are kept for answers, stops and deletions; free some space there; until then, nothing else is accepted"
        );
        Err(IoError { kind: IoErrorKind::Full, detail }.into())
    }

    pub(crate) fn rollback(&mut self) {
        self.written = 0;
        self.used = None;
        self.is_begun = false;
        // After some failures SQLite has already done so.
        if let Some(Connected { db, .. }) = &self.connected
            && !db.is_autocommit()
        {
            // If this fails, the next BEGIN does, too.
            let _ = db.execute_batch("ROLLBACK");
        }
        match self.refused.take() {
            Some(Refused::Full) => {
                self.make_room();
                self.has_made_room = true;
            }
            Some(Refused::ReadOnly) => self.connected = None,
            None => {}
        }
    }

    /// Whether what failed for lack of room may find some now.
    pub(crate) fn take_made_room(&mut self) -> bool {
        std::mem::take(&mut self.has_made_room)
    }

    /// Gives back what the write-ahead log takes up: it may be all that fills the disk, and the next
    /// transaction finds the room.
    fn make_room(&mut self) {
        if let Some(Connected { db, checkpoints }) = &mut self.connected {
            checkpoints.make_room(db);
        }
    }
}

fn proof(path: &Path, bytes: usize) -> std::io::Result<()> {
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    std::io::copy(&mut std::io::repeat(0).take(bytes as u64), &mut file)?;
    file.sync_data()
}

/// Tables in which what is not found would count as unknown. None of them is large.
const CHECKED: [&str; 8] =
    ["meta", "environment", "queue", "work", "session", "question", "request", "due"];

/// Looks for damage that would otherwise go unnoticed: a damaged index finds nothing.
fn check(db: &Connection, path: &Path) -> Result<(), OpenError> {
    for table in CHECKED {
        let sql = format!("PRAGMA integrity_check({table})");
        let found: String = db
            .query_row(&sql, [], |row| row.get(0))
            .map_err(|error| OpenError::sqlite(path, &error))?;
        if found != "ok" {
            return Err(OpenError::Damaged { path: path.into(), detail: found });
        }
    }
    Ok(())
}

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = path.metadata()?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// Whether a commit that failed so may still be found after a crash. One that was not written to its
/// end will not be.
fn is_unknown(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
        && error.sqlite_error().map(|error| error.extended_code) != Some(ffi::SQLITE_IOERR_WRITE)
}
