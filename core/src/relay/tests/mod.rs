//! The relay driven by hand: a small world of a memory store, clients and a clock.

mod access;
mod answer_links;
mod audit;
mod callbacks;
mod code_sessions;
mod healthcheck;
mod hostile;
mod life;
mod limits;
mod links;
mod log_in;
mod oidc;
mod page;
mod people;
mod permission;
mod proof;
mod push;
mod receipts;
mod seeds;
mod several_relays;
mod sign_in;
mod strangers;
mod tidying;
mod trust;
mod viewers;
mod work_streams;
mod workers;
mod working;
mod worktrees;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::net::IpAddr;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{AccessToken, Relay, RelayCommand, RelayConfig, RelayKeys, RelayNotice};
use crate::base::id::OpId;
use crate::base::secret::Secret;
use crate::base::text::Text;
use crate::base::time::{Instant, Now, UnixTime};
use crate::contract::action::{Action, Message, Method, Request, Response};
use crate::contract::clients::Standing;
use crate::contract::event::{Body, Event, IncomingRequest};
use crate::store::{Changes, Committed, MemoryStore};
use crate::testing::Hand;
use crate::wire::link_v1::ControlFrame;

const TOKEN: &str = "alices-token-0123456789";
const BOB: &str = "bobs-own-token-0123456789";

/// When a relay starts, unless a test says otherwise.
const START: Now = Now { mono: Instant::ORIGIN, wall: UnixTime::from_millis(1_767_225_600_000) };

struct World {
    hand: Hand<Relay>,
    store: Rc<RefCell<MemoryStore>>,
    /// This relay's changes that another one on the same store has not been told of.
    unheard: Vec<Changes>,
    /// The store operations that were carried out, and whether somebody was said to ask for them.
    carried_out: Vec<(String, bool)>,
    events: VecDeque<Event>,
    accepts: VecDeque<OpId>,
    /// Who the relay says a client is.
    standings: BTreeMap<OpId, Standing>,
    /// The bodies that the relay has asked for, and how large each may be.
    bodies_asked: BTreeMap<OpId, usize>,
    replies: BTreeMap<OpId, Response>,
    streams: BTreeMap<OpId, Stream>,
    /// Whether messages arrive immediately.
    arrives: bool,
    /// Store operations are held back while this is set.
    holds_store: bool,
    held: VecDeque<(OpId, crate::store::Transaction)>,
    cancelled: Vec<OpId>,
    /// What the relay has asked of others, and was not answered yet.
    requests: VecDeque<(OpId, Request)>,
}

#[derive(Default)]
struct Stream {
    protocol: Option<String>,
    sent: Vec<Message>,
    /// How many of them a test has looked at.
    seen: usize,
    under_way: usize,
    closed: Option<u16>,
    is_cut: bool,
    pauses: usize,
    resumes: usize,
}

fn config() -> RelayConfig {
    let token = |person: &str, token: &str| AccessToken {
        person: person.to_owned(),
        token: Secret::from(token),
    };
    RelayConfig {
        access_tokens: alloc::vec![token("alice", TOKEN), token("bob", BOB)],
        ..RelayConfig::new("127.0.0.1:8787".to_owned())
    }
}

fn keys() -> RelayKeys {
    RelayKeys::new([1; 32], [2; 32])
}

