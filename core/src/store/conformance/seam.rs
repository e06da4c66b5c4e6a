//! The rules hold over tables that are nothing like the memory store's, that fail, and that are
//! reopened; in batches as well as one operation at a time.

use alloc::vec;
use alloc::vec::Vec;

use super::bytes::{BytesTables, Fault, difference};
use super::*;
use crate::store::{RuleStore, Store};

fn only(store: &mut impl Store, transaction: Transaction) -> Committed {
    let committed = store.commit(&[transaction]).pop().expect("one outcome for one operation");
    committed.expect("no failure")
}

/// The operations of a run, each with its outcome.
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
fn a_byte_store_keeps_every_promise_and_matches_the_reference() {
    for seed in 100..116 {
        let mut store = RuleStore::over(BytesTables::default());
        let compared = compare(seed, 500, |transaction| only(&mut store, transaction));
        assert_eq!(compared, Ok(()));
    }
}

#[test]
fn each_refresh_token_works_once_in_a_byte_store() {
    for seed in 0..8 {
        let mut store = RuleStore::over(BytesTables::default());
        let checked = check_devices(seed, 1000, |transaction| only(&mut store, transaction));
        assert_eq!(checked, Ok(()));
    }
}

#[test]
fn a_byte_store_keeps_the_audit_log_also_when_operations_fail() {
    for seed in 0..8 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut store = RuleStore::over(BytesTables::default());
        let checked = check_audit(seed, 500, |transaction| {
            store.tables().fault = Fault { after: Some(rng.u32(..24)) };
            let committed = store.commit(core::slice::from_ref(&transaction)).pop();
            store.tables().fault = Fault::default();
            match committed {
                Some(Ok(committed)) => committed,
                _ => only(&mut store, transaction),
            }
        });
        assert_eq!(checked, Ok(()));
    }
}

#[test]
fn a_reopened_store_has_lost_nothing() {
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

/// Cuts a run into batches of 1 to 9 operations.
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
fn a_batch_has_the_same_outcomes_as_its_operations_one_by_one() {
    for seed in 300..306 {
        in_batches(&mut MemoryStore::new(), seed);
        in_batches(&mut RuleStore::over(BytesTables::default()), seed);
    }
}

#[test]
fn a_failed_operation_leaves_nothing_behind_and_can_be_retried() {
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
            assert_eq!(left, None, "{:?} failed and left something behind", transaction.op);
            only(&mut store, transaction)
        });
        assert_eq!(compared, Ok(()));
    }
    assert!(failures > 300, "only {failures} operations failed");
}

#[test]
fn a_batch_survives_one_failed_operation_but_not_a_failed_commit() {
    let run = recorded(500, 200);
    let asked: Vec<_> = run.iter().map(|(transaction, _)| transaction.clone()).collect();
    let mut store = RuleStore::over(BytesTables::default());
    let kept = store.commit(&asked[..150]);
    assert!(kept.iter().all(Result::is_ok));

    // A fault inside one operation happens once: retried one by one, all of them succeed.
    store.tables().fault = Fault { after: Some(40) };
    let expected: Vec<_> = run[150..].iter().map(|(_, committed)| Ok(committed.clone())).collect();
    let mut alone = RuleStore::over(core::mem::take(store.tables()).reopened());
    alone.tables().fault = Fault { after: Some(40) };
    assert!(alone.commit(&asked[150..]) == expected);

    // A failed commit fails the whole batch, and nothing is retried.
    let mut counted = RuleStore::over(BytesTables::default());
    counted.tables().fault = Fault { after: Some(3) };
    let first = vec![asked[0].clone(); 1];
    let before = counted.tables().contents().clone();
    assert!(counted.commit(&first).iter().all(Result::is_err));
    assert_eq!(difference(&before, counted.tables().contents()), None);
}
