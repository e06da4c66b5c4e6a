//! The agent driven by hand: lines and process events in, lines and actions out.

extern crate std;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::action::Signal;
use crate::event::{ExitStatus, Failure, FailureKind};
use crate::limits::*;
use crate::machine::Outcome;
use crate::time::Instant;

/// A host that keeps what the agent says and does.
struct Host {
    agent: Agent,
    now: Now,
    said: Vec<Value>,
    actions: Vec<Action>,
    notices: Vec<Notice>,
    reads: bool,
    deadline: Option<Instant>,
    outcome: Option<Outcome>,
}

impl Host {
    fn new() -> Self {
        Self::with_mode(PermissionMode::Default)
    }

    fn with_mode(permission_mode: PermissionMode) -> Self {
        let agent = Agent::new(Config {
            directory: "/w".to_owned(),
            session_id: Some("S".to_owned()),
            permission_mode,
            env_remove: alloc::vec!["TOKEN".to_owned()],
            seed: 7,
        });
        let mut host = Self {
            agent,
            now: Now::default(),
            said: Vec::new(),
            actions: Vec::new(),
            notices: Vec::new(),
            reads: true,
            deadline: None,
            outcome: None,
        };
        host.drain();
        host.handle(Event::Opened { op: host.stdio() });
        host.actions.clear();
        host
    }

    fn stdio(&self) -> OpId {
        self.agent.stdio
    }

    fn drain(&mut self) {
        loop {
            match self.agent.step() {
                Step::Do(Action::Send { op, message: Message::Binary(bytes) }) => {
                    let line = bytes.strip_suffix(b"\n").expect("a whole line");
                    self.said.push(serde_json::from_slice(line).expect("JSON"));
                    if self.reads {
                        self.agent.handle(self.now, Event::Sent { op, messages: 1 });
                    }
                }
                Step::Do(action) => self.actions.push(action),
                Step::Tell(notice) => self.notices.push(notice),
                Step::Wait(deadline) => {
                    assert!(deadline.is_none_or(|at| at > self.now.mono), "a busy loop");
                    self.deadline = deadline;
                    return;
                }
                Step::Finished(outcome) => {
                    self.outcome = Some(outcome);
                    return;
                }
            }
        }
    }

    fn handle(&mut self, event: Event) {
        self.agent.handle(self.now, event);
        self.drain();
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        self.handle(Event::Received { op: self.stdio(), message });
    }

    fn line(&mut self, value: &Value) {
        self.bytes(format!("{value}\n").as_bytes());
    }

    fn prompt(&mut self, command: &str) {
        self.line(&json!({"type": "user", "message": {"role": "user", "content": command}}));
    }

    fn request(&mut self, id: &str, request: &Value) {
        self.line(&json!({"type": "control_request", "request_id": id, "request": request}));
    }

    fn answer(&mut self, payload: &Value) {
        let id = self.question();
        let response = json!({"subtype": "success", "request_id": id, "response": payload});
        self.line(&json!({"type": "control_response", "response": response}));
    }

    fn allow(&mut self) {
        self.answer(&json!({"behavior": "allow", "updatedInput": {}}));
    }

    /// The id of the last question.
    fn question(&self) -> String {
        let mut questions = self.said.iter().filter(|said| said["type"] == "control_request");
        questions.next_back().expect("a question")["request_id"].as_str().expect("text").to_owned()
    }

    /// The last process that was started, and its command line.
    fn process(&self) -> (OpId, String) {
        let spawned = self.actions.iter().rev().find_map(|action| match action {
            Action::Spawn { op, command } => Some((*op, command.args.last()?.clone())),
            _ => None,
        });
        spawned.expect("a process")
    }

    fn stdout(&mut self, bytes: &'static [u8]) {
        let (op, _) = self.process();
        self.handle(Event::Stdout { op, data: Bytes::from_static(bytes) });
    }

    fn exit(&mut self, status: ExitStatus) {
        let (op, _) = self.process();
        self.handle(Event::OutputEnded { op, output: Output::Stdout });
        self.handle(Event::Exited { op, status });
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.handle(Event::Tick);
    }

    /// What was said since the last call, in short.
    fn heard(&mut self) -> Vec<String> {
        self.said.drain(..).map(|said| short(&said)).collect()
    }

