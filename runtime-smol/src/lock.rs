//! Locks among processes: held by an open file, so that the system releases one however its holder
//! ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use footbridge_core::base::id::OpId;
use footbridge_core::contract::event::{Event, IoErrorKind};
use footbridge_secrets::lock_file;
use smol::Timer;

use crate::failure::{about, failure};
use crate::files::{directory_of, make_directories};
use crate::shared::Shared;

/// How soon a lock that another process has released is noticed.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Takes the lock, and holds it until this is dropped.
pub(crate) async fn hold(op: OpId, path: String, patience: Duration, shared: Rc<Shared>) {
    let name = path.clone();
    let file = match smol::unblock(move || open(Path::new(&name))).await {
        Ok(file) => Arc::new(file),
        Err(error) => return shared.mailbox.failed(op, about(&path, &error)).await,
    };
    let until = Instant::now() + patience;
    loop {
        let tried = Arc::clone(&file);
        match smol::unblock(move || tried.try_lock()).await {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < until => {}
            Err(TryLockError::WouldBlock) => {
                let detail = format_args!("{path}: another process holds it");
                return shared.mailbox.failed(op, failure(IoErrorKind::TimedOut, detail)).await;
            }
            Err(TryLockError::Error(error)) => {
                return shared.mailbox.failed(op, about(&path, &error)).await;
            }
        }
        Timer::after(LOOK_AGAIN_AFTER).await;
    }
    shared.mailbox.tell(Event::Locked { op }).await;
    std::future::pending::<()>().await;
    drop(file);
}

fn open(path: &Path) -> io::Result<File> {
    let path = lock_file(path);
    make_directories(directory_of(path))?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path)
}
