//! Ids of questions are the agent's: some count from the start after a restart, some use the same one
//! always.

use serde_json::json;

use super::{CARD, Case};
use crate::support::page::hook;

const RESOLVED: &str = "[data-testid=permission-resolved]";

#[test]
fn a_question_under_an_id_that_was_answered_before_is_a_question_like_any_other() {
    let mut case = Case::of(
        r#"ask '"req-1"' ls; hear
        ask '"req-1"' rm; hear
        ask '"req-1"' rm; hear
        printf '{"type":"control_cancel_request","request_id":"never-asked"}\n'
        ask '"req-1"' pwd; printf '{"type":"control_cancel_request","request_id":"req-1"}\n'
        ask '"req-1"' pwd; hear
        exec sleep 600"#,
    );
    for (nth, command) in ["ls", "rm", "rm", "pwd"].iter().enumerate() {
        case.page.see(CARD);
        let shown = format!("document.querySelector('{CARD} textarea')?.value === '{command}'");
        case.page.wait_for(command, &shown);
        assert_eq!(case.pending().len(), 1, "the page and the relay disagree");
        case.page.click(&hook("allow"));
        let heard = case.heard(nth + 1);
        let answer = &heard[nth]["response"];
        assert_eq!(answer["request_id"], "req-1", "{heard:?}");
        assert_eq!(answer["response"]["behavior"], "allow", "{heard:?}");
        assert_eq!(answer["response"]["updatedInput"]["command"], *command, "{heard:?}");
        assert_eq!(heard[nth].as_object().map(serde_json::Map::len), Some(2), "{heard:?}");
    }
    for _ in 0..2 {
        case.page.wait_for(
            "five cards",
            &format!("document.querySelectorAll('{RESOLVED}').length === 5"),
        );
        assert_eq!(case.page.count(&format!("{RESOLVED}[data-outcome=allowed]")), 4);
        assert_eq!(case.page.count(&format!("{RESOLVED}[data-outcome=withdrawn]")), 1);
        assert_eq!(case.page.count(CARD), 0);
        assert_eq!(case.pending(), [json!(null); 0]);
        case.page.reload();
    }
    case.page.assert_no_complaints();
}

#[test]
fn an_answer_that_was_delayed_is_none_to_the_next_question_with_the_same_id() {
    let mut case = Case::of(
        r#"ask '"req-1"' ls; hear
        ask '"req-1"' rm; hear
        exec sleep 600"#,
    );
    case.page.see(CARD);
    let session = case.session();
    let first = case.pending()[0]["seq"].clone();
    let allow = json!({"request_id": "req-1", "seq": first, "behavior": "allow"});
    let path = format!("/v1/sessions/{session}/permission");
    assert_eq!(case.api().post(&path, &allow).0, 200);
    case.api().wait_for(&session, "the next question", |one| {
        one["pending_permissions"][0]["seq"].as_u64() > first.as_u64()
    });
    assert_eq!(case.api().post(&path, &allow).0, 410, "it was meant for the first one");
    assert_eq!(case.pending().len(), 1);
    case.page.see(CARD);
    case.page.click(&hook("deny"));
    assert_eq!(case.heard(2)[1]["response"]["response"]["behavior"], "deny");
}

#[test]
fn two_questions_at_once_under_one_id_are_refused_and_nobody_is_said_to_have_denied_them() {
    let mut case = Case::of(
        r#"ask '"same"' ls; ask '"same"' 'rm -r .'; hear; hear
        ask '"next"' pwd; hear
        exec sleep 600"#,
    );
    case.page.see(CARD);
    case.page.see_text("[data-testid=transcript]", "neither can be answered");
    let heard = case.heard(2);
    for answer in &heard {
        assert_eq!(answer["response"]["subtype"], "error", "{heard:?}");
    }
    case.page.wait_for("one card", &format!("document.querySelectorAll('{CARD}').length === 1"));
    assert_eq!(case.pending()[0]["request_id"], "next");
    assert_eq!(case.page.count(&format!("{RESOLVED}[data-outcome=withdrawn]")), 1);
    assert_eq!(case.page.count(&format!("{RESOLVED}[data-outcome=denied]")), 0);
    case.page.click(&hook("allow"));
    assert_eq!(case.heard(3)[2]["response"]["request_id"], "next");
    case.page.assert_no_complaints();
}

#[test]
fn the_same_question_asked_twice_is_answered_twice() {
    let mut case = Case::of(
        r#"ask '"same"' ls; ask '"same"' ls; hear; hear
        exec sleep 600"#,
    );
    case.page.see_text("[data-testid=transcript]", "repeated a question");
    assert_eq!((case.page.count(CARD), case.pending().len()), (1, 1));
    case.page.click(&hook("allow"));
    for answer in case.heard(2) {
        assert_eq!(answer["response"]["response"]["behavior"], "allow");
    }
    assert_eq!(case.pending().len(), 0);
}

#[test]
fn a_question_under_an_id_that_is_no_text_is_refused_and_the_agent_does_not_wait_for_ever() {
    let mut case = Case::of(
        r#"ask 7 ls; hear
        ask null ls; hear
        ask '{"a":[1]}' ls; hear
        ask '""' ls; hear
        exec sleep 600"#,
    );
    case.page.see(CARD);
    case.page.see_text("[data-testid=transcript]", "under an id that is not text");
    let ids = [json!(7), json!(null), json!({"a": [1]})];
    for (answer, id) in case.heard(3).iter().zip(ids) {
        assert_eq!(answer["response"]["subtype"], "error");
        assert_eq!(answer["response"]["request_id"], id);
    }
    case.page.click(&hook("allow"));
    assert_eq!(
        case.heard(4)[3]["response"]["response"]["behavior"],
        "allow",
        "it is text, if empty"
    );
    case.page.assert_no_complaints();
}
