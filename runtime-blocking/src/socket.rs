//! WebSockets using tungstenite, each on its own thread.
//!
//! A blocking WebSocket cannot be split into a reading and a writing half. So its socket is
//! non-blocking: the thread reads and writes all it can, then sits in `poll` on the socket and its
//! inbox. TLS may hold plaintext that `poll` knows nothing about, which is why each round reads
//! before it waits.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::text::Text;
use footbridge_core::contract::action::Message;
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};
use rustix::event::PollFlags;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, WebSocket};

use crate::failure::{failure, io_failure, kind_of};
use crate::handshake::{self, Lent, Offer, Shaken, Stream};
use crate::http::Way;
use crate::inbox::Inbox;
use crate::mailbox::{Gone, Outbox};
use crate::threads::{LARGE_STACK, Threads};

/// From either side's request to close until the end of the connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the peer has to read why it is being disconnected.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes combined into one flush.
const FLUSH_BYTES: usize = 64 << 10;
/// Messages read before orders are checked again.
const READ_BATCH: usize = 32;

/// Batches still read once writing has failed: more than the system's buffers hold of messages of
/// any size, yet bounded, so a peer that reads nothing cannot keep sending forever.
const LAST_BATCHES: usize = 256;

/// Orders from the loop for a stream.
#[derive(Debug)]
pub(crate) enum Order {
    Send(Message),
    Close(u16),
    Pause,
    Resume,
}

/// Opens WebSockets.
pub(crate) struct Sockets {
    way: Way,
}

impl Sockets {
    pub(crate) const fn new(way: Way) -> Self {
        Self { way }
    }

    /// Starts opening a WebSocket.
    pub(crate) fn start(
        &self,
        op: OpId,
        offer: Offer,
        outbox: Outbox,
        threads: &mut Threads,
    ) -> Result<Arc<Inbox<Order>>, IoError> {
        let inbox = Arc::new(Inbox::new().map_err(|error| io_failure("no eventfd", &error))?);
        let orders = Arc::clone(&inbox);
        let way = self.way.clone();
        let work = move || {
            let connected = handshake::connect(&offer, &orders, &way);
            // Nobody is listening any more, so there is nothing left to do.
            let _ = match connected {
                Ok(Some(stream)) => open(op, offer, &RefCell::new(stream), &orders, &outbox),
                Ok(None) => Ok(()),
                Err(failure) => outbox.post(Event::Failed { op, failure }),
            };
        };
        let started = threads.spawn("websocket", LARGE_STACK, work);
        started.map_err(|error| io_failure("no thread", &error))?;
        Ok(inbox)
    }
}

fn open(
    op: OpId,
    offer: Offer,
    stream: &RefCell<Stream>,
    inbox: &Inbox<Order>,
    outbox: &Outbox,
) -> Result<(), Gone> {
    match handshake::shake(offer, stream, inbox) {
        Ok(Shaken::Open(socket)) => {
            outbox.post(Event::Opened { op })?;
            converse(op, *socket, stream, inbox, outbox)
        }
        Ok(Shaken::Refused(response)) => outbox.post(Event::Refused { op, response }),
        Ok(Shaken::Cancelled) => Ok(()),
        Err(failure) => outbox.post(Event::Failed { op, failure }),
    }
}

/// Runs an open WebSocket until its end.
pub(crate) fn converse(
    op: OpId,
    socket: WebSocket<Lent<'_>>,
    stream: &RefCell<Stream>,
    inbox: &Inbox<Order>,
    outbox: &Outbox,
) -> Result<(), Gone> {
    Conversation::new(op, socket, stream, inbox, outbox).run()
}

/// An open WebSocket.
struct Conversation<'a> {
    op: OpId,
    socket: WebSocket<Lent<'a>>,
    stream: &'a RefCell<Stream>,
    inbox: &'a Inbox<Order>,
    outbox: &'a Outbox,
    /// Messages not yet passed to the library.
    pending: VecDeque<Message>,
    /// Messages that the library has but the system does not.
    unflushed: usize,
    is_paused: bool,
    /// The peer does not read the answers to its pings. It is not read either until it does, or
    /// they would pile up here.
    is_clogged: bool,
    /// The code to close with once everything before it has been sent.
    close_with: Option<u16>,
    /// When closing has taken too long.
    close_by: Option<Instant>,
    /// Whether the peer has closed, and the code it gave.
    closed_by_peer: Option<Option<u16>>,
}

