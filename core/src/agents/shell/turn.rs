//! A turn: from a message to its result.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::child::Running;
use super::input::{Prompt, Request};
use super::permission::Verdict;
use super::say::{Account, Ending, denial, permission_request};
use super::{Agent, PermissionMode};
use crate::base::limits::MAX_QUEUED_PROMPTS;
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::wire::control;
use crate::wire::to_json;

/// Why a question is refused once the host has closed its side.
pub(super) const NOBODY_TO_ASK: &str =
    "The input has ended, so nobody can be asked whether this may run.";

/// Why a turn that was ended from outside has no proper end.
pub(super) const INTERRUPTED: &str = "The turn was interrupted.";

/// One turn under way.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) tool_use_id: String,
    pub(super) command: String,
    pub(super) stage: Stage,
    /// Whether it was ended from outside.
    pub(super) aborted: bool,
    started: Instant,
    user_message_uuid: Option<String>,
    permission_denials: Vec<Value>,
}

/// What a turn waits for.
#[derive(Debug)]
pub(super) enum Stage {
    /// The host's answer.
    Asking { request_id: String },
    /// The command's end.
    Running(Running),
}

impl Agent {
    /// Takes a message: begins its turn, puts it in the queue, or refuses it.
    pub(super) fn prompt(&mut self, prompt: Prompt) {
        if prompt.uuid.as_ref().is_some_and(|uuid| self.seen.contains(uuid)) {
            return;
        }
        let reason = if self.ending {
            "The agent is ending and takes no more messages.".to_owned()
        } else if self.waiting.len() >= MAX_QUEUED_PROMPTS {
            format!("{MAX_QUEUED_PROMPTS} messages are waiting already: send it again later.")
        } else {
            // Only now: one that is refused may be sent again.
            if let Some(uuid) = &prompt.uuid {
                self.seen.insert(uuid);
            }
            return self.waiting.push_back(prompt);
        };
        let account = Account {
            duration_ms: 0,
            user_message_uuid: prompt.uuid,
            permission_denials: Vec::new(),
        };
        self.say_result(Ending::Refused(reason), account);
    }

    /// Begins the turn of a message. On return there is a turn, or it is over already.
    pub(super) fn begin(&mut self, prompt: Prompt) {
        self.say_init();
        let Prompt { uuid: user_message_uuid, command } = prompt;
        let started = self.fx.now().mono;
        let command = match command {
            Ok(command) => command,
            Err(reason) => {
                let text = reason.to_string();
                self.say_text(&text);
                let account =
                    Account { duration_ms: 0, user_message_uuid, permission_denials: Vec::new() };
                return self.say_result(Ending::Completed { text, is_error: true }, account);
            }
        };
        let tool_use_id = ["toolu_", &self.uuid()].concat();
        self.say_tool_use(&tool_use_id, &command);
        let stage = Stage::Asking { request_id: self.uuid() };
        self.turn = Some(Turn {
            tool_use_id,
            command,
            stage,
            aborted: false,
            started,
            user_message_uuid,
            permission_denials: Vec::new(),
        });
        if self.ending {
            self.refuse(NOBODY_TO_ASK);
        } else if self.mode.asks() {
            self.ask();
        } else {
            self.run();
        }
    }

    fn ask(&mut self) {
        if let Some(question) = self.question() {
            self.say_control(&Text::from_utf8(to_json(&question)).unwrap_or_default());
        }
    }

    /// The open question, if there is one.
    fn question(&self) -> Option<Value> {
        let turn = self.turn.as_ref()?;
        let Stage::Asking { request_id } = &turn.stage else { return None };
        Some(permission_request(request_id, &turn.tool_use_id, &turn.command))
    }

    fn is_open_question(&self, id: &str) -> bool {
        let stage = self.turn.as_ref().map(|turn| &turn.stage);
        matches!(stage, Some(Stage::Asking { request_id }) if request_id == id)
    }

