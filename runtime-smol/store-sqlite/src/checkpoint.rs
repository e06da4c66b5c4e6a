//! Moves what was committed from the write-ahead log into the database, without holding up commits.
//!
//! A thread of its own copies pages while commits go on, and so never quite reaches the end of the
//! log. What little is left then is copied between two commits, and the log starts over.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::connection::connect;
use crate::room;

/// Bytes written since the last checkpoint at which another begins, at the most.
const BEGIN_AT: usize = 16 << 20;
/// The same where the disk has hardly any room.
const BEGIN_AT_LEAST: usize = 512 << 10;
/// The log may take this part of what is free: a checkpoint needs room as well.
const PART_OF_FREE: u64 = 4;
/// Of that, what may be written during a checkpoint before another is made, and only then the log
/// starts over.
const PART_AGAIN: usize = 4;
/// How often the thread is looked at by whoever needs the room that it makes.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(1);
/// Checkpoints that are made before the log starts over, however much is left.
const MAX_ROUNDS: u32 = 4;

/// The thread, and where it stands.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    asks: Option<SyncSender<()>>,
    /// Set by the thread once a checkpoint is done.
    is_done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Whether the thread is at it.
    is_running: bool,
    rounds: u32,
    /// Bytes written since the last checkpoint began.
    written: usize,
    path: PathBuf,
    /// How many of them make another one due.
    begin_at: usize,
}

impl Checkpoints {
    /// Starts the thread. Without one the log grows until the database is closed.
    pub(crate) fn start(path: &Path) -> Self {
        let is_done = Arc::new(AtomicBool::new(false));
        let (asks, asked) = sync_channel(1);
        let (file, done) = (path.to_owned(), Arc::clone(&is_done));
        let work = move || {
            // Not until it is needed: a connection costs memory.
            let mut db = None;
            while asked.recv().is_ok() {
                if db.is_none() {
                    db = connect(&file).ok();
                }
                if let Some(db) = &db {
                    // A failure shows in a commit, once there is no room for the log.
                    let _ = checkpoint(db, "PRAGMA wal_checkpoint(PASSIVE)");
                    let _ = db.execute_batch("PRAGMA shrink_memory");
                }
                done.store(true, Ordering::Release);
            }
        };
        let thread = thread::Builder::new().name("checkpoint".to_owned()).spawn(work).ok();
        Self {
            asks: Some(asks),
            is_done,
            thread,
            is_running: false,
            rounds: 0,
            written: 0,
            path: path.to_owned(),
            begin_at: begin_at(path),
        }
    }

    /// Begins a checkpoint, or ends one, if it is time. `db` has no transaction open.
    pub(crate) fn after_commit(&mut self, db: &Connection, written: usize) {
        self.written += written;
        if self.is_running {
            if !self.is_done.swap(false, Ordering::AcqRel) {
                return;
            }
            self.is_running = false;
            if self.written <= self.begin_at / PART_AGAIN || self.rounds >= MAX_ROUNDS {
                self.rounds = 0;
                start_over(db);
                self.begin_at = begin_at(&self.path);
                return;
            }
        } else if self.written < self.begin_at {
            return;
        }
        let asked = self.asks.as_ref().is_some_and(|asks| asks.try_send(()).is_ok());
        if asked {
            self.is_running = true;
            self.rounds += 1;
            self.written = 0;
        }
    }

    /// The disk took no more: gives back what the log takes up. `db` has no transaction open.
    pub(crate) fn make_room(&mut self, db: &Connection) {
        // SQLite lets nobody wait for another checkpoint.
        let began = Instant::now();
        while self.is_running
            && !self.is_done.load(Ordering::Acquire)
            && began.elapsed() < crate::connection::BUSY_FOR
        {
            thread::sleep(LOOK_AGAIN_AFTER);
        }
        if self.is_done.swap(false, Ordering::AcqRel) {
            (self.is_running, self.rounds) = (false, 0);
        }
        let _ = checkpoint(db, "PRAGMA wal_checkpoint(TRUNCATE)");
        (self.written, self.begin_at) = (0, begin_at(&self.path));
    }
}

/// How much may be written before a checkpoint, where the disk is as full as it is now.
fn begin_at(path: &Path) -> usize {
    let part = room::left(path) / PART_OF_FREE;
    usize::try_from(part).unwrap_or(BEGIN_AT).clamp(BEGIN_AT_LEAST, BEGIN_AT)
}

/// Copies what is left, so that the next commit begins at the log's start. While somebody reads an
/// old state (a backup), it is left for another time.
fn start_over(db: &Connection) {
    let _ = db.busy_timeout(Duration::ZERO);
    let _ = checkpoint(db, "PRAGMA wal_checkpoint(RESTART)");
    let _ = db.busy_timeout(crate::connection::BUSY_FOR);
}

fn checkpoint(db: &Connection, sql: &str) -> rusqlite::Result<()> {
    db.query_row(sql, [], |_| Ok(()))
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            // If it panicked, it has already reported that.
            let _ = thread.join();
        }
    }
}
