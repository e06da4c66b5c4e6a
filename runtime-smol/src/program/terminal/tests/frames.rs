//! Frames that hold whatever the agent, the screen and the connection do.

use footbridge_core::remote::RemoteNotice;
use footbridge_core::wire::viewer::Origin;
use serde_json::json;

use super::{World, text};
use crate::program::terminal::keys::Key;

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
