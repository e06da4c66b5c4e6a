//! Who is connected to a listener, how slowly they may read, and who has to go. What is too many is
//! decided by the core's [`Admission`].

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use footbridge_core::contract::clients::{ListenLimits, Pace, Standing};
use footbridge_core::engine::admission::{Admission, ConnectionId};
use rustix::net::sockopt::{set_socket_linger, set_socket_send_buffer_size};
use rustix::process::{Resource, getrlimit};

use super::Shared;
use super::queue::AcceptSlot;
use crate::inbox::{Inbox, lock};

/// What the system may hold for a stranger who does not read, in bytes.
const STRANGERS_SEND_BUFFER: usize = 32 << 10;
/// The same for a client that has shown who it is.
const CLIENTS_SEND_BUFFER: usize = 512 << 10;

/// How many connections there may be: each has two descriptors, and its thread some more.
pub(super) fn room() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    limit / 6
}

/// The clients of a listener.
pub(super) struct Clients {
    connected: Mutex<Connected>,
}

struct Connected {
    admission: Admission,
    open: HashMap<ConnectionId, Place>,
    is_stopped: bool,
}

/// A connection as others see it.
struct Place {
    socket: TcpStream,
    inbox: Arc<Inbox<AcceptSlot>>,
}

impl Clients {
    pub(super) fn new(limits: ListenLimits) -> Self {
        let admission = Admission::new(limits);
        let connected = Connected { admission, open: HashMap::new(), is_stopped: false };
        Self { connected: Mutex::new(connected) }
    }

    /// A client has connected; one that is one too many has to go.
    pub(super) fn arrived(
        shared: &Arc<Shared>,
        stream: &TcpStream,
        address: IpAddr,
    ) -> io::Result<Client> {
        let _ = set_socket_send_buffer_size(stream, STRANGERS_SEND_BUFFER);
        let (socket, inbox) = (stream.try_clone()?, Arc::new(Inbox::new()?));
        let mut connected = lock(&shared.clients.connected);
        let (id, surplus) = connected.admission.arrived(address);
        connected.open.insert(id, Place { socket, inbox: Arc::clone(&inbox) });
        connected.cut(surplus);
        if connected.is_stopped {
            inbox.cancel();
        }
        Ok(Client { id, address, inbox, requests: AtomicU32::new(0), shared: Arc::clone(shared) })
    }

    /// Connections end after the answer in progress.
    pub(super) fn stop(&self) {
        let mut connected = lock(&self.connected);
        connected.is_stopped = true;
        connected.open.values().for_each(|place| place.inbox.cancel());
    }
}

impl Connected {
    fn cut(&mut self, id: Option<ConnectionId>) {
        let Some(place) = id.and_then(|id| self.open.remove(&id)) else { return };
        forget_unsent(&place.socket);
        // Whoever serves it sees its end.
        let _ = place.socket.shutdown(Shutdown::Both);
    }
}

/// Has the system drop what the other side has not read, once the socket is closed.
pub(super) fn forget_unsent(socket: &TcpStream) {
    let _ = set_socket_linger(socket, Some(Duration::ZERO));
}

/// One connected client, whose place is free again once this is dropped.
pub(super) struct Client {
    id: ConnectionId,
    pub(super) address: IpAddr,
    /// It is given a slot here, and cancelled with the listener.
    pub(super) inbox: Arc<Inbox<AcceptSlot>>,
    /// How many it has sent so far.
    requests: AtomicU32,
    shared: Arc<Shared>,
}

impl Client {
    fn standing(&self) -> Standing {
        lock(&self.shared.clients.connected).admission.standing(self.id)
    }

    /// The machine has learned who it is.
    pub(super) fn vouch(&self, standing: Standing) {
        let mut connected = lock(&self.shared.clients.connected);
        if connected.admission.standing(self.id) == standing {
            return;
        }
        if let Some(place) = connected.open.get(&self.id) {
            let _ = set_socket_send_buffer_size(&place.socket, CLIENTS_SEND_BUFFER);
        }
        let surplus = connected.admission.vouch(self.id, standing);
        connected.cut(surplus);
    }

    /// Waits until its next request may be taken.
    pub(super) fn turn(&self) {
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        let limits = &self.shared.limits;
        if before < limits.strangers_requests || self.standing() != Standing::Stranger {
            return;
        }
        let until = Instant::now() + limits.strangers_pause;
        while Instant::now() < until && !self.inbox.is_cancelled() {
            if self.inbox.wait([None], Some(until)).is_err() {
                return;
            }
        }
    }

    /// How slowly it may read.
    pub(super) fn reading(&self) -> Pace {
        self.shared.limits.of(self.standing()).reading
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut connected = lock(&self.shared.clients.connected);
        connected.admission.gone(self.id);
        connected.open.remove(&self.id);
    }
}
