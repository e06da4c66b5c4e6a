//! Scripted programs that speak real stream-json: the agents a worker may run.

use crate::names::MAX_LINE_BYTES;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use footbridge_core::contract::action::Signal;
use footbridge_core::contract::event::ExitStatus;
use serde_json::{Value, json};

/// What a program asks of the system.
#[derive(Default)]
pub(crate) struct Syscalls {
    pub(crate) printed: Vec<Printed>,
    pub(crate) stderr: Option<Bytes>,
    pub(crate) alarm: Option<Duration>,
    pub(crate) exit: Option<ExitStatus>,
    pub(crate) closes_stdout: bool,
    pub(crate) stops_reading: bool,
    /// How long something it leaves behind holds its stdout open.
    pub(crate) leaves_behind: Option<Duration>,
    /// Free space in its stdout, in bytes.
    pub(crate) room: usize,
}

/// Something that a program printed.
pub(crate) struct Printed {
    pub(crate) bytes: Bytes,
    pub(crate) is_line: bool,
    pub(crate) is_message: bool,
}

impl Syscalls {
    pub(crate) fn new(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    fn print(&mut self, message: &Value) {
        let mut line = message.to_string();
        line.push('\n');
        self.printed.push(Printed { bytes: Bytes::from(line), is_line: true, is_message: true });
    }

    fn print_garbage(&mut self, line: &str) {
        let bytes = Bytes::from(format!("{line}\n"));
        self.printed.push(Printed { bytes, is_line: true, is_message: false });
    }
}

/// A program at the other end of the pipes.
pub(crate) trait Program {
    fn started(&mut self, sys: &mut Syscalls);
    fn input(&mut self, data: &[u8], sys: &mut Syscalls);
    fn input_ended(&mut self, sys: &mut Syscalls);
    fn alarm(&mut self, sys: &mut Syscalls);
    fn signal(&mut self, signal: Signal, sys: &mut Syscalls);
    fn has_room(&mut self, sys: &mut Syscalls);
    /// How long it takes to die once killed.
    fn dying(&self) -> Duration {
        Duration::ZERO
    }
}

/// The kinds of agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answers each message with several.
    Chatty,
    /// Prints almost nothing, and answers requests late.
    Silent,
    /// Crashes sooner or later.
    Crashing,
    /// Prints endlessly.
    Flooding,
    /// Asks for permission, one question at a time.
    Asking,
    /// Asks several questions at once.
    AskingMany,
    /// Withdraws its questions, sometimes too late.
    Cancelling,
    /// Does not end when asked to.
    Stubborn,
    /// Closes its stdout and keeps running.
    Mute,
    /// Never reads its stdin.
    Deaf,
    /// Prints lines that are not messages, or too long.
    Garbage,
    /// Ends immediately.
    Brief,
    /// The built-in agent.
    Shell,
}

/// All kinds, for the command line and for random choice.
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
    /// The well-behaved ones are the most common.
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
    printed: u64,
    partial: Vec<u8>,
    asked: u64,
    /// Questions that nobody has answered.
    open: Vec<String>,
    /// Requests that it has not answered yet.
    unanswered: Vec<Value>,
    turns: u64,
    /// Whether it was told of a hook, which it asks before it does anything.
    has_hook: bool,
    is_ending: bool,
}

pub(crate) fn script(kind: Kind, session: &str, process: usize, seed: u64) -> Box<dyn Program> {
    Box::new(Script {
        kind,
        session: session.to_owned(),
        process,
        rng: Rng::with_seed(seed),
        printed: 0,
        partial: Vec::new(),
        asked: 0,
        open: Vec::new(),
        unanswered: Vec::new(),
        turns: 0,
        has_hook: false,
        is_ending: false,
    })
}

impl Script {
    fn uuid(&mut self) -> String {
        self.printed += 1;
        format!("{}-{}-{}", self.session, self.process, self.printed)
    }

    fn text(&mut self, text: &str, sys: &mut Syscalls) {
        let uuid = self.uuid();
        sys.print(&json!({
            "type": "assistant", "uuid": uuid, "session_id": self.session,
            "message": {"role": "assistant", "content": [{"type": "text", "text": text}]},
        }));
    }

