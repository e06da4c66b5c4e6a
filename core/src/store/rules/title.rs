//! The title of a session that was created without one: the beginning of its first user message.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::base::limits::MAX_DERIVED_TITLE_BYTES;
use crate::base::text::Text;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
}

/// A block of content with text; blocks of other types have none.
#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    text: String,
}

/// The title taken from a line; none if it is not a user message or has no text.
pub(super) fn title_of(line: &Text) -> Option<String> {
    let Line { kind, message } = serde_json::from_str(line.as_str()).ok()?;
    if kind != "user" {
        return None;
    }
    let content = message.content.get();
    let mut title = String::new();
    if let Ok(text) = serde_json::from_str::<String>(content) {
        add_words(&mut title, &text);
    } else {
        for block in serde_json::from_str::<Vec<&RawValue>>(content).ok()? {
            match serde_json::from_str(block.get()) {
                Ok(Block { kind, text }) if kind == "text" => add_words(&mut title, &text),
                _ => {}
            }
        }
    }
    (!title.is_empty()).then_some(title)
}

/// Adds as many words of a text as fit, on one line and without control characters.
pub(super) fn add_words(title: &mut String, text: &str) {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    for word in words.filter(|word| !word.is_empty()) {
        if title.len() >= MAX_DERIVED_TITLE_BYTES {
            return;
        }
        if !title.is_empty() {
            title.push(' ');
        }
        title.push_str(word);
        if title.len() > MAX_DERIVED_TITLE_BYTES {
            title.truncate(title.floor_char_boundary(MAX_DERIVED_TITLE_BYTES));
            title.truncate(title.trim_end().len());
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;
    use alloc::format;
    use serde_json::{Value, json};

    fn title(content: &Value) -> Option<String> {
        let line = json!({"type": "user", "message": {"role": "user", "content": content}});
        title_of(&Text::from(format!("{line}")))
    }

    #[test]
    fn a_title_is_taken_from_the_text_wherever_it_is() {
        let image = json!({"type": "image", "source": {"data": "AAAA"}});
        let text = |text: &str| json!({"type": "text", "text": text});
        let cases = [
            (json!("mend the bridge"), Some("mend the bridge")),
            (
                json!("  two\n lines\t\u{0} and \u{1b}[31mred\u{7f}\u{85}"),
                Some("two lines and [31mred"),
            ),
            (json!([text("look"), image, text("here")]), Some("look here")),
            (json!([image, text("at this")]), Some("at this")),
            (json!([7, {"type": "text", "text": 7}, {"type": "text"}, text("rest")]), Some("rest")),
            (json!([image]), None),
            (json!(" \n"), None),
            (json!({"text": "no"}), None),
            (json!(null), None),
        ];
        for (content, expected) in cases {
            assert_eq!(title(&content).as_deref(), expected, "{content}");
        }
        for line in ["", "{}", r#"{"type":"user"}"#, r#"{"type":"user","message":"x"}"#] {
            assert_eq!(title_of(&Text::from(line)), None, "{line}");
        }
        let request = r#"{"type":"control_request","message":{"content":"x"}}"#;
        assert_eq!(title_of(&Text::from(request)), None);
    }

    #[test]
    fn a_long_title_is_cut_between_characters() {
        let limit = MAX_DERIVED_TITLE_BYTES;
        for text in ["é".repeat(limit), format!("a{}", "\u{1f309}".repeat(limit))] {
            let cut = title(&json!(text)).expect("a title");
            assert!(text.starts_with(&cut) && cut.len() <= limit && cut.len() + 4 > limit);
        }
        let exact = "x".repeat(limit);
        assert_eq!(title(&json!(exact)), Some(exact.clone()));
        let words = json!([{"type": "text", "text": exact}, {"type": "text", "text": "more"}]);
        assert_eq!(title(&words), Some(exact.to_owned()));
        let at_a_space = format!("{} y", "x".repeat(limit - 1));
        assert_eq!(title(&json!(at_a_space)), Some("x".repeat(limit - 1)), "no space at its end");
    }
}
