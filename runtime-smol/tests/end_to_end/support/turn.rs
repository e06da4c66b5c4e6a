//! How many tests may have a page at once. Most tests wait, so that many may run at a time; a page that is
//! drawn computes, and as many as there are processors are enough.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, PoisonError};

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

thread_local! {
    /// Pages of the test that runs on this thread.
    static OWN: Cell<usize> = const { Cell::new(0) };
}

/// A test's turn, for as long as it has a page.
pub(crate) struct Turn;

impl Turn {
    /// Waits for it. A test that has its turn has it for every further page.
    pub(crate) fn take() -> Self {
        if OWN.get() == 0 {
            let most = std::thread::available_parallelism().map_or(1, usize::from);
            let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
            let mut taken = FREED
                .wait_while(taken, |taken| *taken >= most)
                .unwrap_or_else(PoisonError::into_inner);
            *taken += 1;
        }
        OWN.set(OWN.get() + 1);
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        OWN.set(OWN.get() - 1);
        if OWN.get() == 0 {
            *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
            FREED.notify_one();
        }
    }
}
