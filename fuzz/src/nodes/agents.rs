//! Scripted programs that speak real stream-json: the agents that a worker may meet.

use crate::names::MAX_LINE_BYTES;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use footbridge_core::contract::action::Signal;
use footbridge_core::contract::event::ExitStatus;
use serde_json::{Value, json};

/// What a program wants of the system.
#[derive(Default)]
pub(crate) struct Doing {
    pub(crate) said: Vec<Said>,
    pub(crate) stderr: Option<Bytes>,
    pub(crate) alarm: Option<Duration>,
    pub(crate) exit: Option<ExitStatus>,
    pub(crate) closes_stdout: bool,
    pub(crate) stops_reading: bool,
    /// Something that it leaves behind holds its stdout open for so long.
    pub(crate) leaves_behind: Option<Duration>,
    /// Bytes that its stdout has room for.
    pub(crate) room: usize,
}

/// Something that a program printed.
pub(crate) struct Said {
    pub(crate) bytes: Bytes,
    pub(crate) is_line: bool,
    pub(crate) is_message: bool,
}

impl Doing {
    pub(crate) fn new(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    fn say(&mut self, message: &Value) {
        let mut line = message.to_string();
        line.push('\n');
        self.said.push(Said { bytes: Bytes::from(line), is_line: true, is_message: true });
    }

    fn rubbish(&mut self, line: &str) {
        let bytes = Bytes::from(format!("{line}\n"));
        self.said.push(Said { bytes, is_line: true, is_message: false });
    }
}

/// A program at the other end of the pipes.
pub(crate) trait Program {
    fn started(&mut self, doing: &mut Doing);
    fn input(&mut self, data: &[u8], doing: &mut Doing);
    fn input_ended(&mut self, doing: &mut Doing);
    fn alarm(&mut self, doing: &mut Doing);
    fn signal(&mut self, signal: Signal, doing: &mut Doing);
    fn has_room(&mut self, doing: &mut Doing);
    /// How long it takes to be killed.
    fn dying(&self) -> Duration {
        Duration::ZERO
    }
}

/// The kinds of agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answers each message with several.
    Chatty,
    /// Says next to nothing, and answers late what it is asked.
    Silent,
    /// Crashes sooner or later.
    Crashing,
    /// Prints without an end.
    Flooding,
    /// Asks for permission, one question at a time.
    Asking,
    /// Asks several questions at once.
    AskingMany,
    /// Takes its questions back, sometimes too late.
    Cancelling,
    /// Does not end when it is asked to.
    Stubborn,
    /// Closes its stdout and goes on.
    Mute,
    /// Never reads its stdin.
    Deaf,
    /// Prints what is no message, and lines that are too long.
    Garbage,
    /// Ends at once.
    Brief,
    /// The agent that is built in.
    Shell,
}

/// All kinds, for the command line and for drawing one.
pub const KINDS: [Kind; 13] = [
    Kind::Chatty,
    Kind::Silent,
    Kind::Crashing,
    Kind::Flooding,
    Kind::Asking,
    Kind::AskingMany,
    Kind::Cancelling,
    Kind::Stubborn,
    Kind::Mute,
    Kind::Deaf,
    Kind::Garbage,
    Kind::Brief,
    Kind::Shell,
];

impl Kind {
    /// The well-behaved ones come most often.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        const WEIGHTS: [u32; 13] = [8, 2, 1, 1, 6, 4, 3, 1, 1, 1, 2, 1, 5];
        let mut at = rng.u32(..WEIGHTS.iter().sum::<u32>());
        for (kind, weight) in KINDS.into_iter().zip(WEIGHTS) {
            if at < weight {
                return kind;
            }
            at -= weight;
        }
        Self::Chatty
    }

    /// Whether it may leave its input unread.
    pub(crate) const fn is_deaf(self) -> bool {
        matches!(self, Self::Deaf | Self::Mute | Self::Flooding)
    }

    const fn asks(self) -> bool {
        matches!(self, Self::Asking | Self::AskingMany | Self::Cancelling)
    }
}

