//! Reaps orphans that have come to this process, as they exit.

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use footbridge_supervision::Supervisor;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::SIGCHLD;
use signal_hook::low_level::{pipe, unregister};

/// Until the driver has ended.
pub(crate) fn run(supervisor: &Supervisor, end: &OwnedFd) -> io::Result<()> {
    let (mut told, tell) = UnixStream::pair()?;
    told.set_nonblocking(true)?;
    let registered = pipe::register(SIGCHLD, tell)?;
    let mut scratch = [0; 64];
    let outcome = loop {
        // Before a look, so that none is missed.
        while matches!(told.read(&mut scratch), Ok(1..)) {}
        let pause = supervisor.reap_orphans().and_then(|pause| Timespec::try_from(pause).ok());
        let mut fds = [PollFd::new(&told, PollFlags::IN), PollFd::new(end, PollFlags::IN)];
        match poll(&mut fds, pause.as_ref()) {
            Ok(_) if !fds[1].revents().is_empty() => break Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => break Err(error.into()),
        }
    };
    unregister(registered);
    outcome
}
