//! Process groups: starting a program in one, signalling the group, and reaping.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::sync::Mutex;

use footbridge_core::contract::action::{ProcessSpec, Signal};
use footbridge_core::contract::event::{ExitStatus, IoError, IoErrorKind};
use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, pidfd_open,
    test_kill_process_group, waitid,
};

use crate::failure::{failure, io_failure};
use crate::inbox::lock;

/// A process group as the loop sees it. It may be signalled before its leader has started and after
/// it has exited.
#[derive(Debug)]
pub(crate) struct Group(Mutex<Stage>);

#[derive(Debug)]
enum Stage {
    /// Not started yet; these signals wait for it.
    Starting(Vec<Signal>),
    /// Alive, or it was at the last check. The system does not reuse the number while a member
    /// is alive or the leader has not been reaped.
    Started(Pid),
    Gone,
}

impl Group {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Stage::Starting(Vec::new())))
    }

    /// Signals all members. A group that is gone is not an error.
    pub(crate) fn signal(&self, signal: Signal) {
        match &mut *lock(&self.0) {
            Stage::Starting(waiting) => waiting.push(signal),
            Stage::Started(group) => kill(*group, signal),
            Stage::Gone => {}
        }
    }

    /// Whether a signal can still reach anyone.
    pub(crate) fn is_alive(&self) -> bool {
        let mut stage = lock(&self.0);
        if let Stage::Started(group) = *stage
            && test_kill_process_group(group).is_err()
        {
            *stage = Stage::Gone;
        }
        !matches!(*stage, Stage::Gone)
    }

    fn begin(&self, pid: Pid) {
        let mut stage = lock(&self.0);
        if let Stage::Starting(waiting) = std::mem::replace(&mut *stage, Stage::Started(pid)) {
            waiting.into_iter().for_each(|signal| kill(pid, signal));
        }
    }

    /// Reaps the leader, with no signal in between; after that, only remaining members keep the
    /// group.
    fn reap(&self, leader: &OwnedFd) {
        let mut stage = lock(&self.0);
        // It has exited or been released: either way, there is nothing to wait for.
        let _ =
            waitid(WaitId::PidFd(leader.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        if let Stage::Started(group) = *stage
            && test_kill_process_group(group).is_err()
        {
            *stage = Stage::Gone;
        }
    }
}

fn kill(group: Pid, signal: Signal) {
    let signal = match signal {
        Signal::Interrupt => rustix::process::Signal::INT,
        Signal::Terminate => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    };
    // The only error is that nobody is left.
    let _ = kill_process_group(group, signal);
}

/// A process started as the leader of its own group.
///
/// After exiting, it stays a zombie until it is reaped, so its number cannot be reused by a
/// stranger that a signal would then reach.
pub(crate) struct Leader<'a> {
    pub(crate) pid: u32,
    fd: OwnedFd,
    group: &'a Group,
}

/// The pipes to a process.
pub(crate) struct Pipes {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

impl<'a> Leader<'a> {
    /// Starts a program, with pipes that do not block.
    pub(crate) fn spawn(
        command: &ProcessSpec,
        has_stdin: bool,
        group: &'a Group,
    ) -> Result<(Self, Pipes), IoError> {
        let stdin = if has_stdin { Stdio::piped() } else { Stdio::null() };
        check_directory(command)?;
        let mut child = prepare(command)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| not_started(command, &error))?;
        let pid = child.id();
        let opened = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(rustix::io::Errno::SRCH);
        let opened = opened.and_then(|pid| Ok((pid, pidfd_open(pid, PidfdFlags::empty())?)));
        let pipes = Pipes {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
        };
        let ready = opened.map_err(io::Error::from).and_then(|opened| {
            pipes.unblock()?;
            Ok(opened)
        });
        match ready {
            Ok((leader, fd)) => {
                group.begin(leader);
                Ok((Self { pid, fd, group }, pipes))
            }
            Err(error) => {
                // Without a pidfd, its exit would go unnoticed.
                let _ = child.kill();
                let _ = child.wait();
                Err(not_started(command, &error))
            }
        }
    }

    /// A descriptor that becomes readable when the process has exited.
    pub(crate) fn exited(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// How the process ended; `None` if it has not. Does not reap it.
    pub(crate) fn status(&self) -> Option<ExitStatus> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::PidFd(self.fd.as_fd()), options).ok()??;
        Some(status_of(&status))
    }

    /// Signals the whole group.
    pub(crate) fn signal(&self, signal: Signal) {
        self.group.signal(signal);
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.group.reap(&self.fd);
    }
}

impl Pipes {
    fn unblock(&self) -> io::Result<()> {
        let Self { stdin, stdout, stderr } = self;
        let fds = [
            stdin.as_ref().map(AsFd::as_fd),
            stdout.as_ref().map(AsFd::as_fd),
            stderr.as_ref().map(AsFd::as_fd),
        ];
        for fd in fds.into_iter().flatten() {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        Ok(())
    }
}

fn status_of(status: &WaitIdStatus) -> ExitStatus {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, Some(signal)) => ExitStatus::Signal(signal),
        // `EXITED` asks only for these two.
        (None, None) => ExitStatus::Signal(0),
    }
}

fn prepare(command: &ProcessSpec) -> std::process::Command {
    let mut prepared = std::process::Command::new(program_of(command));
    prepared.args(&command.args);
    for name in &command.env_remove {
        prepared.env_remove(name);
    }
    prepared.envs(command.env.iter().map(|(name, value)| (name, value.reveal())));
    if let Some(directory) = &command.directory {
        prepared.current_dir(directory);
    }
    prepared
}

/// The standard library would look up a bare name in the `PATH` that the program is given, if it is
/// given one of its own.
fn program_of(command: &ProcessSpec) -> PathBuf {
    let is_bare = !command.program.contains('/');
    let mut named = command.env.iter().map(|(name, _)| name).chain(&command.env_remove);
    if is_bare && named.any(|name| name == "PATH") {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut places = std::env::split_paths(&path).map(|place| place.join(&command.program));
        if let Some(found) = places.find(|place| is_executable(place)) {
            return found;
        }
    }
    PathBuf::from(&command.program)
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// The system only says "no such file", whatever is missing.
fn check_directory(command: &ProcessSpec) -> Result<(), IoError> {
    let Some(directory) = &command.directory else { return Ok(()) };
    let place = format!("the directory {directory}");
    match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(failure(IoErrorKind::NotFound, format_args!("{place}: not a directory"))),
        Err(error) => Err(io_failure(place, &error)),
    }
}

fn not_started(command: &ProcessSpec, error: &io::Error) -> IoError {
    io_failure(format_args!("the program {}", command.program), error)
}
