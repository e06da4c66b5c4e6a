//! What goes from one session to another (A-2).

use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::base::limits::{MAX_ID_BYTES, MAX_PEER_ADDRESS_BYTES, MAX_PEER_BODY_BYTES};
use crate::base::text::{Text, is_hidden};
use crate::wire::to_text;

/// A message in its envelope. Whoever sends it, its host writes `from`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Where it comes from: an address that an answer can be sent to, or `person`.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// Different for each message: one that comes twice is given once.
    pub message_id: String,
    /// What it says.
    pub body: String,
}

/// Who is no session, and cannot be answered: a person at a terminal.
pub const PERSON: &str = "person";

impl Envelope {
    /// Reads one; the error says what is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let envelope: Self = serde_json::from_slice(json).map_err(|error| format!("{error}"))?;
        envelope.check()?;
        Ok(envelope)
    }

    /// Whether it can be sent.
    pub fn check(&self) -> Result<(), String> {
        let is_line = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && !text.chars().any(is_hidden)
        };
        if !is_line(&self.from, MAX_PEER_ADDRESS_BYTES) || self.from == "unknown" {
            return Err("from names nobody".into());
        }
        if !is_line(&self.to, MAX_PEER_ADDRESS_BYTES) {
            return Err("to is no address".into());
        }
        if !is_line(&self.message_id, MAX_ID_BYTES) {
            return Err("messageId is no id".into());
        }
        if self.body.trim().is_empty() || self.body.len() > MAX_PEER_BODY_BYTES {
            return Err(format!("body is empty, or has more than {MAX_PEER_BODY_BYTES} bytes"));
        }
        Ok(())
    }

    /// As JSON.
    pub fn to_json(&self) -> Text {
        to_text(self)
    }

    /// What the agent reads, under the message's own id.
    pub fn to_user_message(&self) -> Text {
        let Self { from, message_id, body, .. } = self;
        let text = format!("[Message from another session, {from}]\n\n{body}");
        let (text, id) =
            (serde_json::Value::from(text), serde_json::Value::from(message_id.as_str()));
        Text::from(format!(
            r#"{{"type":"user","message":{{"role":"user","content":{text}}},"parent_tool_use_id":null,"session_id":"","uuid":{id}}}"#
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_without_a_true_sender_is_none() {
        let envelope = |from: &str, body: &str| {
            let body = serde_json::Value::from(body);
            let from = serde_json::Value::from(from);
            format!(r#"{{"from":{from},"to":"uds:/a","messageId":"m","body":{body}}}"#)
        };
        let good = Envelope::parse(envelope("uds:/b", "hi\nthere").as_bytes()).expect("one");
        assert_eq!(Envelope::parse(good.to_json().as_bytes()), Ok(good));
        let long = "x".repeat(MAX_PEER_BODY_BYTES + 1);
        for (from, body) in
            [("", "hi"), ("unknown", "hi"), ("a\nb", "hi"), ("a", ""), ("a", " \n"), ("a", &*long)]
        {
            assert!(Envelope::parse(envelope(from, body).as_bytes()).is_err(), "{from:?}");
        }
        assert!(Envelope::parse(br#"{"to":"a","messageId":"m","body":"x"}"#).is_err());
    }
}
