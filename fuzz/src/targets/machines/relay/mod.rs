//! A relay whose clients send any requests, with valid credentials or others.

mod asking;
mod clients;
mod requests;

use std::collections::VecDeque;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::limits::{
    LINK_BACKLOG_BYTES, MAX_EXCHANGES, MAX_LINE_BYTES, MAX_STORE_OPERATIONS,
};
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::{Action, Response};
use footbridge_core::contract::check::Operation;
use footbridge_core::contract::event::{Body, Event, IncomingRequest};
use footbridge_core::relay::{AccessToken, Relay, RelayCommand, RelayConfig, RelayKeys};
use footbridge_core::store::{MemoryStore, Transaction};
use serde_json::Value;

use asking::{Asking, Lease};
use clients::Clients;
pub(super) use requests::asked;

use super::answers;
use super::bench::{Bench, Limits, Open, Record};
use super::steps::{TOKEN, is_checked_twice, passes_time};
use crate::targets::input::Input;
use crate::targets::reach::reach;

const LIMITS: Limits = Limits {
    operations: MAX_EXCHANGES + MAX_STORE_OPERATIONS,
    bytes: LINK_BACKLOG_BYTES + MAX_LINE_BYTES,
};

fn relay() -> Bench<Relay> {
    let mut config = RelayConfig::new("127.0.0.1:0".into());
    config.access_tokens =
        vec![AccessToken { person: "somebody".into(), token: Secret::from(TOKEN) }];
    let keys = RelayKeys::new([1; 32], [2; 32]);
    match Relay::new(config, &keys) {
        Ok(relay) => Bench::new(relay, LIMITS),
        Err(error) => panic!("a valid configuration: {error}"),
    }
}

/// A relay that receives any requests, with a working store.
pub fn relay_requests(data: &[u8]) {
    let record = drive(data, true);
    if is_checked_twice(data) {
        assert_eq!(record, drive(data, true), "the same events, the same actions");
    }
}

/// A relay whose store responds late, in order, or not at all.
pub fn relay_store_order(data: &[u8]) {
    drive(data, false);
}

fn drive(data: &[u8], stores_at_once: bool) -> Record {
    let mut stage = Stage::new();
    let mut input = Input(data);
    while let Some(what) = input.byte() {
        if stage.bench.is_over() {
            reach("it ended");
            break;
        }
        if stores_at_once {
            stage.store_all();
        } else if what % 4 == 0 && stage.store_one(&mut input) {
            continue;
        }
        if passes_time(&mut stage.bench, what, &mut input) {
            continue;
        }
        if what == 31 && input.byte().is_some_and(|byte| byte < 32) {
            stage.bench.command(RelayCommand::Shutdown);
            continue;
        }
        let streams: Vec<_> = stage.streams();
        if what >= 128 && !streams.is_empty() {
            let (op, open) = &streams[usize::from(what) % streams.len()];
            let event = stage.clients.stream(*op, open, &mut input);
            stage.bench.handle(event);
        } else {
            let asked = stage.clients.request(&mut input);
            stage.ask(asked);
        }
    }
    stage.bench.record
}

/// A relay, its store, and its clients.
pub(super) struct Stage {
    pub(super) bench: Bench<Relay>,
    store: MemoryStore,
    waiting: VecDeque<(OpId, Transaction)>,
    accepts: Vec<OpId>,
    /// Requests whose body is to be read, and how large it may be.
    reading: Vec<(OpId, usize)>,
    /// Bodies that have not been asked for.
    unread: Vec<(OpId, Bytes)>,
    clients: Clients,
    replies: Vec<(OpId, Response)>,
}

impl Stage {
    pub(super) fn new() -> Self {
        let mut stage = Self {
            bench: relay(),
            store: MemoryStore::new(),
            waiting: VecDeque::new(),
            accepts: Vec::new(),
            reading: Vec::new(),
            unread: Vec::new(),
            clients: Clients::default(),
            replies: Vec::new(),
        };
        let listener = stage.bench.open.keys().copied().next().expect("it listens immediately");
        stage.bench.handle(Event::Listening { op: listener, address: "127.0.0.1:1".into() });
        stage.look();
        stage
    }

    /// Looks at what the relay did.
    fn look(&mut self) {
        for action in std::mem::take(&mut self.bench.fresh) {
            match action {
                Action::Store { op, transaction } => self.waiting.push_back((op, transaction)),
                Action::Accept { op, .. } => self.accepts.push(op),
                Action::Cancel { op } => self.accepts.retain(|accept| *accept != op),
                Action::Reply { op, response } => {
                    is_proper(&response);
                    self.clients.answered(op, &response);
                    self.replies.push((op, response));
                }
                Action::Upgrade { op, .. } => self.clients.upgraded(op),
                Action::ReadBody { op, max_body, .. } => self.reading.push((op, max_body)),
                _ => {}
            }
        }
    }

