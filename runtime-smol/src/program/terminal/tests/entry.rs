//! What a person types: sent, completed, pasted, and the keys that interrupt and leave.

use std::time::Duration;

use footbridge_core::remote::{RemoteCommand, RemoteNotice, Sent};
use footbridge_core::wire::viewer::{Origin, Receipts};
use serde_json::{Value, json};

use super::World;
use crate::program::terminal::keys::Key;
use crate::program::terminal::model::{Model, Size};
use crate::program::terminal::standing::Standing;

#[test]
fn what_is_said_is_shown_until_the_agent_has_it() {
    let mut world = World::new(50, 12);
    world.types("hello");
    world.key(&Key::Newline);
    world.types("you");
    world.key(&Key::Enter);
    let Some(RemoteCommand::Send(line)) = world.commands().pop() else { panic!("nothing is sent") };
    let line: Value = serde_json::from_str(line.as_str()).expect("JSON");
    assert_eq!(line["message"]["content"], "hello\nyou");
    assert!(world.shown().starts_with("> hello\n  you\n  on its way\n"), "{}", world.shown());
    let sent = Sent::Message { uuid: "u".to_owned(), request_id: None };
    world.model.notice(&RemoteNotice::Accepted { sent, seq: 1 });
    world.seq = 1;
    let mut receipts = Receipts { stored: 1, ..Receipts::default() };
    world.model.notice(&RemoteNotice::Receipts(receipts));
    assert!(world.shown().contains("  waits for its machine\n"), "{}", world.shown());
    assert_eq!(world.status(), "your turn · 1 not read yet · a title");
    (receipts.sent, receipts.with_worker, receipts.delivered, receipts.seen) = (1, 1, 1, 1);
    world.model.notice(&RemoteNotice::Receipts(receipts));
    assert!(world.shown().starts_with("> hello\n  you\n──"), "{}", world.shown());
    // It can be fetched back.
    world.key(&Key::Up);
    assert!(world.shown().ends_with("> hello\n  you\n"), "{}", world.shown());
}

#[test]
fn ctrl_c_interrupts_and_twice_leaves() {
    let mut world = World::new(60, 12);
    world.types("draft");
    world.key(&Key::Ctrl('c'));
    assert!(world.commands().is_empty() && !world.text().contains("draft"));
    world.now += Duration::from_secs(5);
    world.session(&json!({"working": true}));
    world.key(&Key::Ctrl('c'));
    assert!(matches!(world.commands()[..], [RemoteCommand::Interrupt]));
    world.now += Duration::from_secs(1);
    world.key(&Key::Ctrl('c'));
    assert!(matches!(world.commands()[..], [RemoteCommand::Disconnect]));
    let mut window = World::new(60, 12);
    window.model = Model::new(Size { columns: 60, rows: 12 }, Standing::LooksOn);
    window.key(&Key::Ctrl('c'));
    assert!(matches!(window.commands()[..], [RemoteCommand::Disconnect]), "R-5");
}

#[test]
fn commands_and_files_complete() {
    let mut world = World::new(60, 14);
    world.event(
        Origin::Agent,
        &json!({"type": "system", "subtype": "init", "model": "m-1",
        "permissionMode": "plan", "cwd": "/w", "slash_commands": ["compact", "cost", "exit"]}),
    );
    world.call("t", "Read", &json!({"file_path": "/w/src/main.rs"}));
    assert_eq!(world.status(), "your turn · plan · m-1 · a title");
    world.types("/co");
    assert!(world.text().contains("\n /compact\n /cost\n"), "{}", world.text());
    world.key(&Key::Down);
    world.key(&Key::Tab);
    world.types("@mai");
    world.key(&Key::Tab);
    assert!(world.text().contains("> /cost @src/main.rs"), "{}", world.text());
    world.key(&Key::Enter);
    assert_eq!(world.commands().len(), 1);
    world.types(":mode ");
    world.types("default");
    world.key(&Key::Enter);
    let commands = world.commands();
    let [RemoteCommand::Send(line)] = &commands[..] else { panic!("{commands:?}") };
    assert!(line.as_str().contains("set_permission_mode"));
    world.types("/exit");
    assert!(!world.text().contains("\n /exit\n"), "it is for its own terminal");
}

#[test]
fn a_paste_is_never_sent_by_itself() {
    let mut world = World::new(40, 12);
    world.key(&Key::Paste("one\r\n:quit\r\n/x\ry\n".to_owned()));
    assert!(world.wishes().is_empty());
    assert!(world.text().contains("> one\n  :quit\n  /x\n  y\n"), "{}", world.text());
}
