//! Takes what is whole out of a damaged database, into a new one.
//!
//! SQLite finds damage where it reads. Each table is read from both ends until it stops, what lies
//! between is asked for row by row where rows have numbers, and what its checksum proves is taken. The
//! damaged file stays, under another name, for whoever knows more.
//!
//! What belongs together may have lost a part then. An item without its session, and what is due
//! of it, goes, so that it holds up no queue; an event that is lost becomes one that says so, so
//! that a log has no gap.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use footbridge_core::base::id::SessionId;
use footbridge_core::base::text::Text;
use footbridge_core::base::time::UnixTime;
use footbridge_core::store::{
    Due, DueRow, Entry, EnvironmentRow, LogRow, Origin, SessionRow, WorkRow,
};
use footbridge_core::wire::worker_api::work::WorkData;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row, Statement, params_from_iter};

use crate::body::Body;
use crate::chunk::Chunk;
use crate::connection::{PAGE_BYTES, connect, settle};
use crate::directory::{aside, beside};
use crate::error::OpenError;
use crate::schema;

/// Rows of a table that are asked for one by one, between two damaged places.
const MAX_ASKED_FOR: i64 = 1 << 18;
/// What a lost event is replaced with.
const LOST: &str = r#"{"type":"footbridge","subtype":"event_lost","message":"the relay's disk has lost this event"}"#;

/// How a table is read: its name, its columns, and what its rows are ordered by.
struct Table {
    name: &'static str,
    columns: &'static str,
    order: &'static str,
    /// Where in `columns` the checksum is, and what it is of.
    sum: Option<(usize, &'static [usize])>,
}

impl Table {
    /// How many columns it has.
    fn width(&self) -> usize {
        self.columns.split(',').count()
    }

    /// The column that numbers its rows, if there is one.
    fn number(&self) -> Option<&'static str> {
        (!self.order.contains(',')).then_some(self.order)
    }
}

const TABLES: [Table; 15] = [
    Table { name: "meta", columns: "id, sum, body", order: "id", sum: Some((1, &[2])) },
    Table {
        name: "environment",
        columns: "id, owner, sum, body",
        order: "rowid",
        sum: Some((2, &[3])),
    },
    Table {
        name: "queue",
        columns: "environment, position, work",
        order: "environment, position",
        sum: None,
    },
    Table {
        name: "claim",
        columns: "environment, key, number, sum, body",
        order: "environment, key",
        sum: Some((3, &[4])),
    },
    Table {
        name: "work",
        columns: "id, environment, sum, body",
        order: "rowid",
        sum: Some((2, &[3])),
    },
    Table {
        name: "session",
        columns: "number, id, owner, environment, key, ended, sum, body",
        order: "number",
        sum: Some((6, &[7])),
    },
    Table {
        name: "log",
        columns: "id, session, first, last, sum, sizes, body",
        order: "id",
        sum: Some((4, &[5, 6])),
    },
    Table {
        name: "inbound",
        columns: "session, number, ends, seq, kind, sum, line",
        order: "rowid",
        sum: Some((5, &[6])),
    },
    Table {
        name: "message",
        columns: "session, uuid, number, sum, body",
        order: "session, uuid",
        sum: Some((3, &[4])),
    },
    Table {
        name: "question",
        columns: "session, request_id, closed, sum, body",
        order: "rowid",
        sum: Some((3, &[4])),
    },
    Table {
        name: "request",
        columns: "session, number, sum, body",
        order: "session, number",
        sum: Some((2, &[3])),
    },
    Table { name: "due", columns: "at, what, sum, body", order: "at, what", sum: Some((2, &[3])) },
    Table { name: "device", columns: "id, owner, sum, body", order: "rowid", sum: Some((2, &[3])) },
    Table { name: "push", columns: "id, owner, sum, body", order: "rowid", sum: Some((2, &[3])) },
    Table {
        name: "audit",
        columns: "owner, number, sum, body",
        order: "owner, number",
        sum: Some((2, &[3])),
    },
];

/// What became of a damaged database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Where the damaged file is now.
    pub damaged: PathBuf,
    /// Sessions that are there again.
    pub sessions: u64,
    /// Sessions of which a part was found, and not what they were. Of others nothing is left to tell.
    pub sessions_lost: u64,
    /// Events of the sessions that are there again, which are not.
    pub events_lost: u64,
    /// Nothing of the file could be read: what was in it is not known.
    pub is_unreadable: bool,
}

