//! The shell agent, whose host sends anything and whose commands do anything.

use bytes::Bytes;
use footbridge_core::agents::shell::{Agent, Command, Config, PermissionMode};
use footbridge_core::base::id::OpId;
use footbridge_core::base::limits::{AGENT_INPUT_HIGH_WATER_BYTES, MAX_LINE_BYTES};
use footbridge_core::contract::action::{Action, Message};
use footbridge_core::contract::check::Operation;
use footbridge_core::contract::event::Event;
use serde_json::Value;

use super::answers::{self, goes_well};
use super::bench::{Bench, Limits, Open, Record};
use super::steps::{is_checked_twice, passes_time, pick};
use crate::targets::input::Input;
use crate::targets::reach::reach;

/// Its stdio and one command.
const LIMITS: Limits =
    Limits { operations: 2, bytes: AGENT_INPUT_HIGH_WATER_BYTES + 2 * MAX_LINE_BYTES };

/// The shell agent on any lines from its host.
pub fn shell_agent(data: &[u8]) {
    let record = drive(data);
    if is_checked_twice(data) {
        assert_eq!(record, drive(data), "the same events, the same actions");
    }
}

fn drive(data: &[u8]) -> Record {
    let mut input = Input(data);
    let modes = [PermissionMode::Default, PermissionMode::BypassPermissions];
    let config = Config {
        directory: "/p".into(),
        session_id: Some("session_1".into()),
        permission_mode: input.choose(&modes),
        env_remove: vec!["SECRET".into()],
        seed: 7,
    };
    let mut bench = Bench::new(Agent::new(config), LIMITS);
    let mut host = Host::default();
    while let Some(what) = input.byte() {
        for action in std::mem::take(&mut bench.fresh) {
            host.saw(&action);
        }
        if bench.is_over() {
            reach("it ended");
            break;
        }
        if passes_time(&mut bench, what, &mut input) {
            continue;
        }
        if what == 31 && input.byte().is_some_and(|byte| byte < 64) {
            bench.command(input.choose(&[Command::Shutdown, Command::ShutdownNow]));
            continue;
        }
        let Some((op, open)) = pick(&bench, what, &mut input) else {
            bench.pass_to_deadline();
            continue;
        };
        let event = host.event(op, &open, &mut input);
        bench.handle(event);
    }
    for action in std::mem::take(&mut bench.fresh) {
        host.saw(&action);
    }
    bench.record
}

/// The agent's host: it answers requests.
#[derive(Default)]
struct Host {
    /// The id of the last question.
    question: Option<String>,
    messages: u64,
    /// Whether its stdin has ended.
    has_ended: bool,
}

impl Host {
    /// Every line that the agent prints is one complete message.
    fn saw(&mut self, action: &Action) {
        match action {
            Action::Send { message: Message::Binary(bytes), .. } => {
                let text = std::str::from_utf8(bytes).expect("the agent prints UTF-8");
                let line = text.strip_suffix('\n').expect("a whole line");
                assert!(!line.contains('\n'), "one line at a time");
                let line: Value = serde_json::from_str(line).expect("the agent prints JSON");
                match line["type"].as_str().expect("the agent prints messages") {
                    "control_request" => {
                        self.question = line["request_id"].as_str().map(str::to_owned);
                        reach("a question was asked");
                    }
                    "result" => reach("a turn ended"),
                    _ => {}
                }
            }
            Action::Send { .. } => panic!("stdout takes bytes"),
            Action::Spawn { .. } => reach("a command was started"),
            Action::Signal { .. } => reach("a command was signalled"),
            _ => {}
        }
    }

    fn event(&mut self, op: OpId, open: &Open, input: &mut Input<'_>) -> Event {
        match &open.state {
            Operation::Stream(stream) if !stream.is_open && goes_well(input) => {
                Event::Opened { op }
            }
            Operation::Stream(stream) if !stream.is_open => answers::failed(op, input),
            Operation::Stream(stream) if self.has_ended && stream.unconfirmed == 0 => Event::Tick,
            Operation::Stream(_) if self.has_ended => Event::Sent { op, messages: 1 },
            Operation::Stream(stream) => {
                answers::stream(op, stream, input, |input| self.message(input))
            }
            Operation::Process(process) => answers::process(op, process, input, output),
            _ => Event::Tick,
        }
    }

    fn message(&mut self, input: &mut Input<'_>) -> Message {
        let bytes = match input.byte().unwrap_or(0) {
            0..=2 => {
                self.has_ended = true;
                Bytes::new()
            }
            // Bytes as they are, perhaps ending in the middle of a line.
            3..=20 => Bytes::copy_from_slice(input.some()),
            _ => Bytes::from(self.line(input)),
        };
        self.has_ended |= bytes.is_empty();
        Message::Binary(bytes)
    }

    fn line(&mut self, input: &mut Input<'_>) -> String {
        const COMMANDS: [&str; 6] = ["ls", "sleep 9", "", "a\\u0000b", "echo é", " x\\n"];
        const ANSWERS: [&str; 8] = [
            r#"{"behavior":"allow","updatedInput":{}}"#,
            r#"{"behavior":"allow"}"#,
            r#"{"behavior":"allow","updatedInput":{"command":"pwd"}}"#,
            r#"{"behavior":"allow","updatedInput":{"command":"a\u0000b"}}"#,
            r#"{"behavior":"deny","message":"no"}"#,
            r#"{"behavior":"deny","message":"no","interrupt":true}"#,
            r#"{"behavior":7}"#,
            "null",
        ];
        const REQUESTS: [&str; 5] = [
            r#"{"subtype":"initialize"}"#,
            r#"{"subtype":"interrupt"}"#,
            r#"{"subtype":"set_permission_mode","mode":"bypassPermissions"}"#,
            r#"{"subtype":"set_permission_mode","mode":"x"}"#,
            r#"{"subtype":"set_model","model":"m"}"#,
        ];
        let mut line = match (input.byte().unwrap_or(0) % 8, &self.question) {
            (0..=3, Some(id)) => {
                let answer = match input.byte().unwrap_or(0) {
                    0..=20 => String::from_utf8_lossy(input.some()).into_owned(),
                    _ => input.choose(&ANSWERS).to_owned(),
                };
                format!(
                    r#"{{"type":"control_response","response":{{"subtype":"success","request_id":"{id}","response":{answer}}}}}"#
                )
            }
            (4, Some(id)) => format!(r#"{{"type":"control_cancel_request","request_id":"{id}"}}"#),
            (5, _) => {
                let request = input.choose(&REQUESTS);
                format!(r#"{{"type":"control_request","request_id":"r","request":{request}}}"#)
            }
            _ => {
                self.messages += 1;
                let uuid = self.messages / 2;
                let command = input.choose(&COMMANDS);
                format!(
                    r#"{{"type":"user","uuid":"u{uuid}","message":{{"role":"user","content":"{command}"}}}}"#
                )
            }
        };
        line.push('\n');
        line
    }
}

/// What commands print: any bytes, and many of them.
fn output(input: &mut Input<'_>) -> Bytes {
    match input.byte().unwrap_or(0) {
        0..=180 => Bytes::copy_from_slice(input.some()),
        181..=220 => Bytes::from(vec![b'x'; 200_000]),
        _ => Bytes::from_static("é\u{1f600}\r\n\x1b[31m".as_bytes()),
    }
}
