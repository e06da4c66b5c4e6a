//! Processes with pipes to all three standard streams, each with one thread.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::Arc;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{ProcessSpec, Signal};
use footbridge_core::contract::event::{Event, IoError, Output};
use footbridge_supervision::Supervisor;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::failure::io_failure;
use crate::group::{Group, Kind, Leader, Pipes};
use crate::inbox::Inbox;
use crate::mailbox::{Gone, Outbox};
use crate::threads::{SMALL_STACK, Threads};

/// Maximum size of one read.
pub(crate) const READ_BYTES: usize = 16 << 10;

/// Orders from the loop for a process's pipes.
#[derive(Debug)]
pub(crate) enum Order {
    Write(Bytes),
    CloseInput,
    Pause,
    Resume,
}

/// A process as the loop sees it.
pub(crate) struct Process {
    inbox: Arc<Inbox<Order>>,
    group: Arc<Group>,
    /// How many of `Exited` and the two `OutputEnded`s are still to come.
    ends_to_come: u8,
}

impl Process {
    /// Starts a process.
    pub(crate) fn start(
        op: OpId,
        command: ProcessSpec,
        outbox: Outbox,
        threads: &mut Threads,
        supervisor: &Arc<Supervisor>,
    ) -> Result<Self, IoError> {
        let inbox = Arc::new(Inbox::new().map_err(|error| io_failure("no eventfd", &error))?);
        let group = Arc::new(Group::new());
        let process =
            Self { inbox: Arc::clone(&inbox), group: Arc::clone(&group), ends_to_come: 3 };
        let end = threads.end();
        let supervisor = Arc::clone(supervisor);
        let work = move || {
            if inbox.is_cancelled() {
                return;
            }
            // Nobody is listening any more, so there is nothing left to do.
            let _ = match Leader::spawn(&command, &Kind::Tree(op), &group, &supervisor) {
                Ok((leader, pipes)) => Life::new(op, leader, pipes, &inbox, &outbox).run(&end),
                Err(failure) => outbox.post(Event::Failed { op, failure }),
            };
        };
        let started = threads.spawn("process", SMALL_STACK, work);
        started.map_err(|error| io_failure("no thread", &error))?;
        Ok(process)
    }

    pub(crate) fn order(&self, order: Order) {
        self.inbox.push(order);
    }

    /// Signals the whole group, even after its leader has exited.
    pub(crate) fn signal(&self, signal: Signal) {
        self.group.signal(signal);
    }

    /// Its process group.
    pub(crate) fn group(&self) -> Arc<Group> {
        Arc::clone(&self.group)
    }

    /// Closes the pipes; the process is reaped when it exits.
    pub(crate) fn cancel(&self) {
        self.inbox.cancel();
    }

    /// Notes an event on its way to the machine.
    pub(crate) fn note(&mut self, event: &Event) {
        if matches!(event, Event::Exited { .. } | Event::OutputEnded { .. }) {
            self.ends_to_come = self.ends_to_come.saturating_sub(1);
        }
    }

    /// Whether nothing more will come and nobody is left to signal.
    pub(crate) fn is_over(&self) -> bool {
        self.ends_to_come == 0 && !self.group.is_alive()
    }
}

/// A process as its thread sees it.
struct Life<'a> {
    op: OpId,
    leader: Option<Leader<'a>>,
    has_exited: bool,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    writes: VecDeque<Bytes>,
    /// Whether to close stdin after the writes.
    is_input_complete: bool,
    is_paused: bool,
    inbox: &'a Inbox<Order>,
    outbox: &'a Outbox,
}

impl<'a> Life<'a> {
    fn new(
        op: OpId,
        leader: Leader<'a>,
        pipes: Pipes,
        inbox: &'a Inbox<Order>,
        outbox: &'a Outbox,
    ) -> Self {
        Self {
            op,
            leader: Some(leader),
            has_exited: false,
            stdin: pipes.stdin,
            stdout: pipes.stdout,
            stderr: pipes.stderr,
            writes: VecDeque::new(),
            is_input_complete: false,
            is_paused: false,
            inbox,
            outbox,
        }
    }

    fn run(mut self, end: &OwnedFd) -> Result<(), Gone> {
        let pid = self.leader.as_ref().map_or(0, |leader| leader.pid);
        self.outbox.post(Event::Spawned { op: self.op, pid })?;
        let mut scratch = vec![0; READ_BYTES];
        while !self.is_over() {
            if self.inbox.is_cancelled() {
                return self.let_go(end);
            }
            self.take_orders();
            self.write()?;
            let [_, is_stdout_ready, is_stderr_ready, has_exited] = self.wait();
            if is_stdout_ready {
                match read_chunk(&mut self.stdout, &mut scratch) {
                    Chunk::Data(data) => self.outbox.post(Event::Stdout { op: self.op, data })?,
                    Chunk::Nothing => {}
                    Chunk::End => self.tell_end_of(Output::Stdout)?,
                }
            }
            if is_stderr_ready {
                match read_chunk(&mut self.stderr, &mut scratch) {
                    Chunk::Data(data) => self.outbox.post(Event::Stderr { op: self.op, data })?,
                    Chunk::Nothing => {}
                    Chunk::End => self.tell_end_of(Output::Stderr)?,
                }
            }
            if has_exited && let Some(status) = self.leader.as_ref().and_then(Leader::status) {
                self.has_exited = true;
                self.tell_end(Event::Exited { op: self.op, status })?;
            }
        }
        Ok(())
    }