/// A scripted agent.
struct Script {
    kind: Kind,
    session: String,
    process: usize,
    rng: Rng,
    said: u64,
    partial: Vec<u8>,
    asked: u64,
    /// Questions that nobody has answered.
    open: Vec<String>,
    /// Requests that it has not answered yet.
    unanswered: Vec<Value>,
    turns: u64,
    is_ending: bool,
}

pub(crate) fn script(kind: Kind, session: &str, process: usize, seed: u64) -> Box<dyn Program> {
    Box::new(Script {
        kind,
        session: session.to_owned(),
        process,
        rng: Rng::with_seed(seed),
        said: 0,
        partial: Vec::new(),
        asked: 0,
        open: Vec::new(),
        unanswered: Vec::new(),
        turns: 0,
        is_ending: false,
    })
}

impl Script {
    fn uuid(&mut self) -> String {
        self.said += 1;
        format!("{}-{}-{}", self.session, self.process, self.said)
    }

    fn text(&mut self, text: &str, doing: &mut Doing) {
        let uuid = self.uuid();
        doing.say(&json!({
            "type": "assistant", "uuid": uuid, "session_id": self.session,
            "message": {"role": "assistant", "content": [{"type": "text", "text": text}]},
        }));
    }

    fn result(&mut self, doing: &mut Doing) {
        let uuid = self.uuid();
        doing.say(&json!({
            "type": "result", "subtype": "success", "is_error": false, "uuid": uuid,
            "duration_ms": 1, "duration_api_ms": 1, "num_turns": 1, "session_id": self.session,
        }));
    }

    fn ask(&mut self, doing: &mut Doing) {
        self.asked += 1;
        let id = format!("ask-{}-{}", self.process, self.asked);
        let uuid = self.uuid();
        doing.say(&json!({
            "type": "control_request", "request_id": id, "uuid": uuid,
            "request": {"subtype": "can_use_tool", "tool_name": "Bash",
                        "input": {"command": format!("do {}", self.asked)}},
        }));
        self.open.push(id);
    }