    fn signals(&self) -> Vec<Signal> {
        let signals = self.actions.iter().filter_map(|action| match action {
            Action::Signal { signal, .. } => Some(*signal),
            _ => None,
        });
        signals.collect()
    }

    fn did(&self, wanted: impl Fn(&Action) -> bool) -> bool {
        self.actions.iter().any(wanted)
    }

    fn close(&mut self) {
        self.handle(Event::Closed { op: self.stdio(), code: None, failure: None });
    }
}

/// A message in a few words.
fn short(said: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let block = &said["message"]["content"][0];
    match said["type"].as_str().expect("typed") {
        "system" => text(&said["subtype"]),
        "assistant" if block["type"] == "tool_use" => {
            format!("use {}", text(&block["input"]["command"]))
        }
        "assistant" => format!("text {}", text(&block["text"])),
        "user" => format!("tool({}) {}", block["is_error"], text(&block["content"])),
        "stream_event" if said["event"]["delta"].is_object() => {
            format!("delta {}", text(&said["event"]["delta"]["text"]))
        }
        "stream_event" => text(&said["event"]["type"]),
        "control_request" => format!("ask {}", text(&said["request"]["input"]["command"])),
        "control_cancel_request" => "withdraw".to_owned(),
        "control_response" => format!(
            "{} {}",
            text(&said["response"]["subtype"]),
            text(&said["response"]["request_id"])
        ),
        "result" => format!("result {}", text(&said["terminal_reason"])),
        other => panic!("{other}"),
    }
}

#[test]
fn a_message_is_asked_about_run_and_told() {
    let mut host = Host::new();
    host.prompt("echo hi");
    assert_eq!(host.said[0]["cwd"], "/w");
    assert_eq!(host.said[0]["permissionMode"], "default");
    let question = host.said[2]["request"].clone();
    assert_eq!(question["tool_use_id"], host.said[1]["message"]["content"][0]["id"]);
    assert_eq!(question["subtype"], "can_use_tool");
    host.allow();
    assert_eq!(host.heard(), ["init", "use echo hi", "ask echo hi"]);
    assert_eq!(host.process().1, "echo hi");
    assert!(host.did(|action| {
        matches!(action, Action::Spawn { command, .. } if command.env_remove == ["TOKEN"])
    }));
    host.stdout(b"hi\n");
    host.now.mono = host.now.mono + Duration::from_millis(1_250);
    host.exit(ExitStatus::Code(0));
    let result = host.said.last().expect("said").clone();
    assert_eq!(
        host.heard(),
        [
            "message_start",
            "content_block_start",
            "delta hi\n",
            "content_block_stop",
            "message_stop",
            "tool(false) hi\n",
            "text Done in 1.2 s.",
            "result completed",
        ]
    );
    let without_uuid = |mut value: Value| {
        let uuid = value["uuid"].take();
        assert_eq!(uuid.as_str().map(str::len), Some(36));
        value.as_object_mut().expect("object").remove("uuid");
        value
    };
    assert_eq!(
        without_uuid(result),
        json!({
            "type": "result", "subtype": "success", "is_error": false, "duration_ms": 1250,
            "duration_api_ms": 0, "num_turns": 1, "session_id": "S",
            "result": "Done in 1.2 s.", "stop_reason": "end_turn",
            "total_cost_usd": 0, "usage": {}, "modelUsage": {}, "permission_denials": [],
            "terminal_reason": "completed",
        })
    );
}

#[test]
fn every_way_to_answer_a_question_leads_to_a_result() {
    let nothing_ran = |reason: &str, ending: &str| {
        let mut heard = alloc::vec![format!("tool(true) {reason}")];
        if ending == "completed" {
            heard.push(format!("text {reason}"));
        }
        heard.push(format!("result {ending}"));
        heard
    };
    let cases = [
        (json!({"behavior": "deny", "message": "no"}), "Permission was denied: no", "completed", 1),
        (
            json!({"behavior": "deny", "message": "no", "interrupt": true}),
            "Permission was denied: no",
            "aborted_tools",
            1,
        ),
        (
            json!({"behavior": "allow", "updatedInput": {"x": 1}}),
            "Permission was not given: updatedInput has no \"command\"",
            "completed",
            1,
        ),
    ];
    for (payload, reason, ending, denials) in cases {
        let mut host = Host::new();
        host.prompt("rm x");
        host.answer(&payload);
        let result = host.said.last().expect("said").clone();
        assert_eq!(host.heard()[3..], nothing_ran(reason, ending), "{payload}");
        assert_eq!(result["permission_denials"].as_array().map(Vec::len), Some(denials));
        assert_eq!(result["permission_denials"][0]["tool_input"]["command"], "rm x");
        assert!(host.actions.is_empty(), "{payload}");
    }
}

