//! Any events in any order into the machines: they never panic, never loop without waiting, never
//! reuse a name, and do the same again for the same events.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::action::{Action, Message, Method, Response};
use footbridge_core::event::{Asked, Body, Event, ExitStatus, Failure, FailureKind, Output};
use footbridge_core::id::OpId;
use footbridge_core::machine::{Machine, Step};
use footbridge_core::relay::store::MemoryStore;
use footbridge_core::relay::{AccessToken, Relay, RelayConfig, RelayKeys};
use footbridge_core::secret::Secret;
use footbridge_core::time::{Instant, Now, UnixTime};
use footbridge_core::wire::text::Text;
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{AgentProgram, Worker, WorkerConfig};

use super::Input;

/// Steps after which a machine counts as one that never waits.
const MAX_STEPS: usize = 50_000;
const TOKEN: &str = "somebody-with-a-long-token";

/// A machine, what it asked for, and the time.
struct Bench<M: Machine> {
    machine: M,
    now: Now,
    asked: Vec<Action>,
    newest: u64,
    said: String,
    is_over: bool,
}

impl<M: Machine> Bench<M> {
    fn new(machine: M) -> Self {
        let wall = UnixTime::from_millis(1_767_225_600_000);
        let now = Now { mono: Instant::from_origin(Duration::from_secs(5)), wall };
        let mut bench = Self {
            machine,
            now,
            asked: Vec::new(),
            newest: 0,
            said: String::new(),
            is_over: false,
        };
        bench.handle(Event::Tick);
        bench
    }

    fn handle(&mut self, event: Event) {
        self.machine.handle(self.now, event);
        for _ in 0..MAX_STEPS {
            match self.machine.step() {
                Step::Do(action) => {
                    self.said.push_str(&format!("{action:?}\n"));
                    self.note(action);
                }
                Step::Tell(_) => {}
                Step::Wait(deadline) => {
                    assert!(deadline.is_none_or(|at| at > self.now.mono), "a busy loop");
                    return;
                }
                Step::Finished(_) => {
                    self.is_over = true;
                    return;
                }
            }
        }
        panic!("the machine did not wait after {MAX_STEPS} steps");
    }

    fn note(&mut self, action: Action) {
        if let Some(op) = action.starts()
            && op.get() > self.newest
        {
            self.newest = op.get();
            self.asked.push(action);
        }
    }

    fn pass(&mut self, by: u8) {
        let time = Duration::from_millis(1 << (by % 24));
        self.now.mono = self.now.mono + time;
        self.now.wall = self.now.wall + time;
        self.handle(Event::Tick);
    }
}

fn message(input: &mut Input<'_>) -> Message {
    const WORDS: [&str; 9] = [
        r#"{"type":"resume","received":0,"from":0}"#,
        r#"{"type":"resume","received":18446744073709551615,"from":18446744073709551615}"#,
        r#"{"type":"resume","received":1,"from":18446744073709551614}"#,
        r#"{"type":"ack","received":1}"#,
        r#"{"type":"ack","received":18446744073709551615}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"pong"}"#,
        r#"{"type":"stop"}"#,
        r#"{"type":"report","message":{"type":"footbridge","subtype":"agent_exited"}}"#,
    ];
    const LINES: [&str; 5] = [
        "{\"type\":\"user\",\"uuid\":\"u\"}\n{\"type\":\"x\"}",
        r#"{"type":"control_request","request_id":"q","request":{"subtype":"can_use_tool"}}"#,
        r#"{"type":"control_response","response":{"request_id":"q"}}"#,
        r#"{"type":"control_cancel_request","request_id":"q"}"#,
        "no JSON\r\n\n[",
    ];
    match input.byte().unwrap_or(0) % 4 {
        0 => Message::Binary(Bytes::copy_from_slice(input.some())),
        1 => Message::Text(Text::from(input.choose(&LINES))),
        2 => Message::Text(Text::from(String::from_utf8_lossy(input.some()).into_owned())),
        _ => Message::Binary(Bytes::from_static(input.choose(&WORDS).as_bytes())),
    }
}

fn failure(input: &mut Input<'_>) -> Failure {
    const KINDS: [FailureKind; 6] = [
        FailureKind::Disconnected,
        FailureKind::TimedOut,
        FailureKind::Refused,
        FailureKind::TooLarge,
        FailureKind::Full,
        FailureKind::NotFound,
    ];
    Failure { kind: input.choose(&KINDS), detail: String::from("fuzz") }
}

