//! Sessions on this machine: what this process has, and what others have.

pub(super) mod mcp;
pub(super) mod ps;
pub(super) mod send;

use std::cell::RefCell;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use footbridge_cli::exit::Error;
use footbridge_core::base::id::SessionId;
use footbridge_core::base::limits::MAX_PEER_RECORD_BYTES;
use footbridge_core::peer::registry::{Descent, Entry, Peer, Record, descent, peers};
use footbridge_core::peer::sender::Handle;
use footbridge_core::worker::WorkerNotice;

use super::runtime_directory::runtime_directory;

/// The variable by which an agent, and what it starts, knows its session.
const SESSION_VARIABLE: &str = "FOOTBRIDGE_SESSION_ID";

/// How far up a process is looked for that has sessions.
const MAX_ANCESTORS: usize = 64;

/// The directory of all records and sockets.
pub(super) fn directory() -> Result<PathBuf, Error> {
    Ok(runtime_directory()?.join("peers"))
}

fn start_of(pid: u32) -> Option<u64> {
    Record::start_in(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// What this process has written down about its sessions, until it ends. Where that is not possible,
/// others do not see them.
///
/// A lock beside the record says that its process lives, also to those that cannot see the process: in
/// another container with the same home, or on another machine.
pub(super) struct Presence {
    record: RefCell<Record>,
    file: Option<(PathBuf, File)>,
}

impl Presence {
    pub(super) fn new() -> Self {
        let pid = std::process::id();
        let start = start_of(pid);
        // Two containers can have a process of the same number.
        let file = start.and_then(|start| {
            let file = directory().ok()?.join(format!("{pid}-{start}.json"));
            let lock = locked(&file.with_extension("lock")).ok()?;
            Some((file, lock))
        });
        let record = Record { pid, start: start.unwrap_or_default(), sessions: Vec::new() };
        Self { record: RefCell::new(record), file }
    }

    /// Changes what is written down.
    pub(super) fn change(&self, change: impl FnOnce(&mut Vec<Entry>)) {
        let mut record = self.record.borrow_mut();
        let before = record.clone();
        change(&mut record.sessions);
        if *record != before
            && let Some((file, _)) = &self.file
            && write(file, &record).is_err()
        {
            let _ = fs::remove_file(file);
        }
    }

    /// A worker's sessions.
    pub(super) fn note(&self, notice: &WorkerNotice, directory: &str) {
        match notice {
            WorkerNotice::SessionStarted { session, .. } => self.change(|entries| {
                entries.retain(|entry| entry.session_id != *session);
                entries.push(Entry {
                    session_id: session.clone(),
                    bridge_session_id: Some(session.clone()),
                    socket: None,
                    can_send: true,
                    name: name_of(directory),
                    status: "running".to_owned(),
                    waiting_for: None,
                    worker_draining: false,
                    directory: directory.to_owned(),
                });
            }),
            WorkerNotice::Draining { .. } => self.change(|entries| {
                entries.iter_mut().for_each(|entry| entry.worker_draining = true);
            }),
            WorkerNotice::PermissionsOpen { session, open } => self.change(|entries| {
                for entry in entries.iter_mut().filter(|entry| entry.session_id == *session) {
                    entry.waits(*open);
                }
            }),
            WorkerNotice::SessionConnected { session, .. } => self.can_send(session, true),
            WorkerNotice::SessionDisconnected { session, .. } => self.can_send(session, false),
            WorkerNotice::SessionEnded { session, .. }
            | WorkerNotice::SessionHandedOver { session, .. } => {
                self.change(|entries| entries.retain(|entry| entry.session_id != *session));
            }
            _ => {}
        }
    }

    fn can_send(&self, session: &SessionId, can_send: bool) {
        self.change(|entries| {
            for entry in entries.iter_mut().filter(|entry| entry.session_id == *session) {
                entry.can_send = can_send;
            }
        });
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // What is left is recognised by its lock.
        if let Some((file, _)) = &self.file {
            remove(file);
        }
    }
}

/// A new file that nobody else can lock as long as it is held.
fn locked(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.lock()?;
    Ok(file)
}

/// Whether the process that has written a record has ended: nobody holds its lock. A record without one
/// is an older program's, whose process may be where it cannot be seen.
fn is_left(record: &Path) -> bool {
    let lock = OpenOptions::new().write(true).open(record.with_extension("lock"));
    lock.is_ok_and(|lock| !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

fn remove(record: &Path) {
    let _ = fs::remove_file(record);
    let _ = fs::remove_file(record.with_extension("lock"));
}

/// What a session is called that was given no name.
pub(super) fn name_of(directory: &str) -> String {
    let name = Path::new(directory).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn write(file: &Path, record: &Record) -> io::Result<()> {
    let new = file.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&new)?.write_all(&serde_json::to_vec(record)?)?;
    fs::rename(&new, file)
}

/// The records of processes that run, each with its file. What those that have ended left is removed.
fn records() -> Result<Vec<(PathBuf, Record)>, Error> {
    let directory = directory()?;
    let Ok(entries) = fs::read_dir(&directory) else { return Ok(Vec::new()) };
    let mut records = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let is_small =
            fs::metadata(&path).is_ok_and(|file| file.len() <= MAX_PEER_RECORD_BYTES as u64);
        let file = if is_small { fs::read(&path).ok() } else { None };
        let Some(record) = file.and_then(|file| Record::parse(&file)) else { continue };
        if is_left(&path) {
            let sockets = record.sessions.iter().filter_map(|entry| entry.socket.as_deref());
            // Only its own: a record may say anything.
            let own = sockets.map(Path::new).filter(|socket| socket.parent() == Some(&*directory));
            for left in own {
                let _ = fs::remove_file(left);
            }
            remove(&path);
        } else if path.with_extension("lock").exists() || record.is_live(start_of(record.pid)) {
            records.push((path, record));
        }
    }
    Ok(records)
}

/// All sessions of this machine's user.
fn all() -> Result<Vec<Peer>, Error> {
    Ok(peers(records()?.into_iter().map(|(_, record)| record)))
}

/// Without the variable, which many programs do not pass on.
fn own_handle_by_descent() -> Result<(Handle, bool), Error> {
    let records = records()?;
    match descent(&records, &ancestors(std::process::id())) {
        Descent::NoSession => Ok((Handle::Person, true)),
        Descent::Session(path, entry) => Ok(handle(path, entry)),
        Descent::OneOfSeveral(pid) => Err(Error::local(format!(
            "this runs inside one of the sessions of process {pid}, and does not say in which: set {SESSION_VARIABLE}"
        ))),
    }
}

/// A session as a sender, and whether that can be delivered from now.
fn handle(record: &Path, entry: &Entry) -> (Handle, bool) {
    let can_send = entry.can_send && entry.address().is_some();
    let (record, session) = (record.to_string_lossy().into_owned(), entry.session_id.clone());
    (Handle::Session { record, session }, can_send)
}

/// The processes that this one descends from, the nearest first.
fn ancestors(pid: u32) -> Vec<u32> {
    let above = std::iter::successors(Some(pid), |pid| parent_of(*pid).filter(|pid| *pid > 1));
    above.skip(1).take(MAX_ANCESTORS).collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    Record::parent_in(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Who this process sends for: the session that it runs in, or a person. The second is whether that
/// can be delivered from now (B-2).
fn own_handle() -> Result<(Handle, bool), Error> {
    let Some(id) = std::env::var(SESSION_VARIABLE).ok().filter(|id| !id.is_empty()) else {
        return own_handle_by_descent();
    };
    let session = SessionId::new(&id)
        .map_err(|error| Error::usage(format!("{SESSION_VARIABLE}: {error}")))?;
    for (path, record) in records()? {
        let mut entries = record.sessions.iter();
        if let Some(entry) = entries.find(|entry| entry.session_id.is_same_session(&session)) {
            return Ok(handle(&path, entry));
        }
    }
    // Its host is gone, or says nothing: what is looked up when sending says so.
    let record = directory()?.join("none.json").to_string_lossy().into_owned();
    Ok((Handle::Session { record, session }, false))
}
