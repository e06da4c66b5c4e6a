//! The loop itself.

use std::time::Duration;

use footbridge_core::contract::action::Action;
use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::stage::{Ask, Stage};

#[test]
fn a_deadline_is_kept_and_not_before_its_time() {
    let mut stage = Stage::new();
    // Something that tells the time of the asking.
    stage.start(|op| Action::List { op, path: "/nonexistent".to_owned() });
    let (asked, _) = stage.told();
    stage.ask(Ask::Wake(Duration::from_millis(50)));
    let (woken, event) = stage.told();
    assert_eq!(event, Event::Tick);
    assert!(woken.mono.saturating_since(asked.mono) >= Duration::from_millis(50));
    assert!(woken.wall >= asked.wall);
    assert_eq!(stage.end(), [], "one deadline is one tick");
}

#[test]
fn a_command_wakes_a_loop_that_waits_for_a_deadline() {
    let mut stage = Stage::new();
    stage.ask(Ask::Wake(Duration::from_secs(3600)));
    let op = stage.start(|op| Action::List { op, path: "/nonexistent".to_owned() });
    assert_eq!(stage.next(), Event::Listed { op, names: Vec::new() });
    stage.end();
}

#[test]
fn what_only_a_server_can_do_fails_at_once() {
    let mut stage = Stage::new();
    let listen = stage.start(|op| Action::Listen { op, address: "127.0.0.1:0".to_owned() });
    let Event::Failed { op, failure } = stage.next() else { panic!("it listens") };
    assert_eq!((op, failure.kind), (listen, IoErrorKind::Other));
    stage.end();
}

#[test]
fn orders_to_what_was_never_started_do_nothing() {
    let mut stage = Stage::new();
    stage.start(|op| Action::Resume { op });
    stage.start(|op| Action::CloseInput { op });
    stage.start(|op| Action::Close { op, code: 1000 });
    stage.start(|op| Action::Cancel { op });
    let op = stage.start(|op| Action::List { op, path: "/nonexistent".to_owned() });
    assert_eq!(stage.next(), Event::Listed { op, names: Vec::new() });
    stage.end();
}