/// A worker that is answered anything.
pub fn worker_answers(data: &[u8]) {
    let run = || {
        let relay = BaseUrl::parse("https://relay.example").expect("a URL");
        let agent = AgentProgram { program: "agent".into(), args: vec![], env: vec![] };
        let token = footbridge_core::auth::AccessToken::fixed(Secret::from(TOKEN));
        let mut config = WorkerConfig::new(relay, token, "/p".into(), agent, 7);
        config.max_sessions = 3;
        config.state_directory = Some("/state".into());
        let mut bench = Bench::new(Worker::new(config));
        let mut input = Input(data);
        while let Some(what) = input.byte() {
            if bench.is_over {
                break;
            }
            if what % 5 == 0 {
                bench.pass(what / 5);
                continue;
            }
            // Mostly the oldest that was asked for; but any may be answered, once or more.
            let at = usize::from(what / 5).min(bench.asked.len().saturating_sub(1));
            let Some(action) = bench.asked.get(at).cloned() else {
                bench.pass(what);
                continue;
            };
            if what % 5 != 1 {
                bench.asked.remove(at);
            }
            let event = answer(&action, &mut input);
            bench.handle(event);
        }
        bench.said
    };
    assert_eq!(run(), run(), "the same events, the same actions");
}

fn answer(action: &Action, input: &mut Input<'_>) -> Event {
    const BODIES: [&str; 9] = [
        "",
        "{}",
        "null",
        "[",
        r#"{"environment_id":"env_1","environment_secret":"s"}"#,
        r#"{"lease_extended":true,"state":"stopping","lease_seconds":18446744073709551615}"#,
        r#"{"lease_extended":false,"state":"x"}"#,
        r#"{"id":"w1","type":"work","environment_id":"env_1","data":{"type":"session","id":"s1"},"secret":"eyJ2ZXJzaW9uIjoxLCJzZXNzaW9uX2luZ3Jlc3NfdG9rZW4iOiJ0In0","fence":1,"lease_seconds":0}"#,
        r#"{"id":"w2","type":"work","environment_id":"env_1","data":{"type":"healthcheck","id":"h"},"secret":"eyJ2ZXJzaW9uIjoxLCJzZXNzaW9uX2luZ3Jlc3NfdG9rZW4iOiJ0In0","fence":18446744073709551615}"#,
    ];
    const STATUS: [u16; 12] = [200, 200, 200, 204, 401, 403, 404, 409, 410, 429, 503, 999];
    let Some(op) = action.starts() else { return Event::Tick };
    let response = |input: &mut Input<'_>| Response {
        status: input.choose(&STATUS),
        headers: vec![("retry-after".into(), "99999999999999999999".into())],
        body: Bytes::from_static(input.choose(&BODIES).as_bytes()),
    };
    match (action, input.byte().unwrap_or(0) % 8) {
        (Action::Request { .. }, 0) | (Action::Open { .. }, 0) | (Action::Spawn { .. }, 0) => {
            Event::Failed { op, failure: failure(input) }
        }
        (Action::Request { .. }, _) => Event::Response { op, response: response(input) },
        (Action::Open { .. }, 1) => Event::Refused { op, response: response(input) },
        (Action::Open { .. }, 2) => {
            let code = Some(input.choose(&[1000, 1001, 4409, 4404]));
            Event::Closed { op, code, failure: None }
        }
        (Action::Open { .. }, 3) => Event::Sent { op, messages: 7 },
        (Action::Open { .. }, 4 | 5) => Event::Opened { op },
        (Action::Open { .. }, _) => Event::Received { op, message: message(input) },
        (Action::Spawn { .. }, 1) => Event::Spawned { op, pid: 7 },
        (Action::Spawn { .. }, 2) => Event::Exited { op, status: ExitStatus::Code(3) },
        (Action::Spawn { .. }, 3) => Event::Written { op, writes: 2 },
        (Action::Spawn { .. }, 4) => Event::InputClosed { op },
        (Action::Spawn { .. }, 5) => {
            let output = input.choose(&[Output::Stdout, Output::Stderr]);
            Event::OutputEnded { op, output }
        }
        (Action::Spawn { .. }, 6) => {
            Event::Stderr { op, data: Bytes::copy_from_slice(input.some()) }
        }
        (Action::Spawn { .. }, _) => {
            let data = match message(input) {
                Message::Text(text) => text.into_bytes(),
                Message::Binary(bytes) => bytes,
            };
            Event::Stdout { op, data }
        }
        (Action::Run { .. }, choice) => Event::Ran {
            op,
            status: ExitStatus::Code(i32::from(choice % 2)),
            stdout: Bytes::copy_from_slice(input.some()),
            stderr: Bytes::new(),
        },
        (Action::Save { .. }, 1..) => Event::Saved { op },
        (Action::Remove { .. }, 1..) => Event::Removed { op },
        (Action::List { .. }, 1..) => {
            Event::Listed { op, names: vec!["w1.json".into(), "../x.json".into(), "y".into()] }
        }
        (Action::Load { .. }, 1..) => {
            Event::Loaded { op, data: Some(Bytes::copy_from_slice(input.some())) }
        }
        _ => Event::Failed { op, failure: failure(input) },
    }
}

