//! Processes: each in a group of its own, with its pipes and its exit.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fs::File;
use std::future::{pending, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::{Async, Timer};
use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{ProcessSpec, Signal};
use footbridge_core::contract::event::{Event, ExitStatus, IoError, IoErrorKind, Output};
use footbridge_supervision::{Prepared, REFUSAL_BYTES, Started, refusal};
use rustix::process::{Pid, Signal as UnixSignal, kill_process_group, test_kill_process_group};
use smol::Task;
use smol::future::{or, zip};
use smol::io::{AsyncReadExt, AsyncWriteExt};

use crate::failure::{about, failure};
use crate::io::within;
use crate::mailbox::Gate;
use crate::shared::Shared;

/// Maximum size of one read from a pipe: all that a pipe holds on Linux.
const READ_BYTES: usize = 64 << 10;
/// A smaller chunk is copied into memory of its own size instead of holding a whole buffer.
const SMALL_BYTES: usize = 4 << 10;
/// Writes are combined up to about this much before they are confirmed.
const BATCH_BYTES: usize = 64 << 10;
/// How long a child may hold open the outputs of a command that has exited.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// A process as the loop sees it.
pub(crate) struct Process {
    _task: Option<Task<()>>,
    group: Option<Pid>,
    /// Whether its leader has been reaped.
    reaped: Rc<Cell<bool>>,
    input: Sender<Input>,
    pub(crate) gate: Rc<Gate>,
}

/// One operation on stdin.
pub(crate) enum Input {
    Data(Bytes),
    End,
}

impl Process {
    pub(crate) fn feed(&self, input: Input) {
        let _ = self.input.try_send(input);
    }

    /// The process itself, if it has not been reaped.
    pub(crate) fn root(&self) -> Option<Pid> {
        self.group.filter(|_| !self.reaped.get())
    }

    /// Signals whoever is left of the group, even after its leader has exited.
    pub(crate) fn signal(&self, signal: Signal) {
        let signal = match signal {
            Signal::Interrupt => UnixSignal::INT,
            Signal::Terminate => UnixSignal::TERM,
            Signal::Kill => UnixSignal::KILL,
        };
        if let Some(group) = self.group {
            // A group that is gone is not an error.
            let _ = kill_process_group(group, signal);
        }
    }
}

/// Starts a process.
pub(crate) fn spawn(op: OpId, spec: ProcessSpec, shared: &Rc<Shared>) -> Process {
    let (input, queue) = async_channel::unbounded();
    let gate = Rc::new(Gate::default());
    let reaped = Rc::new(Cell::new(false));
    let launched = launch(op, &spec, shared);
    let group = launched.as_ref().ok().and_then(|launched| launched.child.group);
    let (shared, held, gone) = (Rc::clone(shared), Rc::clone(&gate), Rc::clone(&reaped));
    let spawner = shared.spawner.clone();
    let task = spawner.spawn(async move {
        let started = match launched {
            Ok(Launched { mut child, stdin, control }) => match becomes(&spec, control).await {
                Ok(()) => Ok((child, stdin)),
                Err(failure) => {
                    wait(&mut child.child, &shared).await;
                    Err(failure)
                }
            },
            Err(failure) => Err(failure),
        };
        match started {
            Ok((child, stdin)) => attend(op, child, stdin, queue, &held, &gone, &shared).await,
            Err(failure) => {
                shared.supervisor.abandon(op);
                shared.mailbox.failed(op, failure).await;
            }
        }
    });
    Process { _task: task, group, reaped, input, gate }
}

/// Waits for a child to exit, and reaps it. It can fail only if someone else has.
async fn wait(child: &mut async_process::Child, shared: &Shared) -> Option<ExitStatus> {
    let status = child.status().await;
    shared.supervisor.reaped(child.id());
    status.ok().map(status_of)
}

/// Kills all that a process has started, in another thread: it takes a few looks at all processes.
pub(crate) async fn end_tree(op: OpId, process: OpId, root: Option<Pid>, shared: Rc<Shared>) {
    let supervisor = Arc::clone(&shared.supervisor);
    let root = root.and_then(|root| u32::try_from(root.as_raw_nonzero().get()).ok());
    let survivors = smol::unblock(move || supervisor.end_tree(process, root)).await;
    shared.mailbox.last(Event::TreeEnded { op, survivors }).await;
}

/// A process with its pipes.
struct Child {
    child: async_process::Child,
    group: Option<Pid>,
    stdout: Async<File>,
    stderr: Async<File>,
}

/// A process that may still have to become the program that was asked for.
struct Launched {
    child: Child,
    stdin: Async<File>,
    control: Option<Async<UnixStream>>,
}

fn launch(op: OpId, spec: &ProcessSpec, shared: &Shared) -> Result<Launched, IoError> {
    let Prepared { command, stdin, launch } = shared.supervisor.prepare(op, spec)?;
    let child = start(spec, command, stdin, shared)?;
    let Started { stdin, control } = launch.proceed()?;
    let cannot = |error| about(format_args!("the pipes of {}", spec.program), &error);
    let stdin = Async::new(File::from(stdin)).map_err(cannot)?;
    let control = control.map(Async::new).transpose().map_err(cannot)?;
    Ok(Launched { child, stdin, control })
}

fn start(
    spec: &ProcessSpec,
    command: Command,
    stdin: Stdio,
    shared: &Shared,
) -> Result<Child, IoError> {
    let mut child = shared.supervisor.spawn(spec, move || {
        let mut build = async_process::Command::from(command);
        build.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        build.spawn().map(|child| {
            let pid = child.id();
            (child, pid)
        })
    })?;
    let pipe = |end: Option<io::Result<OwnedFd>>| -> io::Result<Async<File>> {
        let end = end.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))?;
        Async::new(File::from(end))
    };
    let stdout = pipe(child.stdout.take().map(OwnedFd::try_from));
    let stderr = pipe(child.stderr.take().map(OwnedFd::try_from));
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    match (stdout, stderr) {
        (Ok(stdout), Ok(stderr)) => Ok(Child { child, group, stdout, stderr }),
        (Err(error), _) | (_, Err(error)) => {
            if let Some(group) = group {
                let _ = kill_process_group(group, UnixSignal::KILL);
            }
            Err(about(format_args!("the pipes of {}", spec.program), &error))
        }
    }
}

