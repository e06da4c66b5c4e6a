//! Other versions of the wire: there is no earlier and no later release, so both are simulated
//! here, between the network and the machines. Which version a party speaks is drawn for each of
//! its lives, so a relay may come back older or newer than before.
//!
//! A *newer* one sends more: unknown fields, headers, control frames, stream messages and errors, and
//! a subprotocol before the known one. An *older* one sends less: nothing that `http.md` calls
//! optional, and nothing that could be missing. It must send what other promises rest on: the fence,
//! `error.type`, and the key under which a session is created.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use fastrand::Rng;
use footbridge_core::base::text::Text;
use footbridge_core::contract::action::{Message, Response};
use footbridge_core::contract::event::{Body, IncomingRequest};
use footbridge_core::wire::link_v1::AGENT_RUN_HEADER;
use serde_json::{Map, Value, json};

use crate::fact::Fact;
use crate::ids::{End, PartyId, Role};
use crate::names::FUTURE;
use crate::names::RELAY;
use crate::sim::cx::Cx;
use crate::sim::network::conn::Conn;

/// The source of the versions.
const VERSIONS: u64 = 0x0bad_5eed_008b;
/// Which version of the wire a party speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    This,
    Newer,
    Older,
}

/// Who speaks which version in a run; in most runs all speak this one.
#[derive(Debug)]
pub(crate) struct Skew {
    seed: u64,
    is_on: bool,
    rng: Rng,
}

impl Skew {
    pub(crate) fn new(seed: u64, is_on: bool) -> Self {
        Self { seed, is_on, rng: Rng::with_seed(seed ^ VERSIONS) }
    }

    /// Whether parties speak different versions, also once all faults are over.
    pub(crate) const fn is_on(&self) -> bool {
        self.is_on
    }

    fn version(&self, party: PartyId, life: u32) -> Version {
        if !self.is_on {
            return Version::This;
        }
        let party = u64::try_from(party).unwrap_or_default();
        let mut rng = Rng::with_seed(self.seed ^ VERSIONS ^ (party << 40) ^ (u64::from(life) << 8));
        match rng.u8(..3) {
            0 => Version::This,
            1 => Version::Newer,
            _ => Version::Older,
        }
    }

    fn version_of(&self, cx: &Cx, party: PartyId) -> Version {
        let found = &cx.parties[party];
        match found.role {
            Role::Relay | Role::Worker | Role::Embedded | Role::Viewer => {
                self.version(party, found.life)
            }
            // Parties with bad manners need no other version.
            Role::Shell(_)
            | Role::Mallory
            | Role::Machines
            | Role::Stranger
            | Role::Liar
            | Role::Victim => Version::This,
        }
    }

    /// A request as its client's version sends it, and as the relay's version reads it.
    pub(crate) fn request(
        &mut self,
        cx: &mut Cx,
        client: PartyId,
        to: PartyId,
        asked: &mut IncomingRequest,
    ) {
        if !self.is_on || to != RELAY {
            return;
        }
        let (client, relay) = (self.version_of(cx, client), self.version_of(cx, to));
        if client == Version::Older || relay == Version::Older {
            self.leave_headers_out(cx, asked, relay == Version::Older);
        }
        match client {
            Version::Newer => newer_request(asked),
            Version::Older => older_request(asked),
            Version::This => {}
        }
    }

    /// An older side does not send, or does not read, what is optional.
    fn leave_headers_out(&mut self, cx: &mut Cx, asked: &mut IncomingRequest, is_unread: bool) {
        // Creating a session needs a key, so that it can be repeated.
        let is_made = asked.target == "/v1/sessions";
        asked.headers.retain(|(name, _)| match name.as_str() {
            "prefer" | "accept" | "user-agent" => false,
            "content-type" => is_unread,
            "idempotency-key" => is_made,
            _ => name != AGENT_RUN_HEADER,
        });
        if let Some((_, session)) = asked.target.split_once("/session_ingress/ws/") {
            let session = session.split('?').next().unwrap_or_default().to_owned();
            cx.fact(Fact::NoAgentRun { session });
        }
    }

    /// A response as the relay's version sends it.
    pub(crate) fn answer(&self, cx: &Cx, from: PartyId, response: &mut Response) {
        if !self.is_on || from != RELAY {
            return;
        }
        match self.version_of(cx, from) {
            Version::Newer => newer_answer(response),
            Version::Older => older_answer(response),
            Version::This => {}
        }
    }

