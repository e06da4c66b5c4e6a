//! What a message says to a transcript.

use footbridge_core::base::text::Text;
use footbridge_core::wire::housekeeping::{Showing, showing};
use footbridge_core::wire::message::Head;
use footbridge_core::wire::viewer::Origin;
use serde_json::Value;

use super::entry::{Call, Entry, Kind, Outcome, Said, Sending};
use super::style::{BAD, DIM, WARN};
use super::text::{bounded, one_line, prose};
use super::tools;
use crate::program::attach::transcript::{in_words, is_typed};

/// What it says.
#[derive(Debug)]
pub(super) enum Reading {
    /// Something new.
    Entry(Entry),
    /// The result of a call.
    Result { id: String, outcome: Outcome, is_nested: bool },
    /// More of a text that is being written.
    Delta { text: String, is_thought: bool },
    /// What is being written is about to be said as a whole.
    Whole,
    /// A question about a call.
    Asked { request_id: String, tool_use_id: String },
    /// What a person answered it.
    Answered { request_id: String, words: String },
}

/// All that a message says.
pub(super) fn read(from: Origin, message: &Text) -> Vec<Reading> {
    let Ok(head) = Head::parse(message) else { return Vec::new() };
    if from == Origin::Agent && showing(&head) != Showing::Shown {
        return Vec::new();
    }
    let Ok(message) = serde_json::from_str::<Value>(message.as_str()) else { return Vec::new() };
    match (from, &*head.kind) {
        (Origin::Viewer, "user") => said(&message, Sending::Stored),
        (Origin::Viewer, "control_response") => answered(&message),
        (Origin::Agent, "assistant") => spoken(&message),
        (Origin::Agent, "user") if is_typed(&message) => said(&message, Sending::AtTheAgent),
        (Origin::Agent, "user") => results(&message),
        (Origin::Agent, "stream_event") => delta(&message),
        (Origin::Agent, "control_request") => asked(&message),
        _ => noted(from, &head, &message),
    }
}

fn said(message: &Value, sending: Sending) -> Vec<Reading> {
    let text = text_of(&message["message"]["content"]);
    let said = Said { text: prose(&bounded(&text)), sending };
    vec![Reading::Entry(Entry::new(Kind::Said(said), false))]
}

/// The text of a content, which is text or a list of blocks.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts = blocks.iter().map(|block| match block["type"].as_str() {
                Some("text") => block["text"].as_str().unwrap_or_default().to_owned(),
                Some("image") => "[an image]".to_owned(),
                Some("tool_reference") => {
                    block["tool_name"].as_str().unwrap_or_default().to_owned()
                }
                _ => String::new(),
            });
            texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn spoken(message: &Value) -> Vec<Reading> {
    let is_nested = message["parent_tool_use_id"].is_string();
    let mut all = Vec::new();
    if !is_nested {
        all.push(Reading::Whole);
    }
    let text =
        |block: &Value, name: &str| bounded(block[name].as_str().unwrap_or_default()).into_owned();
    let content = &message["message"]["content"];
    if let Value::String(words) = content {
        all.push(Reading::Entry(Entry::new(Kind::Spoke(bounded(words).into_owned()), is_nested)));
    }
    for block in content.as_array().into_iter().flatten() {
        let kind = match block["type"].as_str() {
            Some("text") => Kind::Spoke(text(block, "text")),
            Some("thinking") => Kind::Thought(prose(&text(block, "thinking"))),
            Some("tool_use" | "server_tool_use") => Kind::Call(Call {
                id: block["id"].as_str().unwrap_or_default().to_owned(),
                tool: block["name"].as_str().unwrap_or("a tool").to_owned(),
                input: tools::kept(&block["input"]),
                verdict: None,
                outcome: None,
            }),
            _ => continue,
        };
        let is_empty =
            matches!(&kind, Kind::Spoke(text) | Kind::Thought(text) if text.trim().is_empty());
        if !is_empty {
            all.push(Reading::Entry(Entry::new(kind, is_nested)));
        }
    }
    all
}

fn results(message: &Value) -> Vec<Reading> {
    let is_nested = message["parent_tool_use_id"].is_string();
    let patch = &message["tool_use_result"]["structuredPatch"];
    let blocks = message["message"]["content"].as_array().into_iter().flatten();
    let results = blocks.filter(|block| block["type"] == "tool_result").map(|block| {
        let outcome = Outcome {
            text: bounded(&text_of(&block["content"])).into_owned(),
            is_error: block["is_error"] == true,
            patch: tools::kept(patch),
        };
        let id = block["tool_use_id"].as_str().unwrap_or_default().to_owned();
        Reading::Result { id, outcome, is_nested }
    });
    results.collect()
}

fn delta(message: &Value) -> Vec<Reading> {
    if message["parent_tool_use_id"].is_string() {
        return Vec::new();
    }
    let delta = &message["event"]["delta"];
    let (name, is_thought) = match delta["type"].as_str() {
        Some("text_delta") => ("text", false),
        Some("thinking_delta") => ("thinking", true),
        _ => return Vec::new(),
    };
    let text = delta[name].as_str().unwrap_or_default().to_owned();
    vec![Reading::Delta { text, is_thought }]
}

fn asked(message: &Value) -> Vec<Reading> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    vec![Reading::Asked {
        request_id: text(&message["request_id"]),
        tool_use_id: text(&message["request"]["tool_use_id"]),
    }]
}

fn answered(message: &Value) -> Vec<Reading> {
    let response = &message["response"];
    let request_id = response["request_id"].as_str().unwrap_or_default().to_owned();
    let answer = &response["response"];
    let words = match answer["behavior"].as_str() {
        Some("allow") if !answer["updatedPermissions"].is_null() => {
            "allowed, from now on".to_owned()
        }
        Some("allow") => "allowed".to_owned(),
        Some("deny") => match answer["message"].as_str().unwrap_or_default() {
            "" => "denied".to_owned(),
            why => format!("denied: {}", one_line(&bounded(why))),
        },
        _ => return Vec::new(),
    };
    vec![Reading::Answered { request_id, words }]
}

fn noted(from: Origin, head: &Head, message: &Value) -> Vec<Reading> {
    let mut text = in_words(from, head, message);
    let is_cut = message["terminal_reason"].as_str().is_some_and(|why| why.starts_with("aborted"));
    if is_cut && text.starts_with("— ended") {
        let seconds = message["duration_ms"].as_f64().unwrap_or_default() / 1000.0;
        text = format!("— stopped after {seconds:.1} s\n");
    }
    let style = match text.chars().next() {
        None => return Vec::new(),
        Some('!') => WARN,
        Some('—') if message["is_error"] == true && !is_cut => BAD,
        _ => DIM,
    };
    if let (true, Some(cost)) = (text.starts_with("— done"), message["total_cost_usd"].as_f64())
        && cost >= 0.005
    {
        text = format!("{}, ${cost:.2}\n", text.trim_end());
    }
    let note = Reading::Entry(Entry::note(prose(&bounded(&text)), style));
    // What an interrupt has cut off is not said any more.
    let is_over = from == Origin::Agent && head.kind == "result";
    is_over.then_some(Reading::Whole).into_iter().chain([note]).collect()
}
