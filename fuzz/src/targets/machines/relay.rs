//! A relay whose clients ask anything, with good credentials or with others.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use footbridge_core::action::{Action, Message, Method, Response};
use footbridge_core::event::{Asked, Body, Event};
use footbridge_core::id::OpId;
use footbridge_core::limits::{
    LINK_BACKLOG_BYTES, MAX_EXCHANGES, MAX_LINE_BYTES, MAX_STORE_OPERATIONS,
};
use footbridge_core::relay::store::{MemoryStore, Operation};
use footbridge_core::relay::{AccessToken, Relay, RelayCommand, RelayConfig, RelayKeys};
use footbridge_core::secret::Secret;
use serde_json::Value;

use super::answers::{self, goes_well};
use super::bench::{Bench, Kind, Limits, Open, Record};
use super::{TOKEN, is_checked_twice, passes_time};
use crate::targets::Input;
use crate::targets::reach::reach;

const LIMITS: Limits = Limits {
    operations: MAX_EXCHANGES + MAX_STORE_OPERATIONS,
    bytes: LINK_BACKLOG_BYTES + MAX_LINE_BYTES,
};

fn relay() -> Bench<Relay> {
    let mut config = RelayConfig::new("127.0.0.1:0".into());
    config.access_tokens =
        vec![AccessToken { person: "somebody".into(), token: Secret::from(TOKEN) }];
    let keys = RelayKeys { signing: [1; 32], entropy: [2; 32] };
    match Relay::new(config, &keys) {
        Ok(relay) => Bench::new(relay, LIMITS),
        Err(error) => panic!("a good configuration: {error}"),
    }
}

/// A relay that is asked anything, with a store that works.
pub fn relay_requests(data: &[u8]) {
    let record = drive(data, true);
    if is_checked_twice(data) {
        assert_eq!(record, drive(data, true), "the same events, the same actions");
    }
}

/// A relay whose store answers late, in order, or not at all.
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
    waiting: VecDeque<(OpId, Operation)>,
    accepts: Vec<OpId>,
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
            clients: Clients::default(),
            replies: Vec::new(),
        };
        let listener = stage.bench.open.keys().copied().next().expect("it listens at once");
        stage.bench.handle(Event::Listening { op: listener, address: "127.0.0.1:1".into() });
        stage.look();
        stage
    }

    /// Looks at what the relay did.
    fn look(&mut self) {
        for action in std::mem::take(&mut self.bench.fresh) {
            match action {
                Action::Store { op, operation } => self.waiting.push_back((op, operation)),
                Action::Accept { op, .. } => self.accepts.push(op),
                Action::Cancel { op } => self.accepts.retain(|accept| *accept != op),
                Action::Reply { op, response } => {
                    is_proper(&response);
                    self.clients.answered(op, &response);
                    self.replies.push((op, response));
                }
                Action::Upgrade { op, .. } => self.clients.upgraded(op),
                _ => {}
            }
        }
    }

    fn store_all(&mut self) {
        self.look();
        while let Some((op, operation)) = self.waiting.pop_front() {
            let outcome = self.store.apply(operation);
            self.bench.handle(Event::Stored { op, outcome });
            self.look();
        }
    }

    /// The oldest store operation comes to its end; whether there was one.
    fn store_one(&mut self, input: &mut Input<'_>) -> bool {
        self.look();
        let Some((op, operation)) = self.waiting.pop_front() else { return false };
        let event = match input.byte() {
            Some(0..=12) => answers::failed(op, input),
            _ => Event::Stored { op, outcome: self.store.apply(operation) },
        };
        self.bench.handle(event);
        self.look();
        true
    }

    fn streams(&self) -> Vec<(OpId, Open)> {
        let open = self.bench.open.iter();
        let streams = open.filter(|(_, open)| matches!(open.kind, Kind::Stream | Kind::Exchange));
        streams.map(|(op, open)| (*op, open.clone())).collect()
    }

    fn ask(&mut self, (asked, kind): (Asked, Asking)) -> Option<OpId> {
        self.look();
        let op = self.accepts.pop()?;
        self.clients.asking.push((op, kind));
        self.bench.handle(Event::Asked { op, asked });
        self.look();
        Some(op)
    }

    /// Asks, with a store that works, and gives the answer if there is one at once.
    pub(super) fn answer_to(&mut self, asked: Asked) -> Option<Response> {
        let op = self.ask((asked, Asking::Other))?;
        self.store_all();
        let replies = std::mem::take(&mut self.replies).into_iter();
        replies.rev().find(|(to, _)| *to == op).map(|(_, response)| response)
    }

    /// Lets a session be made, taken by a worker, and its link come up with a question open.
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

    /// The worker's part of what was given out.
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

