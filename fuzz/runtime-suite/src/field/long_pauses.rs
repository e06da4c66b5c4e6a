//! A page about maintenance asks for a pause of an hour, and the relay is well again at once.

use std::time::{Duration, Instant};

use footbridge_core::worker::WorkerNotice;

use crate::Runtime;
use crate::scenarios::stage::warp::Clock;
use crate::scenarios::stage::worker::{config, script};
use crate::scenarios::stage::{Proxy, Relay, Worker};

/// With clocks that run forty times as fast: two minutes take 3 s.
pub fn maintenance_for_an_hour_that_ends_early_keeps_a_worker_away_for_minutes_only<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    let config = config(&proxy.address, home.path(), script("exec cat"));
    let worker = Worker::on::<R>(config, Clock::fast(40));
    worker.registers(1);
    let page = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 3600\r\nconnection: close\r\n\
                content-length: 24\r\n\r\n<html>maintenance</html>";
    proxy.answer_with(Some(page));
    worker.tells("how long the pause is", |notice| {
        matches!(notice, WorkerNotice::Retrying { reason, retry_in, .. }
            if reason.contains("a pause of 3600 s, 120 s of which are kept")
                && *retry_in >= Duration::from_secs(120))
    });
    proxy.answer_with(None);
    let began = Instant::now();
    relay.session().running();
    let took = began.elapsed() * 40;
    assert!(took > Duration::from_secs(60) && took < Duration::from_secs(400), "{took:?}");
    worker.shut_down();
}
