//! Requests of viewers (R-2): a stream of what happens in a session, and what is posted to it.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use core::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::request::{Empty, get, post};
use crate::base::id::SessionId;
use crate::base::limits::{BODY_RATE, CONNECT_TIMEOUT, MAX_REQUEST_BYTES};
use crate::base::secret::Secret;
use crate::base::text::Text;
use crate::contract::action::{Request, Target};
use crate::wire::url::BaseUrl;
use crate::wire::viewer::{
    AnswerLinkPost, CallbackPost, CreateSession, PROTOCOL, PermissionPost, PostMessages,
};

/// The name of the header that says for which organization a viewer acts (R-1).
const ORGANIZATION: &str = "x-organization-uuid";

/// A session, and what opens it.
#[derive(Clone, Copy, Debug)]
pub struct SessionKey<'a> {
    /// Where it is.
    pub relay: &'a BaseUrl,
    /// Its id.
    pub session: &'a SessionId,
    /// A credential of whoever looks at it.
    pub token: &'a Secret,
    /// The organization for which they do, if that has to be said.
    pub organization: Option<&'a str>,
}

impl SessionKey<'_> {
    fn path(&self, what: &str) -> String {
        format!("/v1/sessions/{}{what}", self.session)
    }

    fn get(&self, what: &str) -> Request {
        self.named(get(self.relay, &self.path(what), Some(self.token)))
    }

    fn post<T: Serialize>(&self, what: &str, body: &T) -> Request {
        let mut request = self.named(post(self.relay, &self.path(what), Some(self.token), body));
        // A long message may take as long as the relay lets a body take.
        let bytes = u32::try_from(request.body.len()).unwrap_or(u32::MAX);
        request.timeout += Duration::from_secs(u64::from(bytes / BODY_RATE));
        request
    }

    fn named(&self, mut request: Request) -> Request {
        let name = self.organization.map(|name| (ORGANIZATION, Secret::from(name)));
        request.headers.extend(name);
        request
    }

    /// `GET /v1/sessions/{id}/events/ws`: its log after an event, then as it grows. `client` is who
    /// answers for hooks and MCP servers (M-6); `alive` asks for a sign of life that often, in seconds.
    pub fn subscribe(&self, after: u64, client: Option<&str>, alive: Option<u64>) -> Target {
        let mut path = self.path(&format!("/events/ws?after={after}"));
        if let Some(client) = client {
            path += &format!("&client={client}");
        }
        if let Some(alive) = alive {
            path += &format!("&alive={alive}");
        }
        let bearer = Secret::new(["Bearer ", self.token.reveal()].concat());
        let mut headers = vec![("authorization", bearer)];
        headers.extend(self.organization.map(|name| (ORGANIZATION, Secret::from(name))));
        Target::WebSocket {
            url: self.relay.web_socket(&path),
            headers,
            protocol: Some(PROTOCOL),
            timeout: CONNECT_TIMEOUT,
            max_message: MAX_REQUEST_BYTES,
        }
    }

    /// `GET /v1/sessions/{id}`.
    pub fn look(&self) -> Request {
        self.get("")
    }

    /// `GET …/events`: a page of its log, after an event.
    pub fn page(&self, after: u64, limit: u64) -> Request {
        self.get(&format!("/events?after={after}&limit={limit}"))
    }

    /// `POST …/messages`, with one message. `client` is who declares hooks or MCP servers, if it may.
    pub fn send(&self, message: &Text, client: Option<&str>) -> Request {
        let raw = serde_json::from_str::<&RawValue>(message.as_str());
        let messages = raw.into_iter().collect();
        self.post("/messages", &PostMessages { client: client.map(ToOwned::to_owned), messages })
    }

    /// `POST …/permission` (M-2).
    pub fn answer(&self, answer: &PermissionPost) -> Request {
        self.post("/permission", answer)
    }

    /// `POST …/permission/link` (Y-9).
    pub fn link(&self, post: &AnswerLinkPost) -> Request {
        self.post("/permission/link", post)
    }

    /// `POST …/callback` (M-6).
    pub fn answer_callback(&self, answer: &CallbackPost<'_>) -> Request {
        self.post("/callback", answer)
    }

    /// `POST …/interrupt`; the same again with the same key is not a second one.
    pub fn interrupt(&self, key: &str) -> Request {
        let mut request = self.post("/interrupt", &Empty {});
        request.headers.push(("idempotency-key", Secret::from(key)));
        request
    }

    /// `POST …/stop`: the session is to end.
    pub fn stop(&self) -> Request {
        self.post("/stop", &Empty {})
    }
}

/// `GET /v1/sessions`, the newest ones.
pub fn sessions(relay: &BaseUrl, token: &Secret, limit: usize) -> Request {
    get(relay, &format!("/v1/sessions?limit={limit}"), Some(token))
}

/// `POST /v1/sessions`; the same key gives the same session.
pub fn create_session(relay: &BaseUrl, token: &Secret, body: &CreateSession, key: &str) -> Request {
    let mut request = post(relay, "/v1/sessions", Some(token), body);
    request.headers.push(("idempotency-key", Secret::from(key)));
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_message_is_posted_as_the_bytes_that_it_was_and_a_long_one_has_the_time_it_takes() {
        let relay = BaseUrl::parse("https://relay.example/sub").expect("a URL");
        let session = SessionId::new("session_1").expect("an id");
        let token = Secret::from("t");
        let key = SessionKey {
            relay: &relay,
            session: &session,
            token: &token,
            organization: Some("org-1"),
        };
        let request = key.send(&Text::from(r#"{"type":"user", "b":1.0,"a":"é"}"#), Some("me"));
        assert_eq!(request.url, "https://relay.example/sub/v1/sessions/session_1/messages");
        let body = core::str::from_utf8(&request.body).expect("text");
        assert_eq!(body, r#"{"client":"me","messages":[{"type":"user", "b":1.0,"a":"é"}]}"#);
        assert!(request.headers.iter().any(|(name, _)| *name == ORGANIZATION));
        let long = format!(r#"{{"type":"user","text":"{}"}}"#, "x".repeat(1 << 20));
        let slow = key.send(&Text::from(long), None);
        assert_eq!(slow.timeout, request.timeout + Duration::from_secs(64));
        let Target::WebSocket { url, .. } = key.subscribe(7, Some("me"), Some(5)) else { panic!() };
        let path = "/sub/v1/sessions/session_1/events/ws?after=7&client=me&alive=5".to_string();
        assert_eq!(url, ["wss://relay.example", &path].concat());
    }
}