    /// Whether nothing more can come.
    fn is_over(&self) -> bool {
        self.has_exited && self.stdout.is_none() && self.stderr.is_none()
    }

    fn take_orders(&mut self) {
        for order in self.inbox.take() {
            match order {
                Order::Write(data) if self.stdin.is_some() && !self.is_input_complete => {
                    self.writes.push_back(data);
                }
                Order::Write(_) => {}
                Order::CloseInput => self.is_input_complete = true,
                Order::Pause => self.is_paused = true,
                Order::Resume => self.is_paused = false,
            }
        }
    }

    /// Writes as much as the pipe accepts.
    fn write(&mut self) -> Result<(), Gone> {
        let mut writes = 0;
        let mut is_broken = false;
        while let (Some(stdin), Some(front)) = (&mut self.stdin, self.writes.front_mut()) {
            match stdin.write(front) {
                Ok(n) => {
                    let _ = front.split_to(n);
                    if front.is_empty() {
                        self.writes.pop_front();
                        writes += 1;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    is_broken = true;
                    break;
                }
            }
        }
        if writes > 0 {
            self.outbox.post(Event::Written { op: self.op, writes })?;
        }
        if is_broken {
            self.abandon_input()?;
        }
        if self.is_input_complete && self.writes.is_empty() {
            self.stdin = None;
        }
        Ok(())
    }

    /// Nobody will read what was written.
    fn abandon_input(&mut self) -> Result<(), Gone> {
        self.stdin = None;
        self.writes.clear();
        self.outbox.post(Event::InputClosed { op: self.op })
    }

    /// Waits for something to do: which of stdin, stdout, stderr and the exit are ready.
    fn wait(&self) -> [bool; 4] {
        let writable = self.stdin.as_ref().filter(|_| !self.writes.is_empty());
        let readable = self.stdout.as_ref().filter(|_| !self.is_paused);
        let exit = self.leader.as_ref().filter(|_| !self.has_exited);
        let interests = [
            writable.map(|pipe| (pipe.as_fd(), PollFlags::OUT)),
            readable.map(|pipe| (pipe.as_fd(), PollFlags::IN)),
            self.stderr.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)),
            exit.map(|leader| (leader.exited(), PollFlags::IN)),
        ];
        // If the system cannot wait for lack of memory, try everything.
        self.inbox.wait(interests, None).unwrap_or([true; 4])
    }

    fn tell_end_of(&mut self, output: Output) -> Result<(), Gone> {
        self.tell_end(Event::OutputEnded { op: self.op, output })
    }

    /// Reports one of the three ends. Before the last one, everything is cleaned up, so that
    /// whoever receives it finds the process reaped.
    fn tell_end(&mut self, event: Event) -> Result<(), Gone> {
        if self.is_over() {
            self.leader = None;
            if !self.writes.is_empty() {
                self.abandon_input()?;
            }
        }
        self.outbox.post(event)
    }

    /// Closes the pipes, and reaps the process when it exits; the end of the driver ends this too.
    fn let_go(self, end: &OwnedFd) -> Result<(), Gone> {
        let Self { leader, stdin, stdout, stderr, .. } = self;
        drop((stdin, stdout, stderr));
        let Some(leader) = leader else { return Ok(()) };
        let exit = leader.exited();
        let mut fds = [PollFd::new(&exit, PollFlags::IN), PollFd::new(end, PollFlags::IN)];
        while poll(&mut fds, None) == Err(Errno::INTR) {}
        Ok(())
    }
}

/// The result of one read from a pipe.
pub(crate) enum Chunk {
    Data(Bytes),
    Nothing,
    /// The pipe has ended, and was closed.
    End,
}

pub(crate) fn read_chunk(pipe: &mut Option<impl Read>, scratch: &mut [u8]) -> Chunk {
    let Some(open) = pipe else { return Chunk::Nothing };
    match open.read(scratch) {
        Ok(n) if n > 0 => Chunk::Data(Bytes::copy_from_slice(&scratch[..n])),
        Err(error) if is_for_later(&error) => Chunk::Nothing,
        Ok(_) | Err(_) => {
            *pipe = None;
            Chunk::End
        }
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
