//! The worker program as people start it: options, messages, exit codes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;
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
    let cases: [(&str, &[&str], i32, &str); 10] = [
        ("", &[], 2, "needs --relay URL"),
        ("", &["--relay", "http://example.org"], 2, "not safe"),
        ("", &["--frobnicate"], 2, "frobnicate"),
        (no_token, &RELAY, 2, "FOOTBRIDGE_TOKEN"),
        ("FOOTBRIDGE_TOKEN='no token'", &RELAY, 2, "FOOTBRIDGE_TOKEN"),
        (no_token, &[RELAY[0], RELAY[1], "--token-file", "open-to-all"], 5, "chmod 600"),
        ("", &[RELAY[0], RELAY[1], "--directory", "nowhere"], 5, "nowhere"),
        ("", &[RELAY[0], RELAY[1], "--ca-file", "none.pem"], 5, "none.pem"),
        ("", &[RELAY[0], RELAY[1], "--agent", "a 'b"], 2, "quote"),
        ("", &[RELAY[0], RELAY[1], "--agent", "none-such"], 5, "in no directory of PATH"),
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

pub fn a_service_manager_hears_how_it_goes_and_its_agents_have_no_part_in_it<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let socket = UnixDatagram::bind(home.path().join("notify")).expect("bound");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    let hears = |words: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length =
                socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{words}: {error}"));
            let heard = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if heard.contains(words) {
                return heard;
            }
        }
    };
    let shell = "export NOTIFY_SOCKET=$PWD/notify WATCHDOG_USEC=200000 WATCHDOG_PID=$$";
    let agent = "sh -c 'env > environment; cat > /dev/null'";
    let mut program = Program::start::<R>(&relay.address, home.path(), shell, &["--agent", agent]);
    assert!(hears("READY=1").starts_with("READY=1\nSTATUS=registered"));
    hears("WATCHDOG=1");
    let session = relay.session();
    session.running();
    hears("STATUS=registered; sessions: 1");
    hears("WATCHDOG=1");
    let environment = std::fs::read_to_string(home.path().join("environment")).expect("text");
    assert!(environment.contains("HOME=") && !environment.contains("NOTIFY_SOCKET"));
    assert!(!environment.contains("WATCHDOG"), "{environment}");
    program.signal(Signal::TERM);
    hears("STOPPING=1");
    assert_eq!(program.wait(), Some(0), "{}", program.printed());
}

pub fn its_health_and_metrics_are_at_an_address_of_their_own<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let options = ["--health", "127.0.0.1:0"];
    let mut program = Program::start::<R>(&relay.address, home.path(), "", &options);
    let address = until("an address", || {
        let printed = program.printed();
        let (_, rest) = printed.split_once("metrics: http://")?;
        Some(rest.split_once("/health")?.0.to_owned())
    });
    let ask = |path: &str| {
        let mut client = TcpStream::connect(&address).expect("connected");
        write!(client, "GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an answer");
        answer
    };
    until("it is ready", || ask("/ready").starts_with("HTTP/1.1 200").then_some(()));
    relay.session().running();
    until("it counts", || ask("/metrics").contains("footbridge_worker_sessions 1\n").then_some(()));
    assert!(ask("/metrics").contains("process_resident_memory_bytes "));
    assert!(ask("/health").ends_with("registered; sessions: 1\n"));
    assert_eq!(program.end(), Some(0));
}
