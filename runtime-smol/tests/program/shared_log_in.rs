//! Processes that share a log-in whose token runs out for all of them at once (T-6): one refreshes it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use crate::client::{Ready, ready};
use crate::log_in::{file_of, log_in, relay, spoil};
use crate::running::{PATIENCE, Running, footbridge, until};

/// What becomes of requests for tokens on their way.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Fate {
    Passes,
    /// It does not reach the relay.
    Request,
    /// Its answer does not come back.
    Answer,
}

/// What stands before a relay, and counts the requests for tokens that reach it.
pub(crate) struct Counter {
    pub(crate) url: String,
    arrived: Arc<AtomicUsize>,
    /// Those that were stopped.
    stopped: Arc<AtomicUsize>,
    fate: Arc<AtomicU8>,
}

impl Counter {
    pub(crate) fn before(relay: &Ready) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let address = relay.url.split_once("://").expect("a URL").1.to_owned();
        let (arrived, stopped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let fate = Arc::<AtomicU8>::default();
        let counter = (Arc::clone(&arrived), Arc::clone(&stopped), Arc::clone(&fate));
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let (address, counter) = (address.clone(), counter.clone());
                thread::spawn(move || pass(client, &address, &counter));
            }
        });
        Self { url, arrived, stopped, fate }
    }

    pub(crate) fn refreshes(&self) -> usize {
        self.arrived.swap(0, Ordering::SeqCst)
    }
}

type Counts = (Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicU8>);

fn pass(mut client: TcpStream, address: &str, (arrived, stopped, fate): &Counts) {
    let Ok(mut server) = TcpStream::connect(address) else { return };
    let (mut from, mut to) =
        (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
    let is_mute = Arc::new(AtomicU8::new(0));
    let mute = Arc::clone(&is_mute);
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if mute.load(Ordering::SeqCst) == 0 && to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut buffer = [0; 8192];
    loop {
        let read = match client.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        // A client writes a request's head in one piece.
        if buffer[..read].starts_with(b"POST /v1/oauth/token") {
            match fate.load(Ordering::SeqCst) {
                fate if fate == Fate::Passes as u8 => {}
                fate => {
                    stopped.fetch_add(1, Ordering::SeqCst);
                    if fate == Fate::Request as u8 {
                        continue;
                    }
                    is_mute.store(1, Ordering::SeqCst);
                }
            }
            arrived.fetch_add(1, Ordering::SeqCst);
        }
        if server.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

/// The other program, where it was built.
fn other_program() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_BIN_EXE_footbridge")).with_file_name("footbridge-worker");
    path.exists().then_some(path)
}

/// A process that needs the log-in, and ends by itself.
fn asks(machine: &Path, url: &str, args: &[&str]) -> Command {
    let mut command = footbridge(machine);
    command.args(["whoami", url]).args(args).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A worker that serves a directory of its own.
pub(crate) fn worker(
    machine: &Path,
    url: &str,
    args: &[&str],
    name: &str,
    is_other: bool,
) -> Running {
    let mut command = footbridge(machine);
    let args = [&["--relay", url, "--json", "--quiet", "--name", name][..], args].concat();
    match other_program().filter(|_| is_other) {
        Some(program) => {
            let mut other = Command::new(program);
            other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            other.current_dir(machine).args(["--agent", "cat"]).args(args);
            Running::start(&mut other)
        }
        None => Running::start(command.arg("work").args(args)),
    }
}

/// A machine that is logged in by way of something that counts.
fn logged_in(home: &Path, machine: &Path) -> (Running, Ready, Counter) {
    let (program, relay) = relay(home);
    let counter = Counter::before(&relay);
    let by_way = Ready { url: counter.url.clone(), token: relay.token.clone(), ..ready_of(&relay) };
    log_in(machine, &by_way, &[]);
    counter.refreshes();
    (program, relay, counter)
}

pub(crate) fn ready_of(relay: &Ready) -> Ready {
    Ready {
        url: relay.url.clone(),
        token: relay.token.clone(),
        environment: String::new(),
        certificate: None,
    }
}

pub(crate) fn start_all(machine: &Path, url: &str, args: &[&str], count: usize) -> Vec<Child> {
    let barrier = Barrier::new(count);
    thread::scope(|scope| {
        let starts = || {
            barrier.wait();
            asks(machine, url, args).spawn().expect("it starts")
        };
        let all: Vec<_> = (0..count).map(|_| scope.spawn(starts)).collect();
        all.into_iter().map(|one| one.join().expect("started")).collect()
    })
}

#[test]
fn of_many_processes_whose_token_runs_out_at_once_one_refreshes_it() {
    let (home, machine) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let (_program, relay, counter) = logged_in(home.path(), machine.path());
    // Together fewer than would be taken for guesses.
    for count in [2, 6] {
        spoil(&file_of(machine.path()));
        for mut one in start_all(machine.path(), &counter.url, &[], count) {
            assert!(one.wait().expect("it ends").success());
        }
        assert_eq!(counter.refreshes(), 1, "{count} processes");
    }
    let (_, listed) = relay.call("GET", "/v1/devices", &Value::Null);
    assert_eq!(listed["devices"].as_array().expect("a list").len(), 1);
}

#[test]
fn workers_of_both_programs_refresh_what_they_share_once() {
    let (home, machine) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let (_program, relay, counter) = logged_in(home.path(), machine.path());
    spoil(&file_of(machine.path()));
    let mut workers = ["one", "two", "three", "four"].map(|name| {
        let is_other = matches!(name, "two" | "four");
        worker(machine.path(), &counter.url, &[], name, is_other)
    });
    for worker in &mut workers {
        assert!(ready(worker).environment.starts_with("env_"));
    }
    assert_eq!(counter.refreshes(), 1);
    let (_, listed) = relay.call("GET", "/v1/devices", &Value::Null);
    assert_eq!(listed["devices"].as_array().expect("a list").len(), 1);
    for worker in &mut workers {
        worker.signal(Signal::TERM);
        assert_eq!(worker.wait(), Some(0));
    }
}

#[test]
fn whoever_is_killed_while_it_refreshes_keeps_nobody_from_it() {
    let (home, machine) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let (_program, _relay, counter) = logged_in(home.path(), machine.path());
    for (fate, reach_it) in [(Fate::Request, 1), (Fate::Answer, 2)] {
        spoil(&file_of(machine.path()));
        counter.stopped.store(0, Ordering::SeqCst);
        counter.fate.store(fate as u8, Ordering::SeqCst);
        let mut first = Running::start(&mut asks(machine.path(), &counter.url, &[]));
        until("it is refreshing", || (counter.stopped.load(Ordering::SeqCst) == 1).then_some(()));
        counter.fate.store(Fate::Passes as u8, Ordering::SeqCst);
        let others = start_all(machine.path(), &counter.url, &[], 2);
        let killed = Instant::now();
        first.signal(Signal::KILL);
        assert_eq!(first.wait(), None);
        for mut one in others {
            assert!(one.wait().expect("it ends").success());
        }
        assert!(killed.elapsed() < PATIENCE / 2, "nobody waits until it is out of patience");
        assert_eq!(counter.refreshes(), reach_it);
    }
}
