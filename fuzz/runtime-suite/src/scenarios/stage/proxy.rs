//! A TCP proxy between a worker and its relay, which can do what networks do.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// What nginx says when the relay is silent for too long.
const GATEWAY_TIMEOUT: &[u8] = b"HTTP/1.1 504 Gateway Time-out\r\nserver: nginx\r\nconnection: close\r\n\
    content-type: text/html\r\ncontent-length: 47\r\n\r\n<html><title>504 Gateway Time-out</title></html>";

/// A request of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Register,
    Poll,
    Ack,
    Heartbeat,
    Report,
    Deregister,
    /// For a stream of events, in version 2.
    Stream,
    /// With a batch of lines, in version 2.
    Batch,
}

impl Request {
    fn of(head: &str) -> Option<Self> {
        let mut words = head.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        let is_of_work = path.contains("/work/");
        match (method, path.rsplit('/').next()?) {
            ("POST", "bridge") => Some(Self::Register),
            ("GET", "poll") => Some(Self::Poll),
            ("POST", "ack") => Some(Self::Ack),
            ("POST", "heartbeat") => Some(Self::Heartbeat),
            ("POST", "stop") if is_of_work => Some(Self::Report),
            ("POST", "stop") => Some(Self::Deregister),
            ("POST", "events") => Some(Self::Batch),
            ("GET", stream) if stream.starts_with("stream?") => Some(Self::Stream),
            _ => None,
        }
    }
}

/// What can happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It does not reach the relay; at [`Proxy::release`] its connection breaks.
    Held,
    /// The relay responds, and the connection breaks before the response gets through.
    AnswerLost,
}

/// What becomes of a stream of events on its way to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamFate {
    /// From now on nothing comes on those that are open; later ones pass.
    Silent,
    /// It is collected until it ends, but for its head.
    Collected,
    /// The next one that carries this text is cut in the middle of it, and later ones pass.
    CutWithin(String),
}

/// Changes the relay's response: head and body.
pub(crate) type Rewrite = Box<dyn Fn(String) -> String + Send>;

/// Changes the head of a request, a line at a time; `None` leaves the line out.
pub(crate) type HeadRewrite = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How long the proxy waits for something from the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) silence: Duration,
    /// Whether a request that brings nothing is answered with 504 before its connection ends.
    pub(crate) says_so: bool,
}

