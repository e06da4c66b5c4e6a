//! A copy of a session's log in a file (G-1).

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc;

use footbridge_core::auth::Credential;
use footbridge_core::base::id::SessionId;
use footbridge_core::base::secret::Secret;
use footbridge_core::mirror::{Mirror, MirrorCommand, MirrorConfig, MirrorNotice};
use footbridge_core::wire::url::BaseUrl;
use serde_json::Value;

use super::stage::api::TOKEN;
use super::stage::worker::{config, script};
use super::stage::{PATIENCE, Relay, Session, Worker, until};
use crate::{HostSpec, Running, Runtime};

fn start<R: Runtime>(
    relay: &Relay,
    session: &Session<'_>,
    file: &Path,
) -> (Running<Mirror>, mpsc::Receiver<MirrorNotice>) {
    let machine = Mirror::new(MirrorConfig {
        relay: BaseUrl::parse(&format!("http://{}", relay.address)).expect("a URL"),
        credential: Credential::fixed(Secret::from(TOKEN)),
        session: SessionId::new(&session.id).expect("an id"),
        path: file.to_str().expect("text").to_owned(),
        seed: 7,
    });
    let (tell, told) = mpsc::channel();
    let running = R::start(machine, HostSpec::default(), move |notice| drop(tell.send(notice)));
    (running, told)
}

fn tells(told: &mpsc::Receiver<MirrorNotice>, is: impl Fn(&MirrorNotice) -> bool) {
    while !is(&told.recv_timeout(PATIENCE).expect("it says so")) {}
}

pub fn a_mirror_has_the_same_bytes_as_the_log_and_ends_with_the_session<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let _worker = Worker::start::<R>(config(&relay.address, home.path(), script("exec cat")));
    let session = relay.session();
    session.running();
    session.say("before");
    session.echo("before");
    let file = home.path().join("mirror/log.ndjson");
    // It ends in between, and another one goes on.
    let (first, told) = start::<R>(&relay, &session, &file);
    tells(&told, |notice| matches!(notice, MirrorNotice::Written { .. }));
    (first.command)(MirrorCommand::Stop);
    assert_eq!(first.thread.join().expect("no panic"), Ok(()));
    let (second, told) = start::<R>(&relay, &session, &file);
    session.say("after");
    session.echo("after");
    session.stop();
    session.result();
    tells(&told, |notice| matches!(notice, MirrorNotice::Ended { .. }));
    assert_eq!(second.thread.join().expect("no panic"), Ok(()));
    let text = std::fs::read_to_string(&file).expect("there");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (_, page) = relay.api.get(&format!("/v1/sessions/{}/events?after=0", session.id));
    assert_eq!(Value::from(lines), page["events"]);
    assert!(text.ends_with('\n') && page["events"].as_array().is_some_and(|all| all.len() > 4));
}

pub fn a_mirror_waits_for_its_relay_and_shows_nothing_to_whoever_has_its_port<R: Runtime>() {
    let (mut relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let _worker = Worker::start::<R>(config(&relay.address, home.path(), script("exec cat")));
    let file = home.path().join("log.ndjson");
    let (mirror, told) = {
        let session = relay.session();
        session.running();
        start::<R>(&relay, &session, &file)
    };
    tells(&told, |notice| matches!(notice, MirrorNotice::Written { .. }));
    relay.kill();
    // It asks now and then, so it is in doubt only once it has asked in vain.
    let is_failing = |notice: &MirrorNotice| matches!(notice, MirrorNotice::RelayFailing { .. });
    tells(&told, is_failing);
    let imposter = until("the port is free", || TcpListener::bind(&relay.address).ok());
    let mut heard = 0;
    while heard < 3 {
        let (mut stream, _) = imposter.accept().expect("a connection");
        let mut bytes = [0; 4096];
        let length = stream.read(&mut bytes).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes[..length]);
        // Workers come by too.
        heard += usize::from(text.contains("/v1/proof"));
        assert!(!text.contains(TOKEN) && !text.to_lowercase().contains("authorization"), "{text}");
        let _ = stream
            .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    (mirror.command)(MirrorCommand::Stop);
    assert_eq!(mirror.thread.join().expect("no panic"), Ok(()));
    assert_eq!(told.try_iter().filter(is_failing).count(), 0, "it is said once");
}
