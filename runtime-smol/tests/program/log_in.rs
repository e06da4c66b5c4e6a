//! Logging in (T-6): by the program, by somebody else's OAuth client, and what becomes of it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge, output, until};

pub(crate) fn relay(home: &Path) -> (Running, Ready) {
    let mut program = Running::start(footbridge(home).args(["relay", "--listen", ":0", "--json"]));
    let ready = ready(&mut program);
    (program, ready)
}

/// The next line of a program that is a user code.
fn code(program: &mut Running) -> String {
    loop {
        let line = program.line().expect("a line");
        if line.trim().len() == 9 && line.trim().as_bytes()[4] == b'-' {
            return line.trim().to_owned();
        }
    }
}

fn approve(relay: &Ready, code: &str) {
    let (status, asked) =
        relay.call("GET", &format!("/v1/oauth/device?user_code={code}"), &Value::Null);
    assert_eq!(status, 200, "{asked}");
    let answer = json!({"user_code": code, "answer": "approve"});
    assert_eq!(relay.call("POST", "/v1/oauth/device", &answer).0, 200);
}

/// A machine that is logged in.
pub(crate) fn log_in(machine: &Path, relay: &Ready, args: &[&str]) {
    let mut command = footbridge(machine);
    let mut program = Running::start(command.args(["login", &relay.url]).args(args));
    let code = code(&mut program);
    approve(relay, &code);
    assert_eq!(program.wait(), Some(0));
}

/// The file of its only log-in.
pub(crate) fn file_of(machine: &Path) -> PathBuf {
    let directory = machine.join(".local/state/footbridge/log-ins");
    let files = std::fs::read_dir(directory).expect("a directory");
    let files = files.map(|file| file.expect("a file").path());
    let mut files = files.filter(|file| file.extension().is_none_or(|end| end != "lock"));
    let file = files.next().expect("a log-in");
    assert!(files.next().is_none(), "one file, and no temporary ones");
    file
}

/// Makes the access token in the file one that has to be refreshed.
pub(crate) fn spoil(file: &Path) {
    let text = std::fs::read_to_string(file).expect("text");
    let mut kept: Value = serde_json::from_str(&text).expect("JSON");
    kept["access_token"] = json!("fbaccess-spoilt");
    std::fs::write(file, kept.to_string()).expect("written");
}

pub(crate) fn stdout(home: &Path, args: &[&str]) -> String {
    let made = output(home, args);
    let stderr = String::from_utf8_lossy(&made.stderr);
    assert_eq!(made.status.code(), Some(0), "{stderr}");
    String::from_utf8(made.stdout).expect("text")
}

#[test]
fn a_machine_logs_in_serves_sessions_and_logs_out() {
    let (home, machine) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let (_program, relay) = relay(home.path());
    log_in(machine.path(), &relay, &["--name", "eva"]);
    let file = file_of(machine.path());
    let mode = file.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let me = stdout(machine.path(), &["whoami", &relay.url]);
    assert!(me.contains("owner at") && me.contains("(work)"), "{me}");
    let listed = stdout(home.path(), &["devices"]);
    assert!(listed.contains("  eva  (work)"), "{listed}");

    let mut command = footbridge(machine.path());
    let mut worker =
        Running::start(command.args(["work", "--relay", &relay.url, "--json", "--name", "m"]));
    let relay = Ready { environment: ready(&mut worker).environment, ..relay };
    let session = relay.new_session();
    relay.send(&session, "echo it ran");
    relay.allow(&session);
    let result = relay.event(&session, |message| message["type"] == "result");
    assert_eq!(result["subtype"], "success");

    // What it has is worth nothing to anybody who wants to say yes in its owner's name.
    let kept: Value = serde_json::from_slice(&std::fs::read(&file).expect("read")).expect("JSON");
    let token = kept["access_token"].as_str().expect("text").to_owned();
    let thief =
        Ready { token, url: relay.url.clone(), certificate: None, environment: String::new() };
    let permission = format!("/v1/sessions/{session}/permission");
    assert_eq!(thief.call("POST", &permission, &json!({})).0, 403);
    assert_eq!(thief.call("GET", "/v1/sessions", &Value::Null).0, 403);

    assert!(stdout(machine.path(), &["logout", &relay.url]).contains("Logged out"));
    assert!(!file.exists());
    let (_, gone) =
        relay.call("GET", &format!("/v1/environments/{}", relay.environment), &Value::Null);
    assert_eq!(gone["error"]["type"], "environment_unknown", "with the log-in, its workers go");
    let refused = output(machine.path(), &["whoami", &relay.url]);
    assert_eq!(refused.status.code(), Some(2));
    worker.signal(Signal::KILL);
}

#[test]
fn who_looks_for_this_machines_relay_where_it_is_not_is_told_where_it_is() {
    let home = tempfile::tempdir().expect("a directory");
    let (_program, relay) = relay(home.path());
    let path = home.path().join("said");
    let stderr = std::fs::File::create(&path).expect("made");
    // Nothing listens there.
    let args = ["login", "http://127.0.0.1:1"];
    let mut program = Running::start(footbridge(home.path()).args(args).stderr(stderr));
    let hint = format!("footbridge login {}", relay.url.trim_end_matches('/'));
    until("that it is said", || {
        std::fs::read_to_string(&path).is_ok_and(|said| said.contains(&hint)).then_some(())
    });
    program.signal(Signal::TERM);
    program.wait();
}

