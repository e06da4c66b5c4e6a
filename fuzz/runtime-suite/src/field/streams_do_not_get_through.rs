//! Streams of events meet what is between a worker and its relay (C-2, Y-10): they fall silent, are
//! collected, cut or refused, and answers get lost. Each case says how long it took to be found, by the
//! worker's clock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use footbridge_core::worker::{TransportChoice, WorkerNotice};

use super::pages_of_others;
use crate::Runtime;
use crate::scenarios::stage::proxy::{Fate, HeadRewrite, Request, StreamFate};
use crate::scenarios::stage::warp::Clock;
use crate::scenarios::stage::worker::{config, over_version_2, script};
use crate::scenarios::stage::{Proxy, Relay, Session, Worker};

/// How much faster than the computer's a worker's clock is.
const SPEED: u32 = 20;

/// Measures by a worker's clock.
struct Found(Instant);

impl Found {
    fn begin() -> Self {
        Self(Instant::now())
    }

    fn after(&self, what: &str) {
        println!("{what}: found after {:.1} s", self.0.elapsed().as_secs_f64() * f64::from(SPEED));
    }
}

/// A session over version 2 behind a proxy, whose agent repeats all that it is told.
fn behind_a_proxy<R: Runtime>(act: impl FnOnce(&Proxy, &Worker, &Session<'_>)) {
    over_version_2(|| {
        let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
        let proxy = Proxy::to(&relay.address);
        let config = config(&proxy.address, home.path(), script("exec cat"));
        let worker = Worker::on::<R>(config, Clock::fast(SPEED));
        let session = relay.session();
        session.running();
        session.say("before");
        session.echo("before");
        act(&proxy, &worker, &session);
        session.say("after");
        session.echo("after");
        let said: Vec<_> = session.from("agent");
        let of = |text: &str| said.iter().filter(|m| m["message"]["content"] == text).count();
        for text in ["before", "meanwhile", "after"] {
            assert_eq!(of(text), 1, "{text}: {said:?}");
        }
        worker.shut_down();
    });
}

/// Waits until the session's stream is found to be broken, for this reason.
#[track_caller]
fn is_found(worker: &Worker, why: &str) {
    worker.tells(why, |notice| {
        matches!(notice, WorkerNotice::SessionDisconnected { reason, .. } if reason.contains(why))
    });
}

pub fn one_that_falls_silent_without_closing_is_found_and_nothing_is_lost<R: Runtime>() {
    behind_a_proxy::<R>(|proxy, worker, session| {
        proxy.streams(StreamFate::Silent);
        let found = Found::begin();
        session.say("meanwhile");
        is_found(worker, "silent");
        found.after("a stream that is silent");
        session.echo("meanwhile");
    });
}

pub fn one_that_is_cut_within_an_event_goes_on_after_the_last_whole_one<R: Runtime>() {
    behind_a_proxy::<R>(|proxy, worker, session| {
        proxy.streams(StreamFate::CutWithin("meanwhile".to_owned()));
        let found = Found::begin();
        session.say("meanwhile");
        is_found(worker, "");
        found.after("a stream that is cut within an event");
        session.echo("meanwhile");
    });
}

pub fn a_batch_whose_answer_is_lost_is_stored_once<R: Runtime>() {
    behind_a_proxy::<R>(|proxy, _, session| {
        proxy.plan(Request::Batch, Fate::AnswerLost);
        session.say("meanwhile");
        proxy.has_lost(1);
        let found = Found::begin();
        session.echo("meanwhile");
        found.after("a batch whose answer is lost");
    });
}

/// The credential is refused on the stream and everywhere else, as once it has run out; by the next
/// bridge there is another.
pub fn a_credential_that_is_refused_is_replaced<R: Runtime>() {
    behind_a_proxy::<R>(|proxy, worker, session| {
        let (is_refused, has_bridged) = (Arc::new(AtomicBool::new(true)), Arc::default());
        let (refused, bridged): (_, Arc<AtomicBool>) =
            (Arc::clone(&is_refused), Arc::clone(&has_bridged));
        let request = Mutex::new(String::new());
        let spoil: HeadRewrite = Arc::new(move |line| {
            let mut request = request.lock().expect("no panic");
            if line.starts_with("GET ") || line.starts_with("POST ") {
                line.clone_into(&mut request);
                if line.contains("/bridge") {
                    refused.store(false, Ordering::Relaxed);
                    bridged.store(true, Ordering::Relaxed);
                }
            }
            let is_workers = request.contains("/worker/") && refused.load(Ordering::Relaxed);
            let is_credential = line.to_ascii_lowercase().starts_with("authorization:");
            Some(if is_workers && is_credential { format!("{line}x") } else { line.to_owned() })
        });
        proxy.rewrite_requests(spoil);
        let found = Found::begin();
        proxy.cut();
        session.say("meanwhile");
        session.echo("meanwhile");
        found.after("a credential that is refused");
        assert!(has_bridged.load(Ordering::Relaxed), "{}", worker.trace());
    });
}

pub fn a_page_in_the_relays_place_ends_neither_the_worker_nor_the_session<R: Runtime>() {
    over_version_2(
        pages_of_others::a_page_in_the_relays_place_ends_neither_the_worker_nor_the_session::<R>,
    );
}

/// Where the relay asks for version 2, and the worker was not told otherwise.
pub fn a_proxy_that_collects_them_is_named_once_and_sessions_travel_as_version_1<R: Runtime>() {
    let (relay, home) = (Relay::with_code_sessions(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    proxy.streams(StreamFate::Collected);
    let mut config = config(&proxy.address, home.path(), script("exec cat"));
    config.transport = TransportChoice::Auto;
    let worker = Worker::on::<R>(config, Clock::fast(SPEED));
    let found = Found::begin();
    let session = relay.session();
    session.say("meanwhile");
    worker.tells("that it falls back", |notice| {
        matches!(notice, WorkerNotice::FellBack { reason, .. } if reason.contains("buffer"))
    });
    found.after("a proxy that collects streams");
    session.echo("meanwhile");
    let other = relay.session();
    other.say("at once");
    other.echo("at once");
    let said = |notice: &&WorkerNotice| matches!(notice, WorkerNotice::FellBack { .. });
    assert_eq!(worker.notices().iter().filter(said).count(), 1);
    worker.shut_down();
}

/// With what a relay of a version before answers.
pub fn a_relay_without_version_2_is_served_as_version_1<R: Runtime>() {
    let (relay, home) = (Relay::with_code_sessions(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    let elsewhere: HeadRewrite =
        Arc::new(|line| Some(line.replace("/v1/code/sessions/", "/v1/unknown/sessions/")));
    proxy.rewrite_requests(elsewhere);
    let mut config = config(&proxy.address, home.path(), script("exec cat"));
    config.transport = TransportChoice::Auto;
    let worker = Worker::start::<R>(config);
    let session = relay.session();
    session.running();
    session.say("through");
    session.echo("through");
    worker.tells("that it falls back", |notice| matches!(notice, WorkerNotice::FellBack { .. }));
    worker.shut_down();
}