/// Waits until the program that was asked for runs.
async fn becomes(spec: &ProcessSpec, control: Option<Async<UnixStream>>) -> Result<(), IoError> {
    let Some(control) = control else { return Ok(()) };
    let mut received = Vec::new();
    // A connection that breaks means that it was killed, which shows in its exit.
    let _ = control.take(REFUSAL_BYTES as u64).read_to_end(&mut received).await;
    refusal(spec, &received).map_or(Ok(()), Err)
}

async fn attend(
    op: OpId,
    child: Child,
    stdin: Async<File>,
    input: Receiver<Input>,
    gate: &Gate,
    reaped: &Cell<bool>,
    shared: &Shared,
) {
    let Child { mut child, group, stdout, stderr } = child;
    shared.mailbox.tell(Event::Spawned { op, pid: child.id() }).await;
    let ends =
        Ends { op, left: Cell::new(3), stdin: Cell::new(Stdin::Idle), input: &input, shared };
    let outputs = zip(
        read(op, stdout, Output::Stdout, Some(gate), &ends),
        read(op, stderr, Output::Stderr, None, &ends),
    );
    let exit = async {
        let status = wait(&mut child, shared).await.unwrap_or(ExitStatus::Code(-1));
        reaped.set(true);
        ends.tell(Event::Exited { op, status }).await;
    };
    let writing = async {
        write(op, stdin, &ends).await;
        pending::<()>().await;
    };
    or(async { _ = zip(outputs, exit).await }, writing).await;
    // A child of the process may be left, and a signal can still reach it.
    if group.is_none_or(|group| test_kill_process_group(group).is_err()) {
        shared.mailbox.over(op).await;
    }
}

/// The state of a process's stdin.
#[derive(Clone, Copy)]
enum Stdin {
    /// Every write taken from the queue has been confirmed.
    Idle,
    Writing,
    /// Whatever is left in the queue is dropped.
    Closed,
}

/// The three ends of a process: its exit, and the end of each output.
struct Ends<'a> {
    op: OpId,
    left: Cell<u8>,
    stdin: Cell<Stdin>,
    input: &'a Receiver<Input>,
    shared: &'a Shared,
}

impl Ends<'_> {
    /// Reports one of them; nothing follows the last one, so pending writes are abandoned
    /// before it.
    async fn tell(&self, event: Event) {
        self.left.set(self.left.get().saturating_sub(1));
        if self.left.get() == 0 {
            self.input.close();
            let is_lost = match self.stdin.replace(Stdin::Closed) {
                Stdin::Idle => matches!(self.input.try_recv(), Ok(Input::Data(_))),
                Stdin::Writing => true,
                Stdin::Closed => false,
            };
            if is_lost {
                self.shared.mailbox.tell(Event::InputClosed { op: self.op }).await;
            }
        }
        self.shared.mailbox.tell(event).await;
    }
}

fn status_of(status: std::process::ExitStatus) -> ExitStatus {
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, Some(signal)) => ExitStatus::Signal(signal),
        (None, None) => ExitStatus::Code(-1),
    }
}

