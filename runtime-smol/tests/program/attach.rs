//! `footbridge attach`: a session in a terminal, a pipe, or another program (R-6).

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge};

fn up(home: &Path, args: &[&str]) -> (Running, Ready) {
    let mut command = footbridge(home);
    let base = ["up", "--listen", "127.0.0.1:0", "--json", "--name", "test"];
    let mut program = Running::start(command.args(base).args(args));
    let relay = ready(&mut program);
    (program, relay)
}

fn attach(home: &Path, args: &[&str]) -> Command {
    let mut command = footbridge(home);
    command.arg("attach").args(args);
    command
}

/// The next event of the session that fits.
fn event(program: &mut Running, is_wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let event = program.message("event");
        if is_wanted(&event["message"]) {
            return event;
        }
    }
}

#[test]
fn a_script_follows_a_session_speaks_in_it_and_answers_its_questions() {
    let home = tempfile::tempdir().expect("a directory");
    let (_program, relay) = up(home.path(), &[]);
    let session = relay.new_session();
    let mut script = Running::start(&mut attach(home.path(), &[&session, "--json"]));
    script.message("live");
    script.say(&json!({"type": "say", "text": "echo it ran"}));
    let accepted = script.message("accepted");
    assert_eq!(accepted["what"], "message");
    let asked = script.message("permission_asked");
    assert_eq!(asked["tool_name"], "Bash");
    let answer = json!({"type": "answer", "request_id": asked["request_id"], "behavior": "allow"});
    script.say(&answer);
    let result = event(&mut script, |message| message["type"] == "result");
    assert_eq!(
        (&result["from"], &result["message"]["subtype"]),
        (&json!("agent"), &json!("success"))
    );

    // Another viewer's answer takes the question away here.
    script.say(&json!({"type": "say", "text": "echo again"}));
    let asked = script.message("permission_asked");
    let allow =
        json!({"request_id": asked["request_id"], "behavior": "allow", "seq": asked["seq"]});
    assert_eq!(relay.call("POST", &format!("/v1/sessions/{session}/permission"), &allow).0, 200);
    let withdrawn = script.message("permission_withdrawn");
    assert_eq!((&withdrawn["seq"], &withdrawn["answered"]), (&asked["seq"], &json!(true)));

    // Anything but a command is refused, and does no harm.
    script.say(&json!({"type": "jump"}));
    assert_eq!(script.message("refused")["what"], "unreadable");
    script.say(&json!({"type": "stop"}));
    assert_eq!(script.message("accepted")["what"], "stop");
    while script.line().is_some() {}
    assert_eq!(script.wait(), Some(0), "it ends with the session");
}

#[test]
fn a_relay_that_is_killed_and_restarted_loses_and_doubles_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let listen = "127.93.0.1:8787";
    let start = || {
        let mut command = footbridge(home.path());
        Running::start(command.args(["relay", "--listen", listen, "--json"]))
    };
    let mut relay_program = start();
    let relay = ready(&mut relay_program);
    let mut command = footbridge(home.path());
    let work = ["work", "--relay", &relay.url, "--json", "--conn-initial-ms", "100"];
    let mut worker = Running::start(command.args(work));
    let relay = Ready { environment: ready(&mut worker).environment, ..relay };
    let session = relay.new_session();
    let mut script = Running::start(&mut attach(home.path(), &[&session, "--json"]));
    script.message("live");
    script.say(&json!({"type": "say", "text": "echo one"}));
    let asked = script.message("permission_asked");
    relay_program.signal(Signal::KILL);
    relay_program.wait();
    script.message("disconnected");
    let answer = json!({"type": "answer", "request_id": asked["request_id"], "behavior": "allow"});
    script.say(&answer);
    script.say(&json!({"type": "say", "text": "echo two"}));
    let mut relay_program = start();
    ready(&mut relay_program);
    event(&mut script, |message| message["type"] == "result");
    let asked = script.message("permission_asked");
    script.say(&json!({"type": "answer", "request_id": asked["request_id"], "behavior": "deny"}));
    event(&mut script, |message| message["type"] == "result");
    let path = format!("/v1/sessions/{session}/events?limit=1000");
    let (_, log) = relay.call("GET", &path, &Value::Null);
    let said = log["events"].as_array().expect("events").iter();
    let said = said.filter(|event| event["from"] == "viewer" && event["message"]["type"] == "user");
    let said: Vec<_> = said.map(|event| event["message"]["message"]["content"].clone()).collect();
    assert_eq!(said, ["echo one", "echo two"]);
    script.signal(Signal::TERM);
    assert_eq!(script.wait(), Some(0));
}

