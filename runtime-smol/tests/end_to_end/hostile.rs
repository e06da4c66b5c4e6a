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

/// A question of an agent, and the page that shows it.
#[track_caller]
fn asked(request: &Value) -> (tempfile::TempDir, Program, Page) {
    let mut all = json!({"subtype": "can_use_tool", "tool_use_id": "t"});
    let fields = request.as_object().expect("an object").clone();
    all.as_object_mut().expect("an object").extend(fields);
    let line = json!({"type": "control_request", "request_id": "q", "request": all});
    let (directory, program, mut page) = agent_that_says(&[line.to_string()]);
    page.see(CARD);
    (directory, program, page)
}

#[test]
fn a_question_names_the_tool_itself_whatever_the_agent_calls_it() {
    let (_directory, _program, mut page) = asked(&json!({
        "tool_name": "Bash", "display_name": "Read a file", "description": "Reads the README",
        "input": {"command": "rm -r .", "description": "Reads", "dangerouslyDisableSandbox": true},
    }));
    let title =
        page.evaluate("document.querySelector('[data-testid=permission-card] h3').innerText");
    assert_eq!(title, json!("Permission requested: Bash"));
    page.see_text(CARD, "The agent calls it");
    page.see_text(CARD, "Read a file");
    page.see_text(CARD, "dangerouslyDisableSandbox");
    page.assert_no_complaints();
}

#[test]
fn a_long_command_is_allowed_only_once_it_has_been_on_the_screen_or_unread_by_name() {
    let command = (1..=61).map(|line| format!("echo {line}")).collect::<Vec<_>>().join("\n");
    let ask = json!({"tool_name": "Bash", "input": {"command": command}});
    let resolved = "[data-testid=permission-resolved][data-outcome=allowed]";
    let (_directory, _program, mut page) = asked(&ask);
    let whole = "(() => { const input = document.querySelector('[data-testid=permission-input]');
        return input.clientHeight > 1000 && input.scrollHeight <= input.clientHeight; })()";
    page.wait_for("the whole command", whole);
    page.wait_for("a hint that there is more", "[...document.querySelectorAll('.more')].some((e) => e.checkVisibility() && /[0-9]+ more lines/.test(e.textContent))");
    page.click(&hook("allow"));
    page.see(&hook("allow-unread"));
    page.see_text(CARD, "have not been on this screen");
    assert_eq!(page.count(resolved), 0);
    // As a person would: from the beginning to the end.
    page.evaluate(
        "(async () => {
            const scroller = document.querySelector('.scroller');
            for (let at = 0; at <= scroller.scrollHeight; at += 200) {
                scroller.scrollTop = at;
                await new Promise((done) => setTimeout(done, 30));
            }
        })()",
    );
    page.wait_for(
        "no hint any more",
        "[...document.querySelectorAll('.more')].every((e) => !e.checkVisibility())",
    );
    page.click(&hook("allow"));
    page.see(resolved);

    let (_directory, _program, mut page) = asked(&ask);
    page.click(&hook("allow"));
    page.click(&hook("allow-unread"));
    page.see(resolved);
    page.assert_no_complaints();
}

#[test]
fn an_input_that_is_not_shown_whole_says_so_until_it_is() {
    let command = format!("echo {}\nrm -r .", "x ".repeat(15_000));
    let (_directory, _program, mut page) =
        asked(&json!({"tool_name": "Bash", "input": {"command": command}}));
    page.see_text(&hook("show-rest"), "more characters are not shown");
    page.click(&hook("allow"));
    page.see_text(CARD, "characters of it have not been on this screen");
    page.click(&hook("show-rest"));
    page.wait_for(
        "all of it",
        "document.querySelector('[data-testid=permission-input]').value.endsWith('rm -r .')",
    );
    page.assert_no_complaints();
}

#[test]
fn characters_that_deceive_are_shown_by_their_numbers() {
    let hidden = [
        '\u{61C}',
        '\u{2800}',
        '\u{3164}',
        '\u{180E}',
        '\u{34F}',
        '\u{E0001}',
        '\u{E0041}',
        '\u{115F}',
        '\u{1160}',
        '\u{FFA0}',
        '\u{202E}',
        '\u{2066}',
        '\u{200B}',
        '\u{FEFF}',
        '\u{A0}',
        '\u{3000}',
        '\u{2028}',
        '\u{FE0F}',
        '\u{AD}',
        '\u{1}',
        '\u{7F}',
        '\u{1D159}',
        '\u{206A}',
        '\u{FFF9}',
        '\u{1D173}',
        '\r',
    ];
    let asked = [
        ("clear-text", json!({"tool_name": "Bash", "input": {"command": "MARK"}})),
        ("clear-text", json!({"tool_name": "Write", "input": {"MARK": "x"}})),
        ("tool", json!({"tool_name": "MARK", "input": {}})),
        ("permission-card", json!({"tool_name": "Bash", "display_name": "MARK", "input": {}})),
        ("diff", json!({"tool_name": "Write", "input": {"file_path": "f", "content": "MARK"}})),
        (
            "diff",
            json!({"tool_name": "Edit", "input": {"file_path": "f", "old_string": "x", "new_string": "MARK"}}),
        ),
        ("asked", json!({"tool_name": "Write", "input": {"file_path": "MARK", "content": ""}})),
        ("asked", json!({"tool_name": "ExitPlanMode", "input": {"plan": "# MARK"}})),
        ("facts", json!({"tool_name": "mcp__a__b", "input": {"MARK": 1}})),
        ("facts", json!({"tool_name": "mcp__a__b", "input": {"a": ["MARK"]}})),
        (
            "question",
            json!({"tool_name": "AskUserQuestion", "input": {"questions": [{"question": "MARK", "options": []}]}}),
        ),
        (
            "question",
            json!({"tool_name": "AskUserQuestion", "input": {"questions": [{"question": "q", "options": [{"label": "MARK"}]}]}}),
        ),
        (
            "always-what",
            json!({"tool_name": "x", "input": {}, "permission_suggestions": [
            {"type": "addRules", "behavior": "allow", "destination": "session", "rules": [{"toolName": "MARK"}]}]}),
        ),
    ];
    let text: String = hidden.iter().map(|c| format!("a{c}")).collect();
    let text = json!(text).to_string();
    let line = |(at, (_, ask)): (usize, &(&str, Value))| {
        let mut question = question(&format!("q{at}"));
        let fields = ask.as_object().expect("an object").clone();
        question["request"].as_object_mut().expect("an object").extend(fields);
        question.to_string().replace("MARK", text.trim_matches('"'))
    };
    let lines: Vec<_> = asked.iter().enumerate().map(line).collect();
    let (_directory, _program, mut page) = agent_that_says(&lines);
    for (at, (place, _)) in asked.iter().enumerate() {
        let find = format!(
            "(() => {{
                const card = document.querySelector('{CARD}[data-request-id=q{at}]');
                return (card?.matches('{0}') ? card : card?.querySelector('{0}'))?.textContent;
            }})()",
            hook(place)
        );
        let shown = page.wait_for(place, &find);
        let shown = shown.as_str().expect("text");
        for character in hidden {
            // JSON itself names control characters.
            let name = format!("U+{:04X}", u32::from(character));
            let escape = json!(character.to_string()).to_string();
            let is_named = shown.contains(&name) || shown.contains(escape.trim_matches('"'));
            assert!(
                is_named && (escape.contains('\\') || !shown.contains(character)),
                "{name} in {place}: {shown}"
            );
        }
    }
    page.assert_no_complaints();
}