/// How a conversation ends.
enum End {
    /// The library or the system reported it.
    Error(Error),
    /// Closing took too long.
    TimedOut,
    Gone,
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Error(Error::Io(error))
    }
}

impl<'a> Conversation<'a> {
    fn new(
        op: OpId,
        socket: WebSocket<Lent<'a>>,
        stream: &'a RefCell<Stream>,
        inbox: &'a Inbox<Order>,
        outbox: &'a Outbox,
    ) -> Self {
        Self {
            op,
            socket,
            stream,
            inbox,
            outbox,
            pending: VecDeque::new(),
            unflushed: 0,
            is_paused: false,
            is_clogged: false,
            close_with: None,
            close_by: None,
            closed_by_peer: None,
        }
    }

    fn run(mut self) -> Result<(), Gone> {
        loop {
            if self.inbox.is_cancelled() {
                return Ok(());
            }
            self.take_orders();
            if let Err(end) = self.round() {
                return self.end(end);
            }
        }
    }

    fn take_orders(&mut self) {
        for order in self.inbox.take() {
            match order {
                Order::Send(message) => self.pending.push_back(message),
                Order::Close(code) => {
                    self.close_with = Some(code);
                    self.begin_to_close();
                }
                Order::Pause => self.is_paused = true,
                Order::Resume => self.is_paused = false,
            }
        }
    }

    fn begin_to_close(&mut self) {
        self.close_by.get_or_insert_with(|| Instant::now() + CLOSE_TIMEOUT);
    }

    /// The closing handshake is read even when paused: without it there is no end.
    fn is_reading(&self) -> bool {
        (!self.is_paused && !self.is_clogged) || self.close_by.is_some()
    }

