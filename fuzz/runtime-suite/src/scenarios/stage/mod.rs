//! The building blocks of the scenarios.

pub(crate) mod api;
pub(crate) mod client;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod relay;
pub(crate) mod repository;
pub(crate) mod warp;
pub(crate) mod worker;

use std::time::{Duration, Instant};

pub(crate) use api::Session;
pub(crate) use proxy::Proxy;
pub(crate) use relay::Relay;
pub(crate) use worker::Worker;

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until there is something to find.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "timed out waiting for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
