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
//! let store = footbridge_store_sqlite::open("/var/lib/footbridge".as_ref())?;
//! # Ok::<(), footbridge_store_sqlite::OpenError>(())
//! ```

mod body;
mod cached;
mod checkpoint;
mod chunk;
mod database;
mod directory;
mod error;
mod log;
mod schema;
mod tables;

use std::path::Path;

use footbridge_core::base::id::{EnvironmentId, SessionId, WorkId};
use footbridge_core::store::{DueRow, EnvironmentRow, MetaRow, RuleStore, SessionRow, WorkRow};

use self::cached::Cached;
use self::database::Database;
use self::directory::Directory;
pub use self::error::OpenError;
use self::log::NewEvents;

/// A store that outlives its process.
pub type SqliteStore = RuleStore<SqliteTables>;

/// Opens the store in a directory, which is made if it is missing. No other process can open it
/// until this one drops it or ends.
pub fn open(directory: &Path) -> Result<SqliteStore, OpenError> {
    SqliteTables::open(directory).map(RuleStore::over)
}

/// Rows in a SQLite database.
#[derive(Debug)]
pub struct SqliteTables {
    database: Database,
    environments: Cached<EnvironmentId, EnvironmentRow>,
    works: Cached<WorkId, WorkRow>,
    sessions: Cached<SessionId, SessionRow>,
    logs: NewEvents,
    meta: Option<MetaRow>,
    /// Whether the database does not have it yet.
    meta_is_new: bool,
    /// What is due first, if that is known.
    first_due: Option<Option<DueRow>>,
    /// Given up last.
    _directory: Directory,
}

impl SqliteTables {
    fn open(directory: &Path) -> Result<Self, OpenError> {
        let directory = Directory::take(directory)?;
        Ok(Self {
            database: Database::open(&directory.database())?,
            environments: Cached::default(),
            works: Cached::default(),
            sessions: Cached::default(),
            logs: NewEvents::new(),
            meta: None,
            meta_is_new: false,
            first_due: None,
            _directory: directory,
        })
    }
}
