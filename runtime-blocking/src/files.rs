//! Files, one operation at a time, on a thread that exists while there is work.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::time::UnixTime;
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};
use footbridge_secrets::Entry;

use crate::failure::{failure, io_failure};
use crate::inbox::lock;
use crate::mailbox::Outbox;
use crate::threads::{SMALL_STACK, Threads};

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

/// The waiting jobs, and whether a thread is working on them.
#[derive(Default)]
pub(crate) struct Files(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    jobs: VecDeque<(OpId, Job)>,
    is_worked_at: bool,
}

impl Files {
    /// Takes a job; jobs are done in the order they arrive.
    pub(crate) fn start(
        &self,
        op: OpId,
        job: Job,
        outbox: &Outbox,
        threads: &mut Threads,
    ) -> Result<(), IoError> {
        let mut queue = lock(&self.0);
        if !queue.is_worked_at {
            let (jobs, outbox) = (Arc::clone(&self.0), outbox.clone());
            threads
                .spawn("files", SMALL_STACK, move || work(&jobs, &outbox))
                .map_err(|error| io_failure("no thread", &error))?;
            queue.is_worked_at = true;
        }
        queue.jobs.push_back((op, job));
        Ok(())
    }
}

fn work(queue: &Mutex<Queue>, outbox: &Outbox) {
    loop {
        let next = {
            let mut queue = lock(queue);
            let next = queue.jobs.pop_front();
            queue.is_worked_at = next.is_some();
            next
        };
        let Some((op, job)) = next else { return };
        // Jobs are done even if nobody is waiting for the result any more.
        let _ = outbox.post(do_job(op, job));
    }
}

fn do_job(op: OpId, job: Job) -> Event {
    let (path, done) = match job {
        Job::Save { path, data } => {
            let done = save(Path::new(&path), &data).map(|()| Event::Saved { op });
            (path, done)
        }
        Job::Load { path, limit } => match load(Path::new(&path), limit) {
            Ok(Loaded::Missing) => (path, Ok(Event::Loaded { op, data: None, modified: None })),
            Ok(Loaded::Whole { data, modified }) => {
                (path, Ok(Event::Loaded { op, data: Some(data), modified }))
            }
            Ok(Loaded::TooLarge) => {
                let detail = format!("{path}: larger than {limit} bytes");
                let failure = failure(IoErrorKind::TooLarge, detail);
                return Event::Failed { op, failure };
            }
            Err(error) => (path, Err(error)),
        },
        Job::Append { path, offset, data } => {
            let done = append(Path::new(&path), offset, &data).map(|()| Event::Appended { op });
            (path, done)
        }
        Job::LoadEnd { path, limit } => {
            let done = load_end(Path::new(&path), limit);
            (path, done.map(|(length, data)| Event::EndLoaded { op, length, data }))
        }
        Job::Remove { path } => {
            let done = remove(Path::new(&path)).map(|()| Event::Removed { op });
            (path, done)
        }
        Job::List { path } => {
            let done = list(Path::new(&path)).map(|names| Event::Listed { op, names });
            (path, done)
        }
    };
    done.unwrap_or_else(|error| Event::Failed { op, failure: io_failure(path, &error) })
}

/// Leaves the old file or the new one, whatever happens: the new one is complete and on disk before
/// it replaces the old one, and the directory is on disk before success is reported.
fn save(path: &Path, data: &[u8]) -> io::Result<()> {
    if let Some(entry) = Entry::named(path) {
        return Ok(entry.save(data)?);
    }
    let directory = directory_of(path);
    make(directory)?;
    let temporary = temporary_for(path)?;
    // One left by a crash may have the wrong permissions, or be a link.
    remove(&temporary)?;
    let written = write_new(&temporary, data).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync(directory)
}

/// What is before `offset` stays; the rest of the file, if any, is replaced.
fn append(path: &Path, offset: u64, data: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    options.write(true).mode(0o600).custom_flags(flags);
    let (mut file, is_new) = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(directory_of(path))?;
            (options.create(true).open(path)?, true)
        }
        file => (file?, false),
    };
    let length = length_of(&file)?;
    if length < offset {
        let shorter = format!("it has only {length} bytes, not {offset}");
        return Err(io::Error::new(ErrorKind::InvalidData, shorter));
    }
    file.set_len(offset)?;
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(data)?;
    file.sync_all()?;
    if is_new { sync(directory_of(path)) } else { Ok(()) }
}

/// The length of something that has to be a file.
fn length_of(file: &File) -> io::Result<u64> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a file"));
    }
    Ok(metadata.len())
}

fn load_end(path: &Path, limit: usize) -> io::Result<(u64, Bytes)> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((0, Bytes::new())),
        file => file?,
    };
    let length = length_of(&file)?;
    let most = u64::try_from(limit).unwrap_or(u64::MAX).min(length);
    file.seek(SeekFrom::Start(length - most))?;
    let mut data = Vec::new();
    file.take(most).read_to_end(&mut data)?;
    Ok((length, data.into()))
}

pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Creates a directory and its parents, each on disk before the next.
pub(crate) fn make(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = directory_of(directory);
    make(above)?;
    match DirBuilder::new().mode(0o700).create(directory) {
        // Someone else was faster; if it is not a directory, what follows fails.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| sync(above)),
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// In the same directory, so a rename is enough; with a leading dot and the process id, so two
/// programs do not write to the same one.
fn temporary_for(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_string_lossy();
    Ok(path.with_file_name(format!(".{name}.{}{TEMPORARY}", std::process::id())))
}

fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(TEMPORARY)
}

fn write_new(path: &Path, data: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(data)?;
    file.sync_all()
}

enum Loaded {
    Missing,
    Whole { data: Bytes, modified: Option<UnixTime> },
    TooLarge,
}

fn load(path: &Path, limit: usize) -> io::Result<Loaded> {
    if let Some(entry) = Entry::named(path) {
        return Ok(match entry.load()? {
            None => Loaded::Missing,
            Some(secret) if secret.len() > limit => Loaded::TooLarge,
            Some(secret) => Loaded::Whole { data: secret.into(), modified: None },
        });
    }
    // A pipe put there by someone must not hold up the queue.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Loaded::Missing),
        file => file?,
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a file"));
    }
    let modified = metadata.modified().ok().and_then(unix_time);
    let mut data = Vec::new();
    // One byte over the limit, to detect that there is more.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut data)?;
    if data.len() > limit {
        return Ok(Loaded::TooLarge);
    }
    Ok(Loaded::Whole { data: data.into(), modified })
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
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // Gone even after a crash.
        removed => removed.and_then(|()| sync(directory_of(path))),
    }
}

fn list(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = entry.file_name().into_string().ok();
            names.extend(name.filter(|name| !is_temporary(name)));
        }
    }
    names.sort_unstable();
    Ok(names)
}
