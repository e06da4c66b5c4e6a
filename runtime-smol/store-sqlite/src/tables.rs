//! The database as tables.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use footbridge_core::base::id::{DeviceId, EnvironmentId, PushId, SessionId, WorkId};
use footbridge_core::base::text::Text;
use footbridge_core::store::{
    AccountId, ClaimRow, Device, DeviceRow, Due, DueRow, Environment, EnvironmentRow, InboundKind,
    InboundRow, LogRow, MessageRow, MetaRow, PushSubscription, QuestionRow, RequestRow, Session,
    SessionFilter, SessionRow, TableError, Tables, WorkRow,
};
use footbridge_core::wire::audit::AuditEntry;

use crate::body::{Body, damaged};
use crate::{MetaState, SqliteTables};

type Done = Result<(), TableError>;

/// A number as SQLite keeps it. No count gets near the end of either range.
pub(crate) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The tables whose rows go with a session.
const OF_SESSION: [&str; 5] = [
    "DELETE FROM log WHERE session = ?1",
    "DELETE FROM inbound WHERE session = ?1",
    "DELETE FROM message WHERE session = ?1",
    "DELETE FROM question WHERE session = ?1",
    "DELETE FROM request WHERE session = ?1",
];

/// A due row's name in its table.
pub(crate) fn name_of(due: &Due) -> String {
    match due {
        Due::Environment(id) => format!("environment {id}"),
        // After the others.
        Due::Work(id) => format!("work {id}"),
        Due::Session(id) => format!("x-session {id}"),
    }
}

fn ids<I, E: std::fmt::Display>(
    texts: Vec<String>,
    id: impl Fn(&str) -> Result<I, E>,
) -> Result<Vec<I>, TableError> {
    let id = |text: String| id(&text).map_err(|error| damaged(format!("an id: {error}")));
    texts.into_iter().map(id).collect()
}

impl SqliteTables {
    fn texts(
        &mut self,
        query: &'static str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<String>, TableError> {
        let mut texts = Vec::new();
        self.database.each(
            query,
            params,
            |row| row.get(0),
            |text| {
                texts.push(text);
                Ok(true)
            },
        )?;
        Ok(texts)
    }
}

impl Drop for SqliteTables {
    /// What was only noted so far is written after all: there is time.
    fn drop(&mut self) {
        if self.meta_state == MetaState::Noted {
            self.meta_state = MetaState::New;
            // Without it the clock continues from a little earlier.
            let _ = self.commit();
        }
    }
}

impl Tables for SqliteTables {
    fn begin(&mut self) -> Done {
        Ok(())
    }

    fn commit(&mut self) -> Done {
        let committed = self.write_all().and_then(|()| self.database.commit());
        if committed.is_err() {
            self.rollback();
            return committed;
        }
        self.environments.bound();
        self.works.bound();
        self.sessions.bound();
        Ok(())
    }

    fn rollback(&mut self) {
        self.database.rollback();
        self.forget();
    }

    fn bytes(&mut self) -> Result<u64, TableError> {
        self.database.bytes()
    }

    fn prove(&mut self, bytes: usize) -> Done {
        self.database.prove(bytes)
    }

    fn check_room(&mut self) -> Done {
        self.database.check_room()
    }

    fn meta(&mut self) -> Result<MetaRow, TableError> {
        if let Some(meta) = &self.meta {
            return Ok(meta.clone());
        }
        let meta = self.database.row("meta", "SELECT sum, body FROM meta", [])?;
        let meta: MetaRow = meta.unwrap_or_default();
        self.meta = Some(meta.clone());
        Ok(meta)
    }

    fn put_meta(&mut self, row: MetaRow) -> Done {
        if self.meta.as_ref() != Some(&row) {
            self.meta = Some(row);
            self.meta_state = MetaState::New;
        }
        Ok(())
    }

    fn note_meta(&mut self, row: MetaRow) -> Done {
        if self.meta.as_ref() != Some(&row) {
            self.meta = Some(row);
            if self.meta_state == MetaState::Written {
                self.meta_state = MetaState::Noted;
            }
        }
        Ok(())
    }

