//! Process groups: starting a program in one, signalling the group, and reaping.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{ProcessSpec, Signal};
use footbridge_core::contract::event::{ExitStatus, IoError};
use footbridge_supervision::{Prepared, REFUSAL_BYTES, Started, Supervisor, refusal};
use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, pidfd_open,
    test_kill_process_group, waitid,
};

use crate::failure::io_failure;
use crate::inbox::lock;

/// A process group as the loop sees it. It may be signalled before its leader has started and after
/// it has exited.
#[derive(Debug)]
pub(crate) struct Group(Mutex<Stage>);

#[derive(Debug)]
enum Stage {
    /// Not started yet; these signals wait for it.
    Starting(Vec<Signal>),
    /// The leader has not been reaped.
    Led(Pid),
    /// Alive, or it was at the last check. The system does not reuse the number while a member
    /// is alive or the leader has not been reaped.
    Left(Pid),
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
            Stage::Led(group) | Stage::Left(group) => kill(*group, signal),
            Stage::Gone => {}
        }
    }

    /// Whether a signal can still reach anyone.
    pub(crate) fn is_alive(&self) -> bool {
        let mut stage = lock(&self.0);
        if let Stage::Left(group) = *stage
            && test_kill_process_group(group).is_err()
        {
            *stage = Stage::Gone;
        }
        !matches!(*stage, Stage::Gone)
    }

    /// Its leader, if that has been started and not been reaped.
    pub(crate) fn leader(&self) -> Option<u32> {
        match &*lock(&self.0) {
            Stage::Led(leader) => u32::try_from(leader.as_raw_nonzero().get()).ok(),
            Stage::Starting(_) | Stage::Left(_) | Stage::Gone => None,
        }
    }

    fn begin(&self, pid: Pid) {
        let mut stage = lock(&self.0);
        if let Stage::Starting(waiting) = std::mem::replace(&mut *stage, Stage::Led(pid)) {
            waiting.into_iter().for_each(|signal| kill(pid, signal));
        }
    }

    /// Reaps the leader, with no signal in between; after that, only remaining members keep the
    /// group. `false` if it lives on.
    fn reap(&self, leader: &OwnedFd) -> bool {
        let mut stage = lock(&self.0);
        // It has exited or been released: either way, there is nothing to wait for.
        let reaped =
            waitid(WaitId::PidFd(leader.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        if matches!(reaped, Ok(None)) {
            return false;
        }
        if let Stage::Led(group) = *stage {
            let is_left = test_kill_process_group(group).is_ok();
            *stage = if is_left { Stage::Left(group) } else { Stage::Gone };
        }
        true
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
    supervisor: &'a Supervisor,
}

/// The pipes to a process.
pub(crate) struct Pipes {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

/// How a process is started.
pub(crate) enum Kind {
    /// The root of a tree, with a pipe to its stdin.
    Tree(OpId),
    /// A command of the program's own, with an empty stdin.
    Command,
}

impl<'a> Leader<'a> {
    /// Starts a program, with pipes that do not block.
    pub(crate) fn spawn(
        spec: &ProcessSpec,
        kind: &Kind,
        group: &'a Group,
        supervisor: &'a Supervisor,
    ) -> Result<(Self, Pipes), IoError> {
        match kind {
            Kind::Command => {
                let command = supervisor.prepare_command(spec)?;
                Self::begin(spec, command, Stdio::null(), group, supervisor)
            }
            Kind::Tree(tree) => {
                let started = Self::launch(spec, *tree, group, supervisor);
                if started.is_err() {
                    supervisor.abandon(*tree);
                }
                started
            }
        }
    }

    fn launch(
        spec: &ProcessSpec,
        tree: OpId,
        group: &'a Group,
        supervisor: &'a Supervisor,
    ) -> Result<(Self, Pipes), IoError> {
        let Prepared { command, stdin, launch } = supervisor.prepare(tree, spec)?;
        let (leader, mut pipes) = Self::begin(spec, command, stdin, group, supervisor)?;
        let Started { stdin, control } = launch.proceed()?;
        if let Some(control) = control {
            let mut received = Vec::new();
            // A connection that breaks means that it was killed, which shows in its exit.
            let _ = control.take(REFUSAL_BYTES as u64).read_to_end(&mut received);
            if let Some(failure) = refusal(spec, &received) {
                return Err(failure);
            }
        }
        rustix::io::ioctl_fionbio(&stdin, true)
            .map_err(|error| not_started(spec, &error.into()))?;
        pipes.stdin = Some(stdin.into());
        Ok((leader, pipes))
    }

    fn begin(
        spec: &ProcessSpec,
        mut command: Command,
        stdin: Stdio,
        group: &'a Group,
        supervisor: &'a Supervisor,
    ) -> Result<(Self, Pipes), IoError> {
        let mut child = supervisor.spawn(spec, move || {
            command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().map(|child| {
                let pid = child.id();
                (child, pid)
            })
        })?;
        let pid = child.id();
        let opened = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(rustix::io::Errno::SRCH);
        let opened = opened.and_then(|pid| Ok((pid, pidfd_open(pid, PidfdFlags::empty())?)));
        let pipes = Pipes { stdin: None, stdout: child.stdout.take(), stderr: child.stderr.take() };
        let ready = opened.map_err(io::Error::from).and_then(|opened| {
            pipes.unblock()?;
            Ok(opened)
        });
        match ready {
            Ok((leader, fd)) => {
                group.begin(leader);
                Ok((Self { pid, fd, group, supervisor }, pipes))
            }
            Err(error) => {
                // Without a pidfd, its exit would go unnoticed.
                let _ = child.kill();
                let _ = child.wait();
                supervisor.reaped(pid);
                Err(not_started(spec, &error))
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
        if self.group.reap(&self.fd) {
            self.supervisor.reaped(self.pid);
        }
    }
}

impl Pipes {
    fn unblock(&self) -> io::Result<()> {
        let Self { stdout, stderr, .. } = self;
        let fds = [stdout.as_ref().map(AsFd::as_fd), stderr.as_ref().map(AsFd::as_fd)];
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

fn not_started(command: &ProcessSpec, error: &io::Error) -> IoError {
    io_failure(format_args!("the program {}", command.program), error)
}