#[test]
fn a_log_in_ends_the_one_that_it_replaces_and_is_called_what_it_was_named() {
    let (home, machine) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut command = footbridge(home.path());
    let mut program = Running::start(command.args(["relay", "--listen", "127.0.0.1:0", "--json"]));
    let relay = ready(&mut program);
    let names = || {
        let (_, devices) = relay.call("GET", "/v1/devices", &Value::Null);
        let devices = devices["devices"].as_array().expect("devices").iter();
        devices.map(|device| format!("{} {}", device["name"], device["scope"])).collect::<Vec<_>>()
    };
    log_in(machine.path(), &relay, &["--scope", "watch,answer,drive", "--name", "all of it"]);
    assert_eq!(names(), [r#""all of it" "watch answer drive""#]);
    log_in(machine.path(), &relay, &["--scope", "watch", "--name", "less"]);
    assert_eq!(names(), [r#""less" "watch""#]);
    file_of(machine.path());
}

#[test]
fn the_audit_log_says_which_machine_logged_in_and_out() {
    let (home, machine) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let (_program, relay) = relay(home.path());
    log_in(machine.path(), &relay, &["--name", "eva"]);
    stdout(machine.path(), &["logout", &relay.url]);
    let exported = stdout(home.path(), &["audit", "--json", "--since", "1h"]);
    let entries = exported.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let entries: Vec<Value> = entries.collect();
    let actions: Vec<&str> = entries.iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["log_in_approved", "logged_in", "logged_out"], "{exported}");
    assert_eq!(entries[2]["by"]["id"], entries[0]["device_id"]);
    let lines = stdout(home.path(), &["audit"]);
    assert!(lines.contains("logged in (work) of device_") && lines.contains("by access token"));
    assert_eq!(stdout(home.path(), &["audit", "--since", "2999-01-01T00:00:00Z"]), "");
    let wrong = output(home.path(), &["audit", "--since", "yesterday"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_worker_refreshes_a_log_in_that_has_expired_and_keeps_what_it_gets() {
    let (home, machine) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let (_program, relay) = relay(home.path());
    log_in(machine.path(), &relay, &[]);
    let file = file_of(machine.path());
    spoil(&file);
    let mut command = footbridge(machine.path());
    let mut worker = Running::start(command.args(["work", "--relay", &relay.url, "--json"]));
    assert!(ready(&mut worker).environment.starts_with("env_"));
    let kept = std::fs::read_to_string(&file).expect("text");
    assert!(!kept.contains("spoilt"), "the next tokens are kept");
    let mode = file.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Some(0));
    stdout(machine.path(), &["whoami", &relay.url]);
}

#[test]
fn a_log_in_outlives_the_relay_and_its_key_and_ends_when_it_is_revoked() {
    let (home, machine) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let (mut program, old) = relay(home.path());
    log_in(machine.path(), &old, &["--scope", "watch,work"]);
    program.signal(Signal::KILL);
    program.wait();
    // It signs with another key from now on.
    let key = home.path().join(".local/state/footbridge/relay/signing-key");
    std::fs::rename(&key, key.with_extension("1")).expect("renamed");
    let (_, address) = old.url.split_once("://").expect("a URL");
    let again = ["relay", "--listen", address, "--json"];
    let mut program = Running::start(footbridge(home.path()).args(again));
    let relay = ready(&mut program);
    let me = stdout(machine.path(), &["whoami", &relay.url, "--json"]);
    let me: Value = serde_json::from_str(&me).expect("JSON");
    assert_eq!((&me["account"], &me["scope"]), (&json!("owner"), &json!("watch work")));
    let id = me["device_id"].as_str().expect("an id");
    assert!(stdout(home.path(), &["devices", "--revoke", id]).contains("Revoked"));
    let refused = output(machine.path(), &["whoami", &relay.url]);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && stderr.contains("log in again"), "{stderr}");
}

/// A Python with authlib, if there is one. `OAUTH_PYTHON` may name it.
fn python() -> Option<String> {
    let python = std::env::var("OAUTH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let tried = Command::new(&python).args(["-c", "import authlib, requests"]).output().ok()?;
    tried.status.success().then_some(python)
}

#[test]
fn somebody_elses_oauth_client_logs_in_and_refreshes() {
    let Some(python) = python() else {
        eprintln!("skipped: there is no Python with authlib");
        return;
    };
    let home = tempfile::tempdir().expect("a directory");
    let (_program, relay) = relay(home.path());
    let mut command = Command::new(python);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/oauth_client.py");
    let mut client = Running::start(command.args([script, &relay.url]).env("NO_PROXY", "*"));
    let code = code(&mut client);
    approve(&relay, &code);
    let lines: Vec<String> = std::iter::from_fn(|| client.line()).collect();
    assert_eq!(client.wait(), Some(0), "{lines:?}");
    assert_eq!(lines, ["authorization_pending\n", "logged in: watch\n", "refreshed\n", "ok\n"]);
    let listed = until("the device", || {
        let (_, listed) = relay.call("GET", "/v1/devices", &Value::Null);
        listed["devices"].get(0).cloned()
    });
    assert_eq!(listed["name"], "somebody-elses-client");
}
