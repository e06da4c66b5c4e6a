//! A client of a relay's HTTP interface.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::running::{Running, until};

/// A connection, with or without TLS.
pub(crate) trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// A relay, as reported by `--json`.
pub(crate) struct Ready {
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) environment: String,
    /// The certificate that it presents, if it speaks TLS.
    pub(crate) certificate: Option<PathBuf>,
}

pub(crate) fn ready(program: &mut Running) -> Ready {
    let line = program.line().expect("a line");
    let ready: Value = serde_json::from_str(&line).expect("JSON");
    let text = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
    let url = text("url");
    let mut token = String::new();
    if line.contains("\"page\"") {
        assert!(text("page").starts_with(&format!("{url}/#code=fbcode-")), "{line}");
        let listen = text("listen");
        let port = |address: &str| address.rsplit_once(':').map(|(_, port)| port.to_owned());
        assert_eq!(port(&url), port(&listen), "{line}");
        // A token that was given in the environment is in no file.
        token = std::fs::read_to_string(text("token_file")).unwrap_or_default().trim().to_owned();
        assert!(token.is_empty() || !line.contains(&token), "{line}");
    }
    Ready { url, token, environment: text("environment_id"), certificate: None }
}

impl Ready {
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (_, address) = self.url.split_once("://").expect("a URL");
        let mut stream = self.connect(address);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            self.token,
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).expect("sent");
        let mut answer = String::new();
        // A missing TLS close is fine too: the response knows its length.
        let read = stream.read_to_string(&mut answer);
        assert!(read.is_ok() || !answer.is_empty(), "{read:?}");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())))
    }

    fn connect(&self, address: &str) -> Box<dyn Stream> {
        let stream = TcpStream::connect(address).expect("it listens");
        match &self.certificate {
            #[cfg(feature = "tls")]
            Some(certificate) => crate::tls::over(stream, certificate),
            _ => Box::new(stream),
        }
    }

    /// The session, once it has ended.
    pub(crate) fn ended(&self, session: &str) -> Value {
        until("the session's end", || {
            let (_, session) = self.call("GET", &format!("/v1/sessions/{session}"), &Value::Null);
            (session["state"] == "ended").then_some(session)
        })
    }

    /// Stops a session, and waits for its end.
    pub(crate) fn stop(&self, session: &str) -> Value {
        let path = format!("/v1/sessions/{session}/stop");
        assert_eq!(self.call("POST", &path, &Value::Null).0, 200);
        self.ended(session)
    }

    pub(crate) fn new_session(&self) -> String {
        let (status, session) =
            self.call("POST", "/v1/sessions", &json!({"environment_id": self.environment}));
        assert_eq!(status, 201, "{session}");
        session["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) fn send(&self, session: &str, text: &str) {
        let message = json!({"type": "user", "message": {"role": "user", "content": text}});
        let path = format!("/v1/sessions/{session}/messages");
        let (status, answer) = self.call("POST", &path, &json!({"messages": [message]}));
        assert_eq!(status, 200, "{answer}");
    }

    /// The first matching event of the log.
    pub(crate) fn event(&self, session: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/v1/sessions/{session}/events?after=0&limit=1000");
        until("an event", || {
            let (_, page) = self.call("GET", &path, &Value::Null);
            let events = page["events"].as_array()?;
            events.iter().map(|event| &event["message"]).find(|m| is_wanted(m)).cloned()
        })
    }

    pub(crate) fn allow(&self, session: &str) {
        let question = self.event(session, |message| message["type"] == "control_request");
        let allow = json!({"request_id": question["request_id"], "behavior": "allow"});
        let path = format!("/v1/sessions/{session}/permission");
        assert_eq!(self.call("POST", &path, &allow).0, 200);
    }
}