/// Every refusal has the body that clients are promised, and every JSON answer is JSON.
fn is_proper(response: &Response) {
    let is_json = response.header("content-type") == Some("application/json");
    let body: Option<Value> = serde_json::from_slice(&response.body).ok();
    assert!(!is_json || body.is_some(), "no JSON: {:?}", response.body);
    if response.status >= 400 {
        let error = &body.expect("a refusal has a body")["error"];
        assert!(error["type"].is_string() && error["message"].is_string(), "{error}");
    }
}

/// What a worker was given with an item.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) environment: String,
    pub(super) environment_secret: String,
    pub(super) work: String,
    session: String,
    pub(super) token: String,
    fence: u64,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    Register,
    Poll,
    Ack,
    Heartbeat,
    StopWork,
    Redispatch,
    Deregister,
    Attach,
    Create,
    Message,
    Permission,
    Interrupt,
    StopSession,
    Read,
    Watch,
    Overview,
    Healthcheck,
    Other,
}

/// What the clients of the relay know.
#[derive(Default)]
struct Clients {
    environments: Vec<(String, String)>,
    sessions: Vec<String>,
    leases: Vec<Lease>,
    asking: Vec<(OpId, Asking)>,
    /// Links, and whether their resume was said.
    links: Vec<(OpId, bool)>,
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A request with one credential.
pub(super) fn asked(
    method: Method,
    target: &str,
    credential: &str,
    body: impl Into<Bytes>,
) -> Asked {
    let headers =
        vec![header("authorization", &format!("Bearer {credential}")), header("host", "localhost")];
    Asked {
        method,
        target: target.to_owned(),
        headers,
        body: Body::Whole(body.into()),
        is_tls: false,
    }
}

impl Clients {
    fn answered(&mut self, op: OpId, response: &Response) {
        let Some(at) = self.asking.iter().position(|(asking, _)| *asking == op) else { return };
        let (_, kind) = self.asking.swap_remove(at);
        if response.status >= 300 {
            return;
        }
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        match kind {
            Asking::Register => {
                let secret = text("environment_secret");
                self.environments.extend(text("environment_id").zip(secret));
                reach("a worker was registered");
            }
            Asking::Create => {
                self.sessions.extend(text("id"));
                reach("a session was made");
            }
            Asking::Poll => {
                self.leases.extend(self.lease(&body));
                if body["id"].is_string() {
                    reach("work was given out");
                }
            }
            Asking::Heartbeat => reach("a lease was extended"),
            Asking::Message => reach("a message was taken"),
            Asking::Permission => reach("a question was answered"),
            Asking::StopWork => reach("work was ended"),
            _ => {}
        }
    }

    fn lease(&self, item: &Value) -> Option<Lease> {
        let environment = item["environment_id"].as_str()?;
        let (_, secret) = self.environments.iter().find(|(id, _)| id == environment)?;
        let work_secret = URL_SAFE_NO_PAD.decode(item["secret"].as_str()?).ok()?;
        let work_secret: Value = serde_json::from_slice(&work_secret).ok()?;
        Some(Lease {
            environment: environment.to_owned(),
            environment_secret: secret.clone(),
            work: item["id"].as_str()?.to_owned(),
            session: item["data"]["id"].as_str()?.to_owned(),
            token: work_secret["session_ingress_token"].as_str()?.to_owned(),
            fence: item["fence"].as_u64()?,
        })
    }

