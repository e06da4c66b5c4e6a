//! An agent may die with a message in its hands, or before it had it.

use serde_json::{Value, json};

use super::Case;
use crate::page::send;
use crate::support::page::hook;
use crate::support::poll;

const RECEIPT: &str = "[data-testid=receipt]";

#[test]
fn a_message_that_died_with_its_agent_says_so_and_can_be_sent_again_in_a_new_session() {
    for ending in ["exit 1", "exit 0", "kill -9 $$"] {
        let mut case = Case::of(&format!(
            r#"if [ -e again ]; then hear; say 'now I have read it'; exec sleep 600; fi
            while [ ! -e again ]; do sleep 0.05; done
            {ending}"#
        ));
        let before = case.session();
        send(&mut case.page, "please do it");
        case.page.see(&format!("{RECEIPT}[data-stage=delivered]"));
        std::fs::write(case.file("again"), "").expect("a file");
        case.page.see(&format!("{RECEIPT}[data-stage=indeterminate]"));
        case.page.see_text(RECEIPT, "Not known whether the agent read this");
        case.page.see_text(&hook("send-again"), "in a new session");
        case.page.click(&hook("send-again"));
        case.page.wait_for("another session", &format!("!location.hash.includes('{before}')"));
        case.page.see_text("[data-kind=user]", "please do it");
        case.page.see_text("[data-kind=assistant]", "now I have read it");
        assert_eq!(case.heard(1)[0]["message"]["content"], "please do it");
        case.page.assert_no_complaints();
    }
}

#[test]
fn what_was_sent_before_the_agent_died_never_stays_as_sent() {
    for ending in ["exit 1", "exit 0", "no-such-program"] {
        let case = Case::of(ending);
        let session = case.api().new_session();
        case.api().say(&session, "hello");
        let events = case.api().log(&session);
        let sent = events.iter().find(|event| event["from"] == "viewer").expect("a message");
        let receipt = || {
            let path = format!("/v1/sessions/{session}/receipts/{}", sent["seq"]);
            case.api().get(&path).1["stage"].clone()
        };
        let ends =
            |stage: &Value| *stage == json!("undelivered") || *stage == json!("indeterminate");
        let stage = poll(|| Some(receipt()).filter(ends));
        assert!(stage.is_some(), "{ending}: {}", receipt());
    }
}