#[test]
fn an_allowed_command_is_the_one_that_the_host_names() {
    let mut host = Host::new();
    host.prompt("rm -r x");
    host.answer(&json!({"behavior": "allow", "updatedInput": {"command": "ls x"}}));
    assert_eq!(host.process().1, "ls x");
    // A second answer is nobody's.
    host.allow();
    assert_eq!(host.actions.len(), 1);
}

#[test]
fn the_tool_result_names_how_a_command_failed() {
    let cases = [
        (ExitStatus::Code(3), &b"oops"[..], "tool(true) oops\n[exit code 3]"),
        (ExitStatus::Signal(9), b"", "tool(true) [signal 9]"),
        (ExitStatus::Code(0), b"", "tool(false) (no output)"),
        (ExitStatus::Code(0), b"\xff\xe2\x82", "tool(false) \u{fffd}\u{fffd}"),
    ];
    for (status, output, expected) in cases {
        let mut host = Host::with_mode(PermissionMode::BypassPermissions);
        host.prompt("x");
        host.stdout(output);
        host.exit(status);
        assert!(host.heard().contains(&expected.to_owned()), "{expected}");
    }
}

#[test]
fn a_command_that_cannot_be_started_is_a_failed_tool() {
    let mut host = Host::with_mode(PermissionMode::BypassPermissions);
    host.prompt("x");
    let (op, _) = host.process();
    let failure = Failure { kind: FailureKind::NotFound, detail: "no such directory".to_owned() };
    host.handle(Event::Failed { op, failure });
    assert_eq!(
        host.heard()[2],
        "tool(true) /bin/sh could not be started in /w: not found: no such directory"
    );
    assert!(host.agent.turn.is_none());
}

#[test]
fn control_requests_are_answered() {
    let cases = [
        (json!({"subtype": "initialize", "hooks": null}), "success r"),
        (json!({"subtype": "interrupt"}), "success r"),
        (json!({"subtype": "set_permission_mode", "mode": "acceptEdits"}), "success r"),
        (json!({"subtype": "set_permission_mode", "mode": "plan"}), "error r"),
        (json!({"subtype": "set_permission_mode"}), "error r"),
        (json!({"subtype": "set_model", "model": "m"}), "error r"),
        (json!({"subtype": "set_max_thinking_tokens"}), "error r"),
        (json!({"subtype": "of_the_future"}), "error r"),
        (json!({}), "error r"),
    ];
    for (request, expected) in cases {
        let mut host = Host::new();
        host.request("r", &request);
        let heard = host.heard();
        assert_eq!(heard[0], expected, "{request}");
        assert!(heard.len() == 1 || heard[1..] == ["status"], "{request}");
    }
}

#[test]
fn a_late_viewer_is_told_of_the_open_question() {
    let mut host = Host::new();
    host.prompt("ls");
    let question = host.said.last().expect("said").clone();
    host.request("r", &json!({"subtype": "initialize"}));
    let answer = host.said.last().expect("said");
    assert_eq!(answer["response"]["pending_permission_requests"], json!([question]));
    assert_eq!(answer["response"]["response"]["commands"], json!([]));
}

#[test]
fn without_questions_commands_run_at_once() {
    let mut host = Host::new();
    host.request("r", &json!({"subtype": "set_permission_mode", "mode": "bypassPermissions"}));
    assert_eq!(host.said[1]["permissionMode"], "bypassPermissions");
    host.prompt("ls");
    assert_eq!(host.process().1, "ls");
}

#[test]
fn an_interrupt_withdraws_the_question_before_it_is_answered() {
    let mut host = Host::new();
    host.prompt("ls");
    host.request("r", &json!({"subtype": "interrupt"}));
    assert_eq!(
        host.heard()[3..],
        ["withdraw", "success r", "tool(true) The turn was interrupted.", "result aborted_tools"]
    );
    assert!(host.actions.is_empty());
}

