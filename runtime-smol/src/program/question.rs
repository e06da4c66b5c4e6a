//! What an agent asks for, whole: nobody should allow what they have not been shown.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::terminal::text::exact;

/// How long a question has to be on the screen in another's place before it takes an answer.
const SETTLES: Duration = Duration::from_secs(1);

/// What to say to an answer that came too soon.
pub(super) const TOO_SOON: &str =
    "· not sent: the question that was here has just been answered elsewhere; answer again\n";

/// When the question on the screen was last taken away by others: what is typed just then was meant for
/// that one.
#[derive(Debug, Default)]
pub(super) struct TakenAway(Option<Instant>);

impl TakenAway {
    pub(super) fn now(&mut self) {
        self.0 = Some(Instant::now());
    }

    /// Whether this may be an answer to what is not there any more.
    pub(super) fn may_mean(&self, line: &str) -> bool {
        let word = line.split_whitespace().next().unwrap_or_default();
        matches!(word, "y" | "yes" | "n" | "no" | "a" | "always")
            && self.0.is_some_and(|since| since.elapsed() < SETTLES)
    }
}

/// A tool's name and its input, with an end of line after each line.
pub(super) fn asked(tool: &str, input: &Value) -> String {
    let tool = exact(tool).replace('\n', " ");
    let command = input["command"].as_str().filter(|command| !command.contains('\n'));
    let fields = input.as_object();
    let others = fields.into_iter().flatten().filter(|(name, _)| {
        command.is_none() || !matches!(name.as_str(), "command" | "description")
    });
    let mut text = format!("? {tool}");
    if let Some(command) = command {
        let _ = write!(text, " {}", exact(command));
    }
    text.push('\n');
    for (name, value) in others {
        text += &detail(name, value);
    }
    if fields.is_none() && !input.is_null() {
        text += &detail("input", input);
    }
    text
}

/// One thing about a question, on lines that cannot be taken for anything else.
pub(super) fn detail(name: &str, value: &Value) -> String {
    let value = match value {
        Value::String(text) => exact(text),
        other => exact(&other.to_string()),
    };
    let mut lines = value.split('\n');
    let mut text =
        format!("  │ {}: {}\n", exact(name).replace('\n', " "), lines.next().unwrap_or_default());
    for line in lines {
        let _ = writeln!(text, "  │   {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_of_a_command_is_shown_however_long() {
        let command = format!("ls{}; rm -rf ~", " ".repeat(5_000));
        let shown = asked("Bash", &json!({"command": command, "description": "List files"}));
        assert_eq!(shown, format!("? Bash {command}\n"));
        let shown = asked("Bash", &json!({"command": "ls", "run_in_background": true}));
        assert_eq!(shown, "? Bash ls\n  │ run_in_background: true\n");
    }

    #[test]
    fn all_lines_of_any_input_are_shown_and_none_passes_for_the_programs_own() {
        let input = json!({"content": "one\n  y allows", "file_path": "/a"});
        let shown = asked("Write", &input);
        assert_eq!(shown, "? Write\n  │ content: one\n  │     y allows\n  │ file_path: /a\n");
        let lines = (0..100).map(|n| format!("line {n}\n")).collect::<String>();
        assert!(asked("Bash", &json!({"command": lines})).contains("line 99"));
    }

    #[test]
    fn what_is_typed_as_a_question_goes_is_no_answer_to_the_next() {
        let mut taken = TakenAway::default();
        assert!(!taken.may_mean("y"));
        taken.now();
        assert!(
            taken.may_mean("y") && taken.may_mean(" n because") && !taken.may_mean("yesterday")
        );
        taken.0 = Instant::now().checked_sub(SETTLES);
        assert!(!taken.may_mean("y"));
    }

    #[test]
    fn what_a_terminal_would_hide_or_obey_is_written_out() {
        let shown = asked("Ba\u{202e}sh", &json!({"command": "ls \u{1b}[2K\u{200b}\r"}));
        assert_eq!(shown, "? Ba<U+202E>sh ls ␛[2K<U+200B>␍\n");
    }
}