#[test]
fn a_pipe_says_its_lines_and_leaves_when_the_turn_is_over() {
    let home = tempfile::tempdir().expect("a directory");
    let (_program, relay) = up(home.path(), &[]);
    let mut pipe = attach(home.path(), &["--new"]);
    pipe.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut pipe = Running::start(&mut pipe);
    pipe.type_line("echo from a pipe");
    let mut shown = String::new();
    while !shown.contains("? Bash echo from a pipe") {
        shown += &pipe.line().expect("a question");
    }
    pipe.type_line("y");
    pipe.close_stdin();
    while let Some(line) = pipe.line() {
        shown += &line;
    }
    assert_eq!(pipe.wait(), Some(0));
    assert!(shown.contains("  ⎿ from a pipe\n") && shown.contains("— done in"), "{shown}");
    assert!(!shown.contains("{\""), "{shown}");
    // What it has made goes on.
    let (_, list) = relay.call("GET", "/v1/sessions", &Value::Null);
    assert_eq!(list["sessions"][0]["state"], "running");
}

/// Everything that a program prints until it has exited.
fn to_the_end(program: &mut Running) -> String {
    let mut shown = String::new();
    while let Some(line) = program.line() {
        shown += &line;
    }
    shown
}

#[test]
fn a_pipe_waits_for_the_turn_of_each_line_and_names_the_line_that_it_cannot_send() {
    let home = tempfile::tempdir().expect("a directory");
    let agent =
        concat!(env!("CARGO_BIN_EXE_footbridge"), " agent --permission-mode bypassPermissions");
    let (_program, relay) = up(home.path(), &["--agent", agent]);
    let mut pipe = attach(home.path(), &["--new"]);
    pipe.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut pipe = pipe.spawn().expect("it starts");
    let mut input = pipe.stdin.take().expect("its input");
    input.write_all(b"sleep 0.3; echo first\n\xff\nsleep 0.3; echo second\n").expect("written");
    drop(input);
    let output = pipe.wait_with_output().expect("its output");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("first\n") && shown.contains("  ⎿ second\n"), "{shown}");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("line 2 is not UTF-8"), "{words}");
    assert_eq!(output.status.code(), Some(5), "a line was not sent: {words}");

    // Without a word, it shows what there is and leaves; a session that there is not is an error.
    let session = relay.call("GET", "/v1/sessions", &Value::Null).1["sessions"][0]["id"].clone();
    let session = session.as_str().expect("an id").to_owned();
    let output = attach(home.path(), &[&session]).stdin(Stdio::null()).output().expect("it runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("  ⎿ second\n") && output.status.success(), "{output:?}");
    let unknown = attach(home.path(), &["session_00000000000000000000000000000000"])
        .stdin(Stdio::null())
        .output();
    assert_eq!(unknown.expect("it runs").status.code(), Some(3));

    // One that only watches stays to the end of the session.
    let mut watcher = attach(home.path(), &["--viewer-only", &session]);
    let mut watcher = Running::start(&mut watcher);
    watcher.close_stdin();
    let mut shown = String::new();
    while !shown.contains("  ⎿ second\n") {
        shown += &watcher.line().expect("the log");
    }
    relay.call("POST", &format!("/v1/sessions/{session}/stop"), &json!({}));
    assert!(to_the_end(&mut watcher).contains("the session has ended"));
    assert_eq!(watcher.wait(), Some(0));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let home = tempfile::tempdir().expect("a directory");
    let (_program, relay) = up(home.path(), &[]);
    let session = relay.new_session();
    for more in [&[][..], &["--json"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
        let mut program = attach(home.path(), &[&[session.as_str()], more].concat());
        let output = program.stdin(Stdio::null()).stdout(full).output().expect("it runs");
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{more:?}: {words}");
        assert!(words.contains("cannot write to standard output"), "{more:?}: {words}");
    }
}

#[test]
fn a_log_in_without_the_scope_is_told_which_one_and_how() {
    let (home, machine) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let (_program, relay) = up(home.path(), &[]);
    let session = relay.new_session();
    crate::log_in::log_in(machine.path(), &relay, &["--scope", "watch"]);
    let args = [session.as_str(), "--relay", &relay.url, "--json"];
    let mut script = Running::start(&mut attach(machine.path(), &args));
    script.message("live");
    script.say(&json!({"type": "say", "text": "echo no"}));
    let refused = script.message("refused");
    let words = refused["reason"].as_str().expect("words");
    assert!(words.contains("--scope watch,drive") && refused["status"] == 403, "{words}");

    let args = ["--relay", relay.url.as_str(), "session_unknown", "--json"];
    let output = attach(machine.path(), &args).stdin(Stdio::null()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

/// What an SDK of Python starts.
const SDK: [&str; 9] = [
    "--output-format",
    "stream-json",
    "--verbose",
    "--system-prompt",
    "",
    "--permission-prompt-tool",
    "stdio",
    "--input-format",
    "stream-json",
];

/// This program under the name by which it stands in for an agent's.
fn stand_in(home: &Path, relay: &Ready, args: &[&str]) -> Command {
    let link = home.join("footbridge-agent");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_footbridge"), &link).expect("a link");
    }
    let mut command = Command::new(link);
    command.env_clear().env("HOME", home).env("FOOTBRIDGE_RELAY", &relay.url);
    command.env("FOOTBRIDGE_ENVIRONMENT", &relay.environment).args(args);
    command
}

/// The built-in agent takes no options but its own: as that of a session, it is started without any.
const BARE: &str = r#"sh -c 'exec "$0" agent' "#;

#[test]
fn a_program_that_knows_only_an_agents_options_drives_a_session_of_its_own() {
    let home = tempfile::tempdir().expect("a directory");
    let bare = format!("{BARE}{}", env!("CARGO_BIN_EXE_footbridge"));
    let (_program, relay) = up(home.path(), &["--agent", &bare]);
    let version = stand_in(home.path(), &relay, &["-v"]).output().expect("it runs");
    assert!(version.stdout.starts_with(b"2."), "{version:?}");

    let mut sdk = Running::start(&mut stand_in(home.path(), &relay, &SDK));
    let request = json!({"subtype": "initialize", "hooks": null});
    sdk.say(&json!({"type": "control_request", "request_id": "r1", "request": request}));
    let initialized = sdk.message("control_response");
    assert_eq!(initialized["response"]["request_id"], "r1");
    let message = json!({"role": "user", "content": "echo from afar"});
    sdk.say(&json!({"type": "user", "message": message, "parent_tool_use_id": null}));
    let asked = sdk.message("control_request");
    let answer = json!({"behavior": "allow", "updatedInput": {"command": "echo changed"}});
    let response =
        json!({"subtype": "success", "request_id": asked["request_id"], "response": answer});
    sdk.say(&json!({"type": "control_response", "response": response}));
    let result = sdk.message("user");
    assert_eq!(result["message"]["content"][0]["content"], "changed\n");
    sdk.close_stdin();
    assert_eq!(sdk.message("result")["subtype"], "success");
    assert_eq!(sdk.line(), None);
    assert_eq!(sdk.wait(), Some(0));
    let (_, list) = relay.call("GET", "/v1/sessions", &Value::Null);
    let session = list["sessions"][0]["id"].as_str().expect("an id");
    assert_eq!(relay.ended(session)["result"]["status"], "interrupted", "it ends with its program");
}

#[test]
fn an_agent_that_fails_is_heard_on_stderr_and_its_exit_code_is_the_programs() {
    let home = tempfile::tempdir().expect("a directory");
    let agent = "sh -c 'read line; echo No conversation found >&2; exit 7'";
    let (_program, relay) = up(home.path(), &["--agent", agent]);
    let mut command = stand_in(home.path(), &relay, &SDK);
    let log = home.path().join("stderr");
    command.stderr(std::fs::File::create(&log).expect("a file"));
    let mut sdk = Running::start(&mut command);
    let request = json!({"subtype": "initialize", "hooks": null});
    sdk.say(&json!({"type": "control_request", "request_id": "r1", "request": request}));
    assert_eq!(sdk.line(), None, "an agent of its own would not have answered either");
    assert_eq!(sdk.wait(), Some(7));
    let words = std::fs::read_to_string(&log).expect("text");
    let said = words.lines().filter(|line| *line == "No conversation found").count();
    assert_eq!(said, 1, "as the agent has written it: {words}");
}

#[test]
fn an_option_that_the_workers_owner_does_not_allow_is_refused_by_name() {
    let home = tempfile::tempdir().expect("a directory");
    let (_program, relay) = up(home.path(), &[]);
    let options = [&["--allowedTools", "Bash"][..], &SDK].concat();
    let mut command = stand_in(home.path(), &relay, &options);
    let log = home.path().join("stderr");
    command.stderr(std::fs::File::create(&log).expect("a file"));
    let mut sdk = Running::start(&mut command);
    let request = json!({"subtype": "initialize", "hooks": null});
    sdk.say(&json!({"type": "control_request", "request_id": "r1", "request": request}));
    assert_eq!(sdk.message("control_response")["response"]["subtype"], "error");
    assert_eq!(sdk.wait(), Some(3));
    let words = std::fs::read_to_string(&log).expect("text");
    assert!(words.contains("--allow-flag allowed-tools"), "{words}");
}
