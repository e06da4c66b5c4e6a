//! The real program, started as a person would start it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::api::Api;
use super::{DEADLINE, poll};

/// The access token of the tests' relays.
pub(crate) const TOKEN: &str = "the-token-of-these-tests";

/// In the environment of each program, and so of everything that it starts.
const MARK: &str = "FOOTBRIDGE_TEST_RUN";

/// A running `footbridge`. Whatever is left of it is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    mark: String,
    /// Where it keeps what outlives it, if that goes with it.
    _state: Option<TempDir>,
    stderr: Arc<Mutex<String>>,
    /// Collects `stderr` until its end.
    listener: Option<JoinHandle<()>>,
    ready: Value,
}

/// How a program ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program until it exits.
#[track_caller]
pub(crate) fn run(args: &[&str], token: &str) -> Ended {
    let state = tempfile::tempdir().expect("a directory");
    let mut program = Program::spawn(args, token, state.path());
    let mut stdout = program.child.stdout.take().expect("a pipe");
    let code = program.wait().unwrap_or_else(|| panic!("{args:?} does not exit"));
    program.listener.take().expect("not joined yet").join().expect("no panic");
    let mut text = String::new();
    stdout.read_to_string(&mut text).expect("text");
    Ended { code, stdout: text, stderr: program.stderr() }
}

impl Program {
    /// Relay and worker in one, with its own directory and further arguments.
    #[track_caller]
    pub(crate) fn up(directory: &TempDir, args: &[&str]) -> Self {
        let common = ["up", "--listen", "127.0.0.1:0", "--directory", path(directory.path())];
        Self::start(&[&common, args].concat())
    }

    /// A worker for a relay.
    #[track_caller]
    pub(crate) fn work(relay: &str, directory: &TempDir) -> Self {
        Self::start(&["work", "--relay", relay, "--directory", path(directory.path())])
    }

    /// Starts it and waits for its ready line.
    #[track_caller]
    pub(crate) fn start(args: &[&str]) -> Self {
        let state = tempfile::tempdir().expect("a directory");
        let mut program = Self::start_on(state.path(), args);
        program._state = Some(state);
        program
    }

    /// The same, with what an earlier one has kept.
    #[track_caller]
    pub(crate) fn start_on(state: &Path, args: &[&str]) -> Self {
        let mut program = Self::spawn(&[args, &["--json"]].concat(), TOKEN, state);
        let mut stdout = BufReader::new(program.child.stdout.take().expect("a pipe"));
        let (sender, line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = sender.send(stdout.read_line(&mut line).map(|_| line));
            // Kept open and read, so that it never meets a closed pipe.
            let _ = std::io::copy(&mut stdout, &mut std::io::sink());
        });
        let line = line.recv_timeout(DEADLINE).ok().and_then(Result::ok).unwrap_or_default();
        program.ready = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("{args:?} never became ready, but printed {line:?} and {}", program.stderr())
        });
        program
    }

    fn spawn(args: &[&str], token: &str, state: &Path) -> Self {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let mark = format!("{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
        command.args(args).env(MARK, &mark).env("FOOTBRIDGE_TOKEN", token);
        command.env("XDG_STATE_HOME", state);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let pipe = child.stderr.take().expect("a pipe");
        let stderr = Arc::new(Mutex::new(String::new()));
        let collected = Arc::clone(&stderr);
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                *collected.lock().expect("no panic") += &(line + "\n");
            }
        });
        Self { child, mark, _state: None, stderr, listener: Some(listener), ready: Value::Null }
    }

    /// Its relay's URL.
    pub(crate) fn url(&self) -> &str {
        self.ready["url"].as_str().expect("the ready line names the relay")
    }

    /// Address and port that it listens on.
    pub(crate) fn listen(&self) -> &str {
        self.ready["listen"].as_str().expect("the ready line names the socket")
    }

    /// The page's address, including the token.
    pub(crate) fn page(&self) -> &str {
        self.ready["page"].as_str().expect("the ready line names the page")
    }

    /// A viewer without a browser.
    pub(crate) fn api(&self) -> Api {
        Api::new(self.url(), TOKEN)
    }

    /// Its stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().expect("no panic").clone()
    }

    /// Waits until it has printed something on stderr.
    #[track_caller]
    pub(crate) fn hear(&self, words: &str) {
        let heard = poll(|| self.stderr().contains(words).then_some(()));
        assert!(heard.is_some(), "timed out waiting for {words:?}; it printed\n{}", self.stderr());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits until it exits; its exit code, unless a signal ended it.
    fn wait(&mut self) -> Option<Option<i32>> {
        let status = poll(|| self.child.try_wait().expect("a child of ours"))?;
        Some(status.code())
    }

    /// Ends it with a signal, and checks that it exited cleanly and left nothing behind.
    #[track_caller]
    pub(crate) fn stop(mut self, signal: Signal) {
        self.signal(signal);
        let code = self.wait().expect("it exits when asked to");
        assert_eq!(code, Some(0), "it said\n{}", self.stderr());
        self.assert_nothing_left();
    }

    /// Kills it without warning; what it started must notice on its own.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.wait().expect("it is killed");
        self.assert_nothing_left();
    }

    /// Kills it and everything that it has started, at once: the power is gone.
    #[track_caller]
    pub(crate) fn crash(mut self) {
        for pid in left_of(&self.mark).into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        self.wait().expect("it is killed");
        self.assert_nothing_left();
    }

    #[track_caller]
    fn assert_nothing_left(&self) {
        let gone = poll(|| left_of(&self.mark).is_empty().then_some(()));
        assert!(gone.is_some(), "processes are left: {:?}", left_of(&self.mark));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in left_of(&self.mark).into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The processes that have the mark in their environment; a zombie has none.
fn left_of(mark: &str) -> Vec<i32> {
    let entry = format!("{MARK}={mark}");
    processes(|about| {
        let environment = std::fs::read(about.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes())
    })
}

/// The processes of which that holds what the system says about them, in a folder for each.
pub(crate) fn processes(is_one: impl Fn(&Path) -> bool) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").expect("a /proc").filter_map(Result::ok);
    let found = all.filter(|process| is_one(&process.path()));
    found.filter_map(|process| process.file_name().to_str()?.parse().ok()).collect()
}

/// A path as an argument.
pub(crate) fn path(path: &Path) -> &str {
    path.to_str().expect("temporary paths are text")
}
