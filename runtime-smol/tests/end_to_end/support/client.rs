//! A client that has declared hooks, and answers the agent.

use std::net::TcpStream;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Message, WebSocket};

use super::DEADLINE;
use super::api::Api;

/// A client of one session, connected to its events.
pub(crate) struct Client {
    id: &'static str,
    session: String,
    socket: WebSocket<TcpStream>,
}

impl Client {
    pub(crate) fn connect(api: &Api, session: &str, id: &'static str) -> Self {
        let address = api.base.trim_start_matches("http://").to_owned();
        let path = format!("/v1/sessions/{session}/events/ws?after=0&client={id}");
        let request = format!("ws://{address}{path}").into_client_request();
        let mut request = request.expect("a URL");
        let bearer = format!("Bearer {}", api.token).parse().expect("a header");
        request.headers_mut().insert("authorization", bearer);
        let stream = TcpStream::connect(&address).expect("connected");
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        let (socket, _) = tungstenite::client(request, stream).expect("upgraded");
        let mut client = Self { id, session: session.to_owned(), socket };
        client.until("live");
        client
    }

    fn until(&mut self, kind: &str) -> Value {
        loop {
            let Message::Text(text) = self.socket.read().expect("a frame") else { continue };
            let frame: Value = serde_json::from_str(text.as_str()).expect("JSON");
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    #[track_caller]
    pub(crate) fn declare(&self, api: &Api, request: &Value) {
        let message =
            json!({"type": "control_request", "request_id": "init-1", "request": request});
        let body = json!({"client": self.id, "messages": [message]});
        let (status, answer) = api.post(&format!("/v1/sessions/{}/messages", self.session), &body);
        assert_eq!(status, 200, "{answer}");
    }

    /// Waits until the agent asks this client.
    pub(crate) fn asked(&mut self) -> Value {
        self.until("callback")
    }

    /// Answers it with `response` or `error`.
    #[track_caller]
    pub(crate) fn answer(&self, api: &Api, asked: &Value, answer: &Value) {
        let mut body = answer.clone();
        body["client"] = self.id.into();
        body["request_id"] = asked["request_id"].clone();
        body["seq"] = asked["seq"].clone();
        let (status, body) = api.post(&format!("/v1/sessions/{}/callback", self.session), &body);
        assert_eq!(status, 200, "{body}");
    }
}
