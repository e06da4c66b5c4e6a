//! Responses lost on their way back, and connections that are dead without anyone noticing.

use std::time::Duration;

use footbridge_core::worker::{WorkerCommand, WorkerConfig, WorkerNotice};
use tempfile::TempDir;

use super::stage::process::until_gone;
use super::stage::proxy::{Fate, Request};
use super::stage::warp::Clock;
use super::stage::worker::{config, script};
use super::stage::{Proxy, Relay, Worker};
use crate::Runtime;

/// A relay, a proxy in front of it, and a home for a worker behind the proxy.
struct Site {
    proxy: Proxy,
    home: TempDir,
    relay: Relay,
}

impl Site {
    fn of(relay: Relay) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        Self { proxy: Proxy::to(&relay.address), home, relay }
    }

    fn start() -> Self {
        Self::of(Relay::start())
    }

    /// The configuration of a worker whose agent echoes its input.
    fn config(&self) -> WorkerConfig {
        self.config_with("exec cat")
    }

    fn config_with(&self, agent: &str) -> WorkerConfig {
        config(&self.proxy.address, self.home.path(), script(agent))
    }

    /// Existing connections are dead from now on; new ones work.
    fn kill_connections(&self) {
        self.proxy.swallow(true);
        self.proxy.swallow(false);
    }
}

/// Whatever was accepted counts once, whether or not the worker learned of it.
pub fn a_lost_response_neither_orphans_nor_duplicates_anything<R: Runtime>() {
    for request in [Request::Poll, Request::Ack, Request::Heartbeat, Request::Report] {
        let site = Site::of(Relay::with_lease(Duration::from_secs(2)));
        site.proxy.plan(request, Fate::AnswerLost);
        let worker = Worker::start::<R>(site.config_with("echo one >> started; exec cat"));
        let session = site.relay.session();
        session.running();
        session.say("once");
        session.echo("once");
        if request == Request::Heartbeat {
            site.proxy.has_lost(1);
        }
        session.stop();
        let result = session.result();
        assert_eq!(result["status"], "interrupted", "{request:?}: {result}");
        site.proxy.has_lost(1);
        let started =
            std::fs::read_to_string(site.home.path().join("started")).expect("it started");
        assert_eq!(started, "one\n", "{request:?}: one agent");
        // Sent by the viewer, and echoed.
        let log = session.log();
        let said = log.iter().filter(|(_, m)| m["message"]["content"] == "once").count();
        assert_eq!(said, 2, "{request:?}");
        worker.shut_down();
        assert!(site.relay.api.environments().is_empty(), "{request:?}: it has deregistered");
    }
}

pub fn a_registration_whose_response_is_lost_is_retried<R: Runtime>() {
    let site = Site::start();
    site.proxy.plan(Request::Register, Fate::AnswerLost);
    let worker = Worker::start::<R>(site.config());
    worker.registers(1);
    site.proxy.has_lost(1);
    worker.shut_down();
}

pub fn a_lost_response_to_the_deregistration_delays_nothing<R: Runtime>() {
    let site = Site::start();
    site.proxy.plan(Request::Deregister, Fate::AnswerLost);
    let worker = Worker::start::<R>(site.config());
    worker.registers(1);
    worker.shut_down();
    assert!(site.relay.api.environments().is_empty());
}

/// With clocks that run twenty times as fast: its own limit is 45 s.
pub fn a_dead_link_is_noticed_and_replaced<R: Runtime>() {
    let site = Site::start();
    let worker = Worker::on::<R>(site.config(), Clock::fast(20));
    let session = site.relay.session();
    let pid = session.running();
    site.kill_connections();
    session.say("into the void");
    worker.tells("the link is dead", |notice| {
        matches!(notice, WorkerNotice::SessionDisconnected { reason, .. } if reason.contains("silent"))
    });
    session.echo("into the void");
    assert_eq!(session.running(), pid, "the agent is the same");
    worker.shut_down();
}

/// A held poll has a limit of 60 s: 3 s with clocks that run twenty times as fast.
pub fn a_dead_poll_is_noticed_and_retried<R: Runtime>() {
    let site = Site::start();
    let worker = Worker::on::<R>(site.config(), Clock::fast(20));
    worker.registers(1);
    site.kill_connections();
    let session = site.relay.session();
    session.running();
    worker.shut_down();
}

/// A relay that can no longer be reached does not keep a worker from ending.
pub fn a_worker_in_a_dead_network_ends_within_its_limits<R: Runtime>() {
    let site = Site::start();
    let worker = Worker::on::<R>(site.config(), Clock::fast(20));
    let session = site.relay.session();
    let pid = session.running();
    site.proxy.swallow(true);
    worker.command(WorkerCommand::Shutdown);
    assert_eq!(worker.ends(), Ok(()));
    until_gone(pid);
}
