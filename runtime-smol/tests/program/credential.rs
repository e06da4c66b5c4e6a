//! Credentials by scope: what a worker holds, and what an agent finds on its machine.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge, output, pid_in};

fn relay(home: &Path) -> Running {
    Running::start(footbridge(home).args(["relay", "--listen", ":0", "--json"]))
}

#[test]
fn a_worker_with_a_credential_of_its_own_serves_sessions_and_can_do_nothing_else() {
    let (home, machine) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let mut relay_program = relay(home.path());
    let relay = ready(&mut relay_program);
    let made = output(home.path(), &["relay", "credential", "--name", "laptop"]);
    let credential = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    assert!(credential.starts_with("fbworker-") && made.stderr.is_empty(), "{credential}");
    let mut command = footbridge(machine.path());
    command.args(["work", "--relay", &relay.url, "--json"]).env("FOOTBRIDGE_TOKEN", &credential);
    let mut worker = Running::start(&mut command);
    let relay = Ready { environment: ready(&mut worker).environment, ..relay };
    let session = relay.new_session();
    relay.send(&session, "echo it ran");
    relay.allow(&session);
    let result = relay.event(&session, |message| message["type"] == "result");
    assert_eq!(result["subtype"], "success");
    // Whoever reads it on the worker's machine can answer nothing with it.
    let thief = Ready { token: credential, ..relay };
    let answer = json!({"request_id": "x", "behavior": "allow"});
    for (method, path, body) in [
        ("GET", "/v1/sessions".to_owned(), &Value::Null),
        ("GET", format!("/v1/sessions/{session}/events"), &Value::Null),
        ("POST", format!("/v1/sessions/{session}/permission"), &answer),
        ("POST", "/v1/sign-in".to_owned(), &Value::Null),
        ("POST", "/v1/sign-in/codes".to_owned(), &Value::Null),
    ] {
        assert_eq!(thief.call(method, &path, body).0, 403, "{path}");
    }
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Some(0));
    // It is no access token: a relay would have none that workers do not know.
    let mut command = footbridge(machine.path());
    command.args(["relay", "--listen", ":0"]).env("FOOTBRIDGE_TOKEN", &thief.token);
    let refused = command.output().expect("it runs");
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("worker credential") && !stderr.contains(&thief.token), "{stderr}");
}

#[test]
fn a_credential_is_written_to_a_new_file_that_only_its_owner_can_read() {
    let home = tempfile::tempdir().expect("a directory");
    let mut relay_program = relay(home.path());
    let relay = ready(&mut relay_program);
    let make = ["relay", "credential", "--out", "made"];
    let made = output(home.path(), &make);
    assert_eq!((made.status.code(), made.stdout.len()), (Some(0), 0));
    let path = home.path().join("made");
    let mode = path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    // No file is replaced, least of all that of the access token.
    let token = home.path().join(".local/state/footbridge/token");
    let token = token.to_str().expect("text");
    for taken in ["made", token] {
        let again = output(home.path(), &["relay", "credential", "--out", taken]);
        let stderr = String::from_utf8_lossy(&again.stderr).into_owned();
        assert!(again.status.code() == Some(5) && stderr.contains("exists"), "{stderr}");
    }
    assert_eq!(std::fs::read_to_string(token).expect("kept").trim(), relay.token);
    let work = ["work", "--relay", &relay.url, "--token-file", "made", "--check"];
    let checked = output(home.path(), &work);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
}

#[test]
fn the_worker_of_up_keeps_nothing_of_its_owner_where_an_agent_looks() {
    let home = tempfile::tempdir().expect("a directory");
    let args = ["up", "--listen", ":0", "--json", "--name", "test"];
    let mut program = Running::start(footbridge(home.path()).args(args));
    let relay = ready(&mut program);
    let session = relay.new_session();
    let state = ".local/state/footbridge";
    relay.send(
        &session,
        &format!("(env; cat /proc/$PPID/environ; grep -r . {state}/workers) >seen 2>&1; echo $$ >pid; sleep 1000"),
    );
    relay.allow(&session);
    pid_in(&home.path().join("pid"));
    let seen = std::fs::read(home.path().join("seen")).expect("it looked");
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("worker_id"), "it saw the worker's state: {seen}");
    for secret in [relay.token.as_str(), "fbworker-", "FOOTBRIDGE_TOKEN="] {
        assert!(!seen.contains(secret), "{secret}: {seen}");
    }
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
}
