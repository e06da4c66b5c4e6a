//! Processes: each in a group of its own, with its pipes and its exit.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fs::File;
use std::future::{pending, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::{Async, Timer};
use async_process::{Child, ChildStdin, Stdio};
use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{ProcessSpec, Signal};
use footbridge_core::contract::event::{Event, ExitStatus, IoError, IoErrorKind, Output};
use rustix::process::{Pid, Signal as UnixSignal, kill_process_group, test_kill_process_group};
use smol::Task;
use smol::future::{or, zip};
use smol::io::AsyncWriteExt;

use crate::failure::{about, failure, kind_of};
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
pub(crate) fn spawn(op: OpId, command: &ProcessSpec, shared: &Rc<Shared>) -> Process {
    let (input, queue) = async_channel::unbounded();
    let gate = Rc::new(Gate::default());
    let started = start(command, Stdio::piped());
    let group = started.as_ref().ok().and_then(|child| child.group);
    let (shared, held) = (Rc::clone(shared), Rc::clone(&gate));
    let spawner = shared.spawner.clone();
    let task = spawner.spawn(async move {
        match started {
            Ok(child) => attend(op, child, queue, &held, &shared).await,
            Err(failure) => shared.mailbox.failed(op, failure).await,
        }
    });
    Process { _task: task, group, input, gate }
}

/// A process with its pipes.
struct Started {
    child: Child,
    group: Option<Pid>,
    stdin: Option<ChildStdin>,
    stdout: Async<File>,
    stderr: Async<File>,
}

fn start(command: &ProcessSpec, stdin: Stdio) -> Result<Started, IoError> {
    let mut build = std::process::Command::new(program_of(command));
    build.args(&command.args).process_group(0);
    for name in &command.env_remove {
        build.env_remove(name);
    }
    for (name, value) in &command.env {
        build.env(name, value.reveal());
    }
    if let Some(directory) = &command.directory {
        build.current_dir(directory);
    }
    let mut build = async_process::Command::from(build);
    build.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = build.spawn().map_err(|error| not_started(command, &error))?;

    let pipe = |end: Option<io::Result<OwnedFd>>| -> io::Result<Async<File>> {
        let end = end.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))?;
        Async::new(File::from(end))
    };
    let stdout = pipe(child.stdout.take().map(OwnedFd::try_from));
    let stderr = pipe(child.stderr.take().map(OwnedFd::try_from));
    let stdin = child.stdin.take();
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    match (stdout, stderr) {
        (Ok(stdout), Ok(stderr)) => Ok(Started { child, group, stdin, stdout, stderr }),
        (Err(error), _) | (_, Err(error)) => {
            if let Some(group) = group {
                let _ = kill_process_group(group, UnixSignal::KILL);
            }
            Err(about(format_args!("the pipes of {}", command.program), &error))
        }
    }
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

/// Says whether the program or the directory is at fault; the system does not.
fn not_started(command: &ProcessSpec, error: &io::Error) -> IoError {
    match &command.directory {
        Some(directory) if !Path::new(directory).is_dir() => {
            let kind = match kind_of(error) {
                IoErrorKind::Denied => IoErrorKind::Denied,
                _ => IoErrorKind::NotFound,
            };
            failure(kind, format_args!("the directory {directory}: {error}"))
        }
        _ => about(format_args!("the program {}", command.program), error),
    }
}

async fn attend(op: OpId, started: Started, input: Receiver<Input>, gate: &Gate, shared: &Shared) {
    let Started { mut child, group, stdin, stdout, stderr } = started;
    shared.mailbox.tell(Event::Spawned { op, pid: child.id() }).await;
    let ends =
        Ends { op, left: Cell::new(3), stdin: Cell::new(Stdin::Idle), input: &input, shared };
    let outputs = zip(
        read(op, stdout, Output::Stdout, Some(gate), &ends),
        read(op, stderr, Output::Stderr, None, &ends),
    );
    let exit = async {
        // It can fail only if someone else has reaped the child.
        let status = child.status().await.map_or(ExitStatus::Code(-1), status_of);
        ends.tell(Event::Exited { op, status }).await;
    };
    let writing = async {
        if let Some(stdin) = stdin {
            write(op, stdin, &ends).await;
        }
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
async fn write(op: OpId, mut stdin: ChildStdin, ends: &Ends<'_>) {
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
    let Started { mut child, group, stdout, stderr, .. } = match start(&command, Stdio::null()) {
        Ok(started) => started,
        Err(failure) => return shared.mailbox.failed(op, failure).await,
    };
    let mut kill = KillOnDrop(group);
    let status = Cell::new(None);
    let (kept_out, kept_err) = (RefCell::default(), RefCell::default());
    let (exited, exit) = async_channel::bounded::<Infallible>(1);
    let outputs = zip(collect(&stdout, limit, &kept_out), collect(&stderr, limit, &kept_err));
    let ending = async {
        status.set(child.status().await.ok());
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
        let _ = child.status().await;
        let detail = format!("{} took longer than {timeout:?} and was killed", command.program);
        return shared.mailbox.failed(op, failure(IoErrorKind::TimedOut, detail)).await;
    }
    kill.0 = None;
    let status = status.get().map_or(ExitStatus::Code(-1), status_of);
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
