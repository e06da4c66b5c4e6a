//! What happened, line by line: the same bytes for the same seed.

use std::fmt::Write as _;

use footbridge_core::contract::action::{Action, Message};
use footbridge_core::contract::event::Event;

use crate::sim::clock::Time;

/// How much of a message's text a trace shows.
const SHOWN_CHARS: usize = 160;

/// A trace as text and as a sequence diagram.
#[derive(Debug)]
pub(crate) struct Trace {
    is_on: bool,
    text: String,
    diagram: String,
}

impl Trace {
    pub(crate) fn new(is_on: bool) -> Self {
        let diagram = String::from("sequenceDiagram\n");
        Self { is_on, text: String::new(), diagram }
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.is_on
    }

    pub(crate) fn record(&mut self, at: Time, who: &str, words: impl FnOnce() -> String) {
        if self.is_on {
            let secs = at.as_secs();
            let _ = writeln!(
                self.text,
                "{:02}:{:02}:{:02}.{:06} {who:<10} {}",
                secs / 3600,
                secs / 60 % 60,
                secs % 60,
                at.subsec_micros(),
                words()
            );
        }
    }

    /// Something is sent from one party to another, for the diagram.
    pub(crate) fn draw(&mut self, from: &str, to: &str, words: impl FnOnce() -> String) {
        if self.is_on {
            // Mermaid treats a semicolon as the end of a statement.
            let words = words().replace([';', '#'], ",");
            let _ = writeln!(self.diagram, "    {from}->>{to}: {words}");
        }
    }

    /// The text, and the diagram.
    pub(crate) fn into_texts(self) -> (String, String) {
        (self.text, self.diagram)
    }
}

/// An event, with the text that it carries: nothing in the simulator is secret.
pub(crate) fn words(event: &Event) -> String {
    match event {
        Event::Received { op, message } => format!("Received {op} {}", message_words(message)),
        Event::Response { op, response } => {
            let body = String::from_utf8_lossy(&response.body);
            format!("Response {op} {} {}", response.status, shown(&body))
        }
        Event::Stdout { op, data } => {
            format!("Stdout {op} {}", shown(&String::from_utf8_lossy(data)))
        }
        other => shown(&format!("{other:?}")),
    }
}

/// An action, likewise.
pub(crate) fn action_words(action: &Action) -> String {
    match action {
        Action::Send { op, message } => format!("Send {op} {}", message_words(message)),
        Action::Write { op, data } => {
            format!("Write {op} {}", shown(&String::from_utf8_lossy(data)))
        }
        Action::Reply { op, response } => {
            let body = String::from_utf8_lossy(&response.body);
            format!("Reply {op} {} {}", response.status, shown(&body))
        }
        Action::Request { op, request } => {
            let body = String::from_utf8_lossy(&request.body);
            format!("Request {op} {} {} {}", request.method.as_str(), request.url, shown(&body))
        }
        other => shown(&format!("{other:?}")),
    }
}

pub(crate) fn message_words(message: &Message) -> String {
    match message {
        Message::Text(text) => format!("text {}", shown(text.as_str())),
        Message::Binary(bytes) => format!("word {}", shown(&String::from_utf8_lossy(bytes))),
    }
}

pub(crate) fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        let _ = write!(shown, "… ({} bytes)", text.len());
    }
    shown
}
