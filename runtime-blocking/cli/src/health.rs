//! The health address: a few read-only pages in plain HTTP, for what watches a program. It is apart from
//! everything else that the program does, and needs no credential: nothing there is a secret, and by
//! default there is none.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::event_log::EventLog;
use crate::exit::Error;
use crate::process_metrics;
use crate::value::Level;

/// The head of a request may be this long, in bytes.
const MAX_HEAD_BYTES: usize = 8 << 10;
/// How long one client may take.
const CLIENT_TIME: Duration = Duration::from_secs(2);
/// Clients that may be at it. One more takes the place of the one that has been silent for longest.
const MAX_CLIENTS: usize = 32;
/// Bytes of the thread's stack.
const STACK_BYTES: usize = 128 << 10;
/// A pause after a connection that could not be accepted, so that a lack of files is no busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status of the answer: 200 or 503.
    pub status: u16,
    /// The media type of `body`.
    pub media_type: &'static str,
    /// What it says.
    pub body: String,
}

impl Page {
    /// One line of text.
    pub fn text(status: u16, words: &str) -> Self {
        Self { status, media_type: "text/plain; charset=utf-8", body: format!("{words}\n") }
    }

    /// Metrics in the text format of Prometheus, and those of the process.
    pub fn metrics(body: String) -> Self {
        let body = body + &process_metrics::text();
        Self { status: 200, media_type: "text/plain; version=0.0.4; charset=utf-8", body }
    }
}

/// The same as `serve`, if there is an address; logs which it is.
pub fn start(
    log: EventLog,
    address: Option<SocketAddr>,
    page: impl Fn(&str) -> Option<Page> + Send + 'static,
) -> Result<(), Error> {
    let Some(address) = address else { return Ok(()) };
    process_metrics::started();
    let address = serve(address, page)?;
    let words = format_args!("health and metrics: http://{address}/health, /ready and /metrics");
    log.write(Level::Info, "health_address", &[], words);
    Ok(())
}

/// Answers at this address for as long as the program runs, in a thread that sleeps while nobody asks.
/// Returns the address with the port that it has got.
fn serve(
    address: SocketAddr,
    page: impl Fn(&str) -> Option<Page> + Send + 'static,
) -> Result<SocketAddr, Error> {
    let cannot =
        |error| Error::local(format!("cannot listen on the health address {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(cannot)?;
    let bound = listener.local_addr().map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    let serve = move || {
        let mut clients = VecDeque::new();
        loop {
            if wait(&listener, &clients).is_err() || !accept(&listener, &mut clients) {
                thread::sleep(ACCEPT_PAUSE);
            }
            // Whoever does not take the answer goes without one.
            clients.retain_mut(|client: &mut Client| client.goes_on(&page).unwrap_or(false));
        }
    };
    let thread = thread::Builder::new().name("health".to_owned()).stack_size(STACK_BYTES);
    thread.spawn(serve).map_err(cannot)?;
    Ok(bound)
}

/// Waits until somebody comes, says something, or has said nothing for too long.
fn wait(listener: &TcpListener, clients: &VecDeque<Client>) -> io::Result<()> {
    let soonest = clients.iter().map(|client| client.until).min();
    let left = soonest.map(|until| until.saturating_duration_since(Instant::now()));
    let left = left.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
    let mut all = Vec::with_capacity(1 + clients.len());
    all.push(PollFd::new(listener, PollFlags::IN));
    all.extend(clients.iter().map(|client| PollFd::new(&client.stream, PollFlags::IN)));
    match poll(&mut all, left.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Takes all who have come; returns whether that is possible.
fn accept(listener: &TcpListener, clients: &mut VecDeque<Client>) -> bool {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                if clients.len() >= MAX_CLIENTS {
                    clients.pop_front();
                }
                let until = Instant::now() + CLIENT_TIME;
                if stream.set_nonblocking(true).is_ok() {
                    clients.push_back(Client { stream, head: Vec::new(), until });
                }
            }
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

/// Somebody whose request is not whole.
struct Client {
    stream: TcpStream,
    head: Vec<u8>,
    until: Instant,
}

impl Client {
    /// Reads what has come, and answers a request that is whole. Returns whether there is more to wait
    /// for.
    fn goes_on(&mut self, page: &impl Fn(&str) -> Option<Page>) -> io::Result<bool> {
        loop {
            let mut buffer = [0; 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(length) => self.head.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            if self.head.windows(4).any(|end| end == b"\r\n\r\n") {
                // It fits into the socket's buffer.
                return self.stream.write_all(answer(&self.head, page).as_bytes()).map(|()| false);
            }
            if self.head.len() > MAX_HEAD_BYTES {
                return Ok(false);
            }
        }
        Ok(Instant::now() < self.until)
    }
}

fn answer(head: &[u8], page: &impl Fn(&str) -> Option<Page>) -> String {
    let head = String::from_utf8_lossy(head);
    let mut words = head.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let found = match method {
        "GET" | "HEAD" => page(path).unwrap_or_else(|| Page::text(404, "there is no such page")),
        _ => Page::text(405, "only GET"),
    };
    let Page { status, media_type, body } = found;
    let reason = match status {
        200 => "OK",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Service Unavailable",
    };
    let length = body.len();
    let shown = if method == "HEAD" { "" } else { &body };
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n{shown}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Shutdown};

    fn started() -> SocketAddr {
        let page = |path: &str| (path == "/health").then(|| Page::text(200, "well"));
        serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), page).expect("a server")
    }

    fn asked(address: SocketAddr, request: &str) -> String {
        let mut client = TcpStream::connect(address).expect("connected");
        client.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[test]
    fn a_page_is_answered_and_anything_else_refused() {
        let address = started();
        let answer = asked(address, "GET /health?x HTTP/1.1\r\nhost: a\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nwell\n"));
        let answer = asked(address, "HEAD /health HTTP/1.1\r\n\r\n");
        assert!(answer.contains("content-length: 5\r\n") && answer.ends_with("\r\n\r\n"));
        assert!(asked(address, "GET /other HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(asked(address, "POST /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert!(asked(address, "\r\n\r\n").starts_with("HTTP/1.1 405"));
    }

    #[test]
    fn any_number_that_say_nothing_hold_nobody_up() {
        let address = started();
        let silent: Vec<_> = (0..3 * MAX_CLIENTS).map(|_| TcpStream::connect(address)).collect();
        let asked_at = Instant::now();
        for _ in 0..3 {
            assert!(asked(address, "GET /health HTTP/1.1\r\n\r\n").contains("well"));
        }
        let one_by_one = CLIENT_TIME * u32::try_from(silent.len()).expect("a few");
        assert!(asked_at.elapsed() < one_by_one / 2);
        drop(silent);
    }

    #[test]
    fn a_client_that_says_nothing_or_too_much_holds_others_up_for_a_moment_only() {
        let address = started();
        let _silent = TcpStream::connect(address).expect("connected");
        let mut long = TcpStream::connect(address).expect("connected");
        let _ = long.write_all(&[b'x'; MAX_HEAD_BYTES + 2048]);
        let _ = long.shutdown(Shutdown::Write);
        assert!(asked(address, "GET /health HTTP/1.1\r\n\r\n").contains("well"));
    }
}
