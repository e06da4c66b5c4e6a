//! A viewer driven by hand: the relay's frames and answers in, requests and notices out.

mod outbox;
mod questions;
mod stream;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};
use core::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::auth::proof::answer as prove;
use crate::auth::{AccountKey, Credential};
use crate::base::id::{OpId, SessionId};
use crate::base::secret::Secret;
use crate::base::text::Text;
use crate::base::time::{Now, UnixTime};
use crate::contract::action::{Action, Message, Request, Response, Target};
use crate::contract::event::{IoError, IoErrorKind};
use crate::contract::machine::MachineErrorKind;
use crate::testing::Hand;
use crate::wire::url::BaseUrl;

const TOKEN: &str = "an-access-token-7Qx";

fn config() -> RemoteConfig {
    let relay = BaseUrl::parse("https://relay.example").expect("a URL");
    let session = SessionId::new("session_1").expect("an id");
    RemoteConfig::new(relay, session, Credential::fixed(Secret::from(TOKEN)), 7)
}

/// A viewer, its relay, and its program.
struct World {
    hand: Hand<Remote>,
    stream: Option<OpId>,
}

impl Deref for World {
    type Target = Hand<Remote>;

    fn deref(&self) -> &Hand<Remote> {
        &self.hand
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Hand<Remote> {
        &mut self.hand
    }
}

impl World {
    /// It has just been made.
    fn new(config: RemoteConfig) -> Self {
        let now = Now { wall: UnixTime::from_millis(1_767_225_600_000), ..Now::default() };
        Self { hand: Hand::new(Remote::new(config), now), stream: None }
    }

    /// It follows the session, of which nothing has been told.
    fn following(config: RemoteConfig) -> Self {
        let mut world = Self::new(config);
        world.proves();
        world.opens();
        world.session(&json!({}));
        world.frame(&json!({"type": "live", "seq": 0}));
        world.notices.clear();
        world
    }

    #[track_caller]
    fn request(&mut self) -> (OpId, Request) {
        self.take("request", |action| match action {
            Action::Request { op, request } => Some((*op, request.clone())),
            _ => None,
        })
    }

    /// The next request to this path, with its body.
    #[track_caller]
    fn posted(&mut self, path: &str) -> (OpId, Value) {
        let (op, request) = self.request();
        assert_eq!(request.url, format!("https://relay.example/v1/sessions/session_1/{path}"));
        (op, serde_json::from_slice(&request.body).expect("JSON"))
    }

    fn answer(&mut self, op: OpId, status: u16, body: &Value) {
        let body = Bytes::from(body.to_string());
        let response = Response { status, headers: vec![], body };
        self.handle(Event::Response { op, response });
    }

    fn refuse(&mut self, op: OpId, status: u16, kind: &str) {
        self.answer(op, status, &json!({"error": {"type": kind, "message": "no"}}));
    }

    /// The relay proves that it knows the credential.
    #[track_caller]
    fn proves(&mut self) {
        let (op, request) = self.request();
        let (_, query) = request.url.split_once("/v1/proof?").expect("a question");
        let part = |name: &str| {
            let part = query.split('&').find_map(|part| part.strip_prefix(name));
            part.expect("it is there").to_owned()
        };
        let key = AccountKey::new(&Secret::from(TOKEN));
        let proof = prove(&key, &part("nonce="), &part("mac=")).expect("it knows it");
        self.answer(op, 200, &json!({ "proof": proof }));
    }

    /// The handshake that it has begun: its id and its address.
    #[track_caller]
    fn handshake(&mut self) -> (OpId, String) {
        self.take("handshake", |action| match action {
            Action::Open { op, target: Target::WebSocket { url, .. } } => Some((*op, url.clone())),
            _ => None,
        })
    }

    /// The next connection opens; its address.
    #[track_caller]
    fn opens(&mut self) -> String {
        let (op, url) = self.handshake();
        self.stream = Some(op);
        self.handle(Event::Opened { op });
        url
    }

    #[track_caller]
    fn frame(&mut self, frame: &Value) {
        self.text(frame.to_string());
    }

    #[track_caller]
    fn text(&mut self, frame: String) {
        let op = self.stream.expect("a connection");
        self.handle(Event::Received { op, message: Message::Text(Text::from(frame)) });
    }

    #[track_caller]
    fn session(&mut self, change: &Value) {
        let at = "2026-01-01T00:00:00.000Z";
        let mut session = json!({
            "id": "session_1", "environment_id": "env_1", "title": null, "state": "running",
            "created_at": at, "updated_at": at, "first_seq": 1, "last_seq": 0, "result": null,
        });
        for (name, value) in change.as_object().expect("fields") {
            session[name] = value.clone();
        }
        self.frame(&json!({"type": "session", "session": session}));
    }

    #[track_caller]
    fn event(&mut self, seq: u64, from: &str, message: &str) {
        self.text(format!(
            r#"{{"type":"event","seq":{seq},"at":"2026-01-01T00:00:00.000Z","from":"{from}","message":{message}}}"#
        ));
    }

    /// The connection breaks.
    #[track_caller]
    fn breaks(&mut self) {
        let op = self.stream.take().expect("a connection");
        self.handle(Event::Closed { op, code: None, failure: Some(broken()) });
    }

    /// It connects again after its pause, to a relay that proves who it is.
    #[track_caller]
    fn returns(&mut self) -> String {
        self.wait();
        self.proves();
        self.opens()
    }

    fn told(&mut self) -> Vec<RemoteNotice> {
        core::mem::take(&mut self.notices)
    }

    fn say(&mut self, line: &'static str) {
        self.command(RemoteCommand::Send(Text::from(line)));
    }
}

fn broken() -> IoError {
    IoError { kind: IoErrorKind::Disconnected, detail: "broken".to_owned() }
}

/// The seqs of the events among notices.
fn seqs(notices: &[RemoteNotice]) -> Vec<u64> {
    let seq = |notice: &RemoteNotice| match notice {
        RemoteNotice::Event(event) => Some(event.seq),
        _ => None,
    };
    notices.iter().filter_map(seq).collect()
}
