//! What the relay's clients know from its responses, and what they send on their streams.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Message, Response};
use footbridge_core::contract::check::Operation;
use footbridge_core::contract::event::Event;
use serde_json::Value;

use super::asking::{Asking, Lease};
use crate::targets::input::Input;
use crate::targets::machines::answers::{self, goes_well};
use crate::targets::machines::bench::Open;
use crate::targets::reach::reach;

/// What the relay's clients know.
#[derive(Default)]
pub(super) struct Clients {
    pub(super) environments: Vec<(String, String)>,
    pub(super) sessions: Vec<String>,
    pub(super) leases: Vec<Lease>,
    pub(super) asking: Vec<(OpId, Asking)>,
    /// Links, and whether their `resume` was sent.
    pub(super) links: Vec<(OpId, bool)>,
}

impl Clients {
    pub(super) fn answered(&mut self, op: OpId, response: &Response) {
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

    pub(super) fn upgraded(&mut self, op: OpId) {
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

    pub(super) fn stream(&mut self, op: OpId, open: &Open, input: &mut Input<'_>) -> Event {
        match &open.state {
            Operation::Stream(stream) if !stream.is_open && goes_well(input) => {
                Event::Opened { op }
            }
            Operation::Stream(stream) if !stream.is_open => answers::failed(op, input),
            Operation::Stream(stream) => {
                answers::stream(op, stream, input, |input| self.workers_message(op, input))
            }
            // Held polls, and requests waiting for the store: their clients may leave.
            _ if !goes_well(input) => Event::Closed { op, code: None, failure: None },
            _ => Event::Tick,
        }
    }

    /// A message on a link; a viewer sends anything.
    pub(super) fn workers_message(&mut self, op: OpId, input: &mut Input<'_>) -> Message {
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
}
