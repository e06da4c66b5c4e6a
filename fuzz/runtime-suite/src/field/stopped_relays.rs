//! A relay stands still until its sessions' leases have lapsed, and continues with all that has
//! been sent to it: the old link's reconnection, polls that were given up, heartbeats.

use std::time::Duration;

use crate::Runtime;
use crate::scenarios::stage::warp::Clock;
use crate::scenarios::stage::worker::{config, script};
use crate::scenarios::stage::{Proxy, Relay, Worker};

/// With clocks of the worker that run twenty times as fast, it gives up its polls and links
/// meanwhile. Whoever holds the newer lease of a session keeps its agent.
pub fn a_relay_that_stood_still_until_the_leases_lapsed_keeps_its_sessions<R: Runtime>() {
    for clock in [Clock::default(), Clock::fast(20)] {
        let relay = Relay::with_times(Duration::from_secs(2), Duration::from_secs(2));
        let home = tempfile::tempdir().expect("a directory");
        let proxy = Proxy::to(&relay.address);
        let config = config(&proxy.address, home.path(), script("exec cat"));
        let worker = Worker::on::<R>(config, clock);
        let session = relay.session();
        let agent = session.running();
        for round in 0..2 {
            proxy.freeze(true);
            session.until("its lease has lapsed", |now| now["state"] != "running");
            std::thread::sleep(Duration::from_secs(2));
            proxy.freeze(false);
            assert_eq!(session.running(), agent);
            let text = format!("after {round}");
            session.say(&text);
            session.echo(&text);
        }
        let worker_says = session.from("worker");
        let started = worker_says.iter().filter(|m| m["subtype"] == "agent_started").count();
        assert_eq!(started, 1);
        worker.shut_down();
    }
}
