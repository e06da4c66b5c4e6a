//! A driver's threads: named, with small stacks, and gone when it has ended.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::inbox::{bell, lock, ring};

/// How long an ending driver waits for threads that are stuck on a name server or a disk.
const JOIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Enough for `poll` loops.
pub(crate) const SMALL_STACK: usize = 128 << 10;
/// Enough for HTTP, WebSockets, TLS and name resolution.
pub(crate) const LARGE_STACK: usize = 512 << 10;

/// All threads started by a driver.
#[derive(Clone)]
pub(crate) struct Threads {
    running: Arc<Running>,
    handles: Arc<Mutex<Vec<JoinHandle<()>>>>,
    /// Readable once the driver has ended.
    end: Arc<OwnedFd>,
}

#[derive(Default)]
struct Running {
    count: Mutex<usize>,
    changed: Condvar,
}

/// Counts a thread for as long as it lives, however it ends.
struct Counted(Arc<Running>);

impl Counted {
    fn new(running: &Arc<Running>) -> Self {
        *lock(&running.count) += 1;
        Self(Arc::clone(running))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *lock(&self.0.count) -= 1;
        self.0.changed.notify_all();
    }
}

impl Threads {
    pub(crate) fn new() -> io::Result<Self> {
        let end = Arc::new(bell()?);
        Ok(Self { running: Arc::default(), handles: Arc::default(), end })
    }

    /// Starts a thread.
    pub(crate) fn spawn(
        &self,
        name: &str,
        stack: usize,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let counted = Counted::new(&self.running);
        let handle = Builder::new().name(name.to_owned()).stack_size(stack).spawn(move || {
            let _counted = counted;
            work();
        })?;
        let mut handles = lock(&self.handles);
        handles.retain(|handle| !handle.is_finished());
        handles.push(handle);
        Ok(())
    }

    /// A descriptor that becomes readable when the driver has ended, and stays so.
    pub(crate) fn end(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.end)
    }

    /// Waits for all of them; those that do not end in time are abandoned.
    pub(crate) fn join(self) {
        ring(&self.end);
        let deadline = Instant::now() + JOIN_TIMEOUT;
        let mut count = lock(&self.running.count);
        while *count > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            count = match self.running.changed.wait_timeout(count, left) {
                Ok((count, _)) => count,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        let is_all = *count == 0;
        drop(count);
        let handles = std::mem::take(&mut *lock(&self.handles));
        for handle in handles {
            if is_all || handle.is_finished() {
                // A panic was already printed where it happened.
                let _ = handle.join();
            }
        }
    }
}
