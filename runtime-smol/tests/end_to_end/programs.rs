//! The command line: refusals, and exits that leave nothing behind.

use std::net::TcpListener;

use rustix::process::Signal;

use crate::support::api::Api;
use crate::support::poll;
use crate::support::program::{Program, TOKEN, path, run};

#[test]
fn what_cannot_work_is_refused_with_a_reason_and_its_own_exit_code() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("an address").to_string();
    let directory = tempfile::tempdir().expect("a directory");
    let relay = Program::start(&["relay", "--listen", "127.0.0.1:0"]);
    let absent = directory.path().join("absent");
    let cases: [(&[&str], &str, i32, &str); 8] = [
        (&["work", "--relay", "relay.example.org"], TOKEN, 2, "is no relay URL"),
        (&["work", "--relay", "ftp://localhost"], TOKEN, 2, "is no relay URL"),
        (&["work", "--relay", "http://relay.example.org"], TOKEN, 2, "https://"),
        (&["work", "--relay", relay.url()], "another-token-than-that", 3, "token"),
        (&["work", "--relay", relay.url()], "short", 2, "FOOTBRIDGE_TOKEN"),
        (&["up", "--listen", &taken], TOKEN, 5, &taken),
        (&["relay", "--listen", &taken], TOKEN, 5, &taken),
        (&["up", "--directory", path(&absent)], TOKEN, 5, "absent"),
    ];
    for (args, token, code, words) in cases {
        let ended = run(args, token);
        assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(words), "{args:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{args:?}");
        assert!(!ended.stderr.contains(token), "{args:?} tells the token: {ended:?}");
    }
}

#[test]
fn nothing_is_served_without_the_token() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Program::up(&directory, &[]);
    let session = program.api().new_session();
    let stranger = Api::new(program.url(), "another-token-than-that");
    for path in [
        "/v1/environments".to_owned(),
        "/v1/sessions".to_owned(),
        format!("/v1/sessions/{session}"),
        format!("/v1/sessions/{session}/events"),
    ] {
        let (status, answer) = stranger.get(&path);
        assert_eq!(status, 401, "{path}: {answer}");
        assert_eq!(answer["error"]["type"], "authentication_failed", "{path}");
    }
    assert_eq!(stranger.get("/health").0, 200);
    assert_eq!(stranger.get("/").0, 200);
}

#[test]
fn a_signal_ends_agents_and_commands_too() {
    for signal in [Signal::INT, Signal::TERM] {
        let directory = tempfile::tempdir().expect("a directory");
        let program = Program::up(&directory, &["--shutdown-grace", "20s"]);
        let api = program.api();
        let sessions = [api.new_session(), api.new_session()];
        for (n, session) in sessions.iter().enumerate() {
            api.say(session, &format!("touch {n}; sleep 600 & sleep 600"));
            api.allow(session);
            let begun = directory.path().join(n.to_string());
            assert!(poll(|| begun.exists().then_some(())).is_some(), "it never started");
        }
        program.stop(signal);
    }
}

#[test]
fn a_second_signal_does_not_wait_for_an_agent_that_will_not_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let stubborn = r#"sh -c "trap '' TERM INT; touch begun; while :; do sleep 600; done""#;
    let program = Program::up(&directory, &["--agent", stubborn, "--shutdown-grace", "1h"]);
    program.api().new_session();
    let begun = directory.path().join("begun");
    assert!(poll(|| begun.exists().then_some(())).is_some(), "it never started");
    program.signal(Signal::INT);
    program.hear("shutting down");
    program.stop(Signal::INT);
}

#[test]
fn a_worker_that_is_killed_takes_its_agents_commands_with_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let relay = Program::start(&["relay", "--listen", "127.0.0.1:0"]);
    let worker = Program::work(relay.url(), &directory);
    let api = relay.api();
    let session = api.new_session();
    api.say(&session, "touch begun; sleep 600");
    api.allow(&session);
    let begun = directory.path().join("begun");
    assert!(poll(|| begun.exists().then_some(())).is_some(), "it never started");
    worker.kill();
}
