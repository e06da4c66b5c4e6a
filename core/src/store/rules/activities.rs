//! What a session's agent has done last, in a few words each (W-10).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::conversation::Conversation;
use super::cx::Cx;
use super::title::add_words;
use crate::base::limits::MAX_ACTIVITIES;
use crate::base::text::Text;
use crate::store::record::Activity;
use crate::wire::control::FieldsOf;
use crate::wire::message::Head;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Vec<&'a RawValue>,
}

/// A block of content that uses a tool.
#[derive(Deserialize)]
struct ToolUse<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// The fields of a tool's input that say what it is used for, the first that there is.
const PURPOSES: [&str; 7] =
    ["command", "file_path", "notebook_path", "pattern", "query", "url", "description"];

/// The agent has printed this line, which is already logged. Viewers are told if it uses a tool.
pub(super) fn note<T>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    head: &Head,
    line: &Text,
    seq: u64,
) {
    if head.kind != "assistant" {
        return;
    }
    let used = tools_used(line);
    if used.is_empty() {
        return;
    }
    let at = cx.wall;
    let activities = &mut conversation.row.session.activities;
    activities.extend(used.into_iter().map(|what| Activity { at, seq, what }));
    activities.drain(..activities.len().saturating_sub(MAX_ACTIVITIES));
    conversation.announce(cx);
}

/// The tools that a message uses, each with what for.
fn tools_used(line: &Text) -> Vec<String> {
    let Ok(Line { message }) = serde_json::from_str::<Line<'_>>(line.as_str()) else {
        return Vec::new();
    };
    let used = message.content.iter().filter_map(|block| {
        let used = serde_json::from_str::<ToolUse<'_>>(block.get()).ok()?;
        (used.kind == "tool_use").then(|| words_of(&used))
    });
    let mut used: Vec<_> = used.collect();
    used.drain(..used.len().saturating_sub(MAX_ACTIVITIES));
    used
}

fn words_of(ToolUse { name, input, .. }: &ToolUse<'_>) -> String {
    let mut words = String::new();
    add_words(&mut words, name);
    let fields = input.and_then(|input| serde_json::from_str::<FieldsOf<'_>>(input.get()).ok());
    let fields = fields.unwrap_or_default();
    let mut said = PURPOSES.iter().filter_map(|purpose| {
        let text = serde_json::from_str::<String>(fields.get(*purpose)?.get()).ok()?;
        Some(text).filter(|text| !text.trim().is_empty())
    });
    if let Some(said) = said.next() {
        words.push(':');
        add_words(&mut words, &said);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use serde_json::{Value, json};

    fn used(content: &Value) -> Vec<String> {
        let line = json!({"type": "assistant", "message": {"content": content}});
        tools_used(&Text::from(format!("{line}")))
    }

    #[test]
    fn an_activity_is_a_tool_and_what_it_is_used_for() {
        let tool =
            |name: &str, input: Value| json!({"type": "tool_use", "name": name, "input": input});
        let content = json!([
            {"type": "text", "text": "I will look"},
            tool("Bash", json!({"description": "test", "command": "cargo\n  test"})),
            tool("Read", json!({"file_path": "/w/src/lib.rs"})),
            tool("Later", json!({"x": 1})),
            tool("Odd", json!({"command": ["ls"], "url": " "})),
            tool("None", json!(null)),
        ]);
        assert_eq!(
            used(&content),
            ["Bash: cargo test", "Read: /w/src/lib.rs", "Later", "Odd", "None"]
        );
    }

    #[test]
    fn whatever_an_agent_prints_is_no_activity_or_a_short_one() {
        for content in
            [json!(null), json!("x"), json!([7, null, {"type": "tool_use"}]), json!([{"name": {}}])]
        {
            assert_eq!(used(&content), [""; 0], "{content}");
        }
        let long = json!([{"type": "tool_use", "name": "n".repeat(9000), "input": {"url": "u"}}]);
        assert!(used(&long).iter().all(|words| words.len() < 200));
        let many = json!(alloc::vec![json!({"type": "tool_use", "name": "n"}); 99]);
        assert_eq!(used(&many).len(), MAX_ACTIVITIES);
    }
}
