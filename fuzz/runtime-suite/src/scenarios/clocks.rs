//! Someone sets the clock.

use std::sync::atomic::Ordering;

use footbridge_core::worker::WorkerNotice;

use super::stage::warp::Clock;
use super::stage::worker::{config, script};
use super::stage::{Relay, Worker};
use crate::Runtime;

const HOUR: i64 = 3_600_000;

pub fn setting_the_clock_ends_no_session_and_stops_no_work<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let clock = Clock::default();
    let set_by = std::sync::Arc::clone(&clock.set_by);
    let config = config(&relay.address, home.path(), script("exec cat"));
    let worker = Worker::on::<R>(config, clock);
    let session = relay.session();
    let pid = session.running();
    for (n, hours) in [5, -7, 0, 24 * 365, -24].into_iter().enumerate() {
        set_by.store(hours * HOUR, Ordering::Relaxed);
        let said = format!("said at {n}");
        session.say(&said);
        session.echo(&said);
        let other = relay.session();
        other.running();
        other.stop();
        assert_eq!(other.result()["status"], "interrupted");
    }
    assert_eq!(session.running(), pid);
    let echoes = session.from("agent").len();
    assert_eq!(echoes, 5);
    // A step forward looks like a sleep, and is treated as one; a step back has no effect.
    let woke = worker.notices().into_iter().filter(|n| matches!(n, WorkerNotice::Woke { .. }));
    assert_eq!(woke.count(), 3);
    worker.shut_down();
}
