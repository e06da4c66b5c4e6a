//! Whether a command may run: asked, answered, withdrawn, or not asked at all.

use super::*;

#[test]
fn every_way_to_answer_a_question_leads_to_a_result() {
    let nothing_ran = |reason: &str, ending: &str| {
        let mut heard = alloc::vec![format!("tool(true) {reason}")];
        if ending == "completed" {
            heard.push(format!("text {reason}"));
        }
        heard.push(format!("result {ending}"));
        heard
    };
    let cases = [
        (json!({"behavior": "deny", "message": "no"}), "Permission was denied: no", "completed", 1),
        (
            json!({"behavior": "deny", "message": "no", "interrupt": true}),
            "Permission was denied: no",
            "aborted_tools",
            1,
        ),
        (
            json!({"behavior": "allow", "updatedInput": {"x": 1}}),
            "Permission was not given: updatedInput has no \"command\"",
            "completed",
            1,
        ),
    ];
    for (payload, reason, ending, denials) in cases {
        let mut host = Host::new();
        host.prompt("rm x");
        host.answer(&payload);
        let result = host.said.last().expect("said").clone();
        assert_eq!(host.heard()[3..], nothing_ran(reason, ending), "{payload}");
        assert_eq!(result["permission_denials"].as_array().map(Vec::len), Some(denials));
        assert_eq!(result["permission_denials"][0]["tool_input"]["command"], "rm x");
        assert!(host.actions.is_empty(), "{payload}");
    }
}

#[test]
fn an_allowed_command_is_the_one_that_the_host_names() {
    let mut host = Host::new();
    host.prompt("rm -r x");
    host.answer(&json!({"behavior": "allow", "updatedInput": {"command": "ls x"}}));
    assert_eq!(host.process().1, "ls x");
    // A second answer has no effect.
    host.allow();
    assert_eq!(host.actions.len(), 1);
}

#[test]
fn a_late_viewer_learns_of_the_open_question() {
    let mut host = Host::new();
    host.prompt("ls");
    let question = host.said.last().expect("said").clone();
    host.request("r", &json!({"subtype": "initialize"}));
    let answer = host.said.last().expect("said");
    assert_eq!(answer["response"]["pending_permission_requests"], json!([question]));
    assert_eq!(answer["response"]["response"]["commands"], json!([]));
}

#[test]
fn without_permission_checks_commands_run_immediately() {
    let mut host = Host::new();
    host.request("r", &json!({"subtype": "set_permission_mode", "mode": "bypassPermissions"}));
    assert_eq!(host.said[1]["permissionMode"], "bypassPermissions");
    host.prompt("ls");
    assert_eq!(host.process().1, "ls");
}

#[test]
fn an_interrupt_withdraws_the_question_before_it_is_answered() {
    let mut host = Host::new();
    host.prompt("ls");
    host.request("r", &json!({"subtype": "interrupt"}));
    assert_eq!(
        host.heard()[3..],
        ["withdraw", "success r", "tool(true) The turn was interrupted.", "result aborted_tools"]
    );
    assert!(host.actions.is_empty());
}