async fn read(op: OpId, pipe: Async<File>, output: Output, gate: Option<&Gate>, ends: &Ends<'_>) {
    loop {
        let data = chunk(&pipe, gate).await;
        if data.is_empty() {
            break;
        }
        let event = match output {
            Output::Stdout => Event::Stdout { op, data },
            Output::Stderr => Event::Stderr { op, data },
        };
        ends.shared.mailbox.tell(event).await;
    }
    drop(pipe);
    ends.tell(Event::OutputEnded { op, output }).await;
}

/// The next chunk; empty at the end.
async fn chunk(pipe: &Async<File>, gate: Option<&Gate>) -> Bytes {
    poll_fn(|cx| {
        if let Some(gate) = gate {
            ready!(gate.poll_open(cx));
        }
        loop {
            // The buffer exists only while there is something to read.
            let mut buffer = Vec::with_capacity(READ_BYTES);
            match rustix::io::read(pipe.get_ref(), rustix::buffer::spare_capacity(&mut buffer)) {
                Ok(_) if buffer.len() < SMALL_BYTES => {
                    return Poll::Ready(Bytes::copy_from_slice(&buffer));
                }
                Ok(_) => return Poll::Ready(Bytes::from(buffer)),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => {
                    drop(buffer);
                    if ready!(pipe.poll_readable(cx)).is_err() {
                        return Poll::Ready(Bytes::new());
                    }
                }
                Err(_) => return Poll::Ready(Bytes::new()),
            }
        }
    })
    .await
}

/// Writes until either side closes stdin.
async fn write(op: OpId, mut stdin: Async<File>, ends: &Ends<'_>) {
    let Ends { stdin: state, input, shared, .. } = ends;
    while let Ok(first) = input.recv().await {
        state.set(Stdin::Writing);
        let mut next = Some(first);
        let (mut writes, mut bytes) = (0, 0);
        let (mut is_broken, mut is_over) = (false, false);
        while let Some(item) = next.take() {
            match item {
                Input::Data(data) if stdin.write_all(&data).await.is_ok() => {
                    writes += 1;
                    bytes += data.len();
                    if bytes < BATCH_BYTES {
                        next = input.try_recv().ok();
                    }
                }
                Input::Data(_) => is_broken = true,
                Input::End => is_over = true,
            }
        }
        if writes > 0 {
            shared.mailbox.tell(Event::Written { op, writes }).await;
        }
        state.set(if is_broken || is_over { Stdin::Closed } else { Stdin::Idle });
        if is_broken {
            shared.mailbox.tell(Event::InputClosed { op }).await;
        }
        if is_broken || is_over {
            input.close();
            return;
        }
    }
}

/// Kills a process group when dropped, unless its leader has already exited.
struct KillOnDrop(Option<Pid>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, UnixSignal::KILL);
        }
    }
}

/// Runs one command until it exits. Dropping the future kills it.
pub(crate) async fn run(
    op: OpId,
    command: ProcessSpec,
    timeout: Duration,
    limit: usize,
    shared: Rc<Shared>,
) {
    let prepared = shared.supervisor.prepare_command(&command);
    let started = prepared.and_then(|build| start(&command, build, Stdio::null(), &shared));
    let Child { mut child, group, stdout, stderr } = match started {
        Ok(started) => started,
        Err(failure) => return shared.mailbox.failed(op, failure).await,
    };
    let mut kill = KillOnDrop(group);
    let status = Cell::new(None);
    let (kept_out, kept_err) = (RefCell::default(), RefCell::default());
    let (exited, exit) = async_channel::bounded::<Infallible>(1);
    let outputs = zip(collect(&stdout, limit, &kept_out), collect(&stderr, limit, &kept_err));
    let ending = async {
        status.set(wait(&mut child, &shared).await);
        exited.close();
    };
    let held_open = async {
        let _ = exit.recv().await;
        Timer::after(OUTPUT_GRACE).await;
    };
    let work = or(async { _ = zip(outputs, ending).await }, held_open);
    let is_late = within(timeout, work).await.is_none();

    if is_late {
        drop(kill);
        wait(&mut child, &shared).await;
        let detail = format!("{} took longer than {timeout:?} and was killed", command.program);
        return shared.mailbox.failed(op, failure(IoErrorKind::TimedOut, detail)).await;
    }
    kill.0 = None;
    let status = status.get().unwrap_or(ExitStatus::Code(-1));
    let (stdout, stderr) = (kept_out.take().into(), kept_err.take().into());
    shared.mailbox.last(Event::Ran { op, status, stdout, stderr }).await;
}

/// Reads to the end but keeps only the beginning.
async fn collect(pipe: &Async<File>, limit: usize, kept: &RefCell<Vec<u8>>) {
    loop {
        let data = chunk(pipe, None).await;
        if data.is_empty() {
            return;
        }
        let mut kept = kept.borrow_mut();
        let room = limit.saturating_sub(kept.len());
        kept.extend_from_slice(&data[..data.len().min(room)]);
    }
}
