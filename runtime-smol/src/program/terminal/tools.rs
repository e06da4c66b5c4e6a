//! What a tool is used for: on one line, and whole.

use serde_json::Value;

use super::diff::{content, diff};
use super::limits::ENTRY_BYTES;
use super::line::{Flow, Span, count, flows};
use super::style::{CODE, DIM, GOOD, PLAIN, STRONG};
use super::text::{bounded, exact, one_line};

/// Characters of a tool's name.
const NAME_CHARS: usize = 80;
/// Bytes of a summary.
const SUMMARY_BYTES: usize = 500;

fn text<'a>(input: &'a Value, name: &str) -> &'a str {
    input[name].as_str().unwrap_or_default()
}

/// A tool's name for people.
pub(super) fn name(tool: &str) -> String {
    let tool = tool.chars().take(NAME_CHARS).collect::<String>();
    match tool.strip_prefix("mcp__").and_then(|rest| rest.split_once("__")) {
        Some((server, tool)) => one_line(&format!("{server}: {tool}")),
        None => one_line(&tool),
    }
}

/// What it is used for, on one line.
pub(super) fn summary(tool: &str, input: &Value) -> String {
    let said = match tool {
        "Bash" | "PowerShell" => text(input, "command").to_owned(),
        "Read" | "Write" | "Edit" | "MultiEdit" => text(input, "file_path").to_owned(),
        "NotebookEdit" => text(input, "notebook_path").to_owned(),
        "Grep" | "Glob" => match text(input, "path") {
            "" => text(input, "pattern").to_owned(),
            path => format!("{} in {path}", text(input, "pattern")),
        },
        "WebFetch" => text(input, "url").to_owned(),
        "WebSearch" => text(input, "query").to_owned(),
        "Task" | "Agent" => text(input, "description").to_owned(),
        "TodoWrite" => todos_done(input),
        "AskUserQuestion" | "ExitPlanMode" => String::new(),
        _ => first_text(input),
    };
    let end = said.floor_char_boundary(SUMMARY_BYTES);
    one_line(&said[..end])
}

fn todos_done(input: &Value) -> String {
    let todos = input["todos"].as_array().map(Vec::as_slice).unwrap_or_default();
    let done = todos.iter().filter(|one| one["status"] == "completed").count();
    format!("{done} of {} done", todos.len())
}

/// The first text of an input that nothing is known about.
fn first_text(input: &Value) -> String {
    let known = ["command", "file_path", "path", "url", "query", "pattern", "description"];
    let known = known.iter().map(|name| text(input, name)).find(|text| !text.is_empty());
    let any = || {
        let mut all = input.as_object().into_iter().flat_map(|fields| fields.values());
        all.find_map(Value::as_str)
    };
    known.or_else(any).unwrap_or_default().to_owned()
}

/// All of it, so that a person can agree to it.
pub(super) fn whole(tool: &str, input: &Value) -> Vec<Flow> {
    let known: &[&str] = match tool {
        "Bash" => &["command", "description"],
        "Edit" if input["replace_all"] != true => {
            &["file_path", "old_string", "new_string", "replace_all"]
        }
        "Edit" => &["file_path", "old_string", "new_string"],
        "Write" => &["file_path", "content"],
        "MultiEdit" => &["file_path", "edits"],
        "TodoWrite" => &["todos"],
        _ => &[],
    };
    let mut all = match tool {
        "Bash" if input["command"].is_string() => {
            let command = text(input, "command");
            let description = text(input, "description");
            let mut all = flows(&exact(command), |line| Flow::code(line, CODE));
            for (at, flow) in all.iter_mut().enumerate() {
                *flow = flow.clone().after(if at == 0 { "$ " } else { "  " }, DIM);
            }
            if !description.is_empty() {
                all.push(Flow::words(format!("({})", one_line(description)), DIM));
            }
            all
        }
        "Edit" => {
            let mut all = vec![Flow::words(exact(text(input, "file_path")), STRONG)];
            all.extend(diff(text(input, "old_string"), text(input, "new_string")));
            all
        }
        "MultiEdit" => {
            let mut all = vec![Flow::words(exact(text(input, "file_path")), STRONG)];
            for edit in input["edits"].as_array().into_iter().flatten() {
                all.extend(diff(text(edit, "old_string"), text(edit, "new_string")));
            }
            all
        }
        "Write" => {
            let mut all = vec![Flow::words(exact(text(input, "file_path")), STRONG)];
            all.extend(content(text(input, "content")));
            all
        }
        "TodoWrite" => todos(input),
        _ => return fields(input, &[]),
    };
    // Whatever else it says.
    all.extend(fields(input, known));
    all
}

