//! A relay whose runtime, store, worker and viewers are a few function calls.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::base::time::{Instant, Now, UnixTime};
use footbridge_core::contract::action::{Action, Message, Method, Response};
use footbridge_core::contract::event::{Body, Event, IncomingRequest};
use footbridge_core::contract::machine::{Machine, Step};
use footbridge_core::relay::{AccessToken, Relay, RelayConfig, RelayKeys};
use footbridge_core::store::MemoryStore;
use footbridge_core::wire::link_v1::ControlFrame;
use serde_json::{Value, json};

const TOKEN: &str = "the-token-of-this-benchmark";

/// A relay with one session, its worker's link, and viewers that have seen everything so far.
pub struct RelayByHand {
    relay: Relay,
    store: MemoryStore,
    now: Now,
    accepts: VecDeque<OpId>,
    replies: BTreeMap<OpId, Response>,
    events: VecDeque<Event>,
    link: Option<OpId>,
    sent: u64,
}

impl RelayByHand {
    /// With so many viewers.
    pub fn with_viewers(viewers: usize) -> Self {
        let token = AccessToken { person: "me".into(), token: Secret::from(TOKEN) };
        let config = RelayConfig {
            access_tokens: vec![token],
            max_subscribers: viewers + 1,
            ..RelayConfig::new("127.0.0.1:8787".to_owned())
        };
        let keys = RelayKeys::new([1; 32], [2; 32]);
        let relay = Relay::new(config, &keys).expect("a good configuration");
        let wall = UnixTime::from_millis(1_767_225_600_000);
        let mut by_hand = Self {
            relay,
            store: MemoryStore::default(),
            now: Now { mono: Instant::ORIGIN, wall },
            accepts: VecDeque::new(),
            replies: BTreeMap::new(),
            events: VecDeque::new(),
            link: None,
            sent: 0,
        };
        by_hand.run();
        let session = by_hand.start_session();
        for _ in 0..viewers {
            let offer = format!("footbridge.viewer.v1, footbridge.bearer.{TOKEN}");
            let path = format!("/v1/sessions/{session}/events/ws?after=0");
            by_hand.websocket(&path, "", &offer);
        }
        by_hand
    }

    /// A session on a worker, up to its link. Returns its id.
    fn start_session(&mut self) -> String {
        let body = json!({"machine_name": "laptop", "directory": "/home/me", "max_sessions": 4});
        let worker = self.call(Method::Post, "/v1/environments/bridge", TOKEN, &body);
        let environment = text(&worker["environment_id"]);
        let body = json!({ "environment_id": environment });
        self.call(Method::Post, "/v1/sessions", TOKEN, &body);
        let path = format!("/v1/environments/{environment}/work");
        let secret = text(&worker["environment_secret"]);
        let item = self.call(Method::Get, &format!("{path}/poll"), secret, &Value::Null);
        let secret = URL_SAFE_NO_PAD.decode(text(&item["secret"])).expect("base64url");
        let secret: Value = serde_json::from_slice(&secret).expect("JSON");
        let token = text(&secret["session_ingress_token"]);
        let ack = format!("{path}/{}/ack", text(&item["id"]));
        self.call(Method::Post, &ack, token, &json!({ "fence": item["fence"] }));
        let session = text(&item["data"]["id"]).to_owned();
        let path = format!("/v2/session_ingress/ws/{session}");
        let link = self.websocket(&path, token, "footbridge.link.v1");
        self.link = Some(link);
        let resume = ControlFrame::Resume { received: 0, from: 0, window: None };
        self.deliver(Event::Received { op: link, message: Message::Binary(resume.to_bytes()) });
        session
    }

    /// The session's worker sends a line of its agent.
    pub fn from_agent(&self, line: &Bytes) -> Event {
        let message = Message::Text(Text::from_utf8(line.clone()).expect("UTF-8"));
        Event::Received { op: self.link.expect("a link"), message }
    }

