//! Questions of the agent, each in the form that suits its tool.

use serde_json::{Value, json};

use crate::field::Case;
use crate::support::page::{Screen, hook};

const CARD: &str = "[data-testid=permission-card]";
const RESOLVED: &str = "[data-testid=permission-resolved]";

/// An agent that asks for these calls at once, says that it has heard an answer, and stays.
#[track_caller]
fn asking(calls: &[(&str, Value)]) -> Case {
    let line = |(at, (tool, input)): (usize, &(&str, Value))| {
        json!({"type": "control_request", "request_id": format!("q{at}"), "request": {
            "subtype": "can_use_tool", "tool_name": tool, "input": input, "tool_use_id": "t"}})
        .to_string()
    };
    let lines: Vec<_> = calls.iter().enumerate().map(line).collect();
    let lines = lines.join("\n");
    let mut case = Case::of(&format!(
        "cat <<'END'\n{lines}\nEND\nhear\nsay 'I heard it'\nhear\nexec sleep 600"
    ));
    case.page.see(CARD);
    case
}

fn two_questions() -> Value {
    json!({"questions": [
        {"question": "Which database?", "header": "Database", "multiSelect": false, "options": [
            {"label": "SQLite", "description": "One file"}, {"label": "PostgreSQL", "description": "A server"}]},
        {"question": "Which features?", "header": "Features", "multiSelect": true, "options": [
            {"label": "Auth", "description": "log-in"}, {"label": "Logs", "description": "an audit log"}]},
    ]})
}

/// A choice of a question, both counted from 1; `Other` is the last one.
fn choice(question: usize, choice: usize) -> String {
    format!("[data-testid=question]:nth-child({question}) .choice:nth-of-type({choice})")
}

#[test]
fn the_agents_questions_are_answered_by_choice_and_in_own_words() {
    let mut case = asking(&[("AskUserQuestion", two_questions())]);
    for words in ["Which database?", "One file", "Which features?", "an audit log"] {
        case.page.see_text(CARD, words);
    }
    assert_eq!(case.page.count(&hook("permission-input")), 0, "it is shown as JSON");
    case.page.click(&hook("allow"));
    case.page.see_text(CARD, "“Database” has no answer yet");
    case.page.click(&choice(1, 1));
    case.page.click(&choice(1, 2));
    case.page.click(&choice(2, 1));
    case.page.click(&choice(2, 2));
    case.page.click(&choice(2, 3));
    case.page.click(&hook("allow"));
    case.page.see_text(CARD, "“Features” has no answer yet");
    case.page.fill("[data-testid=question]:nth-child(2) .own", "and my own, too");
    case.page.click(&hook("allow"));
    let answer = &case.heard(1)[0]["response"]["response"];
    let mut expected = two_questions();
    expected["answers"] =
        json!({"Which database?": "PostgreSQL", "Which features?": "Auth, Logs, and my own, too"});
    assert_eq!(*answer, json!({"behavior": "allow", "updatedInput": expected}));
    for _ in 0..2 {
        case.page.see_text(RESOLVED, "Answered");
        case.page.see_text(RESOLVED, "PostgreSQL");
        case.page.see_text(RESOLVED, "Auth, Logs, and my own, too");
        case.page.reload();
    }
    case.page.assert_no_complaints();
}

#[test]
fn a_question_is_answered_or_declined_with_only_the_keyboard() {
    let own = json!({"questions": [{"question": "What name?", "options": []}]});
    let mut case = asking(&[("AskUserQuestion", two_questions()), ("AskUserQuestion", own)]);
    let page = &mut case.page;
    page.tab_to(&format!("{} input", choice(1, 1)));
    page.press(" ");
    page.tab_to(&format!("{} input", choice(2, 3)));
    page.press(" ");
    page.tab_to("[data-testid=question]:nth-child(2) .own");
    page.type_text("none of them");
    page.tab_to(&hook("allow"));
    page.press("Enter");
    let answers = &case.heard(1)[0]["response"]["response"]["updatedInput"]["answers"];
    let expected = json!({"Which database?": "SQLite", "Which features?": "none of them"});
    assert_eq!(*answers, expected);
    let page = &mut case.page;
    page.tab_to(&format!("{CARD} .own"));
    page.tab_to(&hook("deny-reason"));
    page.type_text("ask me later");
    // The button is before the field.
    page.click(&hook("deny"));
    page.see_text(RESOLVED, "Not answered");
    let denied = &case.heard(2)[1]["response"]["response"];
    assert_eq!(*denied, json!({"behavior": "deny", "message": "ask me later"}));
    case.page.assert_no_complaints();
}