    /// Takes the answer to a question; one to a question that is not open is nobody's.
    pub(super) fn answered(&mut self, id: &str, verdict: Verdict) {
        if !self.is_open_question(id) {
            return;
        }
        match verdict {
            Verdict::Allow(command) => {
                if let (Some(turn), Some(command)) = (&mut self.turn, command) {
                    turn.command = command;
                }
                self.run();
            }
            Verdict::Deny { message, interrupt: false } => {
                self.refuse(&format!("Permission was denied: {message}"));
            }
            Verdict::Deny { message, interrupt: true } => {
                self.note_denial();
                self.abort(&format!("Permission was denied: {message}"));
            }
            Verdict::Broken(reason) => self.refuse(&format!("Permission was not given: {reason}")),
        }
    }

    /// The host takes a request of its own back, which is answered long since; or a question of the
    /// agent, which is as good as *deny*.
    pub(super) fn withdrawn(&mut self, id: &str) {
        if self.is_open_question(id) {
            self.refuse("Permission was not given: the question was withdrawn.");
        }
    }

    /// Answers a `control_request`.
    pub(super) fn request(&mut self, id: &str, request: Request) {
        match request {
            Request::Initialize => {
                let pending: Vec<Value> = self.question().into_iter().collect();
                self.say_initialized(id, &pending);
            }
            Request::Interrupt => self.interrupt(id),
            Request::SetPermissionMode(name) => match PermissionMode::parse(&name) {
                Some(mode) => {
                    self.mode = mode;
                    self.say_control(&control::success(id, &json!({"mode": name})));
                    self.say_mode();
                }
                None => self.say_control(&control::error(
                    id,
                    &format!(
                        "the shell agent has no permission mode \"{name}\": try default, acceptEdits or bypassPermissions"
                    ),
                )),
            },
            Request::Unsupported(subtype) => {
                let error = format!("\"{subtype}\" is not supported by the shell agent");
                self.say_control(&control::error(id, &error));
            }
        }
    }

    /// Withdrawal first, then the interrupt's answer, then what came of the tool.
    fn interrupt(&mut self, id: &str) {
        self.withdraw_question();
        self.say_control(&control::success(id, &json!({})));
        self.stop_turn_quietly();
    }

    /// Ends the turn from outside, if there is one.
    pub(super) fn stop_turn(&mut self) {
        self.withdraw_question();
        self.stop_turn_quietly();
    }

    fn withdraw_question(&mut self) {
        if let Some(Turn { stage: Stage::Asking { request_id }, .. }) = &self.turn {
            let line = control::cancel_request(request_id);
            self.say_control(&line);
        }
    }

    fn stop_turn_quietly(&mut self) {
        match self.turn.as_ref().map(|turn| &turn.stage) {
            Some(Stage::Asking { .. }) => self.abort(INTERRUPTED),
            Some(Stage::Running(_)) => self.stop_command(),
            None => {}
        }
    }

    /// Ends a turn whose command may not run.
    pub(super) fn refuse(&mut self, reason: &str) {
        self.note_denial();
        self.fail(reason);
    }

    /// Ends a turn whose command did not run.
    pub(super) fn fail(&mut self, reason: &str) {
        self.tool_result(reason, true);
        self.complete(reason.to_owned(), false);
    }

    /// Ends a turn that was stopped before its command ran.
    fn abort(&mut self, reason: &str) {
        self.tool_result(reason, true);
        self.finish(Ending::Aborted(reason.to_owned()));
    }

    fn note_denial(&mut self) {
        if let Some(turn) = &mut self.turn {
            turn.permission_denials.push(denial(&turn.tool_use_id, &turn.command));
        }
    }

    pub(super) fn tool_result(&mut self, content: &str, is_error: bool) {
        if let Some(turn) = &self.turn {
            let id = turn.tool_use_id.clone();
            self.say_tool_result(&id, content, is_error);
        }
    }

    /// Ends a turn that went its way.
    pub(super) fn complete(&mut self, text: String, is_error: bool) {
        self.say_text(&text);
        self.finish(Ending::Completed { text, is_error });
    }

    /// Says a turn's result and leaves it.
    pub(super) fn finish(&mut self, ending: Ending) {
        let Some(turn) = self.turn.take() else { return };
        let account = Account {
            duration_ms: self.millis_since(turn.started),
            user_message_uuid: turn.user_message_uuid,
            permission_denials: turn.permission_denials,
        };
        self.say_result(ending, account);
    }

    pub(super) fn millis_since(&self, start: Instant) -> u64 {
        let elapsed = self.fx.now().mono.saturating_since(start);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }
}
