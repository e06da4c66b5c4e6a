//! `footbridge work --check`: what is wrong, one thing at a time.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge, output, until};

fn relay(home: &Path) -> (Running, Ready) {
    let mut program = Running::start(footbridge(home).args(["relay", "--listen", ":0", "--json"]));
    let relay = ready(&mut program);
    (program, relay)
}

/// Its exit code, and what it found.
fn check(home: &Path, relay: &str, args: &[&str], token: Option<&str>) -> (i32, Value) {
    let mut command = footbridge(home);
    command.args(["work", "--check", "--json", "--relay", relay]).args(args);
    if let Some(token) = token {
        command.env("FOOTBRIDGE_TOKEN", token);
    }
    let output = command.output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout);
    let report: Value = report.unwrap_or_else(|error| panic!("{error}: {stderr}"));
    for text in [stderr.as_ref(), &report.to_string()] {
        assert!(token.is_none_or(|token| !text.contains(token)), "{text}");
    }
    (output.status.code().expect("a code"), report)
}

/// The checks with this status, and their messages.
fn with<'a>(report: &'a Value, status: &str) -> Vec<(&'a str, &'a str)> {
    let checks = report["checks"].as_array().expect("a list").iter();
    let checks = checks.filter(|check| check["status"] == status);
    checks
        .map(|c| (c["check"].as_str().expect("text"), c["detail"].as_str().expect("text")))
        .collect()
}

#[test]
fn if_everything_is_fine_it_says_so_and_registers_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let (mut program, relay) = relay(home.path());
    let (code, report) = check(home.path(), &relay.url, &[], None);
    assert_eq!((code, &report["ok"]), (0, &Value::Bool(true)), "{report}");
    let names: Vec<_> = with(&report, "ok").into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "directory",
            "relay",
            "clock",
            "token",
            "poll",
            "call",
            "link",
            "stream",
            "git",
            "state",
            "agent"
        ]
    );
    let (_, list) = relay.call("GET", "/v1/environments", &Value::Null);
    assert_eq!(list["environments"].as_array().map(Vec::len), Some(0));
    let state = std::fs::read_dir(home.path().join(".local/state/footbridge/workers"));
    let own = state.expect("made").next().expect("one").expect("readable").path();
    assert_eq!(std::fs::read_dir(own).expect("a directory").count(), 0, "nothing is left there");
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn each_problem_is_reported_with_the_exit_code_of_a_run() {
    let home = tempfile::tempdir().expect("a directory");
    let (_program, relay) = relay(home.path());
    let url = relay.url.as_str();
    let nowhere = "http://127.0.0.1:9";
    let token = Some("a-token-that-is-none");
    let good = Some(relay.token.as_str());
    /// Relay, options, token; exit code, the check that fails, and its message.
    type Case<'a> = (&'a str, &'a [&'a str], Option<&'a str>, i32, &'a str, &'a str);
    let cases: [Case<'_>; 8] = [
        (nowhere, &[], good, 4, "relay", "connection refused"),
        (url, &[], token, 3, "token", "check the credential"),
        (url, &["--token-file", "none"], None, 2, "token", "FOOTBRIDGE_TOKEN"),
        (url, &["--directory", "none"], good, 5, "directory", "none"),
        (url, &["--spawn-mode", "worktree"], good, 5, "git", "not a git repository"),
        (url, &["--agent", "none-such"], good, 5, "agent", "none-such cannot be started"),
        (url, &["--agent", "sh -c 'echo why >&2; exit 7'"], good, 5, "agent", "exit code 7 before"),
        (url, &["--ca-file", "none.pem"], good, 5, "ca_file", "none.pem"),
    ];
    for (url, args, token, code, name, words) in cases {
        let (found, report) = check(home.path(), url, args, token);
        assert_eq!((found, &report["ok"]), (code, &Value::Bool(false)), "{report}");
        let failed = with(&report, "failed");
        assert_eq!(failed.len(), 1, "{report}");
        assert!(failed[0].0 == name && failed[0].1.contains(words), "{failed:?}");
    }
}

#[test]
fn a_worker_that_has_the_directory_is_named_and_left_alone() {
    let home = tempfile::tempdir().expect("a directory");
    let (_program, relay) = relay(home.path());
    let mut worker =
        Running::start(footbridge(home.path()).args(["work", "--relay", &relay.url, "--json"]));
    ready(&mut worker);
    let refused = output(home.path(), &["work", "--relay", &relay.url]);
    let (code, report) = check(home.path(), &relay.url, &[], None);
    assert_eq!((code, refused.status.code()), (6, Some(6)), "{report}");
    let failed = with(&report, "failed");
    assert_eq!(failed.len(), 1, "{report}");
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(failed[0].0 == "worker" && stderr.contains(failed[0].1), "{report} {stderr}");
    let (code, report) = check(home.path(), &relay.url, &["--name", "another"], None);
    assert_eq!(code, 0, "{report}");
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Some(0));
}

