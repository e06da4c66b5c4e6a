//! One command, run until it exits, with its output collected.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{ProcessSpec, Signal};
use footbridge_core::contract::event::{Event, ExitStatus, IoError, IoErrorKind};
use footbridge_supervision::Supervisor;
use rustix::event::PollFlags;

use crate::failure::{failure, io_failure};
use crate::group::{Group, Kind, Leader, Pipes};
use crate::inbox::Inbox;
use crate::mailbox::Outbox;
use crate::net::deadline_after;
use crate::process::{Chunk, READ_BYTES, read_chunk};
use crate::threads::{SMALL_STACK, Threads};

/// How long after a command exits to wait for its outputs: a child left behind holding them open is
/// not part of what was asked for.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// A command takes no orders: it can only be cancelled.
#[derive(Debug)]
pub(crate) enum NoOrder {}

/// What [`Action::Run`](footbridge_core::contract::action::Action::Run) says.
pub(crate) struct Task {
    pub(crate) command: ProcessSpec,
    pub(crate) timeout: Duration,
    pub(crate) limit: usize,
}

/// Starts a command. A cancel kills it: its result is of no use any more.
pub(crate) fn start(
    op: OpId,
    task: Task,
    outbox: Outbox,
    threads: &mut Threads,
    supervisor: &Arc<Supervisor>,
) -> Result<Arc<Inbox<NoOrder>>, IoError> {
    let inbox = Arc::new(Inbox::new().map_err(|error| io_failure("no eventfd", &error))?);
    let (orders, supervisor) = (Arc::clone(&inbox), Arc::clone(supervisor));
    let work = move || {
        let event = match run(&task, &orders, &supervisor) {
            Ok(Some((status, [stdout, stderr]))) => Event::Ran { op, status, stdout, stderr },
            Ok(None) => return,
            Err(failure) => Event::Failed { op, failure },
        };
        // Nobody is listening any more, so there is nothing left to do.
        let _ = outbox.post(event);
    };
    threads.spawn("run", SMALL_STACK, work).map_err(|error| io_failure("no thread", &error))?;
    Ok(inbox)
}

/// How it ended, and the beginning of both outputs. `None` after a cancel.
fn run(
    task: &Task,
    inbox: &Inbox<NoOrder>,
    supervisor: &Supervisor,
) -> Result<Option<(ExitStatus, [Bytes; 2])>, IoError> {
    let mut deadline = deadline_after(task.timeout);
    let group = Group::new();
    let (leader, pipes) = Leader::spawn(&task.command, &Kind::Command, &group, supervisor)?;
    let Pipes { mut stdout, mut stderr, .. } = pipes;
    let mut scratch = vec![0; READ_BYTES];
    let mut kept = [Vec::new(), Vec::new()];
    let mut status = None;
    while status.is_none() || stdout.is_some() || stderr.is_some() {
        let is_late = Instant::now() >= deadline;
        if inbox.is_cancelled() || (is_late && status.is_none()) {
            leader.signal(Signal::Kill);
            let _ = inbox.wait([Some((leader.exited(), PollFlags::IN))], Some(soon()));
            return if inbox.is_cancelled() { Ok(None) } else { Err(timed_out(task)) };
        }
        if is_late {
            break;
        }
        let interests = [
            stdout.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)),
            stderr.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)),
            status.is_none().then(|| (leader.exited(), PollFlags::IN)),
        ];
        // If the system cannot wait for lack of memory, try everything.
        let [out, err, exited] = inbox.wait(interests, Some(deadline)).unwrap_or([true; 3]);
        let chunks = [
            if out { read_chunk(&mut stdout, &mut scratch) } else { Chunk::Nothing },
            if err { read_chunk(&mut stderr, &mut scratch) } else { Chunk::Nothing },
        ];
        for (kept, chunk) in kept.iter_mut().zip(chunks) {
            if let Chunk::Data(data) = chunk {
                // Read past the limit as well, or the command would block forever.
                let room = task.limit - kept.len();
                kept.extend_from_slice(&data[..data.len().min(room)]);
            }
        }
        if exited && status.is_none() {
            status = leader.status();
            deadline = deadline.min(Instant::now() + OUTPUT_GRACE);
        }
    }
    Ok(status.map(|status| (status, kept.map(Bytes::from))))
}

/// How long to wait for a killed process to die, so that it can be reaped.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(1)
}

fn timed_out(task: &Task) -> IoError {
    let (program, limit) = (&task.command.program, task.timeout);
    failure(IoErrorKind::TimedOut, format_args!("{program} ran for more than {limit:?}: killed"))
}
