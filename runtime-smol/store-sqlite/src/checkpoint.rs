//! Moves what was committed from the write-ahead log into the database, without holding up commits.
//!
//! A thread of its own copies pages while commits go on, and so never quite reaches the end of the
//! log. What little is left then is copied between two commits, and the log starts over.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use crate::connection::connect;

/// Bytes written since the last checkpoint at which another begins.
const BEGIN_AT: usize = 16 << 20;
/// Bytes written during a checkpoint beyond which another is made before the log starts over.
const AGAIN_AT: usize = 4 << 20;
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
}

impl Checkpoints {
    /// Starts the thread. Without one the log grows until the database is closed.
    pub(crate) fn start(path: &Path) -> Self {
        let is_done = Arc::new(AtomicBool::new(false));
        let (asks, asked) = sync_channel(1);
        let (path, done) = (path.to_owned(), Arc::clone(&is_done));
        let work = move || {
            // Not until it is needed: a connection costs memory.
            let mut db = None;
            while asked.recv().is_ok() {
                if db.is_none() {
                    db = connect(&path).ok();
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
        Self { asks: Some(asks), is_done, thread, is_running: false, rounds: 0, written: 0 }
    }

    /// Begins a checkpoint, or ends one, if it is time. `db` has no transaction open.
    pub(crate) fn after_commit(&mut self, db: &Connection, written: usize) {
        self.written += written;
        if self.is_running {
            if !self.is_done.swap(false, Ordering::AcqRel) {
                return;
            }
            self.is_running = false;
            if self.written <= AGAIN_AT || self.rounds >= MAX_ROUNDS {
                self.rounds = 0;
                start_over(db);
                return;
            }
        } else if self.written < BEGIN_AT {
            return;
        }
        let asked = self.asks.as_ref().is_some_and(|asks| asks.try_send(()).is_ok());
        if asked {
            self.is_running = true;
            self.rounds += 1;
            self.written = 0;
        }
    }
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
