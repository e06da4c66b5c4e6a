//! `footbridge agent` with real commands.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::running::{Running, footbridge, pid_in, until_gone};

fn agent(home: &std::path::Path, args: &[&str]) -> Running {
    Running::start(footbridge(home).arg("agent").args(args))
}

fn user(text: &str) -> Value {
    json!({"type": "user", "message": {"role": "user", "content": text}})
}

fn request(id: &str, subtype: &str) -> Value {
    json!({"type": "control_request", "request_id": id, "request": {"subtype": subtype}})
}

fn answer(question: &Value, payload: &Value) -> Value {
    let response = json!({
        "subtype": "success", "request_id": question["request_id"], "response": payload,
    });
    json!({"type": "control_response", "response": response})
}

fn tool_result(message: &Value) -> &str {
    message["message"]["content"][0]["content"].as_str().expect("text")
}

#[test]
fn an_allowed_command_runs_and_its_output_comes_back() {
    let home = tempfile::tempdir().expect("a directory");
    let mut agent = agent(home.path(), &["--session-id", "S"]);
    agent.say(&user("pwd; echo to-stderr >&2; cat; echo $FOOTBRIDGE_TOKEN; exit 3"));
    let question = agent.message("control_request");
    agent.say(&answer(&question, &json!({"behavior": "allow", "updatedInput": {}})));
    let result = agent.message("user");
    let directory = home.path().canonicalize().expect("there");
    let expected = format!("{}\nto-stderr\n\n[exit code 3]", directory.display());
    assert_eq!(tool_result(&result), expected);
    assert_eq!(agent.message("result")["session_id"], "S");
    agent.close_stdin();
    assert_eq!(agent.line(), None);
    assert_eq!(agent.wait(), Some(0));
}

#[test]
fn a_question_that_can_no_longer_be_answered_is_denied() {
    let home = tempfile::tempdir().expect("a directory");
    let mut agent = agent(home.path(), &[]);
    agent.say(&user("touch it-ran"));
    agent.close_stdin();
    let result = agent.message("result");
    assert_eq!(result["permission_denials"][0]["tool_input"]["command"], "touch it-ran");
    assert_eq!(agent.wait(), Some(0));
    assert!(!home.path().join("it-ran").exists());
}

#[test]
fn nothing_that_was_started_outlives_the_agent() {
    // The shell, its child, and one that ignores SIGTERM.
    let command = "echo $$ > shell; sleep 1000 & echo $! > child; \
        (trap '' TERM; exec sleep 1000) & echo $! > stubborn; echo up; wait";
    for ending in [Signal::TERM, Signal::INT, Signal::HUP, Signal::KILL] {
        let home = tempfile::tempdir().expect("a directory");
        let mut agent = agent(home.path(), &["--permission-mode", "bypassPermissions"]);
        agent.say(&user(command));
        agent.message("stream_event");
        let pids = ["shell", "child", "stubborn"].map(|name| pid_in(&home.path().join(name)));
        agent.signal(ending);
        let expected = (ending != Signal::KILL).then_some(0);
        assert_eq!(agent.wait(), expected, "{ending:?}");
        pids.into_iter().for_each(until_gone);
    }
}

#[test]
fn what_a_command_leaves_behind_ends_with_its_turn() {
    let home = tempfile::tempdir().expect("a directory");
    let mut agent = agent(home.path(), &["--permission-mode", "bypassPermissions"]);
    agent.say(&user("sleep 1000 >/dev/null 2>&1 & echo $! > left"));
    assert_eq!(agent.message("result")["subtype"], "success");
    until_gone(pid_in(&home.path().join("left")));
}

#[test]
fn a_flood_that_nobody_reads_stays_small_and_can_be_interrupted() {
    let home = tempfile::tempdir().expect("a directory");
    let mut agent = agent(home.path(), &["--permission-mode", "bypassPermissions"]);
    // A paused command does not get that far.
    agent.say(&user("yes | { head -c 10000000; echo > 10-megabytes; cat; }"));
    agent.message("stream_event");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(!home.path().join("10-megabytes").exists(), "the command is paused");
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).expect("alive");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 64 * 1024, "{peak} kB");
    agent.say(&request("r", "interrupt"));
    assert_eq!(agent.message("control_response")["response"]["request_id"], "r");
    assert_eq!(agent.message("result")["terminal_reason"], "aborted_tools");
}
