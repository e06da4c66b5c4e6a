//! A proxy, a captive portal or a page about maintenance answers in the relay's place. It says
//! nothing about what was asked for, whatever its status.

use footbridge_core::contract::machine::MachineErrorKind;
use footbridge_core::worker::WorkerNotice;

use crate::Runtime;
use crate::scenarios::stage::worker::{config, script};
use crate::scenarios::stage::{Proxy, Relay, Worker};

const HTML: &str = "<!DOCTYPE html><html><head><title>Airport Wi-Fi</title></head></html>";

/// An answer with this status line, further headers, and a body.
fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nserver: gate/1\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

fn answers() -> Vec<String> {
    let length = HTML.len();
    vec![
        answer("401 Unauthorized", "www-authenticate: Basic\r\n", HTML),
        answer("403 Forbidden", "", HTML),
        answer("403 Forbidden", "content-type: application/json\r\n", r#"{"message":"Forbidden"}"#),
        answer("404 Not Found", "", HTML),
        answer("407 Proxy Authentication Required", "proxy-authenticate: Basic\r\n", HTML),
        answer("409 Conflict", "", HTML),
        answer("410 Gone", "", HTML),
        answer("200 OK", "content-type: text/html\r\n", HTML),
        answer("200 OK", "", ""),
        answer("302 Found", "location: https://portal.example/\r\n", ""),
        answer("503 Service Unavailable", "", HTML),
        // A relay's own refusal, of which half has arrived.
        format!(
            "HTTP/1.1 410 Gone\r\ncontent-length: {length}\r\n\r\n{{\"error\":{{\"type\":\"session"
        ),
    ]
}

pub fn a_page_in_the_relays_place_ends_neither_the_worker_nor_the_session<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    let worker = Worker::start::<R>(config(&proxy.address, home.path(), script("exec cat")));
    let session = relay.session();
    let agent = session.running();
    for (n, page) in answers().iter().enumerate() {
        proxy.answer_with(Some(page));
        // Polls and links.
        proxy.has_answered(12);
        proxy.answer_with(None);
        assert_eq!(session.running(), agent, "{page}");
        let text = format!("after {n}");
        session.say(&text);
        session.echo(&text);
    }
    let is_told = |what: &str| {
        let is_it = |notice: &WorkerNotice| matches!(notice, WorkerNotice::Retrying { reason, .. } if reason.contains(what));
        worker.notices().iter().any(is_it)
    };
    for what in ["\"Airport Wi-Fi\" (server: gate/1)", "portal.example", "HTTPS_PROXY"] {
        assert!(is_told(what), "{what}: {:?}", worker.notices());
    }
    worker.shut_down();
    assert_eq!(session.result()["status"], "interrupted");
}

pub fn a_worker_that_starts_behind_a_captive_portal_waits_for_the_relay<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    proxy.answer_with(Some(&answer("403 Forbidden", "", HTML)));
    let worker = Worker::start::<R>(config(&proxy.address, home.path(), script("exec cat")));
    proxy.has_answered(3);
    proxy.answer_with(None);
    worker.registers(1);
    worker.shut_down();
}

pub fn a_refusal_of_the_relay_itself_keeps_its_meaning<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    let refusal = r#"{"error":{"type":"permission_denied","message":"not for you"}}"#;
    proxy.answer_with(Some(&answer("403 Forbidden", "", refusal)));
    let worker = Worker::start::<R>(config(&proxy.address, home.path(), script("exec cat")));
    let error = worker.ends().expect_err("it is final");
    assert_eq!(error.kind, MachineErrorKind::Forbidden);
    assert!(error.message.contains("not for you"), "{}", error.message);
}
