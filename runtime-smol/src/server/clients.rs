//! Who is connected to a listener, how slowly they may read, and who has to go. What is too many is
//! decided by the core's [`Admission`].

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Shutdown};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_io::Timer;
use footbridge_core::contract::clients::{ListenLimits, Pace, Standing};
use footbridge_core::engine::admission::{Admission, ConnectionId};
use rustix::net::sockopt::{set_socket_linger, set_socket_send_buffer_size};
use rustix::process::{Resource, getrlimit};
use smol::io::{AsyncRead, AsyncWrite};
use smol::net::TcpStream;

use crate::io::Connection;

/// What the system may hold for a stranger who does not read, in bytes.
const STRANGERS_SEND_BUFFER: usize = 32 << 10;
/// The same for a client that has shown who it is.
const CLIENTS_SEND_BUFFER: usize = 512 << 10;

/// How many connections there may be: most of the file descriptors of this process.
pub(super) fn room() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    limit / 4 * 3
}

/// The clients of a listener. Upgraded connections have to be `Send`, so this is too.
pub(super) struct Clients {
    connected: Mutex<Connected>,
    limits: ListenLimits,
}

struct Connected {
    admission: Admission,
    sockets: HashMap<ConnectionId, TcpStream>,
}

impl Clients {
    pub(super) fn new(limits: ListenLimits) -> Self {
        let connected = Connected { admission: Admission::new(limits), sockets: HashMap::new() };
        Self { connected: Mutex::new(connected), limits }
    }

    /// A client has connected; one that is one too many has to go.
    pub(super) fn arrived(self: &Arc<Self>, stream: &TcpStream, address: IpAddr) -> Client {
        let _ = set_socket_send_buffer_size(stream, STRANGERS_SEND_BUFFER);
        let mut connected = self.connected();
        let (id, surplus) = connected.admission.arrived(address);
        connected.sockets.insert(id, stream.clone());
        connected.cut(surplus);
        Client {
            place: Arc::new(Place { id, clients: Arc::clone(self), requests: AtomicU32::new(0) }),
            address,
        }
    }

    fn connected(&self) -> MutexGuard<'_, Connected> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connected {
    fn cut(&mut self, id: Option<ConnectionId>) {
        let Some(socket) = id.and_then(|id| self.sockets.remove(&id)) else { return };
        forget_unsent(&socket);
        // Whoever serves it sees its end.
        let _ = socket.shutdown(Shutdown::Both);
    }
}

/// Has the system drop what the other side has not read, once the socket is closed.
fn forget_unsent(socket: &TcpStream) {
    let _ = set_socket_linger(socket, Some(Duration::ZERO));
}

/// One connected client.
#[derive(Clone)]
pub(super) struct Client {
    place: Arc<Place>,
    pub(super) address: IpAddr,
}

/// What a connection takes up, until it is dropped.
struct Place {
    id: ConnectionId,
    clients: Arc<Clients>,
    /// How many it has sent so far.
    requests: AtomicU32,
}

impl Client {
    /// The machine has learned who it is.
    pub(super) fn vouch(&self, standing: Standing) {
        let Place { id, clients, .. } = &*self.place;
        let mut connected = clients.connected();
        if connected.admission.standing(*id) == standing {
            return;
        }
        if let Some(socket) = connected.sockets.get(id) {
            let _ = set_socket_send_buffer_size(socket, CLIENTS_SEND_BUFFER);
        }
        let surplus = connected.admission.vouch(*id, standing);
        connected.cut(surplus);
    }

    /// Waits until its next request may be taken.
    pub(super) async fn turn(&self) {
        let Place { id, clients, requests } = &*self.place;
        let before = requests.fetch_add(1, Ordering::Relaxed);
        let limits = &clients.limits;
        if before >= limits.strangers_requests
            && clients.connected().admission.standing(*id) == Standing::Stranger
        {
            Timer::after(limits.strangers_pause).await;
        }
    }

    /// How slowly it may read.
    fn reading(&self) -> Pace {
        let Place { id, clients, .. } = &*self.place;
        clients.limits.of(clients.connected().admission.standing(*id)).reading
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connected = self.clients.connected();
        connected.admission.gone(self.id);
        connected.sockets.remove(&self.id);
    }
}

/// A client's connection, whose place is free again once it is dropped. Writing to one that reads
/// too slowly fails.
pub(super) struct Served {
    connection: Connection,
    client: Client,
    /// How long writing was blocked, less what the bytes since then are worth.
    debt: Duration,
    blocked_since: Option<Instant>,
    timer: Option<Timer>,
}

impl Served {
    pub(super) const fn new(connection: Connection, client: Client) -> Self {
        Self { connection, client, debt: Duration::ZERO, blocked_since: None, timer: None }
    }

    fn watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
        bytes: impl Fn(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(Ok(done)) => {
                if let Some(since) = self.blocked_since.take() {
                    self.debt += since.elapsed();
                }
                if !self.debt.is_zero() {
                    let worth = self.client.reading().time_for(bytes(&done));
                    self.debt = self.debt.saturating_sub(worth);
                }
                Poll::Ready(Ok(done))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let since = *self.blocked_since.get_or_insert_with(Instant::now);
                let grace = self.client.reading().grace;
                let left = grace.saturating_sub(self.debt + since.elapsed());
                let timer = self.timer.get_or_insert_with(Timer::never);
                timer.set_after(left);
                if left.is_zero() || Pin::new(timer).poll(cx).is_ready() {
                    return Poll::Ready(Err(self.too_slow()));
                }
                Poll::Pending
            }
        }
    }

    fn too_slow(&self) -> io::Error {
        let place = &self.client.place;
        if let Some(socket) = place.clients.connected().sockets.get(&place.id) {
            forget_unsent(socket);
        }
        io::Error::new(io::ErrorKind::TimedOut, "the client reads too slowly")
    }
}

impl AsyncRead for Served {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_read(cx, buf)
    }
}

impl AsyncWrite for Served {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write(cx, buf);
        self.watched(cx, written, |bytes| *bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write_vectored(cx, bufs);
        self.watched(cx, written, |bytes| *bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.connection).poll_flush(cx);
        self.watched(cx, flushed, |()| 0)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.connection).poll_close(cx);
        self.watched(cx, closed, |()| 0)
    }
}
