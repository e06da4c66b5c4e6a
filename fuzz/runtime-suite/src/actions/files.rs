//! Files, on a real file system.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use footbridge_core::contract::action::Action;
use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::Runtime;
use crate::harness::{Driven, Order, PATIENCE};

fn at(directory: &Path, name: &str) -> String {
    directory.join(name).to_str().expect("UTF-8").to_owned()
}

fn mode_of(path: &str) -> u32 {
    std::fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}

pub fn a_saved_file_can_be_loaded_and_is_private_to_its_owner<R: Runtime>() {
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    let path = at(directory.path(), "deep/deeper/state.json");
    for content in ["first", "second, longer", "third"] {
        let path_of = path.clone();
        let (path, data) = (path.clone(), Bytes::from_static(content.as_bytes()));
        let op = driven.begin(|op| Action::Save { op, path, data });
        assert_eq!(driven.next(), Event::Saved { op });
        // Whatever was done to it, the next one is again private to its owner.
        let for_all = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&path_of, for_all).expect("ours");
    }
    let op = driven.begin(|op| Action::Save { op, path: path.clone(), data: Bytes::new() });
    assert_eq!(driven.next(), Event::Saved { op });
    let op = driven.begin(|op| Action::Load { op, path: path.clone(), limit: 100 });
    let Event::Loaded { op: of, data: Some(data), modified: Some(modified) } = driven.next() else {
        panic!("it can be loaded")
    };
    assert!(of == op && data.is_empty());
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    assert!(since.as_secs().abs_diff(modified.as_secs()) < 60, "{modified} is not just now");
    assert_eq!(mode_of(&path), 0o600);
    assert_eq!(mode_of(&at(directory.path(), "deep/deeper")), 0o700);
    assert_eq!(mode_of(&at(directory.path(), "deep")), 0o700);
    let left = std::fs::read_dir(directory.path().join("deep/deeper")).expect("a directory");
    assert_eq!(left.count(), 1, "no temporary file is left");
    driven.end();
}

pub fn a_reader_sees_the_old_file_or_the_new_one_and_never_a_mixture<R: Runtime>() {
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    let path = at(directory.path(), "file");
    let contents = [Bytes::from(vec![b'a'; 300_000]), Bytes::from(vec![b'b'; 200_000])];
    std::fs::write(&path, &contents[0]).expect("written");
    for round in 0..20 {
        let (path, data) = (path.clone(), contents[round % 2].clone());
        driven.begin(|op| Action::Save { op, path, data });
    }
    let mut saved = 0;
    while saved < 20 {
        let seen = std::fs::read(&path).expect("always there");
        assert!(contents.iter().any(|content| *content == seen), "{} bytes", seen.len());
        saved += driven.pending().len();
    }
    let last = std::fs::read(&path).expect("there");
    assert_eq!(last.len(), 200_000, "the last one requested wins");
    driven.end();
}

pub fn a_missing_file_is_no_error_but_an_unreadable_one_is<R: Runtime>() {
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    let path = |name: &str| at(directory.path(), name);
    std::fs::write(path("large"), [0; 11]).expect("written");
    std::fs::write(path("file"), "text").expect("written");

    let op = driven.begin(|op| Action::Load { op, path: path("none"), limit: 10 });
    assert_eq!(driven.next(), Event::Loaded { op, data: None, modified: None });
    let op = driven.begin(|op| Action::Remove { op, path: path("none") });
    assert_eq!(driven.next(), Event::Removed { op });
    let op = driven.begin(|op| Action::Remove { op, path: path("no/directory") });
    assert_eq!(driven.next(), Event::Removed { op });
    let op = driven.begin(|op| Action::Load { op, path: path("large"), limit: 11 });
    assert!(matches!(driven.next(), Event::Loaded { op: of, data: Some(_), .. } if of == op));
    let op = driven.begin(|op| Action::Load { op, path: path("large"), limit: 10 });
    driven.fails_with(op, IoErrorKind::TooLarge);
    let op = driven.begin(|op| Action::Load { op, path: path("."), limit: 10 });
    let failure = driven.failed(op);
    assert_eq!(failure.kind, IoErrorKind::Other, "{failure}");
    assert!(failure.detail.contains(&path(".")), "{failure}");
    let data = Bytes::from_static(b"x");
    let op = driven.begin(|op| Action::Save { op, path: path("file/below"), data });
    let failure = driven.failed(op);
    assert!(failure.detail.contains("file/below"), "{failure}");
    driven.end();
}