fn relay() -> Relay {
    let mut config = RelayConfig::new("127.0.0.1:0".into());
    config.access_tokens =
        vec![AccessToken { person: "somebody".into(), token: Secret::from(TOKEN) }];
    let keys = RelayKeys { signing: [1; 32], entropy: [2; 32] };
    match Relay::new(config, &keys) {
        Ok(relay) => relay,
        Err(error) => panic!("a good configuration: {error}"),
    }
}

/// A relay that is asked anything, with a store that works.
pub fn relay_requests(data: &[u8]) {
    assert_eq!(ask_relay(data, true), ask_relay(data, true), "the same events, the same actions");
}

/// A relay whose store answers late, in order, or not at all.
pub fn relay_store_order(data: &[u8]) {
    ask_relay(data, false);
}

fn ask_relay(data: &[u8], stores_at_once: bool) -> String {
    let mut bench = Bench::new(relay());
    let mut store = MemoryStore::new();
    let mut waiting = Vec::new();
    let mut streams: BTreeMap<u64, OpId> = BTreeMap::new();
    let mut known = Known::default();
    let mut input = Input(data);
    while let Some(what) = input.byte() {
        if bench.is_over {
            break;
        }
        for action in std::mem::take(&mut bench.asked) {
            match action {
                Action::Store { op, operation } => waiting.push((op, operation)),
                other => known.take(&other),
            }
        }
        let is_store_due = stores_at_once || what % 3 == 0;
        if is_store_due && !waiting.is_empty() {
            let (op, operation) = waiting.remove(0);
            if !stores_at_once && what % 7 == 0 {
                bench.handle(Event::Failed { op, failure: failure(&mut input) });
            } else {
                let outcome = store.apply(operation);
                bench.handle(Event::Stored { op, outcome });
            }
            continue;
        }
        match what % 8 {
            0 => bench.pass(what),
            1..5 => {
                let Some(op) = known.accepts.pop() else { continue };
                streams.insert(op.get(), op);
                let asked = known.request(&mut input);
                bench.handle(Event::Asked { op, asked });
            }
            choice => {
                let count = streams.len();
                let at = usize::from(what / 8).min(count.saturating_sub(1));
                let Some(op) = streams.values().nth(at).copied() else { continue };
                let event = match choice {
                    5 => Event::Opened { op },
                    6 => Event::Received { op, message: message(&mut input) },
                    _ if what & 16 == 0 => Event::Sent { op, messages: 3 },
                    _ => {
                        streams.remove(&op.get());
                        Event::Closed { op, code: None, failure: None }
                    }
                };
                bench.handle(event);
            }
        }
    }
    bench.said
}

/// What a client of the relay may know.
#[derive(Default)]
struct Known {
    accepts: Vec<OpId>,
}

impl Known {
    fn take(&mut self, action: &Action) {
        if let Action::Accept { op, .. } = action {
            self.accepts.push(*op);
        }
    }

    fn request(&mut self, input: &mut Input<'_>) -> Asked {
        const PATHS: [&str; 14] = [
            "/v1/environments/bridge",
            "/v1/environments",
            "/v1/sessions",
            "/v1/sessions/session_1/messages",
            "/v1/sessions/session_1/permission",
            "/v1/sessions/session_1/events?after=18446744073709551615&limit=0",
            "/v1/sessions/session_1/events/ws?after=1",
            "/v1/session_ingress/ws/session_1",
            "/v1/environments/env_1/work/poll",
            "/v1/environments/env_1/work/w/stop",
            "/v1/overview/ws",
            "/health",
            "/",
            "//../%",
        ];
        const BODIES: [&str; 6] = [
            "",
            "{}",
            r#"{"machine_name":"m","directory":"/","max_sessions":4294967295}"#,
            r#"{"environment_id":"env_1"}"#,
            r#"{"messages":[{"type":"user"}]}"#,
            r#"{"request_id":"q","behavior":"allow"}"#,
        ];
        const METHODS: [Method; 4] = [Method::Get, Method::Post, Method::Head, Method::Other];
        let method = input.choose(&METHODS);
        let target = match input.byte().unwrap_or(0) {
            0..40 => String::from_utf8_lossy(input.some()).into_owned(),
            _ => input.choose(&PATHS).to_owned(),
        };
        let body = match input.byte().unwrap_or(0) {
            0..30 => Body::TooLarge,
            30..80 => Body::Whole(Bytes::copy_from_slice(input.some())),
            _ => Body::Whole(Bytes::from_static(input.choose(&BODIES).as_bytes())),
        };
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = vec![
            header("authorization", &format!("Bearer {TOKEN}")),
            header("upgrade", "websocket"),
            header("sec-websocket-protocol", "footbridge.viewer.v1, footbridge.link.v1"),
            header("prefer", "wait=18446744073709551615"),
            header("host", "localhost"),
        ];
        headers.truncate(usize::from(input.byte().unwrap_or(255)) % 6);
        Asked { method, target, headers, body, is_tls: false }
    }
}
