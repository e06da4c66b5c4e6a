//! Another program takes the relay's port, and is sent no credential (Y-4).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use footbridge_core::worker::{WorkerCommand, WorkerNotice};

use super::stage::api::TOKEN;
use super::stage::worker::{config, script};
use super::stage::{Relay, Worker, until};
use crate::Runtime;

/// What it answers, one after the other: as a server of files, as another relay, as a proxy whose
/// relay is gone, as one that takes everything.
pub(super) const ANSWERS: [(&str, &str); 6] = [
    ("404 Not Found", "<h1>Not Found</h1>"),
    ("401 Unauthorized", r#"{"error":{"type":"authentication_failed","message":"no"}}"#),
    ("404 Not Found", r#"{"error":{"type":"environment_unknown","message":"no"}}"#),
    ("502 Bad Gateway", ""),
    ("403 Forbidden", ""),
    ("200 OK", r#"{"proof":"AAAA","environment_id":"env_1","environment_secret":"s"}"#),
];

/// A program that keeps all that it is sent.
pub(super) struct Imposter {
    heard: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Imposter {
    pub(super) fn at(address: &str) -> Self {
        let listener = until("the port is free", || TcpListener::bind(address).ok());
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let (kept, over) = (Arc::clone(&heard), Arc::clone(&is_over));
        listener.set_nonblocking(true).expect("set");
        let thread = std::thread::spawn(move || {
            let mut answers = ANSWERS.iter().cycle();
            while !over.load(Ordering::Relaxed) {
                let Ok((mut stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                stream.set_nonblocking(false).expect("set");
                let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
                let mut bytes = vec![0; 64 << 10];
                let length = stream.read(&mut bytes).unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                kept.lock().expect("no panic").push(text);
                let Some((status, body)) = answers.next() else { return };
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes());
                let _ = stream.shutdown(Shutdown::Write);
            }
        });
        Self { heard, is_over, thread: Some(thread) }
    }

    /// Waits until it has been asked so often, and ends it; all that it was sent.
    pub(super) fn ends_after(mut self, requests: usize) -> Vec<String> {
        until("it is asked", || {
            (self.heard.lock().expect("no panic").len() >= requests).then_some(())
        });
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().expect("once").join().expect("no panic");
        std::mem::take(&mut *self.heard.lock().expect("no panic"))
    }
}

pub fn whatever_takes_the_relays_port_is_sent_no_credential<R: Runtime>() {
    let mut relay = Relay::start();
    let home = tempfile::tempdir().expect("a directory");
    let state = tempfile::tempdir().expect("a directory");
    let mut config = config(&relay.address, home.path(), script("exec cat"));
    config.state_directory = state.path().to_str().map(str::to_owned);
    let worker = Worker::start::<R>(config.clone());
    worker.registers(1);
    relay.session().running();
    for registrations in [2, 3] {
        // A request that is just about to be sent meets whatever is there: the poll has to be held.
        std::thread::sleep(Duration::from_secs(2));
        relay.kill();
        let heard = Imposter::at(&relay.address).ends_after(3 * ANSWERS.len());
        sent_nothing(&heard);
        relay.restart();
        worker.registers(registrations);
    }
    worker.command(WorkerCommand::HandOver);
    assert_eq!(worker.ends(), Ok(()));

    // Nor by the next run, which finds it there from the start.
    relay.kill();
    let imposter = Imposter::at(&relay.address);
    let worker = Worker::start::<R>(config);
    worker.tells("it waits", |n| matches!(n, WorkerNotice::Retrying { .. }));
    sent_nothing(&imposter.ends_after(1));
    relay.restart();
    worker.registers(1);
    let session = relay.session();
    session.running();
    session.say("are you there?");
    session.echo("are you there?");

    // Nor by one that ends.
    relay.kill();
    let imposter = Imposter::at(&relay.address);
    worker.command(WorkerCommand::Shutdown);
    assert_eq!(worker.ends(), Ok(()));
    sent_nothing(&imposter.ends_after(1));
}

#[track_caller]
pub(super) fn sent_nothing(heard: &[String]) {
    for text in heard {
        let lower = text.to_lowercase();
        assert!(!lower.contains("authorization") && !text.contains(TOKEN), "{text}");
        assert!(!lower.contains("sk-ant-si-"), "{text}");
    }
}
