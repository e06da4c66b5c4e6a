//! What of a session people want to see, as lines of text (M-8).

use std::fmt::Write as _;

use footbridge_core::base::text::is_hidden;
use footbridge_core::remote::RemoteEvent;
use footbridge_core::wire::housekeeping::{Showing, showing};
use footbridge_core::wire::message::Head;
use footbridge_core::wire::viewer::Origin;
use serde_json::Value;

/// Lines of a tool's output that are shown.
const RESULT_LINES: usize = 8;
/// Characters of one of them.
const LINE_CHARS: usize = 200;

/// An event as text, with an end of line after each line; empty if it is not for people.
pub(in crate::program) fn shown(event: &RemoteEvent) -> String {
    let RemoteEvent { from, message, .. } = event;
    let Ok(head) = Head::parse(message) else { return String::new() };
    let is_for_people = *from != Origin::Agent || showing(&head) == Showing::Shown;
    let Ok(message) = serde_json::from_str::<Value>(message.as_str()) else {
        return String::new();
    };
    let text = if is_for_people { in_words(*from, &head, &message) } else { String::new() };
    let is_nested = message["parent_tool_use_id"].is_string();
    let text = safe(&text);
    if is_nested { indented(&text) } else { text }
}

/// A message in words, not yet safe for a terminal.
pub(in crate::program) fn in_words(from: Origin, head: &Head, message: &Value) -> String {
    match (from, &*head.kind) {
        (Origin::Viewer, "user") => said(message),
        (Origin::Viewer, "control_request") => asked(message),
        (Origin::Viewer, _) => String::new(),
        (Origin::Worker | Origin::Relay, _) => note(message),
        (Origin::Agent, "assistant") => spoken(message),
        (Origin::Agent, "user") if is_typed(message) => said(message),
        (Origin::Agent, "user") => results(message),
        (Origin::Agent, "result") => result(message),
        (Origin::Agent, "system") => system(message),
        (Origin::Agent, "control_response") => failed(message),
        // A question is shown where it is asked, and the text of a stream once it is whole.
        (Origin::Agent, _) => String::new(),
    }
}

/// Text that does nothing to a terminal but show itself.
pub(super) fn safe(text: &str) -> String {
    text.chars().filter(|c| !is_hidden(*c) || matches!(c, '\n' | '\t')).collect()
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "    {line}");
        all
    })
}

fn said(message: &Value) -> String {
    let text = text_of(&message["message"]["content"]);
    text.lines().fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "> {line}");
        all
    })
}

/// What of a log is not to be had: what came before was kept no longer, or the log ends before the place
/// that was asked for.
pub(in crate::program) fn gap(after: u64, resumes_after: u64) -> String {
    if resumes_after < after {
        return format!("the log ends at event {resumes_after}, before {after}");
    }
    format!("events {} to {resumes_after} are not kept any more", after + 1)
}

/// Whether somebody has typed it at the agent's own terminal: it is no viewer's message that comes back,
/// and no agent has written it.
pub(in crate::program) fn is_typed(message: &Value) -> bool {
    message["message"]["content"].is_string()
        && message["isReplay"] != true
        && message["isSynthetic"] != true
        && !message["parent_tool_use_id"].is_string()
}

/// The text of a content, which is text or a list of blocks.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let text = blocks.iter().map(|block| match block["type"].as_str() {
                Some("text") => block["text"].as_str().unwrap_or_default(),
                Some("image") => "[an image]",
                _ => "",
            });
            text.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn asked(message: &Value) -> String {
    let request = &message["request"];
    let value = |name: &str| request[name].as_str().unwrap_or_default();
    match value("subtype") {
        "interrupt" => "· interrupted\n".to_owned(),
        "set_permission_mode" => format!("· mode: {}\n", value("mode")),
        "set_model" => format!("· model: {}\n", value("model")),
        _ => String::new(),
    }
}

fn note(message: &Value) -> String {
    let text = |name: &str| message[name].as_str().unwrap_or_default();
    match text("subtype") {
        "session_state" if text("state") == "ended" => {
            let result = &message["result"];
            let words = result["message"].as_str().unwrap_or_default();
            format!(
                "· the session has ended: {} {words}\n",
                result["status"].as_str().unwrap_or_default()
            )
        }
        "agent_exited" | "agent_resumed" | "agent_restarted" | "agent_not_reading"
        | "agent_reading" | "messages_lost" | "relay_set_back" | "worktree" | "commit_kept"
        | "agent_output_error" => {
            format!("· {}\n", text("message"))
        }
        "agent_stderr" => text("text").lines().fold(String::new(), |mut all, line| {
            let _ = writeln!(all, "! {line}");
            all
        }),
        "messages_indeterminate"
        | "messages_undelivered"
        | "messages_expired"
        | "requests_unanswered" => {
            format!("· {}: {}\n", text("subtype").replace('_', " "), text("reason"))
        }
        _ => String::new(),
    }
}

