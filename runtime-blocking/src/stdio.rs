//! The program's own stdin and stdout as a stream.
//!
//! Both may be shared with other programs, which would be surprised if they stopped blocking. So
//! they stay as they are: when `poll` says readable, one read is done, and when it says writable,
//! at least `PIPE_BUF` bytes fit.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::Message;
use footbridge_core::contract::event::{Event, IoError};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::failure::io_failure;
use crate::inbox::Inbox;
use crate::mailbox::{Gone, Outbox};
use crate::socket::Order;
use crate::threads::{SMALL_STACK, Threads};

/// What a writable pipe accepts without blocking.
const PIPE_BUF: usize = 4096;
/// Maximum size of one read.
const READ_BYTES: usize = 16 << 10;
/// How long pending output may take once closing was requested.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the program's own stdin and stdout.
pub(crate) fn start(
    op: OpId,
    outbox: Outbox,
    threads: &mut Threads,
) -> Result<Arc<Inbox<Order>>, IoError> {
    let inbox = Arc::new(Inbox::new().map_err(|error| io_failure("no eventfd", &error))?);
    let orders = Arc::clone(&inbox);
    let work = move || {
        // Nobody is listening any more, so there is nothing left to do.
        let _ =
            Pipes::new(op, rustix::stdio::stdin(), rustix::stdio::stdout(), &orders, &outbox).run();
    };
    threads.spawn("stdio", SMALL_STACK, work).map_err(|error| io_failure("no thread", &error))?;
    Ok(inbox)
}

/// Opens a local socket: a stream like them, whose both directions are one thing.
pub(crate) fn start_local(
    op: OpId,
    path: String,
    timeout: Duration,
    outbox: Outbox,
    threads: &mut Threads,
) -> Result<Arc<Inbox<Order>>, IoError> {
    let inbox = Arc::new(Inbox::new().map_err(|error| io_failure("no eventfd", &error))?);
    let orders = Arc::clone(&inbox);
    let work = move || match connect_local(&path, timeout) {
        Ok(socket) => {
            let pipes = Pipes::new(op, socket.as_fd(), socket.as_fd(), &orders, &outbox);
            // Nobody is listening any more, so there is nothing left to do.
            let _ = Pipes { is_socket: true, ..pipes }.run();
        }
        Err(error) => {
            let _ = outbox.post(Event::Failed { op, failure: io_failure(&path, &error) });
        }
    };
    threads.spawn("local", SMALL_STACK, work).map_err(|error| io_failure("no thread", &error))?;
    Ok(inbox)
}

/// How often a socket is tried at which too many are waiting already.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

fn connect_local(path: &str, timeout: Duration) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let address = SocketAddrUnix::new(path)?;
    let until = Instant::now() + timeout;
    loop {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        match connect(&socket, &address) {
            Ok(()) => return Ok(socket),
            Err(Errno::AGAIN | Errno::INTR) if Instant::now() < until => {
                std::thread::sleep(BUSY_PAUSE);
            }
            Err(Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error.into()),
        }
    }
}

struct Pipes<'a> {
    op: OpId,
    input: BorrowedFd<'a>,
    output: BorrowedFd<'a>,
    inbox: &'a Inbox<Order>,
    outbox: &'a Outbox,
    pending: VecDeque<Bytes>,
    is_paused: bool,
    has_input_ended: bool,
    /// Whether both directions are one socket.
    is_socket: bool,
    /// Why the other side of a socket takes no more. What it sent before is still to be read.
    gone: Option<io::Error>,
    close_by: Option<Instant>,
}

impl<'a> Pipes<'a> {
    fn new(
        op: OpId,
        input: BorrowedFd<'a>,
        output: BorrowedFd<'a>,
        inbox: &'a Inbox<Order>,
        outbox: &'a Outbox,
    ) -> Self {
        Self {
            op,
            input,
            output,
            inbox,
            outbox,
            pending: VecDeque::new(),
            is_paused: false,
            has_input_ended: false,
            is_socket: false,
            gone: None,
            close_by: None,
        }
    }

