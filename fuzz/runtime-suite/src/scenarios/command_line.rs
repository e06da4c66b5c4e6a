//! The worker program as people start it: options, messages, exit codes.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::stage::program::Program;
use super::stage::{Relay, until};
use crate::Runtime;

const RELAY: [&str; 2] = ["--relay", "http://127.0.0.1:9"];

pub fn each_error_has_its_exit_code_and_says_what_to_try<R: Runtime>() {
    let home = tempfile::tempdir().expect("a directory");
    let open = home.path().join("open-to-all");
    std::fs::write(&open, "a-token-that-all-can-read").expect("written");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let no_token = "unset FOOTBRIDGE_TOKEN";
    let cases: [(&str, &[&str], i32, &str); 9] = [
        ("", &[], 2, "needs --relay URL"),
        ("", &["--relay", "http://example.org"], 2, "not safe"),
        ("", &["--frobnicate"], 2, "frobnicate"),
        (no_token, &RELAY, 2, "FOOTBRIDGE_TOKEN"),
        ("FOOTBRIDGE_TOKEN='no token'", &RELAY, 2, "FOOTBRIDGE_TOKEN"),
        (no_token, &[RELAY[0], RELAY[1], "--token-file", "open-to-all"], 5, "chmod 600"),
        ("", &[RELAY[0], RELAY[1], "--directory", "nowhere"], 5, "nowhere"),
        ("", &[RELAY[0], RELAY[1], "--ca-file", "none.pem"], 5, "none.pem"),
        ("", &[RELAY[0], RELAY[1], "--agent", "a 'b"], 2, "quote"),
    ];
    for (shell, options, code, words) in cases {
        let mut program = Program::run::<R>(home.path(), shell, options);
        let (ended, printed) = (program.wait(), program.printed());
        assert_eq!(ended, Some(code), "{options:?}: {printed}");
        assert!(printed.contains(words), "{options:?}: {printed}");
    }
}

pub fn help_and_version_succeed<R: Runtime>() {
    let home = tempfile::tempdir().expect("a directory");
    for (option, words) in [("--help", "--relay"), ("--version", env!("CARGO_PKG_VERSION"))] {
        let mut program = Program::run::<R>(home.path(), "", &[option]);
        assert_eq!(program.wait(), Some(0));
        assert!(program.printed().contains(words), "{}", program.printed());
    }
}

pub fn a_worker_that_cannot_reach_its_relay_says_when_it_will_retry_and_can_be_ended<R: Runtime>() {
    let home = tempfile::tempdir().expect("a directory");
    let mut program = Program::run::<R>(home.path(), "", &RELAY);
    until("it says so", || program.printed().contains("retrying in").then_some(()));
    assert!(
        program.printed().contains("worker: warning: cannot register: "),
        "{}",
        program.printed()
    );
    assert_eq!(program.end(), Some(0));
}

pub fn once_it_is_ready_it_says_so_in_one_line_of_json<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let options = ["--json", "--quiet", "--name", "a machine"];
    let mut program = Program::start::<R>(&relay.address, home.path(), "", &options);
    let line = until("a line", || program.printed().ends_with('\n').then(|| program.printed()));
    let ready: Value = serde_json::from_str(&line).expect("JSON");
    let environments = relay.api.environments();
    assert_eq!(ready["environment_id"], environments[0]["id"], "{ready}");
    assert_eq!(environments[0]["machine_name"], "a machine");
    assert_eq!(program.end(), Some(0));
    assert_eq!(program.printed(), line, "nothing else");
}
