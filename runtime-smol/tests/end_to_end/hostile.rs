//! The page, shown what no agent should say.

use serde_json::{Value, json};

use crate::support::page::{Page, hook};
use crate::support::poll;
use crate::support::program::Program;

const CARD: &str = "[data-testid=permission-card]";

/// A program whose agent prints these lines and stays, and the page with its session open.
#[track_caller]
fn agent_that_says(lines: &[String]) -> (tempfile::TempDir, Program, Page) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("lines"), lines.join("\n") + "\n").expect("a file");
    std::fs::write(directory.path().join("agent.sh"), "cat lines; exec sleep 600").expect("a file");
    let program = Program::up(&directory, &["--agent", "sh ./agent.sh"]);
    let mut page = Page::open(program.page());
    page.click(&hook("new-session"));
    (directory, program, page)
}

fn question(id: &str) -> Value {
    json!({"type": "control_request", "request_id": id, "request": {
        "subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "ls"}}})
}

#[test]
fn whatever_one_message_holds_the_next_question_shows() {
    let text = |text: Value| json!({"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}});
    let deep = format!("{}0{}", "[".repeat(20_000), "]".repeat(20_000));
    let no_text = json!({ "toString": null });
    let mut lines: Vec<String> = [
        text(no_text.clone()),
        json!({"type": "assistant", "message": {"content": [{"type": "tool_use", "id": "t", "name": no_text}]}}),
        json!({"type": "system", "subtype": "init", "model": no_text}),
        json!({"type": "result", "subtype": "success", "is_error": false, "num_turns": {"valueOf": null, "toString": null}}),
        json!({"type": "result", "subtype": "x", "is_error": true, "errors": [no_text]}),
    ]
    .iter()
    .map(Value::to_string)
    .collect();
    lines.push(format!(r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","id":"t","name":"x","input":{deep}}}]}}}}"#));
    lines.push(text(json!("the last words")).to_string());
    lines.push(question("q").to_string());
    let (_directory, _program, mut page) = agent_that_says(&lines);
    page.see(CARD);
    page.see_text("[data-kind=assistant]", "toString");
    page.reload();
    page.see(CARD);
    page.see_text("[data-testid=transcript]", "the last words");
    page.assert_no_complaints();
}

#[test]
fn no_message_stops_the_page_whatever_is_put_where() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Program::up(&directory, &[]);
    let mut page = Page::open(program.page());
    page.see(&hook("new-session"));
    let seed = std::process::id();
    let script = include_str!("hostile_messages.js");
    page.evaluate(&format!(
        "{}({seed}, 1000).then((found) => (window.found = found)); 0",
        script.trim_end()
    ));
    // It takes longer than anything else on the page.
    let found =
        (0..5).find_map(|_| poll(|| Some(page.evaluate("window.found")).filter(Value::is_object)));
    let found = found.unwrap_or_else(|| panic!("with the seed {seed}, it does not come to an end"));
    assert_eq!(found["wrong"], json!([]), "with the seed {seed}: {found}");
    assert!(found["events"].as_u64().is_some_and(|count| count > 6000), "{found}");
    page.assert_no_complaints();
}
