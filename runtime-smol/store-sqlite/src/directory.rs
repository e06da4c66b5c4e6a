//! The directory that a relay keeps its things in, and the lock that makes it one relay's.
//!
//! A database that is missing is made. SQLite would throw away a write-ahead log that has lost its
//! database, and what was committed last with it; it is put aside instead.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::error::OpenError;

/// The database's file. SQLite adds files of its own beside it.
const DATABASE: &str = "store.db";
/// The lock's file. It is never removed: whoever waits for it would hold a lock on nothing.
const LOCK: &str = "lock";
/// There while something in the database is known to be damaged.
const DAMAGED: &str = "damaged";

/// What was in the directory when it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Database,
    /// An empty one has been made. The write-ahead log of one that was there before is put aside.
    NoDatabase {
        log: Option<PathBuf>,
    },
}

/// A relay's directory, held by this process until it is dropped, or the process ends in any way.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    found: Found,
    /// The system releases the lock with the open file.
    _lock: File,
}

impl Directory {
    /// Makes the directory if it is missing, and takes it.
    pub(crate) fn take(path: &Path) -> Result<Self, OpenError> {
        let failed = |path: &Path, error: &io::Error| OpenError::io(path, error);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| failed(path, &error))?;
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // Whoever could write to the directory would otherwise choose which file is written to.
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(&lock_path)
            .map_err(|error| failed(&lock_path, &error))?;
        if !lock.metadata().is_ok_and(|metadata| metadata.is_file()) {
            let error = io::Error::other("it is not a regular file");
            return Err(failed(&lock_path, &error));
        }
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(OpenError::InUse { directory: path.into(), pid: holder(lock) });
            }
            Err(error) => return Err(failed(&lock_path, &error.into())),
        }
        // For people only; who holds the lock is the system's to know.
        let _ = lock.set_len(0).and_then(|()| (&lock).write_all(pid_line().as_bytes()));
        let database = database_in(path);
        let found = find_or_make(path, &database).map_err(|error| failed(&database, &error))?;
        Ok(Self { path: path.into(), found, _lock: lock })
    }

    pub(crate) const fn found(&self) -> &Found {
        &self.found
    }

    pub(crate) fn database(&self) -> PathBuf {
        database_in(&self.path)
    }

    /// Takes note that something in the database is damaged, so that the next start looks at all of
    /// it.
    pub(crate) fn note_damage(&self) {
        // Without the note the damage is found again where it is read.
        let _ = make_file(&self.path.join(DAMAGED));
    }

    pub(crate) fn is_damage_noted(&self) -> bool {
        self.path.join(DAMAGED).exists()
    }

    pub(crate) fn damage_is_mended(&self) -> io::Result<()> {
        match fs::remove_file(self.path.join(DAMAGED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => File::open(&self.path)?.sync_all(),
        }
    }
}

fn find_or_make(directory: &Path, database: &Path) -> io::Result<Found> {
    match database.metadata() {
        Ok(metadata) if metadata.len() > 0 => return Ok(Found::Database),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Ok(to) = fs::read_link(database) {
                let to = to.display();
                let words = format!(
                    "it is a link to {to}, where there is nothing: put back what it leads to, or remove the link"
                );
                return Err(io::Error::other(words));
            }
            make_file(database)?;
        }
        Err(error) => return Err(error),
    }
    let log = beside(database, "-wal");
    let has_log = log.metadata().is_ok_and(|metadata| metadata.len() > 0);
    let aside = has_log.then(|| aside(&log, "orphaned"));
    if let Some(aside) = &aside {
        fs::rename(&log, aside)?;
    }
    File::open(directory)?.sync_all()?;
    Ok(Found::NoDatabase { log: aside })
}

/// A file that SQLite keeps beside a database.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Where a file goes that is kept for people, but not used any more.
pub(crate) fn aside(path: &Path, why: &str) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    beside(path, &format!(".{why}-{now}"))
}

/// Makes an empty file; SQLite would make one that others can read.
pub(crate) fn make_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.sync_all()
}

/// The database's file in a relay's directory.
pub(crate) fn database_in(directory: &Path) -> PathBuf {
    directory.join(DATABASE)
}

fn pid_line() -> String {
    format!("{}\n", std::process::id())
}

fn holder(lock: File) -> Option<u32> {
    let mut text = String::new();
    lock.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