#[test]
fn a_question_that_makes_no_sense_is_shown_raw_and_can_be_answered() {
    let option = json!({"label": "a"});
    let with = |field: &str, value: Value| {
        let mut question = json!({"question": "q", "options": [option]});
        question[field] = value;
        json!({ "questions": [question] })
    };
    let inputs = [
        json!({}),
        json!({"questions": "text"}),
        json!({"questions": []}),
        json!({"questions": [null]}),
        with("question", json!("")),
        with("question", json!({"toString": null})),
        with("header", json!(1)),
        with("options", json!({"0": option})),
        with("options", json!([option, option])),
        with("options", json!([{"label": " "}])),
        with("options", json!([{"label": "a", "description": []}])),
        with("multiSelect", json!("yes")),
        json!({"questions": [{"question": "q", "options": []}, {"question": "q", "options": []}]}),
        json!({"questions": [{"question": "q".repeat(40_000), "options": []}]}),
    ];
    let calls: Vec<_> = inputs.iter().map(|input| ("AskUserQuestion", input.clone())).collect();
    let mut case = asking(&calls);
    let count = inputs.len();
    let all = format!("document.querySelectorAll('{CARD}').length === {count}");
    case.page.wait_for("all questions", &all);
    assert_eq!(case.page.count(&hook("question")), 0, "one is shown as what it is not");
    case.page.click(&hook("allow"));
    let answer = &case.heard(1)[0]["response"]["response"];
    assert_eq!(*answer, json!({"behavior": "allow", "updatedInput": {}}));
    case.page.assert_no_complaints();
}

/// An agent that says that it calls a tool, asks whether it may, and hears the answers.
#[track_caller]
fn calling(tool: &str, input: &Value, more: &Value) -> Case {
    let call = json!({"type": "assistant", "message": {"role": "assistant", "content": [
        {"type": "tool_use", "id": "t", "name": tool, "input": input}]}});
    let mut question = json!({"type": "control_request", "request_id": "q", "request": {
        "subtype": "can_use_tool", "tool_name": tool, "input": input, "tool_use_id": "t"}});
    let fields = more.as_object().expect("an object").clone();
    question["request"].as_object_mut().expect("an object").extend(fields);
    let mut case = Case::of(&format!(
        "cat <<'END'\n{call}\n{question}\nEND\nhear\nsay 'I heard it'\nhear\nexec sleep 600"
    ));
    case.page.see(CARD);
    case
}

/// The lines of the diff in what matches, each with its sign.
fn diff(case: &mut Case, within: &str) -> Value {
    let find =
        format!("[...document.querySelectorAll('{within} .diff-line')].map((e) => e.textContent)");
    case.page.evaluate(&find)
}

const CALL: &str = "[data-part=use]";

#[test]
fn an_edit_is_shown_as_what_it_changes_once_in_the_question_and_then_in_the_transcript() {
    let input = json!({"file_path": "/w/main.py", "replace_all": true,
        "old_string": "def greet():\n    print('hello')\n", "new_string": "def greet(name):\n    print('hello')\n"});
    let mut case = calling("Edit", &input, &json!({"description": "main.py"}));
    let lines = json!(["− def greet():", "+ def greet(name):", "      print('hello')"]);
    assert_eq!(diff(&mut case, CARD), lines);
    for words in ["/w/main.py", "1 line removed, 1 added, at every occurrence"] {
        case.page.see_text(CARD, words);
    }
    assert_eq!(case.page.count(&hook("permission-input")), 0, "it is shown as JSON");
    let is_shown = format!("document.querySelector('{CALL} .diff').checkVisibility()");
    assert_eq!(case.page.evaluate(&is_shown), json!(false), "it is shown twice");
    case.page.click(&hook("allow"));
    let answer = &case.heard(1)[0]["response"]["response"];
    assert_eq!(*answer, json!({"behavior": "allow", "updatedInput": input}));
    case.page.see(RESOLVED);
    assert_eq!(case.page.evaluate(&is_shown), json!(true), "it is no longer shown");
    assert_eq!(diff(&mut case, CALL), lines);
    assert_eq!(diff(&mut case, RESOLVED), json!([]), "it is shown twice");
    case.page.assert_no_complaints();
}

