//! Links that answer one question, opened in browsers that are not signed in (Y-9).

use serde_json::{Value, json};

use crate::field::Case;
use crate::support::api::Api;
use crate::support::page::{Page, hook};
use crate::support::poll;

const CARD: &str = "[data-testid=permission-card]";
const ALERT: &str = "[role=alert]";
/// What whoever comes too late is told.
const OVER: &str = "this link was used, has run out, or its question is not open any more";

/// An agent that asks so many questions at once, and hears as many answers.
fn asking(count: usize) -> Case {
    let line = |at: usize| {
        json!({"type": "control_request", "request_id": format!("q{at}"), "request": {
            "subtype": "can_use_tool", "tool_name": "Bash", "tool_use_id": format!("t{at}"),
            "input": {"command": format!("echo {at} | sed p")}}})
        .to_string()
    };
    let lines = (0..count).map(line).collect::<Vec<_>>().join("\n");
    let hear = "hear\n".repeat(count);
    let mut case = Case::of(&format!("cat <<'END'\n{lines}\nEND\n{hear}exec sleep 600"));
    let asked = format!("document.querySelectorAll('{CARD}').length === {count}");
    case.page.wait_for("all questions", &asked);
    case
}

/// A link for a question, made as a program makes it.
fn link(api: &Api, session: &str, more: &Value) -> (String, String) {
    let (status, made) = api.post(&format!("/v1/sessions/{session}/permission/link"), more);
    assert_eq!(status, 201, "{made}");
    let text = |name: &str| made[name].as_str().expect("text").to_owned();
    (text("url"), text("token"))
}

fn response(heard: &[Value], id: &str) -> Value {
    let of = |line: &&Value| line["response"]["request_id"] == id;
    heard.iter().find(of).expect("it was answered")["response"]["response"].clone()
}

#[test]
fn whoever_has_a_link_answers_its_question_once_without_signing_in() {
    let mut case = asking(4);
    let (session, api) = (case.session(), case.api());
    // By the button on the first card.
    case.page.click(&hook("answer-link"));
    let shown = "document.querySelector('[data-testid=answer-url]')?.textContent";
    let first = case.page.wait_for("a link", shown);
    let first = first.as_str().expect("text");
    let mut somebody = Page::open(first);
    somebody.see_text(&hook("asked"), "echo 0 | sed p");
    // They see this question and nothing else, and a reload uses nothing up.
    assert_eq!(somebody.count(&hook("asked")), 1);
    somebody.reload();
    somebody.see_text("h2", "Bash");
    somebody.click(&hook("allow"));
    somebody.see_text(&hook("done"), "Allowed");
    somebody.assert_no_complaints();
    let allowed = response(&case.heard(1), "q0");
    assert_eq!(allowed["behavior"], "allow");
    assert_eq!(allowed["updatedInput"]["command"], "echo 0 | sed p");
    // It has worked, for them as for everybody else.
    somebody.reload();
    somebody.see_text(ALERT, OVER);
    let mut another = Page::open(first);
    another.see_text(ALERT, OVER);
    assert_eq!(another.count(&hook("allow")), 0);

    let (second, _) = link(&api, &session, &json!({"request_id": "q1"}));
    let mut somebody = Page::open(&second);
    somebody.fill("main input", "not on a Friday");
    somebody.click(&hook("deny"));
    somebody.see_text(&hook("done"), "Denied");
    let expected = json!({"behavior": "deny", "message": "not on a Friday"});
    assert_eq!(response(&case.heard(2), "q1"), expected);

    // Somebody answers on the session's page while the question is looked at by the link.
    let (third, _) = link(&api, &session, &json!({"request_id": "q2"}));
    let mut somebody = Page::open(&third);
    somebody.see(&hook("asked"));
    let denied = json!({"request_id": "q2", "behavior": "deny", "message": "no"});
    assert_eq!(api.post(&format!("/v1/sessions/{session}/permission"), &denied).0, 200);
    somebody.click(&hook("allow"));
    somebody.see_text(ALERT, OVER);
    assert_eq!(response(&case.heard(3), "q2")["behavior"], "deny");

    // Its time is over, and the question still open.
    let (fourth, token) = link(&api, &session, &json!({"request_id": "q3", "expires_in": 1}));
    let base = fourth.split("/answer#").next().expect("an address");
    let by_link = Api::new(base, &token);
    poll(|| (by_link.get("/v1/answer").0 == 410).then_some(())).expect("it runs out");
    let mut late = Page::open(&fourth);
    late.see_text(ALERT, OVER);
    assert_eq!(late.count(&hook("allow")), 0);
    let pending = &api.session(&session)["pending_permissions"];
    assert_eq!(pending[0]["request_id"], "q3", "{pending}");
    // A link that is not whole says so too.
    let mut cut = Page::open(&fourth[..fourth.len() - 8]);
    cut.see_text(ALERT, "it is not whole");
    case.page.assert_no_complaints();
}