    fn run(mut self) -> Result<(), Gone> {
        self.outbox.post(Event::Opened { op: self.op })?;
        let mut scratch = vec![0; READ_BYTES];
        loop {
            if self.inbox.is_cancelled() {
                return Ok(());
            }
            self.take_orders();
            let is_late = self.close_by.is_some_and(|at| at <= Instant::now());
            let has_gone = self.gone.is_some();
            if has_gone && (self.has_input_ended || self.close_by.is_some()) {
                return self.close(self.gone.as_ref());
            }
            if self.close_by.is_some() && (self.pending.is_empty() || is_late) {
                return self.close(is_late.then(|| Errno::TIMEDOUT.into()).as_ref());
            }
            match self.round(&mut scratch)? {
                Ok(()) => {}
                Err(error) => return self.close(Some(&error)),
            }
        }
    }

    /// Waits, then reads and writes whatever it can.
    fn round(&mut self, scratch: &mut [u8]) -> Result<io::Result<()>, Gone> {
        let is_reading = !self.is_paused && !self.has_input_ended;
        let input = is_reading.then_some((self.input, PollFlags::IN));
        let is_writing = !self.pending.is_empty();
        // Even with nothing to write: the reader's end is always reported.
        let flags = if is_writing { PollFlags::OUT } else { PollFlags::empty() };
        let output = self.gone.is_none().then_some((self.output, flags));
        let ready = self.inbox.wait([input, output], self.close_by);
        let (is_readable, is_writable) = match ready {
            Ok([is_readable, is_writable]) => (is_readable, is_writable),
            Err(error) => return Ok(Err(error)),
        };
        if is_writable {
            let written = if is_writing { self.write()? } else { Err(Errno::PIPE.into()) };
            match written {
                Ok(()) => {}
                Err(error) if self.is_socket && !self.has_input_ended => self.gone = Some(error),
                failed => return Ok(failed),
            }
        }
        if is_readable { self.read(scratch) } else { Ok(Ok(())) }
    }

    fn take_orders(&mut self) {
        for order in self.inbox.take() {
            match order {
                Order::Send(Message::Text(text)) => self.pending.push_back(text.into_bytes()),
                Order::Send(Message::Binary(bytes)) => self.pending.push_back(bytes),
                Order::Close(_) => self.close_by = Some(Instant::now() + CLOSE_TIMEOUT),
                Order::Pause => self.is_paused = true,
                Order::Resume => self.is_paused = false,
            }
        }
    }

