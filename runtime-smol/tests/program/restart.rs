//! A relay that ends in any way, and the one after it with the same data.

use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge, output, pid_in, until, until_gone};

/// A relay on an address that no other test's connections use.
fn relay(home: &Path, listen: &str, args: &[&str]) -> Running {
    let common = ["relay", "--listen", listen, "--json"];
    Running::start(footbridge(home).args([&common, args].concat()))
}

fn worker(home: &Path, relay: &Ready) -> (Running, String) {
    let args = ["work", "--relay", &relay.url, "--json"];
    let mut worker = Running::start(footbridge(home).args(args));
    let environment = ready(&mut worker).environment;
    (worker, environment)
}

fn address(relay: &Ready) -> String {
    relay.url.split_once("://").expect("a URL").1.to_owned()
}

/// The numbers of a session's events, which have no gap.
fn log(relay: &Ready, session: &str) -> Vec<Value> {
    let path = format!("/v1/sessions/{session}/events?after=0&limit=1000");
    let (status, page) = relay.call("GET", &path, &Value::Null);
    assert_eq!(status, 200, "{page}");
    let events = page["events"].as_array().expect("events").clone();
    for (event, number) in events.iter().zip(1..) {
        assert_eq!(event["seq"], number);
    }
    events
}

#[test]
fn a_killed_relay_comes_back_with_its_sessions_and_their_agents_go_on() {
    let home = tempfile::tempdir().expect("a directory");
    let mut first = relay(home.path(), "127.93.0.1:0", &["--data", "kept"]);
    let mut client = ready(&mut first);
    std::fs::create_dir_all(home.path().join(".local/state/footbridge")).expect("made");
    std::fs::copy(
        home.path().join("kept/token"),
        home.path().join(".local/state/footbridge/token"),
    )
    .expect("copied");
    let (mut worker, environment) = worker(home.path(), &client);
    client.environment = environment;
    let session = client.new_session();
    client.send(
        &session,
        "echo $PPID > agent; echo $$ > pid; until [ -e go ]; do sleep 0.1; done; echo it went on",
    );
    client.allow(&session);
    let agent = pid_in(&home.path().join("agent"));
    let asks = client.new_session();
    client.send(&asks, "echo asked");
    client.event(&asks, |message| message["type"] == "control_request");
    let before = log(&client, &session);

    first.signal(Signal::KILL);
    assert_eq!(first.wait(), None);
    let mut second = relay(home.path(), &address(&client), &["--data", "kept"]);
    let again = ready(&mut second);
    assert_eq!(again.token, client.token, "the access token is kept");
    assert_eq!(log(&client, &session)[..before.len()], before, "the log is kept");
    let (_, sessions) = client.call("GET", "/v1/sessions", &Value::Null);
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(2), "{sessions}");

    // An open question is still open, and answered once.
    client.allow(&asks);
    client.event(&asks, |message| message["type"] == "result");
    // What the agent does after is in the log, and it is the same agent.
    std::fs::write(home.path().join("go"), "").expect("written");
    client.event(&session, |message| message["type"] == "result");
    let events = log(&client, &session);
    let said =
        |words: &str| events.iter().filter(|event| event.to_string().contains(words)).count();
    assert!(said("it went on") > 0);
    assert!(Path::new(&format!("/proc/{agent}")).exists(), "the agent is still there");
    let starts = events.iter().filter(|e| e["message"]["subtype"] == "agent_started").count();
    assert_eq!(starts, 1);

    // A clean end and a new program at the same place end no session either.
    second.signal(Signal::TERM);
    assert_eq!(second.wait(), Some(0));
    let mut third = relay(home.path(), &address(&client), &["--data", "kept"]);
    ready(&mut third);
    client.send(&session, "echo after the upgrade");
    until("the second question", || {
        let question = log(&client, &session).into_iter().rfind(|event| {
            event["message"]["type"] == "control_request"
                && event["message"].to_string().contains("after the upgrade")
        })?;
        let allow = json!({"request_id": question["message"]["request_id"], "behavior": "allow"});
        let path = format!("/v1/sessions/{session}/permission");
        (client.call("POST", &path, &allow).0 == 200).then_some(())
    });
    until("the second result", || {
        let results = log(&client, &session).into_iter();
        let results = results.filter(|event| event["message"]["type"] == "result").count();
        (results == 2).then_some(())
    });
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Some(0));
}

