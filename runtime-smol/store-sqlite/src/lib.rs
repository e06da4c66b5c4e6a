//! What a Footbridge relay keeps, in one SQLite database on its own disk.
//!
//! ```text
//!   RuleStore ──▶ SqliteTables ──▶ rows as JSON, events in chunks ──▶ SQLite ──▶ store.db
//!   (the core)        │                                                │
//!                     └── rows in use, in memory      checkpoints, by a thread of their own
//! ```
//!
//! It decides nothing: the rules are the core's. Each batch of operations is one transaction with
//! one `fdatasync` at its end, and one that writes nothing has none. Memory does not grow with what
//! is stored.
//!
//! ```no_run
//! let store = footbridge_store_sqlite::open("/var/lib/footbridge".as_ref())?.store;
//! # Ok::<(), footbridge_store_sqlite::OpenError>(())
//! ```

mod backup;
mod body;
mod cached;
mod checkpoint;
mod chunk;
mod connection;
mod database;
mod directory;
mod error;
mod log;
mod pending;
mod room;
mod salvage;
mod schema;
mod tables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use footbridge_core::base::id::{EnvironmentId, SessionId, WorkId};
use footbridge_core::base::io_error::{IoError, IoErrorKind};
use footbridge_core::store::{
    AccountId, Committed, DueRow, EnvironmentRow, MetaRow, RuleStore, SessionRow, Store,
    Transaction, WorkRow,
};

pub use self::backup::backup;
use self::cached::Cached;
use self::database::Database;
use self::directory::{Directory, Found};
pub use self::error::OpenError;
use self::log::NewEvents;
pub use self::salvage::Salvaged;
use self::salvage::salvage;

/// A store that outlives its process.
#[derive(Debug)]
pub struct SqliteStore {
    rules: RuleStore<SqliteTables>,
}

impl Store for SqliteStore {
    fn commit(&mut self, batch: &[Transaction]) -> Vec<Result<Committed, IoError>> {
        let mut outcomes = self.rules.commit(batch);
        if self.rules.tables().database.take_made_room() {
            for (one, outcome) in batch.chunks(1).zip(&mut outcomes) {
                if matches!(outcome, Err(error) if error.kind == IoErrorKind::Full)
                    && let Some(again) = self.rules.commit(one).pop()
                {
                    *outcome = again;
                }
            }
        }
        let is_damage = |outcome: &Result<_, IoError>| matches!(outcome, Err(error) if error.kind == IoErrorKind::Damaged);
        if outcomes.iter().any(is_damage) {
            self.rules.tables().directory.note_damage();
        }
        outcomes
    }
}

/// A store, and what had to be done to open it.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: SqliteStore,
    /// What was left of a damaged one.
    pub salvaged: Option<Salvaged>,
    /// Set if there was no database, so that this one is empty.
    pub made: Option<Made>,
    /// Whether no worker and no session is in it.
    pub is_empty: bool,
}

/// A database that was made because there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its file.
    pub path: PathBuf,
    /// What an earlier one had committed last, in a write-ahead log that was put aside. It can be
    /// read only beside that database.
    pub orphaned_log: Option<PathBuf>,
}

/// Opens the store in a directory, which is made if it is missing. No other process can open it
/// until this one drops it or ends.
///
/// If it is damaged, or damage was found while it was open last, what is whole is taken over into a
/// new database.
pub fn open(directory: &Path) -> Result<Opened, OpenError> {
    let directory = Directory::take(directory)?;
    let path = directory.database();
    let opened = if directory.is_damage_noted() { None } else { Some(Database::open(&path)) };
    let (mut database, salvaged) = match opened {
        None | Some(Err(OpenError::Damaged { .. })) => {
            let salvaged = salvage(&path)?;
            directory.damage_is_mended().map_err(|error| OpenError::io(&path, &error))?;
            (Database::open(&path)?, Some(salvaged))
        }
        Some(opened) => (opened?, None),
    };
    let made = match directory.found() {
        Found::Database => None,
        Found::NoDatabase { log } => Some(Made { path, orphaned_log: log.clone() }),
    };
    let has_rows = database
        .value("SELECT EXISTS (SELECT 1 FROM session) OR EXISTS (SELECT 1 FROM environment)", []);
    database.rollback();
    let is_empty = matches!(has_rows, Ok(Some(false)));
    let rules = RuleStore::over(SqliteTables::over(database, directory));
    Ok(Opened { store: SqliteStore { rules }, salvaged, made, is_empty })
}

/// Where the meta row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MetaState {
    /// The database has it.
    Written,
    /// To be written with whatever is written next.
    Noted,
    /// To be written with the open transaction.
    New,
}

/// Rows in a SQLite database.
#[derive(Debug)]
pub struct SqliteTables {
    database: Database,
    environments: Cached<EnvironmentId, EnvironmentRow>,
    works: Cached<WorkId, WorkRow>,
    sessions: Cached<SessionId, SessionRow>,
    logs: NewEvents,
    /// The first event that stays, of the logs that the open transaction has trimmed.
    trimmed: BTreeMap<i64, u64>,
    meta: Option<MetaRow>,
    meta_state: MetaState,
    /// What each owner's sessions hold, if that was counted.
    held: Option<BTreeMap<AccountId, u64>>,
    /// What is due first, if that is known.
    first_due: Option<Option<DueRow>>,
    /// Given up last.
    directory: Directory,
}

impl SqliteTables {
    fn over(database: Database, directory: Directory) -> Self {
        Self {
            database,
            environments: Cached::default(),
            works: Cached::default(),
            sessions: Cached::default(),
            logs: NewEvents::new(),
            trimmed: BTreeMap::new(),
            meta: None,
            meta_state: MetaState::Written,
            held: None,
            first_due: None,
            directory,
        }
    }
}
