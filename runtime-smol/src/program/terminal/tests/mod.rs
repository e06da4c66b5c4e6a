//! What is shown, as plain text, and what keys ask for.

mod entry;
mod frames;
mod questions;
mod transcript;

use std::time::Duration;

use footbridge_core::base::text::{Text, is_hidden};
use footbridge_core::base::time::UnixTime;
use footbridge_core::remote::{Asked, RemoteCommand, RemoteEvent, RemoteNotice};
use footbridge_core::wire::viewer::{Origin, PermissionPost};
use serde_json::{Value, json};

use super::keys::Key;
use super::limits::ARRIVAL_GUARD;
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