fn todos(input: &Value) -> Vec<Flow> {
    let todos = input["todos"].as_array().into_iter().flatten();
    let lines = todos.map(|todo| {
        let (mark, style) = match todo["status"].as_str() {
            Some("completed") => ("☑ ", GOOD),
            Some("in_progress") => ("▸ ", STRONG),
            _ => ("☐ ", PLAIN),
        };
        Flow::words(one_line(text(todo, "content")), style).after(mark, style)
    });
    lines.collect()
}

/// The fields of an input that are not among these.
pub(super) fn fields(input: &Value, known: &[&str]) -> Vec<Flow> {
    let Some(fields) = input.as_object() else {
        return flows(&exact(&pretty(input)), |line| Flow::code(line, PLAIN));
    };
    let mut all = Vec::new();
    for (name, value) in fields.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
        let text = match value {
            Value::String(text) => text.clone(),
            value => pretty(value),
        };
        let name = Span::new(format!("{}: ", one_line(name)), DIM);
        if text.contains('\n') {
            all.push(Flow::of(vec![name]));
            all.extend(flows(&exact(&text), |line| Flow::code(line, PLAIN).behind("  ", PLAIN)));
        } else {
            all.push(Flow::of(vec![name, Span::new(exact(&text), PLAIN)]));
        }
    }
    all
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A result of which nothing but its size is shown while it is folded.
pub(super) fn folded_result(tool: &str, result: &str) -> Option<String> {
    match tool {
        "Read" => Some(count(result.lines().count(), "line").into_owned()),
        "TodoWrite" => Some(String::new()),
        _ => None,
    }
}

/// An input with long texts shortened, so that it can be kept.
pub(super) fn kept(input: &Value) -> Value {
    match input {
        Value::String(text) if text.len() > ENTRY_BYTES => bounded(text).into_owned().into(),
        Value::Array(all) => all.iter().map(kept).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), kept(value))).collect()
        }
        value => value.clone(),
    }
}

/// Roughly what it takes.
pub(super) fn bytes(input: &Value) -> usize {
    match input {
        Value::String(text) => text.len() + 24,
        Value::Array(all) => all.iter().map(bytes).sum::<usize>() + 24,
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| name.len() + 48 + bytes(value)).sum()
        }
        _ => 24,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tool_is_named_by_what_it_is_used_for() {
        let cases = [
            ("Bash", json!({"command": "ls\n-la"}), "ls -la"),
            ("Grep", json!({"pattern": "x", "path": "src"}), "x in src"),
            ("TodoWrite", json!({"todos": [{"status": "completed"}, {}]}), "1 of 2 done"),
            ("mcp__db__query", json!({"limit": 3, "sql": "select"}), "select"),
            ("Bash", json!(null), ""),
        ];
        for (tool, input, expected) in cases {
            assert_eq!(summary(tool, &input), expected, "{tool}");
        }
        assert_eq!(name("mcp__db__query"), "db: query");
    }

    #[test]
    fn nothing_of_an_input_is_kept_from_whoever_agrees_to_it() {
        let input = json!({"command": "echo a\u{202e}b\nrm c", "timeout": 5, "dangerous": true});
        let lines: Vec<_> = whole("Bash", &input)
            .iter()
            .flat_map(|flow| flow.lines(60))
            .map(|line| line.text())
            .collect();
        assert_eq!(lines, ["$ echo a<U+202E>b", "  rm c", "dangerous: true", "timeout: 5"]);
    }
}
