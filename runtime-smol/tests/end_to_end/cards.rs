//! Questions of the agent, each in the form that suits its tool.

use serde_json::{Value, json};

use crate::field::Case;
use crate::support::page::hook;

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
