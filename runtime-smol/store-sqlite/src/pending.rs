//! The rows that are kept in memory between operations: read once, and written at the commit.

use footbridge_core::base::id::SessionId;
use footbridge_core::store::{Environment, SessionRow, TableError};

use crate::body::Body;
use crate::tables::sql;
use crate::{MetaState, SqliteTables};

type Done = Result<(), TableError>;

impl SqliteTables {
    /// The number of a session that has a row.
    pub(crate) fn number(&mut self, id: &SessionId) -> Result<Option<i64>, TableError> {
        self.load_session(id)?;
        let row = self.sessions.get(id).flatten();
        Ok(row.map(|row| sql(row.session.ordinal)))
    }

    pub(crate) fn load_session(&mut self, id: &SessionId) -> Done {
        if self.sessions.get(id).is_some() {
            return Ok(());
        }
        let row = self.database.row(
            id.as_str(),
            "SELECT sum, body FROM session WHERE id = ?1",
            [id.as_str()],
        )?;
        self.sessions.note(id.clone(), row);
        Ok(())
    }

    /// Takes note of what a session is about to hold, where that is counted.
    pub(crate) fn note_held(&mut self, id: &SessionId, row: Option<&SessionRow>) {
        let Some(held) = &mut self.held else { return };
        let Some(before) = self.sessions.get(id) else {
            // It is counted again.
            self.held = None;
            return;
        };
        if let Some(owner) = row.or(before).map(|row| &row.session.owner) {
            let own = held.entry(owner.clone()).or_default();
            *own = *own + row.map_or(0, SessionRow::held) - before.map_or(0, SessionRow::held);
        }
    }

    /// Writes the sessions that the open transaction has changed.
    pub(crate) fn write_sessions(&mut self) -> Done {
        let database = &mut self.database;
        self.sessions.write(|row| {
            let session = &row.session;
            let Body { sum, json } = Body::of(row)?;
            let (number, ended) = (sql(session.ordinal), row.ended.map(sql));
            // What most changes change. It leaves the indexes alone.
            let changed = database.write(
                "UPDATE session SET sum = ?3, body = ?4 WHERE number = ?1 AND ended IS ?2",
                json.len(),
                (number, ended, sum, &json),
            )?;
            if changed > 0 {
                return Ok(());
            }
            let (id, owner) = (session.id.as_str(), session.owner.0.as_str());
            let environment = session.environment.as_str();
            let columns = (number, id, owner, environment, row.key.as_deref(), ended, sum, &json);
            database
                .write(
                    "INSERT INTO session (number, id, owner, environment, key, ended, sum, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                     ON CONFLICT (number) DO UPDATE SET
                     environment = ?4, ended = ?6, sum = ?7, body = ?8",
                    json.len(),
                    columns,
                )
                .map(drop)
        })
    }

    pub(crate) fn write_environments(&mut self) -> Done {
        let database = &mut self.database;
        self.environments.write(|row| {
            let Environment { id, owner, .. } = &row.environment;
            let Body { sum, json } = Body::of(row)?;
            database
                .write(
                    "INSERT INTO environment (id, owner, sum, body) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (id) DO UPDATE SET sum = ?3, body = ?4",
                    json.len(),
                    (id.as_str(), owner.0.as_str(), sum, &json),
                )
                .map(drop)
        })
    }

    pub(crate) fn write_works(&mut self) -> Done {
        let database = &mut self.database;
        self.works.write(|row| {
            let Body { sum, json } = Body::of(row)?;
            database
                .write(
                    "INSERT INTO work (id, environment, sum, body) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (id) DO UPDATE SET sum = ?3, body = ?4",
                    json.len(),
                    (row.id.as_str(), row.environment.as_str(), sum, &json),
                )
                .map(drop)
        })
    }

    fn write_meta(&mut self) -> Done {
        let is_due = match self.meta_state {
            MetaState::Written => false,
            MetaState::Noted => self.database.has_written(),
            MetaState::New => true,
        };
        if !is_due {
            return Ok(());
        }
        if let Some(meta) = &self.meta {
            let Body { sum, json } = Body::of(meta)?;
            self.database.write(
                "INSERT INTO meta (id, sum, body) VALUES (1, ?1, ?2)
                 ON CONFLICT (id) DO UPDATE SET sum = ?1, body = ?2",
                json.len(),
                (sum, &json),
            )?;
        }
        self.meta_state = MetaState::Written;
        Ok(())
    }

    /// Writes all that the open transaction has changed.
    pub(crate) fn write_all(&mut self) -> Done {
        self.write_environments()?;
        self.write_works()?;
        self.write_sessions()?;
        self.write_logs()?;
        self.write_meta()
    }

    /// Forgets what it knows of rows: they are as they were before the open transaction.
    pub(crate) fn forget(&mut self) {
        self.environments.forget();
        self.works.forget();
        self.sessions.forget();
        self.logs.clear();
        self.trimmed.clear();
        self.held = None;
        self.first_due = None;
        self.meta = None;
        self.meta_state = MetaState::Written;
    }
}
