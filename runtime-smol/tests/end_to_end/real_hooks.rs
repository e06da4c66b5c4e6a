//! Hooks of a client and the real Claude Code: it runs no tool that its hook has not let through,
//! whoever is gone (M-6). Skipped where `REAL_AGENT` does not say that it is there.

use serde_json::{Value, json};

use crate::real_agent::{Disk, is_here};
use crate::support::api::Api;
use crate::support::client::Client;

const ONE: &str = "client-one-0123456789";

fn hooks(timeout: Option<u32>) -> Value {
    let mut matcher = json!({"matcher": "Bash", "hookCallbackIds": ["hook_0"]});
    if let Some(timeout) = timeout {
        matcher["timeout"] = timeout.into();
    }
    json!({"subtype": "initialize", "hooks": {"PreToolUse": [matcher]}})
}

/// What a hook says; *allow* also settles the question that people would be asked.
fn decides(decision: &str) -> Value {
    json!({"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": decision}})
}

fn asks_for(api: &Api, session: &str, file: &str) {
    let call = json!({"command": format!("touch {file}"), "description": "a file"});
    api.say(session, &format!("TOOL Bash {call}"));
}

/// Waits for the `n`th result.
fn turn(api: &Api, session: &str, n: usize) {
    api.wait_for(session, "the end of the turn", |_| {
        let log = api.log(session);
        log.iter().filter(|event| event["message"]["type"] == "result").count() >= n
    });
}

#[test]
fn a_client_with_a_hook_decides_whether_bash_runs() {
    if !is_here() {
        return;
    }
    let disk = Disk::new(11);
    let program = disk.up();
    let api = program.api();
    let session = api.new_session();
    let mut client = Client::connect(&api, &session, ONE);
    client.declare(&api, &hooks(None));

    asks_for(&api, &session, "denied");
    let asked = client.asked();
    client.answer(&api, &asked, &json!({"response": decides("deny")}));
    turn(&api, &session, 1);
    assert!(!disk.directory.path().join("denied").exists());

    asks_for(&api, &session, "allowed");
    let asked = client.asked();
    client.answer(&api, &asked, &json!({"response": decides("allow")}));
    turn(&api, &session, 2);
    assert!(disk.directory.path().join("allowed").exists(), "{:?}", api.log(&session));

    // The agent itself would run the tool.
    asks_for(&api, &session, "failed");
    let asked = client.asked();
    client.answer(&api, &asked, &json!({"error": "the hook broke"}));
    turn(&api, &session, 3);
    assert!(!disk.directory.path().join("failed").exists(), "{:?}", api.log(&session));
}

#[test]
fn bash_does_not_run_while_its_client_is_gone_nor_after_the_worker_was_killed() {
    if !is_here() {
        return;
    }
    let disk = Disk::new(12);
    let program = disk.up();
    let api = program.api();
    let session = api.new_session();
    let client = Client::connect(&api, &session, ONE);
    client.declare(&api, &hooks(Some(4)));
    api.say(&session, "the first words");
    turn(&api, &session, 1);
    drop(client);
    asks_for(&api, &session, "gone");
    turn(&api, &session, 2);
    assert!(!disk.directory.path().join("gone").exists(), "{:?}", api.log(&session));

    // The next run of the agent knows nothing of the hook, unless it is told.
    program.crash();
    let program = disk.up();
    let api = program.api();
    asks_for(&api, &session, "resumed");
    turn(&api, &session, 3);
    assert!(!disk.directory.path().join("resumed").exists(), "{:?}", api.log(&session));
    let mut client = Client::connect(&api, &session, ONE);
    asks_for(&api, &session, "back");
    let asked = client.asked();
    client.answer(&api, &asked, &json!({"response": decides("allow")}));
    turn(&api, &session, 4);
    assert!(disk.directory.path().join("back").exists(), "{:?}", api.log(&session));
}