    /// Reads and writes whatever it can, then waits for more.
    fn round(&mut self) -> Result<(), End> {
        let is_more_to_read = self.is_reading() && self.read_all()?;
        let is_blocked = match self.write_all() {
            // What it sent before it went away still counts, above all its close code.
            Err(End::Error(error)) => {
                for _ in 0..LAST_BATCHES {
                    if !self.read_all()? {
                        break;
                    }
                }
                return Err(End::Error(error));
            }
            other => other?,
        };
        if self.close_by.is_some_and(|at| at <= Instant::now()) {
            return Err(End::TimedOut);
        }
        if is_more_to_read {
            return Ok(());
        }
        let stream = self.stream.borrow();
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.is_reading());
        flags.set(PollFlags::OUT, is_blocked || stream.wants_write());
        // A broken connection is always ready: do not wait on it without reading it.
        let interest = (!flags.is_empty()).then(|| (stream.socket().as_fd(), flags));
        self.inbox.wait([interest], self.close_by)?;
        Ok(())
    }

    /// Passes on input, one batch at most; returns whether there may be more.
    fn read_all(&mut self) -> Result<bool, End> {
        for _ in 0..READ_BATCH {
            let message = match self.socket.read() {
                Ok(tungstenite::Message::Text(text)) => {
                    // The library has checked it.
                    Message::Text(Text::from_utf8(Bytes::from(text)).unwrap_or_default())
                }
                Ok(tungstenite::Message::Binary(bytes)) => Message::Binary(bytes),
                Ok(tungstenite::Message::Close(frame)) => {
                    self.closed_by_peer = Some(frame.map(|frame| frame.code.into()));
                    self.begin_to_close();
                    continue;
                }
                Ok(tungstenite::Message::Ping(_)) => {
                    // The library has queued the answer.
                    self.is_clogged = unless_blocked(self.socket.flush())?;
                    if self.is_clogged {
                        return Ok(false);
                    }
                    continue;
                }
                Ok(_) => continue,
                Err(error) if is_would_block(&error) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            self.outbox.post(Event::Received { op: self.op, message })?;
        }
        Ok(true)
    }

    /// Sends pending messages; returns whether the socket is full for now.
    fn write_all(&mut self) -> Result<bool, End> {
        loop {
            self.fill()?;
            if self.pending.is_empty()
                && let Some(code) = self.close_with.take()
                && self.socket.can_write()
            {
                let frame = CloseFrame { code: code.into(), reason: "".into() };
                unless_blocked(self.socket.close(Some(frame)))?;
            }
            if unless_blocked(self.socket.flush())? {
                return Ok(true);
            }
            self.is_clogged = false;
            if self.unflushed > 0 {
                let messages = std::mem::take(&mut self.unflushed);
                self.outbox.post(Event::Sent { op: self.op, messages })?;
            }
            if self.pending.is_empty() {
                return Ok(false);
            }
        }
    }

    /// Passes the library as many messages as one flush takes.
    fn fill(&mut self) -> Result<(), Error> {
        if !self.socket.can_write() {
            // The peer has closed: they will never be sent, or reported as sent.
            self.pending.clear();
        }
        let mut bytes = 0;
        while bytes < FLUSH_BYTES
            && let Some(message) = self.pending.pop_front()
        {
            bytes += message.len();
            self.unflushed += 1;
            // Blocked or not, the library has taken it.
            if unless_blocked(self.socket.write(to_library(message)))? {
                break;
            }
        }
        Ok(())
    }

    /// Reports how it ended, first telling the peer if the protocol requires it.
    fn end(mut self, end: End) -> Result<(), Gone> {
        let closed = |code, failure| Event::Closed { op: self.op, code, failure };
        let error = match (end, self.closed_by_peer) {
            (End::Gone, _) => return Err(Gone),
            // It closed properly; how the connection then ended does not matter.
            (_, Some(code)) => return self.outbox.post(closed(code, None)),
            (End::TimedOut, None) => {
                let detail = "the peer did not answer the close";
                let failure = failure(IoErrorKind::TimedOut, detail);
                return self.outbox.post(closed(None, Some(failure)));
            }
            (End::Error(error), None) => error,
        };
        let (code, kind) = match &error {
            Error::Capacity(_) => (Some(1009), IoErrorKind::TooLarge),
            Error::Utf8(_) => (Some(1007), IoErrorKind::Protocol),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | Error::ConnectionClosed
            | Error::AlreadyClosed => (None, IoErrorKind::Disconnected),
            Error::Protocol(_) => (Some(1002), IoErrorKind::Protocol),
            Error::Io(error) => (None, kind_of(error)),
            _ => (None, IoErrorKind::Other),
        };
        let event = closed(None, Some(failure(kind, error)));
        if let Some(code) = code {
            self.cut_off(code);
        }
        self.outbox.post(event)
    }

    /// Sends the reason for the end, then reads and discards input for a moment: a socket closed
    /// with unread bytes loses what was sent last.
    fn cut_off(&mut self, code: u16) {
        let deadline = Instant::now() + LINGER;
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        let mut sent = self.socket.close(Some(frame));
        let mut scratch = [0; 4096];
        while Instant::now() < deadline && !self.inbox.is_cancelled() {
            let is_blocked = match unless_blocked(sent) {
                Ok(is_blocked) => is_blocked,
                Err(_) => return,
            };
            if !is_blocked {
                // Fails only if the connection is gone, as the read below will find.
                let _ = self.stream.borrow().socket().shutdown(Shutdown::Write);
            }
            // Bound first: the borrow must not extend into the wait.
            let read = self.stream.borrow_mut().read(&mut scratch);
            match read {
                Ok(0) => return,
                Err(error) if error.kind() != ErrorKind::WouldBlock => return,
                Ok(_) => {}
                Err(_) => {
                    let stream = self.stream.borrow();
                    let mut flags = PollFlags::IN;
                    flags.set(PollFlags::OUT, is_blocked);
                    let interest = Some((stream.socket().as_fd(), flags));
                    if self.inbox.wait([interest], Some(deadline)).is_err() {
                        return;
                    }
                }
            }
            sent = if is_blocked { self.socket.flush() } else { Ok(()) };
        }
    }
}

fn to_library(message: Message) -> tungstenite::Message {
    match message {
        Message::Text(text) => match text.into_bytes().try_into() {
            Ok(text) => tungstenite::Message::Text(text),
            Err(error) => unreachable!("a text is UTF-8: {error}"),
        },
        Message::Binary(bytes) => tungstenite::Message::Binary(bytes),
    }
}

fn is_would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Whether it was blocked.
fn unless_blocked(result: Result<(), Error>) -> Result<bool, Error> {
    match result {
        Ok(()) => Ok(false),
        Err(error) if is_would_block(&error) => Ok(true),
        Err(error) => Err(error),
    }
}
