//! Names to addresses, and addresses to sockets, each within a time limit.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread::Builder;
use std::time::{Duration, Instant};

use footbridge_core::contract::event::{IoError, IoErrorKind};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};

use crate::failure::{failure, io_failure};
use crate::inbox::Inbox;
use crate::threads::LARGE_STACK;

/// Maximum number of a name's addresses tried.
const MAX_ADDRESSES: usize = 8;

/// The addresses of a host; a literal address is its own. The system's resolver cannot be
/// interrupted, so it runs on its own thread, which is abandoned when time is up.
pub(crate) fn resolve(
    host: &str,
    port: u16,
    timeout: Option<Duration>,
) -> Result<Vec<SocketAddr>, IoError> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let (answer, answered) = mpsc::sync_channel(1);
    let name = bare.to_owned();
    let look_up = move || {
        let addresses = (name.as_str(), port).to_socket_addrs();
        // After a timeout, nobody is waiting any more.
        let _ = answer.send(addresses.map(|all| all.take(MAX_ADDRESSES).collect::<Vec<_>>()));
    };
    Builder::new()
        .name("resolve".to_owned())
        .stack_size(LARGE_STACK)
        .spawn(look_up)
        .map_err(|error| io_failure("no thread", &error))?;
    let answer = match timeout {
        Some(timeout) => answered.recv_timeout(timeout).ok(),
        None => answered.recv().ok(),
    };
    match answer {
        Some(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
        Some(Ok(_)) => Err(failure(IoErrorKind::Dns, format_args!("{bare} has no address"))),
        Some(Err(error)) => Err(failure(IoErrorKind::Dns, format_args!("{bare}: {error}"))),
        None => Err(failure(
            IoErrorKind::TimedOut,
            format_args!("{bare}: the name server did not respond"),
        )),
    }
}

/// The instant after a time limit; one too long to represent becomes a year.
pub(crate) fn deadline_after(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or(now + Duration::from_secs(365 * 24 * 60 * 60))
}

/// A connected, non-blocking socket to the first address that answers. `None` after a cancel.
pub(crate) fn connect_to<T>(
    addresses: &[SocketAddr],
    deadline: Instant,
    inbox: &Inbox<T>,
) -> Result<Option<TcpStream>, IoError> {
    let mut last = failure(IoErrorKind::Unreachable, "no address");
    for (index, address) in addresses.iter().enumerate() {
        // Each gets an equal share of the remaining time.
        let left = deadline.saturating_duration_since(Instant::now());
        let shares = u32::try_from(addresses.len() - index).unwrap_or(1);
        match connect_one(*address, Instant::now() + left / shares, inbox) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = io_failure(address, &error),
        }
    }
    Err(last)
}

fn connect_one<T>(
    address: SocketAddr,
    deadline: Instant,
    inbox: &Inbox<T>,
) -> io::Result<Option<TcpStream>> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match connect(&socket, &address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS) => loop {
            if inbox.is_cancelled() {
                return Ok(None);
            }
            let [is_ready] =
                inbox.wait([Some((socket.as_fd(), PollFlags::OUT))], Some(deadline))?;
            if is_ready {
                sockopt::socket_error(&socket)??;
                break;
            }
            if Instant::now() >= deadline {
                return Err(Errno::TIMEDOUT.into());
            }
        },
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(Some(stream))
}
