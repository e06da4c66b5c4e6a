//! The logs of sessions, chunk by chunk.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use footbridge_core::base::id::SessionId;
use footbridge_core::store::{LogRow, TableError};
use rusqlite::Row;

use crate::SqliteTables;
use crate::body::damaged;
use crate::chunk::{Chunk, Events, sizes_of};
use crate::database::Database;
use crate::tables::sql;

/// What the open transaction has added to logs and not written yet, by the session's number.
pub(crate) type NewEvents = BTreeMap<i64, Chunk>;

type Done = Result<(), TableError>;

/// The first chunk that holds event ?2 of session ?1 or one after it.
const FROM: &str = "SELECT first, sum, sizes, body FROM log
    WHERE session = ?1 AND last >= ?2 AND first >= coalesce(
        (SELECT max(first) FROM log WHERE session = ?1 AND first <= ?2), 0)
    ORDER BY first";
const SIZES_FROM: &str = "SELECT first, sizes FROM log
    WHERE session = ?1 AND last >= ?2 AND first >= coalesce(
        (SELECT max(first) FROM log WHERE session = ?1 AND first <= ?2), 0)
    ORDER BY first";

impl SqliteTables {
    pub(crate) fn append_to_log(&mut self, id: &SessionId, rows: Vec<LogRow>) -> Done {
        let Some(number) = self.number(id)? else { return Ok(()) };
        let chunk = self.logs.entry(number).or_default();
        for row in rows {
            if !chunk.has_room_for(&row) {
                write(&mut self.database, number, &std::mem::take(chunk))?;
            }
            chunk.push(&row);
        }
        Ok(())
    }

    pub(crate) fn write_logs(&mut self) -> Done {
        while let Some((number, chunk)) = self.logs.pop_first() {
            write(&mut self.database, number, &chunk)?;
        }
        self.delete_trimmed()
    }

    /// The number of a session, all of whose events are in the database.
    fn written(&mut self, id: &SessionId) -> Result<Option<i64>, TableError> {
        let number = self.number(id)?;
        if let Some(number) = number
            && let Some(chunk) = self.logs.remove(&number)
        {
            write(&mut self.database, number, &chunk)?;
        }
        Ok(number)
    }

    /// The first event from number `from` on that retention has not taken: a chunk stays until its
    /// last event goes.
    fn kept(&self, id: &SessionId, from: u64) -> u64 {
        let row = self.sessions.get(id).flatten();
        row.map_or(from, |row| from.max(row.session.first_seq))
    }

    pub(crate) fn read_from_log(
        &mut self,
        id: &SessionId,
        from: u64,
        visit: &mut dyn FnMut(&LogRow) -> ControlFlow<()>,
    ) -> Done {
        let Some(number) = self.written(id)? else { return Ok(()) };
        let from = self.kept(id, from);
        let end = self.sessions.get(id).flatten().map_or(0, |row| row.session.last_seq + 1);
        let missing = |seq| damaged(format!("event {seq} of {id} is missing"));
        let (mut next, mut is_over) = (from, false);
        let read = |row: &Row<'_>| <(i64, u32, Vec<u8>, Vec<u8>)>::try_from(row);
        self.database.each(FROM, (number, sql(from)), read, |(first, sum, sizes, body)| {
            let mut events = Events::of(first.cast_unsigned(), sum, &sizes, body, id.as_str())?;
            while let Some(row) = events.next()? {
                if row.entry.seq < from {
                    continue;
                }
                // A damaged index finds too little.
                if row.entry.seq != next {
                    return Err(missing(next));
                }
                next += 1;
                if visit(&row).is_break() {
                    is_over = true;
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        if is_over || next >= end { Ok(()) } else { Err(missing(next)) }
    }

    pub(crate) fn sizes_in_log(
        &mut self,
        id: &SessionId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<usize>, TableError> {
        let mut found = Vec::new();
        let Some(number) = self.number(id)? else { return Ok(found) };
        let from = self.kept(id, from);
        let read = |row: &Row<'_>| <(i64, Vec<u8>)>::try_from(row);
        self.database.each(SIZES_FROM, (number, sql(from)), read, |(first, sizes)| {
            let numbered = (first.cast_unsigned()..).zip(sizes_of(&sizes));
            let kept = numbered.skip_while(|(seq, _)| *seq < from).map(|(_, size)| size);
            found.extend(kept.take(limit - found.len()));
            Ok(found.len() < limit)
        })?;
        // Those that are not written yet come last, and are rarely asked for.
        if let Some(chunk) = self.logs.get(&number) {
            let numbered = (chunk.first..).zip(sizes_of(&chunk.sizes));
            let kept = numbered.skip_while(|(seq, _)| *seq < from).map(|(_, size)| size);
            found.extend(kept.take(limit - found.len()));
        }
        Ok(found)
    }

    /// What retention takes is deleted with the commit, all at once.
    pub(crate) fn trim_from_log(&mut self, id: &SessionId, first: u64) -> Done {
        if let Some(number) = self.number(id)? {
            self.trimmed.insert(number, first);
        }
        Ok(())
    }

    fn delete_trimmed(&mut self) -> Done {
        while let Some((number, first)) = self.trimmed.pop_first() {
            // Those before the chunk that holds the first event that stays.
            self.database.delete(
                "DELETE FROM log WHERE session = ?1 AND first <
                     (SELECT max(first) FROM log WHERE session = ?1 AND first <= ?2)",
                (number, sql(first)),
            )?;
        }
        Ok(())
    }
}

fn write(database: &mut Database, number: i64, chunk: &Chunk) -> Done {
    if chunk.is_empty() {
        return Ok(());
    }
    database
        .write(
            "INSERT INTO log (session, first, last, sum, sizes, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            chunk.body.len(),
            (number, sql(chunk.first), sql(chunk.last), chunk.sum(), &chunk.sizes, &chunk.body),
        )
        .map(drop)
}
