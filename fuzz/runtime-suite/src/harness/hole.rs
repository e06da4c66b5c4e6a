//! An address that swallows whatever is sent to it.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};

/// Swallows whatever comes: the system drops new connections to a listener whose queue is full.
#[derive(Debug)]
pub struct Hole {
    _listener: OwnedFd,
    _queued: Vec<TcpStream>,
}

impl Hole {
    /// One at this address.
    ///
    /// # Panics
    ///
    /// If there is something at that port.
    pub fn at(address: SocketAddr) -> Self {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let listener = socket(family, SocketType::STREAM, None).expect("a socket");
        sockopt::set_socket_reuseaddr(&listener, true).expect("set");
        bind(&listener, &address).expect("a free port");
        listen(&listener, 0).expect("it listens");
        let limit = Duration::from_millis(200);
        let queued = std::iter::from_fn(|| TcpStream::connect_timeout(&address, limit).ok());
        let queued = queued.take(20).collect::<Vec<_>>();
        assert!(queued.len() < 20, "its queue is never full");
        Self { _listener: listener, _queued: queued }
    }
}
