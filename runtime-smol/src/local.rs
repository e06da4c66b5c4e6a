//! Local sockets: a byte stream to one, and a listener on one.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net as std_unix;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use async_channel::Receiver;
use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::Message;
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};
use smol::Async;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;
use smol::net::unix::UnixStream;
use std::future::{pending, poll_fn};

use crate::failure::{about, failure};
use crate::io::within;
use crate::mailbox::Gate;
use crate::shared::Shared;
use crate::socket::Outgoing;

/// Maximum size of one read.
const READ_BYTES: usize = 16 << 10;

/// A byte stream to a local socket, from opening to end.
pub(crate) async fn open(
    op: OpId,
    (path, timeout): (String, Duration),
    outgoing: Receiver<Outgoing>,
    gate: Rc<Gate>,
    shared: Rc<Shared>,
) {
    let stream = match within(timeout, UnixStream::connect(&path)).await {
        Some(Ok(stream)) => stream,
        Some(Err(error)) => return shared.mailbox.failed(op, about(&path, &error)).await,
        None => {
            let late = failure(IoErrorKind::TimedOut, format_args!("{path}: no answer"));
            return shared.mailbox.failed(op, late).await;
        }
    };
    shared.mailbox.tell(Event::Opened { op }).await;
    let reading = read(op, stream.clone(), &path, &gate, &shared);
    let writing = write(op, stream, &path, &outgoing, &shared);
    let failure = smol::future::or(reading, writing).await;
    shared.mailbox.last(Event::Closed { op, code: None, failure }).await;
}

async fn read(
    op: OpId,
    mut stream: UnixStream,
    path: &str,
    gate: &Gate,
    shared: &Shared,
) -> Option<IoError> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        poll_fn(|cx| gate.poll_open(cx)).await;
        match stream.read(&mut buffer).await {
            Ok(read) => {
                // At the end, this is the empty message that marks it.
                let message = Message::Binary(Bytes::copy_from_slice(&buffer[..read]));
                shared.mailbox.tell(Event::Received { op, message }).await;
                if read == 0 {
                    return pending().await;
                }
            }
            Err(error) => return Some(about(path, &error)),
        }
    }
}

async fn write(
    op: OpId,
    mut stream: UnixStream,
    path: &str,
    outgoing: &Receiver<Outgoing>,
    shared: &Shared,
) -> Option<IoError> {
    loop {
        match outgoing.recv().await {
            Ok(Outgoing::Message(message)) => {
                let bytes = message.into_bytes();
                match stream.write_all(&bytes).await {
                    Ok(()) => shared.mailbox.tell(Event::Sent { op, messages: 1 }).await,
                    Err(error) => return Some(about(path, &error)),
                }
            }
            Ok(Outgoing::Close(_)) => return None,
            Err(_) => pending().await,
        }
    }
}

/// A listening local socket, which goes when it is dropped.
pub(crate) struct LocalListener {
    listener: Async<std_unix::UnixListener>,
    path: PathBuf,
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        // What is left behind is replaced by whoever listens there next.
        let _ = fs::remove_file(&self.path);
    }
}

impl LocalListener {
    /// Listens at a path, which only its owner can open. One that was left behind is replaced.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        if let Ok(found) = fs::symlink_metadata(path) {
            if !found.file_type().is_socket() || std_unix::UnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            fs::remove_file(path)?;
        }
        let listener = Async::<std_unix::UnixListener>::bind(path)?;
        let listener = Self { listener, path: path.to_owned() };
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    /// The next connection. The server does nothing with one that this kind of socket could not.
    pub(crate) async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.listener.accept().await?;
        let stream = OwnedFd::from(stream.into_inner()?);
        TcpStream::try_from(std::net::TcpStream::from(stream))
    }
}
