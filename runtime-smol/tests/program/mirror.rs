//! `footbridge mirror`, killed again and again (G-1).
//!
//! `FOOTBRIDGE_TEST_KILLS` says how often, 100 times unless told otherwise.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge, output, until};

/// It says something all the time, and sometimes much at once.
const AGENT: &str = r#"
n=0
while :; do
    n=$((n + 1))
    if [ $((n % 50)) = 0 ]; then pad=$(head -c 200000 /dev/zero | tr '\\0' x); else pad=; fi
    printf '%s\n' "{\"type\":\"note\",\"n\":$n,\"pad\":\"$pad\"}" || exit
    sleep 0.002
done
"#;

fn up(home: &Path) -> (Running, Ready) {
    std::fs::write(home.join("agent.sh"), AGENT).expect("written");
    let args = ["up", "--listen", "127.0.0.1:0", "--json", "--data", "data"];
    let agent = ["--agent", "sh agent.sh", "--log-level", "error"];
    let mut up = Running::start(footbridge(home).args(args).args(agent));
    let known = ready(&mut up);
    (up, known)
}

fn mirror(home: &Path, session: &str) -> Running {
    let args = ["mirror", session, "--to", "log.ndjson", "--data", "data", "--json"];
    Running::start(footbridge(home).args(args).args(["--log-level", "error"]))
}

/// The whole log, an event on each line, in the bytes in which it is served.
fn log(relay: &Ready, session: &str) -> String {
    let (mut log, mut after) = (String::new(), 0_u64);
    loop {
        let path = format!("/v1/sessions/{session}/events?after={after}");
        let (_, address) = relay.url.split_once("://").expect("a URL");
        let answer = ureq::get(format!("http://{address}{path}"))
            .header("authorization", format!("Bearer {}", relay.token))
            .call()
            .expect("a page");
        let text = answer.into_body().with_config().limit(64 << 20).read_to_string().expect("text");
        let page: Page<'_> = serde_json::from_str(&text).expect("a page");
        for event in &page.events {
            log.push_str(event.get());
            log.push('\n');
            after += 1;
        }
        if after >= page.last_seq {
            return log;
        }
    }
}

#[derive(serde::Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    events: Vec<&'a serde_json::value::RawValue>,
    last_seq: u64,
}

#[test]
fn a_mirror_that_is_killed_at_any_moment_has_the_bytes_of_the_log_in_the_end() {
    let kills = std::env::var("FOOTBRIDGE_TEST_KILLS");
    let kills: u32 = kills.ok().and_then(|kills| kills.parse().ok()).unwrap_or(100);
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path().canonicalize().expect("there");
    let (_up, known) = up(&home);
    let session = known.new_session();
    let mut rng = fastrand::Rng::new();
    let seed = rng.u64(..);
    rng.seed(seed);
    for n in 0..kills {
        let mut running = mirror(&home, &session);
        // Some before they have done anything, most in the middle of it.
        if n % 4 > 0 {
            running.line();
        }
        thread::sleep(Duration::from_micros(rng.u64(0..30_000)));
        running.signal(Signal::KILL);
    }
    let mut last = mirror(&home, &session);
    assert_eq!(known.stop(&session)["result"]["status"], "interrupted");
    let is_over = |line: &Value| line["event"] == "ended";
    let mut started = Value::Null;
    loop {
        let line: Value = serde_json::from_str(&last.line().expect("a line")).expect("JSON");
        if line["event"] == "started" {
            started = line.clone();
        }
        if is_over(&line) {
            break;
        }
    }
    assert_eq!(last.wait(), Some(0));
    let (mirrored, log) =
        (std::fs::read_to_string(home.join("log.ndjson")).expect("there"), log(&known, &session));
    assert!(mirrored == log, "seed {seed}: {} and {} bytes", mirrored.len(), log.len());
    assert!(started["seq"].as_u64() > Some(10) && log.len() > 10_000, "{started}: {}", log.len());
}

#[test]
fn what_is_no_mirror_of_this_session_is_refused_and_one_writes_at_a_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path().canonicalize().expect("there");
    let (_up, known) = up(&home);
    let session = known.new_session();
    let mut first = mirror(&home, &session);
    while !first.line().expect("a line").contains("written") {}
    let refused = |args: &[&str], code, words: &str| {
        let output = output(&home, &[&["mirror", "--data", "data"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words) && !said.contains(&known.token), "{said}");
    };
    refused(&[&session, "--to", "log.ndjson"], 6, "another mirror");
    first.signal(Signal::TERM);
    assert_eq!(first.wait(), Some(0));
    refused(&["session_2", "--to", "log.ndjson"], 5, &format!("the mirror of {session}"));
    refused(&["session_2", "--to", "new.ndjson"], 3, "session_unknown");
    std::fs::write(home.join("notes"), "mine\n").expect("written");
    refused(&[&session, "--to", "notes"], 5, "no mirror");
    assert_eq!(std::fs::read_to_string(home.join("notes")).expect("there"), "mine\n");
    refused(&[&session, "--to", "."], 5, "cannot mirror");
    refused(&[&session], 2, "--to");
    refused(&["../x", "--to", "y"], 2, "session id");
}

#[test]
fn a_mirror_waits_for_its_relay_and_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path().canonicalize().expect("there");
    let (mut first, known) = up(&home);
    let session = known.new_session();
    let mut running = mirror(&home, &session);
    while !running.line().expect("a line").contains("written") {}
    first.signal(Signal::KILL);
    while !running.line().expect("a line").contains("relay_failing") {}
    first.wait();
    let (_, listen) = known.url.split_once("://").expect("a URL");
    let args = ["relay", "--listen", listen, "--json", "--data", "data", "--log-level", "error"];
    let _second = Running::start(footbridge(&home).args(args));
    while !running.line().expect("a line").contains("relay_back") {}
    running.signal(Signal::TERM);
    assert_eq!(running.wait(), Some(0));
    until("the same bytes", || {
        let mirrored = std::fs::read_to_string(home.join("log.ndjson")).ok()?;
        log(&known, &session).starts_with(&mirrored).then_some(())
    });
}