#[test]
fn a_state_directory_that_cannot_be_written_to_is_reported() {
    let home = tempfile::tempdir().expect("a directory");
    let (_program, relay) = relay(home.path());
    // A file is in its place, which stops every user, even root.
    let state = home.path().join(".local/state/footbridge/workers");
    std::fs::write(&state, "").expect("written");
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o400)).expect("mode");
    let (code, report) = check(home.path(), &relay.url, &[], None);
    assert_eq!(code, 5, "{report}");
    assert!(with(&report, "failed")[0].1.contains("cannot be written to"), "{report}");
}

/// A proxy before the relay that takes out these headers of each request; its address.
fn proxy(relay: &str, without: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let relay = relay.trim_start_matches("http://").to_owned();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut relay = TcpStream::connect(&relay).expect("a relay");
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|n| n > 0) {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).expect("text");
            let is_kept = |line: &&str| {
                let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
                !without.contains(&name.as_str())
            };
            let head: Vec<_> = head.split("\r\n").filter(is_kept).collect();
            relay.write_all(head.join("\r\n").as_bytes()).expect("sent");
            let (mut from, mut to) =
                (client.try_clone().expect("it"), relay.try_clone().expect("it"));
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut relay, &mut client);
                let _ = client.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    format!("http://{address}")
}

#[test]
fn a_proxy_that_lets_no_websocket_through_is_named_before_the_first_session() {
    let home = tempfile::tempdir().expect("a directory");
    let (_program, relay) = relay(home.path());
    let url = proxy(&relay.url, &["upgrade", "connection"]);
    let (code, report) = check(home.path(), &url, &[], Some(&relay.token));
    assert_eq!(code, 4, "{report}");
    let failed = with(&report, "failed");
    assert_eq!(failed.len(), 1, "{report}");
    assert!(failed[0].0 == "link" && failed[0].1.contains("no WebSocket gets through"), "{report}");
    // A run says so too, before anybody has asked for a session.
    let mut work = footbridge(home.path());
    work.args(["work", "--relay", &url]).env("FOOTBRIDGE_TOKEN", &relay.token);
    let log = home.path().join("log");
    let mut worker = Running::start(work.stderr(std::fs::File::create(&log).expect("a file")));
    until("it is said", || {
        let log = std::fs::read_to_string(&log).expect("text");
        log.contains("no WebSocket gets through").then_some(())
    });
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Some(0));
    let whole = proxy(&relay.url, &[]);
    let (code, report) = check(home.path(), &whole, &[], Some(&relay.token));
    assert_eq!(code, 0, "{report}");
}

#[test]
fn a_page_in_the_relays_place_is_named() {
    let home = tempfile::tempdir().expect("a directory");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.read(&mut [0; 4096]);
            let page = "<html><title>Airport Wi-Fi</title></html>";
            let head = format!(
                "HTTP/1.1 403 Forbidden\r\nserver: gate\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                page.len()
            );
            let _ = client.write_all((head + page).as_bytes());
        }
    });
    let (code, report) = check(home.path(), &url, &[], Some("a-token-that-is-none"));
    assert_eq!(code, 4, "{report}");
    let found = with(&report, "failed");
    assert!(
        found[0].0 == "relay" && found[0].1.contains("\"Airport Wi-Fi\" (server: gate)"),
        "{report}"
    );
    let mut ask = footbridge(home.path());
    ask.args(["sign-in", "--relay", &url]).env("FOOTBRIDGE_TOKEN", "a-token-that-is-none");
    let output = ask.output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("Airport Wi-Fi") && stderr.contains("on the way"), "{stderr}");
}

#[test]
fn people_get_a_line_for_each_check() {
    let home = tempfile::tempdir().expect("a directory");
    let (_program, relay) = relay(home.path());
    let mut command = footbridge(home.path());
    command.args(["work", "--check", "--relay", &relay.url]);
    let output = command.output().expect("it runs");
    let stdout = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert_eq!(stdout.lines().count(), 11, "{stdout}");
    assert!(stdout.lines().all(|line| line.starts_with("ok ")), "{stdout}");
}

#[test]
fn an_agent_that_says_nothing_is_named_and_fails_the_check() {
    let home = tempfile::tempdir().expect("a directory");
    let (_program, relay) = relay(home.path());
    let token = Some(relay.token.as_str());
    for (agent, words) in [
        ("sh -c 'read line'", "sh ended with exit code 0 before it had answered initialize"),
        ("cat", "cat starts, but has not answered initialize within 20 s"),
    ] {
        let (code, report) = check(home.path(), &relay.url, &["--agent", agent], token);
        assert_eq!(code, 5, "{report}");
        let failed = with(&report, "failed");
        assert!(failed[0].0 == "agent" && failed[0].1.contains(words), "{failed:?}");
    }
}