#[derive(Default)]
struct State {
    connections: Vec<[TcpStream; 2]>,
    /// What happens to the next request of a kind.
    plans: Vec<(Request, Fate)>,
    held: usize,
    lost: usize,
    released: usize,
    /// Connections up to this one, counted from 1, are dead.
    dead: usize,
    accepted: usize,
    rewrite: Option<(String, Rewrite)>,
    /// What every request is answered with, in the relay's place.
    page: Option<String>,
    pages: usize,
    head_rewrite: Option<HeadRewrite>,
    limit: Option<Limit>,
    streams: Option<StreamFate>,
    /// Streams on connections up to this one are silent.
    silent: usize,
    /// Nothing passes until this ends, and nothing is lost.
    is_frozen: bool,
    downstream: String,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The proxy. Its threads end with their connections, or with the test.
pub(crate) struct Proxy {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// One in front of `target`.
    pub(crate) fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let shared: Arc<Shared> = Arc::default();
        let (of_thread, target) = (Arc::clone(&shared), target.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A relay that is down refuses: so does the proxy.
                let Ok(relay) = TcpStream::connect(&target) else { continue };
                serve(&of_thread, client, relay);
            }
        });
        Self { address, shared }
    }

    /// Decides the fate of the next request of a kind.
    pub(crate) fn plan(&self, request: Request, fate: Fate) {
        self.shared.lock().plans.push((request, fate));
    }

    /// Waits until a request is held.
    #[track_caller]
    pub(crate) fn holds(&self) {
        self.shared.wait("a request is held", |state| state.held > state.released);
    }

    /// Waits until this many responses have been lost.
    #[track_caller]
    pub(crate) fn has_lost(&self, answers: usize) {
        self.shared.wait("an answer is lost", |state| state.lost >= answers);
    }

    /// Breaks the connections of held requests.
    pub(crate) fn release(&self) {
        let mut state = self.shared.lock();
        state.released = state.held;
        self.shared.changed.notify_all();
    }

    /// Breaks every connection that is open.
    pub(crate) fn cut(&self) {
        for [client, relay] in self.shared.lock().connections.drain(..) {
            // One that has already ended does not matter.
            let _ = client.shutdown(Shutdown::Both);
            let _ = relay.shutdown(Shutdown::Both);
        }
    }

    /// Keeps connections open but discards bytes, as when a computer loses its network; connections
    /// made after `false` work again.
    pub(crate) fn swallow(&self, is_swallowing: bool) {
        let mut state = self.shared.lock();
        state.dead = if is_swallowing { usize::MAX } else { state.accepted };
    }

    /// Ends every connection, and answers all requests itself: with this head and body, or never
    /// again.
    pub(crate) fn answer_with(&self, page: Option<&str>) {
        let mut state = self.shared.lock();
        state.page = page.map(str::to_owned);
        state.pages = 0;
        drop(state);
        self.cut();
    }

    /// Waits until it has answered this many requests in the relay's place.
    #[track_caller]
    pub(crate) fn has_answered(&self, pages: usize) {
        self.shared.wait("pages are answered", |state| state.pages >= pages);
    }

    /// Changes the head of each request from now on.
    pub(crate) fn rewrite_requests(&self, rewrite: HeadRewrite) {
        self.shared.lock().head_rewrite = Some(rewrite);
    }

    /// Ends each connection on which the relay is silent for too long while it is waited for, from
    /// the next connection on.
    pub(crate) fn limit(&self, limit: Limit) {
        self.shared.lock().limit = Some(limit);
    }

    /// Decides what becomes of streams of events.
    pub(crate) fn streams(&self, fate: StreamFate) {
        let mut state = self.shared.lock();
        if fate == StreamFate::Silent {
            state.silent = state.accepted;
        } else {
            state.streams = Some(fate);
        }
    }

    /// Stands still, like a relay that is stopped, or continues.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        self.shared.lock().is_frozen = is_frozen;
        self.shared.changed.notify_all();
    }

    /// How many connections have been made so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.lock().accepted
    }

    /// Changes each response whose text contains `sign`. It must arrive in one piece.
    pub(crate) fn rewrite(&self, sign: &str, rewrite: Rewrite) {
        self.shared.lock().rewrite = Some((sign.to_owned(), rewrite));
    }

    /// All that the relay has sent so far.
    pub(crate) fn downstream(&self) -> String {
        self.shared.lock().downstream.clone()
    }
}

impl State {
    /// What passes of a piece of a stream. Returns whether the stream ends with it.
    fn meddle(&mut self, bytes: &mut Vec<u8>) -> bool {
        match &self.streams {
            Some(StreamFate::Collected) => {
                let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
                let head = head.filter(|_| bytes.starts_with(b"HTTP/1.1 "));
                bytes.truncate(head.map_or(0, |head| head + 4));
                false
            }
            Some(StreamFate::CutWithin(sign)) => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                let Some(at) = text.find(sign.as_str()) else { return false };
                bytes.truncate(at + sign.len() / 2);
                self.streams = None;
                true
            }
            Some(StreamFate::Silent) | None => false,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic in the proxy")
    }

    /// Waits until nothing is frozen.
    fn thaw(&self) -> MutexGuard<'_, State> {
        let state = self.lock();
        self.changed.wait_while(state, |state| state.is_frozen).expect("no panic in the proxy")
    }

    #[track_caller]
    fn wait(&self, what: &str, is: impl Fn(&State) -> bool) {
        let waited = self.changed.wait_timeout_while(self.lock(), PATIENCE, |state| !is(state));
        assert!(
            !waited.expect("no panic in the proxy").1.timed_out(),
            "timed out waiting for: {what}"
        );
    }
}

fn serve(shared: &Arc<Shared>, client: TcpStream, relay: TcpStream) {
    let both = || [client.try_clone().expect("a socket"), relay.try_clone().expect("a socket")];
    let number = {
        let mut state = shared.lock();
        state.accepted += 1;
        state.connections.push(both());
        state.accepted
    };
    let line = Arc::new(Mutex::new(Line::default()));
    let ([from_client, to_relay], up, of_up) = (both(), Arc::clone(shared), Arc::clone(&line));
    std::thread::spawn(move || upwards(&up, number, from_client, to_relay, &of_up));
    let down = Arc::clone(shared);
    std::thread::spawn(move || downwards(&down, number, client, relay, &line));
}