fn spoken(message: &Value) -> String {
    let mut all = String::new();
    for block in message["message"]["content"].as_array().into_iter().flatten() {
        match block["type"].as_str() {
            Some("text") => {
                let _ = writeln!(all, "{}", block["text"].as_str().unwrap_or_default());
            }
            Some("tool_use") => {
                let name = block["name"].as_str().unwrap_or_default();
                let _ = writeln!(all, "● {name} {}", subject(&block["input"]));
            }
            _ => {}
        }
    }
    if let Some(text) = message["message"]["content"].as_str() {
        let _ = writeln!(all, "{text}");
    }
    all
}

/// What a tool is used for, on one line.
pub(super) fn subject(input: &Value) -> String {
    let names = [
        "command",
        "file_path",
        "notebook_path",
        "pattern",
        "url",
        "query",
        "description",
        "prompt",
    ];
    let named = names.iter().find_map(|name| input[*name].as_str());
    let text = named.map_or_else(
        || {
            if input.as_object().is_some_and(serde_json::Map::is_empty) {
                String::new()
            } else {
                input.to_string()
            }
        },
        str::to_owned,
    );
    let mut lines = text.lines();
    let first: String = lines.next().unwrap_or_default().chars().take(LINE_CHARS).collect();
    if lines.next().is_some() || first.len() < text.trim_end().len() {
        first + " …"
    } else {
        first
    }
}

fn results(message: &Value) -> String {
    let mut all = String::new();
    for block in message["message"]["content"].as_array().into_iter().flatten() {
        if block["type"] != "tool_result" {
            continue;
        }
        let text = text_of(&block["content"]);
        let mark = if block["is_error"] == true { "✗" } else { "⎿" };
        let lines: Vec<_> = text.lines().collect();
        for (at, line) in lines.iter().take(RESULT_LINES).enumerate() {
            let line: String = line.chars().take(LINE_CHARS).collect();
            let _ = writeln!(all, "  {} {line}", if at == 0 { mark } else { " " });
        }
        if lines.len() > RESULT_LINES {
            let _ = writeln!(all, "    … {} more lines", lines.len() - RESULT_LINES);
        }
    }
    all
}

fn result(message: &Value) -> String {
    let seconds = message["duration_ms"].as_f64().unwrap_or_default() / 1000.0;
    if message["is_error"] != true {
        return format!("— done in {seconds:.1} s\n");
    }
    let errors = message["errors"].as_array().into_iter().flatten();
    let errors: Vec<_> = errors.filter_map(Value::as_str).collect();
    let words = match (&errors[..], message["result"].as_str()) {
        ([], Some(result)) => result.to_owned(),
        ([], None) => message["subtype"].as_str().unwrap_or_default().to_owned(),
        (errors, _) => errors.join("; "),
    };
    format!("— ended after {seconds:.1} s: {words}\n")
}

fn system(message: &Value) -> String {
    let text = |name: &str| message[name].as_str().unwrap_or_default();
    match text("subtype") {
        "api_retry" => format!(
            "· the model is not available ({}): attempt {} of {}\n",
            text("error"),
            message["attempt"],
            message["max_retries"]
        ),
        "permission_denied" => {
            format!("· not allowed: {} {}\n", text("tool_name"), text("message"))
        }
        "task_started" => format!("· a task has begun: {}\n", text("description")),
        other => format!("· {}\n", other.replace('_', " ")),
    }
}

fn failed(message: &Value) -> String {
    let error = message["response"]["error"].as_str();
    error.map_or_else(String::new, |error| format!("· the agent refuses: {error}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use footbridge_core::base::text::Text;
    use footbridge_core::base::time::UnixTime;

    fn of(from: Origin, message: &'static str) -> String {
        let at = UnixTime::from_millis(0);
        shown(&RemoteEvent { seq: 1, at, from, message: Text::from(message) })
    }

    #[test]
    fn a_turn_reads_as_what_was_said_and_done() {
        let lines = [
            (Origin::Viewer, r#"{"type":"user","message":{"content":"list\nthem"}}"#),
            (Origin::Agent, r#"{"type":"system","subtype":"init"}"#),
            (
                Origin::Agent,
                r#"{"type":"assistant","message":{"content":[{"type":"text","text":"I look."},{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}"#,
            ),
            (
                Origin::Agent,
                r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"a\nb"}]}}"#,
            ),
            (Origin::Agent, r#"{"type":"result","subtype":"success","duration_ms":1500}"#),
        ];
        let all: String = lines.into_iter().map(|(from, line)| of(from, line)).collect();
        assert_eq!(all, "> list\n> them\nI look.\n● Bash ls\n  ⎿ a\n    b\n— done in 1.5 s\n");
    }

    #[test]
    fn what_an_agent_prints_cannot_command_the_terminal() {
        let text = of(
            Origin::Agent,
            r#"{"type":"assistant","message":{"content":[{"type":"text","text":"a\u001b[2Jb\u202ec\td"}]}}"#,
        );
        assert_eq!(text, "a[2Jbc\td\n");
    }

    #[test]
    fn housekeeping_is_not_shown_and_a_subagent_is_indented() {
        assert_eq!(of(Origin::Agent, r#"{"type":"command_lifecycle","state":"queued"}"#), "");
        let nested = r#"{"type":"assistant","parent_tool_use_id":"t","message":{"content":[{"type":"text","text":"x"}]}}"#;
        assert_eq!(of(Origin::Agent, nested), "    x\n");
    }
}
