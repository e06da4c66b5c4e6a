//! Connections that take up places, memory and time.

use rustix::process::Signal;

use super::{Target, is_over};
use crate::running::until;

#[test]
fn bodies_that_never_come_take_up_no_place() {
    let home = tempfile::tempdir().expect("a directory");
    let target = Target::start(home.path());
    let head = format!("POST /health HTTP/1.1\r\n{}content-length: 1000\r\n\r\n", target.host());
    let mut waiting: Vec<_> = (0..100).map(|_| target.send(&head)).collect();
    target.works();
    // They were answered without their bodies, and are not waited for.
    for stream in &mut waiting {
        until("the end of a connection", || is_over(stream).then_some(()));
    }
    target.works();
}

#[test]
fn those_who_read_nothing_lose_their_places_to_each_other() {
    let home = tempfile::tempdir().expect("a directory");
    let target = Target::start(home.path());
    let gets = format!("GET /app.css HTTP/1.1\r\n{}\r\n", target.host()).repeat(100);
    let streams: Vec<_> = (0..300).map(|_| target.send(&gets)).collect();
    target.works();
    // Reading would be what they do not do: the system knows which were reset, and says it once.
    let mut were_reset = vec![false; streams.len()];
    until("room for others", || {
        for (stream, was_reset) in streams.iter().zip(&mut were_reset) {
            *was_reset |= !matches!(stream.take_error(), Ok(None));
        }
        let open = were_reset.iter().filter(|was_reset| !**was_reset).count();
        (open <= 128).then_some(())
    });
    target.works();
}

#[test]
fn bodies_without_a_credential_are_not_kept() {
    let home = tempfile::tempdir().expect("a directory");
    let target = Target::start(home.path());
    let before = target.peak();
    let body = "x".repeat(4 << 20);
    let request = format!(
        "POST /v1/sessions/session_1/messages HTTP/1.1\r\n{}content-length: {}\r\n\r\n{body}",
        target.host(),
        body.len() + 1
    );
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| target.send(&request));
        }
    });
    target.works();
    let grown = target.peak() - before;
    assert!(grown < 32 << 20, "{grown} bytes more for 128 MiB of bodies");
}

#[test]
fn a_relay_that_is_told_to_stop_waits_for_no_body() {
    let home = tempfile::tempdir().expect("a directory");
    let mut target = Target::start(home.path());
    let head = format!(
        "POST /v1/sessions HTTP/1.1\r\n{}authorization: Bearer {}\r\ncontent-length: 50\r\n\r\nx",
        target.host(),
        target.relay.token
    );
    let waiting: Vec<_> = (0..30).map(|_| target.send(&head)).collect();
    target.works();
    target.program.signal(Signal::TERM);
    assert_eq!(target.program.wait(), Some(0));
    drop(waiting);
}

#[test]
fn a_client_of_an_old_version_is_told_that_it_cannot_switch() {
    use std::io::Read;

    let home = tempfile::tempdir().expect("a directory");
    let target = Target::start(home.path());
    let head = format!(
        "GET /v1/overview/ws HTTP/1.0\r\n{}upgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         sec-websocket-protocol: footbridge.viewer.v1, footbridge.bearer.{}\r\n\r\n",
        target.host(),
        target.relay.token
    );
    let mut answer = String::new();
    target.send(&head).read_to_string(&mut answer).expect("text");
    assert!(answer.starts_with("HTTP/1.0 426"), "{answer}");
    assert!(answer.contains("upgrade_required") && answer.contains("HTTP/1.1"), "{answer}");
}
