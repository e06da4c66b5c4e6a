//! A disk that is full or takes nothing: what still goes, and what comes back once it takes more.

use std::path::Path;
use std::process::Command;

use footbridge_core::base::id::{EnvironmentId, SessionId, WorkId};
use footbridge_core::base::io_error::IoErrorKind;
use footbridge_core::base::text::Text;
use footbridge_core::store::{
    AccountId, Answer, NewMessage, RelayTime, Store, StoreOp, StorePolicy, Transaction,
};
use footbridge_core::wire::worker_api::environment::{Metadata, Registration};
use footbridge_store_sqlite::{SqliteStore, open};

/// Tells another run of this program to be the one whose disk is small: its store's directory.
const DIRECTORY: &str = "FOOTBRIDGE_TEST_SMALL_DISK";
/// The same for the one whose database cannot be written to at first.
const READ_ONLY: &str = "FOOTBRIDGE_TEST_READ_ONLY_DISK";
const SESSIONS: u32 = 40;

fn owner() -> AccountId {
    AccountId("alice".to_owned())
}

fn session(n: u32) -> SessionId {
    SessionId::new(&format!("session_{n}")).expect("an id")
}

fn apply(store: &mut SqliteStore, op: StoreOp) -> Result<Answer, IoErrorKind> {
    let many = SESSIONS as usize;
    let policy = StorePolicy { max_sessions: many, max_queued: many, ..StorePolicy::default() };
    let transaction =
        Transaction { at: RelayTime::default(), policy: policy.into(), op: Box::new(op), by: None };
    let outcome = store.commit(&[transaction]).pop().expect("an outcome");
    outcome.map(|committed| committed.answer.expect("allowed")).map_err(|error| error.kind)
}

fn post(store: &mut SqliteStore, n: u32) -> Result<Answer, IoErrorKind> {
    let line = Text::from(format!(r#"{{"type":"user","pad":"{}"}}"#, "x".repeat(1000)));
    let messages = vec![NewMessage { uuid: None, request_id: None, line }];
    apply(store, StoreOp::Post { owner: owner(), session: session(n), messages, sender: None })
}

fn begin(store: &mut SqliteStore) {
    let environment = EnvironmentId::new("env_1").expect("an id");
    let registration = Box::new(Registration {
        machine_name: "m".to_owned(),
        directory: "/".to_owned(),
        branch: None,
        git_repo_url: None,
        max_sessions: SESSIONS,
        metadata: Metadata::default(),
        environment_id: None,
        worker_id: None,
        worker_run: None,
    });
    let id = environment.clone();
    let register = StoreOp::RegisterEnvironment { owner: owner(), id, registration, device: None };
    apply(store, register).expect("made");
    for n in 1..=SESSIONS {
        let work = WorkId::new(&format!("work_{n}")).expect("an id");
        let (environment, id, owner) = (environment.clone(), session(n), owner());
        let (title, key, options) = (None, None, None);
        let create = StoreOp::CreateSession { owner, environment, id, work, title, key, options };
        apply(store, create).expect("made");
    }
}

/// Not a test of its own: what the test starts.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let other = Path::new(&directory).join("other");
    std::fs::write(&other, vec![0; 8 << 20]).expect("written");
    let mut store = open(directory.as_ref()).expect("a store").store;
    begin(&mut store);
    let mut posted = 0;
    let refused = loop {
        match post(&mut store, posted % SESSIONS + 1) {
            Ok(_) => posted += 1,
            Err(kind) => break kind,
        }
    };
    assert_eq!(refused, IoErrorKind::Full);
    // Each takes some 200 kB of the write-ahead log.
    assert!(posted > 1000, "{posted}");
    for n in [1, 2] {
        let stop = StoreOp::RequestStop { owner: owner(), id: session(n) };
        apply(&mut store, stop).expect("there is room for that");
    }
    std::fs::remove_file(&other).expect("removed");
    post(&mut store, 3).expect("there is room again");
    for n in [1, 2] {
        let delete = StoreOp::DeleteSession { owner: owner(), id: session(n) };
        apply(&mut store, delete).expect("deleted");
    }
    println!("\nposted {posted}");
}

/// Not a test of its own, either.
#[test]
fn child_that_may_not_write_at_first() {
    let Some(directory) = std::env::var_os(READ_ONLY) else { return };
    begin(&mut open(directory.as_ref()).expect("a store").store);
    let file = Path::new(&directory).join("store.db");
    let file = file.to_str().expect("UTF-8");
    let mount = |words: &[&str]| {
        let done = Command::new("mount").args(words).args([file, file]).status().expect("run");
        assert!(done.success(), "{words:?}");
    };
    mount(&["--bind"]);
    mount(&["-o", "remount,bind,ro"]);
    let mut store = open(directory.as_ref()).expect("it can be read").store;
    post(&mut store, 1).expect_err("it cannot be written");
    assert!(Command::new("umount").arg(file).status().expect("run").success());
    // This one finds out.
    let _ = post(&mut store, 1);
    post(&mut store, 1).expect("it can be written now");
    println!("\nposted");
}

/// Runs one of the above in file systems of its own; what it said, or `None` where there can be none.
fn on_its_own(test: &str, variable: &str) -> Option<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let run = |then: &[&str]| {
        let mount = "mount -t tmpfs -o size=24m none \"$1\" && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", mount, "sh"]).arg(directory.path());
        command.args(then).env(variable, directory.path()).output()
    };
    if !run(&["true"]).is_ok_and(|tried| tried.status.success()) {
        eprintln!("skipped: a file system of its own cannot be mounted here");
        return None;
    }
    let program = std::env::current_exe().expect("a path");
    let program = program.to_str().expect("UTF-8");
    let ran = run(&[program, "--exact", test, "--nocapture"]).expect("run");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    Some(said)
}

#[test]
fn a_full_disk_still_takes_stops_and_once_there_is_room_everything() {
    let said = on_its_own("child", DIRECTORY);
    assert!(said.is_none_or(|said| said.contains("\nposted ")));
}

#[test]
fn a_database_that_could_not_be_written_is_opened_again_once_it_can() {
    let said = on_its_own("child_that_may_not_write_at_first", READ_ONLY);
    assert!(said.is_none_or(|said| said.contains("\nposted")));
}
