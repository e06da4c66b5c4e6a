//! A proxy ends what brings nothing for a few seconds: waiting polls, silent WebSockets.

use std::time::{Duration, Instant};

use footbridge_core::worker::WorkerNotice;

use crate::Runtime;
use crate::scenarios::stage::proxy::Limit;
use crate::scenarios::stage::worker::{config, script};
use crate::scenarios::stage::{Proxy, Relay, Worker};

/// Longer than the shortest poll and the shortest pause between two pings.
const SILENCE: Duration = Duration::from_millis(2500);
/// How long it takes to learn that: two cuts of polls, and as many of links.
const LEARNING: Duration = Duration::from_millis(9000);

pub fn work_comes_quickly_where_waiting_requests_are_answered_with_504<R: Runtime>() {
    work_comes_quickly::<R>(true);
}

pub fn work_comes_quickly_where_waiting_requests_are_cut<R: Runtime>() {
    work_comes_quickly::<R>(false);
}

fn work_comes_quickly<R: Runtime>(says_so: bool) {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    proxy.limit(Limit { silence: SILENCE, says_so });
    let worker = Worker::start::<R>(config(&proxy.address, home.path(), script("exec cat")));
    let idle = relay.session();
    idle.running();
    std::thread::sleep(LEARNING);
    let failures = || {
        let notices = worker.notices();
        let polls = notices.iter().filter(|n| matches!(n, WorkerNotice::Retrying { .. })).count();
        let links = notices.iter();
        let links = links.filter(|n| matches!(n, WorkerNotice::SessionDisconnected { .. })).count();
        (polls, links)
    };
    let learned = failures();
    assert!(learned.0 >= 1 && learned.1 >= 1, "{learned:?}: {:?}", worker.notices());
    // From now on nothing is cut, and nothing that happens waits for a pause.
    for _ in 0..3 {
        std::thread::sleep(SILENCE);
        let asked = Instant::now();
        let session = relay.session();
        session.running();
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        idle.say("still there");
        idle.echo("still there");
    }
    assert_eq!(failures(), learned, "{:?}", worker.notices());
    let reason = worker.tells("why", |notice| {
        matches!(notice, WorkerNotice::Retrying { reason, .. } if reason.contains("to answer within"))
    });
    assert!(format!("{reason:?}").contains("after 2 s"), "{reason:?}");
    worker.shut_down();
}
