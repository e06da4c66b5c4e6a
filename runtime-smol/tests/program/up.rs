//! `footbridge up`, `relay` and `work`, from the first message to the last.

use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge, output, pid_in, until_gone};

fn up(home: &Path) -> Running {
    Running::start(footbridge(home).args(["up", "--listen", ":0", "--json", "--name", "test"]))
}

#[test]
fn a_session_runs_from_the_first_message_to_a_clean_end() {
    let home = tempfile::tempdir().expect("a directory");
    let mut program = up(home.path());
    let relay = ready(&mut program);
    let (status, page) = relay.call("GET", "/", &Value::Null);
    assert_eq!(status, 200);
    assert!(page.as_str().is_some_and(|page| page.contains("<title>Footbridge</title>")));
    let session = relay.new_session();
    relay.send(&session, "echo $$ > pid; echo \"token:$FOOTBRIDGE_TOKEN:\"; exec sleep 1000");
    relay.allow(&session);
    let pid = pid_in(&home.path().join("pid"));
    relay.event(&session, |message| message["event"]["delta"]["text"] == "token::\n");
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
    until_gone(pid);
    // The token is kept across restarts.
    let mut again = up(home.path());
    assert_eq!(ready(&mut again).token, relay.token);
    again.signal(Signal::INT);
    assert_eq!(again.wait(), Some(0));
}

#[test]
fn a_relay_and_a_worker_in_two_processes_do_the_same() {
    let home = tempfile::tempdir().expect("a directory");
    let mut relay_program =
        Running::start(footbridge(home.path()).args(["relay", "--listen", ":0", "--json"]));
    let relay = ready(&mut relay_program);
    let work = ["work", "--relay", &relay.url, "--json"];
    let mut worker = Running::start(footbridge(home.path()).args(work));
    let environment = ready(&mut worker).environment;
    let relay = Ready { environment, ..relay };
    let session = relay.new_session();
    relay.send(&session, "echo it ran");
    relay.allow(&session);
    let result = relay.event(&session, |message| message["type"] == "result");
    assert_eq!(result["subtype"], "success");
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Some(0));
    let (_, list) = relay.call("GET", "/v1/environments", &Value::Null);
    let online = list["environments"].as_array().expect("a list").iter();
    assert_eq!(online.filter(|environment| environment["online"] == true).count(), 0);
    relay_program.signal(Signal::TERM);
    assert_eq!(relay_program.wait(), Some(0));
}

#[test]
fn a_worker_with_a_wrong_token_is_refused_with_code_3() {
    let home = tempfile::tempdir().expect("a directory");
    let mut relay_program =
        Running::start(footbridge(home.path()).args(["relay", "--listen", ":0", "--json"]));
    let relay = ready(&mut relay_program);
    std::fs::remove_dir_all(home.path().join(".local")).expect("removed");
    let token = home.path().join("token");
    std::fs::write(&token, "a-token-that-is-none").expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&token, mode).expect("mode");
    let refused = output(home.path(), &["work", "--relay", &relay.url, "--token-file", "token"]);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{stderr}");
    assert!(!stderr.contains("a-token-that-is-none"), "{stderr}");
}

#[test]
fn a_second_signal_does_not_wait_for_an_agent_that_will_not_end() {
    let home = tempfile::tempdir().expect("a directory");
    let stubborn = "sh -c \"trap '' TERM; echo $$ > pid; while :; do sleep 1; done\"";
    let limits = ["--agent", stubborn, "--shutdown-grace", "1h"];
    let args = [&["up", "--listen", ":0", "--json"][..], &limits].concat();
    let mut program = Running::start(footbridge(home.path()).args(args));
    let relay = ready(&mut program);
    relay.new_session();
    let pid = pid_in(&home.path().join("pid"));
    program.signal(Signal::TERM);
    program.signal(Signal::INT);
    assert_eq!(program.wait(), Some(0));
    until_gone(pid);
}

#[test]
fn what_a_parent_does_to_signals_changes_no_result() {
    let home = tempfile::tempdir().expect("a directory");
    let program = env!("CARGO_BIN_EXE_footbridge");
    let mut command = footbridge(home.path());
    let ignoring = format!(
        "trap '' CHLD; exec {program} up --listen :0 --json --agent 'sh -c \"read line; exit 3\"'"
    );
    let directory = command.get_current_dir().expect("a directory").to_owned();
    let variables: Vec<_> = command
        .get_envs()
        .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
        .collect();
    command = std::process::Command::new("sh");
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["-c", &ignoring]).current_dir(directory);
    let mut program = Running::start(&mut command);
    let relay = ready(&mut program);
    let session = relay.new_session();
    relay.send(&session, "end");
    let result = crate::running::until("a result", || {
        let (_, session) = relay.call("GET", &format!("/v1/sessions/{session}"), &Value::Null);
        Some(session["result"].clone()).filter(|result| !result.is_null())
    });
    assert_eq!(
        (&result["status"], &result["exit_code"]),
        (&"failed".into(), &3.into()),
        "{result}"
    );
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
}
