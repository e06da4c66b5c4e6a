//! Log-ins in the keyring of the system (T-1). Where there is none, these are skipped, and say so.

use std::path::{Path, PathBuf};

use footbridge_secrets::{Entry, SCHEME};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Ready, ready};
use crate::log_in::{file_of, log_in, relay, stdout};
use crate::running::output;
use crate::shared_log_in::{Counter, ready_of, start_all, worker};

const KEYRING: [&str; 2] = ["--secrets", "keyring"];

/// The entry of a machine's log-in. It is gone with the test.
struct Kept(Entry);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.remove();
    }
}

impl Kept {
    /// What is kept there, and the text of it.
    fn load(&self) -> Option<(Value, String)> {
        let text = String::from_utf8(self.0.load().expect("a keyring")?).expect("text");
        Some((serde_json::from_str(&text).expect("JSON"), text))
    }

    /// Makes its access token one that has to be refreshed.
    fn spoil(&self) {
        let (mut kept, _) = self.load().expect("a log-in");
        kept["access_token"] = json!("fbaccess-spoilt");
        self.0.save(kept.to_string().as_bytes()).expect("kept");
    }
}

fn has_keyring(machine: &Path) -> bool {
    let name = format!("{SCHEME}{}", machine.join("tried").display());
    let tried = Entry::named(Path::new(&name)).expect("an entry").try_out(4096);
    if let Err(error) = &tried {
        eprintln!("skipped: {error}");
    }
    tried.is_ok()
}

fn log_ins(machine: &Path) -> PathBuf {
    machine.join(".local/state/footbridge/log-ins")
}

/// Logs a machine in, and finds where that is kept: as the file would be called.
fn logged_in(machine: &Path, by_way: &Ready) -> Kept {
    // The one in the file says what it is called.
    log_in(machine, by_way, &[]);
    let file = file_of(machine);
    log_in(machine, by_way, &KEYRING);
    assert!(!file.exists(), "what is replaced is removed, wherever it is");
    let name = format!("{SCHEME}{}", file.display());
    Kept(Entry::named(Path::new(&name)).expect("an entry"))
}

/// Whether something is in any file of the machine.
fn is_on_disk(directory: &Path, secret: &str) -> bool {
    let entries = std::fs::read_dir(directory).expect("a directory");
    entries.map(|entry| entry.expect("an entry").path()).any(|path| {
        if path.is_dir() {
            return is_on_disk(&path, secret);
        }
        let content = std::fs::read(&path).unwrap_or_default();
        String::from_utf8_lossy(&content).contains(secret)
    })
}

#[test]
fn a_log_in_in_the_keyring_is_refreshed_once_by_all_who_share_it_and_is_on_no_disk() {
    let (home, machine) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    if !has_keyring(machine.path()) {
        return;
    }
    let (_program, relay) = relay(home.path());
    let counter = Counter::before(&relay);
    let kept = logged_in(machine.path(), &Ready { url: counter.url.clone(), ..ready_of(&relay) });
    let (_, listed) = relay.call("GET", "/v1/devices", &Value::Null);
    assert_eq!(
        listed["devices"].as_array().expect("a list").len(),
        1,
        "the replaced one has ended"
    );
    let whoami = ["whoami", &counter.url, KEYRING[0], KEYRING[1]];
    let me = stdout(machine.path(), &whoami);
    assert!(me.contains("(work)") && me.contains("kept in the keyring"), "{me}");

    for round in ["processes that ask", "workers of both programs"] {
        kept.spoil();
        counter.refreshes();
        if round == "processes that ask" {
            for mut one in start_all(machine.path(), &counter.url, &KEYRING, 2) {
                assert!(one.wait().expect("it ends").success());
            }
        } else {
            let workers = [("one", false), ("two", true)];
            let mut workers = workers.map(|(name, is_other)| {
                worker(machine.path(), &counter.url, &KEYRING, name, is_other)
            });
            for worker in &mut workers {
                assert!(ready(worker).environment.starts_with("env_"));
                worker.signal(Signal::TERM);
                assert_eq!(worker.wait(), Some(0));
            }
        }
        assert_eq!(counter.refreshes(), 1, "{round}");
        let (now, text) = kept.load().expect("a log-in");
        assert!(!text.contains("spoilt"), "the next tokens are kept");
        for secret in ["access_token", "refresh_token", "refresh_key"] {
            assert!(!is_on_disk(machine.path(), now[secret].as_str().expect("text")), "{secret}");
        }
    }
    let left: Vec<_> = std::fs::read_dir(log_ins(machine.path())).expect("there").collect();
    assert_eq!(left.len(), 1, "only the lock");

    let logged_out = stdout(machine.path(), &["logout", &counter.url, KEYRING[0], KEYRING[1]]);
    assert!(logged_out.contains("Logged out") && kept.load().is_none());
    let refused = output(machine.path(), &whoami);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn who_looks_in_the_other_place_is_told_and_what_the_keyring_has_lost_is_no_log_in() {
    let (home, machine) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    if !has_keyring(machine.path()) {
        return;
    }
    let (_program, relay) = relay(home.path());
    let kept = logged_in(machine.path(), &ready_of(&relay));
    let refusal = |args: &[&str]| {
        let refused = output(machine.path(), &[&["whoami", &relay.url], args].concat());
        assert_eq!(refused.status.code(), Some(2));
        String::from_utf8(refused.stderr).expect("text")
    };
    let said = refusal(&[]);
    assert!(said.contains("--secrets keyring uses it"), "{said}");
    // As a restart of the machine does.
    kept.0.remove().expect("removed");
    let said = refusal(&KEYRING);
    assert!(said.contains("not logged in at") && said.contains("run footbridge login"), "{said}");
    // And back: nothing is left in the keyring.
    log_in(machine.path(), &relay, &KEYRING);
    assert!(kept.load().is_some());
    log_in(machine.path(), &relay, &["--secrets", "file"]);
    assert!(kept.load().is_none());
    stdout(machine.path(), &["whoami", &relay.url]);
}
