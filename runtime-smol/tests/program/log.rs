//! The log on stderr.

use rustix::process::Signal;
use serde_json::Value;

use crate::client::ready;
use crate::running::{Running, footbridge};

#[test]
fn every_event_is_a_json_object_with_its_ids_and_none_holds_a_secret() {
    let home = tempfile::tempdir().expect("a directory");
    let log = home.path().join("log");
    let mut command = footbridge(home.path());
    command.args([
        "up",
        "--listen",
        ":0",
        "--json",
        "--log-format",
        "json",
        "--log-level",
        "debug",
    ]);
    // The built-in agent hides the session's token from its commands.
    let agent = env!("CARGO_BIN_EXE_footbridge");
    let agent = format!("sh -c 'echo $FOOTBRIDGE_SESSION_TOKEN >> token; exec {agent} agent'");
    command.args(["--agent", &agent, "--allow-variable", "FOOTBRIDGE_SESSION_TOKEN"]);
    command.stderr(std::fs::File::create(&log).expect("a file"));
    let mut program = Running::start(&mut command);
    let relay = ready(&mut program);
    let session = relay.new_session();
    relay.send(&session, "echo it ran");
    relay.allow(&session);
    relay.event(&session, |message| message["type"] == "result");
    relay.stop(&session);
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));

    let text = std::fs::read_to_string(&log).expect("text");
    assert!(!text.contains(&relay.token), "{text}");
    let of_session = std::fs::read_to_string(home.path().join("token")).expect("it ran");
    assert!(!of_session.trim().is_empty() && !text.contains(of_session.trim()), "{text}");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let find = |component: &str, event: &str| {
        let is_it = |line: &&Value| line["component"] == component && line["event"] == event;
        lines.iter().find(is_it).unwrap_or_else(|| panic!("no {event} of the {component}: {text}"))
    };
    for event in ["session_started", "permission_asked", "session_ended"] {
        let line = find("worker", event);
        assert_eq!((&line["session"], &line["level"]), (&session.clone().into(), &"info".into()));
        assert!(line["work"].as_str().is_some_and(|work| work.starts_with("work_")), "{line}");
    }
    assert_eq!(find("relay", "session_state")["session"], session);
    assert_eq!(find("worker", "registered")["environment"], relay.environment);
    let answered = find("relay", "answered");
    assert_eq!(answered["level"], "debug");
    assert!(
        answered["message"].as_str().is_some_and(|words| words.ends_with(" 200")),
        "{answered}"
    );
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    use std::io::Write;

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    let home = tempfile::tempdir().expect("a directory");
    let (_reader, mut writer) = std::io::pipe().expect("a pipe");
    let flags = fcntl_getfl(&writer).expect("flags");
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("flags");
    while writer.write(&[b'x'; 4096]).is_ok() {}
    fcntl_setfl(&writer, flags).expect("flags");
    let mut command = footbridge(home.path());
    command.args(["up", "--listen", ":0", "--json", "--log-level", "debug"]).stderr(writer);
    let mut program = Running::start(&mut command);
    let relay = ready(&mut program);
    let session = relay.new_session();
    relay.send(&session, "echo it ran");
    relay.allow(&session);
    relay.event(&session, |message| message["type"] == "result");
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
}
