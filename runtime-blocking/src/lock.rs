//! Locks among processes: held by an open file, so that the system releases one however its holder
//! ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use footbridge_core::base::id::OpId;
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};
use footbridge_secrets::lock_file;

use crate::failure::{failure, io_failure};
use crate::files::{directory_of, make};
use crate::inbox::lock;
use crate::mailbox::Outbox;
use crate::threads::{SMALL_STACK, Threads};

/// How soon a lock that another process has released is noticed.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A lock that is waited for on a thread, and then held without one.
pub(crate) struct Lock(Arc<Mutex<State>>);

enum State {
    Waiting,
    Held { _file: File },
    Released,
}

impl Lock {
    pub(crate) fn take(
        op: OpId,
        path: String,
        patience: Duration,
        outbox: Outbox,
        threads: &mut Threads,
    ) -> Result<Self, IoError> {
        let state = Arc::new(Mutex::new(State::Waiting));
        let held = Arc::clone(&state);
        let work = move || {
            let event = match wait_for(&path, patience, &held) {
                Ok(true) => Event::Locked { op },
                Ok(false) => return,
                Err(failure) => Event::Failed { op, failure },
            };
            // Nobody is listening any more, so there is nothing left to do.
            let _ = outbox.post(event);
        };
        threads
            .spawn("lock", SMALL_STACK, work)
            .map_err(|error| io_failure("no thread", &error))?;
        Ok(Self(state))
    }

    pub(crate) fn release(&self) {
        *lock(&self.0) = State::Released;
    }
}

/// Whether it is held; not if it is no longer wanted.
fn wait_for(path: &str, patience: Duration, state: &Mutex<State>) -> Result<bool, IoError> {
    let file = open(Path::new(path)).map_err(|error| io_failure(path, &error))?;
    let until = Instant::now() + patience;
    loop {
        {
            let mut state = lock(state);
            if matches!(*state, State::Released) {
                return Ok(false);
            }
            match file.try_lock() {
                Ok(()) => {
                    *state = State::Held { _file: file };
                    return Ok(true);
                }
                Err(TryLockError::WouldBlock) if Instant::now() < until => {}
                Err(TryLockError::WouldBlock) => {
                    let detail = format!("{path}: another process holds it");
                    return Err(failure(IoErrorKind::TimedOut, detail));
                }
                Err(TryLockError::Error(error)) => return Err(io_failure(path, &error)),
            }
        }
        sleep(LOOK_AGAIN_AFTER);
    }
}

fn open(path: &Path) -> io::Result<File> {
    let path = lock_file(path);
    make(directory_of(path))?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path)
}