/// Replaces a damaged database by what is whole of it.
pub(crate) fn salvage(path: &Path) -> Result<Salvaged, OpenError> {
    let failed = |error: &rusqlite::Error| OpenError::sqlite(path, error);
    let new = path.with_extension("salvaged");
    remove(&new)?;
    crate::directory::make_file(&new).map_err(|error| OpenError::io(&new, &error))?;
    let mut to = connect(&new).map_err(|error| failed(&error))?;
    schema::prepare(&mut to, &new)?;
    let repaired = path.with_extension("repaired");
    let from = match readable(path) {
        Ok(from) => Some(from),
        Err(_) => {
            settle(&to).map_err(|error| failed(&error))?;
            repair(path, &new, &repaired).map_err(|error| OpenError::io(&repaired, &error))?;
            readable(&repaired).ok()
        }
    };
    let copied = to.transaction().and_then(|to| {
        for table in &TABLES {
            if let Some(from) = &from {
                copy(from, &to, table)?;
            }
        }
        let lost = mend(&to)?;
        let sessions: u32 = to.query_row("SELECT count(*) FROM session", [], |row| row.get(0))?;
        to.commit()?;
        Ok((u64::from(sessions), lost))
    });
    let (sessions, lost) = copied.map_err(|error| failed(&error))?;
    to.close().map_err(|(_, error)| failed(&error))?;
    let is_unreadable = from.is_none();
    drop(from);

    let damaged = aside(path, "damaged");
    let rename =
        |from: &Path, to: &Path| fs::rename(from, to).map_err(|error| OpenError::io(from, &error));
    rename(path, &damaged)?;
    for suffix in ["-wal", "-shm"] {
        if beside(path, suffix).exists() {
            rename(&beside(path, suffix), &beside(&damaged, suffix))?;
        }
        remove(&beside(&new, suffix))?;
        remove(&beside(&repaired, suffix))?;
    }
    remove(&repaired)?;
    rename(&new, path)?;
    let Lost { sessions: sessions_lost, events: events_lost } = lost;
    Ok(Salvaged { damaged, sessions, sessions_lost, events_lost, is_unreadable })
}

/// Opens a database whose beginning, at least, can be read.
fn readable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    // One that is shorter than it says is read as far as it goes.
    db.execute_batch("PRAGMA writable_schema = ON")?;
    db.query_row("SELECT count(*) FROM log WHERE id = 0", [], |_| Ok(()))?;
    Ok(db)
}

/// Copies a database whose first page is damaged, with that of a new one: what it says of where
/// each table begins is the same in all.
fn repair(path: &Path, new: &Path, repaired: &Path) -> std::io::Result<()> {
    fs::copy(path, repaired)?;
    let log = beside(path, "-wal");
    if log.exists() {
        fs::copy(log, beside(repaired, "-wal"))?;
    }
    let mut page = vec![0; PAGE_BYTES as usize];
    fs::File::open(new)?.read_exact(&mut page)?;
    let mut file = fs::OpenOptions::new().write(true).open(repaired)?;
    let pages = file.metadata()?.len() / u64::from(PAGE_BYTES);
    // How long the file is; and that no page is free, which nobody knows.
    let pages = u32::try_from(pages).unwrap_or(u32::MAX).to_be_bytes();
    for (at, bytes) in [(28, pages), (32, [0; 4]), (36, [0; 4])] {
        if let Some(place) = page.get_mut(at..at + 4) {
            place.copy_from_slice(&bytes);
        }
    }
    file.write_all(&page)
}

fn remove(path: &Path) -> Result<(), OpenError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(OpenError::io(path, &error))
        }
        _ => Ok(()),
    }
}

