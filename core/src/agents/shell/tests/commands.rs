//! A command, from the message that requests it to its result.

use super::*;

#[test]
fn a_message_is_confirmed_run_and_reported() {
    let mut host = Host::new();
    host.prompt("echo hi");
    assert_eq!(host.said[0]["cwd"], "/w");
    assert_eq!(host.said[0]["permissionMode"], "default");
    let question = host.said[2]["request"].clone();
    assert_eq!(question["tool_use_id"], host.said[1]["message"]["content"][0]["id"]);
    assert_eq!(question["subtype"], "can_use_tool");
    host.allow();
    assert_eq!(host.heard(), ["init", "use echo hi", "ask echo hi"]);
    assert_eq!(host.process().1, "echo hi");
    assert!(host.did(|action| {
        matches!(action, Action::Spawn { command, .. } if command.env_remove == ["TOKEN"])
    }));
    host.stdout(b"hi\n");
    host.now.mono = host.now.mono + Duration::from_millis(1_250);
    host.exit(ExitStatus::Code(0));
    let result = host.said.last().expect("said").clone();
    assert_eq!(
        host.heard(),
        [
            "message_start",
            "content_block_start",
            "delta hi\n",
            "content_block_stop",
            "message_stop",
            "tool(false) hi\n",
            "text Done in 1.2 s.",
            "result completed",
        ]
    );
    let without_uuid = |mut value: Value| {
        let uuid = value["uuid"].take();
        assert_eq!(uuid.as_str().map(str::len), Some(36));
        value.as_object_mut().expect("object").remove("uuid");
        value
    };
    assert_eq!(
        without_uuid(result),
        json!({
            "type": "result", "subtype": "success", "is_error": false, "duration_ms": 1250,
            "duration_api_ms": 0, "num_turns": 1, "session_id": "S",
            "result": "Done in 1.2 s.", "stop_reason": "end_turn",
            "total_cost_usd": 0, "usage": {}, "modelUsage": {}, "permission_denials": [],
            "terminal_reason": "completed",
        })
    );
}

#[test]
fn the_tool_result_says_how_a_command_failed() {
    let cases = [
        (ExitStatus::Code(3), &b"oops"[..], "tool(true) oops\n[exit code 3]"),
        (ExitStatus::Signal(9), b"", "tool(true) [signal 9]"),
        (ExitStatus::Code(0), b"", "tool(false) (no output)"),
        (ExitStatus::Code(0), b"\xff\xe2\x82", "tool(false) \u{fffd}\u{fffd}"),
    ];
    for (status, output, expected) in cases {
        let mut host = Host::with_mode(PermissionMode::BypassPermissions);
        host.prompt("x");
        host.stdout(output);
        host.exit(status);
        assert!(host.heard().contains(&expected.to_owned()), "{expected}");
    }
}

#[test]
fn a_command_that_cannot_be_started_is_a_failed_tool() {
    let mut host = Host::with_mode(PermissionMode::BypassPermissions);
    host.prompt("x");
    let (op, _) = host.process();
    let failure = IoError { kind: IoErrorKind::NotFound, detail: "no such directory".to_owned() };
    host.handle(Event::Failed { op, failure });
    assert_eq!(
        host.heard()[2],
        "tool(true) /bin/sh could not be started in /w: not found: no such directory"
    );
    assert!(host.machine.runner.role().turn.is_none());
}

#[test]
fn an_interrupt_ends_the_running_command_and_kills_what_will_not_end() {
    let mut host = Host::with_mode(PermissionMode::BypassPermissions);
    host.prompt("sleep 9");
    host.stdout(b"z");
    host.heard();
    host.request("r", &json!({"subtype": "interrupt"}));
    assert_eq!(host.heard(), ["success r"]);
    assert_eq!(host.signals(), [Signal::Terminate]);
    host.request("r2", &json!({"subtype": "interrupt"}));
    assert_eq!((host.heard(), host.signals().len()), (alloc::vec!["success r2".to_owned()], 1));
    host.pass(COMMAND_GRACE);
    assert_eq!(host.signals(), [Signal::Terminate, Signal::Kill]);
    host.exit(ExitStatus::Signal(9));
    assert_eq!(
        host.heard(),
        [
            "content_block_stop",
            "message_stop",
            "tool(true) z\n[Interrupted]",
            "result aborted_tools"
        ]
    );
    // The agent keeps running.
    host.prompt("ls");
    assert_eq!(host.process().1, "ls");
}

#[test]
fn a_command_that_cannot_be_killed_is_eventually_abandoned() {
    let mut host = Host::with_mode(PermissionMode::BypassPermissions);
    host.prompt("x");
    host.request("r", &json!({"subtype": "interrupt"}));
    host.pass(COMMAND_GRACE);
    host.pass(COMMAND_ABANDON_AFTER);
    assert_eq!(host.notices, [Notice::Abandoned]);
    assert_eq!(host.heard().last().map(String::as_str), Some("result aborted_tools"));
}

#[test]
fn what_a_command_leaves_behind_is_not_waited_for() {
    let mut host = Host::with_mode(PermissionMode::BypassPermissions);
    host.prompt("sleep 100 &");
    let (op, _) = host.process();
    host.handle(Event::Exited { op, status: ExitStatus::Code(0) });
    assert!(host.machine.runner.role().turn.is_some());
    host.pass(COMMAND_LINGER);
    assert!(host.did(|action| *action == Action::Cancel { op }));
    assert_eq!(host.heard().last().map(String::as_str), Some("result completed"));
}
