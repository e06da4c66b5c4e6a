//! A client that has declared hooks or MCP servers, and answers the agent (M-6).

use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Message, WebSocket};

use super::api::TOKEN;
use super::{PATIENCE, Relay, Session};

/// A client of one session, connected to its events.
pub(crate) struct Client {
    id: &'static str,
    socket: WebSocket<TcpStream>,
}

/// What the agent asks it.
#[derive(Debug)]
pub(crate) struct Callback {
    pub(crate) request_id: String,
    pub(crate) seq: u64,
    /// What it asks.
    pub(crate) request: Value,
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(relay: &Relay, session: &Session<'_>, id: &'static str) -> Self {
        let path = format!("/v1/sessions/{}/events/ws?after=0&client={id}", session.id);
        let mut request = format!("ws://{}{path}", relay.address).into_client_request();
        let headers = request.as_mut().expect("a URL").headers_mut();
        headers.insert("authorization", format!("Bearer {TOKEN}").parse().expect("a header"));
        let stream = TcpStream::connect(&relay.address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.set_nodelay(true).expect("set");
        let (socket, _) = tungstenite::client(request.expect("a URL"), stream).expect("upgraded");
        let mut client = Self { id, socket };
        client.until(|frame| frame["type"] == "live");
        client
    }

    /// The next frame of this kind, and the event before it.
    #[track_caller]
    fn until(&mut self, is: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let Message::Text(text) = self.socket.read().expect("a frame") else { continue };
            let frame: Value = serde_json::from_str(text.as_str()).expect("JSON");
            frames.push(frame);
            if frames.last().is_some_and(&is) {
                return frames;
            }
        }
    }

    /// Declares something in an `initialize`.
    #[track_caller]
    pub(crate) fn declare(&self, session: &Session<'_>, what: &Value) {
        let mut request = what.clone();
        request["subtype"] = "initialize".into();
        let message =
            json!({"type": "control_request", "request_id": "init-1", "request": request});
        let body = json!({"client": self.id, "messages": [message]});
        let (status, answer) = session.post("/messages", &body);
        assert_eq!(status, 200, "{answer}");
    }

    /// Waits until the agent asks this client.
    #[track_caller]
    pub(crate) fn asked(&mut self) -> Callback {
        let frames = self.until(|frame| frame["type"] == "callback");
        let callback = frames.last().expect("it came");
        let seq = callback["seq"].as_u64().expect("a number");
        let asks = frames.iter().find(|frame| frame["type"] == "event" && frame["seq"] == seq);
        let request = asks.map(|event| event["message"]["request"].clone()).unwrap_or_default();
        let request_id = callback["request_id"].as_str().expect("an id").to_owned();
        Callback { request_id, seq, request }
    }

    /// Answers it; the status and the body.
    #[track_caller]
    pub(crate) fn answer(
        &self,
        session: &Session<'_>,
        callback: &Callback,
        response: &Value,
    ) -> (u16, Value) {
        let Callback { request_id, seq, .. } = callback;
        let id = self.id;
        let body =
            json!({"client": id, "request_id": request_id, "seq": seq, "response": response});
        session.post("/callback", &body)
    }

    /// Fails if the agent asks it anything for a while.
    #[track_caller]
    pub(crate) fn hears_nothing(mut self, time: Duration) {
        self.socket.get_ref().set_read_timeout(Some(time)).expect("set");
        while let Ok(message) = self.socket.read() {
            let Message::Text(text) = message else { continue };
            assert!(!text.as_str().starts_with(r#"{"type":"callback""#), "{text}");
        }
    }
}
