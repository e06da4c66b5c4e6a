//! The HTTP server: each request waits for an `Accept`, then for its answer.
//!
//! ```text
//!   listening thread ──▶ a thread for each connection ──▶ Requested ──▶ the loop
//!                          ▲ queue: an Accept for it        ◀── Answer ──┘
//! ```
//!
//! | module | what is in it |
//! | --- | --- |
//! | here | listening, and accepting connections |
//! | `clients` | who is connected, and who has to go |
//! | `queue` | requests that wait for an `Accept`, and the other way round |
//! | `wire` | bytes from and to a client, within their time |
//! | `head` | requests and answers as the wire has them |
//! | `connection` | one connection until its end |
//!
//! It speaks neither TLS nor streamed answers (`ReplyStream`), and has no store: enough for a session
//! that is served directly, and too little for a relay. A program that serves nothing contains none of
//! it, because only [`Host::with_server`](crate::Host::with_server) names it.

mod clients;
mod connection;
mod head;
mod queue;
mod wire;

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use footbridge_core::base::id::OpId;
use footbridge_core::contract::clients::ListenLimits;
use footbridge_core::contract::event::{Event, IoError};
use rustix::event::PollFlags;

use self::clients::Clients;
use self::queue::Queue;
pub(crate) use self::queue::{AcceptSlot, Answer};
use crate::failure::io_failure;
use crate::inbox::Inbox;
use crate::mailbox::Outbox;
use crate::run::NoOrder;
use crate::threads::{LARGE_STACK, SMALL_STACK, Threads};

/// Pause after a failed accept, mostly for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a listener is opened.
pub(crate) type Listen =
    fn(OpId, String, ListenLimits, Outbox, &Threads) -> Result<Listener, IoError>;

/// A listener as the loop sees it.
pub(crate) struct Listener {
    shared: Arc<Shared>,
}

/// What its threads share.
struct Shared {
    outbox: Outbox,
    limits: ListenLimits,
    clients: Clients,
    queue: Queue,
    /// Of the thread that listens.
    inbox: Inbox<NoOrder>,
    threads: Threads,
}

impl Listener {
    /// A request may be passed on.
    pub(crate) fn admit(&self, slot: AcceptSlot) {
        self.shared.queue.offer(slot);
    }

    /// Accepts nothing more; its connections end after the answer in progress.
    pub(crate) fn stop(&self) {
        self.shared.inbox.cancel();
        self.shared.clients.stop();
    }
}

/// Opens a listener.
pub(crate) fn listen(
    op: OpId,
    address: String,
    limits: ListenLimits,
    outbox: Outbox,
    threads: &Threads,
) -> Result<Listener, IoError> {
    let limits = limits.within(clients::room());
    let inbox = Inbox::new().map_err(|error| io_failure("no eventfd", &error))?;
    let (clients, queue, threads) = (Clients::new(limits), Queue::default(), threads.clone());
    let shared = Arc::new(Shared { outbox, limits, clients, queue, inbox, threads });
    let listening = Arc::clone(&shared);
    let work = move || {
        // Nobody is listening any more, so there is nothing left to do.
        let _ = match Acceptor::bind(&address) {
            Ok((acceptor, address)) => {
                let told = listening.outbox.post(Event::Listening { op, address });
                told.map(|()| accept(&acceptor, &listening))
            }
            Err(error) => {
                let failure = io_failure(&address, &error);
                listening.outbox.post(Event::Failed { op, failure })
            }
        };
    };
    let started = shared.threads.spawn("listen", SMALL_STACK, work);
    started.map_err(|error| io_failure("no thread", &error))?;
    Ok(Listener { shared })
}

fn accept(acceptor: &Acceptor, shared: &Arc<Shared>) {
    while !shared.inbox.is_cancelled() {
        let waited = match acceptor.accept() {
            Ok((stream, peer)) => {
                begin(stream, peer, shared);
                continue;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                shared.inbox.wait([Some((acceptor.as_fd(), PollFlags::IN))], None)
            }
            Err(_) => shared.inbox.wait([None], Some(Instant::now() + ACCEPT_PAUSE)),
        };
        if waited.is_err() {
            return;
        }
    }
}

/// Serves a connection on a thread of its own; without one, it is closed.
fn begin(stream: TcpStream, peer: IpAddr, shared: &Arc<Shared>) {
    // Send small messages at once; without this they are merely slower.
    let _ = stream.set_nodelay(true);
    let Ok(client) = Clients::arrived(shared, &stream, peer) else { return };
    let serving = Arc::clone(shared);
    let work = move || connection::serve(stream, &client, &serving);
    // Its client sees that it is closed.
    let _ = shared.threads.spawn("connection", LARGE_STACK, work);
}

/// What connections come from: it does not block.
enum Acceptor {
    Tcp(TcpListener),
    Local(UnixListener, PathBuf),
}

impl Acceptor {
    /// Listens at an address, which is returned as it turned out to be.
    fn bind(address: &str) -> io::Result<(Self, String)> {
        if let Some(path) = address.strip_prefix("unix:") {
            return Ok((Self::local(Path::new(path))?, address.to_owned()));
        }
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?.to_string();
        Ok((Self::Tcp(listener), address))
    }

    /// Only its owner can open it. One that was left behind is replaced.
    fn local(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        if let Ok(found) = fs::symlink_metadata(path) {
            if !found.file_type().is_socket() || UnixStream::connect(path).is_ok() {
                return Err(ErrorKind::AddrInUse.into());
            }
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        let listener = Self::Local(listener, path.to_owned());
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    fn accept(&self) -> io::Result<(TcpStream, IpAddr)> {
        let (stream, peer) = match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                (stream, peer.ip())
            }
            // The server does nothing with it that this kind of socket could not.
            Self::Local(listener, _) => {
                let stream = TcpStream::from(OwnedFd::from(listener.accept()?.0));
                (stream, Ipv4Addr::LOCALHOST.into())
            }
        };
        stream.set_nonblocking(true)?;
        Ok((stream, peer))
    }
}

impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Local(listener, _) => listener.as_fd(),
        }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        if let Self::Local(_, path) = self {
            // What is left behind is replaced by whoever listens there next.
            let _ = fs::remove_file(path);
        }
    }
}
