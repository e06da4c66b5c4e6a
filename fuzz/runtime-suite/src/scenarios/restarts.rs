//! The relay is killed at every stage of a worker's life, and restarts having forgotten everything.

use std::time::Duration;

use footbridge_core::worker::{WorkerCommand, WorkerNotice};

use super::stage::process::until_gone;
use super::stage::proxy::{Fate, Request};
use super::stage::worker::{config, script};
use super::stage::{Proxy, Relay, Worker};
use crate::Runtime;

/// A relay, a proxy to it, and a worker whose sessions run `cat`.
struct Stage {
    relay: Relay,
    proxy: Proxy,
    worker: Worker,
    _home: tempfile::TempDir,
}

impl Stage {
    fn new<R: Runtime>(held: Option<Request>) -> Self {
        // A lease of two seconds is renewed by a heartbeat every third of that.
        let relay = Relay::with_lease(Duration::from_secs(2));
        let home = tempfile::tempdir().expect("a directory");
        let proxy = Proxy::to(&relay.address);
        if let Some(request) = held {
            proxy.plan(request, Fate::Held);
        }
        let worker = Worker::start::<R>(config(&proxy.address, home.path(), script("exec cat")));
        Self { relay, proxy, worker, _home: home }
    }

    /// The relay dies while a request to it is in flight, and comes back.
    fn restart(&mut self) {
        self.proxy.holds();
        self.relay.restart();
        self.proxy.release();
    }

    /// A session that the relay no longer knows ends, and that is reported.
    fn loses(&self, session: &str, pid: u32) {
        self.worker.tells("the session is lost", |notice| {
            matches!(notice, WorkerNotice::SessionEnded { session: of, result: None, .. }
                if of.as_str() == session)
        });
        until_gone(pid);
    }

    /// The worker has recovered by itself and is useful again.
    fn serves_again(self, registrations: usize) {
        self.worker.registers(registrations);
        let session = self.relay.session();
        session.running();
        session.say("are you there?");
        session.echo("are you there?");
        self.worker.shut_down();
    }
}

pub fn a_relay_that_restarts_while_a_worker_registers<R: Runtime>() {
    let mut stage = Stage::new::<R>(Some(Request::Register));
    stage.restart();
    stage.serves_again(1);
}

pub fn a_relay_that_restarts_while_a_poll_is_in_flight<R: Runtime>() {
    let mut stage = Stage::new::<R>(Some(Request::Poll));
    stage.restart();
    stage.serves_again(2);
}

pub fn a_relay_that_restarts_while_it_holds_a_poll<R: Runtime>() {
    let mut stage = Stage::new::<R>(None);
    stage.relay.session();
    stage.worker.tells("a session runs", |n| matches!(n, WorkerNotice::SessionStarted { .. }));
    stage.relay.restart();
    stage.serves_again(2);
}

pub fn a_relay_that_restarts_while_work_is_acknowledged<R: Runtime>() {
    let mut stage = Stage::new::<R>(Some(Request::Ack));
    stage.relay.session();
    stage.restart();
    stage.worker.tells("it lets the work go", |n| matches!(n, WorkerNotice::BadWork { .. }));
    stage.serves_again(2);
}

pub fn a_relay_that_restarts_while_a_session_runs<R: Runtime>() {
    let mut stage = Stage::new::<R>(None);
    let session = stage.relay.session();
    let (pid, id) = (session.running(), session.id.clone());
    stage.relay.restart();
    stage.loses(&id, pid);
    stage.serves_again(2);
}

pub fn a_relay_that_restarts_while_a_heartbeat_is_in_flight<R: Runtime>() {
    let mut stage = Stage::new::<R>(Some(Request::Heartbeat));
    let session = stage.relay.session();
    let (pid, id) = (session.running(), session.id.clone());
    stage.restart();
    stage.loses(&id, pid);
    stage.serves_again(2);
}

pub fn a_relay_that_restarts_while_a_result_is_reported<R: Runtime>() {
    let mut stage = Stage::new::<R>(Some(Request::Report));
    let session = stage.relay.session();
    let pid = session.running();
    session.stop();
    until_gone(pid);
    stage.restart();
    stage.serves_again(2);
}

pub fn a_relay_that_dies_while_a_worker_deregisters_is_not_waited_for<R: Runtime>() {
    let mut stage = Stage::new::<R>(Some(Request::Deregister));
    stage.worker.registers(1);
    stage.worker.command(WorkerCommand::Shutdown);
    stage.proxy.holds();
    stage.relay.kill();
    stage.proxy.release();
    assert_eq!(stage.worker.ends(), Ok(()));
}

pub fn a_relay_that_starts_after_the_worker_is_found<R: Runtime>() {
    let mut relay = Relay::start();
    relay.kill();
    let home = tempfile::tempdir().expect("a directory");
    let worker = Worker::start::<R>(config(&relay.address, home.path(), script("exec cat")));
    worker.tells("it tries again", |n| matches!(n, WorkerNotice::Retrying { .. }));
    relay.restart();
    worker.registers(1);
    worker.shut_down();
}
