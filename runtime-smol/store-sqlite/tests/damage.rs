//! Files that are not what was written: what is found, what is kept, and what is said.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use footbridge_core::base::id::{EnvironmentId, SessionId, WorkId};
use footbridge_core::base::io_error::IoErrorKind;
use footbridge_core::base::text::Text;
use footbridge_core::store::{
    AccountId, Answer, Entry, NewMessage, RelayTime, Store, StoreOp, StorePolicy, Transaction,
};
use footbridge_core::wire::worker_api::environment::{Metadata, Registration};
use footbridge_store_sqlite::{OpenError, SqliteStore, backup, open};

const SESSIONS: u32 = 30;
const EVENTS: u32 = 60;
const PAGE: u64 = 16 << 10;
/// How a page begins that says where other pages of a table are.
const INTERIOR: u8 = 5;

fn owner() -> AccountId {
    AccountId("alice".to_owned())
}

fn session(n: u32) -> SessionId {
    SessionId::new(&format!("session_{n}")).expect("an id")
}

fn apply(store: &mut SqliteStore, op: StoreOp) -> Result<Answer, IoErrorKind> {
    let policy = StorePolicy { inbound_lines: 100_000, ..StorePolicy::default() };
    let transaction =
        Transaction { at: RelayTime::default(), policy: policy.into(), op: Box::new(op), by: None };
    let outcome = store.commit(&[transaction]).pop().expect("an outcome");
    outcome.map(|committed| committed.answer.expect("allowed")).map_err(|error| error.kind)
}

