//! Names to addresses, and addresses to sockets, each within a time limit.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc;
use std::thread::Builder;
use std::time::{Duration, Instant};

use footbridge_core::base::limits::MAX_DIALED_ADDRESSES;
use footbridge_core::contract::event::{IoError, IoErrorKind};
use footbridge_core::engine::dial::Dial;
use footbridge_core::engine::proxies::{Proxy, connect_request, tunnel_error};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};

use crate::failure::{failure, io_failure};
use crate::inbox::Inbox;
use crate::threads::LARGE_STACK;

/// Largest answer of a proxy that is asked for a tunnel, in bytes.
const MAX_TUNNEL_HEAD_BYTES: usize = 16 << 10;

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
        let _ = answer.send(addresses.map(Iterator::collect::<Vec<_>>));
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

/// A connected, non-blocking socket to the first of a host's addresses that answers; they are tried
/// side by side. `None` after a cancel.
pub(crate) fn connect_to<T>(
    addresses: &[SocketAddr],
    deadline: Instant,
    inbox: Option<&Inbox<T>>,
) -> Result<Option<TcpStream>, IoError> {
    let (mut dial, begun) = (Dial::new(addresses.iter().copied()), Instant::now());
    let mut attempts: Vec<(SocketAddr, OwnedFd)> = Vec::new();
    let mut last = failure(IoErrorKind::Unreachable, "no address");
    loop {
        while let Some(address) = dial.next(begun.elapsed()) {
            match begin(address) {
                Ok((socket, true)) => return Ok(Some(connected(socket)?)),
                Ok((socket, false)) => attempts.push((address, socket)),
                Err(error) => {
                    last = io_failure(address, &error);
                    if !dial.failed() {
                        return Err(last);
                    }
                }
            }
        }
        if inbox.is_some_and(Inbox::is_cancelled) {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            let timed_out = io::Error::from(Errno::TIMEDOUT);
            return Err(attempts.first().map_or(last, |(at, _)| io_failure(at, &timed_out)));
        }
        let until = dial.due().map_or(deadline, |due| deadline.min(begun + due));
        let mut ready = attempts.iter().map(|(_, socket)| (socket.as_fd(), PollFlags::OUT));
        let ready = wait(std::array::from_fn(|_| ready.next()), until, inbox);
        let ready = ready.map_err(|error| io_failure("cannot wait", &error))?;
        let Some(at) = ready.iter().position(|is_ready| *is_ready) else { continue };
        let (address, socket) = attempts.swap_remove(at);
        match sockopt::socket_error(&socket).and_then(|outcome| outcome) {
            Ok(()) => return Ok(Some(connected(socket)?)),
            Err(error) => {
                last = io_failure(address, &error.into());
                if !dial.failed() {
                    return Err(last);
                }
            }
        }
    }
}

/// Begins to connect; the socket, and whether it is connected already.
fn begin(address: SocketAddr) -> io::Result<(OwnedFd, bool)> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match connect(&socket, &address) {
        Ok(()) => Ok((socket, true)),
        Err(Errno::INPROGRESS) => Ok((socket, false)),
        Err(error) => Err(error.into()),
    }
}

fn connected(socket: OwnedFd) -> Result<TcpStream, IoError> {
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true).map_err(|error| io_failure("a new connection", &error))?;
    Ok(stream)
}

