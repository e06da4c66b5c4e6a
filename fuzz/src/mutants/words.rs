//! Reading and falsifying messages and responses.

use std::collections::BTreeMap;

use bytes::Bytes;
use footbridge_core::base::text::Text;
use footbridge_core::contract::action::{Message, Response};
use serde_json::value::RawValue;

pub(super) fn holds(bytes: &[u8], what: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(what)
}

pub(super) fn begins_with(message: &Message, beginning: &str) -> bool {
    matches!(message, Message::Text(text) if text.as_str().starts_with(beginning))
}

/// A response with something in its body replaced.
pub(super) fn reworded(response: Response, what: &str, by: &str) -> Response {
    let body = String::from_utf8_lossy(&response.body).replace(what, by);
    Response { body: Bytes::from(body), ..response }
}

/// A response without the second entry of a list that has several.
pub(super) fn shortened(response: Response, list: &str) -> Response {
    let Ok(mut body) = serde_json::from_slice::<BTreeMap<&str, &RawValue>>(&response.body) else {
        return response;
    };
    let all = body.get(list).and_then(|all| serde_json::from_str::<Vec<&RawValue>>(all.get()).ok());
    let Some(mut all) = all.filter(|all| all.len() > 1) else { return response };
    all.remove(1);
    let Ok(fewer) = serde_json::value::to_raw_value(&all) else { return response };
    body.insert(list, &fewer);
    let Ok(body) = serde_json::to_vec(&body) else { return response };
    Response { body: Bytes::from(body), ..response }
}

/// A text message with the last occurrence of something replaced.
pub(super) fn bent(message: &Message, what: &str, by: &str) -> Message {
    let Message::Text(text) = message else { return message.clone() };
    let text = text.as_str();
    let Some(at) = text.rfind(what) else { return message.clone() };
    let (head, tail) = text.split_at(at);
    let bent = format!("{head}{by}{}", tail.get(what.len()..).unwrap_or_default());
    Message::Text(Text::from(bent))
}

/// A message in which the agent has read everything that is stored.
pub(super) fn all_seen(text: &str) -> String {
    let Some((_, stored)) = text.split_once("\"stored\":") else { return text.to_owned() };
    let stored: String = stored.chars().take_while(char::is_ascii_digit).collect();
    let Some((head, tail)) = text.split_once("\"seen\":") else { return text.to_owned() };
    let tail = tail.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{head}\"seen\":{stored}{tail}")
}