    /// Passes on input. The end comes as an empty message, and leaves the output open.
    fn read(&mut self, scratch: &mut [u8]) -> Result<io::Result<()>, Gone> {
        match rustix::io::read(self.input, &mut *scratch) {
            Ok(n) => {
                self.has_input_ended = n == 0;
                let message = Message::Binary(Bytes::copy_from_slice(&scratch[..n]));
                self.outbox.post(Event::Received { op: self.op, message })?;
                Ok(Ok(()))
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(Ok(())),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn write(&mut self) -> Result<io::Result<()>, Gone> {
        let Some(front) = self.pending.front_mut() else { return Ok(Ok(())) };
        match rustix::io::write(self.output, &front[..front.len().min(PIPE_BUF)]) {
            Ok(n) => {
                let _ = front.split_to(n);
                if front.is_empty() {
                    self.pending.pop_front();
                    self.outbox.post(Event::Sent { op: self.op, messages: 1 })?;
                }
                Ok(Ok(()))
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(Ok(())),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn close(&self, error: Option<&io::Error>) -> Result<(), Gone> {
        let failure = error.map(|error| io_failure("stdin and stdout", error));
        self.outbox.post(Event::Closed { op: self.op, code: None, failure })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
    use std::num::NonZeroU64;
    use std::os::fd::AsFd;
    use std::sync::mpsc::Receiver;
    use std::thread::{self, JoinHandle};

    use crate::mailbox::{Mail, mailbox};

    const OP: OpId = OpId::new(NonZeroU64::MIN);

    struct Stage {
        input: PipeWriter,
        output: PipeReader,
        inbox: Arc<Inbox<Order>>,
        mailbox: Receiver<Mail<()>>,
        running: JoinHandle<()>,
    }

    impl Stage {
        fn new() -> Self {
            let (stdin, input) = pipe().expect("a pipe");
            let (output, stdout) = pipe().expect("a pipe");
            let inbox = Arc::new(Inbox::new().expect("an eventfd"));
            let (_, outbox, mailbox) = mailbox();
            let orders = Arc::clone(&inbox);
            let running = thread::spawn(move || {
                let pipes = Pipes::new(OP, stdin.as_fd(), stdout.as_fd(), &orders, &outbox);
                pipes.run().expect("the loop is listening");
            });
            let stage = Self { input, output, inbox, mailbox, running };
            assert_eq!(stage.next(), Event::Opened { op: OP });
            stage
        }

        fn next(&self) -> Event {
            match self.mailbox.recv_timeout(Duration::from_secs(20)) {
                Ok(Mail::Event(event)) => *event,
                other => panic!("not an event: {other:?}"),
            }
        }

        fn send(&self, bytes: &'static [u8]) {
            self.inbox.push(Order::Send(Message::Binary(Bytes::from_static(bytes))));
        }
    }

    fn received(bytes: &'static [u8]) -> Event {
        Event::Received { op: OP, message: Message::Binary(Bytes::from_static(bytes)) }
    }

    #[test]
    fn bytes_flow_both_ways_and_output_continues_after_the_input_ends() {
        let mut stage = Stage::new();
        stage.input.write_all(b"in").expect("written");
        assert_eq!(stage.next(), received(b"in"));
        drop(stage.input);
        let end = stage.mailbox.recv().expect("an event");
        assert!(matches!(end, Mail::Event(event) if *event == received(b"")), "said once");
        let out = Message::Binary(Bytes::from_static(b"out"));
        stage.inbox.push(Order::Send(out));
        let mut read = [0; 3];
        stage.output.read_exact(&mut read).expect("there");
        assert_eq!(&read, b"out");
        stage.inbox.push(Order::Close(1000));
        let sent = stage.mailbox.recv().expect("an event");
        let expected = Event::Sent { op: OP, messages: 1 };
        assert!(matches!(sent, Mail::Event(event) if *event == expected));
        let closed = stage.mailbox.recv().expect("an event");
        let expected = Event::Closed { op: OP, code: None, failure: None };
        assert!(matches!(closed, Mail::Event(event) if *event == expected));
        stage.running.join().expect("ended");
    }

    #[test]
    fn closing_sends_pending_output_first() {
        static LARGE: [u8; 300_000] = [b'x'; 300_000];
        let mut stage = Stage::new();
        stage.send(&LARGE);
        stage.inbox.push(Order::Close(1000));
        let mut read = vec![0; LARGE.len()];
        stage.output.read_exact(&mut read).expect("all of it");
        assert_eq!(stage.next(), Event::Sent { op: OP, messages: 1 });
        assert_eq!(stage.next(), Event::Closed { op: OP, code: None, failure: None });
        stage.running.join().expect("ended");
    }

    #[test]
    fn a_closed_output_breaks_the_stream() {
        let Stage { output, inbox: _inbox, mailbox, running, input: _input } = Stage::new();
        drop(output);
        let mail = mailbox.recv().expect("an event");
        let Mail::Event(event) = mail else { panic!("{mail:?}") };
        let Event::Closed { failure: Some(failure), .. } = *event else { panic!("{event:?}") };
        assert_eq!(failure.kind, footbridge_core::contract::event::IoErrorKind::Disconnected);
        running.join().expect("ended");
    }

    #[test]
    fn a_paused_stream_reads_nothing_until_it_is_resumed() {
        let mut stage = Stage::new();
        stage.inbox.push(Order::Pause);
        stage.send(b"mark");
        assert_eq!(stage.next(), Event::Sent { op: OP, messages: 1 });
        stage.input.write_all(b"in").expect("written");
        assert!(stage.mailbox.recv_timeout(Duration::from_millis(50)).is_err());
        stage.inbox.push(Order::Resume);
        assert!(matches!(stage.next(), Event::Received { .. }));
        stage.inbox.cancel();
        stage.running.join().expect("ended");
    }
}
