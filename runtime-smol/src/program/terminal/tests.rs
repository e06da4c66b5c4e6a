//! What is shown, as plain text, and what keys ask for.

use std::time::Duration;

use footbridge_core::base::text::{Text, is_hidden};
use footbridge_core::base::time::UnixTime;
use footbridge_core::remote::{Asked, RemoteCommand, RemoteEvent, RemoteNotice, Sent, Withdrawal};
use footbridge_core::wire::viewer::{Behavior, Origin, PermissionPost, Receipts};
use serde_json::{Value, json};

use super::keys::Key;
use super::limits::{ARRIVAL_GUARD, QUESTION_GUARD, TRANSCRIPT_BYTES};
use super::model::{Model, Size, Wish};
use super::standing::Standing;

struct World {
    model: Model,
    now: Duration,
    seq: u64,
    columns: usize,
    rows: usize,
}

impl World {
    fn new(columns: usize, rows: usize) -> Self {
        let mut world = Self {
            model: Model::new(Size { columns, rows }, Standing::Follows),
            now: Duration::from_secs(10),
            seq: 0,
            columns,
            rows,
        };
        world.model.notice(&RemoteNotice::Connected);
        world.session(&json!({}));
        world
    }

    fn session(&mut self, changed: &Value) {
        let at = "2026-01-01T00:00:00.000Z";
        let mut session = json!({
            "id": "session_1", "environment_id": "env_1", "title": "a title", "state": "running",
            "connected": true, "created_at": at, "updated_at": at, "first_seq": 1,
            "last_seq": self.seq, "result": null, "receipts": {"seen": 1_000_000},
        });
        for (name, value) in changed.as_object().expect("fields") {
            session[name] = value.clone();
        }
        let view = serde_json::from_value(session).expect("a session");
        self.model.notice(&RemoteNotice::Session(Box::new(view)));
    }

    fn event(&mut self, from: Origin, message: &Value) {
        self.seq += 1;
        let event = event(self.seq, from, message);
        self.model.notice(&RemoteNotice::Event(event));
    }

    fn agent(&mut self, content: &Value) {
        let message = json!({"type": "assistant", "message": {"content": content}});
        self.event(Origin::Agent, &message);
    }

    fn call(&mut self, id: &str, tool: &str, input: &Value) {
        self.agent(&json!([{"type": "tool_use", "id": id, "name": tool, "input": input}]));
    }

    fn result(&mut self, id: &str, text: &str) {
        let content = json!([{"type": "tool_result", "tool_use_id": id, "content": text}]);
        self.event(Origin::Agent, &json!({"type": "user", "message": {"content": content}}));
    }

    fn delta(&mut self, text: &str) {
        let event =
            json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}});
        self.event(Origin::Agent, &json!({"type": "stream_event", "event": event}));
    }

    fn asks(&mut self, id: &str, tool: &str, input: &Value, suggestions: &Value) {
        let request = json!({
            "subtype": "can_use_tool", "tool_name": tool, "input": input,
            "tool_use_id": format!("toolu_{id}"), "permission_suggestions": suggestions,
        });
        let message = json!({"type": "control_request", "request_id": id, "request": request});
        self.event(Origin::Agent, &message);
        self.model.notice(&RemoteNotice::PermissionAsked(Asked {
            request_id: id.to_owned(),
            seq: self.seq,
            tool_use_id: Some(format!("toolu_{id}")),
            tool_name: tool.to_owned(),
            message: Text::from(message.to_string()),
        }));
        self.text();
        self.now += ARRIVAL_GUARD;
    }

    fn key(&mut self, key: &Key) {
        self.model.key(self.now, key);
    }

    fn types(&mut self, text: &str) {
        for c in text.chars() {
            self.key(&Key::Char(c));
        }
    }

    fn wishes(&mut self) -> Vec<Wish> {
        std::iter::from_fn(|| self.model.next_wish()).collect()
    }

    fn commands(&mut self) -> Vec<RemoteCommand> {
        let wishes = self.wishes().into_iter();
        let commands = wishes.filter_map(|wish| match wish {
            Wish::Command(command) => Some(command),
            _ => None,
        });
        commands.collect()
    }

    fn answer(&mut self) -> PermissionPost {
        match self.commands().pop() {
            Some(RemoteCommand::Answer(answer)) => answer,
            other => panic!("no answer: {other:?}"),
        }
    }

    /// The screen; nothing on it is wider than it is, or hidden.
    fn text(&mut self) -> String {
        let frame = self.model.frame(self.now);
        assert!(frame.lines.len() <= self.rows, "{} of {}", frame.lines.len(), self.rows);
        for line in &frame.lines {
            assert!(line.width() <= self.columns, "{:?}", line.text());
            assert!(!line.text().contains(is_hidden), "{:?}", line.text());
        }
        if let Some((row, column)) = frame.cursor {
            assert!(row < self.rows && column < self.columns, "{row}:{column}");
        }
        self.model.text(self.now)
    }

    /// Without its empty first lines and its last one, which says how things stand.
    fn shown(&mut self) -> String {
        let text = self.text();
        let text = text.trim_start_matches('\n').trim_end_matches('\n');
        text.rsplit_once('\n').map(|(above, _)| above.to_owned() + "\n").unwrap_or_default()
    }

    fn status(&mut self) -> String {
        self.text().lines().last().unwrap_or_default().to_owned()
    }
}

