//! Tests of the suite itself: the reference passes, broken stores are caught, and the walk covers
//! every answer.

use alloc::collections::BTreeSet;
use alloc::string::ToString;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bytes::BytesTables;
use super::*;
use crate::base::text::Text;
use crate::store::{Answer, RelayRun, RelayTime, RuleStore, Store, StoreError};

#[test]
fn the_reference_keeps_every_promise() {
    for seed in 0..64 {
        let mut store = MemoryStore::new();
        let checked = check(seed, 1000, |transaction| store.apply(transaction));
        assert_eq!(checked.map_err(|violation| violation.to_string()), Ok(()));
    }
}

#[test]
fn each_refresh_token_works_once() {
    for seed in 0..16 {
        let mut store = MemoryStore::new();
        assert_eq!(check_devices(seed, 2000, |transaction| store.apply(transaction)), Ok(()));
    }
}

#[test]
fn room_is_made_by_whoever_takes_up_the_most() {
    let mut store = MemoryStore::new();
    assert_eq!(check_room(|transaction| store.apply(transaction)), Ok(()));
    let mut store = RuleStore::over(BytesTables::default());
    let only = |transaction| store.commit(&[transaction]).pop().expect("one").expect("no failure");
    assert_eq!(check_room(only), Ok(()));
}

#[test]
fn a_link_answers_one_question_once() {
    for seed in 0..16 {
        let mut store = MemoryStore::new();
        assert_eq!(check_answer_links(seed, 1000, |transaction| store.apply(transaction)), Ok(()));
    }
}

#[test]
fn a_store_whose_links_never_run_out_is_caught() {
    let mut store = MemoryStore::new();
    let checked = check_answer_links(1, 1000, |mut transaction| {
        if let StoreOp::MakeAnswerLink { link, .. } = &mut *transaction.op {
            link.expires_at = link.expires_at + Duration::from_secs(1 << 30);
        }
        store.apply(transaction)
    });
    assert!(checked.is_err());
}

#[test]
fn what_changed_something_is_in_the_audit_log_once() {
    for seed in 0..16 {
        let mut store = MemoryStore::new();
        assert_eq!(check_audit(seed, 2000, |transaction| store.apply(transaction)), Ok(()));
    }
}

#[test]
fn a_store_that_does_not_write_down_who_did_it_is_caught() {
    let mut store = MemoryStore::new();
    let checked = check_audit(1, 2000, |transaction| {
        let is_revocation = matches!(*transaction.op, StoreOp::RevokeDevice { .. });
        let by = transaction.by.clone().filter(|_| !is_revocation);
        store.apply(Transaction { by, ..transaction })
    });
    assert!(checked.is_err());
}

#[test]
fn a_store_that_does_not_end_a_device_for_an_old_token_is_caught() {
    let mut store = MemoryStore::new();
    let checked = check_devices(1, 2000, |transaction| {
        let mut outcome = store.apply(transaction.clone());
        if outcome.answer == Ok(Answer::RefreshReused) {
            outcome.answer = Err(StoreError::DeviceUnknown);
            outcome.changes.devices_gone.clear();
        }
        outcome
    });
    assert!(checked.is_err());
}

/// Empties the logged events that contain a text. They stay as long as they were, because retention
/// depends on that.
fn blank(outcome: &mut Committed, what: &str) {
    let entries = outcome.changes.entries.iter_mut().map(|(_, entry)| entry);
    for entry in entries.filter(|entry| entry.line.as_str().contains(what)) {
        let length = entry.line.len();
        entry.line = Text::from(format!("{:length$}", "{}"));
    }
}

/// Corrupts an outcome, if it is of the kind it applies to.
type Mutation = fn(&StoreOp, &mut Committed);

