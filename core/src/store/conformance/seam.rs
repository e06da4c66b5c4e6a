//! The seam holds for tables that are nothing like memory's, that fail, and that are opened again;
//! and in batches as well as one by one.

use alloc::vec;
use alloc::vec::Vec;

use super::bytes::{BytesTables, Fault, difference};
use super::*;
use crate::store::{RuleStore, Store};

fn only(store: &mut impl Store, transaction: Transaction) -> Committed {
    let committed = store.commit(&[transaction]).pop().expect("one outcome for one operation");
    committed.expect("no failure")
}

/// The operations of a run, each with what it comes to.
fn recorded(seed: u64, operations: usize) -> Vec<(Transaction, Committed)> {
    let (mut store, mut run) = (MemoryStore::new(), Vec::new());
    let checked = check(seed, operations, |transaction| {
        let committed = store.apply(transaction.clone());
        run.push((transaction, committed.clone()));
        committed
    });
    assert_eq!(checked, Ok(()));
    run
}

#[test]
fn a_store_of_bytes_keeps_every_promise_and_differs_in_nothing() {
    for seed in 100..116 {
        let mut store = RuleStore::over(BytesTables::default());
        let compared = compare(seed, 500, |transaction| only(&mut store, transaction));
        assert_eq!(compared, Ok(()));
    }
}

#[test]
fn a_store_that_is_closed_and_opened_again_has_lost_nothing() {
    for seed in 200..208 {
        let mut store = RuleStore::over(BytesTables::default());
        let mut operations = 0;
        let compared = compare(seed, 500, |transaction| {
            operations += 1;
            if operations % 7 == 0 {
                let tables = core::mem::take(store.tables());
                store = RuleStore::over(tables.reopened());
            }
            only(&mut store, transaction)
        });
        assert_eq!(compared, Ok(()));
    }
}

/// Runs of a run's operations, of 1 to 9 at once.
fn batches(run: &[(Transaction, Committed)], seed: u64) -> Vec<&[(Transaction, Committed)]> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut rest, mut batches) = (run, Vec::new());
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(rng.usize(1..10).min(rest.len()));
        batches.push(batch);
        rest = after;
    }
    batches
}

fn in_batches(store: &mut impl Store, seed: u64) {
    let run = recorded(seed, 500);
    for batch in batches(&run, seed) {
        let transactions: Vec<_> = batch.iter().map(|(asked, _)| asked.clone()).collect();
        let committed = store.commit(&transactions);
        let expected: Vec<_> = batch.iter().map(|(_, committed)| Ok(committed.clone())).collect();
        assert!(committed == expected, "seed {seed}: {committed:?} is not {expected:?}");
    }
}

#[test]
fn a_batch_comes_to_the_same_as_its_operations_one_by_one() {
    for seed in 300..306 {
        in_batches(&mut MemoryStore::new(), seed);
        in_batches(&mut RuleStore::over(BytesTables::default()), seed);
    }
}

#[test]
fn what_fails_anywhere_leaves_nothing_behind_and_can_be_tried_again() {
    let mut failures = 0;
    for seed in 400..404 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut store = RuleStore::over(BytesTables::default());
        let compared = compare(seed, 300, |transaction| {
            let before = store.tables().contents().clone();
            store.tables().fault = Fault { after: Some(rng.u32(..24)) };
            let committed = store.commit(core::slice::from_ref(&transaction)).pop();
            store.tables().fault = Fault::default();
            if let Some(Ok(committed)) = committed {
                return committed;
            }
            failures += 1;
            let left = difference(&before, store.tables().contents());
            assert_eq!(left, None, "{:?} failed and left it", transaction.op);
            only(&mut store, transaction)
        });
        assert_eq!(compared, Ok(()));
    }
    assert!(failures > 300, "only {failures} operations failed");
}

#[test]
fn in_a_batch_only_what_is_at_fault_fails_unless_the_batch_does() {
    let run = recorded(500, 200);
    let asked: Vec<_> = run.iter().map(|(transaction, _)| transaction.clone()).collect();
    let mut store = RuleStore::over(BytesTables::default());
    let kept = store.commit(&asked[..150]);
    assert!(kept.iter().all(Result::is_ok));

    // A fault in one of the operations is met once: each of them by itself is carried out.
    store.tables().fault = Fault { after: Some(40) };
    let expected: Vec<_> = run[150..].iter().map(|(_, committed)| Ok(committed.clone())).collect();
    let mut alone = RuleStore::over(core::mem::take(store.tables()).reopened());
    alone.tables().fault = Fault { after: Some(40) };
    assert!(alone.commit(&asked[150..]) == expected);

    // A commit that fails takes all with it, and nothing is tried twice.
    let mut counted = RuleStore::over(BytesTables::default());
    counted.tables().fault = Fault { after: Some(3) };
    let first = vec![asked[0].clone(); 1];
    let before = counted.tables().contents().clone();
    assert!(counted.commit(&first).iter().all(Result::is_err));
    assert_eq!(difference(&before, counted.tables().contents()), None);
}
