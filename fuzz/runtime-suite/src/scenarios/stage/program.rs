//! The worker's program, as a process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::api::TOKEN;
use super::until;
use crate::Runtime;

/// A running worker program. Its output goes to files.
pub(crate) struct Program {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Program {
    /// Starts it for the relay at `address`, with its own home directory. `shell` is run in
    /// the process before it: limits, variables.
    pub(crate) fn start<R: Runtime>(
        address: &str,
        home: &Path,
        shell: &str,
        options: &[&str],
    ) -> Self {
        let relay = format!("http://{address}");
        Self::run::<R>(home, shell, &[&["--relay", &relay], options].concat())
    }

    /// Starts it with only these options.
    pub(crate) fn run<R: Runtime>(home: &Path, shell: &str, options: &[&str]) -> Self {
        let (stdout, stderr) = (home.join("stdout"), home.join("stderr"));
        let file = |path: &Path| File::create(path).expect("a file");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{shell}\nexec \"$@\""), "sh"]);
        command
            .args(R::WORKER)
            .args(options)
            .current_dir(home)
            .env("HOME", home)
            .env("FOOTBRIDGE_TOKEN", TOKEN);
        command.env_remove("XDG_STATE_HOME").stdin(Stdio::null());
        command.stdout(file(&stdout)).stderr(file(&stderr));
        Self { child: command.spawn().expect("it starts"), stdout, stderr }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far, on both outputs.
    pub(crate) fn printed(&self) -> String {
        let read = |path: &Path| std::fs::read_to_string(path).expect("text");
        read(&self.stdout) + &read(&self.stderr)
    }

    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is running");
    }

    /// Ends it with a signal; its exit code.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Kills it.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is there");
        let _ = self.child.wait();
    }

    /// Waits until it exits; its exit code.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Option<i32> {
        until("it ends", || self.child.try_wait().expect("a child")).code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