pub fn what_the_system_does_not_permit_is_denied<R: Runtime>() {
    if rustix::process::geteuid().is_root() {
        // Nothing is denied to root, except in /proc, which every system has.
        let mut driven = Driven::start::<R>();
        let data = Bytes::from_static(b"x");
        let op = driven.begin(|op| Action::Save { op, path: "/proc/footbridge".into(), data });
        let failure = driven.failed(op);
        assert!(matches!(failure.kind, IoErrorKind::Denied | IoErrorKind::NotFound), "{failure}");
        driven.end();
        return;
    }
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    let path = at(directory.path(), "unreadable");
    std::fs::write(&path, "text").expect("written");
    let none = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(&path, none).expect("taken away");
    let op = driven.begin(|op| Action::Load { op, path, limit: 10 });
    driven.fails_with(op, IoErrorKind::Denied);
    driven.end();
}

pub fn a_pipe_in_place_of_a_file_does_not_block_other_files<R: Runtime>() {
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    let path = at(directory.path(), "pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
    assert!(made.success());
    let op = driven.begin(|op| Action::Load { op, path, limit: 10 });
    driven.fails_with(op, IoErrorKind::Other);
    driven.end();
}

pub fn a_directory_is_listed_sorted_and_without_directories<R: Runtime>() {
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    for name in ["b", "a", "c.json"] {
        std::fs::write(directory.path().join(name), "").expect("written");
    }
    std::fs::create_dir(directory.path().join("sub")).expect("made");
    let path = at(directory.path(), "");
    let op = driven.begin(|op| Action::List { op, path });
    let names = ["a", "b", "c.json"].map(String::from).to_vec();
    assert_eq!(driven.next(), Event::Listed { op, names });
    driven.end();
}

fn save(driven: &mut Driven, path: String, data: Bytes) -> Event {
    driven.begin(|op| Action::Save { op, path, data });
    driven.next()
}

pub fn a_save_that_fails_leaves_the_old_file<R: Runtime>() {
    let root = tempfile::tempdir().expect("a directory");
    let blocked = root.path().join("file");
    std::fs::write(&blocked, "old").expect("written");
    let mut driven = Driven::start::<R>();
    // A directory is needed where a file is.
    let below = blocked.join("below").to_str().expect("text").to_owned();
    assert!(matches!(save(&mut driven, below, "new".into()), Event::Failed { .. }));
    // A file is needed where a directory is.
    let directory = root.path().to_str().expect("text").to_owned();
    assert!(matches!(save(&mut driven, directory, "new".into()), Event::Failed { .. }));
    assert_eq!(std::fs::read(&blocked).expect("there"), b"old");
    driven.end();
}

pub fn a_link_in_place_of_a_saved_file_is_not_followed<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("state");
    let temporary = root.path().join(format!(".state.{}.new", std::process::id()));
    let other = root.path().join("other");
    std::os::unix::fs::symlink(&other, &temporary).expect("a link");
    let saved = save(&mut driven, path.to_str().expect("text").to_owned(), "new".into());
    assert!(matches!(saved, Event::Saved { .. }), "{saved:?}");
    assert!(!path.is_symlink() && !other.exists());
    driven.end();
}

pub fn removing_and_listing_what_does_not_exist_succeeds<R: Runtime>() {
    let root = tempfile::tempdir().expect("a directory");
    let directory = root.path().join("d").to_str().expect("text").to_owned();
    let mut driven = Driven::start::<R>();
    let op = driven.begin(|op| Action::List { op, path: directory.clone() });
    assert_eq!(driven.next(), Event::Listed { op, names: Vec::new() });
    for name in ["b", "a", "c"] {
        save(&mut driven, format!("{directory}/{name}"), Bytes::new());
    }
    std::fs::create_dir(format!("{directory}/sub")).expect("made");
    std::fs::write(format!("{directory}/.a.1.new"), "left by a crash").expect("written");
    for _ in 0..2 {
        let op = driven.begin(|op| Action::Remove { op, path: format!("{directory}/b") });
        assert_eq!(driven.next(), Event::Removed { op });
    }
    let op = driven.begin(|op| Action::List { op, path: directory.clone() });
    assert_eq!(driven.next(), Event::Listed { op, names: vec!["a".to_owned(), "c".to_owned()] });
    driven.end();
}