fn event(seq: u64, from: Origin, message: &Value) -> RemoteEvent {
    let at = UnixTime::from_millis(0);
    RemoteEvent { seq, at, from, message: Text::from(message.to_string()) }
}

fn text(text: &str) -> Value {
    json!([{"type": "text", "text": text}])
}

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

#[test]
fn no_agent_and_no_screen_however_small_breaks_a_frame() {
    let attack =
        "\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}]0;t\u{7}\u{1b}[2J\u{9b}H\u{202e}\u{200b}日本👩‍👩‍👧\r\u{8}";
    for (columns, rows) in [(1, 1), (2, 2), (5, 3), (20, 6), (40, 12), (160, 50)] {
        let mut world = World::new(columns.max(2), rows);
        world.rows = rows;
        world.session(&json!({"title": attack, "working": true}));
        world.model.machine(attack, attack);
        world.event(Origin::Viewer, &json!({"type": "user", "message": {"content": attack}}));
        world.agent(&text(&format!(
            "# {attack}\n| {attack} | b |\n|--|--|\n| 1 | {attack} |\n```{attack}\n{attack}\n```"
        )));
        world.call(attack, attack, &json!({attack: attack, "command": attack}));
        world.result(attack, attack);
        world.call(
            "e",
            "Edit",
            &json!({"file_path": attack, "old_string": attack, "new_string": "x"}),
        );
        world.event(
            Origin::Worker,
            &json!({"type": "footbridge", "subtype": "agent_stderr", "text": attack}),
        );
        world
            .event(Origin::Agent, &json!({"type": "result", "is_error": true, "errors": [attack]}));
        world.event(Origin::Agent, &json!({"type": attack, "subtype": attack}));
        world.text();
        world.key(&Key::Ctrl('o'));
        world.text();
        let rule = json!([{"type": "addRules", "behavior": "allow", "destination": "session",
            "rules": [{"toolName": attack}]}]);
        for tool in ["Bash", attack, "AskUserQuestion", "ExitPlanMode", "Write"] {
            let input = json!({"command": attack, "plan": attack, "file_path": attack, "content": attack,
                "questions": [{"question": attack, "options": [{"label": attack}]}]});
            world.asks(tool, tool, &input, &rule);
            world.key(&Key::Right);
            world.text();
        }
        world.key(&Key::Char('w'));
        world.key(&Key::Paste(attack.to_owned()));
        world.text();
        world.key(&Key::Esc);
        world.key(&Key::Tab);
        world.key(&Key::Paste(attack.to_owned()));
        world.text();
        world.key(&Key::Help);
        world.text();
        world.model.notice(&RemoteNotice::Disconnected { reason: attack.to_owned() });
        world.text();
    }
}

#[test]
fn a_connection_that_is_lost_is_shown() {
    let mut world = World::new(60, 6);
    let reason = "the relay is restarting".to_owned();
    world.model.notice(&RemoteNotice::Disconnected { reason });
    assert!(world.status().starts_with("not connected, trying again · "), "{}", world.status());
    world.model.notice(&RemoteNotice::Connected);
    assert_eq!(world.status(), "your turn · a title");
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
