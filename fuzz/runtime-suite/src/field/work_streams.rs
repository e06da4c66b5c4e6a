//! Work that comes by a stream meets what is between a worker and its relay (E-2, Y-10): it is collected,
//! cut within an item, or falls silent, and relays restart. Polls take its place where it does not get
//! through, and nothing is run twice.

use footbridge_core::worker::{WorkBy, WorkerNotice};

use crate::Runtime;
use crate::scenarios::restarts;
use crate::scenarios::stage::proxy::StreamFate;
use crate::scenarios::stage::warp::Clock;
use crate::scenarios::stage::worker::{by_stream, config, script};
use crate::scenarios::stage::{Proxy, Relay, Session, Worker};

/// How much faster than the computer's a worker's clock is.
const SPEED: u32 = 20;

/// A worker behind a proxy that takes its work by a stream if that gets through.
fn behind_a_proxy<R: Runtime>(act: impl FnOnce(&Proxy, &Worker, &Relay)) {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    let mut config = config(&proxy.address, home.path(), script("exec cat"));
    config.work_by = WorkBy::Auto;
    let worker = Worker::on::<R>(config, Clock::fast(SPEED));
    worker.registers(1);
    act(&proxy, &worker, &relay);
    worker.shut_down();
}

/// A session that is started once and answers.
fn answers(relay: &Relay, worker: &Worker) {
    let session = relay.session();
    session.running();
    session.say("there?");
    session.echo("there?");
    let is_it = |notice: &&WorkerNotice| is_start_of(notice, &session);
    assert_eq!(worker.notices().iter().filter(is_it).count(), 1, "{}", worker.trace());
}

fn is_start_of(notice: &WorkerNotice, of: &Session<'_>) -> bool {
    matches!(notice, WorkerNotice::SessionStarted { session, .. } if session.as_str() == of.id)
}

pub fn work_comes_by_it_and_nothing_is_polled<R: Runtime>() {
    behind_a_proxy::<R>(|_, worker, relay| {
        answers(relay, worker);
        answers(relay, worker);
        let trace = worker.trace();
        assert!(trace.contains("/work/stream?") && !trace.contains("/work/poll"), "{trace}");
    });
}

pub fn a_proxy_that_collects_it_is_named_and_polls_bring_the_work<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    proxy.streams(StreamFate::Collected);
    let mut config = config(&proxy.address, home.path(), script("exec cat"));
    config.work_by = WorkBy::Auto;
    let worker = Worker::on::<R>(config, Clock::fast(SPEED));
    worker.registers(1);
    answers(&relay, &worker);
    worker.tells("that it polls", |notice| {
        matches!(notice, WorkerNotice::WorkByPolls { reason, .. } if reason.contains("buffer"))
    });
    answers(&relay, &worker);
    worker.shut_down();
}

pub fn one_that_is_cut_within_an_item_brings_it_again_and_once<R: Runtime>() {
    behind_a_proxy::<R>(|proxy, worker, relay| {
        answers(relay, worker);
        proxy.streams(StreamFate::CutWithin("\"type\":\"session\"".to_owned()));
        answers(relay, worker);
    });
}

pub fn one_that_falls_silent_is_found_and_the_next_one_brings_the_work<R: Runtime>() {
    behind_a_proxy::<R>(|proxy, worker, relay| {
        answers(relay, worker);
        proxy.streams(StreamFate::Silent);
        answers(relay, worker);
        let is_found = |notice: &WorkerNotice| matches!(notice, WorkerNotice::Retrying { reason, .. } if reason.contains("silent"));
        worker.tells("that it was silent", is_found);
    });
}

pub fn a_relay_that_restarts_while_it_holds_one<R: Runtime>() {
    by_stream(restarts::a_relay_that_restarts_while_it_holds_a_poll::<R>);
}

pub fn a_relay_that_restarts_while_work_is_acknowledged<R: Runtime>() {
    by_stream(restarts::a_relay_that_restarts_while_work_is_acknowledged::<R>);
}
