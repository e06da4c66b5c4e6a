//! What the tests are built on: the real program, a real browser, a viewer without one.

pub(crate) mod api;
pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod page;
pub(crate) mod program;

use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy computer. Only a failing test waits this long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Polls until there is a result; `None` once the deadline has passed.
pub(crate) fn poll<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= until {
            return None;
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}
