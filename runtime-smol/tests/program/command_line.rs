//! Exit codes and messages of the command line.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::running::{Running, footbridge, output};

#[test]
fn help_and_version_go_to_stdout_with_code_0() {
    let home = tempfile::tempdir().expect("a directory");
    for args in [&["--help"][..], &["help", "up"], &["work", "--help"], &["--version"]] {
        let output = output(home.path(), args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(output.stdout.starts_with(b"Footbridge") || output.stdout.len() > 10, "{args:?}");
        assert!(output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn each_error_has_its_exit_code_and_says_what_to_try() {
    let home = tempfile::tempdir().expect("a directory");
    let open = home.path().join("open-to-all");
    std::fs::write(&open, "a-token-that-all-can-read").expect("written");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).expect("mode");
    let closed = home.path().join("closed");
    std::fs::write(&closed, "a-token-of-the-test").expect("written");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o600)).expect("mode");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    let work = ["work", "--relay", "http://127.0.0.1:9"];
    let cases = [
        (vec!["down"], 2, "unknown command"),
        (vec!["relay", "--listen", "0.0.0.0:0"], 2, "in the clear"),
        (work.to_vec(), 2, "FOOTBRIDGE_TOKEN"),
        ([&work[..], &["--token-file", "open-to-all"]].concat(), 5, "chmod 600"),
        (vec!["up", "--directory", "nowhere"], 5, "nowhere"),
        (vec!["up", "--listen", ":0", "--agent", "none-such"], 5, "in no directory of PATH"),
        ([&work[..], &["--token-file", "closed", "--agent", "./none"]].concat(), 5, "./none"),
        (vec!["up", "--config", "none.toml"], 2, "none.toml"),
        (vec!["relay", "--listen", &taken], 5, "address in use"),
        (vec!["up", "--listen", &taken], 5, "address in use"),
        (vec!["relay", "--tls-cert", "none.pem", "--tls-key", "none.pem"], 5, "none.pem"),
    ];
    for (args, code, words) in cases {
        let output = output(home.path(), &args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_worker_that_cannot_reach_its_relay_says_when_it_will_retry_and_can_be_ended() {
    let home = tempfile::tempdir().expect("a directory");
    let mut command = footbridge(home.path());
    command.args(["work", "--relay", "http://127.0.0.1:9"]);
    command.env("FOOTBRIDGE_TOKEN", "a-token-of-the-test");
    // Its stderr is read instead of its stdout.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut worker = Running::start(command.stderr(writer));
    drop(command);
    let lines = std::io::BufRead::lines(std::io::BufReader::new(reader));
    let line = lines.map(|line| line.expect("text")).find(|line| line.contains("retrying in"));
    assert!(line.expect("it says so").contains(" warn  worker: warning: cannot register"));
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Some(0));
}