#[test]
fn a_long_file_is_shown_to_its_end_before_it_is_written_or_it_is_said_that_it_was_not() {
    let content = (1..=1500).map(|line| format!("line {line}\n")).collect::<String>();
    let input = json!({"file_path": "/w/long.txt", "content": content});
    let mut case = calling("Write", &input, &json!({}));
    case.page.see_text(CARD, "The whole file will be (1,500 lines)");
    case.page.click(&hook("allow"));
    case.page.see_text(CARD, "have not been on this screen");
    case.page.click(&format!("{CARD} {}", hook("show-more")));
    case.page.wait_for(
        "the last line",
        &format!("[...document.querySelectorAll('{CARD} .diff-line')].pop().textContent === '+ line 1500'"),
    );
    assert_eq!(diff(&mut case, CARD).as_array().map(Vec::len), Some(1500));
    case.page.click(&hook("allow"));
    case.page.see_text(CARD, "lines have not been on this screen");
    case.page.click(&hook("allow-unread"));
    assert_eq!(case.heard(1)[0]["response"]["response"]["updatedInput"], input);
    case.page.assert_no_complaints();
}

#[test]
fn any_other_call_is_shown_as_names_and_values_and_can_be_changed() {
    let input = json!({"title": "Broken build", "labels": ["ci", "urgent"], "body": "First\nassignee: Bob",
        "assignee": {"name": "Ann"}, "none": null, "empty": {}});
    let mut case = calling("mcp__jira__create", &input, &json!({}));
    let rows = case.page.evaluate(&format!(
        "[...document.querySelectorAll('{CARD} .facts .group > *')].map((e) => [e.className, e.textContent])"
    ));
    let expected = json!([
        ["fact", "assignee:"],
        ["fact", "name: Ann"],
        ["fact", "body:"],
        ["fact-text value", "First\nassignee: Bob"],
        ["fact", "empty: empty"],
        ["fact", "labels:"],
        ["fact", "1: ci"],
        ["fact", "2: urgent"],
        ["fact", "none: nothing"],
        ["fact", "title: Broken build"],
    ]);
    assert_eq!(rows, expected);
    case.page.click(&format!("{CARD} summary"));
    case.page.fill(&hook("permission-input"), "{\"title\": ");
    case.page.click(&hook("allow"));
    case.page.see_text(CARD, "This is not valid JSON");
    case.page.fill(&hook("permission-input"), "{\"title\": \"Repaired\"}");
    case.page.click(&hook("allow"));
    assert_eq!(
        case.heard(1)[0]["response"]["response"]["updatedInput"],
        json!({"title": "Repaired"})
    );
    case.page.see_text(RESOLVED, "edited");
    case.page.see_text(RESOLVED, "Repaired");
    case.page.assert_no_complaints();
}

#[test]
fn a_plan_is_read_as_prose_and_approved_with_the_mode_to_continue_in() {
    let input = json!({"plan": "# Rename it\n\n1. Read `main.py`\n2. **Change** it"});
    let mut case = calling("ExitPlanMode", &input, &json!({}));
    let plan = format!("{CARD} .prose");
    for words in ["Rename it", "Read main.py", "Change it"] {
        case.page.see_text(&plan, words);
    }
    case.page.see_text(CARD, "Ask before each edit");
    case.page.click(&format!("{CARD} .choice:nth-of-type(2)"));
    case.page.click(&hook("allow"));
    let answer = &case.heard(1)[0]["response"]["response"];
    let mode = json!([{"type": "setMode", "mode": "acceptEdits", "destination": "session"}]);
    assert_eq!(
        *answer,
        json!({"behavior": "allow", "updatedInput": input, "updatedPermissions": mode})
    );
    case.page.see_text(RESOLVED, "Approved");
    case.page.assert_no_complaints();
}