#[test]
fn a_store_that_breaks_a_promise_is_caught() {
    let mutations: [(&str, Mutation); 24] = [
        ("epochs", |op, outcome| {
            if matches!(op, StoreOp::NoteWorker { .. })
                && let Ok(Answer::Renewed { is_stopping }) = &mut outcome.answer
            {
                *is_stopping = !*is_stopping;
            }
        }),
        ("link", |op, outcome| {
            let is_code = matches!(op, StoreOp::OpenStream { .. } | StoreOp::NoteWorker { .. });
            if is_code && matches!(outcome.answer, Err(StoreError::LinkReplaced { .. })) {
                outcome.answer = Ok(Answer::Renewed { is_stopping: false });
            }
        }),
        ("epochs", |_, outcome| {
            if let Ok(Answer::StreamOpened { from, .. }) = &mut outcome.answer {
                *from += 1;
            }
        }),
        ("link", |op, outcome| {
            if let (StoreOp::Append { .. }, Err(StoreError::SessionEnded)) = (op, &outcome.answer) {
                outcome.answer = Ok(Answer::Appended { received: 0 });
            }
        }),
        ("log", |_, outcome| {
            if let Ok(Answer::Page(page)) = &mut outcome.answer {
                page.entries.truncate(5);
                page.entries.drain(..page.entries.len() / 2);
            }
        }),
        ("log", |_, outcome| {
            outcome.changes.entries.iter_mut().for_each(|(_, entry)| entry.seq += 1);
        }),
        ("leases", |_, outcome| {
            if let Ok(Answer::Leased(lease)) = &mut outcome.answer {
                *lease = None;
            }
        }),
        ("leases", |_, outcome| {
            if let Ok(Answer::Leased(Some(lease))) = &mut outcome.answer {
                lease.fence = 1;
            }
        }),
        ("leases", |op, outcome| {
            let is_link = matches!(op, StoreOp::AttachLink { .. });
            if outcome.answer == Err(StoreError::LeaseLost) && !is_link {
                outcome.answer = Ok(Answer::Renewed { is_stopping: false });
            }
        }),
        ("link", |_, outcome| {
            if let Ok(Answer::Inbound(lines)) = &mut outcome.answer {
                lines.drain(..lines.len().min(1));
            }
        }),
        ("link", |op, outcome| {
            if matches!(op, StoreOp::Append { .. }) {
                outcome.changes.entries.truncate(1);
            }
        }),
        ("receipts", |_, outcome| blank(outcome, "messages_indeterminate")),
        ("receipts", |_, outcome| {
            for (_, receipts) in &mut outcome.changes.receipts {
                receipts.seen = receipts.delivered;
            }
        }),
        ("link", |op, outcome| {
            if let (StoreOp::AttachLink { .. }, Ok(Answer::Attached { from, .. })) =
                (op, &mut outcome.answer)
            {
                *from = from.saturating_sub(outcome.changes.entries.len() as u64);
            }
        }),
        ("answers", |_, outcome| {
            if let Err(StoreError::PermissionConflict { .. }) = outcome.answer {
                outcome.answer = Ok(Answer::Answered { seq: 1 });
            }
        }),
        ("answers", |op, outcome| {
            if let (StoreOp::AnswerCallback { .. }, Err(StoreError::CallbackNotYours)) =
                (op, &outcome.answer)
            {
                outcome.answer = Ok(Answer::Answered { seq: 1 });
            }
        }),
        ("answers", |_, outcome| outcome.changes.callbacks.clear()),
        ("answers", |_, outcome| {
            if let Ok(Answer::Attached { declared, .. }) = &mut outcome.answer {
                *declared = None;
            }
        }),
        ("worktrees", |_, outcome| {
            if outcome.answer == Err(StoreError::WorktreeChanged) {
                outcome.answer = Err(StoreError::WorktreeBusy);
            }
        }),
        ("requests", |_, outcome| blank(outcome, "requests_unanswered")),
        ("once", |_, outcome| {
            if let Ok(Answer::Posted(accepted)) = &mut outcome.answer
                && outcome.changes.entries.is_empty()
            {
                accepted.iter_mut().for_each(|accepted| accepted.seq += 1);
            }
        }),
        ("lapse", |op, outcome| {
            if matches!(op, StoreOp::Lapse) {
                outcome.changes.environments_gone.clear();
            }
        }),
        ("owners", |_, outcome| {
            if let Ok(Answer::Sessions(sessions)) = &mut outcome.answer {
                sessions.reverse();
            }
        }),
        ("due", |_, outcome| outcome.changes.due = None),
    ];
    for (at, (promise, mutate)) in mutations.into_iter().enumerate() {
        let mutated = |store: &mut MemoryStore, transaction: Transaction| {
            let op = transaction.op.clone();
            let mut outcome = store.apply(transaction);
            mutate(&op, &mut outcome);
            outcome
        };
        let mut seeds = 0..SEEDS;
        let found = seeds.find_map(|seed| {
            let mut store = MemoryStore::new();
            check(seed, 1000, |transaction| mutated(&mut store, transaction)).err()
        });
        let found = found.map(|violation| violation.broken).unwrap_or_default();
        assert!(found.starts_with(promise), "{at}: {found:?}");
        let differs = (0..SEEDS).any(|seed| {
            let mut store = MemoryStore::new();
            compare(seed, 1000, |transaction| mutated(&mut store, transaction)).is_err()
        });
        assert!(differs, "{at}: no difference from the reference");
    }
}

/// Enough walks that even what is rare comes up in one of them.
const SEEDS: u64 = 60;

/// Corrupts the time of a transaction.
type ClockMutation = fn(&mut RelayTime);

