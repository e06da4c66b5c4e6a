//! Agents are started through shells, wrappers and terminals of every kind, which print as well.

use serde_json::Value;

use super::Case;

/// What viewers were told of what was skipped.
fn told(case: &mut Case) -> Vec<Value> {
    let session = case.session();
    let events = case.api().log(&session).into_iter().map(|event| event["message"].clone());
    events.filter(|message| message["subtype"] == "agent_output_error").collect()
}

#[test]
fn a_first_line_with_a_byte_order_mark_is_a_message_and_white_space_is_nothing() {
    let mut case = Case::of(
        r#"printf '\357\273\277'; say one
        printf '   \n\t\r\n \357\273\277 \n'
        printf '{"type":"x"}\r\n'
        printf '\033]0;user@host\007\033[0m'; say two
        printf ' 10 %%\r 60 %%\r'; say three
        printf '{"type":"system","subtype":"init"}{"type":"assistant","message":{"content":"four"}}\n'
        exec sleep 600"#,
    );
    for words in ["one", "two", "three", "four"] {
        case.page.see_text("[data-kind=assistant]", words);
    }
    assert_eq!(told(&mut case), [Value::Null; 0]);
    case.page.assert_no_complaints();
}

#[test]
fn a_greeting_before_the_first_message_is_said_once_and_the_rest_is_counted() {
    let mut case = Case::of(
        r#"i=0; while [ $i -lt 300 ]; do echo "Welcome to line $i"; i=$((i + 1)); done
        i=0; while [ $i -lt 300 ]; do printf '\033[32mready %s\033[0m\n' $i; i=$((i + 1)); done
        say 'at last'
        exec sleep 600"#,
    );
    case.page.see_text("[data-kind=assistant]", "at last");
    case.page.see_text("[data-testid=message]", "such as the greeting of a shell");
    case.page.see_text("[data-testid=message]", "text for a terminal");
    case.page.see_text("[data-testid=message]", "298 more lines like it were skipped.");
    let session = case.session();
    case.api().wait_for_event(&session, "the count", |event| event["message"]["more"] == 298);
    let told = told(&mut case);
    assert!(told.len() <= 6, "{told:#?}");
    let more: u64 = told.iter().map(|one| 1 + one["more"].as_u64().unwrap_or(0)).sum();
    assert_eq!(more, 600, "each is told of or counted: {told:#?}");
    case.page.assert_no_complaints();
}

#[test]
fn what_is_no_message_is_named_for_what_it_is() {
    let mut case = Case::of(
        r#"say first
        printf '{\n  "type": "assistant",\n  "message": {}\n}\n'
        printf '\377\376{\000"\000t\000y\000p\000e\000"\000}\000\n'
        printf 'bad \377 bytes\n'
        echo '[1, 2]'
        exec sleep 600"#,
    );
    for words in
        ["cut off or written over several lines", "UTF-16", "is not UTF-8", "not a JSON object"]
    {
        case.page.see_text("[data-testid=message]", words);
    }
    case.page.assert_no_complaints();
}