    fn result(&mut self, sys: &mut Syscalls) {
        let uuid = self.uuid();
        sys.print(&json!({
            "type": "result", "subtype": "success", "is_error": false, "uuid": uuid,
            "duration_ms": 1, "duration_api_ms": 1, "num_turns": 1, "session_id": self.session,
        }));
    }

    fn ask(&mut self, sys: &mut Syscalls) {
        self.asked += 1;
        let id = format!("ask-{}-{}", self.process, self.asked);
        let uuid = self.uuid();
        sys.print(&json!({
            "type": "control_request", "request_id": id, "uuid": uuid,
            "request": {"subtype": "can_use_tool", "tool_name": "Bash",
                        "input": {"command": format!("do {}", self.asked)}},
        }));
        self.open.push(id);
    }

    /// Asks the hook that guards its tools.
    fn ask_hook(&mut self, sys: &mut Syscalls) {
        self.asked += 1;
        let id = format!("hook-{}-{}", self.process, self.asked);
        let uuid = self.uuid();
        let input = json!({"hook_event_name": "PreToolUse", "tool_name": "Bash"});
        sys.print(&json!({
            "type": "control_request", "request_id": id, "uuid": uuid,
            "request": {"subtype": "hook_callback", "callback_id": "hook_0", "input": input},
        }));
    }

