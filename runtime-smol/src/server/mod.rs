//! The HTTP server: each request waits for an `Accept`, then for its response.
//!
//! | module | what is in it |
//! | --- | --- |
//! | here | listening, and accepting connections |
//! | `clients` | who is connected, and who has to go |
//! | `connection` | one connection until its end |
//! | `exchange` | one request: its head, its body, its answer |
//! | `reply` | answers as the wire has them |

mod clients;
mod connection;
mod exchange;
mod reply;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::Timer;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Head, Response};
use footbridge_core::contract::clients::{ListenLimits, Pace, Standing};
use footbridge_core::contract::event::Event;
use smol::Task;
use smol::future::yield_now;
use smol::net::{TcpListener, TcpStream};

use self::clients::Clients;
pub(crate) use self::clients::Served;
use crate::failure::about;
use crate::handshake::Switch;
use crate::shared::Shared;
use crate::stream::StreamBody;
use crate::tls;

/// Pause after a failed accept, mostly for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener as the loop sees it. Once dropped, it accepts nothing more, and its connections end
/// after the reply in progress.
pub(crate) struct Listener {
    _task: Option<Task<()>>,
    tickets: Sender<AcceptSlot>,
    _stop: Sender<Infallible>,
}

/// Permission to pass one request to the machine.
pub(crate) struct AcceptSlot {
    pub(crate) op: OpId,
    pub(crate) answered: Receiver<Answer>,
}

/// What the machine says to a request. The last three end it.
pub(crate) enum Answer {
    Vouch(Standing),
    ReadBody { max_body: usize, pace: Pace },
    Reply(Response),
    Stream(Head, StreamBody),
    Upgrade { protocol: Option<String>, switch: Switch },
}

impl Listener {
    pub(crate) fn admit(&self, ticket: AcceptSlot) {
        let _ = self.tickets.try_send(ticket);
    }
}

/// Shared by all connections of a listener.
struct ListenerShared {
    tickets: Sender<AcceptSlot>,
    queue: Receiver<AcceptSlot>,
    /// Closed when the listener is.
    stopped: Receiver<Infallible>,
    tls: Option<tls::Server>,
    limits: ListenLimits,
    clients: Arc<Clients>,
    shared: Rc<Shared>,
}

impl ListenerShared {
    /// Ends once the listener is closed.
    async fn stopped(&self) {
        // Nothing is ever sent there.
        let _ = self.stopped.recv().await;
    }
}

/// Opens a listener.
pub(crate) fn listen(
    op: OpId,
    address: String,
    limits: ListenLimits,
    tls: Option<tls::Server>,
    linger: Option<Sender<Infallible>>,
    shared: Rc<Shared>,
) -> Listener {
    let (tickets, queue) = async_channel::unbounded();
    let (stop, stopped) = async_channel::bounded(1);
    let spawner = shared.spawner.clone();
    let limits = limits.within(clients::room());
    let clients = Arc::new(Clients::new(limits));
    let tickets_of_desk = tickets.clone();
    let desk =
        ListenerShared { tickets: tickets_of_desk, queue, stopped, tls, limits, clients, shared };
    let desk = Rc::new(desk);
    let task = spawner.spawn(async move {
        let shared = &desk.shared;
        let bound = async {
            let listener = TcpListener::bind(address.as_str()).await?;
            let address = listener.local_addr()?.to_string();
            io::Result::Ok((listener, address))
        };
        match bound.await {
            Ok((listener, address)) => {
                shared.mailbox.tell(Event::Listening { op, address }).await;
                accept(&listener, &desk, linger.as_ref()).await;
            }
            Err(error) => shared.mailbox.failed(op, about(&address, &error)).await,
        }
    });
    Listener { _task: task, tickets, _stop: stop }
}

async fn accept(
    listener: &TcpListener,
    desk: &Rc<ListenerShared>,
    linger: Option<&Sender<Infallible>>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                begin(stream, peer, desk, linger.cloned());
                // Those who are connected come before those who queue.
                yield_now().await;
            }
            Err(_) => drop(Timer::after(ACCEPT_PAUSE).await),
        }
    }
}

fn begin(
    stream: TcpStream,
    peer: SocketAddr,
    desk: &Rc<ListenerShared>,
    linger: Option<Sender<Infallible>>,
) {
    // Send small messages at once; without this they are merely slower.
    let _ = stream.set_nodelay(true);
    let client = desk.clients.arrived(&stream, peer.ip());
    let desk = Rc::clone(desk);
    let spawner = desk.shared.spawner.clone();
    spawner.detach(async move {
        connection::serve(stream, client, &desk).await;
        drop(linger);
    });
}