fn event(n: u32, at: u32) -> String {
    format!(r#"{{"type":"user","n":{n},"at":{at},"pad":"{}"}}"#, "x".repeat(400))
}

/// A store with sessions that have something to lose.
fn fill(directory: &Path) {
    let mut store = open(directory).expect("a store").store;
    let environment = EnvironmentId::new("env_1").expect("an id");
    let registration = Registration {
        machine_name: "m".to_owned(),
        directory: "/".to_owned(),
        branch: None,
        git_repo_url: None,
        max_sessions: 1,
        metadata: Metadata::default(),
        environment_id: None,
        worker_id: None,
        worker_run: None,
    };
    let (id, registration) = (environment.clone(), Box::new(registration));
    apply(
        &mut store,
        StoreOp::RegisterEnvironment { owner: owner(), id, registration, device: None },
    )
    .expect("made");
    for n in 1..=SESSIONS {
        let work = WorkId::new(&format!("work_{n}")).expect("an id");
        let (environment, id) = (environment.clone(), session(n));
        let (title, key) = (None, None);
        apply(
            &mut store,
            StoreOp::CreateSession {
                owner: owner(),
                environment,
                id,
                work,
                title,
                key,
                options: None,
            },
        )
        .expect("made");
    }
    for at in 1..=EVENTS {
        for n in 1..=SESSIONS {
            let line = Text::from(event(n, at));
            let messages = vec![NewMessage { uuid: None, request_id: None, line }];
            apply(
                &mut store,
                StoreOp::Post { owner: owner(), session: session(n), messages, sender: None },
            )
            .expect("posted");
        }
    }
}

fn log(store: &mut SqliteStore, n: u32) -> Result<Vec<Entry>, IoErrorKind> {
    let (owner, session, after) = (owner(), session(n), 0);
    let (max_events, max_bytes) = (10_000, 1 << 30);
    match apply(store, StoreOp::ReadLog { owner, session, after, max_events, max_bytes })? {
        Answer::Page(page) => Ok(page.entries),
        other => panic!("{other:?}"),
    }
}

fn is_known(store: &mut SqliteStore, n: u32) -> bool {
    let list =
        StoreOp::ListSessions { owner: owner(), environment: None, before: None, limit: 1000 };
    let Ok(Answer::Sessions(sessions)) = apply(store, list) else { panic!("a damaged list") };
    sessions.iter().any(|known| known.id == session(n))
}

/// How many of all events are as they were written; the others say that they are lost.
fn whole(store: &mut SqliteStore) -> usize {
    let mut count = 0;
    for n in 1..=SESSIONS {
        if !is_known(store, n) {
            continue;
        }
        let entries = log(store, n).expect("what is left is whole");
        // The first says that the session is queued.
        assert_eq!(entries.len() as u32, EVENTS + 1, "no gap");
        for (entry, seq) in entries.iter().zip(1..) {
            assert_eq!(entry.seq, seq);
            let is_as_written = seq == 1 || entry.line.as_str() == event(n, seq as u32 - 1);
            let is_lost = entry.line.as_str().contains("event_lost");
            assert!(is_as_written || is_lost, "{:?}", entry.line);
            count += usize::from(!is_lost);
        }
    }
    count
}

fn damage(directory: &Path, page: u64, pages: u64) {
    let file = fs::OpenOptions::new().write(true).open(directory.join("store.db")).expect("opened");
    for page in page..page + pages {
        file.write_all_at(&[0x5a; 512], page * PAGE + 8).expect("written");
        file.write_all_at(&[0x5a; 512], page * PAGE + PAGE / 2).expect("written");
    }
}

#[test]
fn what_is_whole_of_a_damaged_file_is_kept_wherever_the_damage_is() {
    let original = tempfile::tempdir().expect("a directory");
    fill(original.path());
    let file = original.path().join("store.db");
    let pages = file.metadata().expect("there").len() / PAGE;
    let all = (SESSIONS * (EVENTS + 1)) as usize;
    let (mut least, mut salvaged, mut interior) = (all, 0, 0);
    let bytes = fs::read(&file).expect("read");
    for page in 0..pages {
        let directory = tempfile::tempdir().expect("a directory");
        fs::copy(&file, directory.path().join("store.db")).expect("copied");
        damage(directory.path(), page, 1);
        // What cannot be read says so, and the rest can be read.
        match open(directory.path()) {
            Ok(opened) if opened.salvaged.is_none() => {
                let mut store = opened.store;
                for n in 1..=SESSIONS {
                    let read = log(&mut store, n).map(|entries| entries.len());
                    assert!(matches!(read, Ok(_) | Err(IoErrorKind::Damaged)), "{read:?}");
                }
            }
            Ok(_) => {}
            Err(error) => panic!("page {page}: {error}"),
        }
        // Whoever found it has left a note.
        let mut opened = open(directory.path()).expect("a store");
        salvaged += usize::from(opened.salvaged.is_some());
        let count = whole(&mut opened.store);
        // Without the page that all others of a table hang from, SQLite reads none of them.
        if bytes[(page * PAGE) as usize] == INTERIOR {
            interior += 1;
        } else {
            least = least.min(count);
        }
        drop(opened);
        assert!(open(directory.path()).expect("a store").salvaged.is_none(), "it is whole now");
    }
    assert!(salvaged > 5, "only {salvaged} of them were found");
    assert!(interior < 5, "{interior} of {pages} pages have others below them");
    // A page of sessions takes their logs with it; here, it holds every other session.
    assert!(least > all / 3, "one page took {} of {all} events", all - least);
}

/// The store in this file, with these of its pages damaged.
fn with_damage(file: &Path, pages: &[u64]) -> (tempfile::TempDir, footbridge_store_sqlite::Opened) {
    let directory = tempfile::tempdir().expect("a directory");
    fs::copy(file, directory.path().join("store.db")).expect("copied");
    for page in pages {
        damage(directory.path(), *page, 1);
    }
    // The first start may have to find it where it reads.
    if let Ok(mut opened) = open(directory.path())
        && opened.salvaged.is_none()
    {
        let _ = (1..=SESSIONS).filter(|n| log(&mut opened.store, *n).is_ok()).count();
    }
    let opened = open(directory.path()).expect("a store");
    (directory, opened)
}

#[test]
fn what_lies_between_two_damaged_pages_is_kept_as_well() {
    let original = tempfile::tempdir().expect("a directory");
    fill(original.path());
    let file = original.path().join("store.db");
    let pages = file.metadata().expect("there").len() / PAGE;
    let all = (SESSIONS * (EVENTS + 1)) as usize;
    let kept = |pages: &[u64]| whole(&mut with_damage(&file, pages).1.store);
    for (one, other) in [(4, 2), (3, 2), (5, 3)].map(|(a, b)| (pages / a, pages / b)) {
        let (lost, lost_too) = (all - kept(&[one]), all - kept(&[other]));
        let both = kept(&[one, other]);
        assert!(both + lost + lost_too >= all, "{one} and {other}: {both} of {all}");
    }
}

#[test]
fn a_file_that_was_cut_short_is_read_as_far_as_it_goes() {
    let original = tempfile::tempdir().expect("a directory");
    let copy = tempfile::tempdir().expect("a directory");
    fill(original.path());
    // A copy has its tables elsewhere.
    backup(original.path(), copy.path()).expect("copied");
    for home in [&original, &copy] {
        let path = home.path().join("store.db");
        let file = fs::OpenOptions::new().write(true).open(&path).expect("opened");
        let length = file.metadata().expect("there").len();
        file.set_len(length - length / 25 - 100).expect("cut");
        let mut opened = open(home.path()).expect("a store");
        let salvaged = opened.salvaged.take().expect("salvaged");
        assert!(!salvaged.is_unreadable);
        assert_eq!(salvaged.sessions + salvaged.sessions_lost, u64::from(SESSIONS), "{salvaged:?}");
        let all = (SESSIONS * (EVENTS + 1)) as usize;
        let kept = whole(&mut opened.store);
        assert!(kept > all / 3, "{kept} of {all}, {salvaged:?}");
    }
}

#[test]
fn a_file_that_is_no_database_is_put_aside() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("store.db"), vec![7; 100_000]).expect("written");
    let opened = open(directory.path()).expect("a store");
    let salvaged = opened.salvaged.expect("salvaged");
    assert!(salvaged.is_unreadable);
    assert_eq!(salvaged.sessions, 0);
    assert_eq!(fs::read(&salvaged.damaged).expect("kept"), vec![7; 100_000]);
}

