//! The guard: a small process that outlives its worker by a moment, and ends whatever that left.
//!
//! It is started with the first agent, holds one end of a pipe, and does nothing until that breaks.

use std::ffi::OsString;
use std::io::{self, PipeWriter, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::cgroup::Cgroup;
use super::end::{Tree, end};
use super::launch::OWN_PROGRAM;

/// The hidden command: `--footbridge-guard RUN SESSION CGROUP`.
pub(super) const COMMAND: &str = "--footbridge-guard";
/// In the place of a cgroup: there is none.
const NONE: &str = "-";
/// How long it tries to end what will not.
const LIMIT: Duration = Duration::from_secs(30);
/// How long an ending worker waits for it: it finds nothing, usually.
const GOODBYE: Duration = Duration::from_secs(2);

/// The worker's side.
#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
    alive: Option<PipeWriter>,
}

impl Guard {
    /// Starts it, for everything with a mark that begins with `run`.
    pub(super) fn start(run: &str, session: i32, cgroup: Option<&Cgroup>) -> io::Result<Self> {
        let (reader, alive) = io::pipe()?;
        let child = Command::new(OWN_PROGRAM)
            .arg(COMMAND)
            .args([run, &session.to_string()])
            .arg(cgroup.map_or(Path::new(NONE), Cgroup::path))
            // It needs nothing, holds no directory and no terminal, and knows no secret.
            .env_clear()
            .current_dir("/")
            .stdin(reader)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, alive: Some(alive) })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.alive = None;
        let deadline = Instant::now() + GOODBYE;
        while self.is_running() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The guard's side.
pub(super) fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let text = |arg: OsString| arg.into_string().ok();
    let run = args.next().and_then(text);
    let session = args.next().and_then(text).and_then(|session| session.parse().ok());
    let (Some(run), Some(session), Some(cgroup)) = (run, session, args.next()) else {
        return ExitCode::FAILURE;
    };
    // Its own session, so that what ends the worker's terminal does not end it; and a name of its
    // own, so that whoever ends programs by their name does not mean it.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"fb-guard");
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
    wait_for_the_end();
    let cgroup = (cgroup != NONE).then(|| Cgroup::existing(PathBuf::from(cgroup)));
    let tree = Tree {
        mark: &run,
        is_prefix: true,
        root: None,
        outer_session: session,
        is_orphan: &|_| false,
        cgroup: cgroup.as_ref(),
    };
    end(&tree, LIMIT);
    if let Some(cgroup) = &cgroup {
        cgroup.remove();
    }
    ExitCode::SUCCESS
}

/// Nothing is ever written to the pipe.
fn wait_for_the_end() {
    let mut stdin = io::stdin().lock();
    let mut byte = [0];
    loop {
        match stdin.read(&mut byte) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
