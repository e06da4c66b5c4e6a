//! A call, the question about it and its result are one card, wherever they come from.

use serde_json::{Value, json};

use crate::field::Case;
use crate::support::page::{Page, hook};

const CARD: &str = "[data-testid=permission-card]";

fn call(id: &str, name: &str, input: &Value) -> Value {
    json!({"type": "assistant", "message": {"role": "assistant", "content": [
        {"type": "tool_use", "id": id, "name": name, "input": input}]}})
}

fn result(id: &str, words: &str) -> Value {
    json!({"type": "user", "message": {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": id, "content": words}]}})
}

fn question(id: &str, name: &str, input: &Value) -> Value {
    json!({"type": "control_request", "request_id": format!("q-{id}"), "request": {
        "subtype": "can_use_tool", "tool_name": name, "input": input, "tool_use_id": id}})
}

/// The same as a step of the agent that another call has started.
fn step(of: &str, mut message: Value) -> Value {
    message["parent_tool_use_id"] = json!(of);
    message
}

fn print(lines: &[Value]) -> String {
    let lines: Vec<_> = lines.iter().map(Value::to_string).collect();
    format!("cat <<'END'\n{}\nEND\n", lines.join("\n"))
}

/// How many entries stand in the conversation by themselves.
fn entries(page: &mut Page) -> Value {
    page.evaluate("document.querySelectorAll('.log > *').length")
}

#[test]
fn a_call_its_question_and_its_result_are_one_card_which_folds_when_it_is_done() {
    let input = json!({"command": "seq 40", "description": "Count"});
    let asked = print(&[call("a", "Bash", &input), question("a", "Bash", &input)]);
    let lines = (1..=40).map(|line| line.to_string()).collect::<Vec<_>>().join("\n");
    let done = print(&[result("a", &lines)]);
    let mut case = Case::of(&format!("{asked}hear\n{done}exec sleep 600"));
    case.page.see(&format!("[data-part=use] {CARD}"));
    case.page.click(&hook("allow"));
    let card = "[data-part=use][data-state=done]";
    for _ in 0..2 {
        case.page.see_text(&format!("{card} [data-part=result]"), "38\n39\n40");
        case.page.see_text(&format!("{card} [data-testid=permission-resolved]"), "Allowed");
        assert_eq!(entries(&mut case.page), json!(1));
        assert_eq!(case.page.count(&format!("{card} details[open]")), 0, "it is not folded");
        let twice = "document.querySelector('.log').innerText.split('seq 40').length - 1";
        assert_eq!(case.page.evaluate(twice), json!(0), "what was allowed is shown again");
        case.page.click(&format!("{card} summary"));
        case.page.see_text(&format!("{card} .call-body [data-part=result]"), "1\n2\n3\n");
        assert_eq!(case.page.evaluate(twice), json!(1));
        case.page.reload();
    }
    case.page.assert_no_complaints();
}

#[test]
fn what_a_subagent_does_is_on_the_card_of_its_task_and_what_it_asks_in_everybodys_sight() {
    let task = json!({"description": "look around", "prompt": "go", "subagent_type": "x"});
    let input = json!({"command": "ls"});
    let first = print(&[
        call("t", "Task", &task),
        step("t", json!({"type": "user", "message": {"role": "user", "content": "go"}})),
        step("t", call("b", "Read", &json!({"file_path": "/w/f"}))),
        step("t", result("b", "one\ntwo")),
        step("t", call("c", "Bash", &input)),
        question("c", "Bash", &input),
    ]);
    let last = print(&[step("t", result("c", "listed")), result("t", "I have looked around.")]);
    let mut case = Case::of(&format!("{first}hear\n{last}exec sleep 600"));
    let page = &mut case.page;
    page.see(&format!(".log > article > {CARD}"));
    page.see_text("[data-tool=Task] > details > summary", "2 steps");
    page.click(&hook("allow"));
    page.see("[data-tool=Task][data-state=done]");
    assert_eq!(entries(page), json!(1));
    assert_eq!(page.count("[data-tool=Task] .steps > [data-part=use][data-state=done]"), 2);
    assert_eq!(page.count(".steps [data-testid=permission-resolved]"), 1);
    page.see_text("[data-tool=Task] > [data-part=result]", "I have looked around.");
    page.click("[data-tool=Task] > details > summary");
    page.see_text(".steps [data-tool=Read] summary", "2 lines");
    page.assert_no_complaints();
}

#[test]
fn the_agents_tasks_stay_in_view_until_they_are_done() {
    let add = |id: &str, subject: &str| call(id, "TaskCreate", &json!({"subject": subject}));
    let set = |id: &str, task: &str, status: &str| {
        call(id, "TaskUpdate", &json!({"taskId": task, "status": status}))
    };
    let first = print(&[
        add("a", "Read the code"),
        result("a", "Task #1 created successfully: Read the code"),
        add("b", "Write it"),
        result("b", "Task #2 created successfully: Write it"),
        set("c", "1", "completed"),
        result("c", "Updated task #1"),
        set("d", "2", "in_progress"),
        result("d", "Updated task #2"),
    ]);
    let last = print(&[set("e", "2", "completed"), result("e", "Updated task #2")]);
    let mut case = Case::of(&format!("{first}hear\n{last}exec sleep 600"));
    let page = &mut case.page;
    for _ in 0..2 {
        page.see_text(&hook("checklist"), "1 of 2 done");
        page.see_text(&hook("checklist"), "Write it");
        page.reload();
    }
    page.click("[data-testid=checklist] summary");
    page.see_text("[data-testid=checklist] [data-status=completed]", "Read the code");
    crate::page::send(page, "go on");
    page.wait_for("its end", "document.querySelector('[data-testid=checklist]').hidden");
    page.assert_no_complaints();
}

#[test]
fn what_belongs_together_comes_together_in_whatever_order_it_is_loaded() {
    // The first look at a long session begins after the call, and so does what is kept on the page.
    let said =
        json!({"type": "assistant", "message": {"content": [{"type": "text", "text": "x"}]}});
    let begin = print(&[call("a", "Bash", &json!({"command": "first"}))]);
    let flood = format!("i=0; while [ $i -lt 2500 ]; do echo '{said}'; i=$((i + 1)); done\n");
    let end = print(&[result("a", "the result of the first")]);
    let mut case = Case::of(&format!("{begin}{flood}{end}exec sleep 600"));
    let page = &mut case.page;
    let is_loaded = "document.querySelector('.log')?.innerText.includes('the result of the first')";
    page.wait_for("the result", is_loaded);
    page.reload();
    page.wait_for("the result", is_loaded);
    assert_eq!(page.count(".log > [data-part=result]"), 1);
    let is_at_beginning = "(() => { const e = document.querySelector('button.earlier'); if (!e.hidden) e.click(); return e.hidden; })()";
    page.wait_for("the beginning", is_at_beginning);
    page.see("[data-tool=Bash][data-state=done] [data-part=result]");
    assert_eq!(page.count(".log > [data-part=result]"), 0, "it is shown twice");
    page.assert_no_complaints();
}

#[test]
fn markdown_is_drawn_whole_also_while_it_is_being_written() {
    let delta = |text: &str| {
        json!({"type": "stream_event", "event": {"type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": text}}, "parent_tool_use_id": null})
    };
    let text = "# Title\n\n- one\n  - two\n\n| a | b |\n|---|---|\n| 1 | **2** |\n\nSee https://a.example/x.\n\n```js\nlet x;\n```\n\n**bo";
    let first = print(&[
        delta("# Title\n\n- one\n  - two\n\n| a | b |\n|---|---|\n| 1 | **2** |\n\n"),
        delta("so **bo"),
    ]);
    let last = print(&[
        json!({"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}}),
    ]);
    let mut case = Case::of(&format!("{first}hear\n{last}exec sleep 600"));
    let page = &mut case.page;
    page.see_text("[data-streaming] strong", "bo");
    assert_eq!(page.count("[data-streaming] ul ul li"), 1);
    assert_eq!(page.count("[data-streaming] td strong"), 1);
    let raw = "document.querySelector('[data-streaming]').innerText.includes('*')";
    assert_eq!(page.evaluate(raw), json!(false), "raw marks are shown");
    crate::page::send(page, "go on");
    page.see_text("[data-kind=assistant]:not([data-streaming]) [role=heading]", "Title");
    let link = "document.querySelector('.prose a').getAttribute('href')";
    assert_eq!(page.evaluate(link), json!("https://a.example/x"));
    page.see_text(".fenced code", "let x;");
    page.assert_no_complaints();
}
