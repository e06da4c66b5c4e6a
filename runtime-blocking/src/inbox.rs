//! How the loop sends orders to an operation's thread, which sits in `poll`.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

/// A queue of orders, and a descriptor that becomes readable when one arrives.
///
/// The machine bounds its length: `Sent` and `Written` tell it what is outstanding.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    orders: Mutex<VecDeque<T>>,
    cancelled: AtomicBool,
    bell: OwnedFd,
}

impl<T> Inbox<T> {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { orders: Mutex::default(), cancelled: AtomicBool::new(false), bell: bell()? })
    }

    pub(crate) fn push(&self, order: T) {
        lock(&self.orders).push_back(order);
        ring(&self.bell);
    }

    /// Tells the thread to drop everything and end.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        ring(&self.bell);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// All orders that have arrived.
    pub(crate) fn take(&self) -> VecDeque<T> {
        std::mem::take(&mut *lock(&self.orders))
    }

    /// Waits until a descriptor is ready, an order arrives, or the deadline passes, and returns
    /// which descriptors are ready. The orders stay queued.
    pub(crate) fn wait<const N: usize>(
        &self,
        interests: [Option<(BorrowedFd<'_>, PollFlags)>; N],
        deadline: Option<Instant>,
    ) -> io::Result<[bool; N]> {
        let mut fds = Vec::with_capacity(N + 1);
        fds.push(PollFd::new(&self.bell, PollFlags::IN));
        fds.extend(interests.iter().flatten().map(|(fd, flags)| PollFd::new(fd, *flags)));
        if !poll_until(&mut fds, deadline)? {
            return Ok([false; N]);
        }
        if !fds[0].revents().is_empty() {
            // Read before the orders are taken: one that arrives now rings again.
            let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        }
        let mut polled = fds[1..].iter();
        Ok(interests.map(|interest| {
            interest.and_then(|_| polled.next()).is_some_and(|fd| !fd.revents().is_empty())
        }))
    }
}

/// A descriptor that becomes readable once it is rung.
pub(crate) fn bell() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?)
}

/// Rings; after 2^64 rings that nobody heard, one more makes no difference.
pub(crate) fn ring(bell: &impl AsFd) {
    let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is consistent after each statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether something happened before the deadline.
fn poll_until(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = deadline.map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 })
        });
        match poll(fds, left.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
