//! Lines from the host: control requests, waiting messages, and what is neither.

use super::*;

#[test]
fn control_requests_are_answered() {
    let cases = [
        (json!({"subtype": "initialize", "hooks": null}), "success r"),
        (json!({"subtype": "interrupt"}), "success r"),
        (json!({"subtype": "set_permission_mode", "mode": "acceptEdits"}), "success r"),
        (json!({"subtype": "set_permission_mode", "mode": "plan"}), "error r"),
        (json!({"subtype": "set_permission_mode"}), "error r"),
        (json!({"subtype": "set_model", "model": "m"}), "error r"),
        (json!({"subtype": "set_max_thinking_tokens"}), "error r"),
        (json!({"subtype": "of_the_future"}), "error r"),
        (json!({}), "error r"),
    ];
    for (request, expected) in cases {
        let mut host = Host::new();
        host.request("r", &request);
        let heard = host.heard();
        assert_eq!(heard[0], expected, "{request}");
        assert!(heard.len() == 1 || heard[1..] == ["status"], "{request}");
    }
}

#[test]
fn messages_wait_their_turn_and_too_many_are_refused() {
    let mut host = Host::new();
    for n in 0..=MAX_QUEUED_PROMPTS + 1 {
        host.prompt(&format!("echo {n}"));
    }
    let heard = host.heard();
    assert_eq!(heard, ["init", "use echo 0", "ask echo 0", "result refused"]);
    host.request("r", &json!({"subtype": "interrupt"}));
    assert_eq!(host.heard()[4..], ["init", "use echo 1", "ask echo 1"]);
    host.prompt("there is room again");
    assert_eq!(host.heard(), Vec::<String>::new());
}

#[test]
fn a_repeated_message_is_dropped_unless_it_was_refused() {
    let mut host = Host::new();
    let user = |uuid: &str| json!({"type": "user", "uuid": uuid, "message": {"role": "user", "content": "ls"}});
    host.line(&user("one"));
    host.line(&user("one"));
    for n in 0..MAX_QUEUED_PROMPTS {
        host.line(&user(&n.to_string()));
    }
    host.line(&user("refused"));
    let refused = host.said.last().expect("said");
    assert_eq!(refused["user_message_uuids"], json!(["refused"]));
    host.request("r", &json!({"subtype": "interrupt"}));
    host.heard();
    host.line(&user("refused"));
    host.line(&user("refused"));
    assert_eq!(host.machine.runner.role().waiting.len(), MAX_QUEUED_PROMPTS);
    assert_eq!(host.heard(), Vec::<String>::new());
}

#[test]
fn a_message_without_a_command_has_a_result_too() {
    let mut host = Host::new();
    host.prompt("  ");
    let heard = host.heard();
    assert_eq!((heard.len(), heard[2].as_str()), (3, "result completed"));
}

#[test]
fn a_line_that_is_not_a_message_is_reported_and_skipped() {
    let mut host = Host::new();
    host.bytes(b"hello\n\xff\n[1]\n{\"type\":\"keep_alive\"}\n");
    host.line(&json!({"type": "control_request", "request": {"subtype": "initialize"}}));
    assert_eq!(
        host.notices,
        [
            Notice::Skipped(MessageError::NotJson),
            Notice::Skipped(MessageError::NotJson),
            Notice::Skipped(MessageError::NotTyped),
            Notice::Unanswerable,
        ]
    );
    assert_eq!(host.heard(), Vec::<String>::new());
    host.prompt("ls");
    assert_eq!(host.heard().len(), 3);
}
