//! The HTTP server: each request waits for an `Accept`, then for its response.
//!
//! | module | what is in it |
//! | --- | --- |
//! | here | listening, and accepting connections |
//! | `clients` | who is connected, and who has to go |
//! | `connection` | one connection until its end |
//! | `exchange` | one request: its head, its body, its answer |
//! | `reply` | answers as the wire has them |
//! | `slot` | what the machine says to a request, and what all connections share |

mod clients;
mod connection;
mod exchange;
mod reply;
mod slot;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Sender;
use async_io::Timer;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::clients::ListenLimits;
use footbridge_core::contract::event::Event;
use smol::Task;
use smol::future::yield_now;
use smol::net::{TcpListener, TcpStream};

use self::clients::Clients;
use self::slot::ListenerShared;
pub(crate) use self::slot::{AcceptSlot, Answer};
use crate::failure::about;
use crate::local::LocalListener;
use crate::shared::Shared;
use crate::tls;

/// Pause after a failed accept, mostly for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener as the loop sees it. Once dropped, it accepts nothing more, and its connections end
/// after the reply in progress.
pub(crate) struct Listener {
    _task: Option<Task<()>>,
    slots: Sender<AcceptSlot>,
    _stop: Sender<Infallible>,
}

impl Listener {
    pub(crate) fn admit(&self, slot: AcceptSlot) {
        let _ = self.slots.try_send(slot);
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
    let (slots, queue) = async_channel::unbounded();
    let (stop, stopped) = async_channel::bounded(1);
    let spawner = shared.spawner.clone();
    let limits = limits.within(clients::room());
    let clients = Arc::new(Clients::new(limits));
    let common =
        ListenerShared { slots: slots.clone(), queue, stopped, tls, limits, clients, shared };
    let common = Rc::new(common);
    let task = spawner.spawn(async move {
        let shared = &common.shared;
        let bound = async {
            if let Some(path) = address.strip_prefix("unix:") {
                let listener = LocalListener::bind(Path::new(path))?;
                return io::Result::Ok((Acceptor::Local(listener), address.clone()));
            }
            let listener = TcpListener::bind(address.as_str()).await?;
            let address = listener.local_addr()?.to_string();
            Ok((Acceptor::Tcp(listener), address))
        };
        match bound.await {
            Ok((listener, address)) => {
                shared.mailbox.tell(Event::Listening { op, address }).await;
                accept(&listener, &common, linger.as_ref()).await;
            }
            Err(error) => shared.mailbox.failed(op, about(&address, &error)).await,
        }
    });
    Listener { _task: task, slots, _stop: stop }
}

/// What connections come from.
enum Acceptor {
    Tcp(TcpListener),
    Local(LocalListener),
}

impl Acceptor {
    async fn accept(&self) -> io::Result<(TcpStream, IpAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((stream, peer.ip()))
            }
            Self::Local(listener) => Ok((listener.accept().await?, Ipv4Addr::LOCALHOST.into())),
        }
    }
}

async fn accept(
    listener: &Acceptor,
    common: &Rc<ListenerShared>,
    linger: Option<&Sender<Infallible>>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                begin(stream, peer, common, linger.cloned());
                // Those who are connected come before those who queue.
                yield_now().await;
            }
            Err(_) => drop(Timer::after(ACCEPT_PAUSE).await),
        }
    }
}

fn begin(
    stream: TcpStream,
    peer: IpAddr,
    common: &Rc<ListenerShared>,
    linger: Option<Sender<Infallible>>,
) {
    // Send small messages at once; without this they are merely slower.
    let _ = stream.set_nodelay(true);
    let client = common.clients.arrived(&stream, peer);
    let common = Rc::clone(common);
    let spawner = common.shared.spawner.clone();
    spawner.detach(async move {
        connection::serve(stream, client, &common).await;
        drop(linger);
    });
}
