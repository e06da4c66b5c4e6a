//! Files on a real disk.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{sync::Arc, thread};

use bytes::Bytes;
use footbridge_core::contract::action::Action;
use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::stage::Stage;

fn save(stage: &mut Stage, path: String, data: Bytes) -> Event {
    stage.start(|op| Action::Save { op, path, data });
    stage.next()
}

fn load(stage: &mut Stage, path: String, limit: usize) -> Event {
    stage.start(|op| Action::Load { op, path, limit });
    stage.next()
}

#[test]
fn a_file_is_saved_for_its_owner_alone_with_its_directories() {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("a/b/state.json");
    let text = path.to_str().expect("text").to_owned();
    let mut stage = Stage::new();
    assert!(matches!(save(&mut stage, text.clone(), "one".into()), Event::Saved { .. }));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("ours");
    assert!(matches!(save(&mut stage, text, "two".into()), Event::Saved { .. }));
    assert_eq!(fs::read(&path).expect("there"), b"two");
    assert_eq!(path.metadata().expect("there").mode() & 0o777, 0o600);
    let directory = root.path().join("a/b");
    assert_eq!(directory.metadata().expect("there").mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(directory).expect("there").count(), 1, "no litter");
    stage.end();
}

#[test]
fn a_reader_finds_the_old_file_or_the_new_one_and_nothing_between() {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("state");
    fs::write(&path, vec![b'0'; 100_000]).expect("written");
    let is_done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (path, is_done) = (path.clone(), Arc::clone(&is_done));
        thread::spawn(move || {
            while !is_done.load(Ordering::Relaxed) {
                let found = fs::read(&path).expect("always there");
                assert_eq!(found.len(), 100_000);
                assert!(found.iter().all(|b| *b == found[0]), "of one piece");
            }
        })
    };
    let mut stage = Stage::new();
    for round in 0..50_u8 {
        let data = Bytes::from(vec![b'0' + round; 100_000]);
        let saved = save(&mut stage, path.to_str().expect("text").to_owned(), data);
        assert!(matches!(saved, Event::Saved { .. }), "{saved:?}");
    }
    is_done.store(true, Ordering::Relaxed);
    reader.join().expect("never anything else");
    stage.end();
}

#[test]
fn a_save_that_fails_leaves_the_old_file() {
    let root = tempfile::tempdir().expect("a directory");
    let blocked = root.path().join("file");
    fs::write(&blocked, "old").expect("written");
    let mut stage = Stage::new();
    // A directory is asked for where a file is.
    let below = blocked.join("below").to_str().expect("text").to_owned();
    assert!(matches!(save(&mut stage, below, "new".into()), Event::Failed { .. }));
    // A file is asked for where a directory is.
    let directory = root.path().to_str().expect("text").to_owned();
    assert!(matches!(save(&mut stage, directory, "new".into()), Event::Failed { .. }));
    assert_eq!(fs::read(&blocked).expect("there"), b"old");
    stage.end();
}

#[test]
fn a_link_in_the_way_of_a_save_is_not_followed() {
    let mut stage = Stage::new();
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("state");
    let temporary = root.path().join(format!(".state.{}.new", std::process::id()));
    let other = root.path().join("other");
    std::os::unix::fs::symlink(&other, &temporary).expect("a link");
    let saved = save(&mut stage, path.to_str().expect("text").to_owned(), "new".into());
    assert!(matches!(saved, Event::Saved { .. }), "{saved:?}");
    assert!(!path.is_symlink() && !other.exists());
    stage.end();
}

#[test]
fn loading_tells_absent_large_and_unreadable_apart() {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("state");
    let text = path.to_str().expect("text").to_owned();
    let mut stage = Stage::new();
    let absent = load(&mut stage, text.clone(), 10);
    assert!(matches!(absent, Event::Loaded { data: None, .. }), "{absent:?}");
    fs::write(&path, "0123456789").expect("written");
    let whole = load(&mut stage, text.clone(), 10);
    assert!(matches!(whole, Event::Loaded { data: Some(data), .. } if data == "0123456789"));
    let Event::Failed { failure, .. } = load(&mut stage, text, 9) else { panic!("loaded") };
    assert_eq!(failure.kind, IoErrorKind::TooLarge);
    let directory = root.path().to_str().expect("text").to_owned();
    let Event::Failed { failure, .. } = load(&mut stage, directory.clone(), 9) else {
        panic!("loaded")
    };
    assert!(failure.detail.contains(&directory), "{failure}");
    stage.end();
}

#[test]
fn removing_and_listing_take_what_is_not_there_for_done() {
    let root = tempfile::tempdir().expect("a directory");
    let directory = root.path().join("d").to_str().expect("text").to_owned();
    let mut stage = Stage::new();
    let op = stage.start(|op| Action::List { op, path: directory.clone() });
    assert_eq!(stage.next(), Event::Listed { op, names: Vec::new() });
    for name in ["b", "a", "c"] {
        save(&mut stage, format!("{directory}/{name}"), Bytes::new());
    }
    fs::create_dir(format!("{directory}/sub")).expect("made");
    fs::write(format!("{directory}/.a.1.new"), "left by a crash").expect("written");
    for _ in 0..2 {
        let op = stage.start(|op| Action::Remove { op, path: format!("{directory}/b") });
        assert_eq!(stage.next(), Event::Removed { op });
    }
    let op = stage.start(|op| Action::List { op, path: directory.clone() });
    assert_eq!(stage.next(), Event::Listed { op, names: vec!["a".to_owned(), "c".to_owned()] });
    stage.end();
}