    fn line(&mut self, line: &[u8], doing: &mut Doing) {
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            // Real agents end when they cannot read a line.
            doing.exit = Some(ExitStatus::Code(1));
            return;
        };
        match message["type"].as_str() {
            Some("user") => self.user(&message, doing),
            Some("control_request") => self.request(&message, doing),
            Some("control_response") => self.answered(&message, doing),
            _ => {}
        }
    }

    fn user(&mut self, message: &Value, doing: &mut Doing) {
        self.turns += 1;
        let uuid = self.uuid();
        let replayed = &message["uuid"];
        if self.kind != Kind::Silent {
            doing.say(&json!({"type": "system", "subtype": "init", "uuid": uuid,
                              "session_id": self.session, "replies_to": replayed}));
        }
        match self.kind {
            Kind::Asking | Kind::Cancelling => self.ask(doing),
            Kind::AskingMany => {
                for _ in 0..self.rng.u32(1..5) {
                    self.ask(doing);
                }
            }
            Kind::Crashing if self.rng.u8(..) < 90 => {
                doing.stderr = Some(Bytes::from_static(b"Segmentation fault\n"));
                doing.exit = Some(ExitStatus::Signal(11));
            }
            Kind::Garbage => {
                self.garbage(doing);
                self.result(doing);
            }
            Kind::Silent => {}
            _ => {
                for n in 0..self.rng.u32(1..4) {
                    let bytes = self.rng.usize(1..200);
                    self.text(&format!("part {n} {}", "x".repeat(bytes)), doing);
                }
                self.result(doing);
            }
        }
        if self.kind == Kind::Cancelling {
            doing.alarm = Some(Duration::from_millis(self.rng.u64(1..20_000)));
        }
    }

    fn garbage(&mut self, doing: &mut Doing) {
        match self.rng.u8(..6) {
            0 => doing.rubbish("this is no JSON"),
            1 => doing.rubbish("[1,2,3]"),
            2 => doing.rubbish(r#"{"type":7}"#),
            3 => doing.rubbish(&"y".repeat(MAX_LINE_BYTES + 10)),
            4 => doing.rubbish(r#"{"no":"type"}"#),
            _ => doing.rubbish(r#"{"type":"assistant","#),
        }
        self.text("after the rubbish", doing);
    }

    fn request(&mut self, message: &Value, doing: &mut Doing) {
        let id = &message["request_id"];
        let subtype = message["request"]["subtype"].as_str().unwrap_or_default();
        if subtype == "interrupt" {
            for id in std::mem::take(&mut self.open) {
                let uuid = self.uuid();
                doing.say(&json!({
                    "type": "control_cancel_request", "request_id": id, "uuid": uuid,
                }));
            }
        }
        if self.kind == Kind::Silent {
            self.unanswered.push(id.clone());
            doing.alarm = Some(Duration::from_millis(self.rng.u64(1..60_000)));
        } else {
            self.acknowledge(id, doing);
        }
    }

    fn acknowledge(&mut self, request_id: &Value, doing: &mut Doing) {
        let uuid = self.uuid();
        doing.say(&json!({
            "type": "control_response", "uuid": uuid,
            "response": {"subtype": "success", "request_id": request_id, "response": {}},
        }));
    }

    fn answered(&mut self, message: &Value, doing: &mut Doing) {
        let response = &message["response"];
        let id = response["request_id"].as_str().unwrap_or_default();
        let Some(at) = self.open.iter().position(|open| open == id) else { return };
        self.open.remove(at);
        let behaviour = response["response"]["behavior"].as_str().unwrap_or("error").to_owned();
        self.text(&format!("{id} was answered: {behaviour}"), doing);
        if self.open.is_empty() {
            self.result(doing);
        }
    }

    fn flood(&mut self, doing: &mut Doing) {
        let mut room = doing.room;
        while room > 4096 {
            self.text(&"z".repeat(3000), doing);
            room = room.saturating_sub(3200);
        }
    }
}

impl Program for Script {
    fn started(&mut self, doing: &mut Doing) {
        match self.kind {
            Kind::Brief => doing.exit = Some(ExitStatus::Code(self.rng.i32(0..2))),
            Kind::Deaf => doing.stops_reading = true,
            Kind::Crashing => doing.alarm = Some(Duration::from_secs(self.rng.u64(1..120))),
            Kind::Mute => doing.alarm = Some(Duration::from_secs(self.rng.u64(1..60))),
            Kind::Flooding => doing.alarm = Some(Duration::from_secs(self.rng.u64(1..20))),
            _ => {}
        }
    }

    fn input(&mut self, data: &[u8], doing: &mut Doing) {
        self.partial.extend_from_slice(data);
        while let Some(at) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=at).collect();
            self.line(&line, doing);
        }
    }

    fn input_ended(&mut self, doing: &mut Doing) {
        if self.kind == Kind::Stubborn {
            return;
        }
        self.is_ending = true;
        doing.exit = Some(ExitStatus::Code(0));
    }

    fn alarm(&mut self, doing: &mut Doing) {
        match self.kind {
            Kind::Crashing => doing.exit = Some(ExitStatus::Code(3)),
            Kind::Mute => doing.closes_stdout = true,
            Kind::Silent => {
                for id in std::mem::take(&mut self.unanswered) {
                    self.acknowledge(&id, doing);
                }
            }
            Kind::Flooding => {
                self.flood(doing);
                if self.said < 2_000 {
                    doing.alarm = Some(Duration::from_millis(self.rng.u64(10..3_000)));
                }
            }
            Kind::Cancelling => {
                if let Some(id) = self.open.pop() {
                    let uuid = self.uuid();
                    doing.say(&json!({
                        "type": "control_cancel_request", "request_id": id, "uuid": uuid,
                    }));
                    self.result(doing);
                }
            }
            _ => {}
        }
    }

    fn signal(&mut self, signal: Signal, doing: &mut Doing) {
        if self.kind == Kind::Stubborn {
            return;
        }
        let number = if signal == Signal::Interrupt { 2 } else { 15 };
        if self.kind.asks() && self.rng.bool() {
            // Its last words.
            self.text("I was told to end", doing);
        }
        doing.exit = Some(ExitStatus::Signal(number));
    }

    fn has_room(&mut self, doing: &mut Doing) {
        if self.kind == Kind::Flooding && self.said > 0 && self.said < 2_000 {
            self.flood(doing);
        }
    }
}