#[test]
fn an_interrupt_ends_the_running_command_and_kills_what_will_not_end() {
    let mut host = Host::with_mode(PermissionMode::BypassPermissions);
    host.prompt("sleep 9");
    host.stdout(b"z");
    host.heard();
    host.request("r", &json!({"subtype": "interrupt"}));
    assert_eq!(host.heard(), ["success r"]);
    assert_eq!(host.signals(), [Signal::Terminate]);
    host.request("r2", &json!({"subtype": "interrupt"}));
    assert_eq!((host.heard(), host.signals().len()), (alloc::vec!["success r2".to_owned()], 1));
    host.pass(COMMAND_GRACE);
    assert_eq!(host.signals(), [Signal::Terminate, Signal::Kill]);
    host.exit(ExitStatus::Signal(9));
    assert_eq!(
        host.heard(),
        [
            "content_block_stop",
            "message_stop",
            "tool(true) z\n[Interrupted]",
            "result aborted_tools"
        ]
    );
    // The agent lives on.
    host.prompt("ls");
    assert_eq!(host.process().1, "ls");
}

#[test]
fn a_command_that_cannot_be_killed_is_abandoned_at_last() {
    let mut host = Host::with_mode(PermissionMode::BypassPermissions);
    host.prompt("x");
    host.request("r", &json!({"subtype": "interrupt"}));
    host.pass(COMMAND_GRACE);
    host.pass(COMMAND_ABANDON_AFTER);
    assert_eq!(host.notices, [Notice::Abandoned]);
    assert_eq!(host.heard().last().map(String::as_str), Some("result aborted_tools"));
}

#[test]
fn what_a_command_leaves_behind_is_not_waited_for() {
    let mut host = Host::with_mode(PermissionMode::BypassPermissions);
    host.prompt("sleep 100 &");
    let (op, _) = host.process();
    host.handle(Event::Exited { op, status: ExitStatus::Code(0) });
    assert!(host.agent.turn.is_some());
    host.pass(COMMAND_LINGER);
    assert!(host.did(|action| *action == Action::Cancel { op }));
    assert_eq!(host.heard().last().map(String::as_str), Some("result completed"));
}

#[test]
fn messages_wait_their_turn_and_too_many_are_refused() {
    let mut host = Host::new();
    for n in 0..=MAX_QUEUED_PROMPTS + 1 {
        host.prompt(&format!("echo {n}"));
    }
    let heard = host.heard();
    assert_eq!(heard, ["init", "use echo 0", "ask echo 0", "result refused"]);
    host.request("r", &json!({"subtype": "interrupt"}));
    assert_eq!(host.heard()[4..], ["init", "use echo 1", "ask echo 1"]);
    host.prompt("there is room again");
    assert_eq!(host.heard(), Vec::<String>::new());
}

#[test]
fn a_message_that_came_before_is_dropped_and_a_refused_one_is_not() {
    let mut host = Host::new();
    let user = |uuid: &str| json!({"type": "user", "uuid": uuid, "message": {"role": "user", "content": "ls"}});
    host.line(&user("one"));
    host.line(&user("one"));
    for n in 0..MAX_QUEUED_PROMPTS {
        host.line(&user(&n.to_string()));
    }
    host.line(&user("refused"));
    let refused = host.said.last().expect("said");
    assert_eq!(refused["user_message_uuids"], json!(["refused"]));
    host.request("r", &json!({"subtype": "interrupt"}));
    host.heard();
    host.line(&user("refused"));
    host.line(&user("refused"));
    assert_eq!(host.agent.waiting.len(), MAX_QUEUED_PROMPTS);
    assert_eq!(host.heard(), Vec::<String>::new());
}

#[test]
fn a_message_without_a_command_has_a_result_too() {
    let mut host = Host::new();
    host.prompt("  ");
    let heard = host.heard();
    assert_eq!((heard.len(), heard[2].as_str()), (3, "result completed"));
}