    /// Hands in an event, and takes what is to be done into `actions`, without more memory of its
    /// own. What it has to be told of those is [`results`](Self::results).
    pub fn apply(&mut self, event: Event, actions: &mut Vec<Action>) {
        self.relay.handle(self.now, event);
        loop {
            match self.relay.step() {
                Step::Do(action) => actions.push(action),
                Step::Tell(_) => {}
                Step::Wait(_) => return,
                Step::Finished(outcome) => panic!("it ended: {outcome:?}"),
            }
        }
    }

    /// Carries these out. Returns what has come of them, and how many messages left.
    pub fn results(&mut self, actions: &mut Vec<Action>) -> (Vec<Event>, u64) {
        let before = self.sent;
        for action in actions.drain(..) {
            self.perform(action);
        }
        (self.events.drain(..).collect(), self.sent - before)
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Listen { op, address, .. } => {
                self.events.push_back(Event::Listening { op, address });
            }
            Action::Accept { op, .. } => self.accepts.push_back(op),
            Action::Reply { op, response } => drop(self.replies.insert(op, response)),
            Action::Upgrade { op, .. } => self.events.push_back(Event::Opened { op }),
            Action::Store { op, transaction } => {
                let committed = self.store.apply(transaction);
                self.events.push_back(Event::Stored { op, committed });
            }
            Action::Send { op, .. } => {
                self.sent += 1;
                self.events.push_back(Event::Sent { op, messages: 1 });
            }
            Action::Close { op, code } => panic!("{op} is closed with {code}"),
            _ => {}
        }
    }

    fn deliver(&mut self, event: Event) {
        self.relay.handle(self.now, event);
        self.run();
    }

    fn run(&mut self) {
        loop {
            match self.relay.step() {
                Step::Do(action) => self.perform(action),
                Step::Tell(_) => {}
                Step::Wait(_) => match self.events.pop_front() {
                    Some(event) => self.relay.handle(self.now, event),
                    None => return,
                },
                Step::Finished(outcome) => panic!("it ended: {outcome:?}"),
            }
        }
    }

    fn call(&mut self, method: Method, path: &str, token: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let op = self.ask(method, path, token, body, &[]);
        let response = self.replies.remove(&op).expect("an answer");
        assert!(response.status < 300, "{path}: {} {:?}", response.status, response.body);
        serde_json::from_slice(&response.body).unwrap_or(Value::Null)
    }

    fn websocket(&mut self, path: &str, token: &str, protocol: &str) -> OpId {
        let headers = [("upgrade", "websocket"), ("sec-websocket-protocol", protocol)];
        self.ask(Method::Get, path, token, String::new(), &headers)
    }

    fn ask(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        body: String,
        more: &[(&str, &str)],
    ) -> OpId {
        let op = self.accepts.pop_front().expect("it accepts a request");
        let mut headers = vec![("host".to_owned(), "127.0.0.1:8787".to_owned())];
        if !token.is_empty() {
            headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        headers.extend(more.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let request = IncomingRequest {
            method,
            target: path.to_owned(),
            headers,
            body: Body::Whole(Bytes::from(body)),
            is_tls: false,
            peer: IpAddr::from([127, 0, 0, 1]),
        };
        self.deliver(Event::Requested { op, request });
        op
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_reaches_every_viewer_and_is_acknowledged() {
        let mut relay = RelayByHand::with_viewers(3);
        let line = Bytes::from_static(br#"{"type":"assistant"}"#);
        for round in 0..3 {
            let (mut events, mut left) = (vec![relay.from_agent(&line)], 0);
            while !events.is_empty() {
                let mut actions = Vec::new();
                events.drain(..).for_each(|event| relay.apply(event, &mut actions));
                let (more, sent) = relay.results(&mut actions);
                events = more;
                left += sent;
            }
            // With the first line, viewers are also told that the agent works.
            let changes = if round == 0 { 3 } else { 0 };
            assert_eq!(left, 3 + 1 + changes, "to three viewers, and an acknowledgement");
        }
    }
}
