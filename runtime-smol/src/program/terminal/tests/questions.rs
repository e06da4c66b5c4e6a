//! What an agent asks, as it is shown, and which keys answer it.

use footbridge_core::remote::{RemoteNotice, Sent, Withdrawal};
use footbridge_core::wire::viewer::{Behavior, Origin};
use serde_json::{Value, json};

use super::{Size, World, text};
use crate::program::terminal::keys::Key;
use crate::program::terminal::limits::{ARRIVAL_GUARD, QUESTION_GUARD};

#[test]
fn a_question_shows_all_of_a_command_and_is_answered_by_a_key() {
    let mut world = World::new(44, 16);
    let rule = json!([{"type": "addRules", "behavior": "allow", "destination": "session",
        "rules": [{"toolName": "Bash", "ruleContent": "rm:*"}]}]);
    world.call("toolu_P", "Bash", &json!({"command": "rm -r x"}));
    world.asks("P", "Bash", &json!({"command": "rm -r x", "description": "tidy"}), &rule);
    let expected = "\
○ Bash rm -r x
━━ the agent wants to use Bash ━━━━━━━━━━━━━
$ rm -r x
(tidy)
y allow
a always allow: Bash: rm:* (until this
  session ends)
n deny
w deny, and say why
";
    assert_eq!(world.shown(), expected);
    assert_eq!(world.status(), "waits for you · a title");
    world.key(&Key::Char('y'));
    let answer = world.answer();
    assert_eq!((answer.behavior, answer.seq), (Behavior::Allow, Some(2)));
    assert!(answer.further.is_empty() && answer.updated_input.is_none());
    assert_eq!(world.status(), "your turn · 1 to send · a title");

    world.model.notice(&RemoteNotice::Accepted {
        sent: Sent::Answer { request_id: "P".to_owned() },
        seq: 3,
    });
    let answer = json!({"type": "control_response", "response":
        {"subtype": "success", "request_id": "P", "response": {"behavior": "allow"}}});
    world.event(Origin::Viewer, &answer);
    assert!(world.shown().contains("○ Bash rm -r x\n  allowed\n"), "{}", world.shown());

    world.asks("Q", "Bash", &json!({"command": "ls"}), &rule);
    world.key(&Key::Char('a'));
    let answer = world.answer();
    assert_eq!(answer.further["updatedPermissions"].get(), rule.to_string());

    world.asks("R", "Bash", &json!({"command": "ls"}), &json!([]));
    world.key(&Key::Char('a'));
    assert!(world.commands().is_empty(), "nothing was suggested");
    world.key(&Key::Char('w'));
    world.types("yes, but n");
    world.text();
    world.key(&Key::Enter);
    let answer = world.answer();
    assert_eq!((answer.behavior, answer.message.as_deref()), (Behavior::Deny, Some("yes, but n")));
}

#[test]
fn the_arrows_go_to_an_answer_and_enter_gives_that_one_only() {
    let mut world = World::new(60, 20);
    let ask = |world: &mut World, id: &str| {
        world.asks(id, "Bash", &json!({"command": "ls"}), &Value::Null);
        world.now += QUESTION_GUARD;
        world.commands();
    };
    ask(&mut world, "P");
    world.key(&Key::Enter);
    assert!(world.commands().is_empty(), "nothing is marked yet");
    world.key(&Key::Down);
    world.key(&Key::Down);
    world.key(&Key::Enter);
    assert_eq!(world.answer().behavior, Behavior::Deny);
    ask(&mut world, "Q");
    world.key(&Key::Up);
    world.key(&Key::Enter);
    world.types("because");
    world.key(&Key::Enter);
    assert_eq!(world.answer().message.as_deref(), Some("because"));
    ask(&mut world, "R");
    world.key(&Key::Down);
    world.key(&Key::Enter);
    assert_eq!(world.answer().behavior, Behavior::Allow);
}