#[test]
fn what_is_no_message_is_noticed_and_skipped() {
    let mut host = Host::new();
    host.bytes(b"hello\n\xff\n[1]\n{\"type\":\"keep_alive\"}\n");
    host.line(&json!({"type": "control_request", "request": {"subtype": "initialize"}}));
    assert_eq!(
        host.notices,
        [
            Notice::Skipped(NoMessage::NotJson),
            Notice::Skipped(NoMessage::NotJson),
            Notice::Skipped(NoMessage::NotTyped),
            Notice::Unanswerable,
        ]
    );
    assert_eq!(host.heard(), Vec::<String>::new());
    host.prompt("ls");
    assert_eq!(host.heard().len(), 3);
}

#[test]
fn the_end_of_input_denies_what_is_open_and_ends_the_agent_after_its_last_words() {
    let mut host = Host::new();
    host.prompt("one");
    host.prompt("two");
    host.heard();
    host.bytes(b"");
    let reason = "The input has ended, so nobody can be asked whether this may run.";
    let denied =
        [format!("tool(true) {reason}"), format!("text {reason}"), "result completed".to_owned()];
    let heard = host.heard();
    assert_eq!(heard[..3], denied);
    assert_eq!(heard[3..5], ["init", "use two"]);
    assert_eq!(heard[5..], denied);
    let stdio = host.stdio();
    assert_eq!(host.actions, [Action::Close { op: stdio, code: 1000 }]);
    assert_eq!(host.outcome, None);
    host.close();
    assert_eq!(host.outcome, Some(Ok(())));
}

#[test]
fn the_running_command_is_ended_with_the_agent_however_that_ends() {
    type End = fn(&mut Host);
    let endings: [(&str, End); 4] = [
        ("end of input", |host| host.bytes(b"")),
        ("a stdout that is gone", Host::close),
        ("shutdown", |host| {
            host.agent.command(host.now, Command::Shutdown);
            host.drain();
        }),
        ("hurry", |host| {
            host.agent.command(host.now, Command::Hurry);
            host.drain();
        }),
    ];
    for (name, end) in endings {
        let mut host = Host::with_mode(PermissionMode::BypassPermissions);
        host.prompt("sleep 9");
        end(&mut host);
        let signals = host.signals();
        assert_eq!(signals[0], Signal::Terminate, "{name}");
        assert_eq!(signals.contains(&Signal::Kill), name == "hurry", "{name}");
        assert_eq!(host.outcome, None, "{name}: it sees the end of the command");
        host.exit(ExitStatus::Signal(15));
        host.close();
        assert_eq!(host.outcome, Some(Ok(())), "{name}");
    }
}

#[test]
fn shutdown_drops_what_waits_and_does_not_wait_for_a_reader_for_ever() {
    let mut host = Host::new();
    host.prompt("one");
    host.prompt("two");
    host.heard();
    host.agent.command(host.now, Command::Shutdown);
    host.drain();
    assert_eq!(
        host.heard(),
        ["withdraw", "tool(true) The turn was interrupted.", "result aborted_tools"]
    );
    host.pass(AGENT_FLUSH_TIMEOUT);
    assert_eq!(host.outcome, Some(Ok(())));
}

#[test]
fn a_command_at_the_very_instant_of_a_deadline_leaves_no_deadline_that_has_passed() {
    let mut host = Host::with_mode(PermissionMode::BypassPermissions);
    host.prompt("sleep 9");
    for _ in 0..20 {
        host.agent.command(host.now, Command::Hurry);
        host.drain();
        if let (Some(deadline), None) = (host.deadline, &host.outcome) {
            host.now.mono = deadline;
        }
    }
    assert_eq!(host.outcome, Some(Ok(())));
}

#[test]
fn a_flood_waits_for_the_reader_and_an_interrupt_still_gets_through() {
    let mut host = Host::with_mode(PermissionMode::BypassPermissions);
    host.prompt("yes");
    host.reads = false;
    let (op, _) = host.process();
    let mut chunks = 0;
    while !host.did(|action| *action == Action::Pause { op }) {
        host.handle(Event::Stdout { op, data: Bytes::from(alloc::vec![b'y'; 8192]) });
        chunks += 1;
        assert!(chunks * 8192 <= AGENT_COMMAND_HIGH_WATER_BYTES, "the command is paused in time");
    }
    let stdio = host.stdio();
    assert!(!host.did(|action| *action == Action::Pause { op: stdio }));
    host.request("r", &json!({"subtype": "interrupt"}));
    assert_eq!(host.signals(), [Signal::Terminate]);
    let said = host.said.len();
    host.handle(Event::Sent { op: stdio, messages: said - 1 });
    assert!(host.did(|action| *action == Action::Resume { op }));
}