/// Copies the rows that can be read and are what was written.
fn copy(from: &Connection, to: &Connection, table: &Table) -> rusqlite::Result<()> {
    let Table { name, columns, order, .. } = table;
    let places = vec!["?"; table.width()].join(", ");
    let sql = format!("INSERT OR IGNORE INTO {name} ({columns}) VALUES ({places})");
    let mut insert = to.prepare(&sql)?;
    let number = table.number();
    let shown = number.unwrap_or("0");
    let descending = order.split(',').map(|column| format!("{column} DESC")).collect::<Vec<_>>();
    // The last numbers that were read from either end.
    let mut reached: [Option<i64>; 2] = [None; 2];
    for (order, reached) in [(*order).to_owned(), descending.join(", ")].iter().zip(&mut reached) {
        let sql = format!("SELECT {columns}, {shown} FROM {name} ORDER BY {order}");
        let Ok(mut select) = from.prepare(&sql) else { return Ok(()) };
        let Ok(mut rows) = select.query([]) else { return Ok(()) };
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    *reached = row.get(table.width()).ok().or(*reached);
                    take(&mut insert, table, row);
                }
                Ok(None) => return Ok(()),
                // From the other end.
                Err(_) => break,
            }
        }
    }
    let Some(number) = number else { return Ok(()) };
    let sql = format!("SELECT {columns} FROM {name} WHERE {number} = ?1");
    let Ok(mut select) = from.prepare(&sql) else { return Ok(()) };
    // Where no row of one end was read, those next to the other end.
    let between = match reached {
        [Some(below), Some(above)] => below + 1..above.min(below.saturating_add(MAX_ASKED_FOR)),
        [Some(below), None] => below + 1..below.saturating_add(MAX_ASKED_FOR),
        [None, Some(above)] => above.saturating_sub(MAX_ASKED_FOR)..above,
        [None, None] => 1..MAX_ASKED_FOR,
    };
    for number in between {
        if let Ok(mut rows) = select.query([number])
            && let Ok(Some(row)) = rows.next()
        {
            take(&mut insert, table, row);
        }
    }
    Ok(())
}

/// Copies a row if it is what was written.
fn take(insert: &mut Statement<'_>, table: &Table, row: &Row<'_>) {
    let values = (0..table.width()).map(|at| row.get(at)).collect::<Result<Vec<Value>, _>>();
    if let Ok(values) = values
        && table.sum.is_none_or(|(at, of)| is_whole(&values, at, of))
    {
        // One that does not fit in is as good as damaged.
        let _ = insert.execute(params_from_iter(values));
    }
}

fn is_whole(values: &[Value], sum: usize, of: &[usize]) -> bool {
    let mut hasher = crc32fast::Hasher::new();
    for at in of {
        match values.get(*at) {
            Some(Value::Text(text)) => hasher.update(text.as_bytes()),
            Some(Value::Blob(bytes)) => hasher.update(bytes),
            _ => return false,
        }
    }
    values.get(sum) == Some(&Value::Integer(hasher.finalize().into()))
}

/// What is known to be lost.
#[derive(Clone, Copy, Debug)]
struct Lost {
    sessions: u64,
    events: u64,
}

/// Repairs sessions that have lost a part.
fn mend(db: &Connection) -> rusqlite::Result<Lost> {
    let rows = |sql: &str| -> rusqlite::Result<Vec<(i64, String)>> {
        let mut select = db.prepare(sql)?;
        let rows = select.query_map([], |row| row.try_into())?;
        rows.collect()
    };
    let mut sessions: BTreeSet<SessionId> = BTreeSet::new();
    let mut lost = 0;
    for (number, json) in rows("SELECT number, body FROM session")? {
        let Ok(mut row) = serde_json::from_str::<SessionRow>(&json) else { continue };
        lost += mend_log(db, number, &mut row)?;
        sessions.insert(row.session.id);
    }
    let parts = ["log", "inbound", "message", "question", "request"];
    let all = parts.map(|table| format!("SELECT session FROM {table}")).join(" UNION ");
    let sql =
        format!("SELECT count(*) FROM ({all}) WHERE session NOT IN (SELECT number FROM session)");
    let gone: u32 = db.query_row(&sql, [], |row| row.get(0))?;
    for table in parts {
        let sql = format!("DELETE FROM {table} WHERE session NOT IN (SELECT number FROM session)");
        db.execute(&sql, [])?;
    }
    for (rowid, json) in rows("SELECT rowid, body FROM work")? {
        let work = serde_json::from_str::<WorkRow>(&json);
        let is_there = work.is_ok_and(|work| match &work.data {
            WorkData::Session(session) => sessions.contains(session),
            _ => true,
        });
        if !is_there {
            db.execute("DELETE FROM work WHERE rowid = ?1", [rowid])?;
        }
    }
    db.execute_batch(
        "DELETE FROM queue WHERE work NOT IN (SELECT id FROM work)
             OR environment NOT IN (SELECT id FROM environment);
         DELETE FROM claim WHERE environment NOT IN (SELECT id FROM environment);",
    )?;
    for (rowid, json) in rows("SELECT rowid, body FROM environment")? {
        let Ok(mut row) = serde_json::from_str::<EnvironmentRow>(&json) else { continue };
        let id = row.environment.id.as_str();
        let count = |sql: &str| db.query_row(sql, [id], |row| row.get::<_, u32>(0));
        let live = "SELECT count(*) FROM session WHERE environment = ?1 AND ended IS NULL";
        row.environment.active_sessions = count(live)? as usize;
        row.queue.len = count("SELECT count(*) FROM queue WHERE environment = ?1")? as usize;
        let due = DueRow { at: row.watched_at, what: Due::Environment(row.environment.id.clone()) };
        if let (Ok(body), Ok(due_body)) = (Body::of(&row), Body::of(&due)) {
            db.execute(
                "UPDATE environment SET sum = ?2, body = ?3 WHERE rowid = ?1",
                (rowid, body.sum, body.json),
            )?;
            put_due(db, &due, &due_body)?;
        }
    }
    for (_, json) in rows("SELECT rowid, body FROM work")? {
        let Ok(work) = serde_json::from_str::<WorkRow>(&json) else { continue };
        let Some(at) = work.watched_at else { continue };
        let due = DueRow { at, what: Due::Work(work.id) };
        if let Ok(body) = Body::of(&due) {
            put_due(db, &due, &body)?;
        }
    }
    Ok(Lost { sessions: gone.into(), events: lost })
}