#[test]
fn a_store_with_a_wrong_clock_is_caught() {
    let mutations: [(&str, ClockMutation); 4] = [
        ("it treats all runs as one", |at| at.run = RelayRun(0)),
        ("it treats each transaction as a new run", |at| at.run = RelayRun(at.wall.as_millis())),
        ("it uses the wall clock", |at| {
            (at.run, at.running) = (RelayRun(0), Duration::from_millis(at.wall.as_millis()));
        }),
        ("it runs at double speed", |at| at.running *= 2),
    ];
    for (what, mutate) in mutations {
        let found = (0..20).any(|seed| {
            let mut store = MemoryStore::new();
            let mutated = |mut transaction: Transaction| {
                mutate(&mut transaction.at);
                store.apply(transaction)
            };
            check(seed, 1000, mutated).is_err()
        });
        assert!(found, "{what}");
    }
}

#[test]
fn the_walk_covers_every_answer_and_every_error() {
    let mut covered = BTreeSet::new();
    for seed in 0..SEEDS {
        let mut store = MemoryStore::new();
        let checked = check(seed, 1000, |transaction| {
            let op = format!("{transaction:?}");
            let is_link = matches!(*transaction.op, StoreOp::AttachLink { .. });
            let outcome = store.apply(transaction);
            covered.insert(match &outcome.answer {
                Ok(_) => op,
                Err(StoreError::Limit(what)) => what.to_string(),
                Err(error) => format!("{error:?}").chars().take_while(|c| *c != ' ').collect(),
            });
            if !outcome.changes.sessions_gone.is_empty() {
                covered.insert("a session is forgotten".into());
            }
            if is_link && !outcome.changes.entries.is_empty() {
                covered.insert("another run of the agent begins".into());
            }
            outcome
        });
        assert_eq!(checked, Ok(()));
    }
    let covered: Vec<_> = covered.iter().map(String::as_str).collect();
    assert_eq!(covered, COVERED);
}

#[test]
fn operations_and_outcomes_round_trip_through_json() {
    fn again<T: Serialize + DeserializeOwned>(value: &T) -> T {
        let written = serde_json::to_string(value).expect("it serializes");
        serde_json::from_str(&written).expect("it deserializes")
    }
    for seed in 0..20 {
        let mut store = MemoryStore::new();
        let checked = check(seed, 500, |transaction| {
            assert!(again(&transaction) == transaction, "{:?}", transaction.op);
            let outcome = store.apply(transaction);
            assert_eq!(again(&outcome.answer), outcome.answer);
            assert_eq!(again(&outcome), outcome);
            outcome
        });
        assert_eq!(checked, Ok(()));
    }
}

/// Every operation that succeeds, every error by its name, and every limit by what it counts.
const COVERED: [&str; 71] = [
    "AckInbound",
    "AckWork",
    "AnswerCallback",
    "AnswerPermission",
    "Append",
    "AskHealthcheck",
    "AskWorktree",
    "AttachLink",
    "Bridge",
    "CallbackConflict",
    "CallbackNotYours",
    "CallbackUnclear",
    "CallbackUnknown",
    "CallbackWithdrawn",
    "CallbacksTaken",
    "CallbacksUnanswerable",
    "ChangeSession",
    "CreateCodeSession",
    "CreateSession",
    "DeleteSession",
    "DrainEnvironment",
    "EnvironmentUnknown",
    "Find",
    "GetEnvironment",
    "GetSession",
    "KeyReused",
    "Lapse",
    "LeaseLost",
    "LeaseWork",
    "LinkReplaced",
    "List",
    "ListSessions",
    "NeverSent",
    "NoteWorker",
    "NoteWorktree",
    "OpenStream",
    "PermissionAmbiguous",
    "PermissionConflict",
    "PermissionUnknown",
    "PermissionWithdrawn",
    "Post",
    "ReadInbound",
    "ReadLog",
    "ReadReceipt",
    "ReadReceipts",
    "ReceiptUnknown",
    "Redispatch",
    "RegisterEnvironment",
    "RemoveEnvironment",
    "RenewLease",
    "RequestStop",
    "ResumeLink",
    "ReturnWork",
    "SessionEnded",
    "SessionRuns",
    "SessionUnknown",
    "StopWork",
    "WorkUnknown",
    "WorkerReplaced",
    "WorktreeBusy",
    "WorktreeChanged",
    "WorktreeKept",
    "WorktreeUnknown",
    "WorktreeUnreachable",
    "a session is forgotten",
    "another run of the agent begins",
    "environments",
    "environments of this person",
    "messages waiting for this agent",
    "sessions of this worker",
    "sessions waiting for this worker",
];