#[test]
fn what_does_not_fit_is_seen_to_its_end_before_it_is_allowed() {
    let mut world = World::new(40, 14);
    let command: String = (1..30).map(|line| format!("echo {line}\n")).collect();
    let always = json!([{"type": "setMode", "mode": "acceptEdits", "destination": "session"}]);
    world.asks("P", "Bash", &json!({"command": command.clone() + "rm -rf /"}), &always);
    assert!(!world.text().contains("rm -rf"), "{}", world.text());
    for key in ['y', 'a'] {
        world.key(&Key::Char(key));
        assert!(world.text().contains("there is more of it"), "{}", world.text());
    }
    assert!(world.commands().is_empty());
    world.key(&Key::PageDown);
    assert!(world.text().contains("more lines"), "{}", world.text());
    world.key(&Key::End);
    assert!(world.text().contains("rm -rf /"), "{}", world.text());
    world.key(&Key::Char('y'));
    assert_eq!(world.answer().behavior, Behavior::Allow);
    // Denying needs nothing.
    world.asks("Q", "Bash", &json!({"command": command}), &always);
    world.key(&Key::Char('n'));
    assert_eq!(world.answer().behavior, Behavior::Deny);
}

#[test]
fn what_the_window_has_no_room_for_is_not_allowed() {
    for (columns, rows) in [(80, 1), (80, 2), (80, 3), (40, 3), (120, 3)] {
        let mut world = World::new(columns, rows);
        world.asks("P", "Bash", &json!({"command": "echo 1\nrm -rf /"}), &json!([]));
        for key in [Key::Char('y'), Key::PageDown, Key::End, Key::Char('y')] {
            world.key(&key);
            if world.text().contains("rm -rf") {
                break;
            }
        }
        assert!(world.text().contains("rm -rf") || world.commands().is_empty(), "{rows}");
        (world.columns, world.rows) = (80, 24);
        world.model.resize(Size { columns: 80, rows: 24 });
        assert!(world.text().contains("rm -rf /"), "{}", world.text());
        world.key(&Key::Char('y'));
        assert_eq!(world.answer().behavior, Behavior::Allow, "{rows}");
    }
}

#[test]
fn the_transcript_can_be_read_while_a_question_waits() {
    let mut world = World::new(40, 16);
    for number in 0..30 {
        world.agent(&text(&format!("line {number}")));
    }
    world.asks("P", "Bash", &json!({"command": "ls"}), &json!([]));
    assert!(world.text().contains("line 29"));
    for key in [Key::PageUp, Key::WheelUp] {
        world.key(&key);
    }
    assert!(!world.text().contains("line 29") && world.text().contains("$ ls"), "{}", world.text());
    world.key(&Key::Char('n'));
    assert_eq!(world.answer().behavior, Behavior::Deny);
}

#[test]
fn a_key_that_was_meant_for_something_else_answers_nothing() {
    let mut world = World::new(40, 20);
    world.types("my ");
    world.asks("P", "Bash", &json!({"command": "ls"}), &json!([]));
    world.types("yn");
    assert!(world.commands().is_empty());
    assert!(world.text().contains("> my yn") && world.text().contains("Tab answers"));
    world.key(&Key::Tab);
    world.key(&Key::Char('y'));
    assert_eq!(world.answer().request_id, "P");
    // What was being typed is still there.
    assert!(world.text().contains("> my yn"));
}

#[test]
fn who_begins_to_type_as_a_question_comes_answers_nothing_and_loses_no_letter() {
    let mut world = World::new(60, 20);
    let at = world.now;
    world.asks("P", "Bash", &json!({"command": "ls"}), &json!([]));
    world.now = at;
    for c in "yes, any".chars() {
        world.key(&Key::Char(c));
        world.now += ARRIVAL_GUARD / 4;
        world.text();
    }
    assert!(world.commands().is_empty());
    assert!(world.text().contains("> yes, any") && world.text().contains("Tab answers"));
    world.key(&Key::Tab);
    world.key(&Key::Char('y'));
    assert_eq!(world.answer().request_id, "P");
}

