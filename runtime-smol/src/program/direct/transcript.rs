//! Messages as people read them in a terminal.

use serde_json::Value;

use crate::program::question;
use crate::program::terminal::text::prose as plain;

/// How much of a tool's input and result is shown.
const LINES: usize = 12;
const LINE_CHARS: usize = 200;

/// A message; `None` if it is nothing for people.
pub(super) fn shown(line: &str) -> Option<String> {
    let message: Value = serde_json::from_str(line).ok()?;
    let text = |value: &Value| value.as_str().map(plain).unwrap_or_default();
    match message["type"].as_str()? {
        "user" if message["message"]["content"].is_string() => {
            Some(format!("> {}\n", text(&message["message"]["content"])))
        }
        "assistant" | "user" => {
            let parts = message["message"]["content"].as_array()?;
            let parts: Vec<String> = parts.iter().filter_map(part).collect();
            (!parts.is_empty()).then(|| parts.concat())
        }
        "result" if message["is_error"] == true => {
            Some(format!("-- the turn has ended: {}\n", text(&message["subtype"])))
        }
        "result" => Some("--\n".to_owned()),
        "footbridge" => {
            let words = text(&message["message"]);
            (!words.is_empty()).then(|| format!("({words})\n"))
        }
        _ => None,
    }
}

/// A question, and how to answer it.
pub(super) fn shown_question(line: &str) -> String {
    let question: Value = serde_json::from_str(line).unwrap_or_default();
    let request = &question["request"];
    let tool = request["tool_name"].as_str().or_else(|| request["subtype"].as_str());
    question::asked(tool.unwrap_or("something"), &request["input"]) + "  y, or n and why not\n"
}

fn part(part: &Value) -> Option<String> {
    match part["type"].as_str()? {
        "text" => Some(format!("{}\n", plain(part["text"].as_str()?))),
        "tool_use" => {
            let name = plain(part["name"].as_str().unwrap_or("a tool"));
            Some(format!("* {name} {}\n", short(&input(&part["input"]))))
        }
        "tool_result" => {
            let result = match &part["content"] {
                Value::String(text) => text.clone(),
                Value::Array(parts) => {
                    parts.iter().filter_map(|part| part["text"].as_str()).collect()
                }
                _ => String::new(),
            };
            Some(format!("{}\n", short(&result)))
        }
        _ => None,
    }
}

/// A command is shown as it is, anything else as JSON.
fn input(input: &Value) -> String {
    match input["command"].as_str() {
        Some(command) => command.to_owned(),
        None if input.is_null() => String::new(),
        None => input.to_string(),
    }
}

/// The first lines, indented after the first.
fn short(text: &str) -> String {
    let text = plain(text);
    let all = text.lines().count();
    let mut lines: Vec<String> = text.lines().take(LINES).map(start_of).collect();
    if all > LINES {
        lines.push(format!("({} more lines)", all - LINES));
    }
    lines.join("\n  ")
}

/// As much of a line as is shown, and that there is more.
fn start_of(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS) {
        Some((at, _)) => format!("{} …", &line[..at]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_shown_as_text_and_codes_for_the_terminal_are_not() {
        let said = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"hi\u001b[31m"},{"type":"tool_use","name":"Bash","input":{"command":"ls -l"}}]}}"#;
        assert_eq!(shown(said).as_deref(), Some("hi␛[31m\n* Bash ls -l\n"));
        let result =
            r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"a\nb"}]}}"#;
        assert_eq!(shown(result).as_deref(), Some("a\n  b\n"));
        assert_eq!(shown(r#"{"type":"stream_event"}"#), None);
        assert_eq!(shown("no JSON"), None);
        let asked =
            r#"{"request":{"subtype":"can_use_tool","tool_name":"Write","input":{"file":"x"}}}"#;
        assert!(shown_question(asked).starts_with("? Write\n  │ file: x\n  y, or n"));
    }
}