    fn upgraded(&mut self, op: OpId) {
        let Some(at) = self.asking.iter().position(|(asking, _)| *asking == op) else { return };
        match self.asking.swap_remove(at).1 {
            Asking::Attach => {
                self.links.push((op, false));
                reach("a link was opened");
            }
            Asking::Watch => reach("a viewer came"),
            _ => {}
        }
    }

    fn stream(&mut self, op: OpId, open: &Open, input: &mut Input<'_>) -> Event {
        match open.kind {
            // Held polls, and what waits for the store: their clients may leave.
            Kind::Exchange if !goes_well(input) => Event::Closed { op, code: None, failure: None },
            Kind::Exchange => Event::Tick,
            _ if !open.is_up && goes_well(input) => Event::Opened { op },
            _ if !open.is_up => answers::failed(op, input),
            _ => answers::stream(op, open, input, |input| self.workers_message(op, input)),
        }
    }

    /// A message of a link; a viewer sends what it likes.
    fn workers_message(&mut self, op: OpId, input: &mut Input<'_>) -> Message {
        const WORDS: [&str; 8] = [
            r#"{"type":"resume","received":0,"from":0}"#,
            r#"{"type":"resume","received":0,"from":18446744073709551615}"#,
            r#"{"type":"ack","received":1}"#,
            r#"{"type":"ack","received":18446744073709551615}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"pong"}"#,
            r#"{"type":"report","message":{"type":"footbridge","subtype":"agent_started","pid":7}}"#,
            r#"{"type":"report","message":{"type":"footbridge","subtype":"agent_exited"}}"#,
        ];
        let word = |word: &'static str| Message::Binary(Bytes::from_static(word.as_bytes()));
        if let Some((_, is_resumed)) = self.links.iter_mut().find(|(link, _)| *link == op)
            && goes_well(input)
        {
            if !std::mem::replace(is_resumed, true) {
                return word(WORDS[0]);
            }
            reach("a link spoke");
            return match input.byte().unwrap_or(0) % 4 {
                0 => word(input.choose(&[WORDS[2], WORDS[4], WORDS[6], WORDS[7]])),
                _ => answers::text(input),
            };
        }
        match input.byte().unwrap_or(0) % 3 {
            0 => Message::Binary(Bytes::copy_from_slice(input.some())),
            1 => answers::text(input),
            _ => word(input.choose(&WORDS)),
        }
    }

    /// A request: mostly one that makes sense here.
    fn request(&mut self, input: &mut Input<'_>) -> (Asked, Asking) {
        const ALL: [Asking; 20] = [
            Asking::Register,
            Asking::Create,
            Asking::Poll,
            Asking::Attach,
            Asking::Message,
            Asking::Ack,
            Asking::Heartbeat,
            Asking::StopWork,
            Asking::Redispatch,
            Asking::Deregister,
            Asking::Permission,
            Asking::Interrupt,
            Asking::StopSession,
            Asking::Read,
            Asking::Watch,
            Asking::Overview,
            Asking::Healthcheck,
            Asking::Message,
            Asking::Permission,
            Asking::Permission,
        ];
        // Nothing goes without the first ones.
        let kind = match (self.environments.is_empty(), self.sessions.is_empty()) {
            (true, _) if goes_well(input) => Asking::Register,
            (false, true) if goes_well(input) => Asking::Create,
            (false, false) if self.leases.is_empty() && goes_well(input) => Asking::Poll,
            (false, false) if self.links.is_empty() && goes_well(input) => Asking::Attach,
            _ => input.choose(&ALL),
        };
        let mut asked = self.good(kind, input);
        if !goes_well(input) {
            self.spoil(&mut asked, input);
        }
        (asked, kind)
    }

