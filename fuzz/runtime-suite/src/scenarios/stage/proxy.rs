//! A TCP proxy between a worker and its relay, which can do what networks do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::PATIENCE;

/// A request of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Register,
    Poll,
    Ack,
    Heartbeat,
    Report,
    Deregister,
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

/// Changes the relay's response: head and body.
pub(crate) type Rewrite = Box<dyn Fn(String) -> String + Send>;

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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic in the proxy")
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
    // Whether to lose the next response.
    let is_doomed = Arc::new(Mutex::new(false));
    let ([from_client, to_relay], up, doomed) =
        (both(), Arc::clone(shared), Arc::clone(&is_doomed));
    std::thread::spawn(move || upwards(&up, number, from_client, to_relay, &doomed));
    let down = Arc::clone(shared);
    std::thread::spawn(move || downwards(&down, number, client, relay, &is_doomed));
}

fn upwards(
    shared: &Shared,
    number: usize,
    mut client: TcpStream,
    mut relay: TcpStream,
    doomed: &Mutex<bool>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Some(n) = client.read(&mut buffer).ok().filter(|n| *n > 0) {
        let fate = {
            let mut state = shared.lock();
            if state.dead >= number {
                continue;
            }
            let text = String::from_utf8_lossy(&buffer[..n]);
            let request = Request::of(&text);
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
            Some(Fate::AnswerLost) => *doomed.lock().expect("no panic") = true,
            None => {}
        }
        if relay.write_all(&buffer[..n]).is_err() {
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
    doomed: &Mutex<bool>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Some(n) = relay.read(&mut buffer).ok().filter(|n| *n > 0) {
        if std::mem::take(&mut *doomed.lock().expect("no panic")) {
            shared.lock().lost += 1;
            shared.changed.notify_all();
            break;
        }
        let mut bytes = buffer[..n].to_vec();
        {
            let mut state = shared.lock();
            if state.dead >= number {
                continue;
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            state.downstream.push_str(&text);
            if let Some((sign, rewrite)) = &state.rewrite
                && text.contains(sign)
            {
                bytes = rewrite(text).into_bytes();
            }
        }
        if client.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = relay.shutdown(Shutdown::Both);
}