    fn line(&mut self, line: &[u8], sys: &mut Syscalls) {
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            // Real agents exit when they cannot parse a line.
            sys.exit = Some(ExitStatus::Code(1));
            return;
        };
        match message["type"].as_str() {
            Some("user") => self.user(&message, sys),
            Some("control_request") => self.request(&message, sys),
            Some("control_response") => self.answered(&message, sys),
            _ => {}
        }
    }

    fn user(&mut self, message: &Value, sys: &mut Syscalls) {
        self.turns += 1;
        let uuid = self.uuid();
        let replayed = &message["uuid"];
        if self.kind != Kind::Silent {
            sys.print(&json!({"type": "system", "subtype": "init", "uuid": uuid,
                              "session_id": self.session, "replies_to": replayed}));
        }
        if self.has_hook && self.kind != Kind::Silent {
            self.ask_hook(sys);
        }
        match self.kind {
            Kind::Asking | Kind::Cancelling => self.ask(sys),
            Kind::AskingMany => {
                for _ in 0..self.rng.u32(1..5) {
                    self.ask(sys);
                }
            }
            Kind::Crashing if self.rng.u8(..) < 90 => {
                sys.stderr = Some(Bytes::from_static(b"Segmentation fault\n"));
                sys.exit = Some(ExitStatus::Signal(11));
            }
            Kind::Garbage => {
                self.garbage(sys);
                self.result(sys);
            }
            Kind::Silent => {}
            _ => {
                for n in 0..self.rng.u32(1..4) {
                    let bytes = self.rng.usize(1..200);
                    self.text(&format!("part {n} {}", "x".repeat(bytes)), sys);
                }
                self.result(sys);
            }
        }
        if self.kind == Kind::Cancelling {
            sys.alarm = Some(Duration::from_millis(self.rng.u64(1..20_000)));
        }
    }

    fn garbage(&mut self, sys: &mut Syscalls) {
        match self.rng.u8(..6) {
            0 => sys.print_garbage("this is no JSON"),
            1 => sys.print_garbage("[1,2,3]"),
            2 => sys.print_garbage(r#"{"type":7}"#),
            3 => sys.print_garbage(&"y".repeat(MAX_LINE_BYTES + 10)),
            4 => sys.print_garbage(r#"{"no":"type"}"#),
            _ => sys.print_garbage(r#"{"type":"assistant","#),
        }
        self.text("after the rubbish", sys);
    }

    fn request(&mut self, message: &Value, sys: &mut Syscalls) {
        let id = &message["request_id"];
        let subtype = message["request"]["subtype"].as_str().unwrap_or_default();
        if let Some(hooks) = message["request"]["hooks"].as_object() {
            self.has_hook = !hooks.is_empty();
        }
        if subtype == "interrupt" {
            for id in std::mem::take(&mut self.open) {
                let uuid = self.uuid();
                sys.print(&json!({
                    "type": "control_cancel_request", "request_id": id, "uuid": uuid,
                }));
            }
        }
        if self.kind == Kind::Silent {
            self.unanswered.push(id.clone());
            sys.alarm = Some(Duration::from_millis(self.rng.u64(1..60_000)));
        } else {
            self.acknowledge(id, sys);
        }
    }

    fn acknowledge(&mut self, request_id: &Value, sys: &mut Syscalls) {
        let uuid = self.uuid();
        sys.print(&json!({
            "type": "control_response", "uuid": uuid,
            "response": {"subtype": "success", "request_id": request_id, "response": {}},
        }));
    }

    fn answered(&mut self, message: &Value, sys: &mut Syscalls) {
        let response = &message["response"];
        let id = response["request_id"].as_str().unwrap_or_default();
        let Some(at) = self.open.iter().position(|open| open == id) else { return };
        self.open.remove(at);
        let behaviour = response["response"]["behavior"].as_str().unwrap_or("error").to_owned();
        self.text(&format!("{id} was answered: {behaviour}"), sys);
        if self.open.is_empty() {
            self.result(sys);
        }
    }

    fn flood(&mut self, sys: &mut Syscalls) {
        let mut room = sys.room;
        while room > 4096 {
            self.text(&"z".repeat(3000), sys);
            room = room.saturating_sub(3200);
        }
    }
}

impl Program for Script {
    fn started(&mut self, sys: &mut Syscalls) {
        match self.kind {
            Kind::Brief => sys.exit = Some(ExitStatus::Code(self.rng.i32(0..2))),
            Kind::Deaf => sys.stops_reading = true,
            Kind::Crashing => sys.alarm = Some(Duration::from_secs(self.rng.u64(1..120))),
            Kind::Mute => sys.alarm = Some(Duration::from_secs(self.rng.u64(1..60))),
            Kind::Flooding => sys.alarm = Some(Duration::from_secs(self.rng.u64(1..20))),
            _ => {}
        }
    }

    fn input(&mut self, data: &[u8], sys: &mut Syscalls) {
        self.partial.extend_from_slice(data);
        while let Some(at) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=at).collect();
            self.line(&line, sys);
        }
    }

    fn input_ended(&mut self, sys: &mut Syscalls) {
        if self.kind == Kind::Stubborn {
            return;
        }
        self.is_ending = true;
        sys.exit = Some(ExitStatus::Code(0));
    }

    fn alarm(&mut self, sys: &mut Syscalls) {
        match self.kind {
            Kind::Crashing => sys.exit = Some(ExitStatus::Code(3)),
            Kind::Mute => sys.closes_stdout = true,
            Kind::Silent => {
                for id in std::mem::take(&mut self.unanswered) {
                    self.acknowledge(&id, sys);
                }
            }
            Kind::Flooding => {
                self.flood(sys);
                if self.printed < 2_000 {
                    sys.alarm = Some(Duration::from_millis(self.rng.u64(10..3_000)));
                }
            }
            Kind::Cancelling => {
                if let Some(id) = self.open.pop() {
                    let uuid = self.uuid();
                    sys.print(&json!({
                        "type": "control_cancel_request", "request_id": id, "uuid": uuid,
                    }));
                    self.result(sys);
                }
            }
            _ => {}
        }
    }

    fn signal(&mut self, signal: Signal, sys: &mut Syscalls) {
        if self.kind == Kind::Stubborn {
            return;
        }
        let number = if signal == Signal::Interrupt { 2 } else { 15 };
        if self.kind.asks() && self.rng.bool() {
            // Its last output.
            self.text("I was told to end", sys);
        }
        sys.exit = Some(ExitStatus::Signal(number));
    }

    fn has_room(&mut self, sys: &mut Syscalls) {
        if self.kind == Kind::Flooding && self.printed > 0 && self.printed < 2_000 {
            self.flood(sys);
        }
    }
}