#[test]
fn a_host_that_asks_and_never_reads_is_not_read_either() {
    let mut host = Host::new();
    host.reads = false;
    let stdio = host.stdio();
    let mut asked = 0;
    while !host.did(|action| *action == Action::Pause { op: stdio }) {
        host.request(&"r".repeat(1000), &json!({"subtype": "initialize"}));
        asked += 1;
        assert!(asked * 1000 <= AGENT_INPUT_HIGH_WATER_BYTES);
    }
    let said = host.said.len();
    host.handle(Event::Sent { op: stdio, messages: said });
    assert!(host.did(|action| *action == Action::Resume { op: stdio }));
}

#[test]
fn the_same_seed_gives_the_same_words_and_uuids_are_of_version_4() {
    let run = || {
        let mut host = Host::new();
        host.prompt("ls");
        host.allow();
        host.exit(ExitStatus::Code(0));
        host.said
    };
    assert_eq!(run(), run());
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..100 {
        let uuid = uuid(&mut rng);
        assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"));
        assert!("89ab".contains(&uuid[19..20]), "{uuid}");
    }
}

/// Lines that are mostly close to what is understood.
fn any_line() -> impl Strategy<Value = String> {
    let id = prop_oneof!["[a-c]", Just("P".to_owned())];
    let subtype = prop_oneof![
        Just("initialize"),
        Just("interrupt"),
        Just("set_permission_mode"),
        Just("set_model"),
        Just("x")
    ];
    let mode = prop_oneof![Just("default"), Just("bypassPermissions"), Just("plan")];
    prop_oneof![
        ".{0,40}",
        (id.clone(), subtype, mode).prop_map(|(id, subtype, mode)| {
            let request = json!({"subtype": subtype, "mode": mode});
            json!({"type": "control_request", "request_id": id, "request": request}).to_string()
        }),
        (id.clone(), "[ab ]{0,3}").prop_map(|(id, text)| {
            json!({"type": "user", "uuid": id, "message": {"content": text}}).to_string()
        }),
        (id.clone(), prop_oneof![Just("allow"), Just("deny"), Just("x")], any::<bool>()).prop_map(
            |(id, behavior, interrupt)| {
                let payload = json!({"behavior": behavior, "message": "m", "interrupt": interrupt});
                let response = json!({"subtype": "success", "request_id": id, "response": payload});
                json!({"type": "control_response", "response": response}).to_string()
            }
        ),
        id.prop_map(|id| json!({"type": "control_cancel_request", "request_id": id}).to_string()),
    ]
}

proptest! {
    #[test]
    fn arbitrary_lines_never_panic_and_every_control_request_gets_one_answer(
        lines in prop::collection::vec((any_line(), 0..4_u8), 0..40)
    ) {
        let mut host = Host::new();
        let mut asked = 0;
        for (line, then) in lines {
            let line = line.replace('\n', " ");
            // Half the answers name the question that is open.
            let open = host.agent.turn.as_ref().map(|turn| &turn.stage);
            let line = match open {
                Some(Stage::Asking { request_id }) => line.replace("\"P\"", &format!("\"{request_id}\"")),
                _ => line,
            };
            let value = serde_json::from_str::<Value>(&line).unwrap_or_default();
            asked += usize::from(value["type"] == "control_request" && value["request_id"].is_string());
            host.bytes(format!("{line}\n").as_bytes());
            match then {
                0 => host.pass(Duration::from_secs(1)),
                1 if host.did(|action| matches!(action, Action::Spawn { .. })) => {
                    host.exit(ExitStatus::Code(0));
                }
                _ => {}
            }
        }
        let answers = |host: &Host| {
            host.said.iter().filter(|said| said["type"] == "control_response").count()
        };
        prop_assert_eq!(answers(&host), asked);
        host.agent.command(host.now, Command::Shutdown);
        host.drain();
        host.pass(COMMAND_GRACE);
        host.pass(COMMAND_ABANDON_AFTER);
        host.pass(AGENT_FLUSH_TIMEOUT);
        prop_assert_eq!(host.outcome.clone(), Some(Ok(())));
        prop_assert_eq!(answers(&host), asked);
    }
}