/// For `FOOTBRIDGE_TEST_STOPPED` seconds, 3 unless told otherwise; after 60, all leases would have
/// run out.
#[test]
fn a_relay_that_was_stopped_for_a_while_goes_on_and_its_agents_too() {
    let seconds = std::env::var("FOOTBRIDGE_TEST_STOPPED").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(3);
    let home = tempfile::tempdir().expect("a directory");
    let mut program = relay(home.path(), "127.93.0.4:0", &[]);
    let mut client = ready(&mut program);
    let (mut worker, environment) = worker(home.path(), &client);
    client.environment = environment;
    let sessions = [client.new_session(), client.new_session()];
    client.send(&sessions[0], "echo asked");
    client.event(&sessions[0], |message| message["type"] == "control_request");
    client.event(&sessions[1], |message| message["subtype"] == "agent_started");
    program.signal(Signal::STOP);
    std::thread::sleep(std::time::Duration::from_secs(seconds));
    program.signal(Signal::CONT);
    client.allow(&sessions[0]);
    client.event(&sessions[0], |message| message["type"] == "result");
    client.send(&sessions[1], "echo after");
    client.allow(&sessions[1]);
    client.event(&sessions[1], |message| message["type"] == "result");
    for session in &sessions {
        let events = log(&client, session);
        let starts = events.iter().filter(|e| e["message"]["subtype"] == "agent_started").count();
        assert_eq!(starts, 1, "its agent went on");
        assert!(events.iter().all(|event| event["message"]["state"] != "ended"));
    }
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Some(0));
}

#[test]
fn a_second_relay_on_the_same_data_is_refused_until_the_first_is_gone() {
    let home = tempfile::tempdir().expect("a directory");
    let mut first = relay(home.path(), ":0", &[]);
    ready(&mut first);
    let refused = output(home.path(), &["relay", "--listen", ":0", "--json"]);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(5), "{stderr}");
    assert!(stderr.contains(&format!("another relay (process {})", first.pid())), "{stderr}");
    assert!(stderr.contains("--data") && stderr.contains("--in-memory"), "{stderr}");
    first.signal(Signal::KILL);
    first.wait();
    ready(&mut relay(home.path(), ":0", &[]));
}

#[test]
fn what_a_relay_keeps_is_for_its_owner_only_and_one_in_memory_keeps_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().expect("a directory");
    ready(&mut relay(home.path(), ":0", &["--in-memory"]));
    let state = home.path().join(".local/state/footbridge");
    assert!(!state.join("relay").exists());
    let mut kept = relay(home.path(), ":0", &[]);
    ready(&mut kept);
    let mut files: Vec<_> = std::fs::read_dir(state.join("relay"))
        .expect("a directory")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| {
            let mode = entry.metadata().expect("there").permissions().mode() & 0o777;
            (entry.file_name().to_string_lossy().into_owned(), mode)
        })
        .collect();
    files.sort();
    assert!(files.iter().all(|(_, mode)| *mode == 0o600), "{files:?}");
    // It is written while the relay says that it is ready.
    files.retain(|(name, _)| !name.starts_with("running"));
    let names = ["lock", "push-key", "signing-key", "store.db", "store.db-shm", "store.db-wal"];
    assert_eq!(files, names.map(|name| (name.to_owned(), 0o600)));
    assert_eq!(state.join("relay").metadata().expect("there").permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_backup_is_made_while_the_relay_works_and_becomes_a_relay_of_its_own() {
    let home = tempfile::tempdir().expect("a directory");
    let mut original = relay(home.path(), "127.93.0.2:0", &[]);
    let mut client = ready(&mut original);
    let (mut worker, environment) = worker(home.path(), &client);
    client.environment = environment;
    let session = client.new_session();
    client.send(&session, "echo kept");
    client.event(&session, |message| message["type"] == "control_request");
    let events = log(&client, &session);

    let added = output(home.path(), &["relay", "user", "add", "eva"]);
    assert_eq!(added.status.code(), Some(0), "{}", String::from_utf8_lossy(&added.stderr));
    let made = output(home.path(), &["backup", "copy"]);
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    client.allow(&session);
    client.event(&session, |message| message["type"] == "result");
    let again = output(home.path(), &["backup", "copy"]);
    assert_eq!(again.status.code(), Some(2), "it is there already");
    let nothing = output(home.path(), &["backup", "--data", "nowhere", "other"]);
    assert_eq!(nothing.status.code(), Some(5), "{}", String::from_utf8_lossy(&nothing.stderr));
    assert!(!home.path().join("other").exists());

    let mut copy = relay(home.path(), "127.93.0.2:0", &["--data", "copy"]);
    let other = ready(&mut copy);
    assert_eq!(other.token, client.token);
    // Nobody else is left outside.
    let people = output(home.path(), &["relay", "user", "list", "--data", "copy"]);
    assert_eq!(people.stdout, b"owner\neva\n");
    // It knows the same events, and has gone on from there: nobody answered its question.
    assert_eq!(log(&other, &session)[..events.len()], events);
    let (_, seen) = other.call("GET", &format!("/v1/sessions/{session}"), &Value::Null);
    assert_eq!(seen["pending_permissions"].as_array().map(Vec::len), Some(1), "{seen}");
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Some(0));
}