#[test]
fn keys_that_go_on_answer_no_question_that_follows_another() {
    let mut world = World::new(60, 20);
    for id in ["P", "Q"] {
        world.asks(id, "Bash", &json!({"command": "ls"}), &json!([]));
    }
    world.key(&Key::Char('y'));
    assert_eq!(world.answer().request_id, "P");
    for _ in 0..8 {
        world.text();
        world.now += QUESTION_GUARD / 2;
        world.key(&Key::Char('y'));
        assert!(world.commands().is_empty() && world.text().contains("has just appeared"));
    }
    world.now += QUESTION_GUARD;
    world.key(&Key::Char('y'));
    assert_eq!(world.answer().request_id, "Q");
}

#[test]
fn several_questions_are_answered_in_any_order_and_another_viewers_answer_takes_one_away() {
    let mut world = World::new(60, 20);
    for id in ["P", "Q", "R"] {
        world.asks(id, "Bash", &json!({"command": format!("echo {id}")}), &json!([]));
    }
    assert!(world.text().contains("(1 of 3"), "{}", world.text());
    assert!(world.status().contains("3 questions"));
    world.key(&Key::Right);
    assert!(world.text().contains("$ echo Q"), "{}", world.text());
    world.now += QUESTION_GUARD;
    world.key(&Key::Char('y'));
    assert_eq!(world.answer().request_id, "Q");
    world.model.notice(&RemoteNotice::PermissionWithdrawn {
        request_id: "R".to_owned(),
        seq: 3,
        tool_use_id: None,
        why: Withdrawal::Answered,
    });
    assert!(world.text().contains("somebody else has answered"), "{}", world.text());
    assert!(world.text().contains("$ echo P"), "{}", world.text());
    // An answer that was not taken leaves its question open.
    world.key(&Key::Char('n'));
    world.commands();
    let sent = Sent::Answer { request_id: "P".to_owned() };
    let reason = "not allowed".to_owned();
    world.model.notice(&RemoteNotice::Refused { sent, status: Some(403), reason });
    assert!(world.text().contains("· not answered: not allowed"), "{}", world.text());
    assert!(world.text().contains("$ echo P"), "{}", world.text());
}

#[test]
fn choices_are_made_by_numbers_or_in_own_words_and_a_plan_is_read_before_it_is_approved() {
    let mut world = World::new(60, 24);
    let input = json!({"questions": [
        {"question": "Which?", "header": "DB", "options": [{"label": "A", "description": "first"}, {"label": "B"}]},
        {"question": "More?", "multiSelect": true, "options": [{"label": "C"}, {"label": "D"}, {"label": "E"}]},
        {"question": "Why?", "options": []},
    ]});
    world.asks("P", "AskUserQuestion", &input, &json!([]));
    let expected = "\
━━ the agent asks you ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
? 1/3 [DB] Which?
1 ○ A  first
2 ○ B
a number answers · o own words · n refuses
";
    assert_eq!(world.shown(), expected);
    world.types("213");
    assert!(world.text().contains("1 ☑ C") && world.text().contains("3 ☑ E"), "{}", world.text());
    world.key(&Key::Enter);
    world.types("o");
    world.types("n because 1");
    world.key(&Key::Enter);
    let answer = world.answer();
    let input: Value =
        serde_json::from_str(answer.updated_input.expect("an input").get()).expect("JSON");
    assert_eq!(input["answers"], json!({"Which?": "B", "More?": "C, E", "Why?": "n because 1"}));

    world.asks("Q", "ExitPlanMode", &json!({"plan": "# Plan\n\n1. do it"}), &json!([]));
    assert!(world.shown().contains("Plan\n\n1. do it\ny yes, and ask before each edit\n"));
    world.key(&Key::Char('e'));
    let answer = world.answer();
    assert!(answer.further["updatedPermissions"].get().contains("acceptEdits"));
}