    /// A stream message as its sender's version sends it, and what is sent along with it.
    pub(crate) fn message(
        &mut self,
        cx: &Cx,
        conn: &Conn,
        to: End,
        message: Message,
    ) -> (Message, Option<Message>) {
        let sender = match to {
            End::Server => conn.client.map(|client| client.party),
            End::Client => Some(conn.to),
        };
        let is_newer = self.is_on
            && conn.to == RELAY
            && sender.is_some_and(|sender| self.version_of(cx, sender) == Version::Newer);
        if !is_newer {
            return (message, None);
        }
        let says_more = self.rng.u8(..) < 40;
        match message {
            Message::Binary(word) => {
                let more = format!(r#"{{"type":"{FUTURE}","version":2}}"#);
                let more = says_more.then(|| Message::Binary(Bytes::from(more)));
                (Message::Binary(Bytes::from(with_field(&String::from_utf8_lossy(&word)))), more)
            }
            Message::Text(text) if !conn.label.contains("/session_ingress/") => {
                let more = format!(r#"{{"type":"{FUTURE}","session":{{"id":7}}}}"#);
                let more = says_more.then(|| Message::Text(Text::from(more)));
                (Message::Text(Text::from(with_field(text.as_str()))), more)
            }
            // A line of the conversation belongs only to the agent and the viewers.
            message @ Message::Text(_) => (message, None),
        }
    }
}

/// A JSON object with one more field, before all others, otherwise byte for byte the same.
fn with_field(json: &str) -> String {
    match json.strip_prefix('{') {
        Some("}") => format!(r#"{{"{FUTURE}":null}}"#),
        Some(rest) => format!(r#"{{"{FUTURE}":{{"a":[1,null]}},{rest}"#),
        None => json.to_owned(),
    }
}

/// Adds a field to an object and all objects in it, except messages of people and agents.
fn add_everywhere(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if !matches!(name.as_str(), "messages" | "updatedInput" | "answer") {
                    add_everywhere(value);
                }
            }
            fields.insert(FUTURE.to_owned(), json!([{"b": 2}]));
        }
        Value::Array(all) => all.iter_mut().for_each(add_everywhere),
        _ => {}
    }
}

/// Omits fields that are null, false or empty, and those named.
fn leave_out(fields: &mut Map<String, Value>, names: &[&str]) {
    fields.retain(|name, value| {
        let says_nothing = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(all) => all.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        // These are sent whatever their value.
        let is_needed = matches!(
            name.as_str(),
            "lease_extended" | "connected" | "online" | "sessions" | "environments" | "accepted"
        );
        is_needed || !(says_nothing || names.contains(&name.as_str()))
    });
}

fn newer_request(asked: &mut IncomingRequest) {
    asked.headers.push((String::from("x-footbridge-future"), String::from("2")));
    for (name, value) in &mut asked.headers {
        if name == "sec-websocket-protocol" {
            *value = format!("{}, {value}", value.replace(".v1", ".v2"));
        }
    }
    let mark = if asked.target.contains('?') { '&' } else { '?' };
    asked.target = format!("{}{mark}{FUTURE}=1", asked.target);
    change_body(asked, add_everywhere);
}

fn older_request(asked: &mut IncomingRequest) {
    change_body(asked, |body| {
        // Messages go to the agent unchanged.
        if let Some(fields) = body.as_object_mut().filter(|body| !body.contains_key("messages")) {
            leave_out(fields, &["metadata", "branch", "git_repo_url"]);
            if let Some(result) = fields.get_mut("result").and_then(Value::as_object_mut) {
                leave_out(result, &["message", "stderr"]);
            }
        }
    });
}

fn change_body(asked: &mut IncomingRequest, change: impl FnOnce(&mut Value)) {
    if let Body::Whole(bytes) = &asked.body
        && let Ok(mut body) = serde_json::from_slice::<Value>(bytes)
        && body.is_object()
    {
        change(&mut body);
        asked.body = Body::Whole(Bytes::from(body.to_string()));
    }
}

fn newer_answer(response: &mut Response) {
    response.headers.push((String::from("x-footbridge-future"), String::from("2")));
    // A page of a log contains lines unchanged.
    if response.body.starts_with(b"{\"events\"") {
        let page = with_field(&String::from_utf8_lossy(&response.body));
        let entry = format!(r#"{{"{FUTURE}":1,"seq":"#);
        response.body = Bytes::from(page.replace("{\"seq\":", &entry));
        return;
    }
    change_answer(response, |status, body| {
        change_secret(body, add_everywhere);
        add_everywhere(body);
        // The token endpoint's errors have no type.
        let error = body.get_mut("error").and_then(Value::as_object_mut);
        if let Some(error) = error.filter(|_| matches!(status, 429 | 503)) {
            error.insert(String::from("type"), json!(FUTURE));
        }
    });
}

fn older_answer(response: &mut Response) {
    response.headers.retain(|(name, _)| name != "retry-after");
    if response.body.starts_with(b"{\"events\"") {
        return;
    }
    change_answer(response, |_, body| {
        change_secret(body, |secret| {
            if let Some(fields) = secret.as_object_mut() {
                leave_out(fields, &["api_base_url"]);
            }
        });
        let is_item = body["type"] == "work";
        let is_heartbeat = body["lease_extended"].is_boolean();
        let Some(fields) = body.as_object_mut() else { return };
        if is_item {
            leave_out(fields, &["lease_seconds", "created_at", "state"]);
        } else if is_heartbeat {
            leave_out(fields, &["lease_seconds"]);
        } else if let Some(error) = fields.get_mut("error").and_then(Value::as_object_mut) {
            leave_out(error, &["message"]);
        }
    });
}

fn change_answer(response: &mut Response, change: impl FnOnce(u16, &mut Value)) {
    if let Ok(mut body) = serde_json::from_slice::<Value>(&response.body)
        && body.is_object()
    {
        change(response.status, &mut body);
        response.body = Bytes::from(body.to_string());
    }
}

/// The work secret of an item is JSON too (S-1).
fn change_secret(item: &mut Value, change: impl FnOnce(&mut Value)) {
    let Some(secret) = item["secret"].as_str().filter(|_| item["type"] == "work") else { return };
    let decoded = URL_SAFE_NO_PAD.decode(secret).unwrap_or_default();
    if let Ok(mut json) = serde_json::from_slice::<Value>(&decoded) {
        change(&mut json);
        item["secret"] = json!(URL_SAFE_NO_PAD.encode(json.to_string()));
    }
}
