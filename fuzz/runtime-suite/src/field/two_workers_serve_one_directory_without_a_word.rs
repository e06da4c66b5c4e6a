//! Two workers are started for one directory, from two homes or under two names. They look the same
//! to people, and both take work.

use crate::Runtime;
use crate::scenarios::stage::program::Program;
use crate::scenarios::stage::{Relay, until};

pub fn the_second_one_says_so<R: Runtime>() {
    let relay = Relay::start();
    let homes = [(); 4].map(|()| tempfile::tempdir().expect("a directory"));
    let shared = tempfile::tempdir().expect("a directory");
    let directory = shared.path().to_str().expect("text");
    let count = |n: usize| {
        until("they are registered", || (relay.api.environments().len() == n).then_some(()));
    };
    let start = |nth: usize, more: &[&str]| {
        let options = [&["--directory", directory], more].concat();
        let worker = Program::start::<R>(&relay.address, homes[nth].path(), "", &options);
        count(nth + 1);
        worker
    };
    let words = "another worker on this machine serves";
    let mut first = start(0, &[]);
    assert!(!first.printed().contains(words), "{}", first.printed());
    let mut second = start(1, &[]);
    let printed = second.printed();
    assert!(printed.contains(words) && printed.contains("with --name"), "{printed}");
    assert!(printed.contains("change the same files"), "{printed}");
    let mut named = start(2, &["--name", "another"]);
    let printed = named.printed();
    assert!(printed.contains(words) && !printed.contains("with --name"), "{printed}");
    for worker in [&mut first, &mut second, &mut named] {
        assert_eq!(worker.end(), Some(0), "{}", worker.printed());
    }
    count(0);
    let options = ["--directory", directory];
    let mut last = Program::start::<R>(&relay.address, homes[3].path(), "", &options);
    count(1);
    assert!(!last.printed().contains(words), "{}", last.printed());
    assert_eq!(last.end(), Some(0), "{}", last.printed());
}
