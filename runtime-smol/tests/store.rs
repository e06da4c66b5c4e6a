//! Store operations.

mod runtime;

use footbridge_core::base::id::EnvironmentId;
use footbridge_core::contract::action::Action;
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};
use footbridge_core::store::{
    Answer, Changes, Committed, MemoryStore, RelayTime, Store, StoreError, StoreOp, StorePolicy,
    Transaction,
};
use footbridge_smol::HostOptions;

use footbridge_runtime_suite::harness::Driven;
use runtime::{Smol, start_on};

fn find(id: &str) -> Transaction {
    let environment = Some(EnvironmentId::new(id).expect("an id"));
    let call = Box::new(StoreOp::Find { environment, session: None });
    Transaction {
        at: RelayTime::default(),
        policy: StorePolicy::default().into(),
        op: call,
        by: None,
    }
}

#[track_caller]
fn stored(driven: &Driven) -> (footbridge_core::base::id::OpId, Committed) {
    match driven.next() {
        Event::Stored { op, committed: outcome } => (op, outcome),
        other => panic!("not stored: {other:?}"),
    }
}

#[test]
fn the_reference_store_answers() {
    let with_store =
        || HostOptions { store: Some(Box::new(MemoryStore::new())), ..HostOptions::default() };
    let mut driven = Driven::by(|puppet, on_notice| start_on(puppet, with_store, on_notice));
    let op = driven.begin(|op| Action::Store { op, transaction: find("env_1") });
    let (answered, outcome) = stored(&driven);
    assert_eq!((answered, outcome.answer), (op, Err(StoreError::EnvironmentUnknown)));
    driven.end();
}

/// Records which operations it was given together, and knows nothing. Its disk is full now and
/// then.
struct Clerk(std::sync::mpsc::Sender<Vec<Transaction>>);

/// The operation at which the disk is full.
const TOO_MUCH: &str = "env_too_much";

impl Store for Clerk {
    fn commit(&mut self, batch: &[Transaction]) -> Vec<Result<Committed, IoError>> {
        assert_eq!(std::thread::current().name(), Some("store"), "the loop's thread is blocked");
        // Slow enough that operations have to wait for it.
        std::thread::sleep(std::time::Duration::from_millis(1));
        // A test that has seen enough has stopped listening.
        let _ = self.0.send(batch.to_vec());
        let carry_out = |transaction: &Transaction| {
            if *transaction == find(TOO_MUCH) {
                return Err(IoError {
                    kind: IoErrorKind::Full,
                    detail: "no space left".to_owned(),
                });
            }
            Ok(Committed { answer: Ok(Answer::Done), changes: Default::default() })
        };
        batch.iter().map(carry_out).collect()
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        let _ = self.0.send(Vec::new());
    }
}

#[test]
fn operations_take_effect_in_the_order_they_were_requested() {
    let (notes, noted) = std::sync::mpsc::channel();
    let with_clerk =
        || HostOptions { store: Some(Box::new(Clerk(notes))), ..HostOptions::default() };
    let mut driven = Driven::by(|puppet, on_notice| start_on(puppet, with_clerk, on_notice));
    let operations: Vec<_> = (0..1000).map(|n| find(&format!("env_{n}"))).collect();
    let asked: Vec<_> = operations
        .iter()
        .map(|transaction| {
            driven.begin(|op| Action::Store { op, transaction: transaction.clone() })
        })
        .collect();
    for op in asked {
        assert_eq!(stored(&driven).0, op);
    }
    driven.end();
    let batches: Vec<_> = noted.iter().collect();
    assert!(batches.len() < operations.len(), "waiting operations are not committed together");
    assert!(batches.concat() == operations);
    assert_eq!(batches.last(), Some(&Vec::new()), "the store was closed before the loop's end");
}

#[test]
fn a_failed_operation_gets_its_failure_and_the_others_are_unaffected() {
    let (notes, _noted) = std::sync::mpsc::channel();
    let with_clerk =
        || HostOptions { store: Some(Box::new(Clerk(notes))), ..HostOptions::default() };
    let mut driven = Driven::by(|puppet, on_notice| start_on(puppet, with_clerk, on_notice));
    for id in ["env_12", TOO_MUCH, "env_14"] {
        let op = driven.begin(|op| Action::Store { op, transaction: find(id) });
        if id == TOO_MUCH {
            driven.fails_with(op, IoErrorKind::Full);
        } else {
            assert_eq!(stored(&driven).0, op);
        }
    }
    driven.end();
}

#[test]
fn changes_by_others_in_the_store_are_reported_unprompted() {
    let (others, changes) = async_channel::unbounded();
    let with_others = || HostOptions { store_changes: Some(changes), ..HostOptions::default() };
    let driven = Driven::by(|puppet, on_notice| start_on(puppet, with_others, on_notice));
    let work_for = vec![EnvironmentId::new("env_1").expect("an id")];
    let told = Changes { work_for, ..Changes::default() };
    others.send_blocking(told.clone()).expect("a listening loop");
    assert_eq!(driven.next(), Event::StoreChanged { changes: Box::new(told) });
    driven.end();
}

#[test]
fn a_program_without_a_store_says_so() {
    let mut driven = Driven::start::<Smol>();
    let op = driven.begin(|op| Action::Store { op, transaction: find("env_1") });
    driven.fails_with(op, IoErrorKind::Other);
    driven.end();
}