    fn environment(&mut self, id: &EnvironmentId) -> Result<Option<EnvironmentRow>, TableError> {
        if self.environments.get(id).is_none() {
            let row = self.database.row(
                id.as_str(),
                "SELECT sum, body FROM environment WHERE id = ?1",
                [id.as_str()],
            )?;
            self.environments.note(id.clone(), row);
        }
        Ok(self.environments.get(id).flatten().cloned())
    }

    fn put_environment(&mut self, row: EnvironmentRow) -> Done {
        self.environments.put(row.environment.id.clone(), row);
        Ok(())
    }

    fn delete_environment(&mut self, id: &EnvironmentId) -> Done {
        self.environments.note(id.clone(), None);
        let id = [id.as_str()];
        self.database.delete("DELETE FROM queue WHERE environment = ?1", id)?;
        self.database.delete("DELETE FROM claim WHERE environment = ?1", id)?;
        self.database.delete("DELETE FROM environment WHERE id = ?1", id)
    }

    fn count_environments(&mut self, owner: Option<&AccountId>) -> Result<usize, TableError> {
        self.write_environments()?;
        let count: Option<i64> = match owner {
            Some(owner) => self
                .database
                .value("SELECT count(*) FROM environment WHERE owner = ?1", [owner.0.as_str()])?,
            None => self.database.value("SELECT count(*) FROM environment", [])?,
        };
        Ok(count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0))
    }

    fn environments(&mut self, owner: &AccountId) -> Result<Vec<Environment>, TableError> {
        self.write_environments()?;
        let rows: Vec<EnvironmentRow> = self.database.rows(
            "an environment",
            "SELECT sum, body FROM environment WHERE owner = ?1 ORDER BY id",
            [owner.0.as_str()],
        )?;
        Ok(rows.into_iter().map(|row| row.environment).collect())
    }

    fn first_queued(&mut self, id: &EnvironmentId) -> Result<Option<(i64, WorkId)>, TableError> {
        let mut first = None;
        self.database.each(
            "SELECT position, work FROM queue WHERE environment = ?1 ORDER BY position LIMIT 1",
            [id.as_str()],
            |row| <(i64, String)>::try_from(row),
            |found| {
                first = Some(found);
                Ok(false)
            },
        )?;
        let Some((position, work)) = first else { return Ok(None) };
        let work = WorkId::new(&work).map_err(|error| damaged(format!("a queue: {error}")))?;
        Ok(Some((position, work)))
    }

    fn put_queued(&mut self, id: &EnvironmentId, position: i64, work: WorkId) -> Done {
        self.database
            .write(
                "INSERT OR REPLACE INTO queue (environment, position, work) VALUES (?1, ?2, ?3)",
                0,
                (id.as_str(), position, work.as_str()),
            )
            .map(drop)
    }

    fn delete_queued(&mut self, id: &EnvironmentId, position: i64) -> Done {
        self.database.delete(
            "DELETE FROM queue WHERE environment = ?1 AND position = ?2",
            (id.as_str(), position),
        )
    }

    fn claim(&mut self, id: &EnvironmentId, key: &str) -> Result<Option<ClaimRow>, TableError> {
        self.database.row(
            "a claim",
            "SELECT sum, body FROM claim WHERE environment = ?1 AND key = ?2",
            (id.as_str(), key),
        )
    }

    fn put_claim(&mut self, row: ClaimRow) -> Done {
        let Body { sum, json } = Body::of(&row)?;
        self.database
            .write(
                "INSERT OR REPLACE INTO claim (environment, key, number, sum, body)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                json.len(),
                (row.environment.as_str(), &row.key, sql(row.number), sum, &json),
            )
            .map(drop)
    }

    fn delete_claims(&mut self, id: &EnvironmentId, until: u64) -> Done {
        self.database.delete(
            "DELETE FROM claim WHERE environment = ?1 AND number <= ?2",
            (id.as_str(), sql(until)),
        )
    }

    fn work(&mut self, id: &WorkId) -> Result<Option<WorkRow>, TableError> {
        if self.works.get(id).is_none() {
            let row = self.database.row(
                id.as_str(),
                "SELECT sum, body FROM work WHERE id = ?1",
                [id.as_str()],
            )?;
            self.works.note(id.clone(), row);
        }
        Ok(self.works.get(id).flatten().cloned())
    }

    fn put_work(&mut self, row: WorkRow) -> Done {
        self.works.put(row.id.clone(), row);
        Ok(())
    }

    fn delete_work(&mut self, id: &WorkId) -> Done {
        self.works.note(id.clone(), None);
        self.database.delete("DELETE FROM work WHERE id = ?1", [id.as_str()])
    }

    fn works_of(&mut self, id: &EnvironmentId) -> Result<Vec<WorkId>, TableError> {
        self.write_works()?;
        let query = "SELECT id FROM work WHERE environment = ?1 ORDER BY id";
        ids(self.texts(query, [id.as_str()])?, WorkId::new)
    }

    fn session(&mut self, id: &SessionId) -> Result<Option<SessionRow>, TableError> {
        self.load_session(id)?;
        Ok(self.sessions.get(id).flatten().cloned())
    }

    fn put_session(&mut self, row: SessionRow) -> Done {
        self.note_held(&row.session.id, Some(&row));
        self.sessions.put(row.session.id.clone(), row);
        Ok(())
    }

    fn delete_session(&mut self, id: &SessionId) -> Done {
        let Some(number) = self.number(id)? else { return Ok(()) };
        self.note_held(id, None);
        self.sessions.note(id.clone(), None);
        self.logs.remove(&number);
        self.trimmed.remove(&number);
        for sql in OF_SESSION {
            self.database.delete(sql, [number])?;
        }
        self.database.delete("DELETE FROM session WHERE number = ?1", [number])
    }

    fn session_by_key(
        &mut self,
        owner: &AccountId,
        key: &str,
    ) -> Result<Option<SessionId>, TableError> {
        self.write_sessions()?;
        let query = "SELECT id FROM session WHERE owner = ?1 AND key = ?2";
        let found = self.texts(query, (owner.0.as_str(), key))?;
        Ok(ids(found, SessionId::new)?.pop())
    }

    fn live_sessions(&mut self, id: &EnvironmentId) -> Result<Vec<SessionId>, TableError> {
        self.write_sessions()?;
        let query = "SELECT id FROM session WHERE environment = ?1 AND ended IS NULL ORDER BY id";
        ids(self.texts(query, [id.as_str()])?, SessionId::new)
    }

    fn newest_sessions(&mut self, filter: SessionFilter<'_>) -> Result<Vec<Session>, TableError> {
        self.write_sessions()?;
        let owner = filter.owner.0.as_str();
        let (before, limit) = (sql(filter.before), sql(filter.limit as u64));
        let rows: Vec<SessionRow> = match filter.environment {
            Some(environment) => self.database.rows(
                "a session",
                "SELECT sum, body FROM session
                 WHERE owner = ?1 AND number < ?2 AND environment = ?4
                 ORDER BY number DESC LIMIT ?3",
                (owner, before, limit, environment.as_str()),
            )?,
            None => self.database.rows(
                "a session",
                "SELECT sum, body FROM session WHERE owner = ?1 AND number < ?2
                 ORDER BY number DESC LIMIT ?3",
                (owner, before, limit),
            )?,
        };
        Ok(rows.into_iter().map(|row| row.session).collect())
    }

    fn held(&mut self) -> Result<BTreeMap<AccountId, u64>, TableError> {
        if let Some(held) = &self.held {
            return Ok(held.clone());
        }
        self.write_sessions()?;
        let mut held = BTreeMap::new();
        self.database.each("SELECT sum, body FROM session", [], Body::read, |body| {
            if let Ok(row) = body.parse::<SessionRow>("a session") {
                *held.entry(row.session.owner.clone()).or_default() += row.held();
            }
            Ok(true)
        })?;
        self.held = Some(held.clone());
        Ok(held)
    }

    fn first_ended(
        &mut self,
        owner: &AccountId,
        limit: usize,
    ) -> Result<Vec<SessionId>, TableError> {
        self.write_sessions()?;
        let query = "SELECT id FROM session WHERE owner = ?1 AND ended IS NOT NULL
                     ORDER BY ended LIMIT ?2";
        ids(self.texts(query, (owner.0.as_str(), sql(limit as u64)))?, SessionId::new)
    }

    fn surplus_ended(
        &mut self,
        owner: &AccountId,
        keep: usize,
    ) -> Result<Vec<SessionId>, TableError> {
        self.write_sessions()?;
        // The newest first, so that the usual answer is found without a look at the others.
        let query = "SELECT id FROM session WHERE owner = ?1 AND ended IS NOT NULL
                     ORDER BY ended DESC LIMIT -1 OFFSET ?2";
        let mut found = self.texts(query, (owner.0.as_str(), sql(keep as u64)))?;
        found.reverse();
        ids(found, SessionId::new)
    }

    fn append_log(&mut self, id: &SessionId, rows: Vec<LogRow>) -> Done {
        self.append_to_log(id, rows)
    }

    fn read_log(
        &mut self,
        id: &SessionId,
        from: u64,
        visit: &mut dyn FnMut(&LogRow) -> ControlFlow<()>,
    ) -> Done {
        self.read_from_log(id, from, visit)
    }

    fn log_sizes(
        &mut self,
        id: &SessionId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<usize>, TableError> {
        self.sizes_in_log(id, from, limit)
    }

    fn trim_log(&mut self, id: &SessionId, first: u64) -> Done {
        self.trim_from_log(id, first)
    }

    fn append_inbound(&mut self, id: &SessionId, rows: Vec<InboundRow>) -> Done {
        let Some(number) = self.number(id)? else { return Ok(()) };
        for InboundRow { number: line_number, end, seq, kind, line } in rows {
            let sum = crc32fast::hash(line.as_bytes());
            self.database.write(
                "INSERT INTO inbound (session, number, ends, seq, kind, sum, line)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                line.len(),
                (number, sql(line_number), sql(end), sql(seq), kind.as_str(), sum, line.as_str()),
            )?;
        }
        Ok(())
    }

    fn read_inbound(
        &mut self,
        id: &SessionId,
        from: u64,
        visit: &mut dyn FnMut(&InboundRow) -> ControlFlow<()>,
    ) -> Done {
        let Some(number) = self.number(id)? else { return Ok(()) };
        let mut next = None;
        self.database.each(
            "SELECT number, ends, seq, kind, sum, line FROM inbound
             WHERE session = ?1 AND number >= ?2 ORDER BY number",
            (number, sql(from)),
            |row| <(i64, i64, i64, String, u32, String)>::try_from(row),
            |(number, end, seq, kind, sum, line)| {
                let is_next = next.is_none_or(|next| number == next);
                next = Some(number + 1);
                if !is_next {
                    return Err(damaged(format!("a line for the agent of {id} is missing")));
                }
                let kind = InboundKind::parse(&kind);
                let Some(kind) = kind.filter(|_| crc32fast::hash(line.as_bytes()) == sum) else {
                    return Err(damaged(format!(
                        "line {number} for the agent of {id} has changed since it was written"
                    )));
                };
                let row = InboundRow {
                    number: number.cast_unsigned(),
                    end: end.cast_unsigned(),
                    seq: seq.cast_unsigned(),
                    kind,
                    line: Text::from(line),
                };
                Ok(visit(&row).is_continue())
            },
        )
    }

    fn trim_inbound(&mut self, id: &SessionId, until: u64) -> Done {
        let Some(number) = self.number(id)? else { return Ok(()) };
        self.database
            .delete("DELETE FROM inbound WHERE session = ?1 AND number <= ?2", (number, sql(until)))
    }

    fn message(&mut self, id: &SessionId, uuid: &str) -> Result<Option<MessageRow>, TableError> {
        let Some(number) = self.number(id)? else { return Ok(None) };
        self.database.row(
            "a message",
            "SELECT sum, body FROM message WHERE session = ?1 AND uuid = ?2",
            (number, uuid),
        )
    }

    fn put_message(&mut self, id: &SessionId, row: MessageRow) -> Done {
        let Some(number) = self.number(id)? else { return Ok(()) };
        let Body { sum, json } = Body::of(&row)?;
        self.database
            .write(
                "INSERT OR REPLACE INTO message (session, uuid, number, sum, body)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                json.len(),
                (number, &row.uuid, sql(row.number), sum, &json),
            )
            .map(drop)
    }

    fn delete_messages(&mut self, id: &SessionId, until: u64) -> Done {
        let Some(number) = self.number(id)? else { return Ok(()) };
        self.database
            .delete("DELETE FROM message WHERE session = ?1 AND number <= ?2", (number, sql(until)))
    }

    fn question(
        &mut self,
        id: &SessionId,
        request_id: &str,
    ) -> Result<Option<QuestionRow>, TableError> {
        let Some(number) = self.number(id)? else { return Ok(None) };
        self.database.row(
            "a question",
            "SELECT sum, body FROM question WHERE session = ?1 AND request_id = ?2",
            (number, request_id),
        )
    }

    fn put_question(&mut self, id: &SessionId, row: QuestionRow) -> Done {
        let Some(number) = self.number(id)? else { return Ok(()) };
        let Body { sum, json } = Body::of(&row)?;
        let closed = row.standing.closed_at().map(sql);
        self.database
            .write(
                "INSERT INTO question (session, request_id, closed, sum, body)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (session, request_id) DO UPDATE SET
                 closed = ?3, sum = ?4, body = ?5",
                json.len(),
                (number, &row.question.request_id, closed, sum, &json),
            )
            .map(drop)
    }

    fn delete_closed_questions(&mut self, id: &SessionId, first: u64) -> Done {
        let Some(number) = self.number(id)? else { return Ok(()) };
        self.database
            .delete("DELETE FROM question WHERE session = ?1 AND closed < ?2", (number, sql(first)))
    }

    fn requests(&mut self, id: &SessionId) -> Result<Vec<RequestRow>, TableError> {
        let Some(number) = self.number(id)? else { return Ok(Vec::new()) };
        self.database.rows(
            "a request",
            "SELECT sum, body FROM request WHERE session = ?1 ORDER BY number",
            [number],
        )
    }

    fn put_request(&mut self, id: &SessionId, row: RequestRow) -> Done {
        let Some(number) = self.number(id)? else { return Ok(()) };
        let Body { sum, json } = Body::of(&row)?;
        self.database
            .write(
                "INSERT OR REPLACE INTO request (session, number, sum, body)
                 VALUES (?1, ?2, ?3, ?4)",
                json.len(),
                (number, sql(row.number), sum, &json),
            )
            .map(drop)
    }

    fn delete_request(&mut self, id: &SessionId, number: u64) -> Done {
        let Some(session) = self.number(id)? else { return Ok(()) };
        self.database.delete(
            "DELETE FROM request WHERE session = ?1 AND number = ?2",
            (session, sql(number)),
        )
    }

    fn device(&mut self, id: &DeviceId) -> Result<Option<DeviceRow>, TableError> {
        self.database.row(id.as_str(), "SELECT sum, body FROM device WHERE id = ?1", [id.as_str()])
    }

    fn put_device(&mut self, row: DeviceRow) -> Done {
        let Body { sum, json } = Body::of(&row)?;
        let Device { id, owner, .. } = &row.device;
        self.database
            .write(
                "INSERT INTO device (id, owner, sum, body) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET owner = ?2, sum = ?3, body = ?4",
                json.len(),
                (id.as_str(), &owner.0, sum, &json),
            )
            .map(drop)
    }

    fn delete_device(&mut self, id: &DeviceId) -> Done {
        self.database.delete("DELETE FROM device WHERE id = ?1", [id.as_str()])
    }

    fn devices(&mut self, owner: &AccountId) -> Result<Vec<Device>, TableError> {
        let rows: Vec<DeviceRow> = self.database.rows(
            "a device",
            "SELECT sum, body FROM device WHERE owner = ?1 ORDER BY id",
            [owner.0.as_str()],
        )?;
        Ok(rows.into_iter().map(|row| row.device).collect())
    }

    fn push(&mut self, id: &PushId) -> Result<Option<PushSubscription>, TableError> {
        self.database.row(id.as_str(), "SELECT sum, body FROM push WHERE id = ?1", [id.as_str()])
    }

    fn put_push(&mut self, row: PushSubscription) -> Done {
        let Body { sum, json } = Body::of(&row)?;
        self.database
            .write(
                "INSERT INTO push (id, owner, sum, body) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET owner = ?2, sum = ?3, body = ?4",
                json.len(),
                (row.id.as_str(), &row.owner.0, sum, &json),
            )
            .map(drop)
    }

    fn delete_push(&mut self, id: &PushId) -> Done {
        self.database.delete("DELETE FROM push WHERE id = ?1", [id.as_str()])
    }

    fn pushes(&mut self, owner: &AccountId) -> Result<Vec<PushSubscription>, TableError> {
        self.database.rows(
            "a subscription",
            "SELECT sum, body FROM push WHERE owner = ?1 ORDER BY id",
            [owner.0.as_str()],
        )
    }

    fn last_audit(&mut self, owner: &AccountId) -> Result<u64, TableError> {
        let last: Option<i64> = self.database.value(
            "SELECT coalesce(max(number), 0) FROM audit WHERE owner = ?1",
            [owner.0.as_str()],
        )?;
        Ok(last.map_or(0, i64::cast_unsigned))
    }

    fn audit(
        &mut self,
        owner: &AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, TableError> {
        self.database.rows(
            "an entry of the audit log",
            "SELECT sum, body FROM audit WHERE owner = ?1 AND number > ?2
             ORDER BY number LIMIT ?3",
            (owner.0.as_str(), sql(after), sql(limit as u64)),
        )
    }

    fn put_audit(&mut self, owner: &AccountId, entry: AuditEntry) -> Done {
        let Body { sum, json } = Body::of(&entry)?;
        self.database
            .write(
                "INSERT OR REPLACE INTO audit (owner, number, sum, body) VALUES (?1, ?2, ?3, ?4)",
                json.len(),
                (owner.0.as_str(), sql(entry.seq), sum, &json),
            )
            .map(drop)
    }

    fn trim_audit(&mut self, owner: &AccountId, until: u64) -> Done {
        self.database.delete(
            "DELETE FROM audit WHERE owner = ?1 AND number <= ?2
             AND number < (SELECT max(number) FROM audit WHERE owner = ?1)",
            (owner.0.as_str(), sql(until)),
        )
    }

    fn first_due(&mut self) -> Result<Option<DueRow>, TableError> {
        if let Some(known) = &self.first_due {
            return Ok(known.clone());
        }
        let query = "SELECT sum, body FROM due ORDER BY at, what LIMIT 1";
        let first = self.database.row("what is due first", query, [])?;
        self.first_due = Some(first.clone());
        Ok(first)
    }

    fn put_due(&mut self, row: DueRow) -> Done {
        let Body { sum, json } = Body::of(&row)?;
        self.database.write(
            "INSERT OR IGNORE INTO due (at, what, sum, body) VALUES (?1, ?2, ?3, ?4)",
            json.len(),
            (sql(row.at.as_millis()), name_of(&row.what), sum, &json),
        )?;
        if let Some(known) = &mut self.first_due
            && known.as_ref().is_none_or(|first| row < *first)
        {
            *known = Some(row);
        }
        Ok(())
    }

    fn delete_due(&mut self, row: &DueRow) -> Done {
        if self.first_due.as_ref().is_some_and(|known| known.as_ref() == Some(row)) {
            self.first_due = None;
        }
        self.database.delete(
            "DELETE FROM due WHERE at = ?1 AND what = ?2",
            (sql(row.at.as_millis()), name_of(&row.what)),
        )
    }
}
