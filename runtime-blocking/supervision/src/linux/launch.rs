//! Between the worker and an agent: what can only be done inside the new process.
//!
//! The worker starts its own program with a hidden command; that does what is to be done, and then
//! becomes the agent by `exec`. Its first stdin is a socket: on it comes the agent's stdin, and the
//! reason goes back if there is no such program. It closes when the agent runs.

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// The hidden command: `--footbridge-launch PARENT CGROUP PROGRAM ARGUMENTS…`.
pub(super) const COMMAND: &str = "--footbridge-launch";
/// In the place of a cgroup: there is none.
const NONE: &str = "-";
/// The file of this program, also once another has replaced it.
pub(super) const OWN_PROGRAM: &str = "/proc/self/exe";
/// What a shell says of a program that cannot be run.
const NOT_RUN: u8 = 127;

/// The command that becomes `program`.
pub(super) fn command(cgroup: Option<&Path>, program: &Path, args: &[String]) -> Command {
    let mut command = Command::new(OWN_PROGRAM);
    command.arg(COMMAND).arg(std::process::id().to_string());
    command.arg(cgroup.unwrap_or(Path::new(NONE))).arg(program).args(args);
    command
}

/// Hands a new process its stdin.
pub(crate) fn give(control: &UnixStream, stdin: &OwnedFd) -> io::Result<()> {
    let fds = [stdin.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(control, &[IoSlice::new(b"i")], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Becomes the program. Returns only if it cannot.
pub(super) fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let parent = args.next().and_then(|parent| parent.to_str()?.parse::<i32>().ok());
    let (Some(parent), Some(cgroup), Some(program)) = (parent, args.next(), args.next()) else {
        return ExitCode::from(NOT_RUN);
    };
    // Whoever started this is gone if nothing comes.
    let Ok((mut control, stdin)) = receive() else { return ExitCode::from(NOT_RUN) };
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    if getppid().is_none_or(|now| now.as_raw_nonzero().get() != parent) {
        return ExitCode::from(NOT_RUN);
    }
    if cgroup != NONE {
        // One that cannot be joined is no reason not to run: the other means are left.
        let _ = std::fs::write(Path::new(&cgroup).join("cgroup.procs"), "0");
    }
    let error = match rustix::stdio::dup2_stdin(&stdin) {
        Ok(()) => {
            drop(stdin);
            Command::new(program).args(args).exec()
        }
        Err(error) => error.into(),
    };
    let code = error.raw_os_error().unwrap_or_default();
    let _ = control.write_all(&code.to_ne_bytes());
    ExitCode::from(NOT_RUN)
}

/// The socket and what comes on it.
fn receive() -> io::Result<(UnixStream, OwnedFd)> {
    let control = UnixStream::from(fcntl_dupfd_cloexec(io::stdin(), 3)?);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    rustix::io::retry_on_intr(|| {
        recvmsg(&control, &mut bytes, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message
            && let Some(stdin) = fds.next()
        {
            return Ok((control, stdin));
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
