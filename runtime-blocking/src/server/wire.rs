//! Bytes from and to a client, within their time.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::clients::{Client, forget_unsent};
use crate::handshake::Stream;
use crate::inbox::Inbox;

/// What is read of a client beyond what is looked at, at most: the largest head.
pub(super) const MAX_HEAD_BYTES: usize = 16 << 10;
/// Maximum size of one read.
const READ_BYTES: usize = 4 << 10;
/// How long the rest of a request that is not wanted is read, so that its sender sees the answer.
const SCRAP_LIMIT: Duration = Duration::from_secs(2);
/// How much of it.
const MAX_SCRAP_BYTES: usize = 16 << 20;

/// What became of a client while something was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// It is there.
    Present,
    Left,
}

/// A connection, and what was read of it and not looked at.
pub(super) struct Wire<'a> {
    pub(super) stream: &'a RefCell<Stream>,
    pub(super) client: &'a Client,
    pub(super) unread: Vec<u8>,
}

impl Wire<'_> {
    /// Waits for an order, until the deadline at the latest. What the client sends meanwhile is kept, as
    /// far as there is room.
    pub(super) fn wait<T>(&mut self, inbox: &Inbox<T>, deadline: Option<Instant>) -> Waited {
        let has_room = self.unread.len() < MAX_HEAD_BYTES;
        let mut flags = PollFlags::RDHUP;
        flags.set(PollFlags::IN, has_room);
        let ready = {
            let stream = self.stream.borrow();
            inbox.wait([Some((stream.socket().as_fd(), flags))], deadline)
        };
        match ready {
            Ok([false]) => Waited::Present,
            Ok([true]) if has_room => self.read(),
            Ok([true]) | Err(_) => Waited::Left,
        }
    }

    fn read(&mut self) -> Waited {
        let mut scratch = [0; READ_BYTES];
        match self.stream.borrow_mut().read(&mut scratch) {
            Ok(0) => Waited::Left,
            Ok(bytes) => {
                self.unread.extend_from_slice(&scratch[..bytes]);
                Waited::Present
            }
            Err(error) if is_passing(&error) => Waited::Present,
            Err(_) => Waited::Left,
        }
    }

    /// Writes everything, unless the client reads too slowly.
    pub(super) fn write(&mut self, mut data: &[u8]) -> io::Result<()> {
        // How long writing was blocked, less what the bytes since then are worth.
        let mut debt = Duration::ZERO;
        while !data.is_empty() {
            let written = self.stream.borrow_mut().write(data);
            match written {
                Ok(bytes) => {
                    if !debt.is_zero() {
                        debt = debt.saturating_sub(self.client.reading().time_for(bytes));
                    }
                    data = &data[bytes..];
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let (began, grace) = (Instant::now(), self.client.reading().grace);
                    let stream = self.stream.borrow();
                    if debt >= grace {
                        forget_unsent(stream.socket());
                        let slow = "the client reads too slowly";
                        return Err(io::Error::new(ErrorKind::TimedOut, slow));
                    }
                    let interest = Some((stream.socket().as_fd(), PollFlags::OUT));
                    self.client.inbox.wait([interest], Some(began + (grace - debt)))?;
                    debt += began.elapsed();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends the connection in a way that its client sees what was sent last: a socket that is closed
    /// with unread bytes loses it.
    pub(super) fn end(&self) {
        let deadline = Instant::now() + SCRAP_LIMIT;
        let _ = self.stream.borrow().socket().shutdown(Shutdown::Write);
        let (mut scratch, mut bytes) = ([0; READ_BYTES], 0);
        while bytes < MAX_SCRAP_BYTES && Instant::now() < deadline {
            let read = self.stream.borrow_mut().read(&mut scratch);
            match read {
                Ok(0) => return,
                Ok(more) => bytes += more,
                Err(error) if is_passing(&error) => {
                    let stream = self.stream.borrow();
                    let interest = Some((stream.socket().as_fd(), PollFlags::IN));
                    let waited = self.client.inbox.wait([interest], Some(deadline));
                    if waited.is_err() || self.client.inbox.is_cancelled() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// A stream for a connection that a listener has accepted.
pub(super) const fn stream_of(socket: TcpStream) -> RefCell<Stream> {
    RefCell::new(Stream::Plain(socket))
}
