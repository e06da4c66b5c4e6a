//! The suite that every store has to pass, over a database on disk, reopened now and then.

use std::path::Path;

use footbridge_core::store::{
    Committed, MemoryStore, Store, Transaction,
    conformance::{check, check_answer_links, check_audit, check_room, compare},
};
use footbridge_store_sqlite::{SqliteStore, open};

fn opened(directory: &Path) -> SqliteStore {
    open(directory).expect("a store").store
}

fn only(store: &mut SqliteStore, transaction: Transaction) -> Committed {
    let committed = store.commit(&[transaction]).pop().expect("one outcome for one operation");
    committed.expect("no failure")
}

/// A store that is closed and opened again after every so many operations.
struct Reopened {
    store: Option<SqliteStore>,
    operations: usize,
    directory: tempfile::TempDir,
}

impl Reopened {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self { store: None, operations: 0, directory }
    }

    fn store(mut self) -> impl FnMut(Transaction) -> Committed {
        move |transaction| {
            self.operations += 1;
            if self.operations.is_multiple_of(23) {
                self.store = None;
            }
            only(self.store.get_or_insert_with(|| opened(self.directory.path())), transaction)
        }
    }
}

#[test]
fn it_keeps_every_promise() {
    for seed in 0..6 {
        let directory = tempfile::tempdir().expect("a directory");
        let mut store = opened(directory.path());
        assert_eq!(check(seed, 600, |transaction| only(&mut store, transaction)), Ok(()));
    }
}

#[test]
fn it_has_the_outcomes_of_the_store_in_memory_also_when_it_is_reopened() {
    for seed in 100..108 {
        assert_eq!(compare(seed, 500, Reopened::new().store()), Ok(()));
    }
}

#[test]
fn it_keeps_the_audit_log_also_when_it_is_reopened() {
    for seed in 0..4 {
        assert_eq!(check_audit(seed, 400, Reopened::new().store()), Ok(()));
    }
}

#[test]
fn its_links_answer_one_question_once_also_when_it_is_reopened() {
    for seed in 0..4 {
        assert_eq!(check_answer_links(seed, 300, Reopened::new().store()), Ok(()));
    }
}

#[test]
fn room_is_made_by_whoever_takes_up_the_most_also_when_it_is_reopened() {
    assert_eq!(check_room(Reopened::new().store()), Ok(()));
}

#[test]
fn a_batch_has_the_outcomes_of_its_operations_one_by_one() {
    for seed in 200..208 {
        let (mut memory, mut run) = (MemoryStore::new(), Vec::new());
        let checked = check(seed, 800, |transaction| {
            let committed = memory.apply(transaction.clone());
            run.push((transaction, committed.clone()));
            committed
        });
        assert_eq!(checked, Ok(()));
        let directory = tempfile::tempdir().expect("a directory");
        let mut store = opened(directory.path());
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut rest = &run[..];
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(rng.usize(1..20).min(rest.len()));
            let (asked, expected): (Vec<_>, Vec<_>) = batch.iter().cloned().unzip();
            let expected: Vec<_> = expected.into_iter().map(Ok).collect();
            assert!(store.commit(&asked) == expected, "seed {seed}");
            rest = after;
        }
    }
}

#[test]
fn what_only_reads_writes_nothing() {
    use footbridge_core::store::{AccountId, RelayRun, RelayTime, StoreOp, StorePolicy};
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = opened(directory.path());
    let log = directory.path().join("store.db-wal");
    let size = || log.metadata().map_or(0, |metadata| metadata.len());
    let before = size();
    for second in 1..20 {
        let running = std::time::Duration::from_secs(second);
        let at = RelayTime { run: RelayRun(1), running, ..RelayTime::default() };
        let op = Box::new(StoreOp::List { owner: AccountId("alice".to_owned()) });
        only(&mut store, Transaction { at, policy: StorePolicy::default().into(), op, by: None });
    }
    assert_eq!(size(), before);
}