    /// A request as it should be.
    fn good(&self, kind: Asking, input: &mut Input<'_>) -> Asked {
        const MESSAGES: [&str; 6] = [
            r#"{"type":"user","uuid":"u1","message":{"role":"user","content":"ls"}}"#,
            r#"{"type":"user","message":{"role":"user","content":[{"type":"text","text":"x"}]}}"#,
            r#"{"type":"user","uuid":"u1"}"#,
            r#"{"type":"control_request","request_id":"r1","request":{"subtype":"set_model"}}"#,
            r#"{"type":"control_response","response":{"subtype":"success","request_id":"q"}}"#,
            r#"{"type":"x"}"#,
        ];
        const BEHAVIOURS: [&str; 4] = [
            r#""behavior":"allow""#,
            r#""behavior":"deny","message":"no""#,
            r#""behavior":"allow","updatedInput":{"a":1}"#,
            r#""behavior":"deny","message":"no","interrupt":true"#,
        ];
        let nothing = || Lease {
            environment: "env_0".into(),
            environment_secret: "env_0.x".into(),
            work: "work_0".into(),
            session: "session_0".into(),
            token: "sk-ant-si-x".into(),
            fence: 0,
        };
        let lease = of(&self.leases, input).cloned().unwrap_or_else(nothing);
        let environment = of(&self.environments, input).cloned();
        let (environment, secret) =
            environment.unwrap_or_else(|| ("env_0".to_owned(), "env_0.x".to_owned()));
        let session = of(&self.sessions, input).cloned().unwrap_or("session_0".to_owned());
        let worker = format!("/v1/environments/{}", lease.environment);
        let item = format!("{worker}/work/{}", lease.work);
        let viewer = format!("/v1/sessions/{session}");
        let fence = format!(r#"{{"fence":{}}}"#, lease.fence);
        let post = |path: String, credential: &str, body: String| {
            asked(Method::Post, &path, credential, body)
        };
        let get = |path: String, credential: &str| asked(Method::Get, &path, credential, "");
        let websocket = |mut asked: Asked, protocol: &str| {
            asked.headers.push(header("upgrade", "websocket"));
            asked.headers.push(header("connection", "upgrade"));
            asked.headers.push(header("sec-websocket-protocol", protocol));
            asked
        };
        match kind {
            Asking::Register => {
                let again = match input.byte().unwrap_or(0) % 4 {
                    1 => format!(r#","environment_id":"{environment}""#),
                    _ => String::new(),
                };
                let body = format!(
                    r#"{{"machine_name":"m","directory":"/","max_sessions":3,"metadata":{{}}{again}}}"#
                );
                post("/v1/environments/bridge".into(), TOKEN, body)
            }
            Asking::Poll => {
                let path = format!("/v1/environments/{environment}/work/poll");
                let mut asked = get(path, &secret);
                let wait =
                    input.choose(&["wait=0", "wait=0", "wait=50", "wait=18446744073709551615"]);
                asked.headers.push(header("prefer", wait));
                let key = input.choose(&["k1", "k2", "k3", "k4"]);
                asked.headers.push(header("idempotency-key", key));
                asked
            }
            Asking::Ack => post(format!("{item}/ack"), &lease.token, fence),
            Asking::Heartbeat => post(format!("{item}/heartbeat"), &lease.token, fence),
            Asking::StopWork => {
                let body = format!(
                    r#"{{"fence":{},"force":false,"result":{{"status":"completed","exit_code":0}}}}"#,
                    lease.fence
                );
                post(format!("{item}/stop"), &lease.environment_secret, body)
            }
            Asking::Redispatch => {
                let path = format!("{worker}/sessions/{}/redispatch", lease.session);
                post(path, &lease.environment_secret, "{}".into())
            }
            Asking::Deregister => {
                post(format!("/v1/environments/{environment}/stop"), &secret, "{}".into())
            }
            Asking::Attach => {
                let path = format!("/v1/session_ingress/ws/{}", lease.session);
                let mut asked = websocket(get(path, &lease.token), "footbridge.link.v1");
                let run = input.choose(&["run1", "run2"]);
                asked.headers.push(header("x-footbridge-agent-run", run));
                asked
            }
            Asking::Create => {
                let body = format!(r#"{{"environment_id":"{environment}","title":"t"}}"#);
                let mut asked = post("/v1/sessions".into(), TOKEN, body);
                if input.byte().is_some_and(|byte| byte < 100) {
                    asked.headers.push(header("idempotency-key", "k"));
                }
                asked
            }
            Asking::Message => {
                let one = input.choose(&MESSAGES);
                let two = input.choose(&MESSAGES);
                let body = match input.byte().unwrap_or(0) % 2 {
                    0 => format!(r#"{{"messages":[{one}]}}"#),
                    _ => format!(r#"{{"messages":[{one},{two}]}}"#),
                };
                post(format!("{viewer}/messages"), TOKEN, body)
            }
            Asking::Permission => {
                let behaviour = input.choose(&BEHAVIOURS);
                let body = format!(r#"{{"request_id":"q",{behaviour}}}"#);
                post(format!("{viewer}/permission"), TOKEN, body)
            }
            Asking::Interrupt => post(format!("{viewer}/interrupt"), TOKEN, "{}".into()),
            Asking::StopSession => post(format!("{viewer}/stop"), TOKEN, "{}".into()),
            Asking::Read => {
                let paths = [
                    viewer.clone(),
                    format!("{viewer}/events?after=1&limit=2"),
                    "/v1/sessions?limit=1".to_owned(),
                    "/v1/environments".to_owned(),
                    format!("/v1/environments/{environment}"),
                    "/health".to_owned(),
                ];
                let at = usize::from(input.byte().unwrap_or(0)) % paths.len();
                get(paths[at].clone(), TOKEN)
            }
            Asking::Watch => {
                let after = input.choose(&["", "?after=0", "?after=2"]);
                websocket(get(format!("{viewer}/events/ws{after}"), TOKEN), "footbridge.viewer.v1")
            }
            Asking::Overview => {
                websocket(get("/v1/overview/ws".into(), TOKEN), "footbridge.viewer.v1")
            }
            Asking::Healthcheck | Asking::Other => {
                let path = format!("/v1/environments/{environment}/healthcheck");
                post(path, TOKEN, "{}".into())
            }
        }
    }

    /// Makes one thing of a request wrong.
    fn spoil(&self, asked: &mut Asked, input: &mut Input<'_>) {
        const METHODS: [Method; 5] =
            [Method::Get, Method::Post, Method::Put, Method::Head, Method::Other];
        const TARGETS: [&str; 6] =
            ["/", "//../%", "/v1/sessions?after=18446744073709551615&limit=0", "", "/v1", "*"];
        let any = |input: &mut Input<'_>| String::from_utf8_lossy(input.some()).into_owned();
        match input.byte().unwrap_or(0) % 8 {
            0 => asked.method = input.choose(&METHODS),
            1 => asked.target = any(input),
            2 => asked.target = input.choose(&TARGETS).to_owned(),
            3 => asked.target.push_str(&any(input)),
            4 => asked.body = Body::TooLarge,
            5 => asked.body = Body::Whole(Bytes::copy_from_slice(input.some())),
            6 => {
                let lease = of(&self.leases, input);
                let token = lease.map_or(TOKEN, |lease| lease.token.as_str());
                asked.headers[0] = header("authorization", &format!("Bearer {token}"));
            }
            _ => {
                let at = usize::from(input.byte().unwrap_or(0)) % asked.headers.len();
                asked.headers[at].1 = any(input);
            }
        }
    }
}

/// One of some things, mostly the last one.
fn of<'a, T>(all: &'a [T], input: &mut Input<'_>) -> Option<&'a T> {
    let back = usize::from(input.byte().unwrap_or(255));
    let at = if back < 64 { back % all.len().max(1) } else { all.len().checked_sub(1)? };
    all.get(at)
}
