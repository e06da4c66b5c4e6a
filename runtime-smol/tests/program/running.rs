//! A running `footbridge`, and what tests need from it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The program with its own home directory, and none of this process's settings.
pub(crate) fn footbridge(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
    for (name, _) in std::env::vars_os() {
        let is_setting = |name: &str| {
            ["FOOTBRIDGE_", "XDG_", "GIT_"].iter().any(|beginning| name.starts_with(beginning))
                || name.to_ascii_uppercase().ends_with("_PROXY")
        };
        if name.to_str().is_some_and(is_setting) {
            command.env_remove(name);
        }
    }
    command.env("HOME", home).current_dir(home);
    command
}

/// Runs it until it exits.
pub(crate) fn output(home: &Path, args: &[&str]) -> Output {
    footbridge(home).args(args).stdin(Stdio::null()).output().expect("it runs")
}

/// One that runs alongside the test, and is killed with it.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().expect("it starts");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, stdin, stdout }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn say(&mut self, value: &Value) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        writeln!(stdin, "{value}").expect("it reads");
    }

    /// Says all of this and nothing more, while the test reads what comes of it.
    pub(crate) fn say_all(&mut self, values: Vec<Value>) -> std::thread::JoinHandle<()> {
        let mut stdin = self.stdin.take().expect("stdin is open");
        std::thread::spawn(move || {
            for value in values {
                writeln!(stdin, "{value}").expect("it reads");
            }
        })
    }

    /// A line as a person types it.
    pub(crate) fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        writeln!(stdin, "{line}").expect("it reads");
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// The next line of its stdout; `None` at the end.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line).expect("text");
        (read > 0).then_some(line)
    }

    /// The next message of this `type`.
    pub(crate) fn message(&mut self, kind: &str) -> Value {
        loop {
            let line = self.line().expect("a message before the end");
            let message: Value = serde_json::from_str(&line).expect("JSON");
            if message["type"] == kind {
                return message;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is running");
    }

    /// Its exit code; `None` if a signal ended it.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        until("it ends", || self.child.try_wait().expect("a child")).code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something to appear.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "timed out waiting for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until a process is gone; a zombie counts as gone.
pub(crate) fn until_gone(pid: u32) {
    until("the process is gone", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        matches!(state, None | Some('Z' | 'X')).then_some(())
    });
}

/// The process id that a command has written to a file.
pub(crate) fn pid_in(file: &Path) -> u32 {
    until("a process id", || {
        let text = std::fs::read_to_string(file).ok()?;
        text.strip_suffix('\n')?.parse().ok()
    })
}