/// As the real agent does, where the model hands its plan over as an argument.
#[test]
fn a_plan_that_only_the_call_has_is_read_in_the_question_about_it() {
    let input = json!({"plan": "# Rename it\n\n1. Read `main.py`"});
    let mut case = calling("ExitPlanMode", &input, &json!({"input": {}}));
    case.page.see_text(&format!("{CARD} .prose"), "Read main.py");
    case.page.click(&hook("allow"));
    let answer = &case.heard(1)[0]["response"]["response"];
    assert_eq!(answer["updatedInput"], json!({}), "what was asked about is allowed, nothing else");
    case.page.see_text(RESOLVED, "Approved");
    case.page.assert_no_complaints();
}

#[test]
fn a_plan_is_rejected_with_what_to_change() {
    let mut case = calling("ExitPlanMode", &json!({}), &json!({}));
    case.page.see_text(CARD, "The agent gives no plan with this");
    case.page.fill(&hook("deny-reason"), "tests first");
    case.page.click(&hook("deny"));
    let answer = &case.heard(1)[0]["response"]["response"];
    assert_eq!(*answer, json!({"behavior": "deny", "message": "tests first"}));
    case.page.see_text(RESOLVED, "Rejected");
    case.page.assert_no_complaints();
}

#[test]
fn a_checklist_is_shown_with_what_is_done() {
    let todo = |content: &str, status: &str| json!({"content": content, "status": status, "activeForm": "x"});
    let todos = [todo("Read", "completed"), todo("Change", "in_progress"), todo("Test", "pending")];
    let mut case = calling("TodoWrite", &json!({ "todos": todos }), &json!({}));
    case.page.see_text(CARD, "1 of 3 done");
    let items = "[...document.querySelectorAll('[data-testid=permission-card] li')].map((e) => e.textContent)";
    assert_eq!(
        case.page.evaluate(items),
        json!(["☑Done: Read", "◐In progress: Change", "☐To do: Test"])
    );
    case.page.assert_no_complaints();
}

#[test]
fn what_the_agent_suggests_is_always_allowed_in_words_or_not_offered() {
    let rule = json!({"type": "addRules", "behavior": "allow", "destination": "localSettings",
        "rules": [{"toolName": "Bash", "ruleContent": "npm test:*"}]});
    let mode = json!({"type": "setMode", "mode": "acceptEdits", "destination": "session"});
    let suggested = json!([rule, mode]);
    let input = json!({"command": "npm test"});
    let mut case = calling("Bash", &input, &json!({"permission_suggestions": suggested}));
    case.page.see_text(&hook("always-what"), "Bash: npm test:* (in this project, for you)");
    case.page.see_text(
        &hook("always-what"),
        "edit files in its folders without asking, until this session ends",
    );
    case.page.click(&hook("allow-always"));
    let answer = &case.heard(1)[0]["response"]["response"];
    let expected =
        json!({"behavior": "allow", "updatedInput": input, "updatedPermissions": suggested});
    assert_eq!(*answer, expected);

    let unknown = [
        json!({"type": "setMode", "mode": "bypassPermissions", "destination": "session"}),
        json!({"type": "addRules", "behavior": "deny", "destination": "session", "rules": [{"toolName": "Bash"}]}),
        json!({"type": "addRules", "behavior": "allow", "destination": "elsewhere", "rules": [{"toolName": "Bash"}]}),
        json!({"type": "addRules", "behavior": "allow", "destination": "session", "rules": [{"toolName": "Bash", "more": 1}]}),
        json!({"type": "replaceRules", "behavior": "allow", "destination": "session", "rules": []}),
    ];
    for one in unknown {
        let suggested = json!({"permission_suggestions": [mode, one]});
        let mut case = calling("Bash", &input, &suggested);
        assert_eq!(case.page.count(&hook("allow-always")), 0, "{suggested}");
        case.page.assert_no_complaints();
    }
}

