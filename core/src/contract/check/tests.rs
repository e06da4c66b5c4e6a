//! What the checker accepts, and what it finds.

use super::*;
use crate::contract::action::{Message, ProcessSpec, Signal, Target};
use crate::contract::event::{ExitStatus, IoError, IoErrorKind};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

const OP: OpId = OpId::FIRST;

fn spawn() -> Action {
    let command = ProcessSpec {
        program: String::from("x"),
        args: Vec::new(),
        env: Vec::new(),
        env_remove: Vec::new(),
        directory: None,
    };
    Action::Spawn { op: OP, command }
}

fn open() -> Action {
    Action::Open { op: OP, target: Target::Stdio }
}

fn send() -> Action {
    Action::Send { op: OP, message: Message::Binary(Bytes::new()) }
}

fn failed() -> Event {
    let failure = IoError { kind: IoErrorKind::Other, detail: String::new() };
    Event::Failed { op: OP, failure }
}

fn closed() -> Event {
    Event::Closed { op: OP, code: None, failure: None }
}

fn ended(output: Output) -> Event {
    Event::OutputEnded { op: OP, output }
}

fn exited() -> Event {
    Event::Exited { op: OP, status: ExitStatus::Code(0) }
}

enum Entry {
    Do(Action),
    On(Event),
}
use Entry::{Do, On};

/// Whether the last entry is allowed; all the others have to be.
fn is_right(entries: &[Entry]) -> bool {
    let mut checker = Checker::default();
    let mut take = |entry: &Entry| match entry {
        Do(action) => checker.action(action),
        On(event) => checker.event(event),
    };
    let (last, before) = entries.split_last().expect("entries");
    for (at, entry) in before.iter().enumerate() {
        assert_eq!(take(entry), Ok(()), "entry {at}");
    }
    take(last).is_ok()
}

#[test]
fn the_last_of_a_processes_three_ends_is_its_last_event() {
    let ends = [exited, || ended(Output::Stdout), || ended(Output::Stderr)];
    for first in 0..3 {
        let run = || {
            let mut entries = alloc::vec![Do(spawn()), On(Event::Spawned { op: OP, pid: 1 })];
            entries.extend((0..3).map(|n| On(ends[(first + n) % 3]())));
            entries
        };
        let with = |more| run().into_iter().chain(more).collect::<Vec<_>>();
        assert!(!is_right(&with(alloc::vec![On(Event::InputClosed { op: OP })])));
        assert!(!is_right(&with(alloc::vec![On(exited())])));
        // Processes it left behind in its group can be signalled until it is cancelled.
        let kill = || Do(Action::Signal { op: OP, signal: Signal::Kill });
        let cancel = || Do(Action::Cancel { op: OP });
        assert!(is_right(&with(alloc::vec![kill(), cancel()])));
        assert!(!is_right(&with(alloc::vec![cancel(), kill()])));
    }
}

#[test]
fn anything_out_of_order_is_caught() {
    let opened = || On(Event::Opened { op: OP });
    let sent = |messages| On(Event::Sent { op: OP, messages });
    let close = || Do(Action::Close { op: OP, code: 1000 });
    let cancel = || Do(Action::Cancel { op: OP });
    let spawned = || On(Event::Spawned { op: OP, pid: 1 });
    let good = [
        alloc::vec![Do(open()), Do(send()), opened(), sent(1), close(), On(closed())],
        alloc::vec![Do(open()), On(failed()), Do(send())],
        alloc::vec![Do(open()), cancel(), On(failed()), On(closed())],
        alloc::vec![Do(spawn()), spawned(), On(Event::InputClosed { op: OP }), On(exited())],
    ];
    for (at, entries) in good.into_iter().enumerate() {
        assert!(is_right(&entries), "good {at}");
    }
    let bad = [
        ("an id used twice", alloc::vec![Do(open()), Do(open())]),
        ("an event before the start", alloc::vec![Do(open()), On(closed())]),
        ("two starts", alloc::vec![Do(open()), opened(), opened()]),
        ("an answer of another kind", alloc::vec![Do(open()), On(Event::Saved { op: OP })]),
        ("more confirmed than sent", alloc::vec![Do(open()), opened(), sent(1)]),
        ("a message after the close", alloc::vec![Do(open()), close(), Do(send())]),
        ("an event after the last", alloc::vec![Do(open()), On(failed()), On(failed())]),
        ("an action after cancel", alloc::vec![Do(open()), cancel(), Do(send())]),
        ("an action on an unknown operation", alloc::vec![Do(send())]),
        ("a failure of a running process", alloc::vec![Do(spawn()), spawned(), On(failed())]),
        ("the same end twice", alloc::vec![Do(spawn()), spawned(), On(exited()), On(exited())]),
        ("a resume without a pause", alloc::vec![Do(open()), Do(Action::Resume { op: OP })]),
    ];
    for (rule, entries) in bad {
        assert!(!is_right(&entries), "{rule}");
    }
}