pub fn what_is_appended_follows_what_stays_and_the_rest_is_cut_off<R: Runtime>() {
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    let path = at(directory.path(), "deep/log");
    for (offset, data, expected) in [
        (0, "one\n", "one\n"),
        (4, "two\nthr", "one\ntwo\nthr"),
        (8, "three\n", "one\ntwo\nthree\n"),
        (8, "3", "one\ntwo\n3"),
        (8, "", "one\ntwo\n"),
        (0, "", ""),
    ] {
        let path_of = path.clone();
        let (path, data) = (path.clone(), Bytes::from_static(data.as_bytes()));
        let op = driven.begin(|op| Action::Append { op, path, offset, data });
        assert_eq!(driven.next(), Event::Appended { op });
        assert_eq!(std::fs::read_to_string(&path_of).expect("there"), expected);
    }
    assert_eq!(mode_of(&path), 0o600);
    assert_eq!(mode_of(&at(directory.path(), "deep")), 0o700);
    driven.end();
}

pub fn a_file_that_is_shorter_than_it_should_be_is_left_as_it_is<R: Runtime>() {
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    let path = at(directory.path(), "log");
    std::fs::write(&path, "one\n").expect("written");
    let (path_of, data) = (path.clone(), Bytes::from_static(b"two"));
    let op = driven.begin(|op| Action::Append { op, path: path_of, offset: 5, data });
    assert!(driven.failed(op).detail.contains("log"));
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "one\n");
    // Nor is anything but a file written to.
    let made = std::process::Command::new("mkfifo").arg(at(directory.path(), "pipe")).status();
    assert!(made.expect("mkfifo").success());
    for name in ["pipe", ".", "log/below"] {
        let (path, data) = (at(directory.path(), name), Bytes::from_static(b"x"));
        let op = driven.begin(|op| Action::Append { op, path, offset: 0, data });
        driven.failed(op);
    }
    driven.end();
}

pub fn the_end_of_a_file_is_read_with_the_length_of_all_of_it<R: Runtime>() {
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    let path = at(directory.path(), "log");
    let op = driven.begin(|op| Action::LoadEnd { op, path: path.clone(), limit: 4 });
    assert_eq!(driven.next(), Event::EndLoaded { op, length: 0, data: Bytes::new() });
    std::fs::write(&path, "0123456789").expect("written");
    for (limit, expected) in [(4, "6789"), (10, "0123456789"), (11, "0123456789"), (0, "")] {
        let op = driven.begin(|op| Action::LoadEnd { op, path: path.clone(), limit });
        let data = Bytes::from_static(expected.as_bytes());
        assert_eq!(driven.next(), Event::EndLoaded { op, length: 10, data });
    }
    let op = driven.begin(|op| Action::LoadEnd { op, path: at(directory.path(), "."), limit: 4 });
    driven.failed(op);
    driven.end();
}

pub fn a_lock_is_held_by_one_at_a_time_until_it_is_cancelled_or_its_holder_ends<R: Runtime>() {
    let (mut one, mut two) = (Driven::start::<R>(), Driven::start::<R>());
    let directory = tempfile::tempdir().expect("a directory");
    let path = at(directory.path(), "deep/lock");
    let taken = |driven: &mut Driven, patience| {
        driven.begin(|op| Action::Lock { op, path: path.clone(), patience })
    };
    let held = taken(&mut one, PATIENCE);
    assert_eq!(one.next(), Event::Locked { op: held });
    assert_eq!((mode_of(&path), mode_of(&at(directory.path(), "deep"))), (0o600, 0o700));
    let refused = taken(&mut two, Duration::ZERO);
    two.fails_with(refused, IoErrorKind::TimedOut);
    // Whoever no longer waits for it does not get it.
    let given_up = taken(&mut two, PATIENCE);
    two.order(Order::Do(Box::new(Action::Cancel { op: given_up })));
    let waiting = taken(&mut two, PATIENCE);
    // No other operation waits for it.
    let op = two.begin(|op| Action::Load { op, path: path.clone(), limit: 1 });
    assert!(matches!(two.next(), Event::Loaded { op: of, .. } if of == op));
    one.order(Order::Do(Box::new(Action::Cancel { op: held })));
    assert_eq!(two.next(), Event::Locked { op: waiting });
    let last = taken(&mut one, PATIENCE);
    two.end();
    assert_eq!(one.next(), Event::Locked { op: last });
    assert!(std::path::Path::new(&path).exists(), "it stays: others may be about to lock it");
    let op = one.begin(|op| Action::Lock { op, path: format!("{path}/x"), patience: PATIENCE });
    one.failed(op);
    one.end();
}