#[test]
fn a_relay_that_finds_a_part_of_its_data_missing_says_what_that_means() {
    let home = tempfile::tempdir().expect("a directory");
    let said = |run: u32| {
        let path = home.path().join(format!("stderr-{run}"));
        let stderr = std::fs::File::create(&path).expect("made");
        let args = ["relay", "--listen", ":0", "--json", "--data", "kept"];
        let mut relay = Running::start(footbridge(home.path()).args(args).stderr(stderr));
        let client = ready(&mut relay);
        if run == 2 {
            let args = ["work", "--relay", &client.url, "--json", "--token-file", "kept/token"];
            ready(&mut Running::start(footbridge(home.path()).args(args)));
        }
        drop(relay);
        std::fs::read_to_string(path).expect("text")
    };
    let first = said(1);
    assert!(!first.contains("missing"), "{first}");
    let kept = |name: &str| home.path().join("kept").join(name);
    // As after a first start that failed between the two.
    std::fs::remove_file(kept("signing-key")).expect("removed");
    let nothing_signed = said(1);
    assert!(!nothing_signed.contains("missing"), "{nothing_signed}");
    std::fs::remove_file(kept("store.db")).expect("removed");
    let without_store = said(2);
    for words in ["store.db is missing", "without any session", "stop this relay now", "backup"] {
        assert!(without_store.contains(words), "{words}: {without_store}");
    }
    std::fs::remove_file(kept("signing-key")).expect("removed");
    let without_key = said(3);
    assert!(without_key.contains("signing-key is missing beside the sessions"), "{without_key}");
    let whole = said(4);
    assert!(!whole.contains("missing"), "{whole}");
}

#[test]
fn a_relay_is_ready_once_its_store_answers() {
    let home = tempfile::tempdir().expect("a directory");
    let mut program = relay(home.path(), ":0", &[]);
    let client = ready(&mut program);
    assert_eq!(client.call("GET", "/ready", &Value::Null).0, 200);
    // Its file is gone: what it would be given would be gone with it.
    let store = home.path().join(".local/state/footbridge/relay/store.db");
    std::fs::rename(&store, home.path().join("taken.db")).expect("moved");
    let body = json!({"machine_name": "m", "directory": "/", "max_sessions": 1});
    let (status, answer) = client.call("POST", "/v1/environments/bridge", &body);
    assert_eq!(status, 503, "{answer}");
    assert_eq!(answer["error"]["type"], "store_failed");
    // The proof that it can write is repeated once a second.
    until("that the relay is not ready", || {
        (client.call("GET", "/ready", &Value::Null).0 == 503).then_some(())
    });
    std::fs::rename(home.path().join("taken.db"), &store).expect("moved back");
    let (status, answer) = client.call("POST", "/v1/environments/bridge", &body);
    assert_eq!(status, 200, "{answer}");
}