/// Waits for one of these; an order ends it too.
fn wait<T>(
    interests: [Option<(BorrowedFd<'_>, PollFlags)>; MAX_DIALED_ADDRESSES],
    until: Instant,
    inbox: Option<&Inbox<T>>,
) -> io::Result<[bool; MAX_DIALED_ADDRESSES]> {
    match inbox {
        Some(inbox) => inbox.wait(interests, Some(until)),
        None => Inbox::<()>::new()?.wait(interests, Some(until)),
    }
}

/// Asks a proxy for a tunnel to `target` on a connection to it, which does not block. `None` after
/// a cancel.
pub(crate) fn tunnel<T>(
    mut stream: TcpStream,
    proxy: &Proxy,
    target: &str,
    deadline: Instant,
    inbox: Option<&Inbox<T>>,
) -> Result<Option<TcpStream>, IoError> {
    let broken = |error: &io::Error| io_failure(format_args!("the proxy {proxy}"), error);
    let request = connect_request(proxy, target);
    // It is short, and the connection is new.
    stream.write_all(request.reveal().as_bytes()).map_err(|error| broken(&error))?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_TUNNEL_HEAD_BYTES {
            let detail = format!("the proxy {proxy} answers with an endless head");
            return Err(failure(IoErrorKind::Protocol, detail));
        }
        // One at a time: what follows is the target's.
        match stream.read(&mut byte) {
            Ok(0) => {
                let detail = format!("the proxy {proxy} closed the connection to {target}");
                return Err(failure(IoErrorKind::Disconnected, detail));
            }
            Ok(_) => head.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if inbox.is_some_and(Inbox::is_cancelled) {
                    return Ok(None);
                }
                if Instant::now() >= deadline {
                    let detail = format!("the proxy {proxy} did not answer in time");
                    return Err(failure(IoErrorKind::TimedOut, detail));
                }
                let mut interests = [None; MAX_DIALED_ADDRESSES];
                interests[0] = Some((stream.as_fd(), PollFlags::IN));
                wait(interests, deadline, inbox).map_err(|error| broken(&error))?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(&error)),
        }
    }
    let status = std::str::from_utf8(&head).ok().and_then(|head| head.split(' ').nth(1));
    let Some(status) = status.and_then(|status| status.parse().ok()) else {
        let detail = format!("the proxy {proxy} does not speak HTTP");
        return Err(failure(IoErrorKind::Protocol, detail));
    };
    match tunnel_error(proxy, target, status) {
        Some(detail) => Err(failure(IoErrorKind::Refused, detail)),
        None => Ok(Some(stream)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use footbridge_runtime_suite::harness::Hole;
    use std::net::TcpListener;

    /// An address at which somebody listens, and one of the other family that swallows everything.
    fn pair(alive: &str, dead: &str) -> (TcpListener, [SocketAddr; 2], Hole) {
        let listener = TcpListener::bind(alive).expect("a port");
        let alive = listener.local_addr().expect("bound");
        let dead = SocketAddr::new(dead.parse().expect("an address"), alive.port());
        (listener, [dead, alive], Hole::at(dead))
    }

    #[test]
    fn an_address_that_swallows_everything_costs_a_quarter_of_a_second() {
        for (alive, dead) in
            [("127.0.0.1:0", "::1"), ("[::1]:0", "127.0.0.1"), ("127.0.0.1:0", "127.0.0.2")]
        {
            let (_listener, addresses, _hole) = pair(alive, dead);
            let began = Instant::now();
            let deadline = began + Duration::from_secs(10);
            let stream = connect_to::<()>(&addresses, deadline, None).expect("one answers");
            let stream = stream.expect("not cancelled");
            assert_eq!(stream.peer_addr().expect("connected"), addresses[1]);
            let took = began.elapsed();
            assert!(
                took >= Duration::from_millis(240) && took < Duration::from_secs(2),
                "{took:?}"
            );
        }
    }

    #[test]
    fn a_refused_address_costs_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let alive = listener.local_addr().expect("bound");
        let refused = SocketAddr::new([127, 0, 0, 3].into(), alive.port());
        let addresses = [refused, alive];
        let began = Instant::now();
        let deadline = began + Duration::from_secs(10);
        let stream = connect_to::<()>(&addresses, deadline, None).expect("one answers");
        let stream = stream.expect("not cancelled");
        assert_eq!(stream.peer_addr().expect("connected"), alive);
        assert!(began.elapsed() < Duration::from_millis(240));
    }
}
