//! Several people at one relay, and trusted devices (Y-1, D), by the programs that people use.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::client::{Ready, ready};
use crate::log_in::{file_of, log_in, relay};
use crate::running::{Running, footbridge, output, until};

fn stdout(home: &Path, args: &[&str]) -> String {
    let made = output(home, args);
    let stderr = String::from_utf8_lossy(&made.stderr);
    assert_eq!(made.status.code(), Some(0), "{args:?}: {stderr}");
    String::from_utf8(made.stdout).expect("text")
}

/// The relay, as somebody with this token sees it.
fn as_seen_by(relay: &Ready, token: String) -> Ready {
    let (url, environment) = (relay.url.clone(), String::new());
    Ready { url, token, environment, certificate: None }
}

/// Where the tokens of others than the owner are.
fn tokens(home: &Path) -> Vec<PathBuf> {
    let directory = home.join(".local/state/footbridge/relay/users");
    let files = std::fs::read_dir(directory).expect("a directory");
    files.map(|file| file.expect("a file").path()).collect()
}

#[test]
fn a_person_is_let_in_while_the_relay_runs_has_nothing_of_others_and_is_cut_off() {
    let (home, machine) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let (_program, owner) = relay(home.path());
    let said = stdout(home.path(), &["relay", "user", "add", "eva"]);
    let file = tokens(home.path()).remove(0);
    assert!(said.contains(file.to_str().expect("text")), "{said}");
    assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(&file).expect("text").trim().to_owned();
    assert!(!said.contains(&token));
    assert_eq!(stdout(home.path(), &["relay", "user", "list"]), "owner\neva\n");
    let eva = as_seen_by(&owner, token);
    let me = until("she is let in", || {
        let (status, me) = eva.call("GET", "/v1/whoami", &Value::Null);
        (status == 200).then_some(me)
    });
    assert_eq!(me["account"], "eva");
    // Her machine and its session are hers.
    log_in(machine.path(), &eva, &[]);
    let mut worker = Running::start(
        footbridge(machine.path()).args(["work", "--relay", &eva.url, "--json", "--quiet"]),
    );
    let eva = Ready { environment: ready(&mut worker).environment, ..eva };
    let session = eva.new_session();
    for (person, count) in [(&owner, 0), (&eva, 1)] {
        for list in ["environments", "sessions", "devices"] {
            let (_, listed) = person.call("GET", &format!("/v1/{list}"), &Value::Null);
            assert_eq!(listed[list].as_array().expect("a list").len(), count, "{list}");
        }
    }
    assert_eq!(owner.call("GET", &format!("/v1/sessions/{session}"), &Value::Null).0, 404);

    // Whatever else lies there keeps nobody in.
    let note = file.with_file_name("notes.txt");
    std::fs::write(&note, "x").expect("written");
    stdout(home.path(), &["relay", "user", "remove", "eva"]);
    until("she is cut off", || {
        (eva.call("GET", "/v1/whoami", &Value::Null).0 == 401).then_some(())
    });
    std::fs::remove_file(note).expect("removed");
    let refused = output(machine.path(), &["whoami", &eva.url]);
    assert!(!refused.status.success());
    worker.signal(Signal::KILL);
    assert_eq!(owner.call("GET", "/v1/whoami", &Value::Null).0, 200);
    assert_eq!(stdout(home.path(), &["relay", "user", "list"]), "owner\n");
    // Another one of that name has nothing of hers.
    stdout(home.path(), &["relay", "user", "add", "eva"]);
    let mut files = tokens(home.path()).into_iter();
    let file = files.find(|file| file.extension().is_none_or(|end| end != "gone"));
    let token = std::fs::read_to_string(file.expect("a file")).expect("text").trim().to_owned();
    let other = as_seen_by(&owner, token);
    until("the other one is let in", || {
        (other.call("GET", "/v1/whoami", &Value::Null).0 == 200).then_some(())
    });
    for list in ["environments", "sessions", "devices"] {
        let (_, listed) = other.call("GET", &format!("/v1/{list}"), &Value::Null);
        assert_eq!(listed[list], serde_json::json!([]), "{list}");
    }
}

#[test]
fn a_relay_may_take_answers_from_trusted_devices_alone_and_a_log_in_becomes_one() {
    let (home, mine) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let other = tempfile::tempdir().expect("dir");
    let demand = ["up", "--listen", ":0", "--json", "--demand-trusted-device", "answer,drive"];
    let mut program = Running::start(footbridge(home.path()).args(demand));
    let owner = ready(&mut program);
    let drive = ["--scope", "drive"];
    log_in(mine.path(), &owner, &drive);
    let all = ["--scope", "watch,answer,drive", "--no-trusted-device"];
    log_in(other.path(), &owner, &all);
    let listed = stdout(home.path(), &["devices"]);
    let trusted: Vec<&str> = listed.lines().filter(|line| line.contains(", trusted)")).collect();
    assert!(trusted.len() == 1 && trusted[0].contains("  Footbridge on "), "{listed}");
    let kept = std::fs::read_to_string(file_of(mine.path())).expect("text");
    let kept: Value = serde_json::from_str(&kept).expect("JSON");
    let token = kept["trusted_device_token"].as_str().expect("it is kept").to_owned();

    let new = ["attach", "--new", "--relay", &owner.url, "--json"];
    let refused = output(other.path(), &new);
    let said = String::from_utf8_lossy(&refused.stderr) + String::from_utf8_lossy(&refused.stdout);
    assert!(!refused.status.success() && said.contains("footbridge login"), "{said}");
    // What is another device's does not help.
    let mut stolen = footbridge(other.path());
    stolen.args(new).env("CLAUDE_TRUSTED_DEVICE_TOKEN", token).stdin(Stdio::null());
    assert!(!stolen.output().expect("it runs").status.success());
    let mut attached = Running::start(footbridge(mine.path()).args(new));
    let created = until("a session", || {
        let (_, listed) = owner.call("GET", "/v1/sessions", &Value::Null);
        listed["sessions"].get(0).cloned()
    });
    let session = created["id"].as_str().expect("an id");
    owner.send(session, "echo hi");
    owner.event(session, |message| message["type"] == "control_request");
    let link = output(other.path(), &["answer-link", session, "--relay", &owner.url]);
    let said = String::from_utf8_lossy(&link.stderr);
    assert_eq!((link.status.code(), &*link.stdout), (Some(3), &b""[..]), "{said}");
    assert!(said.contains("trusted device") && said.contains("footbridge login"), "{said}");
    attached.signal(Signal::KILL);
    attached.wait();
}
