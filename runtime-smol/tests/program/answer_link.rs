//! `footbridge answer-link`: one question, answered by whoever has its link (Y-9).

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge, output, until};

/// An agent that asks twice at once, and keeps what it is answered.
const ASKS: &str = r#"#!/bin/sh
read line
ask() {
  printf '%s\n' '{"type":"control_request","request_id":"'$1'","request":{"subtype":"can_use_tool","tool_name":"'$2'","input":{"command":"echo hi"},"tool_use_id":"t-'$1'"}}'
}
ask q1 Bash
ask q2 Write
cat > answers
"#;

/// Its exit code, and what it has printed and said.
fn run(home: &std::path::Path, args: &[&str]) -> (Option<i32>, String, String) {
    let out = output(home, &[&["answer-link"], args].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (out.status.code(), text(out.stdout), text(out.stderr))
}

#[test]
fn a_link_answers_the_question_that_it_was_made_for_and_no_other() {
    let home = tempfile::tempdir().expect("a directory");
    let agent = home.path().join("asks");
    std::fs::write(&agent, ASKS).expect("a script");
    std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o700)).expect("it may run");
    let mut command = footbridge(home.path());
    let up = ["up", "--listen", "127.0.0.1:0", "--json", "--agent", agent.to_str().expect("UTF-8")];
    let mut program = Running::start(command.args(up));
    let relay = ready(&mut program);
    let session = relay.new_session();

    let (code, _, said) = run(home.path(), &[&session]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("no open question"), "{said}");
    relay.send(&session, "go");
    until("both questions", || {
        let (_, view) = relay.call("GET", &format!("/v1/sessions/{session}"), &Value::Null);
        view["pending_permissions"].as_array().filter(|open| open.len() == 2).map(|_| ())
    });
    let (code, printed, said) = run(home.path(), &[&session]);
    assert_eq!((code, &*printed), (Some(2), ""), "{said}");
    assert!(said.contains("--request:  q1  Bash,  q2  Write"), "{said}");
    let (code, _, said) = run(home.path(), &[&session, "--request", "q3"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("\"q3\"") && said.contains("q1  Bash"), "{said}");
    let (code, _, said) = run(home.path(), &[&session, "--request", "q1", "--expires-in", "2d"]);
    assert!(code == Some(1) || code == Some(3), "more than a day: {said}");
    assert_eq!(run(home.path(), &[&session, "--expires-in", "soon"]).0, Some(2));

    let (code, printed, said) = run(home.path(), &[&session, "--request", "q2"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("q2, for Write") && said.contains(&session), "{said}");
    let url = printed.trim_end();
    assert!(!said.contains("fbanswer-"), "the link is printed once: {said}");
    let (page, token) = url.split_once("/answer#").expect("a link to the page");
    assert_eq!(page, relay.url);
    let holder = Ready {
        url: relay.url.clone(),
        token: token.to_owned(),
        environment: String::new(),
        certificate: None,
    };
    let (status, question) = holder.call("GET", "/v1/answer", &Value::Null);
    assert_eq!((status, &question["tool_name"]), (200, &json!("Write")), "{question}");
    let deny = json!({"behavior": "deny", "message": "not today"});
    assert_eq!(holder.call("POST", "/v1/answer", &deny).0, 200);
    assert_eq!(holder.call("POST", "/v1/answer", &deny).0, 410, "it worked once");
    until("the answer", || {
        let answers = std::fs::read_to_string(home.path().join("answers")).ok()?;
        (answers.contains("not today") && answers.contains("q2")).then_some(())
    });

    // The other one is the only one now.
    let (code, printed, said) = run(home.path(), &[&session, "--json", "--expires-in", "10m"]);
    assert_eq!(code, Some(0), "{said}");
    let made: Value = serde_json::from_str(&printed).expect("a line of JSON");
    assert_eq!((&made["request_id"], &made["tool_name"]), (&json!("q1"), &json!("Bash")));
    assert!(made["url"].as_str().is_some_and(|url| url.contains("/answer#fbanswer-")), "{made}");
    relay.stop(&session);
    let (code, _, said) = run(home.path(), &[&session]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("has ended"), "{said}");
}
