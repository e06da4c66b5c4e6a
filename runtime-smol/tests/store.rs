//! Store operations.

mod runtime;

use footbridge_core::base::id::EnvironmentId;
use footbridge_core::contract::action::Action;
use footbridge_core::contract::event::{Event, IoErrorKind};
use footbridge_core::store::{
    Answer, Committed, MemoryStore, RelayTime, StoreError, StoreOp, StorePolicy, Transaction,
};
use footbridge_smol::{HostOptions, Store};

use footbridge_runtime_suite::harness::Driven;
use runtime::{Smol, start_on};

fn find(id: &str) -> Transaction {
    let environment = Some(EnvironmentId::new(id).expect("an id"));
    let call = Box::new(StoreOp::Find { environment, session: None });
    Transaction { at: RelayTime::default(), policy: StorePolicy::default().into(), op: call }
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

/// Notes what it was asked, and knows nothing.
struct Clerk(std::sync::mpsc::Sender<Transaction>);

impl Store for Clerk {
    fn apply(&mut self, transaction: Transaction) -> Committed {
        self.0.send(transaction).expect("a listening test");
        Committed { answer: Ok(Answer::Done), changes: Default::default() }
    }
}

#[test]
fn operations_take_effect_in_the_order_in_which_they_were_asked() {
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
    assert!(noted.iter().eq(operations));
}

#[test]
fn a_program_without_a_store_says_so() {
    let mut driven = Driven::start::<Smol>();
    let op = driven.begin(|op| Action::Store { op, transaction: find("env_1") });
    driven.fails_with(op, IoErrorKind::Other);
    driven.end();
}
