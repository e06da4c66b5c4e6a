//! A client with its own valid access token and bad manners: wrong credentials, wrong ids,
//! malformed messages, floods. The relay must stay sane, and nobody else may notice.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use footbridge_core::base::id::OpId;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::base::time::{Instant, Now};
use footbridge_core::contract::action::{Action, Answer, Message, Method, Reach, Request, Target};
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::{Machine, Step};
use serde_json::Value;

use super::steps::Steps;
use crate::names::{MALLORY_TOKEN, RELAY_URL, RELAY_WS_URL};

/// The machine.
pub(crate) struct Mallory {
    rng: Rng,
    now: Now,
    steps: Steps<()>,
    open: BTreeSet<OpId>,
    streams: Vec<OpId>,
    acts_at: Instant,
    environment: Option<(String, String)>,
    work: Option<Value>,
    token: String,
    session: String,
}

/// Concurrent requests.
const MAX_OPEN: usize = 12;

impl Mallory {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            now: Now::default(),
            steps: Steps::new(),
            open: BTreeSet::new(),
            streams: Vec::new(),
            acts_at: Instant::ORIGIN,
            environment: None,
            work: None,
            token: MALLORY_TOKEN.to_owned(),
            session: String::from("session_1"),
        }
    }

    fn op(&mut self) -> OpId {
        let op = self.steps.op();
        self.open.insert(op);
        op
    }

    fn send(&mut self, method: Method, path: &str, token: &str, body: &str) {
        let op = self.op();
        let request = Request {
            method,
            url: format!("{RELAY_URL}{path}"),
            headers: vec![
                ("authorization", Secret::new(format!("Bearer {token}"))),
                ("prefer", Secret::from("wait=99999999999999999999")),
            ],
            body: Bytes::copy_from_slice(body.as_bytes()),
            timeout: Duration::from_secs(20),
            answer: Answer::Whole { max_body: 1 << 20 },
            reach: Reach::Anywhere,
        };
        self.steps.act(Action::Request { op, request });
    }

    fn open_stream(&mut self, path: &str, token: &str, protocol: &'static str) {
        let op = self.op();
        self.streams.push(op);
        let target = Target::WebSocket {
            url: format!("{RELAY_WS_URL}{path}"),
            headers: vec![("authorization", Secret::new(format!("Bearer {token}")))],
            protocol: Some(protocol),
            timeout: Duration::from_secs(20),
            max_message: 1 << 20,
        };
        self.steps.act(Action::Open { op, target });
    }

    /// Something wicked.
    fn act(&mut self) {
        let (environment, secret) = self.environment.clone().unwrap_or_default();
        let session = self.session.clone();
        let work = self.work.as_ref().and_then(|work| work["id"].as_str()).unwrap_or("work_1");
        let work = work.to_owned();
        let token = self.token.clone();
        let bodies = [
            "",
            "{}",
            "[",
            "null",
            r#"{"fence":18446744073709551615}"#,
            r#"{"fence":-1}"#,
            r#"{"fence":1}"#,
            "\u{feff}{}",
            r#"{"fence":1,"result":{"status":"lost"}}"#,
            r#"{"messages":[]}"#,
            r#"{"messages":[{"type":"control_response"}]}"#,
            r#"{"messages":[{"type":"user","uuid":""},{"type":"user","uuid":7}]}"#,
            r#"{"messages":[{"type":"user","uuid":"m","message":1}]}"#,
            r#"{"request_id":"x","behavior":"allow","updatedInput":[]}"#,
            r#"{"request_id":"","behavior":"perhaps"}"#,
        ];
        let body = bodies[self.rng.usize(..bodies.len())];
        match self.rng.u8(..16) {
            0 | 1 => {
                let body = r#"{"machine_name":"m","directory":"/","branch":null,"git_repo_url":null,"max_sessions":4294967295}"#;
                self.send(Method::Post, "/v1/environments/bridge", MALLORY_TOKEN, body);
            }
            2 => {
                let body = format!(r#"{{"environment_id":"{environment}"}}"#);
                self.send(Method::Post, "/v1/sessions", MALLORY_TOKEN, &body);
            }
            3 | 4 => {
                let path = format!("/v1/environments/{environment}/work/poll");
                self.send(Method::Get, &path, &secret, "");
            }
            5 => {
                let call = ["ack", "heartbeat", "stop"][self.rng.usize(..3)];
                let path = format!("/v1/environments/{environment}/work/{work}/{call}");
                let token = if self.rng.bool() { token } else { secret };
                self.send(Method::Post, &path, &token, body);
            }
            6 => {
                let call = ["messages", "permission", "interrupt", "stop"][self.rng.usize(..4)];
                let path = format!("/v1/sessions/{session}/{call}");
                self.send(Method::Post, &path, MALLORY_TOKEN, body);
            }
            7 => {
                let after = [0, 1, u64::MAX][self.rng.usize(..3)];
                let path = format!("/v1/sessions/{session}/events/ws?after={after}");
                self.open_stream(&path, MALLORY_TOKEN, "footbridge.viewer.v1");
            }
            8 => {
                let after = ["", "-1", "99999999999999999999", "x"][self.rng.usize(..4)];
                let path = format!("/v1/sessions/{session}/events?after={after}&limit=0");
                self.send(Method::Get, &path, MALLORY_TOKEN, "");
            }
            9 | 10 => {
                let path = format!("/v1/session_ingress/ws/{session}");
                self.open_stream(&path, &token, "footbridge.link.v1");
            }
            11 => self.open_stream("/v1/overview/ws", MALLORY_TOKEN, "footbridge.viewer.v1"),
            12 => self.send(Method::Other, "/../..//v1/%00", "", body),
            13 => {
                let path = format!("/v1/environments/{environment}/sessions/{session}/redispatch");
                self.send(Method::Post, &path, &secret, body);
            }
            14 if self.rng.u8(..) < 20 => {
                let path = format!("/v1/environments/{environment}/stop");
                self.send(Method::Post, &path, &secret, body);
            }
            _ => self.talk(),
        }
    }

    fn talk(&mut self) {
        if self.streams.is_empty() {
            return;
        }
        let op = self.streams[self.rng.usize(..self.streams.len())];
        let number = [0, 1, 2, 300, u64::MAX - 1, u64::MAX][self.rng.usize(..6)];
        let other = [0, 1, 5, u64::MAX - 1, u64::MAX][self.rng.usize(..5)];
        for _ in 0..self.rng.u8(1..20) {
            let word = |text: String| Message::Binary(Bytes::from(text));
            let message = match self.rng.u8(..10) {
                0..3 => word(format!(r#"{{"type":"resume","received":{number},"from":{other}}}"#)),
                3 => word(format!(r#"{{"type":"ack","received":{number}}}"#)),
                4 => word(String::from(r#"{"type":"ping"}"#)),
                5 => word(String::from(r#"{"type":"report","message":{"type":"footbridge","subtype":"agent_exited"}}"#)),
                6 => Message::Text(Text::from("no JSON\n{\"type\":\"x\"}\n\n")),
                7 => Message::Text(Text::from(
                    "{\"type\":\"control_request\",\"request_id\":\"q\",\"request\":{\"subtype\":\"can_use_tool\",\"input\":7}}".to_owned(),
                )),
                8 => Message::Text(Text::from("x".repeat(self.rng.usize(1..9000)))),
                _ => Message::Binary(Bytes::from_static(b"\xff\xfe")),
            };
            self.steps.act(Action::Send { op, message });
        }
    }

    fn learn(&mut self, body: &[u8]) {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return };
        if let (Some(id), Some(secret)) =
            (body["environment_id"].as_str(), body["environment_secret"].as_str())
        {
            self.environment = Some((id.to_owned(), secret.to_owned()));
        }
        if body["type"] == "work" {
            use footbridge_core::wire::work_secret::WorkSecret;
            if let Some(Ok(secret)) = body["secret"].as_str().map(WorkSecret::decode) {
                secret.session_ingress_token.reveal().clone_into(&mut self.token);
            }
            self.work = Some(body);
        } else if body["state"].is_string()
            && let Some(id) = body["id"].as_str()
        {
            self.session = id.to_owned();
        }
    }
}

impl Machine for Mallory {
    type Command = ();
    type Notice = ();

    fn command(&mut self, now: Now, (): ()) {
        self.now = now;
    }

    fn handle(&mut self, now: Now, event: Event) {
        self.now = now;
        match event {
            Event::Response { op, response } => {
                self.open.remove(&op);
                self.learn(&response.body);
            }
            Event::Failed { op, .. } | Event::Refused { op, .. } | Event::Closed { op, .. } => {
                self.open.remove(&op);
                self.streams.retain(|stream| *stream != op);
            }
            _ => {}
        }
        if self.acts_at <= now.mono {
            if self.open.len() < MAX_OPEN {
                self.act();
            } else if let Some(op) = self.streams.pop() {
                self.open.remove(&op);
                self.steps.act(Action::Cancel { op });
            }
            self.acts_at = now.mono + Duration::from_millis(self.rng.u64(10..8_000));
        }
    }

    fn step(&mut self) -> Step<()> {
        self.steps.next(self.now, Some(self.acts_at))
    }
}
