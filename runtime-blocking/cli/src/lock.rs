//! One worker at a time for a directory and a relay (W-13).

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use crate::exit::{Error, ExitKind};
use crate::regular_file;

/// Held for as long as the worker runs. The system releases it however the process ends.
#[derive(Debug)]
#[must_use]
pub struct Lock {
    files: Vec<File>,
}

/// How long a worker that has just been killed may take to be gone: it may be in the middle of a
/// write to its disk. Whoever starts it again should not be told that it still runs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);

impl Lock {
    /// Takes the lock in a worker's part of the state directory. `what` is what the worker would
    /// serve, for people.
    pub fn take(state: &str, what: &str) -> Result<Self, Error> {
        let mut lock = Self { files: Vec::new() };
        lock.and(state, what)?;
        Ok(lock)
    }

    /// Takes the one there as well.
    pub fn and(&mut self, state: &str, what: &str) -> Result<(), Error> {
        let path = Path::new(state).join("lock");
        let failed = |error: std::io::Error| {
            Error::disk(format_args!("cannot use {}", path.display()), &error)
        };
        DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        // Whoever could write to the directory would otherwise choose which file is written to.
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
        let mut file = options.open(&path).map_err(failed)?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(failed(std::io::Error::other("it is not a regular file")));
        }
        match wait_for(&mut file, PATIENCE) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(&holder_in(&mut file), what)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Only for whoever is refused. Without it the lock works as well.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        self.files.push(file);
        Ok(())
    }

    /// Whether the lock could be taken, which leaves nothing behind. Where there is no lock to be
    /// read, nobody is known to hold it.
    pub fn try_out(state: &str, what: &str) -> Result<(), Error> {
        Self::holder(state, PATIENCE).map_or(Ok(()), |holder| Err(in_use(&holder, what)))
    }

    /// Who holds the lock there, and does not let go of it for so long: words that follow another
    /// worker's mention, and may be empty. Nothing is left behind.
    pub fn holder(state: &str, patience: Duration) -> Option<String> {
        let mut file = regular_file::open(&Path::new(state).join("lock")).ok()?;
        let is_held = matches!(wait_for(&mut file, patience), Err(TryLockError::WouldBlock));
        is_held.then(|| holder_in(&mut file))
    }
}

/// Locks the file; the system may not be able to.
fn wait_for(file: &mut File, patience: Duration) -> Result<(), TryLockError> {
    let until = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(LOOK_AGAIN_AFTER);
            }
            tried => return tried,
        }
    }
}

/// The process that holds a lock, if its file says.
fn holder_in(file: &mut File) -> String {
    let mut holder = String::new();
    let _ = file.take(20).read_to_string(&mut holder);
    match holder.parse::<u32>() {
        Ok(pid) => format!(" (process {pid})"),
        Err(_) => String::new(),
    }
}

fn in_use(holder: &str, what: &str) -> Error {
    let message = format!(
        "another worker{holder} already serves {what}; stop it, or give this one a name of its \
         own with --name"
    );
    Error { why: ExitKind::InUse, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_worker_is_refused_until_the_first_one_is_gone() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = directory.path().join("workers/x");
        let state = state.to_str().expect("text");
        assert_eq!(Lock::try_out(state, "/w"), Ok(()));
        assert!(!Path::new(state).exists(), "nothing is left there");
        let first = Lock::take(state, "/w").expect("it is free");
        let error = Lock::take(state, "/w").expect_err("it is held");
        assert_eq!(error.why, ExitKind::InUse);
        let pid = std::process::id().to_string();
        assert!(error.message.contains(&pid) && error.message.contains("--name"), "{error}");
        assert_eq!(Lock::try_out(state, "/w"), Err(error));
        drop(first);
        assert_eq!(Lock::try_out(state, "/w"), Ok(()));
        let _again = Lock::take(state, "/w").expect("it is free again");
    }

    #[test]
    fn no_other_file_is_written_to_in_its_place() {
        let directory = tempfile::tempdir().expect("a directory");
        let other = directory.path().join("other");
        std::fs::write(&other, "precious").expect("written");
        std::os::unix::fs::symlink(&other, directory.path().join("lock")).expect("a link");
        let state = directory.path().to_str().expect("text");
        Lock::take(state, "/w").expect_err("it is a link");
        assert_eq!(std::fs::read_to_string(&other).expect("read"), "precious");
    }
}