#[test]
fn the_buttons_of_a_long_question_stay_on_a_phones_screen_and_hide_nothing_as_read() {
    let content = (1..=120).map(|line| format!("line {line}\n")).collect::<String>();
    let input = json!({"file_path": "/w/long.txt", "content": content});
    let mut case = calling("Write", &input, &json!({}));
    for (width, height) in [(390, 844), (320, 640)] {
        case.page.set_screen(Screen { width, height, is_phone: true, is_dark: false });
        for at in ["0.1", "0.4", "0.7"] {
            let in_reach = |name: &str| {
                format!(
                    "(() => {{
                        const scroller = document.querySelector('.scroller');
                        scroller.scrollTop = scroller.scrollHeight * {at};
                        const button = document.querySelector('{}');
                        const box = button.getBoundingClientRect();
                        return button.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
                    }})()",
                    hook(name)
                )
            };
            case.page.wait_for("a button in reach", &in_reach("allow"));
            case.page.wait_for("a button in reach", &in_reach("deny"));
        }
    }
    // The last line on the screen has to be above the buttons to count.
    case.page.wait_for(
        "a hint above the buttons",
        "(() => {
            const scroller = document.querySelector('.scroller');
            scroller.scrollTop = scroller.scrollHeight * 0.4;
            const [hint, bar] = ['.more.below', '.answer'].map((one) => document.querySelector(one).getBoundingClientRect());
            return hint.height > 0 && hint.bottom <= bar.top + 1;
        })()",
    );
    case.page.assert_no_complaints();
}

#[test]
fn results_that_only_confirm_a_call_are_folded_and_failures_are_not() {
    let line = |message: Value| message.to_string();
    let call = |id: &str, name: &str| {
        line(json!({"type": "assistant", "message": {"role": "assistant", "content": [
            {"type": "tool_use", "id": id, "name": name, "input": {"file_path": "/w/f"}}]}}))
    };
    let result = |id: &str, words: &str, failed: bool| {
        line(json!({"type": "user", "message": {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": words, "is_error": failed}]}}))
    };
    let lines = [
        call("a", "Read"),
        result("a", "what is in it", false),
        call("b", "Read"),
        result("b", "<tool_use_error>no such file</tool_use_error>", true),
    ];
    let lines = lines.join("\n");
    let mut case = Case::of(&format!("cat <<'END'\n{lines}\nEND\nexec sleep 600"));
    case.page.see_text("[data-part=result][data-error]", "Read failed");
    case.page.see_text("[data-part=result][data-error] code", "no such file");
    let failure = "document.querySelector('[data-part=result][data-error] code').textContent";
    assert_eq!(case.page.evaluate(failure), json!("no such file"));
    let read = "[data-part=use][data-state=done]";
    case.page.see_text(&format!("{read} summary"), "1 line");
    assert_eq!(case.page.count(&format!("{read} [data-part=result]")), 0, "it is open");
    case.page.click(&format!("{read} summary"));
    case.page.see_text(&format!("{read} [data-part=result] code"), "what is in it");
    case.page.assert_no_complaints();
}

/// For any two texts: what is left and removed is the first, what is left and added the second, and
/// something is marked if they differ.
const COMPARES: &str = r"(async () => {
    const { runsOf } = await import('/diff.js');
    let state = SEED;
    const draw = (below) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 2 ** 32) * below);
    };
    const parts = ['a', 'b', 'ab', '', '\r', 'a\r', 'x'.repeat(5000)];
    const any = () => Array.from({ length: draw(7) }, () => parts[draw(parts.length)]).join('\n') + (draw(2) ? '\n' : '');
    for (let count = 0; count < 20000; count += 1) {
        const [before, after] = [any(), any()];
        const runs = runsOf(before, after);
        const without = (kind) => runs.filter(([is]) => is !== kind).map(([, text]) => text).join('');
        const is = (found, text) => found === text || found === `${text}\n`;
        const wrong = !is(without('added'), before) || !is(without('removed'), after)
            || (before !== after) !== runs.some(([kind]) => kind !== 'same') || runs.some(([, text]) => !text.endsWith('\n'));
        if (wrong) return JSON.stringify([before, after, runs]).slice(0, 2000);
    }
    return 'all right';
})()";

#[test]
fn a_diff_shows_each_line_of_both_texts_and_every_difference() {
    let mut case = Case::of("exec sleep 600");
    let seed = std::process::id();
    let found = case.page.evaluate(&COMPARES.replace("SEED", &seed.to_string()));
    assert_eq!(found, json!("all right"), "with the seed {seed}");
}