#[test]
fn a_log_that_has_lost_its_database_is_put_aside() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let opened = open(directory.path()).expect("a store");
    let made = opened.made.expect("it is a new one");
    assert_eq!((made.path, made.orphaned_log), (path("store.db"), None));
    drop(opened.store);
    fill(directory.path());
    let running = open(directory.path()).expect("a store");
    assert_eq!(running.made, None);
    // As a kill leaves it: the last that was committed is in the write-ahead log only.
    let killed = tempfile::tempdir().expect("a directory");
    let mut running = running.store;
    apply(&mut running, StoreOp::RequestStop { owner: owner(), id: session(1) }).expect("done");
    for name in ["store.db", "store.db-wal"] {
        fs::copy(path(name), killed.path().join(name)).expect("copied");
    }
    fs::rename(killed.path().join("store.db"), killed.path().join("moved.db")).expect("moved");
    let made = open(killed.path()).expect("a store").made.expect("it is a new one");
    let orphan = made.orphaned_log.expect("it is kept");
    // As the relay tells people to put it back.
    fs::rename(killed.path().join("moved.db"), killed.path().join("store.db")).expect("moved");
    fs::rename(orphan, killed.path().join("store.db-wal")).expect("moved");
    let mut again = open(killed.path()).expect("a store");
    assert_eq!(again.made, None);
    let entries = log(&mut again.store, 1).expect("a log");
    assert!(entries.len() as u32 > EVENTS + 1, "how it ended is there");
}

#[test]
fn a_backup_holds_what_there_was_and_one_of_a_damaged_file_fails() {
    let directory = tempfile::tempdir().expect("a directory");
    fill(directory.path());
    let running = open(directory.path()).expect("a store");
    let target = tempfile::tempdir().expect("a directory");
    backup(directory.path(), target.path()).expect("a backup");
    let mut copy = open(target.path()).expect("a store").store;
    assert_eq!(whole(&mut copy), (SESSIONS * (EVENTS + 1)) as usize);
    drop(running);
    damage(directory.path(), 10, 20);
    let target = tempfile::tempdir().expect("a directory");
    let refused = backup(directory.path(), target.path()).expect_err("damaged");
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
}