impl World {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: RelayConfig) -> Self {
        Self::on_store(config, &keys(), Rc::default(), START)
    }

    /// Another relay on the same store.
    fn beside(&self) -> Self {
        let keys = RelayKeys { entropy: [3; 32], ..keys() };
        Self::on_store(config(), &keys, Rc::clone(&self.store), self.hand.now)
    }

    fn on_store(
        config: RelayConfig,
        keys: &RelayKeys,
        store: Rc<RefCell<MemoryStore>>,
        now: Now,
    ) -> Self {
        let relay = Relay::new(config, keys).expect("a good configuration");
        let mut world = Self {
            hand: Hand::new(relay, now),
            store,
            unheard: Vec::new(),
            carried_out: Vec::new(),
            events: VecDeque::new(),
            accepts: VecDeque::new(),
            standings: BTreeMap::new(),
            bodies_asked: BTreeMap::new(),
            replies: BTreeMap::new(),
            streams: BTreeMap::new(),
            arrives: true,
            holds_store: false,
            held: VecDeque::new(),
            cancelled: Vec::new(),
            requests: VecDeque::new(),
        };
        world.run();
        world
    }

    /// Carries out the relay's actions and reports the results, until it waits or has ended.
    fn run(&mut self) {
        loop {
            while let Some(action) = self.hand.actions.pop_front() {
                self.perform(action);
            }
            if self.hand.outcome.is_some() {
                return;
            }
            let Some(event) = self.events.pop_front() else { return };
            self.hand.handle(event);
        }
    }

    fn command(&mut self, command: RelayCommand) {
        self.hand.command(command);
        self.run();
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Listen { op, address, .. } => {
                self.events.push_back(Event::Listening { op, address });
            }
            Action::Accept { op, .. } => self.accepts.push_back(op),
            Action::Vouch { op, standing } => drop(self.standings.insert(op, standing)),
            Action::ReadBody { op, max_body, .. } => drop(self.bodies_asked.insert(op, max_body)),
            Action::Reply { op, response } => {
                assert!(self.replies.insert(op, response).is_none(), "answered twice");
            }
            Action::Upgrade { op, protocol, .. } => {
                self.streams.insert(op, Stream { protocol, ..Stream::default() });
                self.events.push_back(Event::Opened { op });
            }
            Action::ReplyStream { op, head, .. } => {
                assert_eq!(head.status, 200);
                self.streams.insert(op, Stream::default());
            }
            Action::Store { op, transaction } if self.holds_store => {
                self.held.push_back((op, transaction));
            }
            Action::Store { op, transaction } => {
                let outcome = self.apply(transaction);
                self.events.push_back(Event::Stored { op, committed: outcome });
            }
            Action::Send { op, message } => {
                let stream = self.streams.get_mut(&op).expect("a stream");
                assert!(stream.closed.is_none() && !stream.is_cut, "sent after the end");
                stream.sent.push(message);
                if self.arrives {
                    self.events.push_back(Event::Sent { op, messages: 1 });
                } else {
                    stream.under_way += 1;
                }
            }
            Action::Close { op, code } => {
                self.streams.get_mut(&op).expect("a stream").closed = Some(code);
                self.events.push_back(Event::Closed { op, code: Some(code), failure: None });
            }
            Action::Pause { op } => self.streams.get_mut(&op).expect("a stream").pauses += 1,
            Action::Resume { op } => self.streams.get_mut(&op).expect("a stream").resumes += 1,
            Action::Cancel { op } => {
                self.accepts.retain(|accept| *accept != op);
                self.cancelled.push(op);
                if let Some(stream) = self.streams.get_mut(&op) {
                    stream.is_cut = true;
                }
            }
            Action::Request { op, request } => self.requests.push_back((op, request)),
            other => panic!("a relay has no use for {other:?}"),
        }
    }

    fn deliver(&mut self, event: Event) {
        self.events.push_back(event);
        self.run();
    }

    /// Delivers an event that a runtime would not, such as a message before `Opened`.
    fn deliver_stray(&mut self, event: Event) {
        self.hand.handle_stray(event);
        self.run();
    }

    /// Carries out the store operations that were held back.
    fn release_store(&mut self) {
        self.holds_store = false;
        while let Some((op, transaction)) = self.held.pop_front() {
            let outcome = self.apply(transaction);
            self.events.push_back(Event::Stored { op, committed: outcome });
        }
        self.run();
    }

    fn apply(&mut self, transaction: crate::store::Transaction) -> Committed {
        self.carried_out.push((format!("{transaction:?}"), transaction.by.is_some()));
        let committed = self.store.borrow_mut().apply(transaction);
        self.unheard.push((*committed.changes).clone());
        committed
    }

    /// Learns what another relay changed in the same store.
    fn hear(&mut self, other: &mut Self) {
        for changes in other.unheard.drain(..) {
            self.deliver(Event::StoreChanged { changes: Box::new(changes) });
        }
    }

    /// Lets time pass, with a tick at each deadline.
    fn pass(&mut self, time: Duration) {
        let end = self.hand.now.mono + time;
        while self.hand.deadline.is_some_and(|at| at <= end) {
            self.hand.wait();
            self.run();
        }
        self.hand.pass(end.saturating_since(self.hand.now.mono));
        self.deliver(Event::Tick);
    }

    fn ask_raw(&mut self, request: IncomingRequest) -> OpId {
        let op = self.accepts.pop_front().expect("an open accept");
        self.deliver(Event::Requested { op, request });
        op
    }

    fn ask(&mut self, method: Method, target: &str, token: &str, body: &Value) -> OpId {
        self.ask_with(method, target, token, body, &[])
    }

    fn ask_with(
        &mut self,
        method: Method,
        target: &str,
        token: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> OpId {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut all = alloc::vec![("host".to_owned(), "127.0.0.1:8787".to_owned())];
        if !token.is_empty() {
            all.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        all.extend(headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        self.ask_raw(IncomingRequest {
            method,
            target: target.to_owned(),
            headers: all,
            body: Body::Whole(Bytes::from(body)),
            is_tls: false,
            peer: IpAddr::from([127, 0, 0, 1]),
        })
    }

    /// The status and the body of an answer that has arrived.
    fn answer(&mut self, op: OpId) -> (u16, Value) {
        let response = self.replies.remove(&op).expect("an answer");
        (response.status, serde_json::from_slice(&response.body).unwrap_or(Value::Null))
    }

    fn get(&mut self, target: &str, token: &str) -> (u16, Value) {
        let op = self.ask(Method::Get, target, token, &Value::Null);
        self.answer(op)
    }

    fn post(&mut self, target: &str, token: &str, body: &Value) -> (u16, Value) {
        let op = self.ask(Method::Post, target, token, body);
        self.answer(op)
    }

    fn websocket(&mut self, target: &str, token: &str, protocol: &str) -> OpId {
        let mut headers = alloc::vec![("upgrade", "websocket")];
        if !protocol.is_empty() {
            headers.push(("sec-websocket-protocol", protocol));
        }
        self.ask_with(Method::Get, target, token, &Value::Null, &headers)
    }

    /// What was sent on a stream since the last call, as JSON; a control frame of the link as
    /// `{"frame": …}`.
    fn received(&mut self, op: OpId) -> Vec<Value> {
        let stream = self.streams.get_mut(&op).expect("a stream");
        let new = &stream.sent[stream.seen..];
        stream.seen = stream.sent.len();
        let value = |message: &Message| match message {
            Message::Text(text) => serde_json::from_str(text.as_str()).expect("JSON"),
            Message::Binary(bytes) => {
                let frame: Value = serde_json::from_slice(bytes).expect("JSON");
                json!({ "frame": frame })
            }
        };
        new.iter().map(value).collect()
    }

    fn lines(&mut self, op: OpId, lines: &str) {
        let message = Message::Text(Text::from(lines.to_owned()));
        self.deliver(Event::Received { op, message });
    }

    fn send_frame(&mut self, op: OpId, frame: &ControlFrame) {
        self.deliver(Event::Received { op, message: Message::Binary(frame.to_bytes()) });
    }
}

/// A registered worker.
struct Worker {
    environment: String,
    secret: String,
}

/// A session that a worker has accepted.
struct Taken {
    session: String,
    work: String,
    token: String,
    fence: u64,
}

impl World {
    fn register(&mut self) -> Worker {
        let body = json!({"machine_name": "laptop", "directory": "/home/me", "max_sessions": 4});
        let (status, answer) = self.post("/v1/environments/bridge", TOKEN, &body);
        assert_eq!(status, 200, "{answer}");
        let text = |key: &str| answer[key].as_str().expect(key).to_owned();
        Worker { environment: text("environment_id"), secret: text("environment_secret") }
    }

    fn create(&mut self, worker: &Worker) -> String {
        let body = json!({"environment_id": worker.environment});
        let (status, answer) = self.post("/v1/sessions", TOKEN, &body);
        assert_eq!(status, 201, "{answer}");
        answer["id"].as_str().expect("an id").to_owned()
    }

    fn poll(&mut self, worker: &Worker) -> (u16, Value) {
        let target = format!("/v1/environments/{}/work/poll", worker.environment);
        self.get(&target, &worker.secret)
    }

    fn poll_waiting(&mut self, worker: &Worker, wait: &str, key: &str) -> OpId {
        let target = format!("/v1/environments/{}/work/poll", worker.environment);
        let headers = [("prefer", wait), ("idempotency-key", key)];
        self.ask_with(Method::Get, &target, &worker.secret, &Value::Null, &headers)
    }

    fn about(&mut self, worker: &Worker, taken: &Taken, call: &str) -> (u16, Value) {
        let target = format!("/v1/environments/{}/work/{}/{call}", worker.environment, taken.work);
        self.post(&target, &taken.token, &json!({"fence": taken.fence}))
    }

    fn stop_work(&mut self, worker: &Worker, taken: &Taken, status: &str) -> (u16, Value) {
        let target = format!("/v1/environments/{}/work/{}/stop", worker.environment, taken.work);
        let result = json!({"status": status, "exit_code": 0, "message": "done", "stderr": ""});
        self.post(&target, &worker.secret, &json!({"fence": taken.fence, "result": result}))
    }

    /// Accepts the next session, up to the ack.
    fn take(&mut self, worker: &Worker) -> Taken {
        let (status, item) = self.poll(worker);
        assert_eq!(status, 200);
        let taken = taken(&item);
        assert_eq!(self.about(worker, &taken, "ack"), (200, json!({"state": "acked"})));
        taken
    }

    fn ingress(&mut self, taken: &Taken) -> OpId {
        let target = format!("/v2/session_ingress/ws/{}", taken.session);
        self.websocket(&target, &taken.token, "footbridge.link.v1")
    }

    /// Opens a link for this run of the session's agent; its worker sends its `resume`.
    fn link_of_run(&mut self, taken: &Taken, run: &str, received: u64) -> OpId {
        let target = format!("/v2/session_ingress/ws/{}", taken.session);
        let headers = [
            ("upgrade", "websocket"),
            ("sec-websocket-protocol", "footbridge.link.v1"),
            ("x-footbridge-agent-run", run),
        ];
        let op = self.ask_with(Method::Get, &target, &taken.token, &Value::Null, &headers);
        self.send_frame(op, &ControlFrame::Resume { received, from: 0, window: None });
        op
    }

    /// Opens a link; the worker sends its `resume`.
    fn link(&mut self, taken: &Taken, received: u64, from: u64) -> OpId {
        let op = self.ingress(taken);
        self.send_frame(op, &ControlFrame::Resume { received, from, window: None });
        op
    }

    /// A running session, with its link.
    fn running(&mut self) -> (Worker, Taken, OpId) {
        let worker = self.register();
        self.create(&worker);
        let taken = self.take(&worker);
        let op = self.link(&taken, 0, 0);
        self.received(op);
        (worker, taken, op)
    }

    fn session(&mut self, id: &str) -> Value {
        let (status, session) = self.get(&format!("/v1/sessions/{id}"), TOKEN);
        assert_eq!(status, 200, "{session}");
        session
    }

    fn events(&mut self, id: &str) -> Vec<Value> {
        let (status, page) = self.get(&format!("/v1/sessions/{id}/events"), TOKEN);
        assert_eq!(status, 200, "{page}");
        page["events"].as_array().expect("events").clone()
    }

    /// Lets time pass while every link shows that it is alive.
    fn links_alive(&mut self, time: Duration) {
        let end = self.hand.now.mono + time;
        while self.hand.now.mono < end {
            self.pass(Duration::from_secs(30).min(end.saturating_since(self.hand.now.mono)));
            let open = self.streams.iter().filter(|(_, stream)| {
                let is_link = stream.protocol.as_deref() == Some("footbridge.link.v1");
                is_link && stream.closed.is_none() && !stream.is_cut
            });
            for op in open.map(|(op, _)| *op).collect::<Vec<_>>() {
                self.send_frame(op, &ControlFrame::Pong);
            }
        }
    }

    fn say(&mut self, id: &str, text: &str) -> (u16, Value) {
        let message = json!({"type": "user", "message": {"role": "user", "content": text}});
        let target = format!("/v1/sessions/{id}/messages");
        self.post(&target, TOKEN, &json!({"messages": [message]}))
    }

    fn subscribe(&mut self, id: &str, after: u64) -> OpId {
        let target = format!("/v1/sessions/{id}/events/ws?after={after}");
        let offer = format!("footbridge.viewer.v1, footbridge.bearer.{TOKEN}");
        self.websocket(&target, "", &offer)
    }
}

fn taken(item: &Value) -> Taken {
    let secret = URL_SAFE_NO_PAD.decode(item["secret"].as_str().expect("a secret"));
    let secret: Value = serde_json::from_slice(&secret.expect("base64url")).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    Taken {
        session: text(&item["data"]["id"]),
        work: text(&item["id"]),
        token: text(&secret["session_ingress_token"]),
        fence: item["fence"].as_u64().expect("a fence"),
    }
}

/// The numbers of the events received.
fn seqs(came: &[Value]) -> Vec<u64> {
    let events = came.iter().filter(|value| value["type"] != "live");
    events.filter_map(|value| value["seq"].as_u64()).collect()
}

fn question(id: &str) -> String {
    format!(
        r#"{{"type":"control_request","request_id":"{id}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"command": "echo  hi"}}}}}}"#
    )
}
