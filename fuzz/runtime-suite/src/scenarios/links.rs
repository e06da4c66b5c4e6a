//! A session's lines arrive in order, each once, whatever happens to the connection.

use serde_json::Value;

use super::stage::process::is_alive;
use super::stage::worker::{config, script};
use super::stage::{Proxy, Relay, Session, Worker, until};
use crate::Runtime;

const MESSAGES: usize = 2000;
/// Messages per request: fewer than the relay's maximum.
const BATCH: usize = 200;

/// Sends numbered messages, a batch at a time; `between` is called after each batch.
fn say_all(session: &Session<'_>, mut between: impl FnMut(usize)) {
    let texts: Vec<_> = (0..MESSAGES).map(|n| n.to_string()).collect();
    for (n, batch) in texts.chunks(BATCH).enumerate() {
        session.say_all(batch);
        between(n);
    }
}

/// Waits until `cat` has echoed everything; returns what it printed.
fn echoes(session: &Session<'_>) -> Vec<String> {
    let last = (MESSAGES - 1).to_string();
    until("the last echo", || {
        let text = |m: &Value| m["message"]["content"].as_str().map(str::to_owned);
        let echoes: Vec<_> = session.from("agent").iter().filter_map(text).collect();
        (echoes.last() == Some(&last)).then_some(echoes)
    })
}

fn expected() -> Vec<String> {
    (0..MESSAGES).map(|n| n.to_string()).collect()
}

pub fn two_thousand_messages_go_to_the_agent_and_back_in_order<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let worker = Worker::start::<R>(config(&relay.address, home.path(), script("exec cat")));
    let session = relay.session();
    say_all(&session, |_| {});
    assert_eq!(echoes(&session), expected());
    worker.shut_down();
}

pub fn a_link_that_keeps_breaking_loses_and_duplicates_nothing<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    let worker = Worker::start::<R>(config(&proxy.address, home.path(), script("exec cat")));
    let session = relay.session();
    let agent = session.running();
    say_all(&session, |_| {
        let before = proxy.accepted();
        proxy.cut();
        until("it connects again", || (proxy.accepted() > before).then_some(()));
    });
    assert_eq!(echoes(&session), expected());
    assert!(is_alive(agent), "the agent noticed nothing");
    assert_eq!(session.running(), agent);
    worker.shut_down();
}

pub fn output_while_the_relay_is_away_arrives_later<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    let agent = "until [ -e go ]; do sleep 0.01; done; \
                 i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo \"{\\\"type\\\":\\\"x\\\",\\\"n\\\":$i}\"; done; \
                 touch done; exec cat";
    let worker = Worker::start::<R>(config(&proxy.address, home.path(), script(agent)));
    let session = relay.session();
    session.running();
    proxy.swallow(true);
    proxy.cut();
    std::fs::write(home.path().join("go"), "").expect("written");
    until("it has said all", || home.path().join("done").exists().then_some(()));
    assert_eq!(session.from("agent").len(), 0);
    proxy.swallow(false);
    proxy.cut();
    let said = until("all of it", || {
        let said = session.from("agent");
        (said.len() >= 500).then_some(said)
    });
    let numbers: Vec<_> = said.iter().filter_map(|m| m["n"].as_u64()).collect();
    assert_eq!(numbers, (1..=500).collect::<Vec<_>>());
    worker.shut_down();
}