#[test]
fn a_session_can_be_ended_while_its_relay_can_store_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let mut program = relay(home.path(), "127.93.0.10:0", &[]);
    let mut client = ready(&mut program);
    let (_worker, environment) = worker(home.path(), &client);
    client.environment = environment;
    let session = client.new_session();
    client.send(&session, "echo $PPID > agent");
    client.allow(&session);
    let agent = pid_in(&home.path().join("agent"));
    let store = home.path().join(".local/state/footbridge/relay/store.db");
    std::fs::rename(&store, home.path().join("taken.db")).expect("moved");
    let (status, seen) = client.call("POST", &format!("/v1/sessions/{session}/stop"), &json!({}));
    assert_eq!((status, &seen["stopping"]), (202, &json!(true)), "{seen}");
    until_gone(agent);
    std::fs::rename(home.path().join("taken.db"), &store).expect("moved back");
    assert_eq!(client.ended(&session)["result"]["status"], "interrupted");
}

#[test]
fn on_a_disk_that_takes_no_more_nothing_is_accepted_and_everything_can_be_read() {
    let home = tempfile::tempdir().expect("a directory");
    // No file may grow beyond a few MB.
    let limited = "ulimit -f 6144; trap '' XFSZ; exec \"$@\"";
    let program = env!("CARGO_BIN_EXE_footbridge");
    let args = ["relay", "--listen", "127.93.0.3:0", "--json", "--data", "kept"];
    let mut like_footbridge = footbridge(home.path());
    let mut command = std::process::Command::new("sh");
    command.args(["-c", limited, "sh", program]).args(args).current_dir(home.path());
    for (name, value) in like_footbridge.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    like_footbridge.args(args);
    let mut full = Running::start(&mut command);
    let client = ready(&mut full);
    let body = json!({"machine_name": "m", "directory": "/", "max_sessions": 1});
    let (_, registered) = client.call("POST", "/v1/environments/bridge", &body);
    let client = Ready {
        environment: registered["environment_id"].as_str().expect("an id").to_owned(),
        ..client
    };
    let session = client.new_session();
    let path = format!("/v1/sessions/{session}/messages");
    let mut accepted = Vec::new();
    let mut refused = 0;
    for n in 0..200 {
        let uuid = format!("00000000-0000-4000-8000-{n:012}");
        let content = "x".repeat(20_000);
        let user =
            json!({"type": "user", "uuid": uuid, "message": {"role": "user", "content": content}});
        match client.call("POST", &path, &json!({ "messages": [user] })).0 {
            200 => accepted.push(uuid),
            503 => refused += 1,
            other => panic!("{other}"),
        }
    }
    // The write-ahead log has its limit after 15 or so: its room is given back then.
    assert!(accepted.len() > 40 && refused > 5, "{} and {refused}", accepted.len());
    let posted = |client: &Ready| -> Vec<String> {
        let mut uuids = Vec::new();
        let mut after = 0;
        loop {
            let path = format!("/v1/sessions/{session}/events?after={after}&limit=20");
            let (status, page) = client.call("GET", &path, &Value::Null);
            assert_eq!(status, 200, "{page}");
            let events = page["events"].as_array().expect("events");
            let Some(last) = events.last() else { return uuids };
            after = last["seq"].as_u64().expect("a number");
            let found = events.iter().filter_map(|event| event["message"]["uuid"].as_str());
            uuids.extend(found.map(str::to_owned));
        }
    };
    assert_eq!(posted(&client), accepted);
    assert_eq!(client.call("GET", "/ready", &Value::Null).0, 200);
    full.signal(Signal::KILL);
    full.wait();
    let mut again = Running::start(&mut like_footbridge);
    let again_client = ready(&mut again);
    let client = Ready { url: again_client.url, ..client };
    assert_eq!(posted(&client), accepted);
    client.send(&session, "there is room again");
}