/// What both directions of a connection know.
#[derive(Default)]
struct Line {
    /// The next response is to be lost.
    is_doomed: bool,
    /// Since when nothing has come back for a request, or on a WebSocket.
    waiting_since: Option<Instant>,
    is_web_socket: bool,
    /// What goes back is a stream of events.
    is_stream: bool,
}

/// The request with its head changed.
fn changed(request: &[u8], rewrite: &HeadRewrite) -> Vec<u8> {
    let end = request.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end.filter(|_| request.starts_with(b"GET ") || request.starts_with(b"POST "))
    else {
        return request.to_vec();
    };
    let head = String::from_utf8_lossy(&request[..end]);
    let lines = head.split("\r\n").filter_map(|line| rewrite(line));
    let mut out = lines.collect::<Vec<_>>().join("\r\n").into_bytes();
    out.extend_from_slice(&request[end..]);
    out
}

fn upwards(
    shared: &Shared,
    number: usize,
    mut client: TcpStream,
    mut relay: TcpStream,
    line: &Mutex<Line>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Some(n) = client.read(&mut buffer).ok().filter(|n| *n > 0) {
        let mut request = buffer[..n].to_vec();
        let fate = {
            let mut state = shared.thaw();
            if state.dead >= number {
                continue;
            }
            if let Some(page) = state.page.clone() {
                state.pages += 1;
                shared.changed.notify_all();
                drop(state);
                // A client that has left misses nothing.
                let _ = client.write_all(page.as_bytes());
                break;
            }
            if let Some(rewrite) = &state.head_rewrite {
                request = changed(&request, rewrite);
            }
            let text = String::from_utf8_lossy(&buffer[..n]);
            let request = Request::of(&text);
            if request == Some(Request::Stream) {
                line.lock().expect("no panic").is_stream = true;
            }
            let planned = state.plans.iter().position(|(of, _)| Some(*of) == request);
            planned.map(|at| state.plans.remove(at).1)
        };
        match fate {
            Some(Fate::Held) => {
                let mut state = shared.lock();
                state.held += 1;
                let mine = state.held;
                shared.changed.notify_all();
                // If a test forgets it, the error shows elsewhere.
                let _ = shared.changed.wait_timeout_while(state, PATIENCE, |s| s.released < mine);
                break;
            }
            Some(Fate::AnswerLost) => line.lock().expect("no panic").is_doomed = true,
            None => {}
        }
        line.lock().expect("no panic").waiting_since.get_or_insert_with(Instant::now);
        if relay.write_all(&request).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = relay.shutdown(Shutdown::Both);
}

fn downwards(
    shared: &Shared,
    number: usize,
    mut client: TcpStream,
    mut relay: TcpStream,
    line: &Mutex<Line>,
) {
    let mut buffer = vec![0; 64 << 10];
    let limit = shared.lock().limit;
    relay.set_read_timeout(limit.map(|_| Duration::from_millis(20))).expect("a limit");
    loop {
        let n = match relay.read(&mut buffer) {
            Ok(n) if n > 0 => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let line = line.lock().expect("no panic");
                let (Some(limit), Some(since)) = (limit, line.waiting_since) else { continue };
                if since.elapsed() < limit.silence {
                    continue;
                }
                if !line.is_web_socket && limit.says_so {
                    // A client that has left misses nothing.
                    let _ = client.write_all(GATEWAY_TIMEOUT);
                }
                break;
            }
            _ => break,
        };
        drop(shared.thaw());
        let is_doomed = {
            let mut line = line.lock().expect("no panic");
            line.is_web_socket |= buffer.starts_with(b"HTTP/1.1 101");
            line.waiting_since = line.is_web_socket.then(Instant::now);
            std::mem::take(&mut line.is_doomed)
        };
        if is_doomed {
            shared.lock().lost += 1;
            shared.changed.notify_all();
            break;
        }
        let mut bytes = buffer[..n].to_vec();
        let is_stream = line.lock().expect("no panic").is_stream;
        let mut is_cut = false;
        {
            let mut state = shared.lock();
            if state.dead >= number || is_stream && state.silent >= number {
                continue;
            }
            if is_stream {
                is_cut = state.meddle(&mut bytes);
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            state.downstream.push_str(&text);
            if let Some((sign, rewrite)) = &state.rewrite
                && text.contains(sign)
            {
                bytes = rewrite(text).into_bytes();
            }
        }
        if client.write_all(&bytes).is_err() || is_cut {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = relay.shutdown(Shutdown::Both);
}