fn put_due(db: &Connection, due: &DueRow, body: &Body) -> rusqlite::Result<usize> {
    let at = crate::tables::sql(due.at.as_millis());
    let name = crate::tables::name_of(&due.what);
    db.execute(
        "INSERT OR IGNORE INTO due (at, what, sum, body) VALUES (?1, ?2, ?3, ?4)",
        (at, name, body.sum, &body.json),
    )
}

/// Fills the gaps of a log with events that say so. Returns how many.
fn mend_log(db: &Connection, number: i64, row: &mut SessionRow) -> rusqlite::Result<u64> {
    let mut select = db.prepare("SELECT first, last FROM log WHERE session = ?1 ORDER BY first")?;
    let chunks = select.query_map([number], |row| <(i64, i64)>::try_from(row))?;
    let chunks: Vec<(i64, i64)> = chunks.collect::<Result<_, _>>()?;
    let mut lost = 0;
    let mut next = row.session.first_seq;
    let end = row.session.last_seq + 1;
    let ends = chunks.iter().map(|(first, last)| (first.unsigned_abs(), last.unsigned_abs()));
    for (first, last) in ends.chain([(end, end)]) {
        lost += fill(db, number, next, first.min(end))?;
        next = next.max(last + 1);
    }
    Ok(lost)
}

/// Writes events `from` up to and without `until`.
fn fill(db: &Connection, number: i64, from: u64, until: u64) -> rusqlite::Result<u64> {
    let mut chunk = Chunk::default();
    for seq in from..until {
        let (at, line) = (UnixTime::from_millis(0), Text::from(LOST));
        let entry = Entry { seq, at, origin: Origin::Relay, line };
        let row = LogRow { entry, size: 0 };
        if !chunk.has_room_for(&row) {
            write(db, number, &std::mem::take(&mut chunk))?;
        }
        chunk.push(&row);
    }
    if !chunk.is_empty() {
        write(db, number, &chunk)?;
    }
    Ok(until.saturating_sub(from))
}

fn write(db: &Connection, number: i64, chunk: &Chunk) -> rusqlite::Result<usize> {
    let (first, last) = (crate::tables::sql(chunk.first), crate::tables::sql(chunk.last));
    db.execute(
        "INSERT INTO log (session, first, last, sum, sizes, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (number, first, last, chunk.sum(), &chunk.sizes, &chunk.body),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_copied_with_all_its_columns() {
        let mut db = Connection::open_in_memory().expect("a database");
        schema::prepare(&mut db, Path::new("store.db")).expect("prepared");
        let texts = |sql: &str, name: &str| -> Vec<String> {
            let mut select = db.prepare(sql).expect("SQL");
            let rows = select.query_map([name], |row| row.get(0)).expect("rows");
            rows.map(|row| row.expect("a text")).collect()
        };
        let all = texts("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> ?1", "");
        assert_eq!(all, TABLES.map(|table| table.name));
        for table in TABLES {
            let columns = texts("SELECT name FROM pragma_table_info(?1)", table.name);
            assert_eq!(columns.join(", "), table.columns, "{}", table.name);
            let sum = table.sum.map(|(at, _)| columns[at].as_str());
            assert!(sum.is_none_or(|sum| sum == "sum"), "{}", table.name);
        }
    }
}
