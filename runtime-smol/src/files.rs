//! Files: replaced atomically and durably, read up to a limit, one operation at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use async_channel::{Receiver, Sender};
use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::time::UnixTime;
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};
use footbridge_secrets::Entry;

use crate::failure::{about, failure};
use crate::mailbox::{Mailbox, Spawner};

/// The suffix of an incomplete file; the runtimes agree on it because their programs use the same
/// directories.
const TEMPORARY: &str = ".new";

/// One file operation.
pub(crate) enum Job {
    Save { path: String, data: Bytes },
    Load { path: String, limit: usize },
    Append { path: String, offset: u64, data: Bytes },
    LoadEnd { path: String, limit: usize },
    Remove { path: String },
    List { path: String },
}

/// The queue of one machine's file operations. They are carried out in the order requested, on a
/// thread of the blocking pool: of two that save the same file, the later one wins.
pub(crate) struct Files(Sender<(OpId, Job)>);

impl Files {
    pub(crate) fn start(spawner: &Spawner, mailbox: &Mailbox) -> Self {
        let (sender, queue) = async_channel::unbounded();
        spawner.detach(serve(queue, mailbox.clone()));
        Self(sender)
    }

    pub(crate) fn put(&self, op: OpId, job: Job) {
        let _ = self.0.try_send((op, job));
    }
}

async fn serve(queue: Receiver<(OpId, Job)>, mailbox: Mailbox) {
    while let Ok((op, job)) = queue.recv().await {
        match smol::unblock(move || perform(op, job)).await {
            Ok(event) => mailbox.last(event).await,
            Err(failure) => mailbox.failed(op, failure).await,
        }
    }
}

fn perform(op: OpId, job: Job) -> Result<Event, IoError> {
    let named = |path: &str, error: io::Error| about(path, &error);
    match job {
        Job::Save { path, data } => match save(Path::new(&path), &data) {
            Ok(()) => Ok(Event::Saved { op }),
            Err(error) => Err(named(&path, error)),
        },
        Job::Load { path, limit } => match load(Path::new(&path), limit) {
            Ok(Some((data, _))) if data.len() > limit => {
                Err(failure(IoErrorKind::TooLarge, format_args!("{path}: more than {limit} bytes")))
            }
            Ok(Some((data, modified))) => Ok(Event::Loaded { op, data: Some(data), modified }),
            Ok(None) => Ok(Event::Loaded { op, data: None, modified: None }),
            Err(error) => Err(named(&path, error)),
        },
        Job::Append { path, offset, data } => match append(Path::new(&path), offset, &data) {
            Ok(()) => Ok(Event::Appended { op }),
            Err(error) => Err(named(&path, error)),
        },
        Job::LoadEnd { path, limit } => match load_end(Path::new(&path), limit) {
            Ok((length, data)) => Ok(Event::EndLoaded { op, length, data }),
            Err(error) => Err(named(&path, error)),
        },
        Job::Remove { path } => match remove(Path::new(&path)) {
            Ok(()) => Ok(Event::Removed { op }),
            Err(error) => Err(named(&path, error)),
        },
        Job::List { path } => match list(Path::new(&path)) {
            Ok(names) => Ok(Event::Listed { op, names }),
            Err(error) => Err(named(&path, error)),
        },
    }
}

/// Writes a new file beside the old one and replaces it: a crash leaves one of them, complete.
fn save(path: &Path, data: &[u8]) -> io::Result<()> {
    if let Some(entry) = Entry::named(path) {
        return Ok(entry.save(data)?);
    }
    let directory = directory_of(path);
    make_directories(directory)?;
    let (mut file, temporary) = create_beside(path)?;
    let written = file.write_all(data).and_then(|()| file.sync_all());
    let replaced = written.and_then(|()| fs::rename(&temporary, path));
    if replaced.is_err() {
        // The first error is what counts; a leftover temporary file is never read.
        let _ = fs::remove_file(&temporary);
    }
    replaced?;
    sync_directory(directory)
}

/// Cuts a file to `offset` and writes after that. Its directory is on disk too once it was created.
fn append(path: &Path, offset: u64, data: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    options.write(true).mode(0o600).custom_flags(flags);
    let (mut file, is_new) = match options.open(path) {
        Ok(file) => (file, false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_directories(directory_of(path))?;
            (options.create(true).open(path)?, true)
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    if metadata.len() < offset {
        let shorter = format!("it has only {} bytes, not {offset}", metadata.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, shorter));
    }
    if metadata.len() > offset {
        file.set_len(offset)?;
    }
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(data)?;
    file.sync_all()?;
    if is_new { sync_directory(directory_of(path)) } else { Ok(()) }
}

/// The length of a file, and its last bytes.
fn load_end(path: &Path, limit: usize) -> io::Result<(u64, Bytes)> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, Bytes::new())),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    let (length, mut data) = (metadata.len(), Vec::new());
    let start = length.saturating_sub(limit as u64);
    file.seek(SeekFrom::Start(start))?;
    file.take(length - start).read_to_end(&mut data)?;
    Ok((length, data.into()))
}

/// An empty file that only its owner can access, under an unused name.
fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{count}{TEMPORARY}", std::process::id()));
        let temporary = path.with_file_name(temporary);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary) {
            Ok(file) => return Ok((file, temporary)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Left behind by a crash.
fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(TEMPORARY)
}

/// Creates the missing part of a directory's path, durably and accessible only to its owner.
pub(crate) fn make_directories(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = directory_of(directory);
    if parent != directory {
        make_directories(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_directory(parent),
    }
}

pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Reads a file, up to just over `limit`; `None` if there is none.
/// A file's content, and when it was last changed.
fn load(path: &Path, limit: usize) -> io::Result<Option<(Bytes, Option<UnixTime>)>> {
    if let Some(entry) = Entry::named(path) {
        return Ok(entry.load()?.map(|secret| (secret.into(), None)));
    }
    // A pipe put there by someone must not hold up the queue.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    let modified = metadata.modified().ok().and_then(unix_time);
    let mut data = Vec::new();
    file.take((limit as u64).saturating_add(1)).read_to_end(&mut data)?;
    Ok(Some((data.into(), modified)))
}

fn unix_time(time: SystemTime) -> Option<UnixTime> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok().map(UnixTime::from_millis)
}

fn remove(path: &Path) -> io::Result<()> {
    if let Some(entry) = Entry::named(path) {
        return Ok(entry.remove()?);
    }
    match fs::remove_file(path) {
        Ok(()) => sync_directory(directory_of(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn list(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && !is_temporary(&name)
            && entry.file_type()?.is_file()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
