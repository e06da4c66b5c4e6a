//! What was said and done, as it is shown, scrolled and bounded.

use std::time::Duration;

use footbridge_core::wire::viewer::Origin;
use serde_json::json;

use super::{World, event, text};
use crate::program::terminal::keys::Key;
use crate::program::terminal::limits::TRANSCRIPT_BYTES;
use crate::program::terminal::model::Wish;

#[test]
fn a_turn_reads_as_what_was_said_and_done() {
    let mut world = World::new(40, 30);
    world.event(Origin::Viewer, &json!({"type": "user", "message": {"content": "list\nthem"}}));
    world.agent(&json!([{"type": "thinking", "thinking": "Hm.\nSo."}]));
    world.agent(&text("I **look**."));
    world.call("t1", "Bash", &json!({"command": "ls"}));
    world.result("t1", "1\n2\n3\n4\n5\n6\n7\n8\n");
    world.call("t2", "Edit", &json!({"file_path": "/a", "old_string": "x\n", "new_string": "y\n"}));
    world.result("t2", "done");
    world.call("t3", "Read", &json!({"file_path": "/b"}));
    world.result("t3", "one\ntwo");
    let result = json!({"type": "result", "subtype": "success", "duration_ms": 1500});
    world.event(Origin::Agent, &result);
    let expected = "\
> list
  them

✻ Hm.

I look.

● Bash ls
  ⎿ 1
    2
    3
    4
    5
    … 3 more lines

● Edit /a
    - x
    + y

● Read /b
  ⎿ 2 lines
— done in 1.5 s
────────────────────────────────────────
> say something · F1 help
";
    assert_eq!(world.shown(), expected);
    world.session(&json!({"working": true}));
    world.model.machine("box", "");
    assert_eq!(world.status(), "working · box · a title");
}

#[test]
fn a_card_is_unfolded_by_a_key_and_all_of_them_by_another() {
    let mut world = World::new(40, 30);
    world.call("t1", "Bash", &json!({"command": "a"}));
    world.result("t1", "1\n2\n3\n4\n5\n6\n7\n8");
    world.call("t2", "Bash", &json!({"command": "b"}));
    world.result("t2", "1\n2\n3\n4\n5\n6\n7\nlast");
    world.text();
    world.key(&Key::Tab);
    world.key(&Key::Enter);
    assert!(world.shown().contains("    last\n") && !world.shown().contains("    8\n"));
    world.key(&Key::Up);
    world.key(&Key::Enter);
    assert!(world.shown().contains("    8\n"), "{}", world.shown());
    world.key(&Key::Enter);
    assert!(!world.shown().contains("    8\n"));
    world.key(&Key::Esc);
    world.key(&Key::Ctrl('o'));
    assert!(world.shown().contains("    8\n") && world.shown().contains("    last\n"));
    assert!(world.commands().is_empty());
}

#[test]
fn text_is_shown_as_it_comes_and_replaced_by_the_whole() {
    let mut world = World::new(40, 10);
    world.delta("Hel");
    world.delta("lo **wor");
    assert!(world.shown().starts_with("Hello **wor\n"), "{}", world.shown());
    world.agent(&text("Hello **world**"));
    assert!(world.shown().starts_with("Hello world\n"), "{}", world.shown());
    world.delta("More");
    world.event(Origin::Agent, &json!({"type": "result", "is_error": true, "errors": ["cut"]}));
    assert!(!world.shown().contains("More"));
}

#[test]
fn scrolling_up_asks_for_older_events_and_the_end_is_followed_again() {
    let mut world = World::new(40, 10);
    world.seq = 100;
    for number in 0..30 {
        world.agent(&text(&format!("line {number}")));
    }
    world.text();
    assert!(world.wishes().is_empty());
    for _ in 0..20 {
        world.key(&Key::PageUp);
        world.text();
    }
    assert!(matches!(world.wishes()[..], [Wish::Older { before: 101 }]));
    assert!(world.text().contains("reading older events"));
    let top = world.text().lines().take(2).collect::<String>();
    let message = json!({"type": "assistant", "message": {"content": text("before that")}});
    let older: Vec<_> = (51..101).map(|seq| event(seq, Origin::Agent, &message)).collect();
    world.model.older(&older, 50, 1);
    assert_eq!(
        world.text().lines().take(2).collect::<String>(),
        top,
        "what is read stays in place"
    );
    world.key(&Key::WheelUp);
    assert!(world.text().contains("before that"), "{}", world.text());
    // What comes does not move it either.
    let before = world.text();
    world.agent(&text("new"));
    assert_eq!(world.text(), before);
    world.key(&Key::Esc);
    assert!(world.text().contains("new"));
    // Down to the end is the end.
    world.key(&Key::PageUp);
    world.text();
    world.key(&Key::PageDown);
    world.text();
    world.agent(&text("newest"));
    assert!(world.text().contains("newest"));
}

#[test]
fn memory_is_bounded_and_a_very_long_line_holds_nothing_up() {
    let mut world = World::new(80, 24);
    let begun = std::time::Instant::now();
    let long = "x".repeat(1 << 20);
    for number in 0..4 {
        world.agent(&text(&long));
        world.call(&format!("t{number}"), "Bash", &json!({"command": long}));
        world.result(&format!("t{number}"), &"y\n".repeat(1 << 19));
        world.text();
    }
    for number in 0..600 {
        world.agent(&text(&format!("{number}{}", "z".repeat(20_000))));
    }
    world.text();
    assert!(world.model.transcript().bytes() <= TRANSCRIPT_BYTES);
    // In a debug build on a slow machine; it takes a tenth of that in a release.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    for _ in 0..200 {
        world.key(&Key::PageUp);
    }
    world.text();
}
