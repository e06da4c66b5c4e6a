//! A turn may end with an error although a question that it asked is open.

use super::{CARD, Case, STATE};
use crate::support::page::hook;

#[test]
fn a_question_that_a_failed_turn_has_left_open_says_so_and_can_still_be_answered() {
    let mut case = Case::of(
        r#"ask '"q"' ls
        while [ ! -e fail ]; do sleep 0.05; done
        printf '{"type":"result","subtype":"error_during_execution","is_error":true,"errors":["boom"]}\n'
        hear
        say 'I heard it'
        exec sleep 600"#,
    );
    case.page.see(CARD);
    case.page.see(&format!("{STATE}[data-detail=waiting]"));
    std::fs::write(case.file("fail"), "").expect("a file");
    case.page.see(&format!("{STATE}[data-detail=left-open]"));
    case.page.see_text(STATE, "Your turn, a question was left open");
    case.page.see_text(CARD, "The turn that asked this has ended");
    assert_eq!(case.pending()[0]["turn_ended"], true);
    let title = case.page.evaluate("document.title");
    assert!(!title.as_str().expect("text").contains("Permission requested"), "{title}");
    case.page.reload();
    case.page.see_text(CARD, "The turn that asked this has ended");
    case.page.click(&hook("allow"));
    assert_eq!(case.heard(1)[0]["response"]["response"]["behavior"], "allow");
    case.page.see_text("[data-kind=assistant]", "I heard it");
    case.page.see(&format!("{STATE}:is([data-detail=working],[data-detail=idle])"));
    case.page.assert_no_complaints();
}

#[test]
fn a_question_of_a_subagent_in_the_background_is_waited_for_after_the_turn() {
    let mut case = Case::of(
        r#"printf '{"type":"control_request","request_id":"q","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{},"agent_id":"a"}}\n'
        printf '{"type":"result","subtype":"success","is_error":false,"result":"done"}\n'
        exec sleep 600"#,
    );
    case.page.see("[data-testid=message][data-kind=result]");
    case.page.see(&format!("{STATE}[data-detail=waiting]"));
    assert!(case.pending()[0].get("turn_ended").is_none());
}
