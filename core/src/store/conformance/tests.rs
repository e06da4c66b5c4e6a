//! The suite itself: the reference passes, what is wrong is found, and the walk goes everywhere.

use alloc::collections::BTreeSet;
use alloc::string::ToString;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::base::text::Text;
use crate::store::{Answer, RelayRun, RelayTime, StoreError};

#[test]
fn the_reference_keeps_every_promise() {
    for seed in 0..64 {
        let mut store = MemoryStore::new();
        let checked = check(seed, 1000, |transaction| store.apply(transaction));
        assert_eq!(checked.map_err(|violation| violation.to_string()), Ok(()));
    }
}

/// Makes those logged events that say this say nothing.
fn blank(outcome: &mut Committed, what: &str) {
    let entries = outcome.changes.entries.iter_mut().map(|(_, entry)| entry);
    for entry in entries.filter(|entry| entry.line.as_str().contains(what)) {
        entry.line = Text::from("{}");
    }
}

/// Spoils an outcome, where it is of the kind that it spoils.
type Spoiler = fn(&StoreOp, &mut Committed);

#[test]
fn a_store_that_breaks_a_promise_is_found() {
    let spoilers: [(&str, Spoiler); 15] = [
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
        ("leases", |_, outcome| {
            if outcome.answer == Err(StoreError::LeaseLost) {
                outcome.answer = Ok(Answer::Renewed { is_stopping: false });
            }
        }),
        ("link", |_, outcome| {
            if let Ok(Answer::Inbound(lines)) = &mut outcome.answer {
                lines.drain(..lines.len().min(1));
            }
        }),
        ("link", |call, outcome| {
            if matches!(call, StoreOp::Append { .. }) {
                outcome.changes.entries.truncate(1);
            }
        }),
        ("link", |_, outcome| blank(outcome, "messages_indeterminate")),
        ("link", |call, outcome| {
            if let (StoreOp::AttachLink { .. }, Ok(Answer::Attached { from, .. })) =
                (call, &mut outcome.answer)
            {
                *from = from.saturating_sub(outcome.changes.entries.len() as u64);
            }
        }),
        ("answers", |_, outcome| {
            if let Err(StoreError::PermissionConflict { .. }) = outcome.answer {
                outcome.answer = Ok(Answer::Answered { seq: 1 });
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
        ("lapse", |call, outcome| {
            if matches!(call, StoreOp::Lapse) {
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
    for (at, (promise, spoil)) in spoilers.into_iter().enumerate() {
        let spoiled = |store: &mut MemoryStore, transaction: Transaction| {
            let call = transaction.op.clone();
            let mut outcome = store.apply(transaction);
            spoil(&call, &mut outcome);
            outcome
        };
        let mut seeds = 0..20;
        let found = seeds.find_map(|seed| {
            let mut store = MemoryStore::new();
            check(seed, 1000, |transaction| spoiled(&mut store, transaction)).err()
        });
        let found = found.map(|violation| violation.broken).unwrap_or_default();
        assert!(found.starts_with(promise), "{at}: {found:?}");
        let differs = (0..20).any(|seed| {
            let mut store = MemoryStore::new();
            compare(seed, 1000, |transaction| spoiled(&mut store, transaction)).is_err()
        });
        assert!(differs, "{at}: no difference from the reference");
    }
}

/// Spoils the time that an transaction comes with.
type TimeSpoiler = fn(&mut RelayTime);

#[test]
fn a_store_with_a_false_time_is_found() {
    let spoilers: [(&str, TimeSpoiler); 4] = [
        ("it takes all runs for one", |at| at.run = RelayRun(0)),
        ("it takes each transaction for a new run", |at| at.run = RelayRun(at.wall.as_millis())),
        ("it goes by the wall clock", |at| {
            (at.run, at.running) = (RelayRun(0), Duration::from_millis(at.wall.as_millis()));
        }),
        ("it goes at double speed", |at| at.running *= 2),
    ];
    for (what, spoil) in spoilers {
        let found = (0..20).any(|seed| {
            let mut store = MemoryStore::new();
            let spoiled = |mut transaction: Transaction| {
                spoil(&mut transaction.at);
                store.apply(transaction)
            };
            check(seed, 1000, spoiled).is_err()
        });
        assert!(found, "{what}");
    }
}

#[test]
fn the_walk_meets_every_answer_and_every_refusal() {
    let mut met = BTreeSet::new();
    for seed in 0..20 {
        let mut store = MemoryStore::new();
        let checked = check(seed, 1000, |transaction| {
            let call = format!("{transaction:?}");
            let is_link = matches!(*transaction.op, StoreOp::AttachLink { .. });
            let outcome = store.apply(transaction);
            met.insert(match &outcome.answer {
                Ok(_) => call,
                Err(StoreError::Limit(what)) => what.to_string(),
                Err(denied) => format!("{denied:?}").chars().take_while(|c| *c != ' ').collect(),
            });
            if !outcome.changes.sessions_gone.is_empty() {
                met.insert("a session is forgotten".into());
            }
            if is_link && !outcome.changes.entries.is_empty() {
                met.insert("another run of the agent begins".into());
            }
            outcome
        });
        assert_eq!(checked, Ok(()));
    }
    let met: Vec<_> = met.iter().map(String::as_str).collect();
    assert_eq!(met, MET);
}

#[test]
fn operations_and_outcomes_are_read_back_as_they_were_written() {
    fn again<T: Serialize + DeserializeOwned>(value: &T) -> T {
        let written = serde_json::to_string(value).expect("it can be written");
        serde_json::from_str(&written).expect("it can be read")
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

/// Every call that is carried out, every refusal by its name, and every limit by what it counts.
const MET: [&str; 42] = [
    "AckInbound",
    "AckWork",
    "AnswerPermission",
    "Append",
    "AskHealthcheck",
    "AttachLink",
    "CreateSession",
    "EnvironmentUnknown",
    "Find",
    "GetEnvironment",
    "GetSession",
    "Lapse",
    "LeaseLost",
    "LeaseWork",
    "LinkReplaced",
    "List",
    "ListSessions",
    "NeverSent",
    "PermissionConflict",
    "PermissionUnknown",
    "PermissionWithdrawn",
    "Post",
    "ReadInbound",
    "ReadLog",
    "Redispatch",
    "RegisterEnvironment",
    "RemoveEnvironment",
    "RenewLease",
    "RequestStop",
    "ResumeLink",
    "ReturnWork",
    "SessionEnded",
    "SessionUnknown",
    "StopWork",
    "WorkUnknown",
    "a session is forgotten",
    "another run of the agent begins",
    "environments",
    "environments of this person",
    "messages waiting for this agent",
    "sessions of this worker",
    "sessions waiting for this worker",
];