    fn store_all(&mut self) {
        self.look();
        while let Some((op, transaction)) = self.waiting.pop_front() {
            let outcome = self.store.apply(transaction);
            self.bench.handle(Event::Stored { op, committed: outcome });
            self.look();
        }
    }

    /// Finishes the oldest store operation; returns whether there was one.
    fn store_one(&mut self, input: &mut Input<'_>) -> bool {
        self.look();
        let Some((op, transaction)) = self.waiting.pop_front() else { return false };
        let event = match input.byte() {
            Some(0..=12) => answers::failed(op, input),
            _ => Event::Stored { op, committed: self.store.apply(transaction) },
        };
        self.bench.handle(event);
        self.look();
        true
    }

    fn streams(&self) -> Vec<(OpId, Open)> {
        let open = self.bench.open.iter();
        let streams = open.filter(|(_, open)| {
            matches!(open.state, Operation::Stream(_) | Operation::Exchange | Operation::Reading)
        });
        streams.map(|(op, open)| (*op, open.clone())).collect()
    }

    fn ask(&mut self, (mut asked, kind): (IncomingRequest, Asking)) -> Option<OpId> {
        self.look();
        let op = self.accepts.pop()?;
        self.clients.asking.push((op, kind));
        if let Body::Whole(body) = &asked.body
            && !body.is_empty()
        {
            self.unread.push((op, body.clone()));
            asked.body = Body::Unread { length: Some(body.len() as u64) };
        }
        self.bench.handle(Event::Requested { op, request: asked });
        self.look();
        self.read_bodies();
        Some(op)
    }

    /// Reads the bodies that the relay has asked for.
    fn read_bodies(&mut self) {
        for (op, max_body) in std::mem::take(&mut self.reading) {
            let at = self.unread.iter().position(|(of, _)| *of == op);
            let body = at.map(|at| self.unread.swap_remove(at).1).unwrap_or_default();
            let is_open =
                self.bench.open.get(&op).is_some_and(|open| open.state == Operation::Reading);
            if is_open {
                let body = match body.len() {
                    length if length > max_body => Body::TooLarge,
                    // As good as any other to fail at.
                    13 => Body::Malformed,
                    _ => Body::Whole(body),
                };
                self.bench.handle(Event::BodyRead { op, body });
                self.look();
            }
        }
    }

    /// Sends a request, with a working store, and returns the response if it is immediate.
    pub(super) fn answer_to(&mut self, asked: IncomingRequest) -> Option<Response> {
        let op = self.ask((asked, Asking::Other))?;
        self.store_all();
        let replies = std::mem::take(&mut self.replies).into_iter();
        replies.rev().find(|(to, _)| *to == op).map(|(_, response)| response)
    }

    /// Has a session created and accepted by a worker, and its link up with a question open.
    pub(super) fn with_session() -> Self {
        let mut stage = Self::new();
        for kind in [Asking::Register, Asking::Create, Asking::Poll, Asking::Attach] {
            let asked = stage.clients.good(kind, &mut Input(&[]));
            let op = stage.ask((asked, kind));
            stage.store_all();
            if kind == Asking::Attach {
                let op = op.expect("a free exchange");
                stage.bench.handle(Event::Opened { op });
                for _ in 0..2 {
                    let message = stage.clients.workers_message(op, &mut Input(&[255, 1, 255, 2]));
                    stage.bench.handle(Event::Received { op, message });
                    stage.store_all();
                }
            }
        }
        stage
    }

    /// What the worker has received.
    pub(super) fn lease(&self) -> &Lease {
        self.clients.leases.last().expect("a lease")
    }

    pub(super) fn session(&self) -> &str {
        self.clients.sessions.last().expect("a session")
    }

    pub(super) fn pass(&mut self, time: std::time::Duration) {
        self.bench.pass(time);
        self.store_all();
    }
}

/// Every refusal has the body that clients are promised, and every JSON response is JSON.
fn is_proper(response: &Response) {
    let is_json = response.header("content-type") == Some("application/json");
    let body: Option<Value> = serde_json::from_slice(&response.body).ok();
    assert!(!is_json || body.is_some(), "no JSON: {:?}", response.body);
    if response.status >= 400 {
        let error = &body.expect("a refusal has a body")["error"];
        assert!(error["type"].is_string() && error["message"].is_string(), "{error}");
    }
}
